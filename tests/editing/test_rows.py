"""What an edit costs in rows of the UNet, forward and backward, by card, preset and mode: nothing gets slower without being seen here."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers.network_rows import counted
from PIL import Image

from dragonkit.diffusion.stable_diffusion import StableDiffusion
from dragonkit.editing.editor import Editor
from dragonkit.edits.edit import Edit
from dragonkit.edits.settings import Settings
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
    ("toybox", "default", "move"): [(26, 3), (3, 3)],
    ("toybox", "default", "drag"): [(34, 7), (7, 7)],
    ("toybox", "default", "appearance"): [(33, 1), (1, 1)],
    ("toybox", "fast", "move"): [(26, 1), (3, 1)],
    ("toybox", "fast", "drag"): [(34, 3), (7, 3)],
    ("toybox", "fast", "appearance"): [(31, 0), (1, 0)],
    ("toybox", "paper", "move"): [(50, 6), (20, 6)],
    ("toybox", "paper", "drag"): [(50, 6), (20, 6)],
    ("toybox", "paper", "appearance"): [(66, 6), (20, 6)],
    ("toybox", "reference", "move"): [(56, 12), (26, 12)],
    ("toybox", "reference", "drag"): [(56, 12), (26, 12)],
    ("toybox", "reference", "appearance"): [(72, 12), (26, 12)],
    ("sd15", "default", "move"): [(44, 4), (16, 4)],
    ("sd15", "default", "drag"): [(41, 3), (14, 3)],
    ("sd15", "default", "appearance"): [(42, 0), (8, 0)],
    ("sd15", "fast", "move"): [(44, 2), (16, 2)],
    ("sd15", "fast", "drag"): [(41, 1), (14, 1)],
    ("sd15", "fast", "appearance"): [(42, 0), (8, 0)],
}


def editor_of(card: str, pipeline: Any) -> Editor:
    registry = PluginRegistry(discover=False)
    settings = registry.models()[card].settings
    return Editor(StableDiffusion(pipeline), ModelCard("tiny", "nowhere", "random weights", settings), registry)


@pytest.mark.parametrize(("card", "preset", "mode"), ROWS)
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


@pytest.mark.parametrize("card", GENERATION)
def test_a_generation_is_the_unit(card: str, tiny_pipeline: Any) -> None:
    editor = editor_of(card, tiny_pipeline)
    with counted(editor.backbone.unet) as rows:
        editor.generate("a fish", 1, Settings(steps=STEPS))
        assert rows.taken() == (GENERATION[card], 0)
