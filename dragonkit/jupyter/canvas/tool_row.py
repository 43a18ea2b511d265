"""Buttons for all that a canvas' tools can do: what a key or the mouse does can be clicked as well."""

from __future__ import annotations

import html
from collections.abc import Callable
from functools import partial
from typing import Any

import ipywidgets as W

from dragonkit.jupyter.canvas.colors import COLORS
from dragonkit.jupyter.canvas.view import CanvasView
from dragonkit.jupyter.canvas.viewport import Zoom
from dragonkit.jupyter.elements import Choice, button, row
from dragonkit.jupyter.marks.state import MarkState
from dragonkit.jupyter.tools.catalogue import TOOLS

__all__ = ["ToolRow"]

_HELP = {
    "brush": "paint the mask (b); [ and ] change the size",
    "eraser": "take away from the mask (e)",
    "lasso": "add what you circle to the mask (l)",
    "polygon": "click corners; click the first one again, or Enter, to add the polygon to the mask (p)",
    "box": "add a box to the mask (r)",
    "drag": "draw an arrow to where something shall be; click to hold a place, or an arrow's end to change it (d)",
    "pick": "click an object, then drag it, its corners or its knob (k); Escape goes on to another object",
}
_ICONS = {
    "brush": "paint-brush", "eraser": "eraser", "lasso": "circle-notch", "polygon": "draw-polygon", "box": "vector-square",
    "drag": "location-arrow", "pick": "hand-pointer",
}  # fmt: skip
_ZOOMS: dict[str, Zoom] = {"fit": "fit", "100 %": 1, "200 %": 2}


class ToolRow:
    """Tools, undo, redo, clear, invert; the brush's size, the mask's opacity, the zoom.

    Args:
        view: what the tools work on.
        fail: told of errors.
        tools: which ones are offered.
        picking: shown while the tool "pick" is in hand; it belongs below the canvas, as `help` does.

    Attributes:
        help: says what the tool in hand does. It belongs below the canvas, which would move under the hand when a sentence takes two lines.
        picking: as given.
    """

    def __init__(
        self,
        view: CanvasView,
        fail: Callable[[Exception], Any],
        tools: tuple[str, ...] = tuple(TOOLS),
        picking: W.Widget | None = None,
    ) -> None:
        self._view, self._fail, self.picking = view, fail, picking or W.VBox()
        self.tools = W.ToggleButtons(
            options=tools,
            value=view.tool.name,
            tooltips=[_HELP.get(name, name) for name in tools],
            icons=[_ICONS.get(name, "pen") for name in tools],
        )
        self.tools.style.button_width = "auto"
        self.help = W.HTML().add_class("dk-help")
        self.size = W.IntSlider(value=1, min=1, max=8, description="brush size", tooltip="diameter in pixels of the picture")
        self._fitted = (0, 0)
        self.opacity = W.FloatSlider(
            value=view.opacity, min=0, max=1, step=0.05, description="mask opacity", tooltip="0 shows the outline only"
        )
        self.size.style.description_width = self.opacity.style.description_width = "initial"  # else the longer one is cut
        self.color = Choice(options=["auto", *COLORS], description="colour", tooltip="of the mask; auto stands out from what is marked")
        self.size.layout.width = self.opacity.layout.width = "18.5em"
        self.color.layout.width, self.color.style.description_width = "auto", "initial"
        view.front.explain({self.color.description: self.color.tooltip})
        self.zoom = W.ToggleButtons(
            options=list(_ZOOMS),
            tooltips=["show all of the picture", "pixel by pixel", "twice as large"],
            icons=["expand", "search", "search-plus"],
        )
        self.zoom.style.button_width = "auto"
        actions: dict[str, tuple[str, str, Callable[[], Any]]] = {
            "undo": ("undo", "take the last change back (Ctrl+Z)", view.undo),
            "redo": ("redo", "do it again (Ctrl+Shift+Z)", view.redo),
            "clear": ("trash", "remove mask, arrows and clicks", partial(view.apply, MarkState.clear)),
            "invert": ("adjust", "what was outside the mask is inside", partial(view.apply, MarkState.invert)),
        }
        self.actions = {name: button(name, words, self._guarded(act), icon=icon) for name, (icon, words, act) in actions.items()}
        self.widget = W.VBox([self.tools, row(*self.actions.values(), self.zoom), row(self.size, self.opacity, self.color)])
        for part, act in (
            (self.tools, self.take),
            (self.size, self._resize),
            (self.opacity, self._fade),
            (self.color, self._recolor),
            (self.zoom, self._zoom),
        ):
            part.observe(lambda change, act=act: self._guarded(act, change["new"])(), names="value")
        view.on_key(lambda keys: self._follow())
        view.on_zoom(self._follow_zoom)
        self.fit()
        self._follow()

    def fit(self) -> None:
        """The brush suits the size of the picture, which may be another one than before."""
        if self._fitted != (size := self._view.state.size):
            self._fitted = size
            self.size.max = max(8, max(size) // 2)
            self.size.value = max(1, round(max(size) / 16))
            self._resize(self.size.value)

    def take(self, name: str) -> None:
        """Take a tool in hand. EditError when there is none of that name."""
        if self._view.tool.name != name:
            self._view.set_tool(name)
        self._follow()

    def _follow(self) -> None:
        """Show what the view has: keys change tools and sizes as well."""
        tool = self._view.tool
        if tool.name in self.tools.options:
            self.tools.value = tool.name
        if hasattr(tool, "size"):
            self.size.value = round(tool.size)
        # on a touch screen there are no tooltips, and which button is pressed is said to eyes only
        self.help.value = f'<span role="status">{html.escape(f"{tool.name}: {_HELP.get(tool.name, tool.name)}")}</span>'
        self.picking.layout.display = "" if tool.name == "pick" else "none"

    def _zoom(self, name: str | None) -> None:
        if name is not None and self._view.viewport.zoom != _ZOOMS[name]:
            self._view.set_zoom(_ZOOMS[name])

    def _follow_zoom(self) -> None:
        zoom = self._view.viewport.zoom
        self.zoom.value = next((name for name, known in _ZOOMS.items() if known == zoom), None)

    def _resize(self, size: int) -> None:
        for name in ("brush", "eraser"):
            self._view.tools[name].size = size  # type: ignore[attr-defined]

    def _fade(self, opacity: float) -> None:
        self._view.opacity = opacity

    def _recolor(self, color: str) -> None:
        self._view.color = None if color == "auto" else color

    def _guarded(self, action: Callable[..., Any], *values: Any) -> Callable[[], None]:
        """A front end swallows what its callbacks raise; here it is told."""

        def call() -> None:
            try:
                action(*values)
            except Exception as error:
                self._fail(error)

        return call
