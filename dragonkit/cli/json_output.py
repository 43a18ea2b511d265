"""Strict JSON on stdout, and nothing else there, for programs that read it."""

from __future__ import annotations

import io
import json
import math
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, redirect_stdout, suppress
from typing import IO, Any

__all__ = ["only_json", "print_json"]

_stdout: IO[str] | None = None
"""Where JSON goes while everything else that is printed goes to stderr."""


@contextmanager
def only_json() -> Iterator[None]:
    """Within this block stdout belongs to `print_json`; what anybody else prints, plugins and their libraries too, goes to stderr."""
    global _stdout
    kept = _real_stdout()
    _stdout = kept or sys.stdout or io.StringIO()  # a closed stdout reads nothing
    try:
        with redirect_stdout(sys.stderr) if kept is None else nullcontext():
            yield
    finally:
        _stdout = None
        if kept is not None:
            with suppress(OSError):
                sys.stdout.flush()
            os.dup2(kept.fileno(), 1)
            with suppress(OSError):  # what could not be written has been told
                kept.close()


def print_json(value: Any, indent: int | None = None) -> None:
    """Print a value as JSON that every reader takes: in ASCII, with null for NaN and infinity."""
    out = _stdout or sys.stdout
    out.write(json.dumps(_plain(value), indent=indent, allow_nan=False) + "\n")
    out.flush()


def _real_stdout() -> IO[str] | None:
    """Stdout of this process by a new descriptor, with stderr in its place; None where it is something else, as in tests."""
    with suppress(AttributeError, OSError, io.UnsupportedOperation, ValueError):
        sys.stdout.flush()
        if sys.stdout.fileno() == 1:
            kept = os.dup(1)
            os.dup2(2, 1)
            return os.fdopen(kept, "w", encoding="ascii")
    return None


def _plain(value: Any) -> Any:
    if hasattr(value, "model_dump"):
        return _plain(value.model_dump(mode="json"))
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
