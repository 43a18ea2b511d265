"""Inversions side by side: on the same scenes, with figures that mean what they say."""

from __future__ import annotations

import pytest
from helpers import figure_tables
from helpers.strict import read_json
from typer.testing import CliRunner

pytest.importorskip("torchmetrics")

from dragonkit.bench.inversions import EDITED, HOW, SCALES, compare_inversions
from dragonkit.cli.app import app
from dragonkit.editing.editor import Editor
from dragonkit.errors import EditError
from dragonkit.testing import tiny_editor

NAMES = ("ddim", "direct", "bdia", "edit-friendly")


@pytest.fixture(scope="module")
def editor() -> Editor:
    return tiny_editor()


@pytest.mark.slow
def test_what_is_exact_reaches_the_autoencoder_and_costs_what_it_says(editor: Editor) -> None:
    seen = list[tuple[int, int]]()
    found, most = compare_inversions(editor, 1, NAMES, ["move"], 4, progress=lambda done, total: seen.append((done, total)))
    assert [one.inversion for one in found] == list(NAMES)
    assert seen == [(number, 16) for number in range(1, 17)]
    ddim, direct, bdia, friendly = found
    for one in (direct, bdia, friendly):
        assert all(one.back[scale].mean == pytest.approx(most.mean, abs=0.05) for scale in SCALES)
    assert all(abs(ddim.back[scale].mean - most.mean) > 0.001 for scale in SCALES)  # of noise, any other is as good
    assert [one.inversion_cost for one in found] == [0.5, 0.5, 1.0, 0.0]  # of 4 steps with 2 calls each
    assert direct.edit_cost > ddim.edit_cost
    assert ddim.ahead is None and all(one.ahead is not None and one.ahead.keys() == HOW.keys() for one in found[1:])


def test_what_there_is_not(editor: Editor) -> None:
    with pytest.raises(EditError, match=r"no inversion 'dirct'\. Did you mean 'direct'\?"):
        compare_inversions(editor, 1, ["dirct"])
    with pytest.raises(EditError, match=r"no task 'paste'\. There are: move, drag, appearance"):
        compare_inversions(editor, 1, tasks=["paste"])


@pytest.mark.slow
def test_the_command_prints_tables_and_json(editor: Editor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dragonkit.cli.bench.inversions.load_editor", lambda *_: editor)
    words = ["bench", "inversions", "--n", "1", "--steps", "2", "--inversion", "ddim", "--inversion", "direct"]
    said = CliRunner().invoke(app, words, env={"COLUMNS": "200"})
    assert said.exit_code == 0, said.output
    assert "dB more than ddim" in said.output and "the way that edits went, free" in said.output
    found = read_json(CliRunner().invoke(app, [*words, "--tuning", "--json"]).output)
    assert [one["inversion"] for one in found["inversions"]] == ["ddim", "direct"]
    assert set(found["inversions"][1]["way"]["free"]) == set(EDITED) and len(found["autoencoder"]) == 3
    assert [row[0] for row in figure_tables.inversions(found)] == ["inversion", "`ddim`", "`direct`"], "the page's table is made of it"
