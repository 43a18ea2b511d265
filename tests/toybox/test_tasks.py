"""Moves of random scenes: repeatable, inside the picture, and with a right answer."""

from __future__ import annotations

import numpy as np
import pytest

from dragonkit.toybox.tasks import FARTHEST, NEAREST, MoveTask, move_task

SEEDS = range(12)


@pytest.fixture(params=SEEDS)
def task(request: pytest.FixtureRequest) -> MoveTask:
    return move_task(request.param, 64)


def test_a_seed_is_a_task(task: MoveTask) -> None:
    again = move_task(task.seed, 64)
    assert again.shift == task.shift and np.array_equal(np.asarray(again.answer.image), np.asarray(task.answer.image))


def test_the_object_moves_by_the_shift_and_stays_whole(task: MoveTask) -> None:
    rows, columns = np.nonzero(task.source)
    moved = np.zeros_like(task.source)
    moved[rows + task.shift[1], columns + task.shift[0]] = True  # an index beyond the picture would raise
    assert np.array_equal(moved, task.target)


def test_regions_do_not_meet(task: MoveTask) -> None:
    assert not (task.vacated & task.target).any()
    assert not (task.elsewhere & (task.source | task.target)).any()
    beyond = np.asarray(task.scene.image)[task.elsewhere]
    assert np.array_equal(beyond, np.asarray(task.answer.image)[task.elsewhere])


def test_most_moves_are_neither_short_nor_long() -> None:
    lengths = [np.hypot(*move_task(seed, 64).shift) / 64 for seed in SEEDS]
    assert sum(NEAREST <= length <= FARTHEST for length in lengths) >= 10
