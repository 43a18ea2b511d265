"""Data comes out of a pickle as it went in, and of a hostile one nothing is run."""

from __future__ import annotations

import os
import pickle
import pickletools
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from dragonkit.bench.drags import unpickling
from dragonkit.bench.drags.unpickling import load_plain
from dragonkit.errors import EditFileError

NUMBERS = st.one_of(npst.boolean_dtypes(), npst.integer_dtypes(), npst.unsigned_integer_dtypes(), npst.floating_dtypes(sizes=(16, 32, 64)))
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
PROTOCOLS = st.integers(0, pickle.HIGHEST_PROTOCOL)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pickles") / "meta_data.pkl"


def loaded(place: Path, data: bytes) -> Any:
    place.write_bytes(data)
    return load_plain(place)


def refused(place: Path, data: bytes) -> str:
    """The one sentence, without the file's name."""
    with pytest.raises(EditFileError) as caught:
        loaded(place, data)
    text = str(caught.value)
    assert "\n" not in text and len(text) < 600 and "nothing of it was run" in text
    return text.removeprefix(repr(str(place))).strip()


@given(npst.arrays(NUMBERS, npst.array_shapes(min_dims=0, min_side=0, max_side=4)), st.booleans(), PROTOCOLS)
def test_arrays(place: Path, array: np.ndarray, fortran: bool, protocol: int) -> None:
    array = np.asfortranarray(array) if fortran else array
    back = loaded(place, pickle.dumps({"mask": array}, protocol))["mask"]
    assert (back.dtype, back.shape) == (array.dtype, array.shape)
    assert back.tobytes() == array.tobytes()


@given(PLAIN, PROTOCOLS)
def test_plain_data(place: Path, data: Any, protocol: int) -> None:
    assert loaded(place, pickle.dumps(data, protocol)) == data


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_scalars_become_numbers(place: Path, protocol: int) -> None:
    points = [[np.int64(3), np.float32(2.5)], [np.bool_(True), np.uint8(7)]]
    back = loaded(place, pickle.dumps(points, protocol))
    assert back == [[3, 2.5], [True, 7]] and [type(part) for pair in back for part in pair] == [int, float, bool, int]


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_pickles_of_numpy_1(place: Path, protocol: int) -> None:
    """It called its parts numpy.core; names carry their length since protocol 4, and frames count bytes."""
    mask = np.arange(6, dtype=np.uint8).reshape(2, 3)
    data = pickle.dumps({"mask": mask, "x": np.int64(3)}, protocol)
    if protocol >= 4:
        assert data[2:3] == pickle.FRAME
        data = data[:2] + data[11:]
        for part in (b"multiarray", b"numeric"):
            new, old = b"numpy._core." + part, b"numpy.core." + part
            data = data.replace(bytes([len(new)]) + new, bytes([len(old)]) + old)
    else:
        data = data.replace(b"numpy._core", b"numpy.core")
    assert b"numpy.core" in data and b"_core" not in data
    back = loaded(place, data)
    assert np.array_equal(back["mask"], mask) and back["x"] == 3


def test_one_list_in_two_places_and_in_itself(place: Path) -> None:
    shared: list[Any] = [1]
    shared.append(shared)
    back = loaded(place, pickle.dumps((shared, shared)))
    assert back[0] is back[1] and back[0][1] is back[0]


class _Runs:
    def __init__(self, function: Any, *args: Any):
        self.call = function, args

    def __reduce__(self) -> Any:
        return self.call


class _OwnArray(np.ndarray):
    pass


class _Plugin:
    def __setstate__(self, state: Any) -> None:
        raise AssertionError("code of the plugin was run")


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_nothing_is_run(place: Path, protocol: int) -> None:
    marker = place.with_name("was-run")
    command = f"touch {marker}"
    plugin = _Plugin()
    plugin.__dict__["x"] = 1
    for hostile, named in (
        (_Runs(os.system, command), f"{os.system.__module__}.system"),
        (_Runs(eval, "1 + 1"), "eval"),
        (_Runs(open, str(marker), "w"), "open"),
        (_Runs(getattr, "x", "upper"), "getattr"),
        (plugin, "_Plugin"),
        (np.zeros(3).view(_OwnArray), "_OwnArray"),
        (Path("x"), "pathlib"),
        (range(3), "range"),
    ):
        text = refused(place, pickle.dumps({"prompt": "a fish", "mask": hostile}, protocol))
        assert text.startswith("wants to load '") and named in text and "neither a numpy array nor plain data" in text
    assert not marker.exists()


def test_a_module_is_not_even_imported(place: Path) -> None:
    sys.modules.pop("this", None)
    assert "'this.s'" in refused(place, b"cthis\ns\n.")
    assert "this" not in sys.modules


@pytest.mark.parametrize(
    "array, kind",
    [
        (np.array([1, "a", None], object), "Python objects"),
        (np.zeros(2, [("x", "i4"), ("y", "O")]), "something else"),
        (np.array(["a"]), "something else"),
        (np.array([1j]), "something else"),
        (np.array(["2020-01-01"], "datetime64[D]"), "something else"),
    ],
)
@pytest.mark.parametrize("protocol", [2, 5])
def test_arrays_of_other_things(place: Path, array: np.ndarray, kind: str, protocol: int) -> None:
    assert refused(place, pickle.dumps(array, protocol)).startswith(f"holds an array of {kind}")


def nested(depth: int) -> bytes:
    return b"\x80\x04" + b"]" * depth + b"a" * (depth - 1) + b"."


def doubling(levels: int) -> bytes:
    """Lists of the same list twice: a few bytes name one number 2 ** levels times."""
    data = pickle.EMPTY_LIST + b"q\x00"
    for level in range(levels):
        data += b"]q" + bytes([level + 1]) + b"(" + 2 * (b"h" + bytes([level])) + b"e"
    return b"\x80\x02" + data + b"."


@pytest.mark.parametrize(
    "data, words",
    [
        (b"", "is empty"),
        (b"hello", "is no complete pickle"),
        (pickle.dumps({"mask": np.zeros((20, 20))})[:-50], "is no complete pickle"),
        (nested(100_000), "is nested too deeply"),
        (b"\x80\x05\x96" + (1 << 40).to_bytes(8, "little") + b".", "is no complete pickle"),  # "a bytearray of a terabyte follows"
        (b"P1\n.", "from outside of the file"),
        (b"cnumpy\nndarray\n.", "names a function"),
        (b"cnumpy\nndarray\n(K\x05tR.", "an array of nothing"),
        (b"cnumpy\ndtype\n}S'x'\nI1\nsb.", "wants to change a function"),
        (b"cnumpy._core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR.", "without contents"),
        (b"cnumpy._core.multiarray\nscalar\n(S'f8'\nS'x'\ntR.", "without a type"),
    ],
)
def test_broken_and_crafted_files(place: Path, data: bytes, words: str) -> None:
    assert words in refused(place, data)


def test_a_shape_that_its_bytes_do_not_fill(place: Path) -> None:
    data = pickle.dumps(np.zeros((7, 9), np.uint8), 4)
    assert data.count(b"K\x07K\x09") == 1
    assert "does not fit its 63 bytes" in refused(place, data.replace(b"K\x07K\x09", b"K\xffK\xff"))


def test_a_small_file_that_names_much_stays_small(place: Path) -> None:
    data = loaded(place, doubling(60))
    for _ in range(59):
        assert data[0] is data[1]
        data = data[0]


@pytest.mark.parametrize("use", [b"}%sNs.", b"}(%sNu.", b"(%sNd.", b"\x8f(%s\x90.", b"(%s\x91."])
def test_a_key_that_takes_for_ever(place: Path, use: bytes) -> None:
    """Tuples of the same tuple twice: to hash one of 60 levels would take years."""
    key = b")q\x00" + b"".join(b"0h" + bytes([level]) + b"h" + bytes([level]) + b"\x86q" + bytes([level + 1]) for level in range(60))
    assert "a key that is neither text nor a number" in refused(place, b"\x80\x04" + use % key)


@given(
    st.sets(st.integers() | st.text()), st.dictionaries(st.integers() | st.floats(allow_nan=False) | st.none() | st.binary(), st.integers())
)
def test_simple_keys(place: Path, members: set[Any], data: dict[Any, int]) -> None:
    back = loaded(place, pickle.dumps((members, frozenset(members), data)))
    assert back == (members, frozenset(members), data)


def test_the_memory_is_not_filled_with_copies(place: Path) -> None:
    """Protocol 2 writes bytes as text to be encoded; a pickle may ask for the same text again and again."""
    text = pickle.dumps("x" * 1000, 2)[2:-1] + b"q\x01"
    again = b"c_codecs\nencode\nh\x01\x85R"
    assert "fill the memory" in refused(place, b"\x80\x02(" + text + again * 100 + b"l.")
    assert loaded(place, b"\x80\x02(" + text + again + b"l.")[1] == b"x" * 1000


def test_the_next_file_is_read_as_ever(place: Path) -> None:
    refused(place, b"cnumpy\ndtype\n}S'__defaults__'\n(I1\ntsb.")
    mask = np.eye(3, dtype=bool)
    assert np.array_equal(loaded(place, pickle.dumps(mask)), mask)


def test_files_that_are_not_there_or_too_large(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EditFileError, match="cannot be read: No such file"):
        load_plain(place.with_name("nowhere.pkl"))
    with pytest.raises(EditFileError, match="cannot be read: Is a directory"):
        load_plain(place.parent)
    monkeypatch.setattr(unpickling, "MAX_BYTES", 3)
    place.write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(EditFileError, match="bytes, more than the 3"):
        load_plain(place)


@given(st.lists(st.sampled_from([opcode.code.encode("latin1") for opcode in pickletools.opcodes] + [b"numpy\n", b"\x01", b"ndarray\n"])))
def test_nonsense_is_refused_or_data(place: Path, parts: list[bytes]) -> None:
    try:
        loaded(place, b"".join(parts) + b".")
    except EditFileError as error:
        assert str(place) in str(error)
