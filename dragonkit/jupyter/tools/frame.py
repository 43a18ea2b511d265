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
    """

    box: Rect
    middle: Point
    affine: np.ndarray = field(default_factory=lambda: FREE)
    turns: bool = True
    stalk: float = 0.0

    @cached_property
    def corners(self) -> tuple[Point, ...]:
        """Top left first, then clockwise, before it is turned."""
        left, top, right, bottom = self.box
        return tuple(self._there(x, y) for x, y in ((left, top), (right, top), (right, bottom), (left, bottom)))

    @cached_property
    def knob(self) -> Point | None:
        """Above the middle of the upper edge, and turned with it."""
        (left, top), (right, right_top) = self.corners[:2]
        x, y = (left + right) / 2, (top + right_top) / 2
        width = math.hypot(right - left, right_top - top) or 1.0
        return (x + self.stalk * (right_top - top) / width, y - self.stalk * (right - left) / width) if self.turns else None

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
        return "scale" if any(math.dist(point, corner) <= reach for corner in self.corners) else None

    def pulled(self, pull: Pull, start: Point, end: Point) -> float:
        """By how much a way from `start` to `end` scales it (a factor), or turns it (degrees, -180 to 180)."""
        before, after = ((x - self.center[0], y - self.center[1]) for x, y in (start, end))
        if pull == "scale":
            return math.hypot(*after) / max(math.hypot(*before), 1e-6)
        turn = math.degrees(math.atan2(after[1], after[0]) - math.atan2(before[1], before[0]))
        return (turn + 180) % 360 - 180

    def back(self, point: Point) -> Point:
        """Where that comes from which lies at a point; the point itself for a map that cannot be turned round."""
        turn, shift = self.affine[:, :2], self.affine[:, 2]
        if abs(np.linalg.det(turn)) < 1e-12:
            return point
        x, y = np.linalg.solve(turn, np.asarray(point) - shift)
        return float(x), float(y)

    def _there(self, x: float, y: float) -> Point:
        a, b = self.affine @ (x, y, 1.0)
        return float(a), float(b)
