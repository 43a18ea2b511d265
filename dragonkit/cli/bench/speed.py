"""`dragonkit bench speed`: what edits cost, in plain generations of the same model in the same run."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import typer

from dragonkit.cli.bench.cost import ShapeOption, chosen_device, name_of
from dragonkit.cli.bench.tables import grid
from dragonkit.cli.bench.tune import JsonOption
from dragonkit.cli.console import bars, show
from dragonkit.cli.editing import DeviceOption
from dragonkit.cli.json_output import print_json
from dragonkit.errors import EditError

if TYPE_CHECKING:
    from dragonkit.bench.speed import Figure

__all__ = ["speed"]


def speed(
    model: ShapeOption = "toybox",
    device: DeviceOption = None,
    dtype: Annotated[str, typer.Option("--dtype", metavar="NAME", help="float32, bfloat16 or float16.")] = "float32",
    steps: Annotated[int | None, typer.Option("--steps", metavar="INTEGER", min=1, help="Instead of the presets' own.")] = None,
    repeats: Annotated[int, typer.Option("--repeats", metavar="INTEGER", min=1, help="How often each ratio is measured.")] = 3,
    memory: Annotated[bool, typer.Option("--memory/--no-memory", help="Also peak memory, in two more processes.")] = True,
    as_json: JsonOption = False,
) -> None:
    """What edits cost in plain generations, beside the goals, with rows of the network."""

    from dragonkit.bench.cost import DTYPES
    from dragonkit.bench.speed import loaded, measure_memory, measure_speed

    if dtype not in DTYPES:
        raise EditError(f"there is no precision {dtype!r}; choose among {', '.join(DTYPES)}")
    device = chosen_device(device)
    with bars(as_json) as bar:
        found = measure_speed(loaded(model, device, dtype), repeats, steps, progress=bar("edits"))
        if memory:
            found.append(measure_memory(model, device, dtype, steps))
    if as_json:
        print_json([_plain(one) for one in found])
        return
    columns = ["", "goal", "min", "median", "max", "seconds", "rows", "of", "network", "autoencoder", ""]
    show(grid(f"edits with {model} in {dtype} on {name_of(device)}", columns, [_row(one) for one in found]))
    show(
        "in plain generations of the same model, size, steps and guidance scale, each edit right after its generation; least, median, most"
    )
    show("rows: of the network, forward + differentiated, and of what it is compared with")
    show("its floor: its operations at the rate of a large matrix product here, or reading its weights, whichever takes longer")
    show("network, autoencoder: their share of the edit's time, the way back not included; energies, gradients and masks are the rest")


def _row(one: Figure) -> tuple[str, ...]:
    least, middle, most = min(one.ratios), one.median, max(one.ratios)
    rows = "" if one.rows is None else f"{one.rows[0]} + {one.rows[1]}"
    seconds = f"{sorted(one.seconds)[len(one.seconds) // 2]:.2f}" if one.seconds else ""
    reached = "" if one.goal is None or math.isnan(middle) else "reached" if middle <= one.goal else "missed"
    return (
        one.what,
        "" if one.goal is None else f"{one.goal:g}",
        f"{least:.2f}",
        f"{middle:.2f}",
        f"{most:.2f}",
        seconds,
        rows,
        "" if one.unit_rows is None else str(one.unit_rows),
        *(f"{one.shares[part]:.0%}" if part in one.shares else "" for part in ("network", "autoencoder")),
        reached,
    )


def _plain(one: Figure) -> dict[str, object]:
    return {
        "what": one.what,
        "goal": one.goal,
        "ratios": [None if math.isnan(ratio) else ratio for ratio in one.ratios],
        "seconds": one.seconds,
        "rows": None if one.rows is None else {"forward": one.rows[0], "backward": one.rows[1]},
        "unit_rows": one.unit_rows,
        "shares": dict(one.shares),
    }
