"""`dragonkit bench model`: figures of a toybox model itself."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dragonkit.cli.bench.tables import grid, written
from dragonkit.cli.bench.tune import JsonOption
from dragonkit.cli.console import bars, show
from dragonkit.cli.editing import ModelOption
from dragonkit.cli.json_output import print_json
from dragonkit.cli.places import OverwriteOption, check_output, told
from dragonkit.files import write_picture

if TYPE_CHECKING:
    from dragonkit.bench.reports.statistics import Interval

__all__ = ["judge"]


def judge(
    model: ModelOption = "toybox",
    n: Annotated[int, typer.Option("--n", metavar="INTEGER", min=2, help="Scenes to invert, and objects to find again.")] = 20,
    samples: Annotated[int, typer.Option("--samples", metavar="INTEGER", min=2, help="Pictures to make from captions.")] = 64,
    guidance_scale: Annotated[float, typer.Option("--guidance-scale", metavar="NUMBER", min=0, help="Of the samples.")] = 2.0,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="PATH", help="Also write the samples as one PNG.", show_default=False)
    ] = None,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """What a model of toybox scenes is worth before anything is edited: autoencoder, inversion, samples, features."""
    if out is not None:
        check_output(out, overwrite=overwrite)
    from dragonkit.bench.model import STEPS, judge_model
    from dragonkit.toybox.training.export import contact_sheet

    with bars(as_json) as bar:
        found = judge_model(model, n, samples, guidance_scale, bar)
    if out is not None:
        with told(out):
            write_picture(out, contact_sheet(found.samples))
    if as_json:
        plain = {"psnr": found.psnr, "spread": found.spread, "matching": found.matching}
        print_json({**plain, "recognized": {name: asdict(one) for name, one in found.recognized.items()}})
        return
    show(grid(f"PSNR in dB to the picture; {STEPS} steps", ["", "dB"], [(name, written(value)) for name, value in found.psnr.items()]))
    rows = [(name, *map(_percent, (one.category, one.color, one.both))) for name, one in found.recognized.items()]
    title = f"{samples} captions of one plain object, guidance scale {guidance_scale:g}: what is recognized, in %"
    show(grid(title, ["", "category", "colour", "both"], rows))
    show(f"The samples differ from one another {found.spread:.2f} times as much as the true pictures do.")
    title = f"keypoints of {n} objects found again in another picture: pixels off"
    show(grid(title, ["", "pixels"], [(name, written(value)) for name, value in found.matching.items()]))


def _percent(share: Interval) -> str:
    return f"{100 * share.mean:.0f} [{100 * share.low:.0f}, {100 * share.high:.0f}]"
