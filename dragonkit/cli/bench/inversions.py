"""`dragonkit bench inversions`: what each inversion brings back, costs, and does to edits."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from dragonkit.cli.bench.tables import grid, mean_of, written
from dragonkit.cli.bench.tune import JsonOption
from dragonkit.cli.console import bars, load_registry, show
from dragonkit.cli.editing import ModelOption, load_editor
from dragonkit.cli.json_output import print_json

if TYPE_CHECKING:
    from dragonkit.bench.inversions import InversionRow

__all__ = ["inversions"]


def inversions(
    model: ModelOption = "toybox",
    n: Annotated[int, typer.Option("--n", metavar="INTEGER", min=1, help="How many scenes of each task.")] = 10,
    inversion: Annotated[
        list[str] | None, typer.Option("--inversion", metavar="NAME", help="Only this one; repeatable.", show_default=False)
    ] = None,
    task: Annotated[
        list[str] | None, typer.Option("--task", metavar="NAME", help="move, drag or appearance; repeatable.", show_default=False)
    ] = None,
    steps: Annotated[int | None, typer.Option("--steps", metavar="INTEGER", min=1, help="Instead of the model's.")] = None,
    tuning: Annotated[bool, typer.Option("--tuning", help="On the scenes that settings are searched on, not on the public ones.")] = False,
    as_json: JsonOption = False,
) -> None:
    """How well pictures come back by each inversion, what it costs, and what it does to edits."""
    from dragonkit.bench.inversions import HOW, SCALES, compare_inversions
    from dragonkit.bench.outcomes import FIRST_SEED
    from dragonkit.bench.tuning import TUNING_SEED

    editor = load_editor(load_registry(), model, None, as_json)
    with bars(as_json) as bar:
        first = TUNING_SEED if tuning else FIRST_SEED
        found, most = compare_inversions(editor, n, inversion or (), task or (), steps, first, bar("scenes"))
    if as_json:
        print_json({"autoencoder": most, "inversions": [asdict(one) for one in found]})
        return
    guided = [f"guidance {scale:g}, dB" for scale in SCALES]
    rows = [
        (one.inversion, *(written(one.back[scale]) for scale in SCALES), f"{one.inversion_cost:.2f}", f"{one.edit_cost:.2f}")
        for one in found
    ]
    show(grid(f"{n} scenes brought back; the autoencoder alone: {written(most)} dB", ["", *guided, "inversion", "free edit"], rows))
    for how in HOW:
        names = list(found[0].way[how])
        columns = ["", *names, f"dB more than {found[0].inversion}"]
        show(grid(f"the way that edits went, {how}", columns, [_line(one, how, names) for one in found]))
    show("default: the model's own settings; free: guidance 4, nothing held or kept")
    show("inversion, free edit: UNet calls, in those of a plain generation under guidance; null-text's backward passes count for nothing")
    show("way: in PSNR where the answer differs, from the untouched source (0) to the ceiling (1)")


def _line(one: InversionRow, how: str, tasks: list[str]) -> tuple[str, ...]:
    return (one.inversion, *(mean_of(one.way[how][task]) for task in tasks), "" if one.ahead is None else written(one.ahead[how]))
