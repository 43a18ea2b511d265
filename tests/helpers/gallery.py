"""`python -m helpers.gallery` draws the pictures of docs/gallery.md: of each task the best and the worst of `SCENES`, beside the answer."""

from __future__ import annotations

import sys

from helpers.pages import DOCS
from helpers.pictures import stored

import dragonkit as dk
from dragonkit.bench.outcomes import FIRST_SEED, Outcome, done
from dragonkit.bench.reports.sheet import contact_sheet, wish
from dragonkit.bench.tasks.catalogue import TASKS
from dragonkit.bench.tasks.figures import judge

__all__ = ["IMAGES", "SCENES", "gallery"]

IMAGES = DOCS / "images" / "gallery"
SCENES = 4


def gained(outcome: Outcome) -> float:
    """dB nearer to the known answer than the untouched source, where they differ."""
    return outcome.figures.changed - judge(outcome.task, outcome.task.scene.image).changed


def gallery(tasks: list[str]) -> None:
    """A sheet for each task: before, wish, result, known answer; the best scene above, the worst below."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    editor = dk.Editor.from_pretrained()
    for name in tasks or TASKS:
        outcomes = sorted((done(editor, TASKS[name](FIRST_SEED + number)) for number in range(SCENES)), key=gained, reverse=True)
        best, *_, worst = outcomes
        rows = [
            (f"{gained(one):+.1f} dB", [one.task.scene.image, wish(one.task), one.image, one.task.answer.image]) for one in (best, worst)
        ]
        sheet = contact_sheet(rows, ("before", "the wish", "dragonkit", "known answer"))
        stored(sheet, IMAGES / f"{name}.png")
        print(name, *(title for title, _ in rows), flush=True)


if __name__ == "__main__":
    gallery(sys.argv[1:])
