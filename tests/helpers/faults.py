"""What goes wrong while files are written: a disk that is full after so many bytes, Ctrl-C, a folder's state before and after."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest


@contextmanager
def full_after(size: int) -> Iterator[None]:
    """No file grows beyond `size` bytes, by the system's own hand: the write that would fails as on a full disk, part of it done."""
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def interrupt(monkeypatch: pytest.MonkeyPatch, where: str, error: BaseException | None = None) -> None:
    """From now on `os.fsync`, `os.link` or `Path.replace` is where Ctrl-C, or another error, comes."""

    def come(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt if error is None else error

    owner, name = (Path, "replace") if where == "replace" else (os, where)
    monkeypatch.setattr(owner, name, come)


def state(folder: Path) -> dict[str, bytes | None]:
    """All there is in a folder, hidden files too, by relative path; None for folders."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}
