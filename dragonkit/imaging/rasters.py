"""The two computations on rasters that mask geometry rests on, both exact: area averages and Euclidean distances.

Positions are in pixels, pixel i of an axis covers [i, i + 1].
"""

from __future__ import annotations

import math

import numpy as np

__all__ = ["area_average", "squared_distance"]

_STRIP = 64  # columns at once, so that they stay in the processor's cache
_TIE = 1e-9  # sqrt(10)**2 is not quite 10


def area_average(values: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Average `values` (H, W) over rectangles, exactly, wherever their edges fall; beyond the raster lie zeros.

    Args:
        values: bool or numbers (H, W).
        rows: increasing y positions of the h + 1 horizontal edges.
        columns: increasing x positions of the w + 1 vertical edges.

    Returns:
        float64 (h, w): the mean over [rows[i], rows[i + 1]] x [columns[j], columns[j + 1]].
    """
    values = np.asarray(values)
    occupied = [np.flatnonzero(values.any(axis=axis)) for axis in (1, 0)]
    if not occupied[0].size:
        return np.zeros((len(rows) - 1, len(columns) - 1))
    # all else is zero, and sums to nothing
    (top, bottom), (left, right) = ((int(axis[0]), int(axis[-1]) + 1) for axis in occupied)
    by_row = _interval_means(values[top:bottom, left:right], rows, top, values.shape[0])
    return _interval_means(by_row.T, columns, left, values.shape[1]).T


def squared_distance(mask: np.ndarray, radius: float) -> np.ndarray:
    """Squared distance of every pixel to the nearest one inside the bool `mask` (H, W), centre to centre.

    Returns:
        float64 (H, W): exact up to `radius`, infinite beyond.
    """
    result = np.full(mask.shape, np.inf)
    if not mask.any():
        return result
    radius = min(radius, sum(mask.shape))  # nothing is farther apart; the square of a larger one may be none
    reach = math.floor(radius)
    # only what lies within reach of the mask's box can be finite
    rows, columns = (_within_reach(np.flatnonzero(mask.any(axis=axis)), reach) for axis in (1, 0))
    along_row = _squared_row_distance(mask[rows, columns], reach)
    for left in range(0, along_row.shape[1], _STRIP):
        strip = np.ascontiguousarray(along_row[:, left : left + _STRIP])
        _spread_along_columns(strip, reach)
        along_row[:, left : left + _STRIP] = strip
    result[rows, columns] = np.where(along_row <= radius**2 + _TIE, along_row, np.inf)
    return result


def _spread_along_columns(squared: np.ndarray, reach: int) -> None:
    """Turn squared distances within rows, int32 (H, W), to those within the plane, in place, as far as `reach`."""
    along_row, shifted = squared.copy(), np.empty_like(squared)
    for dy in range(1, min(reach, len(squared) - 1) + 1):
        if dy * dy >= squared.max():
            break
        np.add(along_row, dy * dy, out=shifted)
        np.minimum(squared[dy:], shifted[:-dy], out=squared[dy:])
        np.minimum(squared[:-dy], shifted[dy:], out=squared[:-dy])


def _interval_means(values: np.ndarray, edges: np.ndarray, first: int, length: int) -> np.ndarray:
    """Means along axis 0 between consecutive edges, from the running sum interpolated at the edges.

    Args:
        values: rows from `first` on, of `length` that there are; the others are zero.
    """
    kind = np.int32 if values.dtype == np.bool_ else np.float64  # exact for whole numbers, and half the memory
    running = np.zeros((len(values) + 1, *values.shape[1:]), kind)
    np.cumsum(values, axis=0, dtype=kind, out=running[1:])
    inside = np.clip(edges, 0, length)
    pixel = np.minimum(inside.astype(int), length - 1)
    row = pixel - first
    known = (row >= 0) & (row < len(values))
    partly = np.where(known, inside - pixel, 0.0)
    sums = running[np.clip(row, 0, len(values))] + partly[:, None] * values[np.clip(row, 0, len(values) - 1)]
    return np.diff(sums, axis=0) / np.diff(edges)[:, None]


def _within_reach(occupied: np.ndarray, reach: int) -> slice:
    return slice(max(int(occupied[0]) - reach, 0), int(occupied[-1]) + reach + 1)


def _squared_row_distance(mask: np.ndarray, reach: int) -> np.ndarray:
    """int32 (H, W): squared distance to the nearest True pixel of the same row, capped beyond `reach`."""
    width = mask.shape[1]
    here = np.arange(width, dtype=np.int32)
    never = np.int32(width + reach + 1)
    last = np.maximum.accumulate(np.where(mask, here, -never), axis=1)
    following = np.minimum.accumulate(np.where(mask, here, width + never)[:, ::-1], axis=1)[:, ::-1]
    return np.minimum(np.minimum(here - last, following - here), reach + 1).astype(np.int32) ** 2
