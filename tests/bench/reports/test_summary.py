"""Tables say what the records say: means by task and row, the way gone, and cost in plain generations."""

from __future__ import annotations

import math

import pytest
from PIL import Image

from dragonkit.bench.measures.measure import ABOUT, Measures, Record
from dragonkit.bench.reports.summary import ALL, against, summary

NOTHING = Image.new("RGB", (8, 8))


def record(task: str, seed: int, row: str, psnr: float, evaluations: int = 0, seconds: float = 0.0, **measures: float) -> Record:
    values = {name: math.nan for name in ABOUT} | {"psnr_changed": psnr} | measures
    return Record(task, seed, row, NOTHING, NOTHING, NOTHING, Measures(**values), evaluations, seconds)


RECORDS = [
    record("move", 1, "untouched", 10.0),
    record("move", 1, "reconstruction", 10.0, 50, 2.0),
    record("move", 1, "default", 25.0, 60, 3.0, residual=0.2),
    record("move", 1, "ceiling", 30.0),
    record("move", 2, "untouched", 12.0),
    record("move", 2, "reconstruction", 12.0, 50, 4.0),
    record("move", 2, "default", 21.0, 70, 8.0),
    record("move", 2, "ceiling", 30.0),
    record("drag", 1, "untouched", 14.0),
    record("drag", 1, "default", 14.0, 5, 1.0),
    record("drag", 1, "ceiling", 24.0),
]


def test_every_task_has_its_table_and_all_have_one() -> None:
    tables = summary(RECORDS)
    assert list(tables) == ["move", "drag", ALL]
    assert [line.row for line in tables["move"]] == ["untouched", "reconstruction", "default", "ceiling"]
    assert [line.n for line in tables[ALL]] == [3, 2, 3, 3]
    assert list(summary(RECORDS[:8])) == ["move"]  # one task needs no second table


def test_a_line() -> None:
    line = summary(RECORDS)["move"][2]
    assert line.measures["psnr_changed"].mean == pytest.approx(23.0)
    assert line.measures["residual"].mean == pytest.approx(0.2)  # the other task says nothing
    assert math.isnan(line.measures["drag"].mean)
    assert line.way.mean == pytest.approx((15 + 9) / (20 + 18))
    assert line.evaluations == 65
    assert line.cost == pytest.approx((1.5 + 2.0) / 2)


def test_the_way_begins_at_the_untouched_source_and_ends_at_the_ceiling() -> None:
    lines = {line.row: line for line in summary(RECORDS)["move"]}
    assert lines["untouched"].way.mean == 0 and lines["ceiling"].way.mean == 1
    assert math.isnan(summary(RECORDS)["drag"][1].cost)  # no plain generation in this run
    without = [one for one in RECORDS if one.row != "ceiling"]
    assert math.isnan(summary(without)["move"][2].way.mean)


def test_a_row_is_compared_with_another_on_the_same_scenes_only() -> None:
    records = [record("move", seed, "default", 20.0 + seed) for seed in range(4)]
    records += [record("move", seed, "reference", 15.0 + 2 * seed) for seed in (0, 1, 2)]
    records += [record("drag", 0, "default", 9.0), record("paste", 0, "reference", 9.0)]
    found = against(records)
    assert found.keys() == {"move"}
    assert found["move"].mean == pytest.approx((5 + 4 + 3) / 3)
    assert 3 <= found["move"].low < found["move"].mean < found["move"].high <= 5
    assert against(records, "reference", "default")["move"].mean == pytest.approx(-4)
