"""`dragonkit demo`: every edit mode on scenes whose right answer is known, in figures and pictures."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean

import torch
from PIL import Image
from rich import box
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from dragonkit.bench.outcomes import FIRST_SEED, ROWS, Outcome, compared, done, done_in_turn, missing_modes
from dragonkit.bench.reports.sheet import contact_sheet, wish
from dragonkit.bench.tasks.catalogue import TASKS
from dragonkit.bench.tasks.figures import Figures
from dragonkit.cli.console import load_registry
from dragonkit.cli.places import check_output, told
from dragonkit.editing.editor import Editor
from dragonkit.edits.settings import Settings
from dragonkit.errors import EditError
from dragonkit.files import write_picture
from dragonkit.words import closest

__all__ = ["demo"]

PICTURES = ("contact-sheet.png", "source.png", "mask.png", "result.png", "answer.png")

Results = dict[str, list[tuple[Outcome, dict[str, Figures]]]]
"""By task: each outcome, and its figures beside those of what it is compared with."""


def demo(
    out: Path,
    seed: int | None = None,
    scenes: int = 1,
    model: str = "toybox",
    tasks: Sequence[str] = (),
    preset: str = "default",
    overwrite: bool = False,
) -> Results:
    """Run `scenes` tasks of every kind, write pictures to `out`, print the table.

    Args:
        out: gets source, mask, result and answer of the first task, and `contact-sheet.png` of all of them.
        seed: of the first scene; scenes never trained on when left out.
        model: as in `Editor.from_pretrained`.
        tasks: names of `TASKS`; all whose modes are installed when empty.
        preset: as in `Settings.preset`.
        overwrite: whether pictures of an earlier demo are replaced.

    Raises:
        EditError: there is no such task or preset.
        ImageError: the pictures are there already, or cannot be written.
    """
    begin, settings = FIRST_SEED if seed is None else seed, Settings.preset(preset)
    for name in tasks:
        if name not in TASKS:
            raise EditError(f"there is no task {name!r}.{closest(name, list(TASKS))} Tasks: {', '.join(TASKS)}.")
    for name in PICTURES:
        check_output(out / name, overwrite=overwrite)
    # threads wait for each other: with one for every core, a demo beside other work takes many times as long, not twice
    torch.set_num_threads(min(torch.get_num_threads(), max(1, (os.cpu_count() or 1) // 2)))
    results, notes = Results(), list[str]()
    with Progress(console=Console(stderr=True), transient=True) as progress:
        loading = progress.add_task("loading the model", total=None)
        editor = Editor.from_pretrained(model, registry=load_registry())
        progress.remove_task(loading)
        bar = progress.add_task("editing", total=scenes * len(tasks or TASKS))
        for name in tasks or TASKS:
            progress.update(bar, description=name)
            made = [TASKS[name](begin + number, editor.backbone.model_size) for number in range(scenes)]
            missing = missing_modes(editor, made[0])
            if missing:
                notes.append(f"left out: {name}, as no installed plugin has the mode {', '.join(missing)}")
                progress.advance(bar, scenes)
                continue
            results[name] = []
            for task in made:
                outcome = done(editor, task, settings)
                results[name].append((outcome, compared(editor, outcome)))
                progress.advance(bar)
        if "three" in results:
            at_once, in_turn = results["three"][0][0], done_in_turn(editor, results["three"][0][0].task, settings)
            said = [f"{one.evaluations} network evaluations and {one.figures.changed:.1f} dB" for one in (at_once, in_turn)]
            notes.append(f"the first 'three': {said[0]} in one pass, {said[1]} one edit after the other")
    every = [outcome for several in results.values() for outcome, _ in several]
    console = Console()
    if every:
        _write(out, every)
        console.print(_table(results, scenes))
        console.print(
            "copy: copied and filled by cv2.inpaint; ceiling: the autoencoder's round trip of the answer; elsewhere and counts: dragonkit"
        )
        kept = sum(one.kept for one in every)
        console.print(f"beyond the edit region, the result is the source bit for bit in {kept} of {len(every)} scenes")
        notes.append(f"pictures: {out / 'contact-sheet.png'}, and source, mask, result and answer of the first scene beside it")
    for note in notes:
        console.print(note)
    return results


def _write(out: Path, outcomes: Sequence[Outcome]) -> None:
    rows = [(one.task.name, [one.task.scene.image, wish(one.task), one.image, one.task.answer.image]) for one in outcomes]
    sheet, task = contact_sheet(rows, ("source", "the wish", "dragonkit", "known answer")), outcomes[0].task
    pictures = (sheet, task.scene.image, Image.fromarray(task.source), outcomes[0].image, task.answer.image)
    for name, picture in zip(PICTURES, pictures, strict=True):
        with told(out / name):
            write_picture(out / name, picture)


def _table(results: Results, scenes: int) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        title=f"{scenes} scene{'s' * (scenes > 1)} of each task: mean PSNR in dB to the known answer where it differs from the source",
    )
    for column in ("task", *ROWS, "elsewhere", "arrived", "emptied"):
        table.add_column(column, justify="left" if column == "task" else "right", style="bold" if column == "dragonkit" else None)
    for name, several in results.items():
        figures: Mapping[str, list[Figures]] = {row: [found[row] for _, found in several if row in found] for row in ROWS}
        ours = figures["dragonkit"]
        table.add_row(
            name,
            *(_mean(one.changed for one in figures[row]) for row in ROWS),
            _mean(one.elsewhere for one in ours),
            f"{sum(one.found for one in ours)}/{len(ours)}" if _mean(one.target for one in ours) else "",
            f"{sum(one.gone for one in ours)}/{len(ours)}" if _mean(one.vacated for one in ours) else "",
        )
    return table


def _mean(values: Iterable[float]) -> str:
    numbers = [value for value in values if not math.isnan(value)]
    return f"{fmean(numbers):.1f}" if numbers else ""
