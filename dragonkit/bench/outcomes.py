"""One task with a known answer, done and judged beside what it is compared with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from dragonkit.bench.tasks.figures import Figures, copy_and_inpaint, judge
from dragonkit.bench.tasks.parts import Task
from dragonkit.diffusion.source import Source
from dragonkit.editing.editor import Editor
from dragonkit.edits.edit import Edit
from dragonkit.edits.settings import Settings
from dragonkit.imaging.images import to_image, to_tensor

__all__ = ["FIRST_SEED", "ROWS", "Outcome", "ceiling", "compared", "done", "done_in_turn", "inverted", "missing_modes", "round_trip"]

FIRST_SEED = 1_000_000_000_000
"""Far above every seed the embedded model was trained on."""
ROWS = ("untouched", "copy", "dragonkit", "ceiling")
"""The source as it is; its object copied and the hole filled by `cv2.inpaint` (moves and removals only); the edit; the autoencoder's
round trip of the answer, which is the most that a model's own pixels could reach."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """A task done.

    Attributes:
        image: the result.
        figures: of the result.
        kept: whether everything beyond the edit region is the source's bit for bit.
        evaluations: UNet calls of inversions and edits, each counted with its batch rows.
    """

    task: Task
    image: Image.Image
    figures: Figures
    kept: bool
    evaluations: int


def inverted(editor: Editor, task: Task, settings: Settings | None = None) -> Source:
    """The scene, inverted, and the reference picture as well, if there is one: the editor remembers both."""
    if task.reference is not None:
        editor.invert(task.reference.image, task.scene.caption, settings, check=False)
    return editor.invert(task.scene.image, task.scene.caption, settings, check=False)


def done(editor: Editor, task: Task, settings: Settings | None = None, source: Source | None = None) -> Outcome:
    """All edits of a task in one pass; the scene is inverted first unless `source` says that it was."""
    calls = editor.backbone.calls
    source = source or editor.invert(task.scene.image, task.scene.caption, settings, check=False)  # the figures say more
    result = editor.edit(source, _edits(editor, task.edits), settings)
    beyond = result.region == 0
    kept = np.array_equal(np.asarray(result.image)[beyond], np.asarray(task.scene.image)[beyond])
    return Outcome(task, result.image, judge(task, result.image), kept, editor.backbone.calls - calls)


def done_in_turn(editor: Editor, task: Task, settings: Settings | None = None) -> Outcome:
    """The edits of a task one after the other: each inverts the result of the one before, and nothing inverted earlier is used."""
    editor = Editor(editor.backbone, editor.card, editor.registry)  # one that remembers no inversion
    calls, image, kept = editor.backbone.calls, task.scene.image, np.ones((task.scene.size, task.scene.size), bool)
    for edit in task.edits:
        source = editor.invert(image, task.scene.caption, settings, check=False)
        result = editor.edit(source, _edits(editor, [edit]), settings)
        image, kept = result.image, kept & (result.region == 0)
    same = np.array_equal(np.asarray(image)[kept], np.asarray(task.scene.image)[kept])
    return Outcome(task, image, judge(task, image), same, editor.backbone.calls - calls)


def compared(editor: Editor, outcome: Outcome) -> dict[str, Figures]:
    """The figures of the result and of what it is compared with, by row; "copy" is missing where a copy cannot do the task."""
    task = outcome.task
    figures = {"untouched": judge(task, task.scene.image), "dragonkit": outcome.figures}
    copied = copy_and_inpaint(task)
    if copied is not None:
        figures["copy"] = judge(task, copied)
    figures["ceiling"] = judge(task, ceiling(editor, task))
    return figures


def ceiling(editor: Editor, task: Task) -> Image.Image:
    """The autoencoder's round trip of the answer."""
    return round_trip(editor, task.answer.image)


def round_trip(editor: Editor, image: Image.Image) -> Image.Image:
    """What the autoencoder makes of a picture."""
    return to_image(editor.backbone.decode(editor.backbone.encode(to_tensor(image))))


def missing_modes(editor: Editor, task: Task) -> set[str]:
    """Modes that the task needs and no installed plugin has."""
    return {mode for mode, _ in task.edits} - editor.registry.edit_types().keys()


def _edits(editor: Editor, wanted: Iterable[tuple[str, Mapping[str, Any]]]) -> list[Edit]:
    types = editor.registry.edit_types()
    return [types[mode](**fields) for mode, fields in wanted]
