"""`dragonkit bench ways`: which way to compute the network is quickest on this machine."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from dragonkit.cli.bench.cost import ShapeOption, chosen_device, name_of
from dragonkit.cli.bench.tables import grid
from dragonkit.cli.bench.tune import JsonOption
from dragonkit.cli.console import bars, show
from dragonkit.cli.editing import DeviceOption
from dragonkit.cli.json_output import print_json

if TYPE_CHECKING:
    from dragonkit.bench.ways import Way

__all__ = ["ways"]


def ways(
    model: ShapeOption = "toybox",
    device: DeviceOption = None,
    compilation: Annotated[
        bool, typer.Option("--compile/--no-compile", help="Also with compiled blocks, which takes a C++ compiler and a minute.")
    ] = True,
    as_json: JsonOption = False,
) -> None:
    """How a call of the network is quickest here: precision, threads, layout, compilation."""

    from dragonkit.bench.speed import loaded
    from dragonkit.bench.ways import measure_ways

    device = chosen_device(device)

    with bars(as_json) as bar:
        tick, found = bar("ways"), list["Way"]()
        for one in measure_ways(lambda dtype: loaded(model, device, dtype).backbone, compilation):
            found.append(one)
            tick(len(found), max(len(found), 5))
    if as_json:
        print_json([asdict(one) for one in found])
        return
    columns = ["", "a call, ms", "of plain", "with the way back, ms", "of plain", "first ones, s", "noise off by"]
    show(grid(f"one row of {model} on {name_of(device)}", columns, [_row(one, found[0]) for one in found]))
    for one in found:
        if one.failed:
            show(f"{one.what}: not here: {one.failed}")
    show("the least of several; on one thread unless said otherwise; off by: RMS of the difference from the first row's noise, relative")


def _row(one: Way, plain: Way) -> tuple[str, ...]:
    if one.failed:
        return (one.what, *[""] * 6)
    times = [text for now, then in ((one.call, plain.call), (one.back, plain.back)) for text in (f"{1e3 * now:.1f}", f"{now / then:.2f}")]
    return (one.what, *times, f"{one.ready:.1f}", f"{one.error:.0e}")
