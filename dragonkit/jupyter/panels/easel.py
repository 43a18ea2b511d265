"""The part of the editor in which somebody says what to do: the canvas with its tools, the mode with its fields, and the preview."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dragonkit.jupyter.canvas.tool_row import ToolRow
from dragonkit.jupyter.canvas.view import CanvasView
from dragonkit.jupyter.panels.messages import Messages
from dragonkit.jupyter.panels.mode_panel import ModePanel
from dragonkit.jupyter.panels.picking import PickPanel
from dragonkit.jupyter.panels.posing import Posing
from dragonkit.jupyter.panels.stage import Stage
from dragonkit.jupyter.tools.catalogue import TOOLS
from dragonkit.jupyter.work.session import Session
from dragonkit.jupyter.work.subject import Subject
from dragonkit.jupyter.work.timeline import Timeline

__all__ = ["Easel"]


class Easel:
    """Connects what is marked with what is shown.

    Args:
        session: the plugins, and what works on the picture.
        subject: what is edited to begin with.
        messages: told of errors, and of what goes on.

    Attributes:
        subject: what is being edited; `lay` goes on with another one.
        view, tools, stage, picks, modes, timeline: the parts.
    """

    def __init__(self, session: Session, subject: Subject, messages: Messages) -> None:
        self._session, self._registry, self._messages, fail = session, session.registry, messages, messages.fail
        self.subject, self._laid = subject, list[Callable[[Subject], Any]]()
        self._carries = False  # the hand moves what was picked
        self.view = CanvasView(session.picture, subject.marks)
        self.stage = Stage(self.view, session.picture, fail)
        selectors = list(self._registry.selectors().values())
        self.picks = PickPanel(self.view, selectors, lambda: session.picture, messages, lambda: self.timeline.late())
        offered = tuple(name for name in TOOLS if name != "pick" or self.picks.offered)
        if self.picks.offered:
            self.view.set_tool("pick")  # click it, drag it, Run
        self.tools = ToolRow(self.view, fail, offered, self.picks.widget)
        self.modes = ModePanel(self._registry, self.view, lambda: session.picture, fail, messages.hint)
        self._posing = Posing(self.view, self.modes)
        self.modes.on_change(self._preview)
        self.view.on_error(fail)
        self.view.on_change(self._marked)
        self.view.on_pointer(self._pointed)
        self.timeline = Timeline(self.view, self._settings, self._set, lambda: self.subject, self.lay)
        self.modes.on_change(self._note)
        self.view.on_change(self._note)
        self.view.on_key(lambda keys: self._note())
        self.tools.size.observe(lambda change: self._note(), names="value")

    def lay(self, subject: Subject) -> None:
        """Go on with another subject; a step for undo, unless it is a part of one."""
        before, self.subject = self.subject, subject
        with self.timeline.together():
            self._session.photo, self._session.prompt, self._session.settings = subject.photo, subject.prompt, subject.settings
            if subject.photo is not before.photo or subject.marks is not before.marks:
                self.stage.set_picture(subject.photo.picture, subject.marks)
                self.tools.fit()
            self.modes.marks_changed()  # first, or fields that are still those of the marks before would change these
            if subject.photo is not before.photo:
                self.picks.forget()
                self.modes.forget_regions()
            for callback in self._laid:
                callback(before)

    def on_laid(self, callback: Callable[[Subject], Any]) -> None:
        """Called with the subject before, whenever there is another one."""
        self._laid.append(callback)

    def _note(self) -> None:
        """What a hand does from press to release is one step."""
        if not self.view.tool.busy:
            self.timeline.note()

    def _settings(self) -> dict[str, Any]:
        """What undo takes back besides the marks."""
        return {"mode": self.modes.mode, "brush size": self.tools.size.value, **self.modes.form.values()}

    def _set(self, settings: Mapping[str, Any]) -> None:
        fields = {**settings}
        self.modes.mode, self.tools.size.value = fields.pop("mode"), fields.pop("brush size")
        self.modes.form.set(fields)

    def _marked(self) -> None:
        self.stage.set_source()  # marks belong to the picture, so whoever marks sees it
        if self._carries:
            self.modes.move_by_arrow()
        self.modes.marks_changed()

    def _preview(self) -> None:
        self._messages.forget("asked")
        self.stage.set_source()
        self._posing.show(edit := self.modes.edit_or_none())
        self.stage.preview(self._registry, edit)
        self.view.refresh()

    def _pointed(self, event: str, x: float, y: float) -> None:
        """While an arrow is drawn that moves something, this follows the pointer."""
        tool: Any = self.view.tool
        grabs = self._carries = tool.name == "pick" and tool.start is not None
        shift = tool.moved_before if grabs else (0.0, 0.0)
        if event == "up":
            self.stage.drop()
            self._note()
        elif grabs or (tool.name == "drag" and self.modes.moves_by_arrow):
            if not self.stage.lifted and not (grabs and self.picks.selecting):
                self.stage.set_source()
                start_x, start_y = tool.start or (x, y)
                self.stage.lift(self.view.state.mask, start_x, start_y, shift)
            self.stage.carry(x, y)
