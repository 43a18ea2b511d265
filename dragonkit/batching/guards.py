"""What a batch holds while it runs: its folder, against other batches, and Ctrl-C, until jobs in hand are finished."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from dragonkit.errors import EditFileError

__all__ = ["LOCK", "interrupts_counted", "locked"]

LOCK = ".dragonkit-batch.lock"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """The folder is this batch's alone; the lock of a process that died holds nobody up."""
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise EditFileError(f"another batch is running into {str(folder)!r}; wait for it, or give another --out.") from None
    except OSError as error:
        raise EditFileError(f"results cannot be written to {str(folder)!r}: {error.strerror or error}. Choose another --out.") from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def interrupts_counted(tell: Callable[[], object] | None = None) -> Iterator[Callable[[], str]]:
    """The first Ctrl-C, or SIGTERM, is remembered, so that jobs in hand are finished; the second ends the run at once.

    Args:
        tell: called at the first, from the signal's handler.

    Yields what says "interrupted" or "terminated" after that, and "" before.
    """
    asked: list[int] = []

    def ask(number: int, _frame: Any) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)
        if tell is not None:
            tell()

    if threading.current_thread() is not threading.main_thread():
        yield lambda: ""
        return
    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: "" if not asked else "interrupted" if asked[0] == signal.SIGINT else "terminated"
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
