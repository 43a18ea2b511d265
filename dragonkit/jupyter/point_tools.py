"""Tools that mark places: arrows, and clicks that a selector turns into a mask."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from dragonkit.errors import MaskError
from dragonkit.jupyter.marks import MarkState
from dragonkit.jupyter.shapes import Arrow, Shape
from dragonkit.jupyter.tool import Stroke, Tool
from dragonkit.jupyter.undo import Click
from dragonkit.strokes import Point, Rect

__all__ = ["DragArrows", "Pick", "Selector"]

Selector: TypeAlias = Callable[[list[Click]], np.ndarray | None]
"""Clicks (x, y, on the object) to a mask, bool (H, W); None when the mask will be set later, by a thread perhaps."""


class DragArrows(Stroke):
    """Draws arrows. A click is a pin, which holds its place; an end of an arrow can be taken elsewhere; Delete removes the last arrow.

    Args:
        single: whether a new arrow replaces the one before, where only one makes sense.
    """

    name, shortcut = "drag", "d"

    def __init__(self, single: bool = False) -> None:
        super().__init__()
        self.single = single
        self._held: tuple[int, int] | None = None  # the arrow whose end is held, and which of its ends
        self._size = (0, 0)

    def down(self, state: MarkState, x: float, y: float) -> Rect | None:
        self._size = state.size
        ends = [(math.dist((x, y), end), index, side) for index, drag in enumerate(state.drags) for side, end in enumerate(drag)]
        near = [end for end in ends if end[0] <= self.reach]
        # where both are near, as on a pin, the end rather than the start: a pin becomes an arrow
        self._held = min(near, key=lambda end: (end[0], -end[1], -end[2]))[1:] if near else None
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
        if self._held is None or self._held[0] >= len(drags):
            return state.change(drags=[*([] if self.single else drags), (start, start if still else end)])
        if still:
            return None
        index, side = self._held
        drags[index] = (drags[index][0], end) if side else (end, drags[index][1])
        return state.change(drags=drags)

    def _clamped(self, point: Point) -> Point:
        return min(max(point[0], 0.0), float(self._size[0])), min(max(point[1], 0.0), float(self._size[1]))


class Pick(Tool):
    """Clicks on an object, which `selector` turns into a mask. Further clicks correct it; Escape goes on to another object.

    A selector that is changed in between gets all clicks on the object, and its mask replaces the one before.

    Args:
        selector: see `Selector`. It runs while the hand waits: let it return None and use a thread if it takes seconds. Without one,
            clicks are only kept.
        positive: whether clicks are on the object, or on what is not the object.
    """

    name, shortcut = "pick", "k"

    def __init__(self, selector: Selector | None = None, positive: bool = True) -> None:
        self.selector, self.positive = selector, positive
        self._pressed: Point | None = None
        self._selected: tuple[list[Click], np.ndarray | None] = ([], None)

    def down(self, state: MarkState, x: float, y: float) -> Rect | None:
        self._pressed = (x, y)
        return None

    def up(self, state: MarkState, x: float, y: float) -> Rect | None:
        pressed, self._pressed = self._pressed, None
        inside = 0 <= x <= state.size[0] and 0 <= y <= state.size[1]
        if pressed is None or not inside or math.dist(pressed, (x, y)) > self.reach:
            return None
        clicks = [*state.points, (x, y, self.positive)]
        before, after = self._mask_of(state, state.points), self._mask_of(state, clicks)
        mask = state.mask if before is None else state.mask & ~before  # what was painted by hand elsewhere stays
        return state.change(mask if after is None else mask | after, points=clicks)

    def leave(self, state: MarkState, x: float, y: float) -> Rect | None:
        self._pressed = None
        return None

    def key(self, state: MarkState, key: str) -> Rect | None:
        return state.change(points=()) if key == "Escape" else super().key(state, key)

    def cancel(self) -> None:
        self._pressed = None

    def _mask_of(self, state: MarkState, clicks: list[Click]) -> np.ndarray | None:
        if self._selected[0] != clicks:
            mask = self.selector(list(clicks)) if self.selector and clicks else None
            if mask is not None and (mask.dtype != np.bool_ or mask.shape != state.mask.shape):
                raise MaskError(
                    f"the selector gave {mask.dtype} {mask.shape}, but the picture's masks are bool {state.mask.shape}. "
                    "Give it the picture that is shown, and return (height, width)."
                )
            self._selected = (clicks, mask)
        return self._selected[1]
