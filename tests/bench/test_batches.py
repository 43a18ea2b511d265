"""What `dragonkit bench batch` measures adds up."""

from __future__ import annotations

import math

import pytest
from helpers.batches import FAST, write_tiny_model
from helpers.strict import read_json
from typer.testing import CliRunner

from dragonkit.bench import batches
from dragonkit.bench.batches import measure_batches, measure_driver
from dragonkit.cli.app import app
from dragonkit.edits.settings import Settings


def test_a_plain_batch_beside_the_editor_alone(tmp_path_factory: pytest.TempPathFactory) -> None:
    model, seen = write_tiny_model(tmp_path_factory.mktemp("model")), []
    alone, plain = measure_batches(4, [("plain", 1)], model, Settings(**FAST), progress=lambda *of: seen.append(of))
    assert seen == [(number, 8) for number in range(1, 9)]
    assert (alone.engine, plain.engine, plain.workers) == ("none", "plain", 1)
    assert plain.inside > 0
    assert math.isfinite(plain.overhead)  # a difference of two means, which noise may turn below 0


def test_the_driver_alone_takes_time() -> None:
    assert measure_driver(50) > 0


def test_the_command_prints_tables_and_json(monkeypatch: pytest.MonkeyPatch) -> None:
    ways = [batches.Scaling("none", 1, 0.0, 2.0, 0.5, 0.0), batches.Scaling("plain", 1, 0.5, 1.0, 0.5, 0.25)]
    monkeypatch.setattr(batches, "measure_batches", lambda *_: ways)
    monkeypatch.setattr(batches, "measure_driver", lambda: 0.001)
    call = ["bench", "batch", "--seconds", "1.75", "--no-ray"]
    shown = CliRunner().invoke(app, call, catch_exceptions=False, env={"COLUMNS": "140"}).output
    for text in ("50%", "1750 GPUs", "555.6"):  # (1.75 + 0.25) s a job
        assert text in shown
    found = read_json(CliRunner().invoke(app, [*call, "--json"], catch_exceptions=False).stdout)
    assert found["driver"] == 0.001 and found["ways"][1]["overhead"] == 0.25
    assert found["million"]["64"] == pytest.approx(8.68, abs=0.01)
