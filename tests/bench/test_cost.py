"""What `dragonkit bench cost` measures: the edit that it says, in a process of its own, by precision."""

from __future__ import annotations

import math

import numpy as np
import pytest
from helpers.strict import read_json
from typer.testing import CliRunner

from dragonkit.bench import cost as bench_cost
from dragonkit.bench.cost import Case, Cost, cases, measure_case, measure_costs
from dragonkit.cli.app import app
from dragonkit.testing import tiny_editor


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_cost, "SHAPES", {"tiny": lambda device, dtype: tiny_editor()})


def test_every_precision_in_every_way_to_use_memory() -> None:
    found = cases("tiny", "cpu", ["float32", "float16"], ["bank", "recompute"], 3)
    assert [(one.dtype, one.memory, one.steps) for one in found] == [
        ("float32", "bank", 3), ("float32", "recompute", 3), ("float16", "bank", 3), ("float16", "recompute", 3),
    ]  # fmt: skip


def test_a_case_is_an_edit(tiny: None) -> None:
    found = measure_case(Case("tiny", "float32", "bank", "cpu", steps=3))
    assert found.image.shape == (32, 32, 3) and found.image.dtype == np.uint8
    assert found.evaluations >= 3 and found.attention == "torch"
    assert found.inversion > 0 and found.edit > 0 and found.generations > 0
    assert 50 < found.peak < 100_000 or math.isnan(found.peak)
    again = measure_case(Case("tiny", "float32", "recompute", "cpu", steps=3))
    assert found.likeness(again) > 40 and again.case.memory == "recompute"


@pytest.mark.slow
@pytest.mark.processes
def test_cases_run_in_fresh_processes_one_after_the_other() -> None:
    told: list[tuple[int, int]] = []
    wanted = cases("toybox", "cpu", ["float32"], ["bank"], 2)
    found = list(measure_costs(wanted, lambda done, whole: told.append((done, whole))))
    assert [one.case for one in found] == wanted and told == [(1, 1)]
    assert found[0].image.shape == (128, 128, 3)


def result(dtype: str, value: int) -> Cost:
    case = Case("tiny", dtype, "bank", "cpu")
    return Cost(case, "torch", 1.25, 2.5, 3.75, 22, math.nan, np.full((8, 8, 3), value, np.uint8))


def test_the_command_prints_a_table_and_json(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Case] = []

    def measured(wanted: list[Case], progress: object) -> list[Cost]:
        asked.extend(wanted)
        return [result("float32", 10), result("float16", 11)]

    monkeypatch.setattr(bench_cost, "measure_costs", measured)
    call = ["bench", "cost", "--device", "cpu", "--dtype", "float32", "--dtype", "float16", "--steps", "4"]
    shown = CliRunner().invoke(app, call, catch_exceptions=False, env={"COLUMNS": "150"})
    assert [(one.model, one.device, one.steps) for one in asked] == [("toybox", "cpu", 4)] * 6
    for text in ("float16", "3.75", "22", "equal", "48.1", "dB to float32", "attention by torch"):  # 20 log10(255) = 48.1
        assert text in shown.output
    found = read_json(CliRunner().invoke(app, [*call, "--json"], catch_exceptions=False).stdout)
    assert [one["dtype"] for one in found] == ["float32", "float16"] and found[0]["peak_mib"] is None


def test_an_unknown_precision_is_refused() -> None:
    shown = CliRunner().invoke(app, ["bench", "cost", "--dtype", "float8"])
    assert shown.exit_code == 2
    assert "there is no precision 'float8'; choose among float32, bfloat16, float16" in shown.output
    shown = CliRunner().invoke(app, ["bench", "cost", "--memory", "disk"])
    assert shown.exit_code == 2 and "memory" in shown.output and "offload" in shown.output
