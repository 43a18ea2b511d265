"""Tasks of random scenes: repeatable, inside the picture, and with the answer that their edits describe."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dragonkit.bench.tasks import parts as task_parts
from dragonkit.bench.tasks.catalogue import FARTHEST, NEAREST, TASKS, move_task
from dragonkit.bench.tasks.parts import Task
from dragonkit.errors import EditError
from dragonkit.imaging.masks import center_of
from dragonkit.toybox import Scene, scene

SEEDS = (0, 1, 3)
FIELDS = {
    "move": [("move", {"mask", "shift"})],
    "move-resize": [("move", {"mask", "shift", "scale"})],
    "resize": [("resize", {"mask", "scale"})],
    "remove": [("remove", {"mask"})],
    "appearance": [("appearance", {"mask", "reference", "reference_mask"})],
    "drag": [("drag", {"points", "mask"})],
    "drag-rigid": [("drag", {"points", "mask"})],
    "paste": [("paste", {"reference", "reference_mask", "shift", "scale"})],
    "rotate": [("rotate", {"mask", "degrees"})],
    "region": [("region", {"mask", "points"})],
    "three": [
        ("move", {"mask", "shift"}),
        ("appearance", {"mask", "reference", "reference_mask"}),
        ("resize", {"mask", "scale"}),
    ],
}
MAPPED = ["move", "move-resize", "resize", "drag-rigid", "paste", "rotate", "region"]


@cache
def made(name: str, seed: int, size: int = 64) -> Task:
    return TASKS[name](seed, size)


def every(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("task", [pytest.param((n, s), id=f"{n}-{s}") for n in names or TASKS for s in SEEDS], indirect=True)


@pytest.fixture
def task(request: pytest.FixtureRequest) -> Task:
    return made(*request.param)


def pixels(picture: Scene) -> np.ndarray:
    return np.asarray(picture.image).astype(int)


def equal(a: Any, b: Any) -> bool:
    return np.array_equal(np.asarray(a), np.asarray(b))


def mapped(task: Task, points: np.ndarray) -> np.ndarray:
    """Where the fields of the edit send points (k, 2) in mask coordinates; written without a look at how tasks are made."""
    ((_, fields),) = task.edits
    if task.name == "region":
        starts, ends = (np.array([pair[k] for pair in fields["points"]]) for k in (0, 1))
        return np.c_[points, np.ones(len(points))] @ np.linalg.solve(np.c_[starts, np.ones(3)], ends)
    if task.name == "drag-rigid":
        return points + np.subtract(*fields["points"][0][::-1])
    center = np.array(center_of(fields.get("mask", fields.get("reference_mask"))))
    turn = np.exp(1j * math.radians(fields.get("degrees", 0))) * fields.get("scale", 1)  # y points down, so this is clockwise
    x, y = (points - center).T
    moved = (x + 1j * y) * turn
    return center + fields.get("shift", (0, 0)) + np.stack([moved.real, moved.imag], 1)


@every()
def test_a_task_has_the_fields_of_its_mode(task: Task) -> None:
    assert [(mode, set(fields)) for mode, fields in task.edits] == FIELDS[task.name]
    for _, fields in task.edits:
        if "mask" in fields:
            assert fields["mask"].dtype == bool and fields["mask"].shape == (64, 64) and fields["mask"].any()
        for start, end in fields.get("points", []):
            assert all(isinstance(part, float) and 0 < part < 64 for part in (*start, *end))
        if "reference" in fields:
            side = 80 if task.seed % 2 else 64
            assert task.reference is not None and equal(fields["reference"], task.reference.image)
            assert isinstance(fields["reference"], Image.Image) and fields["reference"].size == (side, side)
            assert equal(fields["reference_mask"], task.reference.objects[-1].mask)
    assert (task.reference is not None) == any("reference" in fields for _, fields in task.edits)


@pytest.mark.parametrize("name", TASKS)
def test_a_seed_is_a_task(name: str) -> None:
    one, again, other, larger = made(name, 1), TASKS[name](1, 64), made(name, 2), TASKS[name](1, 128)
    assert equal(one.scene.image, again.scene.image) and equal(one.answer.image, again.answer.image)
    for (mode, fields), (same_mode, same_fields) in zip(one.edits, again.edits, strict=True):
        assert mode == same_mode and all(equal(fields[key], same_fields[key]) for key in fields)
    assert not equal(one.answer.image, other.answer.image)
    assert larger.scene.size == larger.answer.size == 128 and (one.name, one.seed) == (name, 1)


@every()
def test_regions_do_not_meet(task: Task) -> None:
    assert not (task.vacated & task.target).any()
    assert not (task.elsewhere & (task.source | task.target)).any() and task.elsewhere.any()
    assert equal(pixels(task.scene)[task.elsewhere], pixels(task.answer)[task.elsewhere])


@every()
def test_the_answer_changes_the_object_visibly(task: Task) -> None:
    difference = np.abs(pixels(task.scene) - pixels(task.answer)).max(-1)
    assert (difference[task.changed] > 8).all() and (difference[~task.changed] <= 8).all()
    assert not (task.changed & task.elsewhere).any()
    least = 0.02 if task.name == "drag" else 0.25  # a balloon's string is a small part of it
    assert task.changed.sum() > least * (task.source | task.target).sum()


@every(*(name for name in TASKS if name != "move"))
def test_edited_objects_are_whole_and_others_stay_in_sight(task: Task) -> None:
    edited = {task.index, *task.also}
    for i in edited:
        for picture in (task.scene, task.answer):
            if i < len(picture.objects):
                coverage = picture.objects[i].coverage
                assert not (coverage[[0, -1]].any() or coverage[:, [0, -1]].any()) and picture.objects[i].mask.sum() > 60
    for before, after in zip(task.scene.objects, task.answer.objects, strict=False):
        if before.index not in edited:
            assert (before.mask & after.mask).sum() >= 0.85 * max(before.mask.sum(), after.mask.sum())


@every(*MAPPED)
def test_keypoints_land_where_the_edit_sends_them(task: Task) -> None:
    before = task.reference.objects[-1] if task.reference else task.scene.objects[task.index]
    after = task.answer.objects[task.index]
    points = np.array([before.center, *before.keypoints.values()])
    assert np.array([after.center, *after.keypoints.values()]) == pytest.approx(mapped(task, points), abs=1e-6)
    assert (after.category, after.color, after.pattern) == (before.category, before.color, before.pattern)


@every("move", "drag-rigid")
def test_the_object_moves_by_the_shift_and_stays_as_it_is(task: Task) -> None:
    assert task.shift is not None
    rows, columns = np.nonzero(task.source)
    moved = np.zeros_like(task.source)
    moved[rows + task.shift[1], columns + task.shift[0]] = True  # an index beyond the picture would raise
    assert equal(moved, task.target)


def test_most_moves_are_neither_short_nor_long() -> None:
    lengths = [np.hypot(*move_task(seed, 64).edits[0][1]["shift"]) / 64 for seed in range(12)]
    assert sum(NEAREST <= length <= FARTHEST for length in lengths) >= 10


def test_moves_are_the_ones_that_figures_were_published_for() -> None:
    assert [move_task(10**12 + k, 64).shift for k in range(4)] == [(28, 8), (14, 17), (-32, -7), (-9, 32)]
    assert equal(move_task(3).scene.image, scene(3, 128).image) and len(move_task(3, objects=2).scene.objects) == 2


@pytest.mark.parametrize(
    ("name", "key", "ranges"),
    [
        ("move-resize", "scale", [(0.6, 0.85), (1.15, 1.5)]),
        ("resize", "scale", [(0.55, 0.8), (1.25, 1.8)]),
        ("rotate", "degrees", [(-70, -20), (20, 70)]),
    ],
)
def test_numbers_stay_in_their_ranges_and_come_from_both(name: str, key: str, ranges: list[tuple[float, float]]) -> None:
    values = [made(name, seed).edits[0][1][key] for seed in SEEDS]
    found = [[low <= value <= high for value in values] for low, high in ranges]
    assert all(map(any, found)) and all(map(any, zip(*found, strict=True)))


@every("appearance")
def test_appearance_changes_colours_and_nothing_else(task: Task) -> None:
    assert equal(task.source, task.target) and not task.vacated.any()
    assert task.answer.objects[task.index].params == task.scene.objects[task.index].params
    assert task.answer.objects[task.index].color == task.reference.objects[-1].color
    assert (task.changed & task.target).sum() > 0.3 * task.target.sum()


@every("drag")
def test_a_keypoint_is_dragged_within_what_may_change(task: Task) -> None:
    before, after = task.scene.objects[task.index], task.answer.objects[task.index]
    (((start, end),), mask) = (task.edits[0][1][key] for key in ("points", "mask"))
    assert (start, end) == (before.keypoints[task.keypoint], after.keypoints[task.keypoint])
    assert math.dist(start, end) >= 0.08 * 64
    assert mask[int(start[1]), int(start[0])] and mask[int(end[1]), int(end[0])] and not (task.source & ~mask).any()
    assert not (task.changed & ~mask).any() and not mask.all()
    assert before.center == after.center and before.params != after.params
    ys, xs = np.nonzero(task.changed)
    for x, y in (start, end):
        assert np.hypot(xs + 0.5 - x, ys + 0.5 - y).min() < 0.05 * 64  # it shows at either end


@every("drag-rigid")
def test_three_points_are_dragged_alike(task: Task) -> None:
    points = np.array(task.edits[0][1]["points"])
    assert points.shape == (3, 2, 2) and np.allclose(points[:, 1] - points[:, 0], task.shift)
    assert 0.12 * 64 <= math.hypot(*task.shift) <= 0.25 * 64
    assert not ((task.source | task.target) & ~task.edits[0][1]["mask"]).any()


@every("region")
def test_the_three_points_of_a_region_span_it(task: Task) -> None:
    starts = np.array([start for start, _ in task.edits[0][1]["points"]])
    assert all(task.source[int(y), int(x)] for x, y in starts)
    (a, b), (c, d) = starts[1:] - starts[0]
    assert abs(a * d - b * c) > 0.25 * task.source.sum()


@every("paste")
def test_a_pasted_object_is_new_and_in_front(task: Task) -> None:
    assert task.index == len(task.scene.objects) == len(task.answer.objects) - 1
    assert not task.source.any() and not task.vacated.any() and task.target.any()
    scale = task.edits[0][1]["scale"]
    assert 0.7 <= scale <= 1.3
    assert task.target.sum() == pytest.approx(scale**2 * task.reference.objects[-1].mask.sum(), rel=0.1)


@every("remove")
def test_a_removed_object_was_never_there(task: Task) -> None:
    assert equal(task.vacated, task.source) and task.source.any() and not task.target.any()
    assert [one.category for one in task.answer.objects] == [one.category for one in task.scene.objects[:-1]]
    assert equal(pixels(task.answer.pasted(task.scene, task.index, task.scene.objects[task.index].center)), pixels(task.scene))


@every("three")
def test_three_edits_keep_apart(task: Task) -> None:
    moved, dressed, resized = task.index, *task.also
    assert {moved, dressed, resized} == {0, 1, 2}
    before, after = task.scene.objects, task.answer.objects
    occupied = [before[i].mask | after[i].mask for i in (moved, dressed, resized)]
    assert np.sum(occupied, axis=0).max() == 1
    assert equal(np.logical_or.reduce(occupied), task.source | task.target)
    (_, move), (_, appearance), (_, resize) = task.edits
    assert np.subtract(after[moved].center, before[moved].center) == pytest.approx(move["shift"], abs=1e-6)
    assert equal(before[dressed].mask, appearance["mask"]) and equal(after[dressed].mask, appearance["mask"])
    assert after[dressed].color == task.reference.objects[-1].color
    assert equal(before[resized].mask, resize["mask"])
    lengths = [math.dist(*list(one[resized].keypoints.values())[:2]) for one in (before, after)]
    assert lengths[1] == pytest.approx(resize["scale"] * lengths[0])
    for i in (moved, dressed, resized):
        assert (task.changed & (before[i].mask | after[i].mask)).sum() > 20


def test_scenes_are_searched_until_one_suits(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Scene] = []

    def third(seed: int, rng: np.random.Generator, picture: Scene) -> Task | None:
        seen.append(picture)
        return made("move", 0) if len(seen) == 3 else None

    assert task_parts.searched(third, 5, 32) is made("move", 0)
    assert equal(seen[0].image, scene(5, 32).image) and not equal(seen[1].image, seen[2].image)
    monkeypatch.setattr(task_parts, "_ATTEMPTS", 2)
    with pytest.raises(EditError, match="no scene of 32 pixels suits"):
        task_parts.searched(lambda *_: None, 5, 32)
