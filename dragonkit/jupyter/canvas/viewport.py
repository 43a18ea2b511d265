"""Which part of a picture a canvas shows, and how large: from canvas to picture and back. It knows neither marks nor widgets.

Both are measured in pixels with (0, 0) at the top left corner. What the screen makes of canvas pixels is the browser's business.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TypeAlias

from dragonkit.errors import EditError
from dragonkit.imaging.strokes import Point, Rect

__all__ = ["Viewport", "Zoom", "canvas_size"]

Zoom: TypeAlias = float | str
"""Canvas pixels per picture pixel, so that 1 is 100 % and 2 is 200 %; or "fit", which shows all of the picture."""


def canvas_size(image_size: tuple[int, int], longest: int = 640) -> tuple[int, int]:
    """(width, height) of a canvas for a picture: a large one is scaled down to `longest`, a small one up by a whole factor."""
    side = max(image_size)
    scale = longest // side if side <= longest else longest / side
    return max(1, round(image_size[0] * scale)), max(1, round(image_size[1] * scale))


@dataclass(frozen=True)
class Viewport:
    """A window on a picture. Immutable; zooming and panning make new ones.

    Attributes:
        image_size, canvas_size: (width, height) in pixels.
        zoom: see `Zoom`.
        offset: the picture position at the canvas' top left corner. It is kept within bounds: the canvas shows nothing beyond the
            picture, and a picture smaller than the canvas is centred (its offset is negative).
        fine: pixels of the screen, along each side, for one of the canvas: there is more to be seen on a fine screen.
    """

    image_size: tuple[int, int]
    canvas_size: tuple[int, int]
    zoom: Zoom = "fit"
    offset: Point = (0.0, 0.0)
    fine: int = 1

    def __post_init__(self) -> None:
        if min(*self.image_size, *self.canvas_size) < 1:
            raise EditError(f"sizes must be positive, got {self.image_size} and {self.canvas_size}. Pass (width, height) in pixels.")
        if self.zoom != "fit" and not (isinstance(self.zoom, (int, float)) and 0 < self.zoom < math.inf):
            raise EditError(f"zoom is {self.zoom!r}, but must be 'fit' or a positive number. Use 1 for 100 % and 2 for 200 %.")
        object.__setattr__(self, "offset", tuple(map(self._bounded, self.offset, self.image_size, self.canvas_size)))

    @property
    def scale(self) -> float:
        """Canvas pixels per picture pixel."""
        return self.least if isinstance(self.zoom, str) else float(self.zoom)

    @property
    def least(self) -> float:
        """The scale at which all of the picture is just seen."""
        return min(self.canvas_size[0] / self.image_size[0], self.canvas_size[1] / self.image_size[1])

    @property
    def on_screen(self) -> Viewport:
        """The same with the screen's pixels for those of the canvas."""
        width, height = self.canvas_size
        zoom = self.zoom if isinstance(self.zoom, str) else self.zoom * self.fine
        return Viewport(self.image_size, (width * self.fine, height * self.fine), zoom, self.offset)

    def to_image(self, x: float, y: float) -> Point:
        """Where a canvas position is in the picture; beyond its border for positions beside it."""
        return self.offset[0] + x / self.scale, self.offset[1] + y / self.scale

    def to_canvas(self, x: float, y: float) -> Point:
        """Where a picture position is on the canvas; beyond its border for what is not shown."""
        return (x - self.offset[0]) * self.scale, (y - self.offset[1]) * self.scale

    def rect_on_canvas(self, rect: Rect, margin: int = 0) -> Rect | None:
        """The canvas pixels that a rectangle of the picture touches, `margin` more on each side; None when none is on the canvas."""
        left, top = self.to_canvas(*rect[:2])
        right, bottom = self.to_canvas(*rect[2:])
        left, top = max(math.floor(left) - margin, 0), max(math.floor(top) - margin, 0)
        right, bottom = min(math.ceil(right) + margin, self.canvas_size[0]), min(math.ceil(bottom) + margin, self.canvas_size[1])
        return (left, top, right, bottom) if left < right and top < bottom else None

    def zoomed(self, zoom: Zoom, about: Point | None = None) -> Viewport:
        """At another zoom, with what is at the canvas position `about` (default: the centre) kept there as far as bounds allow."""
        x, y = about or (self.canvas_size[0] / 2, self.canvas_size[1] / 2)
        fixed = self.to_image(x, y)
        other = replace(self, zoom=zoom)
        return replace(other, offset=(fixed[0] - x / other.scale, fixed[1] - y / other.scale))

    def panned(self, dx: float, dy: float) -> Viewport:
        """With the picture pushed by (dx, dy) canvas pixels, as far as bounds allow."""
        return replace(self, offset=(self.offset[0] - dx / self.scale, self.offset[1] - dy / self.scale))

    def _bounded(self, offset: float, image: int, canvas: int) -> float:
        spare = image - canvas / self.scale
        return spare / 2 if spare <= 0 else min(max(offset, 0.0), spare)
