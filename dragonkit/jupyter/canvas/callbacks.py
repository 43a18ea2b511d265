"""Callbacks whose errors do not vanish: a front end swallows what its callbacks raise, here it goes to whoever asked for errors."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

__all__ = ["Callbacks"]


class Callbacks:
    """Lists of callbacks by kind of event; the kind "error" takes the exceptions of all others."""

    def __init__(self) -> None:
        self._by_kind: dict[str, list[Callable[..., None]]] = {}

    def add(self, kind: str, callback: Callable[..., None]) -> None:
        self._by_kind.setdefault(kind, []).append(callback)

    def notify(self, kind: str, *values: Any) -> None:
        """Call all of a kind; one that fails does not keep the others from being called."""
        for callback in list(self._by_kind.get(kind, [])):
            self.guarded(callback)(*values)

    def guarded(self, function: Callable[..., None]) -> Callable[..., None]:
        """The function, except that what it raises goes to the error callbacks. Where there are none, it is raised as usual."""

        @wraps(function)
        def call(*values: Any) -> None:
            try:
                function(*values)
            except Exception as error:
                listeners = list(self._by_kind.get("error", []))
                if not listeners:
                    raise
                for listener in listeners:
                    listener(error)

        return call
