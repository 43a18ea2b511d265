"""The kernel's interrupt while no cell runs: Jupyter ignores it then, though a thread of ours may be at work."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["interrupting"]


@contextmanager
def interrupting(stop: Callable[[], Any]) -> Iterator[None]:
    """Within this block an interrupt of an idle kernel calls `stop`; one of a cell is the cell's, as ever. Any thread may use it."""
    loop = _loop_of_the_kernel()
    if loop is None:
        yield
        return
    before: list[Any] = []

    def take() -> None:
        before.append(signal.signal(signal.SIGINT, lambda number, frame: stop()))

    def give_back() -> None:
        if before:
            signal.signal(signal.SIGINT, before.pop())

    # only the main thread may, and the kernel sets handlers of its own round whatever it is doing just now
    loop.add_callback(take)
    try:
        yield
    finally:
        loop.add_callback(give_back)


def _loop_of_the_kernel() -> Any:
    """The kernel's event loop, which is its main thread's; None where there is no kernel."""
    try:
        from IPython.core.getipython import get_ipython
    except ImportError:
        return None
    return getattr(getattr(get_ipython(), "kernel", None), "io_loop", None)
