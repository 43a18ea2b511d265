"""Tools that mark areas: brush, eraser, lasso, polygon and box."""

from __future__ import annotations

import math
from typing import ClassVar

from dragonkit.errors import EditError
from dragonkit.imaging.strokes import Point, Rect, polygon, rectangle, stroke
from dragonkit.jupyter.marks.shapes import Outline, Ring, Shape, Spot, Trail, box_outline
from dragonkit.jupyter.marks.state import MarkState
from dragonkit.jupyter.tools.base import Stroke, Tool

__all__ = ["Box", "Brush", "Eraser", "Lasso", "Polygon"]


class Brush(Stroke):
    """Paints the mask. `size` is the diameter in picture pixels, 1 or more."""

    name, shortcut = "brush", "b"
    _paints: ClassVar[bool] = True

    def __init__(self, size: float = 16) -> None:
        super().__init__()
        self.size = size

    @property
    def size(self) -> float:
        return self._size

    @size.setter
    def size(self, size: float) -> None:
        if not 1 <= size < math.inf:
            raise EditError(f"a brush's size is {size}, but must be 1 or more. Pass its diameter in pixels of the picture.")
        self._size = size

    def key(self, state: MarkState, key: str) -> Rect | None:
        if key == "[":
            self.size = max(1, min(self.size - 1, round(self.size / 1.25)))
        elif key == "]":
            self.size = max(self.size, min(max(self.size + 1, round(self.size * 1.25)), max(state.size)))
        return super().key(state, key)

    def preview(self, state: MarkState) -> list[Shape]:
        if self._way:
            return [Trail(tuple(self._way), self.size, erases=not self._paints)]
        return [Ring(self._pointer, self.size)] if self._pointer else []

    def _commit(self, state: MarkState, way: list[Point]) -> Rect | None:
        region = stroke(way, self.size, state.size)
        return region and state.paint(region, self._paints)


class Eraser(Brush):
    """Takes away from the mask."""

    name, shortcut, cursor = "eraser", "e", "cell"
    _paints = False


class Lasso(Stroke):
    """Adds what is circled to the mask."""

    name, shortcut = "lasso", "l"

    def preview(self, state: MarkState) -> list[Shape]:
        return [Outline(tuple(self._way))] if self._way else []

    def _commit(self, state: MarkState, way: list[Point]) -> Rect | None:
        region = polygon(way, state.size)
        return region and state.paint(region, True)


class Polygon(Tool):
    """Adds a polygon to the mask: click its corners; click the first or the last one again, or press Enter, to close it."""

    name, shortcut = "polygon", "p"

    def __init__(self) -> None:
        self._corners: list[Point] = []
        self._pressed = False
        self._pointer: Point | None = None

    @property
    def busy(self) -> bool:  # type: ignore[override]
        return bool(self._corners)

    def down(self, state: MarkState, x: float, y: float) -> Rect | None:
        self._pressed = True
        return None

    def move(self, state: MarkState, x: float, y: float) -> Rect | None:
        self._pointer = (x, y)
        return None

    def up(self, state: MarkState, x: float, y: float) -> Rect | None:
        pressed, self._pressed = self._pressed, False
        if not pressed:
            return None
        if any(math.dist((x, y), corner) <= self.reach for corner in self._corners[:1] + self._corners[-1:]):
            return self._close(state)
        self._corners.append((x, y))
        return None

    def leave(self, state: MarkState, x: float, y: float) -> Rect | None:
        self._pressed, self._pointer = False, None  # the corners stay: one may leave and come back between clicks
        return None

    def key(self, state: MarkState, key: str) -> Rect | None:
        if key == "Enter":
            return self._close(state)
        if key == "Backspace":
            del self._corners[-1:]
            return None
        return super().key(state, key)

    def cancel(self) -> None:
        self._corners, self._pressed = [], False

    def preview(self, state: MarkState) -> list[Shape]:
        if not self._corners:
            return []
        return [Outline((*self._corners, *([self._pointer] if self._pointer else []))), Spot(self._corners[0])]

    def _close(self, state: MarkState) -> Rect | None:
        if len(self._corners) < 3:
            return None
        corners, self._corners = self._corners, []
        region = polygon(corners, state.size)
        return region and state.paint(region, True)


class Box(Stroke):
    """Draws a box round whole pixels. With `fill` (the default) the mask gets its pixels, in the same step of undo."""

    name, shortcut = "box", "r"

    def __init__(self, fill: bool = True) -> None:
        super().__init__()
        self.fill = fill

    def preview(self, state: MarkState) -> list[Shape]:
        return [box_outline(self._box(self._way))] if self._way else []

    def _commit(self, state: MarkState, way: list[Point]) -> Rect | None:
        region = rectangle(self._box(way), state.size)
        if region is None or math.dist(way[0], way[-1]) < self.reach / 2:  # a slip, no box
            return None
        left, top, right, bottom = region[0]
        mask = state.mask.copy()
        mask[top:bottom, left:right] |= self.fill
        return state.change(mask, boxes=[*state.boxes, region[0]])

    def _box(self, way: list[Point]) -> Rect:
        (ax, ay), (bx, by) = way[0], way[-1]
        return math.floor(min(ax, bx)), math.floor(min(ay, by)), math.ceil(max(ax, bx)), math.ceil(max(ay, by))
