"""Strokes and outlines as pixels, exactly: a pixel is inside when its centre is.

Positions are (x, y) in image pixels, pixel centres at integer + 0.5. Every function returns a `Region`, cut at the picture's border, or
None where no pixel is left. The cost grows with the rows that a stroke crosses, not with its area.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from dragonkit.errors import EditError
from dragonkit.imaging.places import checked_numbers, checked_places
from dragonkit.words import short

__all__ = ["Point", "Rect", "Region", "polygon", "rectangle", "stroke"]

Point: TypeAlias = tuple[float, float]
Rect: TypeAlias = tuple[int, int, int, int]
"""(left, top, right, bottom) in pixels; right and bottom are exclusive, as in PIL."""
Region: TypeAlias = tuple[Rect, np.ndarray]
"""A rectangle, and which of its pixels are inside: bool (bottom - top, right - left)."""


def stroke(points: Sequence[Point], diameter: float, size: tuple[int, int]) -> Region | None:
    """What a round brush covers on its way from point to point: all within `diameter` / 2 of the way, without gaps.

    The pixels that the points lie in are always inside, and a brush thinner than a pixel counts as one pixel thick.

    Args:
        points: one or more positions; one alone is a dot.
        size: (width, height) of the picture.

    Raises:
        PointError: the points are no places. EditError: the diameter is no length.
    """
    checked_numbers("Give the brush's size in pixels.", diameter=diameter)
    path, radius = checked_places(points), max(diameter, 1.0) / 2
    start, end = (path[:-1], path[1:]) if len(path) > 1 else (path, path)
    low, high = np.minimum(start[:, 1], end[:, 1]) - radius, np.maximum(start[:, 1], end[:, 1]) + radius
    segment, rows = _rows(np.ceil(low - 0.5), np.floor(high - 0.5) + 1, size[1])
    left, right = _chord(start[segment], end[segment], rows + 0.5, radius)
    own = np.floor(path)
    own = own[(own[:, 1] >= 0) & (own[:, 1] < size[1])]
    return _from_spans(
        np.concatenate([rows, own[:, 1]]),
        np.concatenate([np.ceil(left - 0.5), own[:, 0]]),
        np.concatenate([np.floor(right - 0.5) + 1, own[:, 0] + 1]),
        size,
    )


def polygon(points: Sequence[Point], size: tuple[int, int]) -> Region | None:
    """What the closed outline goes round, however often and whichever way (the non-zero winding rule): to circle a thing twice is fine.

    Args:
        points: corners; the last is joined to the first.
        size: (width, height) of the picture.

    Raises:
        PointError: the points are no places.
    """
    start = checked_places(points)
    end = np.roll(start, -1, axis=0)
    low, high = np.minimum(start[:, 1], end[:, 1]), np.maximum(start[:, 1], end[:, 1])
    edge, rows = _rows(np.ceil(low - 0.5), np.ceil(high - 0.5), size[1])  # half open: no row meets a corner twice
    if not rows.size:
        return None
    (ax, ay), (bx, by) = start[edge].T, end[edge].T
    crossing = ax + (rows + 0.5 - ay) * (bx - ax) / (by - ay)
    columns = np.clip(np.ceil(crossing - 0.5), 0, size[0])  # pixels from here on are right of the edge
    return _filled(rows, columns, np.where(by > ay, 1, -1), size)


def rectangle(box: Rect, size: tuple[int, int]) -> Region | None:
    """All pixels of a rectangle. EditError unless its edges are whole numbers."""
    if not all(isinstance(edge, (int, np.integer)) for edge in box):
        raise EditError(f"a rectangle's edges must be whole pixels, got {short(box)}. Round them first.")
    left, top, right, bottom = max(box[0], 0), max(box[1], 0), min(box[2], size[0]), min(box[3], size[1])
    return ((left, top, right, bottom), np.ones((bottom - top, right - left), bool)) if left < right and top < bottom else None


def _rows(first: np.ndarray, stop: np.ndarray, height: int) -> tuple[np.ndarray, np.ndarray]:
    """Every row from first[i] to stop[i] - 1 that the picture has: the indices i, and the rows."""
    first, stop = (np.clip(edge, 0, height).astype(int) for edge in (first, stop))
    counts = np.maximum(stop - first, 0)
    index = np.repeat(np.arange(len(counts)), counts)
    return index, np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts) + first[index]


def _chord(start: np.ndarray, end: np.ndarray, y: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Where the horizontal line at `y` enters and leaves the disc of `radius` swept from start to end: smallest and largest x.

    With the disc's centre at start + t (end - start) and u = y - centre_y, the line is in the disc from centre_x - sqrt(r^2 - u^2) to
    centre_x + sqrt(r^2 - u^2). Over all t the one is convex and the other concave, with extremes where u = +-r dx sign(dy) / length.
    """
    (ax, ay), (dx, dy) = start.T, (end - start).T
    level = dy == 0
    tilt = radius * dx / np.maximum(np.hypot(dx, dy), np.finfo(float).tiny) * np.sign(dy)
    ends = []
    for side in (-1, 1):
        with np.errstate(over="ignore"):
            turning = (y - ay + side * tilt) / np.where(level, 1.0, dy)
        t = np.where(level, side * dx > 0, np.clip(turning, 0, 1))
        ends.append(ax + t * dx + side * np.sqrt(np.maximum(radius**2 - (y - ay - t * dy) ** 2, 0)))
    return ends[0], ends[1]


def _from_spans(rows: np.ndarray, first: np.ndarray, stop: np.ndarray, size: tuple[int, int]) -> Region | None:
    """The union of pixels first[i] to stop[i] - 1 of rows[i]."""
    first, stop = np.clip(first, 0, size[0]), np.clip(stop, 0, size[0])
    some = first < stop
    rows, first, stop = rows[some], first[some], stop[some]
    ones = np.ones(len(rows), int)
    return _filled(np.concatenate([rows, rows]), np.concatenate([first, stop]), np.concatenate([ones, -ones]), size)


def _filled(rows: np.ndarray, columns: np.ndarray, steps: np.ndarray, size: tuple[int, int]) -> Region | None:
    """Pixels at which the sum of all steps at or left of them, in their row, is not zero."""
    if not rows.size:
        return None
    rows, columns = rows.astype(int), columns.astype(int)
    top, left = int(rows.min()), int(columns.min())
    depth = np.zeros((int(rows.max()) + 1 - top, int(columns.max()) + 1 - left), np.int32)
    np.add.at(depth, (rows - top, columns - left), steps)
    return trimmed((left, top), (np.cumsum(depth, axis=1) != 0)[:, : size[0] - left])


def trimmed(corner: tuple[int, int], bits: np.ndarray) -> Region | None:
    """The smallest region that holds all True pixels of `bits`, whose own top left corner is at `corner`."""
    rows, columns = np.flatnonzero(bits.any(axis=1)), np.flatnonzero(bits.any(axis=0))
    if not rows.size:
        return None
    top, bottom, left, right = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
    rect = (corner[0] + left, corner[1] + top, corner[0] + right, corner[1] + bottom)
    return rect, bits[top:bottom, left:right]
