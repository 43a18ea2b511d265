"""`dragonkit bench inversions`: how well a picture comes back by each inversion, what that costs, and what it does to edits.

By default most of an edit is held or kept, whatever the inversion. So edits are done twice: with the model's own settings, and free: with
nothing held or kept, under guidance, as the papers of these inversions edit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from statistics import fmean
from typing import Any

from dragonkit.bench.measures.measure import measure
from dragonkit.bench.outcomes import FIRST_SEED, ceiling, done, inverted
from dragonkit.bench.reports.statistics import Interval, interval, paired, way
from dragonkit.bench.tasks.catalogue import TASKS
from dragonkit.bench.tasks.parts import Task
from dragonkit.diffusion.reconstruction import reconstructed
from dragonkit.editing.editor import Editor
from dragonkit.edits.settings import Settings
from dragonkit.errors import EditError
from dragonkit.imaging.images import psnr, to_image, to_tensor
from dragonkit.words import closest

__all__ = ["EDITED", "HOW", "SCALES", "InversionRow", "compare_inversions"]

SCALES = (1.0, 4.0)
"""Of guidance, under which a picture is brought back; edits that are free have the last."""
EDITED = ("move", "drag", "appearance")
HOW: Mapping[str, Mapping[str, Any]] = {
    "default": {},
    "free": {"guidance_scale": SCALES[-1], "keep": "energy", "start": "noise", "hold": 0.0, "hold_guess": 0.0, "hold_vacated": 0.0},
}
"""Settings of the edits."""


@dataclass(frozen=True)
class InversionRow:
    """What an inversion is worth: means with 95 % intervals over the scenes.

    Attributes:
        back: dB between a picture and what comes back of it, by guidance scale.
        inversion_cost, edit_cost: UNet calls (rows of the batch) of an inversion and of a free edit, in those of a plain generation with as
            many steps under the same guidance; backward passes count for nothing.
        way: of the edits, by how they are done and task: 0 for the untouched source, 1 for the ceiling.
        ahead: dB by which edits are better than with the first inversion, where the answer differs, by how they are done; None for itself.
    """

    inversion: str
    back: Mapping[float, Interval]
    inversion_cost: float
    edit_cost: float
    way: Mapping[str, Mapping[str, Interval]]
    ahead: Mapping[str, Interval] | None


def compare_inversions(
    editor: Editor,
    n: int,
    inversions: Sequence[str] = (),
    tasks: Sequence[str] = (),
    steps: int | None = None,
    first_seed: int = FIRST_SEED,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[list[InversionRow], Interval]:
    """Every inversion on `n` scenes of each task, and how well the autoencoder alone brings the scenes back.

    Args:
        inversions: names; all that are known when empty, `ddim` first.
        tasks: of `EDITED`; all of them when empty.
        steps: the model's own when left out.

    Raises:
        EditError: there is no such inversion or task.
    """
    known = list(editor.registry.inversions())
    names, wanted = list(inversions or sorted(known, key=lambda name: name != "ddim")), tuple(tasks or EDITED)
    for what, given, there in (("inversion", names, known), ("task", wanted, EDITED)):
        for name in given:
            if name not in there:
                raise EditError(f"there is no {what} {name!r}.{closest(name, list(there))} There are: {', '.join(there)}.")
    scenes = {task: [TASKS[task](first_seed + number, editor.backbone.model_size) for number in range(n)] for task in wanted}
    untouched = {task: [measure(one, one.scene.image).psnr_changed for one in several] for task, several in scenes.items()}
    ceilings = {task: [measure(one, ceiling(editor, one)).psnr_changed for one in several] for task, several in scenes.items()}
    total, finished = len(names) * n * (len(SCALES) + len(wanted) * len(HOW)), count(1)

    def tick() -> None:
        done = next(finished)
        if progress is not None:
            progress(done, total)

    rows, first = list[InversionRow](), dict[str, list[float]]()
    for name in names:
        fresh = Editor(editor.backbone, editor.card, editor.registry)  # no row pays for another's inversions
        base = {"inversion": name} | ({} if steps is None else {"steps": steps})
        back, inversion_cost = _brought_back(fresh, scenes[wanted[0]], base, tick)
        found, edit_cost = _edited(fresh, scenes, base, tick)
        ways = {how: {task: way(of, untouched[task], ceilings[task]) for task, of in by.items()} for how, by in found.items()}
        flat = {how: [value for of in by.values() for value in of] for how, by in found.items()}
        first = first or flat
        ahead = None if name == names[0] else {how: paired(values, first[how]) for how, values in flat.items()}
        rows.append(InversionRow(name, {scale: interval(of) for scale, of in back.items()}, inversion_cost, edit_cost, ways, ahead))
    pictures = [one.scene.image for one in scenes[wanted[0]]]
    most = [psnr(to_image(editor.backbone.decode(editor.backbone.encode(to_tensor(one)))), one) for one in pictures]
    return rows, interval(most)


def _brought_back(
    editor: Editor, tasks: Sequence[Task], base: Mapping[str, Any], tick: Callable[[], None]
) -> tuple[dict[float, list[float]], float]:
    """PSNR of the scenes by guidance scale, and what the first inversion cost, in plain generations under guidance."""
    backbone, spent, levels = editor.backbone, list[int](), 1
    back: dict[float, list[float]] = {scale: [] for scale in SCALES}
    for task in tasks:
        for scale in reversed(SCALES):  # under guidance first: what is remembered afterwards costs nothing
            calls = backbone.calls
            source = editor.invert(task.scene.image, task.scene.caption, Settings(**base, guidance_scale=scale), check=False)
            spent.append(backbone.calls - calls)
            levels = len(source.schedule)
            image = to_image(backbone.decode(reconstructed(backbone, source, scale)), source.image_size)
            back[scale].append(psnr(image, task.scene.image))
            tick()
    return back, spent[0] / (2 * levels)


def _edited(
    editor: Editor, scenes: Mapping[str, Sequence[Task]], base: Mapping[str, Any], tick: Callable[[], None]
) -> tuple[dict[str, dict[str, list[float]]], float]:
    """PSNR where the answer differs, by how the edits are done and task, and what a free one costs, in plain generations under guidance."""
    found: dict[str, dict[str, list[float]]] = {how: {task: [] for task in scenes} for how in HOW}
    costs = list[float]()
    for how, values in HOW.items():
        settings = Settings(**{**base, **values})
        for name, tasks in scenes.items():
            for task in tasks:
                source, calls = inverted(editor, task, settings), editor.backbone.calls
                found[how][name].append(measure(task, done(editor, task, settings, source).image).psnr_changed)
                if how == "free":
                    costs.append((editor.backbone.calls - calls) / (2 * len(source.schedule)))
                editor.forget()
                tick()
    return found, fmean(costs)
