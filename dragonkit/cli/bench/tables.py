"""Tables of figures with their intervals, for `dragonkit bench`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

    from dragonkit.bench.reports.statistics import Interval

__all__ = ["grid", "mean_of", "written"]


def grid(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """A table with a title; the first column names the rows."""
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for place, column in enumerate(columns):
        table.add_column(column, justify="right" if place else "left", no_wrap=place == 0)
    for row in rows:
        table.add_row(*row)
    return table


def written(found: Interval, digits: int = 1) -> str:
    """Mean and interval; empty where there is nothing to average."""
    if math.isnan(found.mean):
        return ""
    return f"{found.mean:.{digits}f} [{found.low:.{digits}f}, {found.high:.{digits}f}]"


def mean_of(found: Interval) -> str:
    """The mean alone, with about three digits."""
    return "" if math.isnan(found.mean) else f"{found.mean:.2f}" if abs(found.mean) < 10 else f"{found.mean:.1f}"
