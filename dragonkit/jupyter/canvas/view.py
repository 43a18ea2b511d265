"""The drawing surface: a picture with its marks, the tool in hand, and which part of the picture is seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image

from dragonkit.errors import EditError, ImageError
from dragonkit.imaging.images import ImageSource, load_image
from dragonkit.imaging.strokes import Rect
from dragonkit.jupyter.canvas.colors import COLORS, contrasting
from dragonkit.jupyter.canvas.comparison import Comparison
from dragonkit.jupyter.canvas.events import Events
from dragonkit.jupyter.canvas.front import Front
from dragonkit.jupyter.canvas.layers import CutOut, Layers, Scene, drawing
from dragonkit.jupyter.canvas.listening import Listening
from dragonkit.jupyter.canvas.overlay import MASK_COLOR, RGB
from dragonkit.jupyter.canvas.viewport import Viewport, Zoom, canvas_size
from dragonkit.jupyter.marks.shapes import Grip, Handle, shapes_of
from dragonkit.jupyter.marks.state import MarkState
from dragonkit.jupyter.tools.areas import Brush
from dragonkit.jupyter.tools.base import Tool
from dragonkit.jupyter.tools.catalogue import TOOLS

__all__ = ["CanvasView"]

LARGEST = 32.0
"""Canvas pixels for one of the picture, at most."""


class CanvasView(Events):
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
        super().__init__()
        self.state = state
        thickness = max(1, round(max(state.size) / 16))
        self.tools: dict[str, Tool] = {name: make(thickness) if issubclass(make, Brush) else make() for name, make in TOOLS.items()}
        self.tool = self.tools["brush"]
        self.viewport = Viewport(state.size, canvas_size(state.size))
        self._layers = Layers(self.viewport.canvas_size)
        self.widget = self._layers.widget
        self._ghosts: tuple[CutOut, ...] = ()
        self.rewind: Callable[[], Any] = lambda: self.apply(MarkState.undo)
        self.replay: Callable[[], Any] = lambda: self.apply(MarkState.redo)
        self._opacity, self._marked = 0.45, True
        self._wanted: str | None = None
        self._color = self._lit_color = MASK_COLOR
        self._highlit: np.ndarray | None = None
        self.comparison = Comparison()
        listening = Listening(self, self._callbacks)
        self.front = Front(self._callbacks.guarded(listening.from_front), main)
        self.widget.add_class(self.front.surface)
        listening.begin()
        self.set_image(image)

    def set_image(self, image: ImageSource, state: MarkState | None = None) -> None:
        """Show another picture under the same marks, or with others. Raises ImageError unless it has the size of the marks."""
        image, state = load_image(image), state or self.state
        if image.size != state.size:
            raise ImageError(
                f"the picture is {image.width}x{image.height} but its marks are for {state.size[0]}x{state.size[1]} (width x height). "
                "Pass a MarkState of the picture's size along."
            )
        with drawing:
            if state is not self.state:
                self.tool.cancel()
            self.state, self._image, self._pixels, self._highlit = state, image, np.asarray(image), None
            self._recolor()
            size = canvas_size(image.size)
            fine = self.viewport.fine
            self._layers.resize(size, fine)
            self._look(self.viewport if self.viewport.image_size == image.size else Viewport(image.size, size, fine=fine))

    def compare(self, after: Image.Image | None, share: float) -> None:
        """Lay a result over the picture: `share` of it, from 0 to 1, right of a line. None takes it away."""
        with drawing:
            anew = after is not self.comparison.after or share != self.comparison.share
            self.comparison.after, self.comparison.share = after, share
            if anew:
                self.redraw()

    def set_tool(self, tool: Tool | str) -> None:
        """Take another tool in hand: one of `tools` by its name, or one that then replaces its namesake there."""
        if isinstance(tool, str) and tool not in self.tools:
            raise EditError(f"there is no tool {tool!r}. The tools are {', '.join(self.tools)}.")
        with drawing:
            tool = self.tools[tool] if isinstance(tool, str) else tool
            if tool is not self.tool:
                self.tool.cancel()
            self.tool = self.tools[tool.name] = tool
            self.front.cursor = tool.cursor
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
    def color(self) -> str | None:
        """The mask's colour, one of `colors.COLORS`; None for one that stands out from what is marked. EditError for any other."""
        return self._wanted

    @color.setter
    def color(self, color: str | None) -> None:
        if color is not None and color not in COLORS:
            raise EditError(f"there is no mask colour {color!r}. The colours are {', '.join(COLORS)}.")
        with drawing:
            self._wanted = color
            self._recolor()
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

    def set_fine(self, fine: int) -> None:
        """So many pixels of the screen, along each side, for one of the canvas."""
        if fine != self.viewport.fine:
            with drawing:
                self._layers.resize(self.viewport.canvas_size, fine)
                self._look(replace(self.viewport, fine=fine))

    def pan(self, dx: float, dy: float) -> None:
        """Push the picture by canvas pixels, as far as there is more of it to see."""
        moved = self.viewport.panned(dx, dy)
        if moved != self.viewport:
            self._look(moved)

    def show_ghosts(self, ghosts: Sequence[CutOut]) -> None:
        """Lay up to two cut-outs over the picture."""
        with drawing:
            self._ghosts = tuple(ghosts)
            self._draw()

    def highlight(self, mask: np.ndarray | None) -> None:
        """Light up bool (H, W) until the next call; nothing with None."""
        with drawing:
            if mask is not self._highlit:
                self._highlit = mask
                if mask is not None:
                    self._lit_color = self._suiting(mask)
                self._draw()

    def refresh(self) -> None:
        """What a tool shows may have changed."""
        with drawing:
            if self._layers.over != self._scene().over:
                self._draw()

    def apply(self, change: Callable[[MarkState], Rect | None]) -> None:
        """Change the marks and show it: `view.apply(MarkState.undo)`. A change that raises ends what the tool had begun."""
        changed = False
        with drawing:
            try:
                version, dirty = self.state.version, None
                try:
                    dirty = change(self.state)
                except Exception:
                    self.tool.cancel()
                    raise
                finally:
                    changed = self.state.version != version
                    if dirty is not None and self._recolor():
                        dirty = (0, 0, *self.state.size)
                    if changed or self._layers.over != self._scene().over:
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

    def _look(self, viewport: Viewport) -> None:
        with drawing:
            self.viewport = viewport
            self.front.zoomed = viewport.scale > viewport.least
            self.redraw()

    def _suiting(self, mask: np.ndarray) -> RGB:
        return contrasting(self._pixels, mask, self._color) if self._wanted is None else COLORS[self._wanted]

    def _recolor(self) -> bool:
        """Whether the mask has another colour now."""
        before, self._color = self._color, self._suiting(self.state.mask)
        return self._color != before

    def _scene(self) -> Scene:
        begun = self.tool.preview(self.state)
        shapes = [*shapes_of(self.state), *begun] if self.marked else [one for one in begun if not isinstance(one, (Grip, Handle))]
        mask, lit = (self.state.mask, self._highlit) if self.marked else (None, None)
        lit_so = None if lit is None else (lit, self._lit_color)
        return Scene(self._image, self.viewport, mask, self._color, self.opacity, lit_so, self._ghosts, shapes, self.comparison)

    def _draw(self, everything: bool = False, mask: Rect | None = None) -> None:
        with drawing:
            self._layers.draw(self._scene(), everything, mask)
            self.front.comparing = self._layers.compared
