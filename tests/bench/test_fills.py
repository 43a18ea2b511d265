"""Fills by kind of background: the same moves for every row, one kind each, and figures that mean what they say."""

from __future__ import annotations

from itertools import islice
from typing import Any

import pytest

from dragonkit.bench import fills
from dragonkit.bench.fills import ROWS, UNCOVERING, compare_fills
from dragonkit.errors import EditError
from dragonkit.testing import tiny_editor
from dragonkit.toybox.drawing.backgrounds import KIND_NAMES

pytest.importorskip("cv2")


@pytest.mark.parametrize("kind", KIND_NAMES)
@pytest.mark.parametrize("name", UNCOVERING)
def test_tasks_are_over_that_kind_and_always_the_same(kind: str, name: str) -> None:
    tasks, again = (list(islice(fills._over(kind, 32, name), 2)) for _ in range(2))
    assert [KIND_NAMES[int(task.scene.batch.background[0])] for task in tasks] == [kind, kind]
    assert [task.seed for task in tasks] == [task.seed for task in again]
    assert all(task.name == name and len(task.scene.objects) == 1 and task.vacated.any() for task in tasks)


@pytest.mark.parametrize("name", UNCOVERING)
def test_a_perfect_fill_is_ahead_of_both_of_cv2s(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rows: dict[str, Any] = {**ROWS, "default": lambda editor, task: task.answer.image}
    monkeypatch.setattr(fills, "ROWS", rows)
    seen: list[tuple[int, int]] = []
    found = compare_fills(tiny_editor(), 2, ["tiled", "wavy"], lambda done, total: seen.append((done, total)), name)
    assert [(one.background, one.row) for one in found] == [(kind, row) for kind in ("tiled", "wavy") for row in ROWS]
    assert seen == [(number, 4) for number in range(1, 5)]
    for one in found:
        if one.row == "default":
            assert (one.psnr.mean, one.tint.mean, one.ahead) == (99, 0, None)
        else:
            assert one.ahead is not None and one.ahead.mean == pytest.approx(99 - one.psnr.mean)
            assert one.ahead.low > 0


@pytest.mark.parametrize("name", UNCOVERING)
def test_the_models_own_row_is_an_edit(name: str) -> None:
    [own, *_] = compare_fills(tiny_editor(), 2, ["smooth"], task=name)
    assert own.row == "default" and 5 < own.psnr.mean < 99


def test_a_background_that_there_is_not() -> None:
    with pytest.raises(EditError, match=r"no background 'wawy'\. Did you mean 'wavy'\?"):
        compare_fills(tiny_editor(), 2, ["wawy"])


def test_a_task_that_uncovers_nothing() -> None:
    with pytest.raises(EditError, match=r"no task 'paste'\. There are: move, remove"):
        compare_fills(tiny_editor(), 2, task="paste")
