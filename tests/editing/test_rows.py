"""What an edit costs in rows of the UNet, forward and backward, by card, preset and mode: nothing gets slower without being seen here."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from helpers.network_rows import counted
from PIL import Image

from dragonkit.diffusion.source import Levels, Way
from dragonkit.diffusion.stable_diffusion import StableDiffusion
from dragonkit.editing.editor import Editor
from dragonkit.edits.edit import Edit
from dragonkit.edits.settings import Settings
from dragonkit.imaging.images import psnr
from dragonkit.modes.appearance import Appearance
from dragonkit.modes.drag import Drag
from dragonkit.modes.move import Move
from dragonkit.plugins.card import ModelCard
from dragonkit.plugins.registry import PluginRegistry

STEPS, SIZE = 10, 32
GENERATION = {"toybox": STEPS, "sd15": 2 * STEPS}
"""Rows of a plain generation with the card's settings: those of sd15 have classifier-free guidance."""


def picture(seed: int) -> Image.Image:
    blotches = np.random.default_rng(seed).integers(0, 255, (8, 8, 3), dtype=np.uint8)
    return Image.fromarray(blotches).resize((SIZE, SIZE))


def box(left: int, top: int, side: int) -> np.ndarray:
    mask = np.zeros((SIZE, SIZE), bool)
    mask[top : top + side, left : left + side] = True
    return mask


EDITS: dict[str, tuple[Edit, Edit]] = {
    "move": tuple(Move(mask=box(2, 2, 8), shift=(shift, 0)) for shift in (14, 18)),
    "drag": tuple(Drag(points=[((10, 12), (end, 14))], mask=box(4, 4, 20)) for end in (18, 16)),
    "appearance": tuple(
        Appearance(mask=box(left, 4, 10), reference=picture(1), reference_mask=box(4, 4, 12), reference_prompt="a house") for left in (4, 8)
    ),
}  # type: ignore[assignment]
"""One edit of each mode, and another one of the same picture."""

# (rows forward, rows backward) of a picture that is edited straight away, and of another edit of it
ROWS: dict[tuple[str, str, str], list[tuple[int, int]]] = {
    ("toybox", "default", "move"): [(7, 1), (3, 1)],
    ("toybox", "default", "drag"): [(11, 2), (5, 2)],
    ("toybox", "default", "appearance"): [(3, 0), (1, 0)],
    ("toybox", "fast", "move"): [(7, 1), (3, 1)],
    ("toybox", "fast", "drag"): [(11, 2), (5, 2)],
    ("toybox", "fast", "appearance"): [(3, 0), (1, 0)],
    ("toybox", "paper", "move"): [(25, 6), (14, 6)],
    ("toybox", "paper", "drag"): [(25, 6), (14, 6)],
    ("toybox", "paper", "appearance"): [(36, 6), (14, 6)],
    ("toybox", "reference", "move"): [(46, 12), (26, 12)],
    ("toybox", "reference", "drag"): [(46, 12), (26, 12)],
    ("toybox", "reference", "appearance"): [(62, 12), (26, 12)],
    ("sd15", "default", "move"): [(25, 4), (16, 4)],
    ("sd15", "default", "drag"): [(22, 3), (14, 3)],
    ("sd15", "default", "appearance"): [(18, 0), (8, 0)],
    ("sd15", "fast", "move"): [(25, 2), (16, 2)],
    ("sd15", "fast", "drag"): [(22, 1), (14, 1)],
    ("sd15", "fast", "appearance"): [(18, 0), (8, 0)],
}


def editor_of(card: str, pipeline: Any) -> Editor:
    registry = PluginRegistry(discover=False)
    settings = registry.models()[card].settings
    return Editor(StableDiffusion(pipeline), ModelCard("tiny", "nowhere", "random weights", settings), registry)


@pytest.mark.parametrize(
    ("card", "preset", "mode"),
    [pytest.param(*each, marks=[pytest.mark.slow] if each[1] in ("paper", "reference") and each[2] != "move" else []) for each in ROWS],
)
def test_an_edit_costs_so_many_rows(card: str, preset: str, mode: str, tiny_pipeline: Any) -> None:
    editor, settings = editor_of(card, tiny_pipeline), Settings.preset(preset, steps=STEPS)
    found, counts = [], list[int]()
    with counted(editor.backbone.unet) as rows:
        for edit in EDITS[mode]:
            before = editor.backbone.calls
            editor.edit(picture(0), edit, settings, "a fish")
            found.append(rows.taken())
            counts.append(editor.backbone.calls - before)
    assert counts == [forward for forward, _ in found]  # what reports say is what is done
    assert found == ROWS[card, preset, mode]


def test_an_inversion_goes_on_where_a_later_edit_needs_more(tiny_pipeline: Any) -> None:
    """The first of the toybox card's edits reads three levels, one that holds nothing all ten; the pictures are the same as ever."""
    free = Settings(steps=STEPS, hold=0.0, hold_vacated=0.0)
    edit, pixels = EDITS["move"][0], []
    for whole in (False, True):
        editor = editor_of("toybox", tiny_pipeline)
        source = editor.invert(picture(0), "a fish", Settings(steps=STEPS), check=False) if whole else picture(0)
        with counted(editor.backbone.unet) as rows:
            for settings, expected in ((Settings(steps=STEPS), (3, 7)), (free, (11, 18))):
                pixels.append(editor.edit(source, edit, settings, "" if whole else "a fish").image.tobytes())
                assert rows.taken()[0] == expected[not whole]
    assert pixels[:2] == pixels[2:]


@pytest.mark.slow
def test_what_a_generation_saw_is_not_looked_at_again(tiny_pipeline: Any) -> None:
    editor, edit = editor_of("sd15", tiny_pipeline), EDITS["move"][0]
    with counted(editor.backbone.unet) as rows:
        source = editor.generate("a fish", 1, Settings(steps=STEPS))
        rows.taken()
        first = editor.edit(source, edit, Settings(steps=STEPS))
        assert rows.taken() == ROWS["sd15", "default", "move"][1]
        editor.forget()
        again = editor.edit(source, edit, Settings(steps=STEPS))
        recomputed = editor.edit(source, edit, Settings(steps=STEPS, memory="recompute"))
    assert first.image.tobytes() == again.image.tobytes() == recomputed.image.tobytes()


@pytest.mark.slow
def test_what_an_inversion_saw_close_to_where_it_ended_is_not_looked_at_again(tiny_pipeline: Any) -> None:
    """Three iterations: the last one sees the latents to a few thousandths. Whatever is kept, the picture is the same to the bit."""
    editor, edit = editor_of("sd15", tiny_pipeline), EDITS["move"][0]
    settings = Settings(steps=STEPS, inversion="ddim", inversion_iterations=3)
    with counted(editor.backbone.unet) as rows:
        source = editor.invert(picture(0), "a fish", settings, check=False)
        assert rows.taken() == (3 * STEPS, 0)
        first = editor.edit(source, edit, settings)
        spent, _ = rows.taken()
    matched = len(source.way.levels.seen)
    assert matched >= STEPS // 2 and spent <= ROWS["sd15", "default", "move"][1][0] + STEPS - matched
    for level, seen in source.way.levels.seen.items():
        assert (seen - source.latents_at(level)).norm() <= 0.005 * source.latents_at(level).norm()
    editor.forget()
    again = editor.edit(source, edit, settings)
    recomputed = editor.edit(source, edit, settings.model_copy(update={"memory": "recompute"}))
    assert first.image.tobytes() == again.image.tobytes() == recomputed.image.tobytes()
    exact = replace(source, way=Way(Levels(source.trajectory)))
    assert psnr(first.image, editor.edit(exact, edit, settings).image) > 45


@pytest.mark.parametrize("card", GENERATION)
def test_a_generation_is_the_unit(card: str, tiny_pipeline: Any) -> None:
    editor = editor_of(card, tiny_pipeline)
    with counted(editor.backbone.unet) as rows:
        editor.generate("a fish", 1, Settings(steps=STEPS))
        assert rows.taken() == (GENERATION[card], 0)
