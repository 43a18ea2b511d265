"""Figures must tell the right answer from the untouched source, and from half an edit."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
from PIL import Image

from dragonkit.bench.tasks.catalogue import TASKS, move_task
from dragonkit.bench.tasks.figures import BEST_PSNR, copy_and_inpaint, judge
from dragonkit.bench.tasks.parts import Task

REGIONS = ("changed", "target", "vacated", "elsewhere")


@cache
def made(name: str) -> Task:
    return TASKS[name](3, 64)


@pytest.fixture(params=TASKS)
def task(request: pytest.FixtureRequest) -> Task:
    return made(request.param)


@pytest.fixture
def move() -> Task:
    return move_task(3, 64, objects=1)


def test_the_answer_is_perfect(task: Task) -> None:
    figures = judge(task, task.answer.image)
    for region in REGIONS:
        value = getattr(figures, region)
        assert value == BEST_PSNR if getattr(task, region).any() else math.isnan(value)
    assert figures.found and figures.gone


def test_the_untouched_source_has_nothing_right_but_the_rest(task: Task) -> None:
    figures = judge(task, task.scene.image)
    assert figures.found == (not task.target.any()) and figures.gone == (not task.vacated.any())
    assert figures.elsewhere == BEST_PSNR and figures.changed < 25


@pytest.mark.parametrize("name", [name for name in TASKS if name != "remove"])  # of which nothing arrives
def test_only_what_is_new_at_the_target_counts_for_arriving(name: str) -> None:
    task = made(name)
    pixels = np.asarray(task.scene.image).copy()
    new = task.target & task.changed
    pixels[new] = np.asarray(task.answer.image)[new]
    assert judge(task, Image.fromarray(pixels)).found
    pixels[new] = np.where(pixels[new] < 128, 255, 0)  # as wrong as can be
    assert not judge(task, Image.fromarray(pixels)).found


def test_pasting_and_dressing_vacate_nothing() -> None:
    for name in ("paste", "appearance"):
        figures = judge(made(name), Image.new("RGB", (64, 64)))
        assert math.isnan(figures.vacated) and figures.gone and not figures.found


def test_a_second_object_is_found_but_not_gone(move: Task) -> None:
    pixels = np.asarray(move.answer.image).copy()
    pixels[move.vacated] = np.asarray(move.scene.image)[move.vacated]
    figures = judge(move, Image.fromarray(pixels))
    assert figures.found and not figures.gone


@pytest.mark.parametrize("name", ["move", "drag-rigid"])
def test_copying_is_exact_at_the_target_inside_the_object(name: str) -> None:
    pytest.importorskip("cv2")
    copied = copy_and_inpaint(made(name))
    assert copied is not None
    figures = judge(made(name), copied)
    assert figures.found and figures.gone and figures.target > 30


def test_a_removal_is_the_fill_alone() -> None:
    pytest.importorskip("cv2")
    task = TASKS["remove"](3, 64, objects=1)
    filled = copy_and_inpaint(task, "navier-stokes")
    assert filled is not None
    figures = judge(task, filled)
    assert figures.gone and figures.vacated > judge(task, task.scene.image).vacated + 10 and figures.elsewhere > 50


def test_only_moves_and_removals_can_be_copied() -> None:
    pytest.importorskip("cv2")
    assert {name for name in TASKS if copy_and_inpaint(made(name)) is not None} == {"move", "drag-rigid", "remove"}
