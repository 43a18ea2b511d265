"""`dragonkit bench fills`: the ground that a move or a removal uncovers, by kind of background, beside both of cv2's fills.

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
from dragonkit.bench.tasks.catalogue import TASKS
from dragonkit.bench.tasks.figures import copy_and_inpaint
from dragonkit.bench.tasks.parts import Task
from dragonkit.editing.editor import Editor
from dragonkit.errors import EditError
from dragonkit.toybox.drawing.backgrounds import KIND_NAMES
from dragonkit.words import closest

__all__ = ["ROWS", "UNCOVERING", "Fill", "compare_fills"]

ROWS: Mapping[str, Callable[[Editor, Task], Image.Image]] = {
    "default": lambda editor, task: done(editor, task).image,
    "cv2, Telea": lambda editor, task: _copied(task, "telea"),
    "cv2, Navier-Stokes": lambda editor, task: _copied(task, "navier-stokes"),
}
UNCOVERING = ("move", "remove")
"""Tasks that uncover what nothing is laid on."""
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
    editor: Editor,
    n: int,
    backgrounds: Sequence[str] = (),
    progress: Callable[[int, int], None] | None = None,
    task: str = "move",
) -> list[Fill]:
    """Every row on `n` scenes of each kind of background.

    Args:
        task: what uncovers the ground, one of `UNCOVERING`.

    Raises:
        EditError: there is no such background or task.
        ImportError: opencv is not installed.
    """
    kinds = tuple(backgrounds or KIND_NAMES)
    for what, name, known in (("task", task, UNCOVERING), *(("background", kind, KIND_NAMES) for kind in kinds)):
        if name not in known:
            raise EditError(f"there is no {what} {name!r}.{closest(name, known)} There are: {', '.join(known)}.")
    fills, total = [], n * len(kinds)
    for place, kind in enumerate(kinds):
        found: dict[str, list[Measures]] = {row: [] for row in ROWS}
        for number, one in enumerate(islice(_over(kind, editor.backbone.model_size, task), n)):
            for row, picture in ROWS.items():
                found[row].append(measure(one, picture(editor, one)))
            if progress is not None:
                progress(place * n + number + 1, total)
        best = [measures.psnr_vacated for measures in found["default"]]
        for row, several in found.items():
            psnr = [measures.psnr_vacated for measures in several]
            ahead = None if row == "default" else paired(best, psnr)
            fills.append(Fill(kind, row, interval(psnr), interval([measures.tint for measures in several]), ahead))
    return fills


def _over(kind: str, size: int, task: str) -> Iterator[Task]:
    """Tasks of one object alone, so that nothing but the background is uncovered; always the same ones."""
    for seed in count(_SEEDS):
        one = TASKS[task](seed, size, objects=1)
        if KIND_NAMES[int(one.scene.batch.background[0])] == kind:
            yield one


def _copied(task: Task, method: str) -> Image.Image:
    copied = copy_and_inpaint(task, "telea" if method == "telea" else "navier-stokes")
    assert copied is not None
    return copied
