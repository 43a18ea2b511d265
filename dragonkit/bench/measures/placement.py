"""Where a picture looks most like a template, and what that says about places: of moved objects, and of dragged points."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from dragonkit.bench.tasks.parts import Task
from dragonkit.imaging.masks import center_of
from dragonkit.toybox.scenes import Point

__all__ = ["best_shift", "drag_distance", "placement_error"]

_AROUND = 1 / 4  # objects are searched so far around where they belong (16 of 64 pixels), as a fraction of the picture's side
_MARGIN = 1 / 8  # and dragged points so far beyond the way they had to go
_PATCH = 1 / 16  # radius of the patch by which a point is known


def best_shift(picture: np.ndarray, template: np.ndarray, mask: np.ndarray, reach: float) -> tuple[int, int]:
    """The whole-pixel shift (dx, dy) at which the template's masked pixels are most like the picture.

    Least squared difference, of equals the shortest shift, among the places where all of these pixels are in the picture: beyond its border
    less would have to match. All shifts at once by the Fourier transform, rounded to whole numbers, so that equal is equal.

    Args:
        picture, template: uint8 (H, W, 3).
        mask: bool (H, W), not empty: the template's pixels.
        reach: the longest shift, in pixels.
    """
    radius = math.floor(reach)
    space = tuple(-(-(side + radius) // 32) * 32 for side in mask.shape)  # nothing within reach wraps around; round lengths are quick

    def transform(values: np.ndarray) -> np.ndarray:
        return np.fft.rfft2(values, space, axes=(0, 1))

    seen, shown = picture.astype(np.float64), template * mask[..., None].astype(np.float64)
    where, frame = np.conj(transform(mask)), transform(np.ones(mask.shape))
    # the sum over m of (a - b)^2, but for that of a^2, which is the same everywhere
    squares, products = where * transform((seen**2).sum(-1)), (np.conj(transform(shown)) * transform(seen)).sum(-1)
    error, count = (np.rint(np.fft.irfft2(product, space)) for product in (squares - 2 * products, where * frame))
    steps = np.arange(-radius, radius + 1)
    dx, dy = (axis.ravel() for axis in np.meshgrid(steps, steps))
    length = np.hypot(dx, dy)
    allowed = (count[dy, dx] == mask.sum()) & (length <= reach)
    dx, dy, length = dx[allowed], dy[allowed], length[allowed]
    best = np.lexsort((length, error[dy, dx]))[0]
    return int(dx[best]), int(dy[best])


def placement_error(task: Task, picture: np.ndarray) -> float:
    """How far from its place what looks most like the edited object is, in pixels; the mean where several objects are edited.

    The object is known by the answer's pixels in its mask. It is searched a quarter of the picture around its place, and farther where it
    came from farther: an object that stayed where it was is as far off as it should have gone, one that is nowhere at some chance place
    within reach. Nan where an edit leaves it in its place, or takes it away.

    Args:
        picture: uint8 (H, W, 3) of the scene's size.
    """
    template, size, errors = np.asarray(task.answer.image), task.scene.size, []
    for (mode, _), index in zip(task.edits, (task.index, *task.also), strict=True):
        if mode != "appearance" and index < len(task.answer.objects):
            mask = task.answer.objects[index].mask
            pasted = index >= len(task.scene.objects)
            way = 0.0 if pasted else math.dist(center_of(mask), center_of(task.scene.objects[index].mask))
            errors.append(math.hypot(*best_shift(picture, template, mask, _AROUND * size + way)))
    return float(np.mean(errors)) if errors else math.nan


def drag_distance(task: Task, picture: np.ndarray) -> float:
    """How far from their goals the dragged points are, in pixels: the mean over all of them; nan where an edit has no points.

    A point is where the picture looks most like the answer around its goal, among all places not much farther from that than its start.

    Args:
        picture: uint8 (H, W, 3) of the scene's size.
    """
    points: Sequence[tuple[Point, Point]] = [pair for _, fields in task.edits for pair in fields.get("points", [])]
    template, size = np.asarray(task.answer.image), task.scene.size
    y, x = np.indices((size, size)) + 0.5
    distances = []
    for start, end in points:
        patch = np.maximum(np.abs(x - end[0]), np.abs(y - end[1])) <= _PATCH * size + 0.5
        distances.append(math.hypot(*best_shift(picture, template, patch, math.dist(start, end) + _MARGIN * size)))
    return float(np.mean(distances)) if distances else math.nan
