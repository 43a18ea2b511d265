"""One history over the marks, the mode, its fields and the tools' sizes: Ctrl+Z takes back what was done last, whatever it was."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from dragonkit.edits.values import same
from dragonkit.errors import EditError
from dragonkit.jupyter.canvas.view import CanvasView
from dragonkit.jupyter.marks.state import MarkState

__all__ = ["Timeline"]

TOGETHER = 1.0
"""Seconds within which further changes of the same setting, such as a slider's, are one."""
MOST = 500

Settings = Mapping[str, Any]


@dataclass(frozen=True)
class _Step:
    """Something that was done: so many steps of the marks' own history, and settings before and after."""

    marks: int
    before: Settings
    after: Settings
    when: float

    @property
    def touched(self) -> set[str]:
        return {name for name in self.before.keys() | self.after.keys() if not same(self.before.get(name), self.after.get(name))}


class Timeline:
    """Call `note` after anything may have changed.

    Args:
        view: whose marks are meant; its undo and redo become this one's.
        get: the settings now, by name. EditError while something that is being typed cannot be read.
        put: shows other ones.
    """

    def __init__(self, view: CanvasView, get: Callable[[], Settings], put: Callable[[Settings], None]) -> None:
        self._view, self._get, self._put = view, get, put
        self._done: list[_Step] = []
        self._undone: list[_Step] = []
        self._going = False
        self._version, self._settings = view.state.version, get()
        view.rewind, view.replay = self.undo, self.redo

    def note(self) -> None:
        """Whatever is different now is a step, and what was undone before it can no longer be redone."""
        if self._going:
            return
        try:
            settings = self._get()
        except EditError:  # half typed
            settings = self._settings
        step = _Step(self._view.state.version - self._version, self._settings, settings, time.monotonic())
        self._version, self._settings = self._view.state.version, settings
        if not step.marks and not step.touched:
            return
        last = self._done[-1] if self._done else None
        if last and not step.marks and not last.marks and step.touched == last.touched and step.when - last.when < TOGETHER:
            self._done[-1] = replace(step, before=last.before)
            if not self._done[-1].touched:  # there and back
                self._done.pop()
        else:
            self._done.append(step)
        self._undone.clear()
        del self._done[:-MOST]

    def undo(self) -> None:
        """Take the last step back; nothing happens when there is none."""
        self._go(self._done, self._undone, MarkState.undo, lambda step: step.before)

    def redo(self) -> None:
        """Do again what was undone last; nothing happens when there is none."""
        self._go(self._undone, self._done, MarkState.redo, lambda step: step.after)

    def _go(self, source: list[_Step], to: list[_Step], turn: Callable[[MarkState], Any], settings_of: Callable[[_Step], Settings]) -> None:
        if not source:
            return
        step, self._going = source.pop(), True
        try:
            for _ in range(step.marks):  # first: fields follow the marks, and not the other way round
                self._view.apply(turn)
            self._put(settings_of(step))
        finally:
            self._going = False
            to.append(step)
            self._version = self._view.state.version
            with suppress(EditError):
                self._settings = self._get()
