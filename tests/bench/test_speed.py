"""What `dragonkit bench speed` measures: edits right after the generation they are compared with, and rows as the network sees them."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from helpers import network_rows as by_hooks
from helpers.strict import read_json
from typer.testing import CliRunner

from dragonkit.bench import speed as bench_speed
from dragonkit.bench.network_rows import counted
from dragonkit.bench.speed import GOALS, Figure, measure_speed
from dragonkit.cli.app import app
from dragonkit.edits.settings import Settings
from dragonkit.testing import tiny_editor


def test_rows_are_those_of_the_network() -> None:
    from dragonkit.bench.tasks.catalogue import move_task
    from dragonkit.modes.move import Move

    editor = tiny_editor()
    task = move_task(1, editor.backbone.model_size)
    predict = editor.backbone.predict
    with by_hooks.counted(editor.backbone.unet) as expected, counted(editor.backbone) as found:
        editor.edit(task.scene.image, Move(**task.edits[0][1]), Settings.preset("reference", steps=5), "a fish")
    assert (found.forward, found.backward) == expected.taken()
    assert found.backward > 0 and found.forward > 10
    assert editor.backbone.predict == predict


@pytest.mark.slow
def test_every_ratio_is_measured_as_often_as_asked() -> None:
    told: list[tuple[int, int]] = []
    found = {one.what: one for one in measure_speed(tiny_editor(), 2, 3, ["paper", "default"], lambda *of: told.append(of))}
    assert told == [(done, 10) for done in range(1, 11)]
    assert found.keys() == {
        "paper, first edit",
        "paper, another edit",
        "default, first edit",
        "default, another edit",
        "three edits at once / one",
        "first preview, a draft / edit",
        "first glimpse of the model's / edit",
        "one call of the network / its floor",
        *(f"8 pictures, {at_once} at a time / one by one" for at_once in (2, 4, 8)),
    }
    assert found["one call of the network / its floor"].median > 1
    assert all(len(one.ratios) == 2 and min(one.ratios) > 0 for one in found.values())
    first = found["paper, first edit"]
    assert (first.rows, first.unit_rows) == ((8, 2), 6)  # inverted, the noisy end recorded, edited
    assert found["paper, another edit"].rows == (4, 2)
    assert 0 < found["first preview, a draft / edit"].median < found["first glimpse of the model's / edit"].median < 1
    assert found["three edits at once / one"].rows[0] == found["three edits at once / one"].unit_rows  # type: ignore[index]


def test_the_command_prints_a_table_and_json(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def measured(editor: Any, repeats: int, steps: int | None, progress: object) -> list[Figure]:
        asked.append((editor, repeats, steps))
        return [Figure("paper, first edit", [1.5, 1.25, 2.0], [3.0, 2.5, 4.0], (150, 30), 100)]

    monkeypatch.setattr(bench_speed, "loaded", lambda *named: named)
    monkeypatch.setattr(bench_speed, "measure_speed", measured)
    monkeypatch.setattr(bench_speed, "measure_memory", lambda *_: Figure("peak memory, recompute / generation", [math.nan]))
    call = ["bench", "speed", "--device", "cpu", "--model", "sd15-shape", "--steps", "4", "--repeats", "3"]
    shown = CliRunner().invoke(app, call, catch_exceptions=False, env={"COLUMNS": "150"}).output
    assert asked == [(("sd15-shape", "cpu", "float32"), 3, 4)]
    for text in ("paper, first edit", "1.75", "1.25", "1.50", "2.00", "3.00", "150 + 30", "100", "reached", "plain generations"):
        assert text in shown
    found = read_json(CliRunner().invoke(app, [*call, "--json"], catch_exceptions=False).stdout)
    assert found[0]["ratios"] == [1.5, 1.25, 2.0] and found[0]["rows"] == {"forward": 150, "backward": 30}
    assert found[1]["ratios"] == [None] and found[1]["rows"] is None
    assert all(one["goal"] == GOALS[one["what"]] for one in found)


def test_an_unknown_precision_is_refused() -> None:
    shown = CliRunner().invoke(app, ["bench", "speed", "--dtype", "float8"])
    assert shown.exit_code == 2 and "there is no precision 'float8'" in shown.output


@pytest.mark.slow
@pytest.mark.processes
def test_memory_is_measured_in_processes_of_its_own() -> None:
    found = bench_speed.measure_memory("toybox", "cpu", "float32", 2)
    assert torch.isfinite(torch.tensor(found.ratios)).all() and 0.2 < found.median < 20
