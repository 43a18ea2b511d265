"""A smooth warp: what is at some points comes to other points, its neighbourhood comes along, and what is far away stays."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from dragonkit.imaging.masks import Grid, bounding_box
from dragonkit.imaging.rasters import area_average, squared_distance

__all__ = ["Deformation", "rigid"]

Point = tuple[float, float]

REACH = 2.5
"""How far from its handles a drag is felt, in lengths of the drag. From 1.5 on, a lone drag far from any border folds nothing."""
LEAST_REACH = 0.1
"""The same for short drags: as a fraction of the picture's shorter side."""
HANDLE = 1 / 16
"""The radius within which a lone handle keeps its shape, as a fraction of the reach."""
STRETCHED = 0.1
"""From this strain on, content does not only move and turn."""
RIM = 1 / 32
"""Near a border even the rigid part must give way: over this fraction of the distance to its handle."""

_FINEST = 512  # cells a side of the raster on which distances to the mask's border are computed
_CHUNK = 2**15  # places evaluated at once: bounds the memory, whatever the picture's size
_BLOCK = 2**15  # distances between places and handles at once: these stay in the processor's cache


class Deformation:
    """A backward map of the picture: the place p of the result shows what was at p + displacement(p).

    Around the handles it is rigid: moving least squares with rigid motions (Schaefer, McPhail, Warren, "Image Deformation Using Moving
    Least Squares", 2006). Handles hold together when they lie under one mask, or when their reaches meet: their convex hull moves as a
    whole, and so does what lies beyond it by no more than they are apart, or are dragged. Further out by d, the displacement fades as
    room / (room + d), smoothed, where room is the distance to the border of the mask or to the end of the reach. For a lone point in a
    disc that is the linear stretch of FastDrag (arXiv 2405.15769), here as a backward map and in any region. Towards an anchor it
    fades alike, on all the way from the nearest handle.

    Args:
        points: pairs of start and end, (x, y) in pixels of the picture, at least one that moves; no two share their start or their end.
            A pair whose end is its start is an anchor: nothing moves there.
        size: (width, height) of the picture.
        mask: bool (height, width), outside of which nothing moves; None for the whole picture. The picture's own border holds nothing.
    """

    def __init__(self, points: Sequence[tuple[Point, Point]], size: tuple[int, int], mask: np.ndarray | None = None) -> None:
        pairs = _complex(np.unique(np.array(points, dtype=np.float64), axis=0))
        moving = pairs[:, 0] != pairs[:, 1]
        self.size, self.mask = size, mask
        self._anchors = pairs[~moving, 0]
        self._starts, self._ends = pairs[moving].T
        self._lengths = np.abs(self._ends - self._starts)
        self._reaches = np.maximum(REACH * self._lengths, LEAST_REACH * min(size))
        self._groups = _connected(self._ends, self._reaches) if mask is None else [np.arange(len(self._ends))]
        self._room = _nowhere if mask is None else _border_distance(mask, self._reaches.max())

    def displacement(self, positions: np.ndarray) -> np.ndarray:
        """Where the content of each place comes from, as the way there: (..., 2) in pixels for positions (..., 2) in pixels."""
        places = _complex(positions)
        room, most = self._room(places), np.zeros(places.shape)
        moved, total = np.zeros(places.shape, complex), np.full(places.shape, 1e-300)
        for group in self._groups:
            ends, starts = self._ends[group], self._starts[group]
            felt = self._felt(places, room, group, ends)
            where, share = felt > 0, felt[felt > 0]
            if len(self._groups) > 1:  # so that no group has a say at another one's ends
                share = share / (_distance(places[where], ends) ** 2 + 1e-9)
            moved[where] += share * _rigid_motion(places[where], ends, starts)
            total[where] += share
            most = np.maximum(most, felt)
        moved *= most / total
        return np.stack([moved.real, moved.imag], axis=-1)

    def grip(self, positions: np.ndarray) -> np.ndarray:
        """How much of what is at each place is dragged along: 1 at the starts to 0 out of reach, (...) for positions (..., 2) in pixels."""
        places = _complex(positions)
        room, most = self._room(places), np.zeros(places.shape)
        for group in self._groups:
            most = np.maximum(most, self._felt(places, room, group, self._starts[group]))
        return most

    def movable(self, positions: np.ndarray) -> np.ndarray:
        """Whether there is content that may be moved: within the picture, and within the mask. Bool (...) for positions (..., 2)."""
        cell = np.floor(positions).astype(int)
        last = np.array(self.size) - 1
        inside = ((cell >= 0) & (cell <= last)).all(axis=-1)
        if self.mask is None:
            return inside
        x, y = np.moveaxis(cell.clip(0, last), -1, 0)
        return inside & self.mask[y, x]

    def on(self, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
        """`displacement` (h, w, 2) and `grip` (h, w) at the centres of a grid's cells, in pixels; the grid lies over the same picture."""
        points, margin = np.concatenate([self._starts, self._ends]), (1 + HANDLE) * self._reaches.max() + self._lengths.max()
        x, y = (np.arange(grid.width) + 0.5) * grid.cell_width, (np.arange(grid.height) + 0.5) * grid.cell_height
        # beyond, all is 0
        left, right = np.searchsorted(x, (points.real.min() - margin, points.real.max() + margin))
        top, bottom = np.searchsorted(y, (points.imag.min() - margin, points.imag.max() + margin))
        displacement, grip = np.zeros((*grid.shape, 2)), np.zeros(grid.shape)
        rows = max(_CHUNK // max(right - left, 1), 1)
        for row in range(top, bottom, rows):
            part = slice(row, min(row + rows, bottom)), slice(left, right)
            positions = np.stack(np.meshgrid(x[part[1]], y[part[0]]), axis=-1)
            displacement[part], grip[part] = self.displacement(positions), self.grip(positions)
        return displacement, grip

    def _felt(self, places: np.ndarray, room: np.ndarray, group: np.ndarray, handles: np.ndarray) -> np.ndarray:
        """How much of a group's motion is felt, 1 to 0, with its handles at their starts or at their ends."""
        reach, apart = self._reaches[group].max(), np.abs(handles[:, None] - handles).max()
        # a handle's neighbourhood must not lap over the border or the anchor that is nearest to it
        shape = min(HANDLE * self._reaches[group].min(), self._room(handles).min() / 2, _distance(handles, self._anchors).min() / 2)
        near, anchored = np.maximum(_distance(places, handles) - shape, 0), _distance(places, self._anchors)
        beyond = np.maximum(_outside_hull(places, handles) - shape - min(self._lengths[group].max(), apart), 0)
        left = np.clip(np.minimum(room, reach - beyond), 0, None)
        share = np.minimum(_ratio(left, left + beyond), _ratio(room, RIM * near))
        if len(self._anchors):
            share = np.minimum(share, _ratio(anchored, anchored + near))
        return share * share * (3 - 2 * share)


def rigid(displacement: np.ndarray) -> np.ndarray:
    """Where a backward map of pixels only moves and turns content, bool (H, W): its Green strain is below `STRETCHED`.

    Args:
        displacement: (H, W, 2) in pixels, as `Deformation.on` gives it.
    """
    if min(displacement.shape[:2]) < 2:
        return np.ones(displacement.shape[:2], bool)
    down, right = np.gradient(displacement, axis=(0, 1))
    jacobian = np.stack([right, down], axis=-1) + np.eye(2)
    return np.abs(np.swapaxes(jacobian, -1, -2) @ jacobian - np.eye(2)).max(axis=(-1, -2)) < STRETCHED


def _complex(positions: np.ndarray) -> np.ndarray:
    """Positions (..., 2) as complex numbers (...): turning becomes multiplying."""
    return positions[..., 0] + 1j * positions[..., 1]


def _rigid_motion(places: np.ndarray, ends: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """At each place (n,), the way under the rigid motion that takes the ends to the starts as well as it can, near ones counting most."""
    own, other = ends - ends.mean(), starts - starts.mean()  # exactly 0 for a lone handle, which leaves the turn open
    sums = np.empty((len(places), 4), complex)
    summed = np.stack([np.ones_like(own), own, other, own.conj() * other], axis=-1).view(float)
    for part, weights in _squared_distances(places, ends):
        np.reciprocal(weights, out=weights)
        sums[part] = (weights @ summed).view(complex)
    total, end, start, product = sums.T
    end, start = end / total, start / total
    fit = product / total - end.conj() * start
    size = np.abs(fit)
    turn = np.divide(fit, size, out=np.ones_like(fit), where=size > 0)
    return turn * (places - ends.mean() - end) + starts.mean() + start - places


def _distance(places: np.ndarray, points: np.ndarray) -> np.ndarray:
    """The distance to the nearest point, infinite where there is none."""
    flat = places.reshape(-1)
    nearest = np.full(flat.shape, np.inf)
    if len(points):
        for part, squared in _squared_distances(flat, points):
            least = squared.min(axis=1)
            nearest[part] = np.sqrt(least)
            close = np.flatnonzero(least < 1)  # exact here, for what is held must be held
            nearest[part.start + close] = np.abs(flat[part][close] - points[squared[close].argmin(axis=1)])
    return nearest.reshape(places.shape)


def _squared_distances(places: np.ndarray, points: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Of places (n,) to points (m,): a part of the places after the other, and its distances (part, m), which may be written to.

    |a - b|^2 = |a|^2 - 2 ab + |b|^2 as a product of matrices is five times as fast as differences; in a picture of 10000 pixels it is
    right to a thousandth of a pixel next to a point, and better everywhere else.
    """
    middle = points.mean()
    a, b = places - middle, points - middle
    left = np.stack([np.ones(len(a)), a.real, a.imag, a.real**2 + a.imag**2], axis=1)
    right = np.stack([b.real**2 + b.imag**2, -2 * b.real, -2 * b.imag, np.ones(len(b))])
    step = max(_BLOCK // len(points), 1)
    for begin in range(0, len(places), step):
        part = slice(begin, begin + step)
        squared = left[part] @ right
        yield part, np.maximum(squared, 1e-9, out=squared)


def _outside_hull(places: np.ndarray, points: np.ndarray) -> np.ndarray:
    """The distance to the points' convex hull, 0 inside."""
    corners = _hull(points)
    nearest, inside = np.full(places.shape, np.inf), np.ones(places.shape, bool)
    for corner, following in zip(corners, np.roll(corners, -1), strict=True):
        edge, seen = following - corner, places - corner
        turned = edge.conjugate() * seen  # its parts: along and across the edge
        share = np.clip(turned.real / max(abs(edge) ** 2, 1e-12), 0, 1)
        nearest = np.minimum(nearest, np.abs(seen - share * edge))
        inside &= turned.imag > 0
    return np.where(inside, 0, nearest)


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """part / whole, at most 1; and 1 where there is no whole."""
    return np.divide(part, whole, out=np.ones_like(whole), where=whole > part)


def _hull(points: np.ndarray) -> np.ndarray:
    """The corners of the convex hull in order, the inside to the side of growing angles (Andrew's monotone chain)."""
    ordered = np.unique(points)  # by x, then by y
    if len(ordered) < 3:
        return ordered
    corners: list[complex] = []
    for chain in (ordered, ordered[::-1]):
        half: list[complex] = []
        for point in chain:
            while len(half) > 1 and ((half[-1] - half[-2]).conjugate() * (point - half[-1])).imag <= 0:
                half.pop()
            half.append(point)
        corners += half[:-1]
    return np.array(corners)


def _connected(points: np.ndarray, reaches: np.ndarray) -> list[np.ndarray]:
    """Indices of points whose reaches meet, directly or through others."""
    group = np.arange(len(points))
    for i, point in enumerate(points):
        near = np.abs(points - point) <= reaches + reaches[i]
        group[np.isin(group, group[near])] = group[i]
    return [np.flatnonzero(group == number) for number in np.unique(group)]


def _nowhere(places: np.ndarray) -> np.ndarray:
    """The distance to a border that there is not."""
    return np.full(places.shape, np.inf)


def _border_distance(mask: np.ndarray, reach: float) -> Callable[[np.ndarray], np.ndarray]:
    """The distance in pixels, up to `reach`, to the mask's outside as a function of places; in large pictures a little less."""
    (height, width), (left, top, right, bottom) = mask.shape, bounding_box(mask)
    left, top, right, bottom = max(left - 1, 0), max(top - 1, 0), min(right + 1, width), min(bottom + 1, height)
    cell = math.ceil(max(right - left, bottom - top) / _FINEST)
    outside = area_average(~mask, np.arange(top, bottom + cell, cell), np.arange(left, right + cell, cell)) > 0
    distance = np.minimum(cell * np.sqrt(squared_distance(outside, reach / cell)), reach)
    lowest, rightmost = np.array(distance.shape) - 1

    def interpolated(places: np.ndarray) -> np.ndarray:
        x = np.clip((places.real - left) / cell - 0.5, 0, rightmost)
        y = np.clip((places.imag - top) / cell - 0.5, 0, lowest)
        column, row = x.astype(int), y.astype(int)
        next_column, next_row = np.minimum(column + 1, rightmost), np.minimum(row + 1, lowest)
        upper = distance[row, column] + (x - column) * (distance[row, next_column] - distance[row, column])
        lower = distance[next_row, column] + (x - column) * (distance[next_row, next_column] - distance[next_row, column])
        return upper + (y - row) * (lower - upper)

    return interpolated
