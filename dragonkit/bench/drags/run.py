"""`dragonkit bench drag`: every sample of a data set edited, written where evaluators look, and measured.

What is finished is not done again: a result carries its edit file, which tells whether it is the one asked for.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from dragonkit.bench.drags.matching import Matcher
from dragonkit.bench.drags.sets import Sample
from dragonkit.editing.editor import Editor
from dragonkit.edits.file import EditFile
from dragonkit.edits.settings import Settings
from dragonkit.errors import Cancelled, DragonkitError, EditFileError
from dragonkit.imaging.images import load_image
from dragonkit.imaging.photos import Photo

__all__ = ["RESULT", "Record", "run_samples"]

RESULT = "dragged_image.png"
"""The name under which DragBench's evaluators look for a result, in <category>/<sample>/."""

_POINTED = ("drag", "region")  # modes whose `points` are pairs of a start and an end

Fidelity = Callable[[Image.Image, Image.Image], float]


@dataclass(frozen=True)
class Record:
    """What became of a sample.

    Attributes:
        sample: its name.
        state: "made" now, "kept" as it was finished before, or "failed".
        fidelity: image fidelity, at most 1; nan where it was not measured.
        distances: how far from its goal each dragged point is found, in pixels; empty where an edit has no points.
        untouched: the same in the source.
        note: what the reader of the data set remarked, or why it failed.
    """

    sample: str
    state: str
    fidelity: float = math.nan
    distances: tuple[float, ...] = ()
    untouched: tuple[float, ...] = ()
    note: str = ""


class _Job(NamedTuple):
    """A sample ready to run: `wanted` is the edit file that its result will carry."""

    wanted: EditFile
    settings: Settings
    note: str


def run_samples(
    editor: Editor,
    samples: Sequence[Sample],
    out: Path,
    settings: Settings | None = None,
    matcher: Matcher | None = None,
    fidelity: Fidelity | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Record]:
    """Edit the samples one after the other, and measure each; one that fails does not stop the others.

    Args:
        out: gets <sample>/dragged_image.png for each.
        settings: on top of what an edit file says itself.
        matcher: measures distances; left out, nothing is measured.
        fidelity: of (source, result).
        progress: called with (samples done, samples in all).

    Raises:
        EditFileError: at the place of a result lies something else. Nothing was changed.
    """
    for sample in samples:
        _check_place(editor, sample, out / sample.name / RESULT, settings)
    records: list[Record] = []
    for sample in samples:
        if progress is not None:
            progress(len(records), len(samples))
        try:
            records.append(_done(editor, sample, out / sample.name / RESULT, settings, matcher, fidelity))
        except Cancelled:
            raise
        except DragonkitError as error:
            records.append(Record(sample.name, "failed", note=str(error)))
    if progress is not None:
        progress(len(records), len(samples))
    return records


def _done(
    editor: Editor, sample: Sample, place: Path, settings: Settings | None, matcher: Matcher | None, fidelity: Fidelity | None
) -> Record:
    editor = Editor(editor.backbone, editor.card, editor.registry)  # one that forgets: what it keeps of a picture would fill the memory
    job = _job(editor, sample, settings)
    file = job.wanted
    generated = editor.source_of(file) if file.seed is not None else None
    before = file.load_image() if generated is None else generated.photo.picture
    finished = place.exists()
    if finished:
        after = load_image(place)
    else:
        source = generated or editor.invert(file.photo(), file.prompt, job.settings, check=False)
        result = editor.edit(source, editor.registry.edits_from(file), job.settings)
        result.save(place)
        after = result.photo.picture
    return Record(
        sample.name,
        "kept" if finished else "made",
        math.nan if fidelity is None else fidelity(before, after),
        _distances(matcher, before, after, file),
        _distances(matcher, before, before, file),
        job.note,
    )


def _job(editor: Editor, sample: Sample, settings: Settings | None) -> _Job:
    file, note = sample.read(editor.card.name)
    chosen = (settings or Settings()).over(file.settings)
    full = editor.settings(chosen)
    # as an edit writes it
    source: Photo | int | None = file.photo() if file.image else file.seed
    assert source is not None  # an edit file has one of them
    wanted = EditFile.of(editor.card.name, source, file.prompt, full, editor.registry.edits_from(file), file.seed_guidance_scale)
    return _Job(wanted, chosen, note)


def _check_place(editor: Editor, sample: Sample, place: Path, settings: Settings | None) -> None:
    """Refuse to lose what lies at the place of a result, unless it is that result. A sample that cannot be read is told of later."""
    if not os.path.lexists(place):
        return
    try:
        wanted = _job(editor, sample, settings).wanted.shareable()
    except DragonkitError:
        return
    try:
        there = EditFile.load(place).shareable()  # whatever it holds beside that
    except EditFileError as error:
        raise EditFileError(f"{str(place)!r} is in the way: {error} Give another --out, or take it away.") from error
    if there != wanted:
        raise EditFileError(
            f"{str(place)!r} was made {_difference(dict(there), dict(wanted))}, and would be lost; give another --out, or take it away."
        )


def _difference(there: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """How an edit file came about otherwise than another one."""
    if there["model"] != wanted["model"]:
        return f"with the model {there['model']!r} and not {wanted['model']!r}"
    for name, value in wanted["settings"]:
        if getattr(there["settings"], name) != value:
            return f"with {name} {getattr(there['settings'], name)} and not {value}"
    return f"from another {next(name for name in wanted if there[name] != wanted[name])}"


def _distances(matcher: Matcher | None, before: Image.Image, after: Image.Image, file: EditFile) -> tuple[float, ...]:
    pairs: list[Any] = [pair for edit in file.edits if edit["mode"] in _POINTED for pair in edit["points"]]  # type: ignore[union-attr]
    if matcher is None or not pairs:
        return ()
    starts, ends = np.array(pairs, dtype=np.float64).transpose(1, 0, 2)
    found = matcher.find(before, after, [(float(x), float(y)) for x, y in starts], file.prompt)
    return tuple(float(length) for length in np.hypot(*(found - ends).T))
