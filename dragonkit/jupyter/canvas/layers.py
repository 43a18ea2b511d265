"""Three layers of one canvas: the picture, its mask, and what changes under the hand. Draws what it is given, and decides nothing.

The browser may be reloaded at any time and then knows nothing: every drawing is made from what Python has.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from ipycanvas import MultiCanvas, hold_canvas
from PIL import Image

from dragonkit.imaging.masks import bounding_box
from dragonkit.imaging.strokes import Rect
from dragonkit.jupyter.canvas.comparison import Comparison
from dragonkit.jupyter.canvas.overlay import MARGIN, RGB
from dragonkit.jupyter.canvas.painting import draw_mask, draw_shape
from dragonkit.jupyter.canvas.sheet import Sheet
from dragonkit.jupyter.canvas.viewport import Viewport
from dragonkit.jupyter.marks.shapes import Shape

__all__ = ["REACH", "CutOut", "Layers", "Scene", "drawing"]

CutOut: TypeAlias = tuple[Image.Image, float, float, float]
"""RGBA, its top left corner at (x, y) of the picture, and how many of the picture's pixels one of its own takes."""

drawing = threading.RLock()
"""ipycanvas collects the commands of all canvases and threads in one place, so only one may draw at a time. A kernel may also handle
the events of a canvas and those of a button on two threads: whoever changes what is drawn in several steps holds it, too."""

REACH = 8.0
"""How near counts as on a point, in canvas pixels."""
_LIT = 0.25  # opacity of what a click would select


@dataclass(frozen=True)
class Scene:
    """All that is to be seen.

    Attributes:
        mask: bool (H, W); None for nothing.
        lit: bool (H, W), drawn faintly over everything; None for nothing.
        cutouts: up to two.
        shapes: lie over the cut-outs.
    """

    image: Image.Image
    viewport: Viewport
    mask: np.ndarray | None
    color: RGB
    opacity: float
    lit: tuple[np.ndarray, RGB] | None
    cutouts: tuple[CutOut, ...]
    shapes: Sequence[Shape]
    comparison: Comparison

    @property
    def over(self) -> Any:
        """What changes under the hand, to be compared."""
        return self.cutouts, self.shapes


class Layers:
    """Attributes:
    widget: the canvas.
    over: what of the last scene changes under the hand; None while a drawing is owed, because none was made or one failed.
    compared: what the browser must know of before and after, as they were drawn last.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self.widget = MultiCanvas(3, width=size[0], height=size[1])
        self._bottom, self._middle, self._top = (self.widget[index] for index in range(3))
        self._picture, self._cutouts = Sheet(), (Sheet(), Sheet())
        self.over: Any = None
        self.compared: dict[str, Any] = {}

    def resize(self, size: tuple[int, int], fine: int = 1) -> None:
        """(width, height) in canvas pixels, with so many pixels of the screen for each."""
        width, height = size
        self.widget.width, self.widget.height = fine * width, fine * height
        # without a size of its own, a box stretches the canvas
        self.widget.layout.width, self.widget.layout.height = f"{width}px", f"{height}px"

    def draw(self, scene: Scene, everything: bool = False, mask: Rect | None = None) -> None:
        """Draw the top layer, and of the others what is asked for; everything when an earlier drawing failed.

        Args:
            mask: the rectangle of the mask, in pixels of the picture, that has changed.
        """
        viewport, screen = scene.viewport, scene.viewport.on_screen  # masks are drawn pixel by pixel, whatever a layer's scale is
        size = screen.canvas_size
        with self._batch():
            everything, self.over = everything or self.over is None, None
            rect = (0, 0, *size) if everything else mask and screen.rect_on_canvas(mask, MARGIN)
            if everything:
                self._bottom.clear_rect(0, 0, *size)
                _scale(self._bottom, viewport.fine)
                self._picture.draw(self._bottom, scene.image, viewport)
                scene.comparison.draw(self._bottom, viewport)
                self.compared = scene.comparison.told(self._picture.place(scene.image, viewport), viewport, REACH)
            if rect:
                shown = np.zeros(scene.image.size[::-1], bool) if scene.mask is None else scene.mask
                draw_mask(self._middle, shown, screen, rect, scene.opacity, scene.color)
            self._top.clear_rect(0, 0, *size)
            if scene.lit is not None:
                lit, color = scene.lit
                if where := screen.rect_on_canvas(bounding_box(lit), MARGIN):
                    draw_mask(self._top, lit, screen, where, _LIT, color)
            _scale(self._top, viewport.fine)
            for sheet, (image, x, y, larger) in zip(self._cutouts, scene.cutouts, strict=False):
                sheet.draw(self._top, image, viewport, (x, y), larger)
            for shape in scene.shapes:
                draw_shape(self._top, shape, viewport, scene.color)
            scene.comparison.draw_line(self._top, viewport)
            self.over = scene.over

    @contextmanager
    def _batch(self) -> Iterator[None]:
        """All that is drawn within goes to the browser as one message, also when it fails halfway.

        An exception must not reach `hold_canvas`, which would go on holding for ever. Every message begins on the bottom layer and ends
        on the top one, so that ipycanvas, which names a layer only when it is not the last one, names one in each message: a browser
        that was reloaded knows no last layer, and after one command without a layer it draws no more.
        """
        failure: BaseException | None = None
        with drawing:
            with hold_canvas():
                self._bottom.reset_transform()
                try:
                    yield
                except BaseException as error:
                    failure = error
                self._top.reset_transform()
            if failure is not None:
                raise failure


def _scale(layer: Any, fine: int) -> None:
    if fine != 1:
        layer.scale(fine, fine)
