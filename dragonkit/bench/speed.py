"""`dragonkit bench speed`: edits in plain generations of the same model, size, steps and guidance, made in the same run.

Time is told as ratios, and rows of the network beside them: rows are the same on every machine.
"""

from __future__ import annotations

import ctypes
import gc
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

import torch

from dragonkit.bench.cost import DTYPES, timed
from dragonkit.bench.floor import measure_floor
from dragonkit.bench.network_rows import counted
from dragonkit.bench.outcomes import FIRST_SEED
from dragonkit.bench.shapes import SHAPES
from dragonkit.bench.tasks.catalogue import TASKS, move_task
from dragonkit.diffusion.sampling import Step
from dragonkit.editing.editor import Editor
from dragonkit.edits.edit import Edit
from dragonkit.edits.schedules import GuidanceSchedule
from dragonkit.edits.settings import Settings
from dragonkit.modes.move import Move

__all__ = ["GOALS", "Figure", "loaded", "measure_memory", "measure_speed"]

PICTURES, AT_ONCE = 8, (2, 4, 8)
"""How many are edited one by one, and so many at a time."""
LED = "paper, guidance at every step"
COMPARED: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "paper": ("paper", {}),
    LED: ("paper", {"schedule": GuidanceSchedule(guidance=(0.0, 1.0))}),
    "default": ("default", {}),
    "fast": ("fast", {}),
}
"""The settings of edits, by what they are called: a preset, and what differs from it."""
GOALS: Mapping[str, float | None] = {
    "paper, first edit": 1.75,
    "paper, another edit": 1.25,
    f"{LED}, first edit": None,
    f"{LED}, another edit": None,
    "default, first edit": None,
    "default, another edit": 0.8,
    "fast, first edit": None,
    "fast, another edit": 0.3,
    "three edits at once / one": 1.2,
    "first preview, a draft / edit": 0.1,
    "first glimpse of the model's / edit": None,
    "one call of the network / its floor": None,
    **{f"{PICTURES} pictures, {at_once} at a time / one by one": None for at_once in AT_ONCE},
    "peak memory, recompute / generation": 1.6,
}
"""By what is measured: the most that it should be, where there is a goal."""


@dataclass
class Figure:
    """A ratio, measured several times.

    Attributes:
        what: a key of `GOALS`.
        ratios: in plain generations, or what the name says.
        seconds: of the edit itself; none for memory.
        rows: of the network in the edit, forward and backward.
        unit_rows: forward, in what it is compared with; there is no backward.
        shares: of the edit's time: the network's calls, the autoencoder; the rest is energies, gradients, masks. On a GPU they say little,
            as calls return before it is done.
    """

    what: str
    ratios: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    rows: tuple[int, int] | None = None
    unit_rows: int | None = None
    shares: Mapping[str, float] = field(default_factory=dict)

    @property
    def goal(self) -> float | None:
        return GOALS[self.what]

    @property
    def median(self) -> float:
        return median(self.ratios)


def loaded(model: str, device: str, dtype: str) -> Editor:
    """An editor of a name, a folder or one of `SHAPES`."""
    make = SHAPES.get(model)
    return make(device, DTYPES[dtype]) if make else Editor.from_pretrained(model, device, DTYPES[dtype])


def measure_speed(
    editor: Editor,
    repeats: int = 3,
    steps: int | None = None,
    compared: Sequence[str] = tuple(COMPARED),
    progress: Callable[[int, int], None] | None = None,
) -> list[Figure]:
    """Every ratio but that of memory, `repeats` times, each edit right after the generation that it is compared with.

    Args:
        steps: instead of the presets' own.
        compared: keys of `COMPARED`.
    """
    figures: dict[str, Figure] = {}
    total, finished = repeats * (len(compared) + 3), count(1)

    def tick() -> None:
        if progress is not None:
            progress(next(finished), total)

    values: dict[str, Any] = {} if steps is None else {"steps": steps}
    for _ in range(repeats):
        for name in compared:
            preset, changes = COMPARED[name]
            for figure in _edits(editor, name, Settings.preset(preset, **values, **changes)):
                _note(figures, figure)
            tick()
        for figure in _together(editor, Settings(**values)):
            _note(figures, figure)
        tick()
        floor = measure_floor(editor.backbone)
        _note(figures, Figure("one call of the network / its floor", [floor.call / floor.seconds], [floor.call]))
        tick()
        for figure in _several(editor, Settings(**values)):
            _note(figures, figure)
        tick()
    return list(figures.values())


def measure_memory(model: str, device: str, dtype: str, steps: int | None = None) -> Figure:
    """Peak memory of an edit with `memory="recompute"`, in that of a plain generation, both above what the loaded model takes.

    Each in a process of its own, so that its peak is its own.
    """
    found = []
    for what in ("generation", "edit"):
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            found.append(pool.submit(_peak_of, what, model, device, dtype, steps).result())
    return Figure("peak memory, recompute / generation", [found[1] / found[0] if found[0] else math.nan])


def _note(figures: dict[str, Figure], found: Figure) -> None:
    known = figures.setdefault(found.what, Figure(found.what))
    known.ratios += found.ratios
    known.seconds += found.seconds
    known.rows, known.unit_rows, known.shares = found.rows, found.unit_rows, found.shares


def _edits(editor: Editor, name: str, settings: Settings) -> Iterator[Figure]:
    """The first edit of a picture, its inversion included, another one of the same picture, and of that one when something is seen."""
    editor = Editor(editor.backbone, editor.card, editor.registry)  # one that remembers nothing
    task = move_task(FIRST_SEED, editor.backbone.model_size)
    fields, unit = task.edits[0][1], settings.model_copy(update={"memory": "recompute"})  # a generation that keeps nothing
    first, half = Move(**fields), Move(**{**fields, "shift": tuple(one // 2 for one in fields["shift"])})
    with counted(editor.backbone) as rows:
        _, generation = timed(lambda: editor.generate(task.scene.caption, settings=unit))
        unit_rows = rows.forward

    def run(edit: Edit, on_step: Callable[[Step], None] | None = None, on_draft: Callable[[Any], None] | None = None) -> Any:
        return editor.edit(task.scene.image, edit, settings, task.scene.caption, on_step, on_draft=on_draft)

    yield _timed_edit(editor, f"{name}, first edit", lambda: run(first), generation, unit_rows)
    yield _timed_edit(editor, f"{name}, another edit", lambda: run(half), generation, unit_rows)
    if name == "default":
        draft, glimpses = list[float](), list[float]()
        begun = time.perf_counter()

        def glimpse(step: Step) -> None:
            step.glimpse()  # as the editor in a notebook does
            glimpses.append(time.perf_counter() - begun)

        run(first, glimpse, lambda _: draft.append(time.perf_counter() - begun))
        whole = time.perf_counter() - begun
        yield Figure("first preview, a draft / edit", [draft[0] / whole], [draft[0]])
        yield Figure("first glimpse of the model's / edit", [glimpses[0] / whole], [glimpses[0]])


def _together(editor: Editor, settings: Settings) -> Iterator[Figure]:
    """Three edits in one pass against the first of them alone, when everything that they read has been seen before."""
    editor = Editor(editor.backbone, editor.card, editor.registry)
    task, types = TASKS["three"](FIRST_SEED, editor.backbone.model_size), editor.registry.edit_types()
    edits = [types[mode](**fields) for mode, fields in task.edits]

    def run(several: list[Edit]) -> Any:
        return editor.edit(task.scene.image, several, settings, task.scene.caption)

    for several in (edits, edits[:1]):
        run(several)
    with counted(editor.backbone) as rows:
        _, one = timed(lambda: run(edits[:1]))
        unit_rows = rows.forward
    yield _timed_edit(editor, "three edits at once / one", lambda: run(edits), one, unit_rows)


def _several(editor: Editor, settings: Settings) -> Iterator[Figure]:
    """First edits of pictures, several at a time against one by one."""
    tasks = [move_task(FIRST_SEED + number, editor.backbone.model_size) for number in range(PICTURES)]
    pictures, prompts = [task.scene.image for task in tasks], [task.scene.caption for task in tasks]
    edits = [Move(**task.edits[0][1]) for task in tasks]

    def run(at_once: int) -> None:
        fresh = Editor(editor.backbone, editor.card, editor.registry)
        for parts in (slice(start, start + at_once) for start in range(0, PICTURES, at_once)):
            fresh.edit(pictures[parts], edits[parts], settings, prompts[parts])

    with counted(editor.backbone) as rows:
        _, one_by_one = timed(lambda: run(1))
        unit_rows = rows.forward
    for at_once in AT_ONCE:
        yield _timed_edit(editor, f"{PICTURES} pictures, {at_once} at a time / one by one", lambda n=at_once: run(n), one_by_one, unit_rows)  # type: ignore[misc]


def _timed_edit(editor: Editor, what: str, work: Callable[[], Any], unit: float, unit_rows: int) -> Figure:
    with counted(editor.backbone) as rows:
        _, seconds = timed(work)
    shares = {"network": rows.calling / seconds, "autoencoder": rows.autoencoding / seconds}
    return Figure(what, [seconds / unit], [seconds], (rows.forward, rows.backward), unit_rows, shares)


def _peak_of(what: str, model: str, device: str, dtype: str, steps: int | None) -> float:
    """MiB above what is taken once the model is loaded, and has run a step of either kind; nan where the system does not tell."""
    editor = loaded(model, device, dtype)
    task = move_task(FIRST_SEED, editor.backbone.model_size)
    values: dict[str, Any] = {} if steps is None else {"steps": steps}
    settings = Settings(memory="recompute", **values)
    edit, one = Move(**task.edits[0][1]), settings.model_copy(update={"steps": 1})
    editor.generate("", settings=one)
    editor.edit(task.scene.image, edit, one, task.scene.caption)
    before = _peak_from_now(device)
    if what == "generation":
        editor.generate(task.scene.caption, settings=settings)
    else:
        editor.edit(task.scene.image, edit, settings, task.scene.caption)
    return (torch.cuda.max_memory_allocated() / 2**20 if device.startswith("cuda") else _highest()) - before


def _peak_from_now(device: str) -> float:
    """MiB taken now, from which on the peak is counted anew."""
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated() / 2**20
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)  # what was freed goes back to the system
        Path("/proc/self/clear_refs").write_text("5")
    except (OSError, AttributeError, TypeError):  # not Linux
        return math.nan
    return _highest()


def _highest() -> float:
    """MiB: the most that this process took since the peak was last counted anew."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:  # not Linux
        return math.nan
    return float(status.partition("VmHWM:")[2].split()[0]) / 2**10
