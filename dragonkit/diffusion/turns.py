"""Whose turn it is: one run at a time on a network, however many editors, backbones and threads share it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from torch.utils.weak import WeakIdKeyDictionary

__all__ = ["calls_on", "turn_on"]

POLL = 0.05
"""Seconds between two looks at whether somebody who waits would rather stop."""


@dataclass(eq=False)
class _Turn:
    network: object
    over: bool = False


_mine: ContextVar[tuple[_Turn, ...]] = ContextVar("turns", default=())
_made = threading.Lock()
_turns: WeakIdKeyDictionary = WeakIdKeyDictionary()
_calls: WeakIdKeyDictionary = WeakIdKeyDictionary()


@contextmanager
def turn_on(backbone: Any, waiting: Callable[[], Any] | None = None) -> Iterator[None]:
    """Within this block nobody else's thread inverts, generates or edits with this network; the same thread may take it again, and so
    may threads that work for it, in copies of its context.

    Args:
        backbone: whose network it is: its attribute `network`, which several backbones may share, or else the backbone itself.
        waiting: called twenty times a second while it is somebody else's turn; what it raises ends the waiting.
    """
    network = getattr(backbone, "network", backbone)
    if any(one.network is network and not one.over for one in _mine.get()):
        yield
        return
    lock, taken = _lock(_turns, network), False
    try:
        while not (taken := lock.acquire(timeout=POLL)):
            if waiting is not None:
                waiting()
        turn = _Turn(network)
        before = _mine.set((*_mine.get(), turn))
        try:
            yield
        finally:
            turn.over = True
            _mine.reset(before)
    finally:
        if taken:
            lock.release()


def calls_on(network: object) -> Any:
    """The lock for a single call, which puts hooks and processors on the network: a thread without a turn may make one, too."""
    return _lock(_calls, network)


def _lock(locks: WeakIdKeyDictionary, network: object) -> Any:
    with _made:
        return locks.setdefault(network, threading.RLock())
