"""Looks: distances in closed form for objects of one colour, and outlines that are whole, half or gone."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragonkit.bench.measures.appearance import color_distance, outline_overlap, pattern_distance, wasserstein
from dragonkit.bench.tasks.catalogue import TASKS
from dragonkit.bench.tasks.parts import Task

DRESSING = ["appearance", "three"]
VALUES = st.lists(st.integers(0, 255), min_size=1, max_size=12)


@cache
def made(name: str, seed: int = 3) -> Task:
    return TASKS[name](seed, 64)


def dressed(task: Task) -> tuple[int, np.ndarray, np.ndarray]:
    """The object's number, its mask, and the pixels (n, 3) of the reference's object."""
    index = task.also[0] if task.also else task.index
    assert task.reference is not None
    return index, task.answer.objects[index].mask, np.asarray(task.reference.image)[task.reference.objects[-1].mask]


def shown(picture: object) -> np.ndarray:
    return np.asarray(picture.image)  # type: ignore[attr-defined]


@given(VALUES, VALUES)
def test_wasserstein_is_the_distance_of_sorted_values(a: list[int], b: list[int]) -> None:
    """Of two sets repeated to one length, the cheapest way pairs them in order."""
    pairs = zip(sorted(a * len(b)), sorted(b * len(a)), strict=True)
    expected = np.mean([abs(x - y) for x, y in pairs])
    columns = (np.array(values, np.uint8)[:, None] for values in (a, b))
    assert wasserstein(*columns) == pytest.approx(expected)


def test_wasserstein_averages_channels() -> None:
    a, b = np.zeros((5, 3), np.uint8), np.tile(np.array([0, 30, 255], np.uint8), (7, 1))
    assert wasserstein(a, b) == pytest.approx(285 / 3) and wasserstein(b, a) == wasserstein(a, b)
    assert math.isnan(wasserstein(a, b[:0]))


@pytest.mark.parametrize("name", DRESSING)
def test_an_object_of_one_color(name: str) -> None:
    task = made(name)
    _, mask, model = dressed(task)
    picture = shown(task.scene).copy()
    picture[mask] = (200, 100, 50)
    assert color_distance(task, picture) == pytest.approx(np.abs(model.astype(float) - (200, 100, 50)).mean())
    picture[~mask] = 0  # nothing but the object counts
    assert color_distance(task, picture) == pytest.approx(np.abs(model.astype(float) - (200, 100, 50)).mean())


def test_the_pattern_of_an_object_of_one_color_is_all_that_the_reference_has() -> None:
    task = made("appearance")
    assert task.reference is not None
    _, mask, _ = dressed(task)
    picture, model, inside = shown(task.scene).copy(), shown(task.reference).astype(int), task.reference.objects[-1].mask
    picture[mask] = (200, 100, 50)
    means = []
    for step in (1, 2, 4):
        found = []
        for y, x in zip(*np.nonzero(inside), strict=True):
            for dx, dy in ((step, 0), (0, step), (step, step), (step, -step)):
                if 0 <= y + dy < len(inside) and x + dx < len(inside) and inside[y + dy, x + dx]:
                    found.append(np.abs(model[y, x] - model[y + dy, x + dx]))
        means.append(np.mean(found))
    assert pattern_distance(task, picture) == pytest.approx(np.mean(means))


@pytest.mark.parametrize("name", DRESSING)
def test_looking_like_the_reference_is_nearer_than_before(name: str) -> None:
    """On average: objects of different kinds show colours in different shares."""
    for distance in (color_distance, pattern_distance):
        before, after = (np.mean([distance(made(name, s), shown(view(made(name, s)))) for s in range(4)]) for view in (_scene, _answer))
        assert after < 0.8 * before


def _scene(task: Task) -> object:
    return task.scene


def _answer(task: Task) -> object:
    return task.answer


@pytest.mark.parametrize("name", DRESSING)
def test_scrambled_pixels_have_the_colors_but_not_the_pattern(name: str) -> None:
    task = made(name)
    _, mask, _ = dressed(task)
    picture = shown(task.answer).copy()
    picture[mask] = np.random.default_rng(0).permutation(picture[mask])
    assert color_distance(task, picture) == color_distance(task, shown(task.answer))
    assert pattern_distance(task, picture) > pattern_distance(task, shown(task.answer)) + 1


@pytest.mark.parametrize("name", DRESSING)
def test_outline(name: str) -> None:
    task = made(name)
    index, mask, _ = dressed(task)
    gone = shown(task.answer.moved(index, (1000, 0)))
    assert outline_overlap(task, shown(task.answer)) == 1
    assert outline_overlap(task, gone) == 0
    assert outline_overlap(task, shown(task.scene)) > 0.85  # the shape is the same, but some of its colours are the background's
    smaller, small = (outline_overlap(task, shown(task.answer.resized(index, scale))) for scale in (0.7, 0.85))
    assert 0.3 < smaller < 0.6 < small < 0.95  # 0.7 and 0.85 squared, and the rim
    half = shown(task.answer).copy()
    columns = np.nonzero(mask)[1]
    half[:, : int(np.median(columns))] = gone[:, : int(np.median(columns))]
    assert outline_overlap(task, half) == pytest.approx(0.5, abs=0.15)


@pytest.mark.parametrize("seed", [0, 1, 5])
def test_the_outline_is_no_other_objects_affair(seed: int) -> None:
    """One of the others, which comes near, is painted over."""
    task = made("three", seed)
    picture = shown(task.answer).copy()
    picture[task.answer.objects[task.index].coverage + task.answer.objects[task.also[1]].coverage > 0] = (255, 0, 255)
    assert outline_overlap(task, picture) == 1


def test_far_from_the_object_there_is_no_outline() -> None:
    task = made("appearance")
    picture = shown(task.answer).copy()
    rows, columns = np.nonzero(dressed(task)[1])
    y, x = np.indices((64, 64))
    far = np.hypot(y[..., None] - rows, x[..., None] - columns).min(-1) > 8
    assert far.any()
    picture[far] = 0
    assert outline_overlap(task, picture) == 1


@pytest.mark.parametrize("name", ["move", "paste"])
def test_nobody_asked_for_other_looks(name: str) -> None:
    for figure in (color_distance, pattern_distance, outline_overlap):
        assert math.isnan(figure(made(name), shown(made(name).answer)))
