"""`dragonkit demo` on the embedded model: the pictures are there, and the edit does what the README says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from statistics import fmean

import pytest
from helpers.faults import full_after, state
from PIL import Image

pytest.importorskip("cv2")

from dragonkit.bench.outcomes import FIRST_SEED, done, done_in_turn
from dragonkit.bench.tasks.catalogue import TASKS
from dragonkit.bench.tasks.figures import judge
from dragonkit.cli.demo import demo
from dragonkit.editing.editor import Editor
from dragonkit.errors import EditError, ImageError
from dragonkit.plugins.registry import get_registry


def test_one_move(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ((outcome, figures),) = demo(tmp_path, scenes=1, tasks=["move"])["move"]
    assert outcome.figures.found and outcome.figures.gone and outcome.kept
    assert set(figures) == {"untouched", "copy", "dragonkit", "ceiling"}
    assert figures["untouched"].changed < outcome.figures.changed
    assert Image.open(tmp_path / "contact-sheet.png").width > 600
    for name in ("source", "mask", "result", "answer"):
        assert Image.open(tmp_path / f"{name}.png").size == (128, 128)
    assert "bit for bit in 1 of 1" in " ".join(capsys.readouterr().out.split())


@pytest.mark.slow
def test_an_earlier_demo_is_spared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless its pictures may be replaced, which they are whole or not at all."""
    (tmp_path / "mask.png").write_text("mine")
    monkeypatch.setattr(Editor, "from_pretrained", lambda *_, **__: pytest.fail("the model was loaded"))
    with pytest.raises(ImageError, match=r"mask\.png', which is there already"):
        demo(tmp_path, tasks=["move"])
    monkeypatch.undo()
    before = state(tmp_path)
    with full_after(10), pytest.raises(ImageError, match=r"contact-sheet\.png' could not be written"):
        demo(tmp_path, tasks=["move"], overwrite=True)
    assert state(tmp_path) == before


@pytest.fixture
def no_packages(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Only the built-in modes; later tests find the packages again."""
    monkeypatch.setenv("DRAGONKIT_PLUGINS", "")
    get_registry.cache_clear()
    yield
    get_registry.cache_clear()


def test_a_task_that_no_plugin_can_do_is_left_out(no_packages: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert demo(tmp_path, scenes=1, tasks=["rotate"]) == {}
    assert "left out: rotate, as no installed plugin has the mode rotate" in capsys.readouterr().out


def test_an_unknown_task(tmp_path: Path) -> None:
    with pytest.raises(EditError, match=r"'drga'\. Did you mean 'drag'"):
        demo(tmp_path, tasks=["drga"])
    with pytest.raises(EditError, match="no preset"):
        demo(tmp_path, preset="best")


@pytest.mark.slow
def test_ten_moves_reach_the_goals(tmp_path: Path) -> None:
    results = demo(tmp_path, scenes=10, tasks=["move"])["move"]
    ours, copied, ceiling = ([figures[row] for _, figures in results] for row in ("dragonkit", "copy", "ceiling"))
    assert sum(one.found and one.gone for one in ours) >= 9
    assert fmean(one.target for one in ours) > fmean(one.target for one in ceiling) - 3
    assert fmean(one.vacated for one in ours) > fmean(one.vacated for one in copied)  # measured: 32.9 and 30.7 dB


@pytest.mark.slow
def test_three_edits_cost_less_in_one_pass_than_one_after_the_other(tmp_path: Path) -> None:
    editor = Editor.from_pretrained()
    task = TASKS["three"](FIRST_SEED, 128)
    at_once, in_turn = done(editor, task), done_in_turn(editor, task)
    assert at_once.evaluations < 0.7 * in_turn.evaluations  # measured: 245 and 435
    assert at_once.figures.changed > judge(task, task.scene.image).changed + 3
    assert at_once.figures.changed > in_turn.figures.changed - 2
