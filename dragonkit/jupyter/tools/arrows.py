"""Arrows: the tool that draws them, and the keys that take what they move a little further."""

from __future__ import annotations

import math
from typing import TypeAlias

from dragonkit.imaging.masks import center_of
from dragonkit.imaging.strokes import Point, Rect
from dragonkit.jupyter.marks.shapes import Arrow, Handle, Shape
from dragonkit.jupyter.marks.state import MarkState
from dragonkit.jupyter.marks.undo import Drag
from dragonkit.jupyter.tools.base import Stroke

__all__ = ["NUDGES", "DragArrows", "nudged", "within"]

_End: TypeAlias = tuple[Drag, bool]
"""An arrow, and whether its end is meant or its start."""

NUDGES = {
    f"{shift}Arrow{name}": (step * dx, step * dy)
    for shift, step in (("", 1), ("shift+", 10))
    for name, dx, dy in (("Left", -1, 0), ("Right", 1, 0), ("Up", 0, -1), ("Down", 0, 1))
}
"""How far the arrow keys take what is moved, in pixels of the picture."""


class DragArrows(Stroke):
    """Draws arrows. A click beside them is a pin, which holds its place.

    From the start of an arrow, or from a pin, that one is drawn anew, since a point cannot go two ways. Anywhere else a new arrow begins,
    at the end of another one too. A click on an arrow chooses it, or lets it go: while it is chosen, both ends have handles to take
    them elsewhere, and Delete removes it. Without one that is chosen, Delete removes the last.

    Args:
        single: whether a new arrow replaces the one before, where only one makes sense. Its end has a handle all the time, and a click
            makes no pin: what is moved nowhere need not be moved.
    """

    name, shortcut = "drag", "d"

    def __init__(self, single: bool = False) -> None:
        super().__init__()
        self.single = single
        self._chosen: Drag | None = None
        self._held: _End | None = None  # of the arrow that is being changed
        self._size = (0, 0)

    @property
    def start(self) -> Point | None:
        """Where the arrow begins that is being drawn; None while none is."""
        return self._arrow()[0] if self._way else None

    def down(self, state: MarkState, x: float, y: float) -> Rect | None:
        self._size = state.size
        self._held = self._nearest((x, y), self._handles(state))
        if self._held is None and (anew := self._nearest((x, y), [(drag, False) for drag in state.drags])) is not None:
            self._held = (anew[0], True)
        return super().down(state, x, y)

    def key(self, state: MarkState, key: str) -> Rect | None:
        if key in NUDGES and not self.busy:
            return nudged(state, key)
        if self.busy or key not in ("Delete", "Backspace", "Escape"):
            return super().key(state, key)
        chosen, self._chosen = self._chosen, None
        if key == "Escape" or not state.drags:
            return None
        drags = state.drags
        del drags[drags.index(chosen) if chosen in drags else -1]
        return state.change(drags=drags)

    def preview(self, state: MarkState) -> list[Shape]:
        if self._way:
            return [Arrow(*self._arrow())]
        return [Handle(drag[is_end]) for drag, is_end in self._handles(state)]

    def _handles(self, state: MarkState) -> list[_End]:
        if self.single:
            return [(drag, True) for drag in state.drags[:1]]
        return [(drag, is_end) for drag in state.drags if drag == self._chosen for is_end in (True, False)]

    def _commit(self, state: MarkState, way: list[Point]) -> Rect | None:
        drags = state.drags
        if self._held is not None and self._held[0] not in drags:  # undone since it was taken
            self._held = None
        arrow = self._arrow(way)
        if math.dist(way[0], way[-1]) < self.reach / 2:
            clicked = min(drags, key=lambda drag: _away(way[0], drag), default=None)
            if clicked is not None and _away(way[0], clicked) <= self.reach:
                self._chosen = None if clicked == self._chosen else clicked
                return None
            if self.single:
                return None
            arrow = (arrow[0], arrow[0])
        if self.single:
            return state.change(drags=[arrow])
        if self._held is None:
            return state.change(drags=[*drags, arrow])
        if self._chosen == self._held[0]:
            self._chosen = arrow
        drags[drags.index(self._held[0])] = arrow
        return state.change(drags=drags)

    def _arrow(self, way: list[Point] | None = None) -> Drag:
        way = way or self._way
        start, end = within(way[0], self._size), within(way[-1], self._size)
        if self._held is None:
            return start, end
        (old_start, old_end), is_end = self._held
        return (old_start, end) if is_end else (end, old_end)

    def _nearest(self, point: Point, ends: list[_End]) -> _End | None:
        near = [(drag, is_end) for drag, is_end in ends if math.dist(point, drag[is_end]) <= self.reach]
        return min(near, key=lambda end: math.dist(point, end[0][end[1]]), default=None)


def nudged(state: MarkState, key: str) -> Rect | None:
    """The last arrow's end a pixel further, or ten with shift; without an arrow one from the middle of the mask, if there is a mask."""
    drags, (dx, dy) = state.drags, NUDGES[key]
    if not drags:
        if not state.mask.any():
            return None
        x, y = center_of(state.mask)
        drags = [((x, y), (x, y))]
    start, (x, y) = drags[-1]
    return state.change(drags=[*drags[:-1], (start, within((x + dx, y + dy), state.size))])


def within(point: Point, size: tuple[int, int]) -> Point:
    """The point, or the one nearest to it that is in a picture of this size."""
    return min(max(point[0], 0.0), float(size[0])), min(max(point[1], 0.0), float(size[1]))


def _away(point: Point, drag: Drag) -> float:
    """How far a point lies from an arrow."""
    (x, y), (to_x, to_y) = drag
    along = (to_x - x, to_y - y)
    length = along[0] ** 2 + along[1] ** 2
    share = 0.0 if length == 0 else min(max(((point[0] - x) * along[0] + (point[1] - y) * along[1]) / length, 0.0), 1.0)
    return math.dist(point, (x + share * along[0], y + share * along[1]))
