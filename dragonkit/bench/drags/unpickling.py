"""Reading a pickle from a stranger: arrays of numbers and plain containers, and nothing that runs.

A pickle is a program that may call whatever it names. Here every name is looked up in a short list of stand-ins, which rebuild numpy's
arrays from their bytes and hand nothing unchecked to numpy. A name outside of the list ends the reading before anything is imported.
"""

from __future__ import annotations

import io
import math
import os
import pickle
import pickletools
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import NoneType
from typing import Any, ClassVar

import numpy as np

from dragonkit.errors import EditFileError

__all__ = ["load_plain"]

MAX_BYTES = 256 * 2**20
"""As many as a mask of 8192 x 4096 doubles has; that of a picture of DragBench has 2 MiB at most."""

_NUMBERS = re.compile(r"[biuf](1|2|4|8)")


def load_plain(path: str | os.PathLike[str]) -> Any:
    """What a pickle file of any protocol holds, whichever numpy wrote it.

    Returns:
        None, bools, numbers, text, bytes, numpy arrays (read-only) of bools, integers or floats, and lists, tuples, sets and dicts of
        these. Numpy's scalars become Python's numbers.

    Raises:
        EditFileError: it cannot be read, is damaged, or wants to load anything else. Nothing of it was run.
    """
    path = Path(path)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise EditFileError(f"{str(path)!r} has {path.stat().st_size:,} bytes, more than the {MAX_BYTES:,} that are read.")
        data = path.read_bytes()
    except OSError as error:
        raise EditFileError(f"{str(path)!r} cannot be read: {error.strerror or error}. Check the path.") from error
    try:
        for _ in pickletools.genops(data):  # lengths that the file does not have are found before anything is made room for
            pass
        return _plain(_Unpickler(data).load(), {})
    except _RefusedError as error:
        raise EditFileError(f"{str(path)!r} {error}; nothing of it was run. Get the file from where the data set is published.") from error
    except RecursionError:
        raise EditFileError(f"{str(path)!r} is nested too deeply to be data; nothing of it was run.") from None
    except Exception as error:  # a broken pickle raises nearly anything, from EOFError to IndexError
        what = "is empty" if not data else f"is no complete pickle of plain data ({type(error).__name__}: {str(error)[:80].rstrip('. ')})"
        raise EditFileError(f"{str(path)!r} {what}; nothing of it was run. Copy or download it again.") from error


class _RefusedError(Exception):
    """What the pickle wants and does not get; the words go after the file's name."""


class _StandIn:
    """A callable without attributes, so that a pickle cannot change what the next one gets."""

    __slots__ = ("_call",)

    def __init__(self, call: Callable[..., Any]):
        self._call = call

    def __call__(self, *args: Any) -> Any:
        return self._call(*args)

    def __setstate__(self, state: Any) -> None:
        raise _RefusedError("wants to change a function")


class _Dtype:
    """An element type as numpy pickles it: a code such as "u1", and its byte order as state."""

    def __init__(self, code: Any, align: Any = False, copy: Any = False):
        if not isinstance(code, str) or not _NUMBERS.fullmatch(code):
            kind = "of Python objects" if isinstance(code, str) and code.startswith("O") else "of something else"
            raise _RefusedError(f"holds an array {kind}, and only arrays of bools, integers and floats are read")
        self.dtype = np.dtype(code)

    def __setstate__(self, state: Any) -> None:
        order = state[1]
        if order not in ("<", ">", "=", "|") or any(part is not None for part in state[2:5]):
            raise _RefusedError("holds an array of structures, and only arrays of bools, integers and floats are read")
        self.dtype = self.dtype.newbyteorder(order)


class _Array:
    """An array: made empty, then filled by its state, as numpy pickles it."""

    value: np.ndarray

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran, raw = state
        self.value = _array(raw, dtype, shape, "F" if fortran else "C")


def _array(raw: Any, dtype: Any, shape: Any, order: Any) -> np.ndarray:
    if not isinstance(dtype, _Dtype):
        raise _RefusedError("holds an array without a type of numbers")
    if not isinstance(raw, (bytes, bytearray)):
        raise _RefusedError(f"holds an array made of a {type(raw).__name__}")
    shape = tuple(shape)
    if not all(type(side) is int and side >= 0 for side in shape) or math.prod(shape) * dtype.dtype.itemsize != len(raw):
        raise _RefusedError(f"holds an array whose shape does not fit its {len(raw)} bytes")
    return np.ndarray(shape, dtype.dtype, raw, order="F" if order == "F" else "C")  # not copied: a pickle may make many of the same bytes


def _reconstruct(kind: Any, shape: Any, code: Any) -> _Array:
    if kind is not _NDARRAY:
        raise _RefusedError("holds an array of a kind of its own")
    return _Array()


def _from_buffer(raw: Any, dtype: Any, shape: Any, order: Any) -> _Array:
    made = _Array()
    made.value = _array(raw, dtype, shape, order)
    return made


def _scalar(dtype: Any, raw: Any) -> Any:
    return _array(raw, dtype, (), "C").item()


def _not_called(*_: Any) -> None:
    raise _RefusedError("wants to make an array of nothing")


def _empty_bytes() -> bytes:
    return b""


_NDARRAY = _StandIn(_not_called)

_ADMITTED: Mapping[tuple[str, str], Any] = {
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _StandIn(_reconstruct) for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): _StandIn(_scalar) for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _StandIn(_from_buffer) for core in ("core", "_core")},
    ("numpy", "ndarray"): _NDARRAY,
    ("numpy", "dtype"): _StandIn(_Dtype),
    ("builtins", "bytes"): _StandIn(_empty_bytes),
    ("__builtin__", "bytes"): _StandIn(_empty_bytes),
}


def _with_simple_keys(load: Callable[[Any], None], keys: slice) -> Callable[[Any], None]:
    """A step of the unpickler, refused where it would hash a container: that can take for ever, as tuples name tuples ever more often."""

    def checked(unpickler: Any) -> None:
        if not all(isinstance(key, (str, bytes, int, float, NoneType)) for key in unpickler.stack[keys]):
            raise _RefusedError("has a key that is neither text nor a number")
        load(unpickler)

    return checked


class _Unpickler(pickle._Unpickler):  # type: ignore[name-defined, misc]
    """Python's own unpickler in Python: the one in C reserves as much memory as a pickle of ten bytes tells it to."""

    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = dict(pickle._Unpickler.dispatch)  # type: ignore[attr-defined]
    for _code, _keys in (  # where on the stack the keys are when the step is taken
        (pickle.SETITEM, slice(-2, -1)),
        (pickle.SETITEMS, slice(0, None, 2)),
        (pickle.DICT, slice(0, None, 2)),
        (pickle.ADDITEMS, slice(None)),
        (pickle.FROZENSET, slice(None)),
    ):
        dispatch[_code[0]] = _with_simple_keys(dispatch[_code[0]], _keys)

    def __init__(self, data: bytes):
        super().__init__(io.BytesIO(data))
        self._left = len(data)

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("_codecs", "encode"):
            return _StandIn(self._encode)
        try:
            return _ADMITTED[module, name]
        except KeyError:
            named = f"{module}.{name}"
            raise _RefusedError(f"wants to load {named[:80]!r}, which is neither a numpy array nor plain data") from None

    def _encode(self, text: Any, encoding: Any = "latin1") -> bytes:
        """Bytes, as protocols before 3 write them; not more of them than the file has."""
        if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
            raise _RefusedError("wants to encode text in a way that no array is written in")
        self._left -= len(text)
        if self._left < 0:
            raise _RefusedError("wants to fill the memory")
        return text.encode("latin1")

    def persistent_load(self, pid: Any) -> Any:
        raise _RefusedError("wants to load something from outside of the file")


def _plain(value: Any, done: dict[int, Any]) -> Any:
    """The value with arrays in place of stand-ins. Parts that occur often are done once: a small file can name one exponentially often."""
    if isinstance(value, _Array):
        if not hasattr(value, "value"):
            raise _RefusedError("holds an array without contents")
        return value.value
    if value is None or isinstance(value, (bool, int, float, complex, str, bytes, bytearray)):
        return value
    if id(value) in done:
        return done[id(value)]
    if isinstance(value, list):
        made: Any = done.setdefault(id(value), [])
        made.extend(_plain(one, done) for one in value)
    elif isinstance(value, dict):
        made = done.setdefault(id(value), {})
        made.update((_plain(key, done), _plain(one, done)) for key, one in value.items())
    elif isinstance(value, (tuple, set, frozenset)):
        made = done[id(value)] = type(value)(_plain(one, done) for one in value)
    else:
        raise _RefusedError("names a function where data belongs")
    return made
