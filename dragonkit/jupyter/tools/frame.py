"""The box round what is selected, there where it shall go: corners to pull at, a knob to turn it, and the way back to where it is."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, TypeAlias

import numpy as np

from dragonkit.imaging.strokes import Point, Rect

__all__ = ["FREE", "Frame", "Pull", "When"]

Pull: TypeAlias = Literal["scale", "degrees"]
"""What a handle changes: how many times as large, or how far it is turned, clockwise as seen."""
When: TypeAlias = Literal["press", "move", "release"]
FREE: np.ndarray = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
"""The map that leaves everything where it is."""


@dataclass(frozen=True, eq=False)
class Frame:
    """Positions are pixels of the picture.

    Attributes:
        box: round the object where it is.
        middle: the point about which it is scaled and turned, where it is.
        affine: where it goes, float64 (2, 3).
        turns: whether there is a knob.
        stalk: how far the knob stands off.
        room: where handles can be reached; all of them lie in it, wherever the corners are. Anywhere when left out.
    """

    box: Rect
    middle: Point
    affine: np.ndarray = field(default_factory=lambda: FREE)
    turns: bool = True
    stalk: float = 0.0
    room: tuple[float, float, float, float] | None = None

    @cached_property
    def corners(self) -> tuple[Point, ...]:
        """Top left first, then clockwise, before it is turned."""
        left, top, right, bottom = self.box
        return tuple(self._there(x, y) for x, y in ((left, top), (right, top), (right, bottom), (left, bottom)))

    @cached_property
    def handles(self) -> tuple[Point, ...]:
        """Of the corners, in their order."""
        return tuple(map(self._reachable, self.corners))

    @cached_property
    def knob(self) -> Point | None:
        """Above the middle of the upper edge, and turned with it; below the lower edge where it could not be reached else."""
        if not self.turns:
            return None
        a, b, c, d = self.corners
        above, below = self._off(a, b), self._off(c, d)
        far = math.dist(above, self._reachable(above)) > self.stalk / 2
        return self._reachable(below if far and self._reachable(below) == below else above)

    @cached_property
    def center(self) -> Point:
        """The point about which it is scaled and turned, where it goes."""
        return self._there(*self.middle)

    @property
    def moved(self) -> bool:
        return not np.array_equal(self.affine, FREE)

    def handle_at(self, point: Point, reach: float) -> Pull | None:
        """Which handle is within reach."""
        if self.knob is not None and math.dist(point, self.knob) <= reach:
            return "degrees"
        return "scale" if any(math.dist(point, handle) <= reach for handle in self.handles) else None

    def cursor_at(self, point: Point, reach: float) -> str:
        """What the pointer looks like over a handle, as CSS calls it; nothing where there is none."""
        pull = self.handle_at(point, reach)
        if pull != "scale":
            return "grab" if pull else ""
        x, y = point[0] - self.center[0], point[1] - self.center[1]
        return "nwse-resize" if x * y > 0 else "nesw-resize"

    def pulled(self, pull: Pull, start: Point, end: Point) -> float:
        """By how much a way from `start` to `end` scales it (a factor), or turns it (degrees, -180 to 180)."""
        before, after = ((x - self.center[0], y - self.center[1]) for x, y in (start, end))
        if pull == "scale":
            return math.hypot(*after) / max(math.hypot(*before), 1.0)
        turn = math.degrees(math.atan2(after[1], after[0]) - math.atan2(before[1], before[0]))
        return (turn + 180) % 360 - 180

    def back(self, point: Point) -> Point:
        """Where that comes from which lies at a point; the point itself for a map that cannot be turned round."""
        turn, shift = self.affine[:, :2], self.affine[:, 2]
        if abs(np.linalg.det(turn)) < 1e-12:
            return point
        x, y = np.linalg.solve(turn, np.asarray(point) - shift)
        return float(x), float(y)

    def _off(self, left: Point, right: Point) -> Point:
        """A stalk away from the middle of an edge, to the left of the way from its one end to the other."""
        x, y, width = (left[0] + right[0]) / 2, (left[1] + right[1]) / 2, math.dist(left, right) or 1.0
        return x + self.stalk * (right[1] - left[1]) / width, y - self.stalk * (right[0] - left[0]) / width

    def _reachable(self, point: Point) -> Point:
        if self.room is None:
            return point
        left, top, right, bottom = self.room
        return min(max(point[0], left), right), min(max(point[1], top), bottom)

    def _there(self, x: float, y: float) -> Point:
        a, b = self.affine @ (x, y, 1.0)
        return float(a), float(b)
