"""`dragonkit bench fills`: the ground that a move uncovers, by kind of background, beside both of cv2's fills.

On smooth ground any fill will do; tiles, waves, rays and hills have to be continued. Peers' users complain of seams first of all, so the
colour of the fill counts beside its likeness.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, islice

from PIL import Image

from dragonkit.bench.measures.measure import Measures, measure
from dragonkit.bench.outcomes import FIRST_SEED, done
from dragonkit.bench.reports.statistics import Interval, interval, paired
from dragonkit.bench.tasks.catalogue import move_task
from dragonkit.bench.tasks.figures import copy_and_inpaint
from dragonkit.bench.tasks.parts import Task
from dragonkit.editing.editor import Editor
from dragonkit.errors import EditError
from dragonkit.toybox.drawing.backgrounds import KIND_NAMES
from dragonkit.words import closest

__all__ = ["ROWS", "Fill", "compare_fills"]

ROWS: Mapping[str, Callable[[Editor, Task], Image.Image]] = {
    "default": lambda editor, task: done(editor, task).image,
    "cv2, Telea": lambda editor, task: _copied(task, "telea"),
    "cv2, Navier-Stokes": lambda editor, task: _copied(task, "navier-stokes"),
}
_SEEDS = FIRST_SEED + 500_000_000  # apart from those of other tables


@dataclass(frozen=True)
class Fill:
    """One way to fill, on one kind of background: means with 95 % intervals over the scenes.

    Attributes:
        psnr: dB to the answer where the object was.
        tint: how far the mean colour there is off, 0 to 255.
        ahead: dB by which the default is better on the same scenes; None for the default itself.
    """

    background: str
    row: str
    psnr: Interval
    tint: Interval
    ahead: Interval | None


def compare_fills(
    editor: Editor, n: int, backgrounds: Sequence[str] = (), progress: Callable[[int, int], None] | None = None
) -> list[Fill]:
    """Every row on `n` moves over each kind of background.

    Raises:
        EditError: there is no such background.
        ImportError: opencv is not installed.
    """
    kinds = tuple(backgrounds or KIND_NAMES)
    for kind in kinds:
        if kind not in KIND_NAMES:
            raise EditError(f"there is no background {kind!r}.{closest(kind, KIND_NAMES)} There are: {', '.join(KIND_NAMES)}.")
    fills, total = [], n * len(kinds)
    for place, kind in enumerate(kinds):
        found: dict[str, list[Measures]] = {row: [] for row in ROWS}
        for number, task in enumerate(islice(_moves_over(kind, editor.backbone.model_size), n)):
            for row, picture in ROWS.items():
                found[row].append(measure(task, picture(editor, task)))
            if progress is not None:
                progress(place * n + number + 1, total)
        best = [one.psnr_vacated for one in found["default"]]
        for row, measures in found.items():
            psnr = [one.psnr_vacated for one in measures]
            ahead = None if row == "default" else paired(best, psnr)
            fills.append(Fill(kind, row, interval(psnr), interval([one.tint for one in measures]), ahead))
    return fills


def _moves_over(kind: str, size: int) -> Iterator[Task]:
    """Moves of one object alone, so that nothing but the background is uncovered; always the same ones."""
    for seed in count(_SEEDS):
        task = move_task(seed, size, objects=1)
        if KIND_NAMES[int(task.scene.batch.background[0])] == kind:
            yield task


def _copied(task: Task, method: str) -> Image.Image:
    copied = copy_and_inpaint(task, "telea" if method == "telea" else "navier-stokes")
    assert copied is not None  # a move by whole pixels
    return copied
