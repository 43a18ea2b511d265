"""docs/errors.md has every error, with a message that is really raised."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from helpers import hook_mistakes as hooks
from helpers.hook_mistakes import MASK, PICTURE, told
from helpers.pages import DOCS, table_under

import dragonkit as dk
from dragonkit.diffusion.schedule import noise_levels
from dragonkit.testing import isolated_registry, tiny_editor

PAGE = DOCS / "errors.md"
NEVER_ITSELF = {"DragonkitError", "PluginError"}
"""Only what is derived from them is raised."""


def an_unmarked_picture() -> None:
    dk.images.Image.fromarray(PICTURE).save("photo.png")
    dk.EditFile.load("photo.png")


def no_picture() -> None:
    Path("photo.png").write_text("a boat")
    dk.images.load_image("photo.png")


def no_room() -> None:
    def fill(step: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    tiny_editor().edit(PICTURE, dk.Move(mask=MASK, shift=(8, 4)), on_step=fill)


PROVOKED: dict[str, Callable[[], Any]] = {
    "PluginLoadError": hooks.misspelt,
    "DuplicateModeError": hooks.a_mode_that_is_taken,
    "PluginHookError": hooks.raises,
    "EditError": lambda: dk.Move(mask=MASK, shfit=(1, 2)),
    "UnknownModeError": lambda: isolated_registry().edits_from(dk.EditFile(image="photo.png", edits=[{"mode": "mvoe"}])),
    "MaskError": lambda: tiny_editor().edit(PICTURE, dk.Move(mask=np.ones((64, 64), bool), shift=(8, 4))),
    "PointError": lambda: tiny_editor().edit(PICTURE, dk.Drag(points=[((3, 4), (90, 4))])),
    "EditFileError": an_unmarked_picture,
    "ImageError": no_picture,
    "ModelError": lambda: dk.Editor.from_pretrained(device="gpu"),
    "ModelNotFoundError": lambda: dk.Editor.from_pretrained("sd5"),
    "UnsupportedModelError": lambda: noise_levels(FlowMatchEulerDiscreteScheduler()),
    "ShapeError": lambda: dk.images.psnr(PICTURE, PICTURE[:8]),
    "NonFiniteEnergyError": hooks.an_empty_mean,
    "OutOfMemoryError": no_room,
    "Cancelled": hooks.enough,
}


def test_every_error_is_there() -> None:
    assert {*PROVOKED, *NEVER_ITSELF} == set(dk.errors.__all__)
    assert [name.strip("`") for name, _ in table_under(PAGE, "error")] == list(PROVOKED)


@pytest.mark.parametrize(("number", "name"), enumerate(PROVOKED))
def test_its_message_is_real(number: int, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert " ".join(table_under(PAGE, "error")[number][:1]) + f": {table_under(PAGE, 'error')[number][1]}" == told(PROVOKED[name])
