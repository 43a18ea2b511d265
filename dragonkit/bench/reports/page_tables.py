"""Tables of a benchmark as HTML: a mean with its interval in each cell, the way gone, and the best in bold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from statistics import fmean

import numpy as np

from dragonkit.bench.measures.measure import ABOUT, Record
from dragonkit.bench.reports.statistics import Interval, interval, paired, way

__all__ = ["CEILING", "HEADLINE", "UNTOUCHED", "Rows", "by_row", "figure", "summary_table", "task_table"]

UNTOUCHED, CEILING = "untouched", "ceiling"
"""Rows between which the way of an edit lies."""
HEADLINE = "psnr_changed"
"""The measure that the summary shows and that cases are sorted by."""

Rows = Mapping[str, Mapping[int, Record]]
"""The records of one task by row and seed."""


@dataclass(frozen=True)
class _Cell:
    mean: Interval
    way: Interval | None
    best: bool
    """Whether the best row is no better beyond the interval."""


def by_row(records: Iterable[Record]) -> Rows:
    """Records of one task, rows and seeds in the order in which they come."""
    rows: dict[str, dict[int, Record]] = {}
    for record in records:
        rows.setdefault(record.row, {})[record.seed] = record
    return rows


def figure(measure: str, value: float) -> str:
    """A value with its unit."""
    about = ABOUT[measure]
    return f"{value:.{about.digits}f}{' ' if about.unit else ''}{about.unit}"


def summary_table(tasks: Mapping[str, Rows]) -> str:
    """The headline measure: rows by tasks, and what a row costs."""
    cells = {task: _cells(rows, HEADLINE) for task, rows in tasks.items()}
    names = list(dict.fromkeys(row for rows in tasks.values() for row in rows))
    costs = {row: [record for rows in tasks.values() for record in rows.get(row, {}).values()] for row in names}
    heads = [f"{escape(task)}<br><small>{ABOUT[HEADLINE].unit}</small>" for task in tasks]
    body = [(row, [_shown(cells[task].get(row), HEADLINE) for task in tasks], costs[row]) for row in names]
    return _table(heads, body, f"{ABOUT[HEADLINE].title} by row and task")


def task_table(task: str, rows: Rows) -> str:
    """All that was measured of one task: rows by measures, without those that do not apply."""
    cells = {measure: _cells(rows, measure) for measure in ABOUT if not measure.endswith("_before")}  # these are the untouched row's
    cells = {measure: column for measure, column in cells.items() if any(not np.isnan(cell.mean.mean) for cell in column.values())}
    heads = [f"{escape(one.title)} {'↑' if one.higher else '↓'}<br><small>{one.unit}</small>" for one in map(ABOUT.__getitem__, cells)]
    body = [(row, [_shown(column[row], measure) for measure, column in cells.items()], list(rows[row].values())) for row in rows]
    return _table(heads, body, f"measures of {task}")


def _cells(rows: Rows, measure: str) -> dict[str, _Cell]:
    seeds = list(dict.fromkeys(seed for several in rows.values() for seed in several))
    values = {
        row: np.array([getattr(several[seed].measures, measure) if seed in several else np.nan for seed in seeds])
        for row, several in rows.items()
    }
    sign = 1 if ABOUT[measure].higher else -1
    means = {row: interval(column) for row, column in values.items()}
    others = [row for row in rows if row not in (UNTOUCHED, CEILING) and not np.isnan(means[row].mean)]
    best = max(others, key=lambda row: sign * means[row].mean, default=None)
    ways = ABOUT[measure].way and UNTOUCHED in rows and CEILING in rows
    cells = {}
    for row, column in values.items():
        competes = row in others
        gone = way(column, values[UNTOUCHED], values[CEILING]) if ways and competes else None
        cells[row] = _Cell(means[row], gone, competes and best is not None and not paired(sign * values[best], sign * column).low > 0)
    return cells


def _shown(cell: _Cell | None, measure: str) -> str:
    if cell is None or np.isnan(cell.mean.mean):
        return "<td></td>"
    digits = ABOUT[measure].digits
    text = f"<span>{cell.mean.mean:.{digits}f}</span><small>{cell.mean.low:.{digits}f} to {cell.mean.high:.{digits}f}</small>"
    if cell.way is not None and not np.isnan(cell.way.mean):
        text += f"<small>{cell.way.mean:.0%} ({cell.way.low:.0%} to {cell.way.high:.0%})</small>"
    return f'<td class="best">{text}</td>' if cell.best else f"<td>{text}</td>"


def _table(heads: Sequence[str], body: Iterable[tuple[str, Sequence[str], Sequence[Record]]], label: str) -> str:
    titles = ["row", *heads, "UNet<br><small>calls</small>", "time<br><small>s</small>", "cases"]
    lines = [f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(label)}"><table><thead><tr>']
    lines += [f'<th scope="col">{title}</th>' for title in titles]
    lines.append("</tr></thead><tbody>")
    for row, cells, records in body:
        costs = f"{fmean(one.evaluations for one in records):.0f}", f"{fmean(one.seconds for one in records):.1f}", str(len(records))
        lines.append(f'<tr><th scope="row">{escape(row)}</th>{"".join(cells)}{"".join(f"<td>{cost}</td>" for cost in costs)}</tr>')
    return "\n".join([*lines, "</tbody></table></div>"])
