"""Work of which only the newest counts, on one thread: previews and selections, for which a hand does not wait."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

__all__ = ["Latest"]

Work = Callable[[Callable[[], bool]], Any]
"""Called with a function that tells whether the outcome is still wanted."""


class Latest:
    """Does one piece of work at a time; what comes meanwhile replaces what waits.

    Args:
        fail: told of errors, on the thread of the work.
    """

    def __init__(self, fail: Callable[[Exception], Any]) -> None:
        self._fail = fail
        self._lock, self._idle = threading.Lock(), threading.Event()
        self._waiting: Work | None = None
        self._newest = 0
        self._afterwards = list[Callable[[], Any]]()
        self._idle.set()

    def do(self, work: Work) -> None:
        """Begin it as soon as the last one is over, and return at once."""
        with self._lock:
            self._newest += 1
            self._waiting = work
            if self._idle.is_set():
                self._idle.clear()
                threading.Thread(target=self._run, name="dragonkit-latest", daemon=True).start()

    def then(self, action: Callable[[], Any]) -> None:
        """Do this once all is done: at once where it is, else on the thread of the work."""
        with self._lock:
            if not self._idle.is_set():
                self._afterwards.append(action)
                return
        action()

    def forget(self) -> None:
        """Nothing is wanted any more, of what waits and of what is being done."""
        with self._lock:
            self._newest += 1
            self._waiting = None

    def wait(self, timeout: float | None = None) -> bool:
        """Whether all is done within `timeout` seconds."""
        return self._idle.wait(timeout)

    def _run(self) -> None:
        while True:
            with self._lock:
                work, number, self._waiting = self._waiting, self._newest, None
                afterwards, self._afterwards = ([], self._afterwards) if work is not None else (self._afterwards, [])
                if work is None and not afterwards:
                    self._idle.set()
                    return
            todo = afterwards if work is None else [partial(work, lambda number=number: number == self._newest)]  # type: ignore[misc]
            for one in todo:
                try:
                    one()
                except Exception as error:
                    self._fail(error)
