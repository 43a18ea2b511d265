"""The search finds what is better, gives up what is not, and adopts only what holds on scenes it has not seen."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import pytest
from helpers.strict import read_json
from typer.testing import CliRunner

pytest.importorskip("optuna")
pytest.importorskip("torchmetrics")

import numpy as np
import optuna

from dragonkit.bench import tuning
from dragonkit.bench.outcomes import FIRST_SEED
from dragonkit.bench.reports.statistics import Interval
from dragonkit.bench.tasks.catalogue import TASKS
from dragonkit.bench.tuning import MODES, TUNING_SEED, Candidate, Tuned, suggest, tune
from dragonkit.cli.app import app
from dragonkit.edits.settings import Settings
from dragonkit.errors import EditError
from dragonkit.modes.drag import Drag
from dragonkit.modes.move import Move

Job = tuple[str, int, Candidate, str]


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> list[Job]:
    """Instead of edits, a known function of the candidate: best at hold=0.3, and worse than the defaults unless near it."""
    asked: list[Job] = []

    def score(job: Job) -> tuple[float, float]:
        asked.append(job)
        _, seed, candidate, _ = job
        noise = (seed * 7919 % 13) / 100
        hold = candidate.settings.get("hold")
        return (20.0 + noise, 10.0) if hold is None else (21.0 + noise - 10 * (hold - 0.3) ** 2, 10.0)

    monkeypatch.setattr(tuning, "_score", score)
    return asked


def test_the_search_finds_the_peak_and_adopts_it(scored: list[Job]) -> None:
    found = tune("resize", trials=40, n=4, fresh=6)
    assert found.best.settings["hold"] == pytest.approx(0.3, abs=0.1)
    assert found.adopt and found.difference.mean == pytest.approx(1.0, abs=0.15)
    assert found.default.mean == pytest.approx(20, abs=0.2) and found.evaluations == (10, 10)


def test_scenes_of_search_and_comparison_differ(scored: list[Job]) -> None:
    tune("drag", trials=3, n=2, fresh=3)
    seeds = {(task, seed) for task, seed, _, _ in scored}
    searched = {(task, TUNING_SEED + i) for task in ("drag", "drag-rigid") for i in range(2)}
    compared = {(task, FIRST_SEED + i) for task in ("drag", "drag-rigid") for i in range(3)}
    assert seeds == searched | compared


def test_the_same_seed_searches_the_same(scored: list[Job]) -> None:
    assert tune("move", trials=8, n=2, fresh=2, seed=4) == tune("move", trials=8, n=2, fresh=2, seed=4)


def test_hopeless_candidates_are_given_up_early(scored: list[Job]) -> None:
    tune("resize", trials=30, n=10, fresh=2)
    tried = sum(seed >= TUNING_SEED for _, seed, _, _ in scored)
    assert tried < 30 * 10  # measured: 236


@pytest.mark.parametrize("better", [False, True])
def test_cost_decides_between_what_is_alike(monkeypatch: pytest.MonkeyPatch, better: bool) -> None:
    """All candidates are 0.05 dB better and cost one plain generation more (0.1 dB) or less."""

    def score(job: Job) -> tuple[float, float]:
        return (20.05, 50.0 if better else 150.0) if job[2].settings else (20.0, 100.0)

    monkeypatch.setattr(tuning, "_score", score)
    found = tune("resize", trials=4, n=3, fresh=3)
    assert bool(found.best.settings) is better


def test_nothing_is_adopted_where_nothing_beats_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning, "_score", lambda job: (20.0 - bool(job[2].settings), 10.0))
    found = tune("resize", trials=6, n=3, fresh=3)
    assert found.best == Candidate() and not found.adopt and found.difference == Interval(0, 0, 0)


@pytest.mark.parametrize("edit_type", [Move, Drag])
def test_every_point_of_the_search_is_a_valid_edit(edit_type: Any) -> None:
    fields: Mapping[type, Mapping[str, Any]] = {
        Move: {"mask": np.eye(4, dtype=bool), "shift": (1, 0)},
        Drag: {"points": [((1, 1), (2, 2))]},
    }
    study, seen = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1)), set[str]()
    for _ in range(60):
        candidate = suggest(study.ask(), edit_type)
        settings = Settings(**candidate.settings)
        assert settings.schedule.span[0] <= settings.schedule.span[1]
        edit_type(**{**fields[edit_type], **candidate.fields})
        seen |= candidate.fields.keys()
    expected = {"edit_weight", "preserve_weight", "contrast_weight", "init" if edit_type is Drag else "inpaint_weight"}
    assert seen == expected


def test_there_is_a_task_for_every_mode_and_no_task_is_unknown() -> None:
    assert {task for tasks in MODES.values() for task in tasks} <= TASKS.keys()


def test_wrong_modes_are_told() -> None:
    with pytest.raises(EditError, match=r"'mvoe' on\. Did you mean 'move'"):
        tune("mvoe")


def test_without_optuna_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(EditError, match=r"pip install 'dragonkit\[tune\]'"):
        tune("move")


def test_the_command_prints_a_table_and_json(scored: list[Job]) -> None:
    words = ["bench", "tune", "--mode", "resize", "--trials", "12", "--n", "3", "--fresh", "4"]
    said = CliRunner().invoke(app, words, env={"COLUMNS": "220"})
    assert said.exit_code == 0, said.output
    assert "12 settings tried on 3 scenes" in said.output and "better: adopt it" in said.output and "resize: hold=" in said.output
    (found,) = read_json(CliRunner().invoke(app, [*words, "--json"]).output)
    assert found["adopt"] is True and found["best"]["settings"]["hold"] == pytest.approx(0.3, abs=0.2)


@pytest.mark.slow
def test_a_real_search() -> None:
    found = tune("resize", trials=3, n=1, fresh=2)
    assert isinstance(found, Tuned) and found.default.mean > 15
    assert found.evaluations[0] > 0
