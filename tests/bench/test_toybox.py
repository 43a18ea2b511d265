"""The runner on the embedded model: records in order, shared inversions, words for what it does not know."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from helpers.strict import read_json
from typer.testing import CliRunner

pytest.importorskip("torchmetrics")

from dragonkit.bench.rows import ROWS
from dragonkit.bench.toybox import run_tasks
from dragonkit.cli.app import app
from dragonkit.errors import EditError


@pytest.mark.parametrize(
    ("tasks", "rows", "said"), [(["mvoe"], [], "no 'mvoe'. Did you mean 'move'"), ([], ["papre"], "Did you mean 'paper'")]
)
def test_unknown_names_are_told(tasks: list[str], rows: list[str], said: str) -> None:
    with pytest.raises(EditError, match=said):
        run_tasks(tasks, rows, 1)


@pytest.mark.slow
def test_rows_without_a_model_pass_cost_nothing_and_frame_the_rest() -> None:
    records = run_tasks(["move", "paste"], ["untouched", "copy, Telea", "ceiling"], 2)
    assert [(record.task, record.row) for record in records if record.seed == records[0].seed] == [
        ("move", "untouched"), ("move", "copy, Telea"), ("move", "ceiling"), ("paste", "untouched"), ("paste", "ceiling"),
    ]  # fmt: skip
    assert all(record.evaluations == 0 for record in records)
    assert {record.measures.residual for record in records if (record.task, record.row) == ("move", "untouched")} == {1.0}
    untouched, ceiling = ([record.measures.psnr_changed for record in records if record.row == row] for row in ("untouched", "ceiling"))
    assert all(low < high for low, high in zip(untouched, ceiling, strict=True))
    assert [record.measures for record in run_tasks(["move"], ["untouched"], 1, seed_offset=5)] != [records[0].measures]


@pytest.mark.slow
def test_an_edits_cost_is_without_inversions() -> None:
    (record,) = run_tasks(["move"], ["default"], 1)
    assert 0 < record.evaluations < 25  # an inversion alone is 25
    assert record.measures.residual < 0.1


def test_every_row_that_edits_names_its_settings() -> None:
    without = {"untouched", "copy, Telea", "copy, Navier-Stokes", "pattern anew", "one pixel off", "ceiling"}
    assert {name for name, row in ROWS.items() if row.settings is None} == without
    assert all(row.about for row in ROWS.values())


@pytest.mark.slow
def test_a_pixel_off_is_far_from_the_answer() -> None:
    """What a way of a half means for what is drawn anew: thin outlines forgive nothing."""
    rows = ["untouched", "one pixel off", "ceiling"]
    untouched, off, ceiling = (record.measures.psnr_changed for record in run_tasks(["drag"], rows, 1))
    assert 0.2 < (off - untouched) / (ceiling - untouched) < 0.8
    assert [record.row for record in run_tasks(["remove"], rows, 1)] == ["untouched", "ceiling"]


def test_a_page_that_is_there_is_spared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "page.html").write_text("mine")
    words = ["bench", "toybox", "--n", "1", "--task", "move", "--row", "untouched", "--html", str(tmp_path / "page.html")]
    refused = CliRunner().invoke(app, words)
    assert (refused.exit_code, (tmp_path / "page.html").read_text()) == (2, "mine")
    assert "which is there already; give another name, or add --overwrite" in refused.stderr
    assert CliRunner().invoke(app, [*words, "--overwrite"]).exit_code == 0
    assert (tmp_path / "page.html").read_text().startswith("<!doctype html>")


def test_the_command_prints_tables_and_json() -> None:
    words = ["bench", "toybox", "--n", "1", "--task", "move", "--row", "untouched", "--row", "ceiling"]
    shown = CliRunner().invoke(app, words, env={"COLUMNS": "200"})
    assert shown.exit_code == 0, shown.output
    assert "PSNR changed" in shown.output and "ceiling: the autoencoder's round trip" in shown.output
    found = read_json(CliRunner().invoke(app, [*words, "--json"]).output)
    assert [record["row"] for record in found["records"]] == ["untouched", "ceiling"]
    assert found["records"][0]["drag"] is None  # nan is no JSON
    assert "NaN" not in json.dumps(found["records"])
    assert math.isclose(found["summary"]["move"][1]["way"][0], 1.0)
