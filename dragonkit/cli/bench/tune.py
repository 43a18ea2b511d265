"""`dragonkit bench tune` and `dragonkit bench scale`: which settings suit a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dragonkit.cli.bench.tables import grid, written
from dragonkit.cli.console import bars, show
from dragonkit.cli.editing import ModelOption
from dragonkit.cli.json_output import print_json

if TYPE_CHECKING:
    from dragonkit.bench.tuning import Tuned

__all__ = ["JobsOption", "JsonOption", "scale", "tune"]

ModeOption = Annotated[list[str] | None, typer.Option("--mode", metavar="NAME", help="Only this mode; repeatable.", show_default=False)]
ModelsOption = Annotated[list[str] | None, typer.Option("--model", metavar="NAME", help="As elsewhere; repeatable.", show_default="toybox")]
JobsOption = Annotated[int, typer.Option("--jobs", metavar="INTEGER", min=1, help="Processes.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]


def tune(
    mode: ModeOption = None,
    trials: Annotated[int, typer.Option("--trials", metavar="INTEGER", min=2, help="How many settings are tried.")] = 60,
    n: Annotated[int, typer.Option("--n", metavar="INTEGER", min=1, help="Scenes of each task that they are tried on.")] = 8,
    fresh: Annotated[int, typer.Option("--fresh", metavar="INTEGER", min=2, help="Scenes to compare on, unseen by the search.")] = 20,
    seed: Annotated[int, typer.Option("--search-seed", metavar="INTEGER", min=0, help="Of the search's own choices.")] = 0,
    model: ModelOption = "toybox",
    jobs: JobsOption = 1,
    as_json: JsonOption = False,
) -> None:
    """Search the settings and weights that suit each mode, and see whether they are better on fresh scenes."""
    from dragonkit.bench.tuning import MODES, tune

    found = []
    with bars(as_json) as bar:
        for name in mode or MODES:
            found.append(tune(name, trials, n, fresh, seed, model, jobs, bar(f"tuning {name}")))
    if as_json:
        print_json([{**asdict(one), "adopt": one.adopt} for one in found])
        return
    rows = [(one.mode, *map(written, (one.default, one.tuned, one.difference)), _calls(one), _advice(one)) for one in found]
    title = f"{trials} settings tried on {n} scenes of each task, compared on {fresh} others; PSNR in dB where the answer differs"
    show(grid(title, ["mode", "default", "best found", "difference", "UNet calls", ""], rows))
    for one in found:
        if one.best.settings:
            show(f"{one.mode}: {_said(one.best.settings)}; fields of the edit: {_said(one.best.fields)}")


def scale(
    model: ModelsOption = None,
    n: Annotated[int, typer.Option("--n", metavar="INTEGER", min=1, help="Scenes.")] = 10,
    as_json: JsonOption = False,
) -> None:
    """Whether one energy_scale serves several models."""
    from dragonkit.bench.scales import SCALES, shared_scale, try_scales

    names = model or ["toybox"]
    with bars(as_json) as bar:
        found = [try_scales(name, n, bar(name)) for name in names]
    shared, losses = shared_scale(found)
    if as_json:
        models = {name: asdict(one) for name, one in zip(names, found, strict=True)}
        print_json({"models": models, "shared": shared, "losses": losses})
        return
    gradients = [(name, f"{one.raw:.2g}", f"{one.factor:.0f}") for name, one in zip(names, found, strict=True)]
    show(grid("gradients as they come", ["model", "relative to the noise prediction", "factor to reach energy_scale=1"], gradients))
    columns = ["energy_scale", *(column for name in names for column in (name, "residual"))]
    rows = [
        (f"{each:g}", *(text for one in found for text in (written(one.psnr[each]), f"{one.residual[each].mean:.2f}"))) for each in SCALES
    ]
    show(grid(f"moves by energy_scale: PSNR in dB where the answer differs; {n} scenes", columns, rows))
    lost = ", ".join(f"{name} {loss:.2f} dB" for name, loss in zip(names, losses, strict=True))
    show(f"One for all: {shared:g}. Against its own best, each loses: {lost}.")


def _calls(one: Tuned) -> str:
    return ", ".join(f"{calls:.0f}" for calls in one.evaluations)


def _advice(one: Tuned) -> str:
    if not one.best.settings:
        return "nothing beat the default"
    return "better: adopt it" if one.adopt else "not better beyond the interval: keep the default"


def _said(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in values.items()) or "none"
