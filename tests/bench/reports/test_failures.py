"""Failures come worst first, each with what its measures say is wrong."""

from __future__ import annotations

import math
from dataclasses import fields

import pytest
from PIL import Image

from dragonkit.bench.measures.measure import Measures, Record
from dragonkit.bench.reports.failures import why, worst

HALF_OFF = "the object's outline overlaps the right one by 10% only"
NOTHING = Image.new("RGB", (8, 8))


def measured(**values: float) -> Measures:
    return Measures(**{one.name: math.nan for one in fields(Measures)} | values)


def record(row: str, seed: int, psnr: float, task: str = "move", **values: float) -> Record:
    return Record(task, seed, row, NOTHING, NOTHING, NOTHING, measured(psnr_changed=psnr, **values), 0, 0.0)


def test_failures_went_less_than_half_of_the_way_and_come_worst_first() -> None:
    records = [record("untouched", seed, 10) for seed in range(4)] + [record("ceiling", seed, 30) for seed in range(4)]
    records += [record("default", seed, psnr) for seed, psnr in enumerate([19, 21, 12, 9])] + [record("fast", 0, 5)]
    found = worst(records)
    assert [failure.record.seed for failure in found] == [3, 2, 0]
    assert [failure.way for failure in found] == pytest.approx([-0.05, 0.1, 0.45])
    assert [failure.record.row for failure in worst(records, "fast")] == ["fast"]


def test_without_both_ends_nothing_is_said_to_have_failed() -> None:
    assert worst([record("untouched", 0, 10), record("default", 0, 5)]) == []
    assert worst([record("untouched", 0, 10), record("ceiling", 0, 10), record("default", 0, 5)]) == []  # no way to go


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"residual": 0.4}, "40% of the object is still at its old place"),
        ({"placement": 4.0}, "the object is 4.0 px off its place"),
        ({"drag": 3.0, "drag_before": 8.0}, "what was dragged is 3.0 px from its goal, of 8.0 at first"),
        ({"color": 50.0, "color_before": 60.0}, "the colours are 50 from the reference's, 60 at first"),
        ({"pattern": 9.0, "pattern_before": 10.0}, "the pattern is 9 from the reference's, 10 at first"),
        ({"outline": 0.5}, "the object's outline overlaps the right one by 50% only"),
        ({"psnr_vacated": 12.0}, "what the object uncovered is filled wrongly (12.0 dB)"),
        ({"psnr_target": 12.0}, "the object itself is drawn wrongly (12.0 dB)"),
        (
            {"residual": 0.1, "placement": 0.5, "drag": 1.0, "drag_before": 9.0, "outline": 0.9},
            "many small differences, none of them of a kind",
        ),
        (
            {"residual": 0.4, "placement": 4.0, "outline": 0.1},
            "40% of the object is still at its old place; the object is 4.0 px off its place",
        ),
    ],
)
def test_the_reason_is_what_the_measures_say(values: dict[str, float], said: str) -> None:
    assert why(measured(**values)) == said
