"""The drawing surface: shows a picture with its marks, and hands the pointer to a tool. The only module that knows ipycanvas.

The browser may be reloaded at any time and then knows nothing: every drawing is made from what Python has.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
from ipycanvas import MultiCanvas, hold_canvas
from PIL import Image

from dragonkit.errors import EditError, ImageError
from dragonkit.imaging.images import ImageSource, load_image
from dragonkit.imaging.masks import bounding_box
from dragonkit.imaging.strokes import Rect
from dragonkit.jupyter.canvas.callbacks import Callbacks
from dragonkit.jupyter.canvas.comparison import Comparison
from dragonkit.jupyter.canvas.fingers import Fingers
from dragonkit.jupyter.canvas.front import Front
from dragonkit.jupyter.canvas.keys import ACTIONS, PUSHES, chord
from dragonkit.jupyter.canvas.overlay import MARGIN
from dragonkit.jupyter.canvas.painting import draw_mask, draw_shape
from dragonkit.jupyter.canvas.sheet import Sheet
from dragonkit.jupyter.canvas.viewport import Viewport, Zoom, canvas_size
from dragonkit.jupyter.marks.shapes import Grip, Handle, shapes_of
from dragonkit.jupyter.marks.state import MarkState
from dragonkit.jupyter.tools.areas import Brush
from dragonkit.jupyter.tools.base import Tool
from dragonkit.jupyter.tools.catalogue import TOOLS

__all__ = ["CanvasView"]

LARGEST = 32.0
"""Canvas pixels for one of the picture, at most."""
_LIT = 0.25  # opacity of what a click would select
_REACH, _FINGERS_REACH = 8.0, 24.0  # how near counts as on a point, in canvas pixels

# ipycanvas collects the commands of all canvases and threads in one place, so only one may draw at a time
_drawing = threading.RLock()


class CanvasView:
    """A picture to draw marks on.

    Attributes:
        widget: what to put into a box.
        front: what listens in the browser; put it into a box of the same editor, too.
        state: the marks. After changing them elsewhere, call `redraw`; or make the change through `apply`.
        tools: one tool of each kind, by name; set their sizes and selectors here.
        tool: the one in hand.
        viewport: which part of the picture is shown.
        rewind, replay: what undo and redo do, while no tool has begun anything: they take back changes of the marks, unless set otherwise.
    """

    def __init__(self, image: ImageSource, state: MarkState, main: bool = True) -> None:
        """`main`: whether keys go here after a click on a button."""
        self.state = state
        thickness = max(1, round(max(state.size) / 16))
        self.tools: dict[str, Tool] = {name: make(thickness) if issubclass(make, Brush) else make() for name, make in TOOLS.items()}
        self.tool = self.tools["brush"]
        self.viewport = Viewport(state.size, canvas_size(state.size))
        width, height = self.viewport.canvas_size
        self.widget = MultiCanvas(3, width=width, height=height)
        self._picture_layer, self._mask_layer, self._top_layer = (self.widget[index] for index in range(3))
        self._picture, self._cutouts = Sheet(), (Sheet(), Sheet())
        self._ghosts: tuple[tuple[Image.Image, float, float], ...] = ()
        self.rewind: Callable[[], Any] = lambda: self.apply(MarkState.undo)
        self.replay: Callable[[], Any] = lambda: self.apply(MarkState.redo)
        self._opacity, self._marked = 0.45, True
        self._highlit: np.ndarray | None = None
        self.comparison, self._sliding = Comparison(), False
        self._pressed = False
        self._drawn: Any = None  # what lies on the top layer; None while a drawing is owed, because none was made or one failed
        self._callbacks = Callbacks()
        self.front = Front(self._callbacks.guarded(self._from_front), main)
        self.widget.add_class(self.front.surface)
        self._listen()
        self.set_image(image)

    def set_image(self, image: ImageSource, state: MarkState | None = None) -> None:
        """Show another picture under the same marks, or with others. Raises ImageError unless it has the size of the marks."""
        image, state = load_image(image), state or self.state
        if image.size != state.size:
            raise ImageError(
                f"the picture is {image.width}x{image.height} but its marks are for {state.size[0]}x{state.size[1]} (width x height). "
                "Pass a MarkState of the picture's size along."
            )
        with _drawing:
            if state is not self.state:
                self.tool.cancel()
            self.state, self._image = state, image
            width, height = size = canvas_size(image.size)
            self.widget.width, self.widget.height = size
            # without a size of its own, a box stretches the canvas
            self.widget.layout.width, self.widget.layout.height = f"{width}px", f"{height}px"
            self._look(self.viewport if self.viewport.image_size == image.size else Viewport(image.size, size))

    def compare(self, after: Image.Image | None, share: float) -> None:
        """Lay a result over the picture: `share` of it, from 0 to 1, right of a line. None takes it away."""
        with _drawing:
            anew = after is not self.comparison.after or share != self.comparison.share
            self.comparison.after, self.comparison.share = after, share
            if anew:
                self.redraw()

    def set_tool(self, tool: Tool | str) -> None:
        """Take another tool in hand: one of `tools` by its name, or one that then replaces its namesake there."""
        if isinstance(tool, str) and tool not in self.tools:
            raise EditError(f"there is no tool {tool!r}. The tools are {', '.join(self.tools)}.")
        with _drawing:
            tool = self.tools[tool] if isinstance(tool, str) else tool
            if tool is not self.tool:
                self.tool.cancel()
            self.tool = self.tools[tool.name] = tool
            self._draw()

    @property
    def opacity(self) -> float:
        """Of the mask's colour, 0..1. Its outline is always there."""
        return self._opacity

    @opacity.setter
    def opacity(self, opacity: float) -> None:
        if not 0 <= opacity <= 1:
            raise EditError(f"the opacity is {opacity}, but must lie in 0..1. Use 0 to see the outline only.")
        self._opacity = float(opacity)
        self._draw(mask=(0, 0, *self.state.size))

    @property
    def marked(self) -> bool:
        """Whether mask and marks are shown; they would hide what became of the picture."""
        return self._marked

    @marked.setter
    def marked(self, marked: bool) -> None:
        if marked != self._marked:
            self._marked = marked
            self._draw(mask=(0, 0, *self.state.size))

    def set_zoom(self, zoom: Zoom) -> None:
        """ "fit", or canvas pixels per picture pixel: 1 is 100 %, 2 is 200 %. What is in the middle stays there."""
        self._look(self.viewport.zoomed(zoom))

    def zoom_at(self, x: float, y: float, by: float) -> None:
        """So many times as large, with what is at the canvas position kept there; at least all of it, at most 32 canvas pixels a pixel."""
        least = self.viewport.least
        scale = min(max(self.viewport.scale * by, least), max(LARGEST, least))
        self._look(self.viewport.zoomed("fit" if scale == least else scale, (x, y)))
        self._callbacks.notify("zoom")

    def pan(self, dx: float, dy: float) -> None:
        """Push the picture by canvas pixels, as far as there is more of it to see."""
        moved = self.viewport.panned(dx, dy)
        if moved != self.viewport:
            self._look(moved)

    def show_ghosts(self, ghosts: Sequence[tuple[Image.Image, float, float]]) -> None:
        """Lay up to two cut-outs (RGBA, at the picture's scale) over the picture, its top left corner at (x, y) of the picture."""
        with _drawing:
            self._ghosts = tuple(ghosts)
            self._draw()

    def highlight(self, mask: np.ndarray | None) -> None:
        """Light up bool (H, W) until the next call; nothing with None."""
        with _drawing:
            if mask is not self._highlit:
                self._highlit = mask
                self._draw()

    def refresh(self) -> None:
        """What a tool shows may have changed."""
        with _drawing:
            if self._drawn != self._overlay():
                self._draw()

    def apply(self, change: Callable[[MarkState], Rect | None]) -> None:
        """Change the marks and show it: `view.apply(MarkState.undo)`. A change that raises ends what the tool had begun."""
        changed = False
        try:
            with _drawing:
                version, dirty = self.state.version, None
                try:
                    dirty = change(self.state)
                except Exception:
                    self.tool.cancel()
                    raise
                finally:
                    changed = self.state.version != version
                    if changed or self._drawn != self._overlay():
                        self._draw(mask=dirty)
        finally:
            if changed:
                self._callbacks.notify("change")

    def undo(self) -> None:
        """Take back what the tool has begun, or else what was done last."""
        if self.tool.busy:
            self.apply(lambda state: self.tool.key(state, "Backspace"))
        else:
            self.rewind()

    def redo(self) -> None:
        self.replay()

    def leave(self) -> None:
        """Give up the focus: the canvas swallows every key; once it has lost the focus, the next Tab goes on from there."""
        self.widget.blur()

    def redraw(self, dirty: Rect | None = None) -> None:
        """Draw everything anew; with a rectangle of picture pixels, only the mask there, and what lies over it."""
        self._draw(everything=dirty is None, mask=dirty)

    def on_change(self, callback: Callable[[], None]) -> None:
        """Called after every change of the marks that was made by a tool, by a key or through `apply`."""
        self._callbacks.add("change", callback)

    def on_pointer(self, callback: Callable[[str, float, float], None]) -> None:
        """Called with "down", "move" (while pressed) or "up", and the picture position. Leaving the canvas is an "up"."""
        self._callbacks.add("pointer", callback)

    def on_hover(self, callback: Callable[[float, float, bool], None]) -> None:
        """Called with the picture position of a pointer that is not pressed, and whether it is on the canvas still."""
        self._callbacks.add("hover", callback)

    def on_slide(self, callback: Callable[[float], None]) -> None:
        """Called with the share of the result that somebody wants to see, who pushes the line between before and after."""
        self._callbacks.add("slide", callback)

    def on_copied(self, callback: Callable[[bool], None]) -> None:
        """Called with whether the clipboard has what was given to `front.copy`."""
        self._callbacks.add("copied", callback)

    def on_key(self, callback: Callable[[str], None]) -> None:
        """Called after a key was dealt with, with its name as `keys.chord` gives it."""
        self._callbacks.add("key", callback)

    def on_zoom(self, callback: Callable[[], None]) -> None:
        """Called after the wheel changed how large the picture is."""
        self._callbacks.add("zoom", callback)

    def on_error(self, callback: Callable[[Exception], None]) -> None:
        """Called with whatever is raised while the browser's events are handled, by other callbacks too."""
        self._callbacks.add("error", callback)

    def _listen(self) -> None:
        guarded, widget = self._callbacks.guarded, self.widget
        for event, name in {"down": "down", "move": "move", "up": "up", "out": "leave"}.items():
            getattr(widget, f"on_mouse_{event}")(guarded(lambda x, y, name=name: self._point(name, x, y)))
        fingers = Fingers(partial(self._point, reach=_FINGERS_REACH), self.pan)
        for event, handle in {"start": fingers.start, "move": fingers.move, "end": fingers.end, "cancel": fingers.stop}.items():
            getattr(widget, f"on_touch_{event}")(guarded(handle))
        widget.on_mouse_wheel(guarded(lambda dx, dy: self.pan(-dx, -dy)))
        widget.on_key_down(guarded(self._key))
        widget.on_client_ready(guarded(self.redraw))

    def _from_front(self, action: str, values: dict[str, float]) -> None:
        if action == "pan":
            self.pan(values["dx"], values["dy"])
        elif action == "zoom":
            self.zoom_at(values["x"], values["y"], values["by"])
        elif action == "copied":
            self._callbacks.notify("copied", bool(values["done"]))
        elif action in ("move", "up") and (self._pressed or self._sliding):  # beside the canvas: a stroke goes on there
            self._point(action, values["x"], values["y"])
            if action == "up":
                self._point("leave", values["x"], values["y"])

    def _point(self, event: str, canvas_x: float, canvas_y: float, reach: float = _REACH) -> None:
        if self._slides(event, canvas_x, reach):
            return
        if event == "down":
            self.tool.reach = reach / self.viewport.scale
        x, y = self.viewport.to_image(canvas_x, canvas_y)
        before, self._pressed = self._pressed, event == "down" or (event == "move" and self._pressed)
        try:
            self.apply(lambda state: self.tool.cancel() if event == "cancel" else getattr(self.tool, event)(state, x, y))
        finally:
            if before or self._pressed:
                self._callbacks.notify("pointer", event if event in ("down", "move") else "up", x, y)
            elif event in ("move", "leave"):
                self._callbacks.notify("hover", x, y, event == "move")

    def _slides(self, event: str, x: float, reach: float) -> bool:
        """Whether the pointer has the line between before and after."""
        if event == "down":
            self._sliding = self.comparison.shown and abs(x - self.comparison.line(self.viewport)) <= reach
        slides = self._sliding
        if slides and event in ("down", "move", "up"):
            self._callbacks.notify("slide", self.comparison.share_at(self.viewport, x))
        if event not in ("down", "move"):
            self._sliding = False
        return slides

    def _key(self, key: str, shift: bool, ctrl: bool, meta: bool) -> None:
        keys = chord(key, shift, ctrl, meta)
        named = [tool.name for tool in self.tools.values() if tool.shortcut == keys]
        if keys in ACTIONS:
            getattr(self, ACTIONS[keys])()
        elif keys in PUSHES and self.front.zoomed:
            width, height = self.viewport.canvas_size
            self.pan(PUSHES[keys][0] * width / 8, PUSHES[keys][1] * height / 8)
        elif named:
            self.set_tool(named[0])
        else:
            self.apply(lambda state: self.tool.key(state, f"shift+{keys}" if shift and keys in PUSHES else keys))
        self._callbacks.notify("key", keys)

    def _look(self, viewport: Viewport) -> None:
        with _drawing:
            self.viewport = viewport
            self.front.zoomed = viewport.scale > viewport.least
            self.redraw()

    def _overlay(self) -> Any:
        begun = self.tool.preview(self.state)
        shapes = [*shapes_of(self.state), *begun] if self.marked else [one for one in begun if not isinstance(one, (Grip, Handle))]
        return self._ghosts, shapes

    def _draw(self, everything: bool = False, mask: Rect | None = None) -> None:
        """Draw the top layer, and of the others what is asked for; everything when an earlier drawing failed."""
        with self._batch():
            everything, self._drawn = everything or self._drawn is None, None
            rect = (0, 0, *self.viewport.canvas_size) if everything else mask and self.viewport.rect_on_canvas(mask, MARGIN)
            if everything:
                self._picture_layer.clear_rect(0, 0, *self.viewport.canvas_size)
                self._picture.draw(self._picture_layer, self._image, self.viewport)
                self.comparison.draw(self._picture_layer, self.viewport)
            if rect:
                mask_shown = self.state.mask if self.marked else np.zeros_like(self.state.mask)
                draw_mask(self._mask_layer, mask_shown, self.viewport, rect, self.opacity)
            ghosts, shapes = overlay = self._overlay()
            self._top_layer.clear_rect(0, 0, *self.viewport.canvas_size)
            if self._highlit is not None and self.marked:
                lit = self.viewport.rect_on_canvas(bounding_box(self._highlit), MARGIN)
                if lit:
                    draw_mask(self._top_layer, self._highlit, self.viewport, lit, _LIT)
            for sheet, ghost in zip(self._cutouts, ghosts, strict=False):
                sheet.draw(self._top_layer, ghost[0], self.viewport, ghost[1:])
            for shape in shapes:
                draw_shape(self._top_layer, shape, self.viewport)
            self.comparison.draw_line(self._top_layer, self.viewport)
            self._drawn = overlay

    @contextmanager
    def _batch(self) -> Iterator[None]:
        """All that is drawn within goes to the browser as one message, also when it fails halfway.

        An exception must not reach `hold_canvas`, which would go on holding for ever. Every message begins on the bottom layer and ends
        on the top one, so that ipycanvas, which names a layer only when it is not the last one, names one in each message: a browser
        that was reloaded knows no last layer, and after one command without a layer it draws no more.
        """
        failure: BaseException | None = None
        with _drawing:
            with hold_canvas():
                self._picture_layer.reset_transform()
                try:
                    yield
                except BaseException as error:
                    failure = error
                self._top_layer.reset_transform()
            if failure is not None:
                raise failure
