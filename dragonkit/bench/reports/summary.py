"""From records to tables: means with intervals by task and row, and how far each row went from the untouched source to the ceiling."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from dragonkit.bench.measures.measure import Record
from dragonkit.bench.reports.statistics import Interval, interval, paired, way

__all__ = ["ALL", "SHOWN", "Line", "against", "summary"]

ALL = "all tasks"
SHOWN = ("psnr_changed", "psnr_elsewhere", "ssim_changed", "placement", "residual", "tint", "drag")
"""The measures that tables show; records hold more."""


@dataclass(frozen=True)
class Line:
    """A row of a table.

    Attributes:
        measures: means with their 95 % intervals, by name; nan where a measure does not apply.
        way: in PSNR where the answer differs, 0 for the untouched source, 1 for the autoencoder's round trip of the answer.
        evaluations: mean UNet calls of the edit, inversions apart.
        cost: median time in plain generations of the same model in the same run (that of the row "reconstruction"); nan without that row.
    """

    row: str
    n: int
    measures: Mapping[str, Interval]
    way: Interval
    evaluations: float
    cost: float


def summary(records: Sequence[Record]) -> dict[str, list[Line]]:
    """The lines of every task, and of all tasks together, in the order of the records."""
    tasks = list(dict.fromkeys(record.task for record in records))
    tables = {task: _lines([record for record in records if record.task == task]) for task in tasks}
    return {**tables, ALL: _lines(records)} if len(tasks) > 1 else tables


def against(records: Sequence[Record], row: str = "default", other: str = "reference") -> dict[str, Interval]:
    """By task, how much higher a row's PSNR is than another's on the same scenes, in dB where the answer differs; empty without both."""
    psnr = {(record.row, record.task, record.seed): record.measures.psnr_changed for record in records}
    pairs: dict[str, list[tuple[float, float]]] = {}
    for name, task, seed in psnr:
        if name == row and (other, task, seed) in psnr:
            pairs.setdefault(task, []).append((psnr[row, task, seed], psnr[other, task, seed]))
    return {task: paired([a for a, _ in both], [b for _, b in both]) for task, both in pairs.items()}


def _lines(records: Sequence[Record]) -> list[Line]:
    by_row: dict[str, dict[tuple[str, int], Record]] = {}
    for record in records:
        by_row.setdefault(record.row, {})[record.task, record.seed] = record
    return [_line(row, found, by_row) for row, found in by_row.items()]


def _line(row: str, found: Mapping[tuple[str, int], Record], by_row: Mapping[str, Mapping[tuple[str, int], Record]]) -> Line:
    def of(name: str) -> list[float]:
        """The PSNR of another row on the tasks of this one."""
        others = by_row.get(name, {})
        return [others[key].measures.psnr_changed if key in others else math.nan for key in found]

    plain = by_row.get("reconstruction", {})
    ratios = [record.seconds / plain[key].seconds for key, record in found.items() if key in plain]
    return Line(
        row,
        len(found),
        {name: interval([getattr(record.measures, name) for record in found.values()]) for name in SHOWN},
        way(of(row), of("untouched"), of("ceiling")),
        sum(record.evaluations for record in found.values()) / len(found),
        median(ratios) if ratios else math.nan,
    )
