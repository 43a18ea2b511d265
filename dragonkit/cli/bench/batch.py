"""`dragonkit bench batch`: how many jobs a second, and what that makes of a million."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from dragonkit.cli.bench.tables import grid
from dragonkit.cli.bench.tune import JsonOption
from dragonkit.cli.console import bars, show
from dragonkit.cli.editing import DeviceOption, ModelOption, PresetOption
from dragonkit.cli.json_output import print_json
from dragonkit.cli.places import check_device

if TYPE_CHECKING:
    from dragonkit.batching.run import Engine

__all__ = ["batch"]

MILLION = 1_000_000
GPUS = (1, 8, 64)


def batch(
    n: Annotated[int, typer.Option("--n", metavar="INTEGER", min=4, help="Jobs each way.")] = 20,
    ray: Annotated[bool, typer.Option("--ray/--no-ray", help="Also by Ray, with 1 and 2 workers.")] = True,
    seconds: Annotated[float, typer.Option("--seconds", metavar="NUMBER", help="Of an edit on a GPU, assumed for the million.")] = 3.0,
    model: ModelOption = "toybox",
    preset: PresetOption = "fast",
    device: DeviceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Jobs per second of each engine, what it adds to a job, and what a million jobs would take."""
    from dragonkit.bench.batches import measure_batches, measure_driver
    from dragonkit.edits.settings import Settings

    check_device(device)
    ways: list[tuple[Engine, int]] = [("plain", 1), *((("ray", 1), ("ray", 2)) if ray else ())]
    with bars(as_json) as bar:
        found = measure_batches(n, ways, model, Settings.preset(preset), device, bar("jobs"))
        driver = measure_driver()
    added, single = max(one.overhead for one in found), found[0].rate
    million = [(gpus, MILLION * max((seconds + added) / gpus, driver) / 3600) for gpus in GPUS]
    if as_json:
        print_json({"ways": [asdict(one) for one in found], "driver": driver, "seconds": seconds, "million": dict(million)})
        return
    rows = [
        (
            one.engine,
            str(one.workers),
            f"{one.start:.1f}",
            f"{one.rate:.2f}",
            f"{one.rate / (single * one.workers):.0%}",
            f"{1000 * one.inside:.0f}",
            f"{1000 * one.overhead:.0f}",
        )
        for one in found
    ]
    columns = ["engine", "workers", "start, s", "jobs/s", "of ideal", "in the worker, ms", "added, ms"]
    show(grid(f"{n} jobs each way, {model}, preset {preset}; ideal is the editor in a loop, times workers", columns, rows))
    show(f"the driver: {1000 * driver:.1f} ms a job, so it keeps up with {seconds / driver:.0f} GPUs of {seconds:g} s an edit")
    hours = [(str(gpus), f"{time:.1f}", f"{time * gpus:.0f}") for gpus, time in million]
    title = f"a million edits of {seconds:g} s each (assumed) with {1000 * added:.0f} ms added and that driver (measured)"
    show(grid(title, ["GPUs", "hours", "GPU hours"], hours))
