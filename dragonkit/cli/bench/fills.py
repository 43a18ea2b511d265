"""`dragonkit bench fills`: the ground that a move or a removal uncovers."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from dragonkit.cli.bench.tables import grid, written
from dragonkit.cli.bench.tune import JsonOption
from dragonkit.cli.console import bars, load_registry, show
from dragonkit.cli.editing import ModelOption, load_editor
from dragonkit.cli.json_output import print_json

__all__ = ["fills"]


def fills(
    model: ModelOption = "toybox",
    n: Annotated[int, typer.Option("--n", metavar="INTEGER", min=2, help="How many scenes of each kind of background.")] = 10,
    backgrounds: Annotated[
        list[str] | None, typer.Option("--background", metavar="NAME", help="Only this kind; repeatable.", show_default=False)
    ] = None,
    task: Annotated[str, typer.Option("--task", metavar="NAME", help="What uncovers the ground: move or remove.")] = "move",
    as_json: JsonOption = False,
) -> None:
    """What a move or a removal uncovers, by kind of background, beside both of cv2's fills."""
    from dragonkit.bench.fills import compare_fills

    editor = load_editor(load_registry(), model, None, as_json)
    with bars(as_json) as bar:
        found = compare_fills(editor, n, backgrounds or (), bar("scenes"), task)
    if as_json:
        print_json([asdict(one) for one in found])
        return
    rows = [
        (one.background, one.row, written(one.psnr), written(one.tint), "" if one.ahead is None else written(one.ahead)) for one in found
    ]
    show(
        grid(f"where the object was, {n} scenes each, task {task}", ["background", "row", "PSNR, dB", "tint", "default ahead by, dB"], rows)
    )
