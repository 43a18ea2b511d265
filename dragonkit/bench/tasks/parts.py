"""What tasks are made of: the task itself, exact answers to changes of place, size and angle, and what makes a scene suitable."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from dragonkit.errors import EditError
from dragonkit.imaging.masks import bounding_box, center_of, dilate
from dragonkit.toybox.scenes import Point, Scene, SceneObject, scene

VISIBLE = 8
"""Two colours differ when one of their channels does by more than this, of 255."""
_SMALLEST = 0.02  # share of the picture below which an object is too small to judge
_DISTURBED = 0.12  # share of another object that an edit may hide or uncover
_ATTEMPTS = 2000  # scenes looked at before giving up; in practice a few, and about a hundred for three edits at once


@dataclass(frozen=True, eq=False)
class Task:
    """Edits of a scene, and the right answer: the scene drawn again with other numbers.

    The properties are bool (H, W) of the picture's size. Where several objects are edited, they are unions over these.

    Attributes:
        name: key of `TASKS`.
        seed: of the task; with the size it decides everything.
        scene, answer: before and after.
        edits: (mode, fields), one for each edit: `registry.edit_types()[mode](**fields)` is the edit. Masks are bool (H, W).
        index: the object edited, in `answer.objects` unless it is removed, and in `scene.objects` unless it is pasted; then the last one.
        reference: the second picture of appearance and paste, whose front object is meant.
        keypoint: the one that is dragged.
        shift: (dx, dy) in whole pixels where the edit is nothing but a move.
        also: further objects edited.
    """

    name: str
    seed: int
    scene: Scene
    answer: Scene
    edits: tuple[tuple[str, dict[str, Any]], ...]
    index: int
    reference: Scene | None = None
    keypoint: str | None = None
    shift: tuple[int, int] | None = None
    also: tuple[int, ...] = ()

    @property
    def source(self) -> np.ndarray:
        """Where the edited object is seen before; empty when it is pasted."""
        return self._union([one.mask for one in self._edited(self.scene)])

    @property
    def target(self) -> np.ndarray:
        """Where it is seen in the answer; empty when it is removed."""
        return self._union([one.mask for one in self._edited(self.answer)])

    @property
    def vacated(self) -> np.ndarray:
        """What it uncovers."""
        return self.source & ~self.target

    @property
    def elsewhere(self) -> np.ndarray:
        """What it covers neither before nor after, not even in part."""
        return ~self._union([one.coverage > 0 for view in (self.scene, self.answer) for one in self._edited(view)])

    @property
    def changed(self) -> np.ndarray:
        """Pixels whose colour in scene and answer differs by more than 8 of 255 in some channel."""
        return changed(self.scene, self.answer)

    def _edited(self, picture: Scene) -> list[SceneObject]:
        return [picture.objects[i] for i in (self.index, *self.also) if i < len(picture.objects)]

    def _union(self, masks: list[np.ndarray]) -> np.ndarray:
        return np.logical_or.reduce([np.zeros((self.scene.size, self.scene.size), bool), *masks])


Maker = Callable[[int, np.random.Generator, Scene], Task | None]
"""Makes the task of a seed from random numbers and a scene, or None where this scene does not suit."""


def searched(make: Maker, seed: int, size: int = 128, objects: int | None = None) -> Task:
    """The task of the first scene that suits: the one of the seed itself, or else one of a seed drawn from it.

    Raises EditError where none suits, which happens to pictures too small to show anything only.
    """
    for attempt in range(_ATTEMPTS):
        rng = np.random.default_rng((seed, attempt))
        task = make(seed, rng, random_scene(rng, size, objects) if attempt else scene(seed, size, objects))
        if task is not None:
            return task
    raise EditError(f"no scene of {size} pixels suits the task of seed {seed}; pass a size of 64 or more")


def random_scene(rng: np.random.Generator, size: int, objects: int | None = None) -> Scene:
    """A scene of one of so many seeds that the embedded model was not trained on it."""
    return scene(int(rng.integers(2**62)), size, objects)


def changed(before: Scene, after: Scene) -> np.ndarray:
    """Pixels, bool (H, W), whose colours differ visibly."""
    a, b = (np.asarray(one.image).astype(int) for one in (before, after))
    return np.abs(a - b).max(axis=-1) > VISIBLE


def transformed(picture: Scene, index: int, shift: Point = (0, 0), scale: float = 1.0, degrees: float = 0.0) -> Scene:
    """Object `index` scaled and turned about the centre of gravity of its mask, then shifted, as edit modes do it.

    Args:
        shift: (dx, dy) in pixels.
        scale: above 0.
        degrees: clockwise as seen.
    """
    one = picture.objects[index]
    origin = np.array(one.center)
    # a scene scales and turns about the object's origin, which is not where its mask's centre is; the way between them turns as well
    landed = similarity(center_of(one.mask), shift, scale, degrees)(origin)
    return picture.resized(index, scale).rotated(index, degrees).moved(index, tuple(landed - origin))


def similarity(center: Point, shift: Point, scale: float, degrees: float) -> Callable[[np.ndarray], np.ndarray]:
    """The map p -> center + scale * turn(p - center) + shift of points (..., 2)."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    turn = np.array([[cos, -sin], [sin, cos]])
    return lambda points: (np.asarray(points) - center) @ (scale * turn).T + center + shift


def random_shift(rng: np.random.Generator, mask: np.ndarray, nearest: float, farthest: float) -> tuple[int, int]:
    """A whole-pixel shift that leaves the mask in the picture.

    Of 256 at random it is the first whose length is from `nearest` to `farthest`, as fractions of the picture's side, else the one that
    comes nearest to that.
    """
    size = len(mask)
    left, top, right, bottom = bounding_box(mask)
    room = np.array([[-left, size - right], [-top, size - bottom]])
    candidates = rng.integers(room[:, 0], room[:, 1] + 1, size=(256, 2))
    length = np.hypot(*candidates.T)
    misfit = np.maximum(nearest * size - length, 0) + np.maximum(length - farthest * size, 0)
    dx, dy = (int(part) for part in candidates[np.argmin(misfit)])
    return dx, dy


def whole(one: SceneObject) -> bool:
    """Whether an object, in front of all others, is large enough to judge and not cut by the picture's border."""
    coverage = one.coverage
    inside = not (coverage[[0, -1]].any() or coverage[:, [0, -1]].any())
    return inside and bool(one.mask.mean() >= _SMALLEST)


def suits(before: Scene, after: Scene, index: int) -> bool:
    """Whether an edit of object `index` is one that a person could want: it is whole before and after, and leaves other objects be.

    Much of another one it may neither hide nor uncover: what was hidden nobody can know.
    """
    if not all(whole(one.objects[index]) for one in (before, after) if index < len(one.objects)):
        return False
    others = [(a.mask, b.mask) for a, b in zip(before.objects, after.objects, strict=False) if a.index != index]
    return all((a ^ b).sum() <= _DISTURBED * a.sum() for a, b in others)


def outline_points(mask: np.ndarray) -> np.ndarray:
    """Three points of the mask that span a triangle, float64 (3, 2): its leftmost and rightmost, and the one farthest from their line."""
    rows, columns = np.nonzero(mask)
    points = np.stack([columns, rows], 1) + 0.5
    left, right = points[columns.argmin()], points[columns.argmax()]
    along = right - left
    height = np.abs(along[0] * (points[:, 1] - left[1]) - along[1] * (points[:, 0] - left[0]))
    return np.stack([left, right, points[height.argmax()]])


def segment(start: Point, end: Point, size: int) -> np.ndarray:
    """The pixels between two points, bool (size, size)."""
    line = np.zeros((size, size), bool)
    places = np.linspace(start, end, 2 * size).astype(int).clip(0, size - 1)
    line[places[:, 1], places[:, 0]] = True
    return line


def painted(region: np.ndarray) -> np.ndarray:
    """The region with the margin that a person leaves when painting around something."""
    return dilate(region, 0.08 * len(region))
