"""What the benchmark compares: every row is a way to do a task."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from PIL import Image

from dragonkit.bench.outcomes import ceiling, done, inverted, round_trip
from dragonkit.bench.tasks.figures import copy_and_inpaint
from dragonkit.bench.tasks.parts import Task
from dragonkit.diffusion.inversion import sample
from dragonkit.editing.editor import Editor
from dragonkit.edits.schedules import GuidanceSchedule
from dragonkit.edits.settings import Settings
from dragonkit.imaging.images import to_image

__all__ = ["ROWS", "Attempt", "Row"]


@dataclass(frozen=True, eq=False)
class Attempt:
    """A task to be done with a model.

    Attributes:
        editor: remembers the scene's inversions, which no row pays for, and nothing else of other rows.
    """

    editor: Editor
    task: Task


@dataclass(frozen=True)
class Row:
    """A way to do a task.

    Attributes:
        about: one line.
        picture: the result, or None for a task that it cannot do.
        settings: for rows that are edits.
    """

    about: str
    picture: Callable[[Attempt], Image.Image | None]
    settings: Settings | None = None


def _edit(about: str, settings: Settings) -> Row:
    return Row(about, lambda it: done(it.editor, it.task, settings, inverted(it.editor, it.task, settings)).image, settings)


def _drag(about: str, settings: Settings) -> Row:
    """An edit like any other, of tasks with a drag only: the others it would do like another row."""
    row = _edit(about, settings)
    return replace(row, picture=lambda it: row.picture(it) if any(mode == "drag" for mode, _ in it.task.edits) else None)


def _reconstructed(it: Attempt) -> Image.Image:
    """The source, inverted and denoised without any edit."""
    source = inverted(it.editor, it.task)
    noise, condition = source.latents_at(len(source.schedule)), source.condition
    trajectory = sample(it.editor.backbone, noise, condition, condition, source.schedule)
    return to_image(it.editor.backbone.decode(trajectory[:1]), source.image_size)


def _rewoven(it: Attempt) -> Image.Image | None:
    """The answer of an appearance with its pattern laid anew, as the autoencoder carries it."""
    return round_trip(it.editor, it.task.answer.rewoven(it.task.index, it.task.seed).image) if it.task.name == "appearance" else None


def _one_pixel_off(it: Attempt) -> Image.Image | None:
    """The answer with the edited object a pixel further right and down, half of the way each, as the autoencoder carries it."""
    answer, index = it.task.answer, it.task.index
    return None if it.task.name == "remove" else round_trip(it.editor, answer.moved(index, (0.5**0.5, 0.5**0.5)).image)


def _paper(**changes: Any) -> Settings:
    return Settings.preset("paper", **changes)


def _let_go(**changes: Any) -> Settings:
    return _paper(steps=25, start="picture", keep="pixels", hold_guess=0.2, **changes)


ROWS: Mapping[str, Row] = {
    "untouched": Row("the source as it is", lambda it: it.task.scene.image),
    "reconstruction": Row("the source, inverted and denoised without any edit", _reconstructed, Settings()),
    "copy, Telea": Row(
        "the object copied, the hole filled by cv2.inpaint (Telea); moves and removals only", lambda it: copy_and_inpaint(it.task)
    ),
    "copy, Navier-Stokes": Row("the same with Navier-Stokes filling", lambda it: copy_and_inpaint(it.task, "navier-stokes")),
    "z_T copy": _edit("preset paper without energies: what moving the noise does alone", _paper(energy_scale=0.0)),
    "no attention": _edit("preset paper, the decoder reads its own keys and values (fig. 4)", _paper(attention=False)),
    "paper": _edit("preset paper", _paper()),
    "paper + every 2nd": _edit("preset paper, guided every second step", _paper(schedule=GuidanceSchedule(every=2))),
    "paper + regional": _edit("preset paper, gradients in their own regions", _paper(schedule=GuidanceSchedule(regional=True))),
    "paper + noise": _edit("preset paper, random steps inside the region", _paper(schedule=GuidanceSchedule(noise=0.4))),
    "paper + time travel": _edit("preset paper, steps undone and done three times", _paper(schedule=GuidanceSchedule(rounds=3))),
    "reference": _edit("preset reference: all of these together, as in the released code", Settings.preset("reference")),
    "fast": _edit("preset fast", Settings.preset("fast")),
    "default": _edit("the model's own settings", Settings()),
    "patches": _drag("default, drags copy 3x3 patches of noise instead of warping the picture; drags only", Settings(start="noise")),
    "warp, paper": _drag("preset paper, drags warp the noise instead of copying patches; drags only", _paper(start="picture")),
    "let go": _drag("drags that start warped and are held for a fifth of 25 steps only, else preset paper; drags only", _let_go()),
    "let go, no energies": _drag("the same without energies; drags only", _let_go(energy_scale=0.0)),
    "keep energy": _edit("default, the untouched part kept by the preserve energy only", Settings(keep="energy")),
    "keep latents": _edit("default, the untouched part kept in the latents", Settings(keep="latents")),
    "hold 0": _edit("default, moved content and vacated places never held", Settings(hold=0.0, hold_vacated=0.0)),
    "hold 0.5": _edit("default, moved content held for half of the steps", Settings(hold=0.5)),
    "no energies": _edit("default without energies", Settings(energy_scale=0.0)),
    "pattern anew": Row("the answer but for where the pattern lies, which no reference tells; appearance only", _rewoven),
    "one pixel off": Row("the answer with the object a pixel off its place: what the way says of so little", _one_pixel_off),
    "ceiling": Row("the autoencoder's round trip of the answer", lambda it: ceiling(it.editor, it.task)),
}
"""Rows by name, in the order of the table."""
