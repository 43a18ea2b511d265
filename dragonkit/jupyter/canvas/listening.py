"""What the browser tells of pointer, fingers, wheel and keys becomes what a tool is told, in pixels of the picture."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from dragonkit.imaging.strokes import Point
from dragonkit.jupyter.canvas.callbacks import Callbacks
from dragonkit.jupyter.canvas.fingers import Fingers
from dragonkit.jupyter.canvas.keys import ACTIONS, PUSHES, chord
from dragonkit.jupyter.canvas.layers import REACH

if TYPE_CHECKING:
    from dragonkit.jupyter.canvas.view import CanvasView

__all__ = ["Listening"]

_FINGERS_REACH = 24.0  # how near counts as on a point, in canvas pixels
_FINEST = 2  # pixels of the screen for one of the canvas: more would be sent for nothing that an eye can see
_PLACES = ("x", "y", "dx", "dy")


class Listening:
    """Hands the events of a canvas to the tool that the view has in hand.

    Args:
        view: whose tool and marks are meant.
        callbacks: of the view; what fails here goes to its "error".
    """

    def __init__(self, view: CanvasView, callbacks: Callbacks) -> None:
        self._view, self._callbacks = view, callbacks
        self._pressed = self._sliding = False

    def begin(self) -> None:
        """Listen to the view's widget."""
        guarded, widget, view = self._callbacks.guarded, self._view.widget, self._view
        for event, name in {"down": "down", "move": "move", "up": "up", "out": "leave"}.items():
            getattr(widget, f"on_mouse_{event}")(guarded(lambda x, y, name=name: self._point(name, *self._there(x, y))))
        fingers = Fingers(partial(self._point, reach=_FINGERS_REACH), view.pan)
        for event, handle in {"start": fingers.start, "move": fingers.move, "end": fingers.end, "cancel": fingers.stop}.items():
            getattr(widget, f"on_touch_{event}")(guarded(lambda touches, handle=handle: handle([self._there(*touch) for touch in touches])))
        widget.on_mouse_wheel(guarded(lambda dx, dy: view.pan(-dx, -dy)))
        widget.on_key_down(guarded(self._key))
        widget.on_client_ready(guarded(view.redraw))

    def from_front(self, action: str, values: dict[str, float]) -> None:
        """What `Front` is told."""
        values = {name: value / self._view.viewport.fine if name in _PLACES else value for name, value in values.items()}
        if action == "pan":
            self._view.pan(values["dx"], values["dy"])
        elif action == "zoom":
            self._view.zoom_at(values["x"], values["y"], values["by"])
        elif action == "screen":
            self._view.set_fine(_FINEST if values["ratio"] > 1 else 1)
        elif action == "slid":  # the browser has pushed the line by itself
            try:
                self._callbacks.notify("slide", self._view.comparison.share_at(self._view.viewport, values["x"]))
            finally:
                self._view.front.lift()
        elif action == "copied":
            self._callbacks.notify("copied", bool(values["done"]))
        elif action in ("move", "up") and (self._pressed or self._sliding):  # beside the canvas: a stroke goes on there
            self._point(action, values["x"], values["y"])
            if action == "up":
                self._point("leave", values["x"], values["y"])

    def _there(self, x: float, y: float) -> Point:
        """Where a pixel of the screen's is on the canvas."""
        fine = self._view.viewport.fine
        return x / fine, y / fine

    def _point(self, event: str, canvas_x: float, canvas_y: float, reach: float = REACH) -> None:
        view = self._view
        if self._slides(event, canvas_x, reach):
            return
        view.tool.reach = reach / view.viewport.scale
        x, y = view.viewport.to_image(canvas_x, canvas_y)
        before, self._pressed = self._pressed, event == "down" or (event == "move" and self._pressed)
        try:
            view.apply(lambda state: view.tool.cancel() if event == "cancel" else getattr(view.tool, event)(state, x, y))
        finally:
            if before or self._pressed:
                self._callbacks.notify("pointer", event if event in ("down", "move") else "up", x, y)
            elif event in ("move", "leave"):
                self._callbacks.notify("hover", x, y, event == "move")
            if not self._pressed:
                on_line = view.comparison.shown and abs(canvas_x - view.comparison.line(view.viewport)) <= reach
                view.front.cursor = "ew-resize" if on_line else view.tool.cursor_at(view.state, x, y)

    def _slides(self, event: str, x: float, reach: float) -> bool:
        """Whether the pointer has the line between before and after."""
        comparison, viewport = self._view.comparison, self._view.viewport
        if event == "down":
            self._sliding = comparison.shown and abs(x - comparison.line(viewport)) <= reach
        slides = self._sliding
        if slides and event in ("down", "move", "up"):
            self._callbacks.notify("slide", comparison.share_at(viewport, x))
        if event not in ("down", "move"):
            self._sliding = False
        return slides

    def _key(self, key: str, shift: bool, ctrl: bool, meta: bool) -> None:
        view, keys = self._view, chord(key, shift, ctrl, meta)
        named = [tool.name for tool in view.tools.values() if tool.shortcut == keys]
        if keys in ACTIONS:
            getattr(view, ACTIONS[keys])()
        elif keys in PUSHES and view.front.zoomed:
            width, height = view.viewport.canvas_size
            view.pan(PUSHES[keys][0] * width / 8, PUSHES[keys][1] * height / 8)
        elif named:
            view.set_tool(named[0])
        else:
            view.apply(lambda state: view.tool.key(state, f"shift+{keys}" if shift and keys in PUSHES else keys))
        self._callbacks.notify("key", keys)
