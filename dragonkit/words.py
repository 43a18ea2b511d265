"""Words for messages: a value in short, a place, a path, and the known word that was probably meant."""

from __future__ import annotations

import difflib
import os
from collections.abc import Sequence
from typing import Any

__all__ = ["closest", "first_line", "place", "quoted", "short"]


def closest(word: str, known: Sequence[str]) -> str:
    """' Did you mean 'x'?' for the known word most like `word`, or nothing.

    Example:
        >>> closest("shfit", ["mask", "shift"])
        " Did you mean 'shift'?"
    """
    matches = difflib.get_close_matches(word, known, n=1, cutoff=0.65)  # at the usual 0.6 "erase" is taken for "paste"
    return f" Did you mean {matches[0]!r}?" if matches else ""


def short(value: object) -> str:
    """A value in at most 80 characters; arrays and tensors by shape."""
    if hasattr(value, "shape"):
        return f"{type(value).__name__} of shape {tuple(value.shape)}"
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:60]}... ({len(text)} characters)"


def quoted(path: Any) -> str:
    """A path in quotes, whatever bytes are in it; the middle of one that is longer than any disk allows is left out."""
    text = repr(os.fsdecode(path))
    return text if len(text) <= 500 else f"{text[:60]}...{text[-60:]} ({len(text)} characters)"


def place(point: Any) -> str:
    """A position, a sequence or array (x, y), with four digits each."""
    return f"({point[0]:.4g}, {point[1]:.4g})"


def first_line(error: BaseException) -> str:
    """An error's first line without its full stop, at most 200 characters of it; its class where it says nothing."""
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return (line if len(line) <= 200 else f"{line[:200]}...").rstrip(".")
