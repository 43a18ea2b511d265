"""Figures must tell the right answer from the untouched source, and from half an edit."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from dragonkit.toybox.figures import BEST_PSNR, copy_and_inpaint, judge_move
from dragonkit.toybox.tasks import MoveTask, move_task


@pytest.fixture(scope="module")
def task() -> MoveTask:
    return move_task(3, 64, objects=1)


def test_the_answer_is_perfect(task: MoveTask) -> None:
    figures = judge_move(task, task.answer.image)
    assert (figures.target, figures.vacated, figures.elsewhere) == (BEST_PSNR,) * 3
    assert figures.found and figures.gone


def test_the_untouched_source_has_nothing_right_but_the_rest(task: MoveTask) -> None:
    figures = judge_move(task, task.scene.image)
    assert not figures.found and not figures.gone
    assert figures.elsewhere == BEST_PSNR and figures.target < 25


def test_a_second_object_is_found_but_not_gone(task: MoveTask) -> None:
    pixels = np.asarray(task.answer.image).copy()
    pixels[task.vacated] = np.asarray(task.scene.image)[task.vacated]
    figures = judge_move(task, Image.fromarray(pixels))
    assert figures.found and not figures.gone


def test_copying_is_exact_at_the_target_inside_the_object(task: MoveTask) -> None:
    pytest.importorskip("cv2")
    figures = judge_move(task, copy_and_inpaint(task))
    assert figures.found and figures.gone and figures.target > 30
