"""One history over picture, marks, mode, fields and the tools' sizes: Ctrl+Z takes back what was done last, whatever it was."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from dragonkit.edits.values import same
from dragonkit.errors import EditError
from dragonkit.jupyter.canvas.layers import drawing
from dragonkit.jupyter.canvas.view import CanvasView
from dragonkit.jupyter.marks.state import MarkState
from dragonkit.jupyter.work.subject import Subject

__all__ = ["Timeline"]

TOGETHER = 1.0
"""Seconds within which further changes of the same setting, such as a slider's, are one."""
MOST = 500

Settings = Mapping[str, Any]


@dataclass(frozen=True)
class _Moment:
    """How everything stands but the marks, which have a history of their own."""

    subject: Subject
    settings: Settings


@dataclass(frozen=True)
class _Step:
    """Something that was done: so many steps of the marks' own history, and the rest before and after."""

    marks: int
    before: _Moment
    after: _Moment
    when: float

    @property
    def touched(self) -> set[str]:
        before, after = self.before.settings, self.after.settings
        names = {name for name in before.keys() | after.keys() if not same(before.get(name), after.get(name))}
        return names if self.before.subject == self.after.subject else names | {"subject"}


class Timeline:
    """Call `note` after anything may have changed.

    Args:
        view: whose marks are meant; its undo and redo become this one's.
        get: the settings now, by name. EditError while something that is being typed cannot be read.
        put: shows other ones.
        subject: what is being edited now; its marks are the view's.
        lay: goes on with another subject.
    """

    def __init__(
        self,
        view: CanvasView,
        get: Callable[[], Settings],
        put: Callable[[Settings], None],
        subject: Callable[[], Subject],
        lay: Callable[[Subject], None],
    ) -> None:
        self._view, self._get, self._put, self._subject, self._lay = view, get, put, subject, lay
        self._done: list[_Step] = []
        self._undone: list[_Step] = []
        self._going = self._late = False
        self._version, self._now = view.state.version, _Moment(subject(), get())
        view.rewind, view.replay = self.undo, self.redo

    @contextmanager
    def together(self) -> Iterator[None]:
        """All that is done within is one step, and nothing of it is undone before it is over."""
        with drawing:
            before, self._going = self._going, True
            try:
                yield
            finally:
                self._going = before
            self.note()

    @contextmanager
    def late(self) -> Iterator[None]:
        """What changes of the marks within comes of what was marked last, such as the mask of a click, and is undone with it."""
        with drawing:
            self._late = True
            try:
                yield
            finally:
                self._late = False

    def note(self) -> None:
        """Whatever is different now is a step, and what was undone before it can no longer be redone."""
        with drawing:
            if not self._going:
                self._note()

    def _note(self) -> None:
        now = self._moment()
        same_marks = now.subject.marks is self._now.subject.marks
        step = _Step(now.subject.marks.version - self._version if same_marks else 0, self._now, now, time.monotonic())
        self._version, self._now = now.subject.marks.version, now
        if not step.marks and not step.touched:
            return
        last = self._done[-1] if self._done else None
        alone = step.marks or "subject" in step.touched
        if self._late and last and last.marks and last.after.subject is step.before.subject:
            self._done[-1] = replace(step, marks=last.marks + step.marks, before=last.before)
        elif last and not alone and not last.marks and step.touched == last.touched and step.when - last.when < TOGETHER:
            self._done[-1] = replace(step, before=last.before)
            if not self._done[-1].touched:  # there and back
                self._done.pop()
        else:
            self._done.append(step)
        self._undone.clear()
        del self._done[:-MOST]

    def undo(self) -> None:
        """Take the last step back; nothing happens when there is none."""
        with drawing:
            self._go(self._done, self._undone, MarkState.undo, lambda step: (step.after, step.before))

    def redo(self) -> None:
        """Do again what was undone last; nothing happens when there is none."""
        with drawing:
            self._go(self._undone, self._done, MarkState.redo, lambda step: (step.before, step.after))

    @property
    def subjects(self) -> list[Subject]:
        """All that undo and redo may lead to, and what is there now."""
        moments = [moment for step in (*self._done, *self._undone) for moment in (step.before, step.after)]
        return list({id(moment.subject): moment.subject for moment in (*moments, self._now)}.values())

    def _moment(self) -> _Moment:
        try:
            return _Moment(self._subject(), self._get())
        except EditError:  # half typed
            return _Moment(self._subject(), self._now.settings)

    def _go(
        self,
        source: list[_Step],
        to: list[_Step],
        turn: Callable[[MarkState], Any],
        way: Callable[[_Step], tuple[_Moment, _Moment]],
    ) -> None:
        if not source:
            return
        step, self._going = source.pop(), True
        start, end = way(step)
        try:
            for _ in range(step.marks):  # first: fields follow the marks, and not the other way round
                self._view.apply(turn)
            if start.subject != end.subject:
                self._lay(end.subject)
            self._put(end.settings)
        finally:
            self._going = False
            to.append(step)
            self._version = self._view.state.version
            self._now = self._moment()
