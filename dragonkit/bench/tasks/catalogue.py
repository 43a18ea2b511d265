"""Edits of random scenes with their known answers: what demo and benchmark run."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np

from dragonkit.bench.tasks.parts import (
    Task,
    changed,
    outline_points,
    painted,
    random_scene,
    random_shift,
    searched,
    segment,
    similarity,
    suits,
    transformed,
    whole,
)
from dragonkit.imaging.masks import bounding_box, center_of, dilate, shift_mask
from dragonkit.toybox.scenes import Scene, scene

__all__ = ["TASKS", "move_task"]

NEAREST, FARTHEST = 0.25, 0.55
"""How far objects are moved, as fractions of the picture's side."""


def move_task(seed: int, size: int = 128, objects: int | None = None) -> Task:
    """Move the front object: always the scene of the seed, and a random shift by whole pixels that leaves the whole object in the picture.

    Args:
        seed: of scene and shift.
        size: pixels a side.
        objects: 1 to 3, or random.
    """
    picture = scene(seed, size, objects)
    index = _front(picture)
    mask = picture.objects[index].mask
    shift = random_shift(np.random.default_rng(seed), mask, NEAREST, FARTHEST)
    edits = (("move", {"mask": mask, "shift": shift}),)
    return Task("move", seed, picture, picture.moved(index, shift), edits, index, shift=shift)


def _move_resize(seed: int, rng: np.random.Generator, picture: Scene) -> Task | None:
    index = _front(picture)
    mask = picture.objects[index].mask
    scale = _either(rng, seed, (0.6, 0.85), (1.15, 1.5))
    shift = random_shift(rng, mask, NEAREST, FARTHEST)
    answer = transformed(picture, index, shift, scale)
    if math.hypot(*shift) < NEAREST * picture.size or not suits(picture, answer, index):
        return None
    return Task("move-resize", seed, picture, answer, (("move", {"mask": mask, "shift": shift, "scale": scale}),), index)


def _resize(seed: int, rng: np.random.Generator, picture: Scene) -> Task | None:
    index = _front(picture)
    scale = _either(rng, seed, (0.55, 0.8), (1.25, 1.8))
    answer = transformed(picture, index, scale=scale)
    if not suits(picture, answer, index):
        return None
    return Task("resize", seed, picture, answer, (("resize", {"mask": picture.objects[index].mask, "scale": scale}),), index)


def _remove(seed: int, rng: np.random.Generator, picture: Scene) -> Task | None:
    index = _front(picture)
    answer = picture.without(index)
    if not suits(picture, answer, index):
        return None
    return Task("remove", seed, picture, answer, (("remove", {"mask": picture.objects[index].mask}),), index)


def _rotate(seed: int, rng: np.random.Generator, picture: Scene) -> Task | None:
    index = _front(picture)
    degrees = _either(rng, seed, (-70, -20), (20, 70))
    answer = transformed(picture, index, degrees=degrees)
    before, after = picture.objects[index].mask, answer.objects[index].mask
    round_ = (before & after).sum() > 0.8 * (before | after).sum()  # it hardly matters how it is turned
    if round_ or not suits(picture, answer, index):
        return None
    return Task("rotate", seed, picture, answer, (("rotate", {"mask": before, "degrees": degrees}),), index)


def _region(seed: int, rng: np.random.Generator, picture: Scene) -> Task | None:
    """Moved, turned and scaled at once, said by three points and where they go."""
    index = _front(picture)
    mask = picture.objects[index].mask
    scale = _either(rng, seed, (0.7, 0.9), (1.1, 1.35))
    degrees = _either(rng, seed // 2, (-40, -12), (12, 40))
    shift = random_shift(rng, mask, 0.1, 0.35)
    answer = transformed(picture, index, shift, scale, degrees)
    if not suits(picture, answer, index):
        return None
    starts = outline_points(mask)
    ends = similarity(center_of(mask), shift, scale, degrees)(starts)
    points = [(_pair(start), _pair(end)) for start, end in zip(starts, ends, strict=True)]
    return Task("region", seed, picture, answer, (("region", {"mask": mask, "points": points}),), index)


def _appearance(seed: int, rng: np.random.Generator, picture: Scene) -> Task | None:
    index = _front(picture)
    reference = _second_scene(rng, seed, picture.size)
    model = reference.objects[_front(reference)]
    answer = picture.dressed_like(index, reference, model.index)
    if not (suits(picture, answer, index) and whole(model) and _looks_different(picture, answer, index)):
        return None
    fields = {"mask": picture.objects[index].mask, "reference": reference.image, "reference_mask": model.mask}
    return Task("appearance", seed, picture, answer, (("appearance", fields),), index, reference)


def _paste(seed: int, rng: np.random.Generator, picture: Scene) -> Task | None:
    """The object comes from its place in the reference's pixels: scaled there about its mask's centre, then shifted."""
    reference = _second_scene(rng, seed, picture.size)
    pasted = reference.objects[_front(reference)]
    scale = round(rng.uniform(0.7, 1.3), 2)
    center = np.array(center_of(pasted.mask))
    left, top, right, bottom = bounding_box(pasted.mask)
    lowest = np.ceil(-(center + scale * (np.array([left, top]) - center)))
    highest = np.floor(picture.size - (center + scale * (np.array([right, bottom]) - center)))
    if (highest < lowest).any() or not whole(pasted):
        return None
    dx, dy = (int(part) for part in rng.integers(lowest, highest + 1))
    origin = similarity(_pair(center), (dx, dy), scale, 0)(np.array(pasted.center))
    index = len(picture.objects)
    answer = picture.pasted(reference, pasted.index, _pair(origin)).resized(index, scale)
    if not suits(picture, answer, index):
        return None
    fields = {"reference": reference.image, "reference_mask": pasted.mask, "shift": (dx, dy), "scale": scale}
    return Task("paste", seed, picture, answer, (("paste", fields),), index, reference)


def _drag(seed: int, rng: np.random.Generator, picture: Scene) -> Task | None:
    """A part of the object is pulled, and its shape gives way."""
    index, size = _front(picture), picture.size
    one = picture.objects[index]
    if not whole(one):
        return None
    for keypoint in rng.permutation(sorted(one.keypoints)).tolist():
        angle, length = rng.uniform(0, 2 * math.pi), rng.uniform(0.12, 0.3) * size
        here = one.keypoints[keypoint]
        answer = picture.dragged(index, keypoint, (here[0] + length * math.cos(angle), here[1] + length * math.sin(angle)))
        # the shape does not always allow the whole way, so the wish is what it does allow
        start, end = here, answer.objects[index].keypoints[keypoint]
        if math.dist(start, end) < 0.08 * size or not suits(picture, answer, index):
            continue
        way, different = segment(start, end, size), changed(picture, answer)
        region = painted(one.mask | way)
        seen = all((different & dilate(segment(place, place, size), 0.05 * size)).any() for place in (start, end))
        # many shape numbers change both sides, or the whole object: nobody could tell that from a single point
        local = (different & dilate(way, 0.15 * size)).sum() > 0.6 * different.sum() and not (different & ~region).any()
        large = (different & answer.objects[index].mask).mean() > 0.005  # a balloon's string is too thin to tell where it went
        if seen and local and large:
            fields = {"points": [(start, end)], "mask": region}
            return Task("drag", seed, picture, answer, (("drag", fields),), index, keypoint=keypoint)
    return None


def _drag_rigid(seed: int, rng: np.random.Generator, picture: Scene) -> Task | None:
    """All points of an object are dragged alike, which moves it."""
    index, size = _front(picture), picture.size
    one = picture.objects[index]
    dx, dy = random_shift(rng, one.mask, 0.12, 0.25)
    answer = picture.moved(index, (dx, dy))
    points = [((x, y), (x + dx, y + dy)) for x, y in [*one.keypoints.values(), one.center][:3]]
    inside = all(0 < part < size for pair in points for place in pair for part in place)
    if not (inside and 0.12 * size <= math.hypot(dx, dy) <= 0.25 * size and suits(picture, answer, index)):
        return None
    fields = {"points": points, "mask": painted(one.mask | shift_mask(one.mask, dx, dy))}
    return Task("drag-rigid", seed, picture, answer, (("drag", fields),), index, shift=(dx, dy))


def _three(seed: int, rng: np.random.Generator, picture: Scene) -> Task | None:
    """Three objects, and each is edited in its own way; no edit comes near another one."""
    moved, dressed, resized = (int(i) for i in rng.permutation(3))
    masks = [one.mask for one in picture.objects]
    shift = random_shift(rng, masks[moved], NEAREST, FARTHEST)
    # the cheap tests first: most scenes have no room
    if math.hypot(*shift) < NEAREST * picture.size or not all(map(whole, picture.objects)) or _meet([dilate(mask, 2) for mask in masks]):
        return None
    if _meet([shift_mask(masks[moved], *shift), masks[dressed], masks[resized]]):
        return None
    scale = _either(rng, seed, (0.55, 0.8), (1.25, 1.8))
    reference = _second_scene(rng, seed, picture.size)
    model = reference.objects[_front(reference)]
    answer = transformed(picture.moved(moved, shift).dressed_like(dressed, reference, model.index), resized, scale=scale)
    covered = [a.coverage + b.coverage > 0 for a, b in zip(picture.objects, answer.objects, strict=True)]
    if _meet(covered) or not all(map(whole, [*answer.objects, model])) or not _looks_different(picture, answer, dressed):
        return None
    edits = (
        ("move", {"mask": masks[moved], "shift": shift}),
        ("appearance", {"mask": masks[dressed], "reference": reference.image, "reference_mask": model.mask}),
        ("resize", {"mask": masks[resized], "scale": scale}),
    )
    return Task("three", seed, picture, answer, edits, moved, reference, also=(dressed, resized))


TASKS: dict[str, Callable[..., Task]] = {
    "move": move_task,
    "move-resize": partial(searched, _move_resize),
    "resize": partial(searched, _resize),
    "remove": partial(searched, _remove),
    "appearance": partial(searched, _appearance),
    "drag": partial(searched, _drag),
    "drag-rigid": partial(searched, _drag_rigid),
    "paste": partial(searched, _paste),
    "rotate": partial(searched, _rotate),
    "region": partial(searched, _region),
    "three": partial(searched, _three, objects=3),
}
"""A task by name, for a seed and a size: `TASKS["resize"](seed, size=128)`. The same arguments always give the same task."""


def _front(picture: Scene) -> int:
    """The object in front: nothing hides it, and what becomes of it does not depend on what it would hide behind."""
    return len(picture.objects) - 1


def _either(rng: np.random.Generator, seed: int, even: tuple[float, float], odd: tuple[float, float]) -> float:
    """A number from one of two ranges, by the seed: drawn anew for every scene, the range that suits more scenes would win."""
    return round(float(rng.uniform(*(odd if seed % 2 else even))), 2)


def _second_scene(rng: np.random.Generator, seed: int, size: int) -> Scene:
    """Another scene, of another size for odd seeds."""
    return random_scene(rng, size * 5 // 4 if seed % 2 else size)


def _looks_different(before: Scene, after: Scene, index: int) -> bool:
    """Whether an object's new colours can be told from the old ones at a glance."""
    a, b = (np.asarray(one.image)[before.objects[index].mask].astype(float) for one in (before, after))
    return bool(np.abs(a - b).max(axis=-1).mean() > 60)


def _meet(masks: list[np.ndarray]) -> bool:
    return bool((np.sum(masks, axis=0) > 1).any())


def _pair(point: np.ndarray) -> tuple[float, float]:
    return float(point[0]), float(point[1])
