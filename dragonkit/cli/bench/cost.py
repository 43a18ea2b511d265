"""`dragonkit bench cost`: seconds and memory of one edit."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import typer

from dragonkit.cli.bench.tables import grid
from dragonkit.cli.bench.tune import JsonOption
from dragonkit.cli.console import bars, show
from dragonkit.cli.editing import DeviceOption, PresetOption
from dragonkit.cli.json_output import print_json
from dragonkit.cli.places import check_device
from dragonkit.errors import EditError

if TYPE_CHECKING:
    from dragonkit.bench.cost import Cost

__all__ = ["ShapeOption", "chosen_device", "cost", "name_of"]

ShapeOption = Annotated[
    str,
    typer.Option("--model", metavar="NAME", help="As elsewhere, or sd15-shape, sd21-shape, sdxl-shape: as large, with random weights."),
]


def cost(
    model: ShapeOption = "toybox",
    device: DeviceOption = None,
    dtype: Annotated[
        list[str] | None, typer.Option("--dtype", metavar="NAME", help="float32, bfloat16 or float16; repeatable; all by default.")
    ] = None,
    steps: Annotated[int | None, typer.Option("--steps", metavar="INTEGER", min=1, help="Instead of the preset's.")] = None,
    preset: PresetOption = "default",
    memory: Annotated[
        list[str] | None, typer.Option("--memory", metavar="NAME", help="bank, offload or recompute; repeatable; all by default.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """What one edit takes of time and memory, by precision."""

    from dragonkit.bench.cost import DTYPES, cases, measure_costs
    from dragonkit.edits.settings import MEMORIES, Settings

    for name in dtype or ():
        if name not in DTYPES:
            raise EditError(f"there is no precision {name!r}; choose among {', '.join(DTYPES)}")
    for name in memory or ():
        Settings(memory=name)  # type: ignore[arg-type]
    device = chosen_device(device)
    Settings.preset(preset)
    wanted = cases(model, device, dtype or list(DTYPES), memory or MEMORIES, steps, preset)  # type: ignore[arg-type]
    with bars(as_json) as bar:
        found = list(measure_costs(wanted, bar("edits")))
    if as_json:
        print_json([_plain(one) for one in found])
        return
    columns = ["precision", "memory", "peak MiB", "inversion s", "edit s", "generations", "UNet calls", f"dB to {found[0].case.dtype}"]
    rows = [
        (
            one.case.dtype,
            one.case.memory,
            f"{one.peak:.0f}",
            f"{one.inversion:.2f}",
            f"{one.edit:.2f}",
            f"{one.generations:.2f}",
            str(one.evaluations),
            "equal" if math.isinf(likeness := one.likeness(found[0])) else f"{likeness:.1f}",
        )
        for one in found
    ]
    show(grid(f"one move with {model} on {name_of(device)}, attention by {found[0].attention}", columns, rows))
    show("generations: the edit's time in plain generations of the same model in the same process, without the inversion")


def chosen_device(device: str | None) -> str:
    """The device asked for, or the best there is."""
    import torch

    check_device(device)
    return device or ("cuda" if torch.cuda.is_available() else "cpu")


def name_of(device: str) -> str:
    """A device in words."""
    import torch

    return torch.cuda.get_device_name(device) if device.startswith("cuda") else f"{device}, {torch.get_num_threads()} threads"


def _plain(one: Cost) -> dict[str, object]:
    return {
        "dtype": one.case.dtype,
        "memory": one.case.memory,
        "attention": one.attention,
        "inversion_seconds": one.inversion,
        "edit_seconds": one.edit,
        "generations": one.generations,
        "evaluations": one.evaluations,
        "peak_mib": None if math.isnan(one.peak) else one.peak,
    }
