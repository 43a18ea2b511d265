"""`dragonkit bench`: tables of what edits are worth, measured against known answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from dragonkit.cli.console import bars, show
from dragonkit.cli.editing import ModelOption

__all__ = ["bench"]

bench = typer.Typer(rich_markup_mode=None, help="Measure edits against known answers.", no_args_is_help=True)

NOption = Annotated[int, typer.Option("--n", metavar="INTEGER", min=1, help="How many tasks of each kind.")]
JobsOption = Annotated[int, typer.Option("--jobs", metavar="INTEGER", min=1, help="Processes.")]
OffsetOption = Annotated[int, typer.Option("--seed-offset", metavar="INTEGER", min=0, help="Added to the public seeds, for fresh tasks.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print every record as JSON.")]


@bench.command()
def toybox(
    n: NOption = 10,
    task: Annotated[list[str] | None, typer.Option("--task", metavar="NAME", help="Only this kind; repeatable.", show_default=False)] = None,
    row: Annotated[list[str] | None, typer.Option("--row", metavar="NAME", help="Only this row; repeatable.", show_default=False)] = None,
    seed_offset: OffsetOption = 0,
    model: ModelOption = "toybox",
    jobs: JobsOption = 1,
    html: Annotated[Path | None, typer.Option("--html", metavar="PATH", help="Also write a page with every picture.", show_default=False)] = None,
    as_json: JsonOption = False,
) -> None:
    """Every edit mode, in every way that is compared, on toybox scenes."""
    from dragonkit.bench.page import write_page
    from dragonkit.bench.summary import summary, table
    from dragonkit.bench.toybox import run_tasks

    with bars(as_json) as bar:
        records = run_tasks(task or (), row or (), n, seed_offset, model, jobs, bar("tasks"))
    if html is not None:
        write_page(html, records)
    if as_json:
        typer.echo(json.dumps([record.to_json() for record in records]))
    else:
        show(*(table(name, rows) for name, rows in summary(records).items()))
