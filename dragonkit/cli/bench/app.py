"""`dragonkit bench`: tables of what edits are worth, measured against known answers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dragonkit.cli.bench.batch import batch
from dragonkit.cli.bench.cost import cost
from dragonkit.cli.bench.drag import DragCommand, drag
from dragonkit.cli.bench.fills import fills
from dragonkit.cli.bench.inversions import inversions
from dragonkit.cli.bench.model import judge
from dragonkit.cli.bench.speed import speed
from dragonkit.cli.bench.tables import grid, mean_of, written
from dragonkit.cli.bench.tune import JobsOption, JsonOption, scale, tune
from dragonkit.cli.bench.ways import ways
from dragonkit.cli.console import bars, show
from dragonkit.cli.editing import ModelOption
from dragonkit.cli.json_output import print_json
from dragonkit.cli.panels import CommandList, WholeGroup
from dragonkit.cli.places import OverwriteOption, check_output, told

if TYPE_CHECKING:
    from rich.table import Table

    from dragonkit.bench.paper import Figure
    from dragonkit.bench.reports.summary import Line

__all__ = ["bench"]

bench = CommandList(cls=WholeGroup, rich_markup_mode=None, help="Measure edits against known answers.", no_args_is_help=True)
bench.command(cls=DragCommand)(drag)

NOption = Annotated[int, typer.Option("--n", metavar="INTEGER", min=1, help="How many tasks of each kind.")]
OffsetOption = Annotated[int, typer.Option("--seed-offset", metavar="INTEGER", min=0, help="Added to the public seeds, for fresh tasks.")]
TaskOption = Annotated[list[str] | None, typer.Option("--task", metavar="NAME", help="Only this kind; repeatable.", show_default=False)]
RowOption = Annotated[list[str] | None, typer.Option("--row", metavar="NAME", help="Only this row; repeatable.", show_default=False)]
HtmlOption = Annotated[Path | None, typer.Option("--html", metavar="PATH", help="Also write a page of all pictures.", show_default=False)]

bench.command()(tune)
bench.command()(scale)
bench.command("model")(judge)
bench.command()(speed)
bench.command()(ways)
bench.command()(cost)
bench.command()(batch)
bench.command()(fills)
bench.command()(inversions)


@bench.command()
def toybox(
    n: NOption = 10,
    task: TaskOption = None,
    row: RowOption = None,
    seed_offset: OffsetOption = 0,
    model: ModelOption = "toybox",
    jobs: JobsOption = 1,
    html: HtmlOption = None,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Every edit mode, in every way that is compared, on toybox scenes."""
    from dragonkit.bench.reports.failures import worst
    from dragonkit.bench.reports.page import write_page
    from dragonkit.bench.reports.summary import against, summary
    from dragonkit.bench.rows import ROWS
    from dragonkit.bench.toybox import run_tasks

    if html is not None:
        check_output(html, overwrite=overwrite, suffix="", option="--html")
    with bars(as_json) as bar:
        records = run_tasks(task or (), row or (), n, seed_offset, model, jobs, bar("tasks"))
    if html is not None:
        with told(html):
            write_page(html, records, {name: row.about for name, row in ROWS.items()})
    tables = summary(records)
    if as_json:
        whole = {
            "summary": {name: [asdict(line) for line in lines] for name, lines in tables.items()},
            "default against reference": {name: gain._asdict() for name, gain in against(records).items()},
            "failures": [{"task": one.record.task, "seed": one.record.seed, "way": one.way, "why": one.reason} for one in worst(records)],
            "records": [_plain(record) for record in records],
        }
        print_json(whole)
        return
    show(*(_table(name, lines) for name, lines in tables.items()))
    gained = [(name, written(gain)) for name, gain in against(records).items()]
    if gained:
        show(grid("the default against the preset reference, on the same scenes", ["task", "dB more"], gained))
    failures = [(f"{one.record.task}, seed {one.record.seed}", f"{one.way:.2f}", one.reason) for one in worst(records)]
    if failures:
        show(grid("the default's failures, worst first: less than half of the way", ["task", "way", "why"], failures))
    show("\n".join(f"{name}: {one.about}" for name, one in ROWS.items() if name in {record.row for record in records}))
    show("way: in PSNR where the answer differs, from the untouched source (0) to the ceiling (1)")
    show("cost: in plain generations of the same model in the same run, inversions apart")


@bench.command()
def paper(
    figure: Annotated[
        list[str] | None, typer.Option("--figure", metavar="NUMBER", help="2, 3, 4 or 7; repeatable; all by default.", show_default=False)
    ] = None,
    n: NOption = 10,
    model: ModelOption = "toybox",
    as_json: JsonOption = False,
) -> None:
    """The claims of DragonDiffusion's figures, as numbers on toybox scenes."""
    from dragonkit.bench.paper import FIGURES, run_figure
    from dragonkit.errors import EditError

    for name in figure or ():
        if name not in FIGURES:
            raise EditError(f"there is no figure {name!r}; choose among {', '.join(FIGURES)}")
    found = {}
    with bars(as_json) as bar:
        for name in figure or FIGURES:
            found[name] = run_figure(name, n, model, bar(f"figure {name}"))
    if as_json:
        print_json({name: {**asdict(one), "verdicts": [claim.verdict for claim in one.claims]} for name, one in found.items()})
        return
    for one in found.values():
        show(_figure(one, n))
        for claim in one.claims:
            show(f"  {claim.text}: {claim.verdict} ({written(claim.difference)})")


@bench.command()
def selectors(
    objects: Annotated[int, typer.Option("--objects", metavar="INTEGER", min=2, help="How many objects are clicked on.")] = 60,
    size: Annotated[
        list[int] | None, typer.Option("--size", metavar="PIXELS", min=32, help="Of the pictures; repeatable.", show_default="64 and 128")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """How much of an object one click selects."""
    from dragonkit.bench.selectors import cases, has_random_walker, measure, rows

    clicked = {pixels: cases(pixels, objects) for pixels in size or (64, 128)}
    found = {pixels: {name: measure(select, on) for name, select in rows().items()} for pixels, on in clicked.items()}
    if as_json:
        plain = {str(pixels): {name: asdict(row) for name, row in lines.items()} for pixels, lines in found.items()}
        print_json(plain)
        return
    columns = ["", "mean IoU", "median", "> 0.8", "ms"]
    for pixels, lines in found.items():
        table = [
            (name, written(row.iou, 3), f"{row.median:.3f}", f"{row.good:.0%}", f"{row.milliseconds:.0f}") for name, row in lines.items()
        ]
        show(grid(f"{objects} objects in scenes of {pixels} px, one click each", columns, table))
    if not has_random_walker():
        show("The random walker is left out: it needs scikit-image (pip install scikit-image).")


def _table(name: str, lines: Sequence[Line]) -> Table:
    from dragonkit.bench.measures.measure import ABOUT

    shown = [key for key in lines[0].measures if any(not math.isnan(line.measures[key].mean) for line in lines)]
    columns = ["row", "n", "way", *(f"{ABOUT[key].title} {ABOUT[key].unit}".strip() for key in shown), "UNet calls", "cost"]
    rows = [
        (
            line.row,
            str(line.n),
            written(line.way, 2),
            *(written(line.measures[key]) if key == "psnr_changed" else mean_of(line.measures[key]) for key in shown),
            f"{line.evaluations:.0f}",
            "" if math.isnan(line.cost) else f"{line.cost:.2f}",
        )
        for line in lines
    ]
    return grid(name, columns, rows)


def _figure(figure: Figure, n: int) -> Table:
    columns = list(dict.fromkeys(column for values in figure.values.values() for column in values))
    rows = [
        (row, *(written(values[column], 3 if column in ("feature similarity", "sharpness", "residual") else 1) for column in columns))
        for row, values in figure.values.items()
    ]
    return grid(f"{figure.title}; {n} scenes, mean [95 % interval]", ["", *columns], rows)


def _plain(record: Any) -> dict[str, Any]:
    """A record without its pictures, nan as null."""
    measures = {name: None if math.isnan(value) else value for name, value in asdict(record.measures).items()}
    return {
        "task": record.task,
        "seed": record.seed,
        "row": record.row,
        **measures,
        "evaluations": record.evaluations,
        "seconds": record.seconds,
    }
