"""What the hand does to the marks: brush, eraser, lasso, polygon, box, arrows and clicks. Positions are picture pixels; no widgets.

A tool is told of every press, move and release, and of the pointer leaving the canvas, after which no release will come. A right click
is a press without a release, so a press always begins afresh. Whoever holds a tool draws what `preview` gives.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ClassVar

import numpy as np

from dragonkit.errors import EditError
from dragonkit.jupyter.marks import MarkState
from dragonkit.jupyter.shapes import Arrow, Outline, Ring, Shape, Spot, Trail, box_outline
from dragonkit.jupyter.strokes import Point, Rect, polygon, rectangle, stroke
from dragonkit.jupyter.undo import Click

__all__ = ["TOOLS", "Box", "Brush", "DragArrows", "Eraser", "Lasso", "Pick", "Polygon", "Selector", "Tool"]

Selector = Callable[[list[Click]], np.ndarray | None]
"""Clicks (x, y, on the object) to a mask, bool (H, W); None when the mask will be set later, by a thread perhaps."""


class Tool:
    """A tool that does nothing. The methods return which rectangle of the mask they changed, or None.

    Attributes:
        name, shortcut: how people call it, and the key that takes it.
        reach: how near counts as on it, in picture pixels; a canvas sets it when it zooms.
        busy: whether something was begun that is not in the marks yet.
    """

    name: ClassVar[str] = ""
    shortcut: ClassVar[str] = ""
    reach: float = 4.0
    busy: bool = False

    def down(self, state: MarkState, x: float, y: float) -> Rect | None:
        return None

    def move(self, state: MarkState, x: float, y: float) -> Rect | None:
        """The pointer moved, pressed or not."""
        return None

    def up(self, state: MarkState, x: float, y: float) -> Rect | None:
        return None

    def leave(self, state: MarkState, x: float, y: float) -> Rect | None:
        return None

    def key(self, state: MarkState, key: str) -> Rect | None:
        """A key by its name in browsers, such as "[" or "Escape"."""
        if key in ("Escape", "Backspace"):
            self.cancel()
        return None

    def cancel(self) -> None:
        """Forget what was begun; the marks stay."""

    def preview(self) -> list[Shape]:
        """What to draw for what was begun."""
        return []


class _Stroke(Tool):
    """A press, a way and a release; leaving the canvas releases."""

    def __init__(self) -> None:
        self._way: list[Point] = []
        self._pointer: Point | None = None

    @property
    def busy(self) -> bool:  # type: ignore[override]
        return bool(self._way)

    def down(self, state: MarkState, x: float, y: float) -> Rect | None:
        self._pointer, self._way = (x, y), [(x, y)]
        return None

    def move(self, state: MarkState, x: float, y: float) -> Rect | None:
        self._pointer = (x, y)
        if self._way and self._way[-1] != (x, y):
            self._way.append((x, y))
        return None

    def up(self, state: MarkState, x: float, y: float) -> Rect | None:
        self.move(state, x, y)
        way, self._way = self._way, []
        return self._commit(state, way) if way else None

    def leave(self, state: MarkState, x: float, y: float) -> Rect | None:
        dirty = self.up(state, x, y)
        self._pointer = None
        return dirty

    def cancel(self) -> None:
        self._way = []

    def _commit(self, state: MarkState, way: list[Point]) -> Rect | None:
        raise NotImplementedError


class Brush(_Stroke):
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

    def preview(self) -> list[Shape]:
        if self._way:
            return [Trail(tuple(self._way), self.size, erases=not self._paints)]
        return [Ring(self._pointer, self.size)] if self._pointer else []

    def _commit(self, state: MarkState, way: list[Point]) -> Rect | None:
        region = stroke(way, self.size, state.size)
        return region and state.paint(region, self._paints)


class Eraser(Brush):
    """Takes away from the mask."""

    name, shortcut = "eraser", "e"
    _paints = False


class Lasso(_Stroke):
    """Adds what is circled to the mask."""

    name, shortcut = "lasso", "l"

    def preview(self) -> list[Shape]:
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

    def preview(self) -> list[Shape]:
        if not self._corners:
            return []
        return [Outline((*self._corners, *([self._pointer] if self._pointer else []))), Spot(self._corners[0])]

    def _close(self, state: MarkState) -> Rect | None:
        if len(self._corners) < 3:
            return None
        corners, self._corners = self._corners, []
        region = polygon(corners, state.size)
        return region and state.paint(region, True)


class Box(_Stroke):
    """Draws a box round whole pixels. With `fill` (the default) the mask gets its pixels, in the same step of undo."""

    name, shortcut = "box", "r"

    def __init__(self, fill: bool = True) -> None:
        super().__init__()
        self.fill = fill

    def preview(self) -> list[Shape]:
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


class DragArrows(_Stroke):
    """Draws arrows. A click is a pin, which holds its place; an end of an arrow can be taken elsewhere; Delete removes the last arrow."""

    name, shortcut = "drag", "d"

    def __init__(self) -> None:
        super().__init__()
        self._fixed: tuple[int, int] | None = None  # the arrow whose end is held, and which of its ends
        self._size = (0, 0)

    def down(self, state: MarkState, x: float, y: float) -> Rect | None:
        self._size = state.size
        ends = [(math.dist((x, y), end), index, side) for index, drag in enumerate(state.drags) for side, end in enumerate(drag)]
        near = [end for end in ends if end[0] <= self.reach]
        # where both are near, as on a pin, the end rather than the start: a pin becomes an arrow
        self._fixed = min(near, key=lambda end: (end[0], -end[1], -end[2]))[1:] if near else None
        return super().down(state, x, y)

    def key(self, state: MarkState, key: str) -> Rect | None:
        if key in ("Delete", "Backspace") and not self.busy and state.drags:
            return state.remove_drag(-1)
        return super().key(state, key)

    def preview(self) -> list[Shape]:
        return [Arrow(self._clamped(self._way[0]), self._clamped(self._way[-1]))] if self._way else []

    def _commit(self, state: MarkState, way: list[Point]) -> Rect | None:
        start, end = self._clamped(way[0]), self._clamped(way[-1])
        drags = state.drags
        still = math.dist(start, end) < self.reach / 2
        if self._fixed is None or self._fixed[0] >= len(drags):
            return state.add_drag(start, start if still else end)
        if still:
            return None
        index, side = self._fixed
        drags[index] = (drags[index][0], end) if side else (end, drags[index][1])
        return state.change(drags=drags)

    def _clamped(self, point: Point) -> Point:
        return min(max(point[0], 0.0), float(self._size[0])), min(max(point[1], 0.0), float(self._size[1]))


class Pick(Tool):
    """Clicks on an object, which `selector` turns into a mask. Further clicks correct it; Escape goes on to another object.

    Args:
        selector: see `Selector`. It runs while the hand waits: let it return None and use a thread if it takes seconds. Without one,
            clicks are only kept.
        positive: whether clicks are on the object, or on what is not the object.
    """

    name, shortcut = "pick", "k"

    def __init__(self, selector: Selector | None = None, positive: bool = True) -> None:
        self.selector, self.positive = selector, positive
        self._pressed: Point | None = None
        self._asked: tuple[Selector | None, list[Click], np.ndarray | None] = (None, [], None)

    def down(self, state: MarkState, x: float, y: float) -> Rect | None:
        self._pressed = (x, y)
        return None

    def up(self, state: MarkState, x: float, y: float) -> Rect | None:
        pressed, self._pressed = self._pressed, None
        inside = 0 <= x <= state.size[0] and 0 <= y <= state.size[1]
        if pressed is None or not inside or math.dist(pressed, (x, y)) > self.reach:
            return None
        known = state.points if self._asked[0] is self.selector else []  # another selector begins anew
        clicks = [*known, (x, y, self.positive)]
        before, after = self._selected(known), self._selected(clicks)
        mask = state.mask if before is None else state.mask & ~before  # what was painted by hand elsewhere stays
        return state.change(mask if after is None else mask | after, points=clicks)

    def leave(self, state: MarkState, x: float, y: float) -> Rect | None:
        self._pressed = None
        return None

    def key(self, state: MarkState, key: str) -> Rect | None:
        return state.change(points=()) if key == "Escape" else super().key(state, key)

    def cancel(self) -> None:
        self._pressed = None

    def _selected(self, clicks: list[Click]) -> np.ndarray | None:
        if self.selector is None or not clicks:
            return None
        if self._asked[0] is not self.selector or self._asked[1] != clicks:
            self._asked = (self.selector, clicks, self.selector(list(clicks)))
        return self._asked[2]


TOOLS: dict[str, type[Tool]] = {tool.name: tool for tool in (Brush, Eraser, Lasso, Polygon, Box, DragArrows, Pick)}
