"""Affine maps of pictures, and the masks of an edit that moves content along one.

A map is a float64 array (2, 3) that takes picture pixels (x, y) to their new places: `affine @ (x, y, 1)`. Positions are in
pixels, origin top left, y down, pixel centres at integer + 0.5. Whatever leaves the picture is lost.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from dragonkit.errors import EditError, PointError
from dragonkit.imaging.mask_files import checked_mask
from dragonkit.imaging.masks import bounding_box
from dragonkit.imaging.places import FAR, checked_numbers, checked_places
from dragonkit.imaging.rasters import area_average
from dragonkit.words import place, short

__all__ = ["affine_about", "affine_through", "inverse_affine", "map_points", "warp_mask"]

_TIE = 1e-9  # pixels covered by exactly one half must not flip with rounding
_FLAT = 1e-6  # a map that shortens some direction more than this has no usable inverse
_SAMPLES = 4  # per side of a pixel
_BAND = 1 << 18  # pixels looked up at once: bounds the memory, whatever the picture's size

Point = tuple[float, float]


def affine_about(center: Point, scale: float = 1.0, degrees: float = 0.0, shift: Point = (0.0, 0.0)) -> np.ndarray:
    """The map that scales and turns about `center`, then shifts.

    Args:
        center: (x, y), the point that only the shift moves.
        scale: above 0; 2 is twice the size.
        degrees: clockwise as seen.
        shift: (dx, dy) in pixels; right and down are positive.

    Raises:
        EditError: scale is not positive, or a number is none that can be computed with. PointError: center or shift is no place.

    Example:
        >>> turn = affine_about((10, 10), degrees=90)
        >>> map_points(turn, [(12, 10)]).round(6).tolist()  # what was on the right is below
        [[10.0, 12.0]]
    """
    start, way = checked_places([center, shift], "center and shift")
    checked_numbers("Use 0.5 for half the size, and degrees for a turn.", scale=scale, degrees=degrees)
    if scale <= 0:
        raise EditError(f"a map needs a positive scale, got {scale}. Use 0.5 for half the size.")
    cos, sin = scale * math.cos(math.radians(degrees)), scale * math.sin(math.radians(degrees))
    linear = np.array([[cos, -sin], [sin, cos]])  # y points down, so this is clockwise
    return _around(linear, start, start + way)


def affine_through(pairs: Sequence[tuple[Point, Point]]) -> np.ndarray:
    """The map that takes the first point of every pair ((x0, y0), (x1, y1)) to the second.

    One pair fixes a shift; two a similarity (shift, turn and size); three an affine map; more the one nearest by least squares.

    Raises:
        PointError: no pairs, starts that fix no map (two at one point, three or more on one line), or ends that would flatten
            everything to a line or a point.

    Example:
        >>> affine_through([((0, 0), (5, 5)), ((10, 0), (25, 5))]).round(6).tolist()  # twice as large, and 5 to the right and down
        [[2.0, -0.0, 5.0], [0.0, 2.0, 5.0]]
    """
    starts, ends = _checked_pairs(pairs)
    start, end = starts.mean(axis=0), ends.mean(axis=0)
    if len(pairs) == 1:
        linear = np.eye(2)
    elif len(pairs) == 2:
        before, after = (complex(*(points[1] - points[0])) for points in (starts, ends))
        if abs(before) < _FLAT:
            raise PointError(f"both pairs start at {place(start)}, which fixes neither turn nor size. Start them at different points.")
        ratio = after / before
        linear = np.array([[ratio.real, -ratio.imag], [ratio.imag, ratio.real]])
    else:
        longest, shortest = np.linalg.svd(starts - start, compute_uv=False)[:2]
        if shortest <= _FLAT * max(longest, 1.0):
            raise PointError(
                f"the {len(pairs)} pairs start on one line, near {place(start)}, which fixes no map across it. "
                "Start one of them off the line, or give two pairs for a turn and a size."
            )
        linear = np.linalg.lstsq(starts - start, ends - end, rcond=None)[0].T
    if _is_flat(linear):
        where = "at one point" if len(pairs) == 2 else "on one line"
        raise PointError(f"the pairs end {where}, near {place(end)}, which would flatten everything to nothing. Move an end away from it.")
    return _around(linear, start, end)


def inverse_affine(affine: np.ndarray) -> np.ndarray:
    """The map back, float64 (2, 3). EditError when there is none."""
    try:
        affine = np.asarray(affine, dtype=np.float64)
    except (OverflowError, TypeError, ValueError):
        affine = np.empty(0)
    if affine.shape != (2, 3) or not (np.abs(affine) <= FAR**2).all():
        raise EditError(
            f"an affine map is a finite array (2, 3) of numbers up to {FAR**2:g}, got {short(affine.tolist())}. "
            "Make one with affine_about or affine_through."
        )
    if _is_flat(affine[:, :2]):
        raise EditError(f"the map {affine.tolist()} flattens everything to a line or a point. Use one that can be undone.")
    linear = np.linalg.inv(affine[:, :2])
    return np.column_stack([linear, -linear @ affine[:, 2]])


def map_points(affine: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Where the map takes points (..., 2): float64 of the same shape."""
    return np.asarray(points) @ affine[:, :2].T + affine[:, 2]


def warp_mask(mask: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """The bool mask (H, W) along the map: pixels at least half covered by the mapped mask are inside.

    Coverage is exact where the map neither turns nor shears, and else counted on 4 x 4 points of every pixel.

    Raises:
        MaskError: no bool array (H, W).
        EditError: the map cannot be undone.
    """
    mask, back = checked_mask(mask), inverse_affine(affine)
    warped = np.zeros_like(mask)
    if not mask.any():
        return warped
    left, top, right, bottom = bounding_box(mask)
    corners = map_points(affine, np.array([(left, top), (right, top), (left, bottom), (right, bottom)], dtype=float))
    size = mask.shape[::-1]
    (x0, y0), (x1, y1) = (np.clip(edge, 0, size).astype(int) for edge in (np.floor(corners.min(axis=0)), np.ceil(corners.max(axis=0))))
    if x0 == x1 or y0 == y1:
        return warped
    inside = mask[top:bottom, left:right]
    back = back - [(0, 0, left), (0, 0, top)]  # positions in the cut-out from here on
    if back[0, 1] == back[1, 0] == 0 and min(back[0, 0], back[1, 1]) > 0:
        rows, columns = (back[axis, axis] * np.arange(a, b + 1) + back[axis, 2] for axis, a, b in ((1, y0, y1), (0, x0, x1)))
        warped[y0:y1, x0:x1] = area_average(inside, rows, columns) >= 0.5 - _TIE
    else:
        band = max(1, _BAND // (x1 - x0))
        for y in range(y0, y1, band):
            below = min(y + band, y1)
            warped[y:below, x0:x1] = _half_covered(inside, back, np.arange(y, below), np.arange(x0, x1))
    return warped


def _half_covered(mask: np.ndarray, back: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Which pixels of these rows and columns have half of their sample points come from inside the mask."""
    height, width = mask.shape
    rimmed = np.pad(mask, 1).ravel()  # whatever lies outside is looked up in the rim
    count = np.zeros((len(rows), len(columns)), np.uint8)
    offsets = (np.arange(_SAMPLES) + 0.5) / _SAMPLES
    for dy in offsets:
        y = (rows + dy)[:, None]
        for dx in offsets:
            x = columns + dx
            column, row = (
                np.clip(back[axis, 0] * x + (back[axis, 1] * y + back[axis, 2] + 1), 0, length + 1).astype(np.int32)
                for axis, length in enumerate((width, height))
            )
            count += rimmed[row * (width + 2) + column]
    return 2 * count >= _SAMPLES**2


def _around(linear: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """The map with this linear part that takes `start` to `end`."""
    return np.column_stack([linear, end - linear @ start])


def _is_flat(linear: np.ndarray) -> bool:
    longest, shortest = np.linalg.svd(linear, compute_uv=False)
    return bool(shortest < max(_FLAT, 1e-12 * longest))  # below the second it is rounding


def _checked_pairs(pairs: Sequence[tuple[Point, Point]]) -> tuple[np.ndarray, np.ndarray]:
    try:
        points = np.asarray(pairs, dtype=np.float64)
    except (OverflowError, TypeError, ValueError):
        points = np.empty(0)
    if points.ndim != 3 or points.shape[0] < 1 or points.shape[1:] != (2, 2) or not (np.abs(points) <= FAR).all():
        raise PointError(
            f"a map goes through pairs of finite points ((x0, y0), (x1, y1)) up to {FAR:g}, got {short(pairs)}. Give one pair or more."
        )
    return points[:, 0], points[:, 1]
