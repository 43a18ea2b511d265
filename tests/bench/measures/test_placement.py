"""Places found by brute force, and of objects and points put somewhere on purpose."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragonkit.bench.measures.placement import best_shift, drag_distance, placement_error
from dragonkit.bench.tasks.catalogue import TASKS
from dragonkit.bench.tasks.parts import Task


@cache
def made(name: str, seed: int = 3) -> Task:
    return TASKS[name](seed, 64)


def shown(picture: object) -> np.ndarray:
    return np.asarray(picture.image)  # type: ignore[attr-defined]


def searched(picture: np.ndarray, template: np.ndarray, mask: np.ndarray, reach: float) -> tuple[int, int]:
    """The definition, in loops."""
    rows, columns = np.nonzero(mask)
    found = []
    for dy in range(-8, 9):
        for dx in range(-8, 9):
            y, x = rows + dy, columns + dx
            if math.hypot(dx, dy) <= reach and ((y >= 0) & (y < mask.shape[0]) & (x >= 0) & (x < mask.shape[1])).all():
                error = ((picture[y, x].astype(int) - template[rows, columns].astype(int)) ** 2).sum()
                found.append((error, dx * dx + dy * dy, (dx, dy)))
    least = min(found)[:2]
    return sorted(place for *key, place in found if tuple(key) == least)[0]


@given(st.integers(0, 2**32), st.floats(0, 8), st.integers(2, 256), st.booleans())
def test_the_best_shift_is_the_one_of_a_search(seed: int, reach: float, colors: int, planted: bool) -> None:
    rng = np.random.default_rng(seed)
    picture, template = rng.integers(0, colors, (2, 17, 23, 3)).astype(np.uint8)
    mask = rng.random((17, 23)) < 0.2
    mask[8, 11] = True
    mask[[0, -1]] &= rng.random() < 0.5
    if planted:
        template = np.roll(picture, (2, -3), (0, 1))
    dx, dy = best_shift(picture, template, mask, reach)
    expected = searched(picture, template, mask, reach)
    rows, columns = np.nonzero(mask)

    def error(place: tuple[int, int]) -> int:
        return int(((picture[rows + place[1], columns + place[0]].astype(int) - template[rows, columns].astype(int)) ** 2).sum())

    # of shifts equally good and equally long either will do
    assert error((dx, dy)) == error(expected) and math.hypot(dx, dy) == math.hypot(*expected)


def test_where_all_places_are_alike_it_is_the_right_one() -> None:
    flat = np.full((20, 20, 3), 77, np.uint8)
    mask = np.zeros((20, 20), bool)
    mask[5:9, 6:12] = True
    assert best_shift(flat, flat, mask, 5) == (0, 0) and best_shift(flat, 2 * flat, mask, 5) == (0, 0)


@pytest.mark.parametrize("shift", [(0, 0), (-3, 4), (-6, 8), (-10, 0), (0, -1), (1, 12)])
def test_a_shifted_answer_is_as_far_off_as_it_was_shifted(shift: tuple[int, int]) -> None:
    task = made("move", 4)
    rows, columns = np.nonzero(task.target)
    assert min(rows.min() + shift[1], columns.min() + shift[0]) >= 0 and max(rows.max() + shift[1], columns.max() + shift[0]) < 64
    shifted = np.roll(shown(task.answer), (shift[1], shift[0]), (0, 1))
    assert placement_error(task, shifted) == math.hypot(*shift)


@pytest.mark.parametrize("seed", range(6))
def test_an_object_that_stayed_is_as_far_off_as_it_should_have_gone(seed: int) -> None:
    task = made("move", seed)
    assert task.shift is not None
    assert placement_error(task, shown(task.scene)) == math.hypot(*task.shift)


def test_an_object_moved_half_the_way() -> None:
    task = made("drag-rigid")
    assert task.shift is not None
    dx, dy = task.shift[0] // 2, task.shift[1] // 2
    halfway = shown(task.scene.moved(task.index, (dx, dy)))
    left = math.hypot(task.shift[0] - dx, task.shift[1] - dy)
    assert placement_error(task, halfway) == left
    assert drag_distance(task, halfway) == pytest.approx(left, abs=1.5)


def test_three_edits_count_the_places_of_two() -> None:
    """The object that gets new looks has its place anyway; the one that is only resized is nearly where it was."""
    task = made("three")
    (_, moving), _, _ = task.edits
    only_moved = task.scene.moved(task.index, moving["shift"])
    untouched, moved = (placement_error(task, shown(view)) for view in (task.scene, only_moved))
    assert untouched - moved == pytest.approx(math.hypot(*moving["shift"]) / 2, abs=0.5)
    only_dressed = np.where(task.answer.objects[task.also[0]].mask[..., None], shown(task.answer), shown(task.scene))
    assert placement_error(task, only_dressed) == untouched


@pytest.mark.parametrize("name", ["appearance", "move", "resize"])
def test_without_points_there_is_no_distance(name: str) -> None:
    assert math.isnan(drag_distance(made(name), shown(made(name).answer)))
    assert math.isnan(placement_error(made(name), shown(made(name).answer))) == (name == "appearance")


@pytest.mark.parametrize("name", ["drag", "drag-rigid", "region"])
@pytest.mark.parametrize("seed", range(3))
def test_points_start_where_they_are_dragged_from(name: str, seed: int) -> None:
    """Roughly: what is around a point changes with it. With a point at its goal the distance is 0, whatever is elsewhere."""
    task = made(name, seed)
    points = task.edits[0][1]["points"]
    length = np.mean([math.dist(*pair) for pair in points])
    assert 0 < drag_distance(task, shown(task.scene)) < 2 * length + 8
    only_goals = shown(task.scene).copy()
    for _, (x, y) in points:
        around = np.s_[max(int(y) - 5, 0) : int(y) + 6, max(int(x) - 5, 0) : int(x) + 6]
        only_goals[around] = shown(task.answer)[around]
    assert drag_distance(task, only_goals) == 0
