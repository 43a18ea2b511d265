"""The part of the editor in which somebody says what to do: the canvas with its tools, the mode with its fields, and the preview."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from dragonkit.jupyter.canvas.tool_row import ToolRow
from dragonkit.jupyter.canvas.view import CanvasView
from dragonkit.jupyter.marks.state import MarkState
from dragonkit.jupyter.panels.messages import Messages
from dragonkit.jupyter.panels.mode_panel import ModePanel
from dragonkit.jupyter.panels.picking import PickPanel
from dragonkit.jupyter.panels.posing import Posing
from dragonkit.jupyter.panels.stage import Stage
from dragonkit.jupyter.tools.catalogue import TOOLS
from dragonkit.jupyter.work.session import Session
from dragonkit.jupyter.work.timeline import Timeline

__all__ = ["Easel"]


class Easel:
    """Connects what is marked with what is shown.

    Args:
        session: the picture and the plugins.
        marks: what is marked to begin with.
        messages: told of errors, and of what goes on.

    Attributes:
        view, tools, stage, picks, modes: the parts.
    """

    def __init__(self, session: Session, marks: MarkState, messages: Messages) -> None:
        self._registry, self._messages, fail = session.registry, messages, messages.fail
        self.view = CanvasView(session.picture, marks)
        self.stage = Stage(self.view, session.picture, fail)
        selectors = list(self._registry.selectors().values())
        self.picks = PickPanel(self.view, selectors, lambda: session.picture, messages)
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
        self._timeline = Timeline(self.view, self._settings, self._set)
        self.modes.on_change(self._note)
        self.view.on_change(self._note)
        self.view.on_key(lambda keys: self._note())
        self.tools.size.observe(lambda change: self._note(), names="value")

    def start_again(self, mask: np.ndarray | None) -> None:
        """Nothing is asked for any more of what is selected, which is this mask, bool (H, W); None for what is selected already."""
        self.view.apply(lambda state: state.change(mask, boxes=(), drags=(), points=()))
        self.modes.rest()

    def _note(self) -> None:
        """What a hand does from press to release is one step."""
        if not self.view.tool.busy:
            self._timeline.note()

    def _settings(self) -> dict[str, Any]:
        """What undo takes back besides the marks."""
        return {"mode": self.modes.mode, "brush size": self.tools.size.value, **self.modes.form.values()}

    def _set(self, settings: Mapping[str, Any]) -> None:
        fields = {**settings}
        self.modes.mode, self.tools.size.value = fields.pop("mode"), fields.pop("brush size")
        self.modes.form.set(fields)

    def _marked(self) -> None:
        self.stage.set_source()  # marks belong to the picture, so whoever marks sees it
        if self.view.tool.name == "pick" and self.stage.lifted:
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
        grabs = tool.name == "pick" and tool.start is not None
        shift = tool.moved_before if grabs else (0.0, 0.0)
        if event == "up":
            self.stage.drop()
            self._note()
        elif grabs or (tool.name == "drag" and self.modes.moves_by_arrow):
            if not self.stage.lifted:
                self.stage.set_source()
                start_x, start_y = tool.start or (x, y)
                self.stage.lift(self.view.state.mask, start_x, start_y, shift)
            self.stage.carry(x, y)
