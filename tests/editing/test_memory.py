"""Memory runs out: the edit is made again with less, says so, and gives the same picture; where that is not enough, it says what is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import dragonkit as dk
from dragonkit.diffusion.stable_diffusion import StableDiffusion
from dragonkit.editing.memory import smaller, ways_from
from dragonkit.errors import OutOfMemoryError
from dragonkit.plugins.registry import PluginRegistry
from dragonkit.testing import tiny_editor

PICTURE = Image.fromarray(np.random.default_rng(3).integers(0, 256, (32, 32, 3), dtype=np.uint8))
MASK = np.zeros((32, 32), bool)
MASK[4:14, 6:16] = True
MOVE = dk.Move(mask=MASK, shift=(10, 8))
FEW = dk.Settings(steps=3, hold=0, hold_vacated=0)


@pytest.fixture
def editor(tiny_pipeline: Any) -> dk.Editor:
    return dk.Editor(StableDiffusion(tiny_pipeline), tiny_editor().card, PluginRegistry(discover=False))


def full(*_: Any, **__: Any) -> Any:
    raise torch.OutOfMemoryError("CUDA out of memory")


def test_an_edit_is_made_again_with_less(editor: dk.Editor, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = editor.edit(PICTURE, MOVE, FEW)
    assert editor._sources.keeps_anything and not any("memory" in warning for warning in expected.report.warnings)
    decode = editor.backbone.decode

    def once(latents: torch.Tensor) -> Any:
        monkeypatch.setattr(editor.backbone, "decode", decode)
        return full()

    monkeypatch.setattr(editor.backbone, "decode", once)
    result = editor.edit(PICTURE, MOVE, FEW)
    assert result.image.tobytes() == expected.image.tobytes()
    assert [warning for warning in result.report.warnings if "memory='recompute'" in warning]
    assert result.edit_file.settings.memory == "recompute" and not editor._sources.keeps_anything


@pytest.mark.parametrize("memory", ["bank", "recompute"])
def test_what_is_left_to_do_is_named(editor: dk.Editor, monkeypatch: pytest.MonkeyPatch, memory: Any) -> None:
    side, multiple = editor.backbone.model_size, editor.backbone.size_multiple
    monkeypatch.setattr(editor.backbone, "decode", full)
    with pytest.raises(OutOfMemoryError, match=f"was not enough: use working_size={smaller(side, multiple)} or less"):
        editor.edit(PICTURE, MOVE, FEW.model_copy(update={"memory": memory}))


def test_a_gpu_tries_its_host_first() -> None:
    assert ways_from("bank", "cuda") == ["bank", "offload", "recompute"] and ways_from("bank", "cpu") == ["bank", "recompute"]
    assert ways_from("offload", "cpu") == ["offload", "recompute"] and ways_from("recompute", "cuda") == ["recompute"]


def test_all_ways_give_one_picture(editor: dk.Editor) -> None:
    memories: list[Any] = ["bank", "offload", "recompute", "offload", "bank"]
    pictures = [np.asarray(editor.edit(PICTURE, MOVE, FEW.model_copy(update={"memory": memory})).image, int) for memory in memories]
    assert max(np.abs(one - pictures[0]).max() for one in pictures) <= 1


@pytest.mark.parametrize(("side", "multiple", "expected"), [(512, 64, 320), (1024, 64, 704), (768, 8, 536), (8, 8, 8)])
def test_the_smaller_side_has_about_half_the_pixels(side: int, multiple: int, expected: int) -> None:
    assert smaller(side, multiple) == expected


def test_recompute_keeps_nothing_for_the_way_back(editor: dk.Editor, monkeypatch: pytest.MonkeyPatch) -> None:
    unet, seen = editor.backbone.unet, list[tuple[bool, bool]]()  # type: ignore[attr-defined]
    expected = editor.edit(PICTURE, MOVE, FEW)
    predict = editor.backbone.predict

    def watched(*args: Any, **options: Any) -> Any:
        seen.append((unet.is_gradient_checkpointing, bool(options.get("features"))))
        return predict(*args, **options)

    monkeypatch.setattr(editor.backbone, "predict", watched)
    result = editor.edit(PICTURE, MOVE, FEW.model_copy(update={"memory": "recompute"}))
    assert (True, True) in seen and not unet.is_gradient_checkpointing
    assert np.abs(np.asarray(result.image, int) - np.asarray(expected.image, int)).max() <= 1
    unet.enable_gradient_checkpointing()
    editor.edit(PICTURE, MOVE, FEW.model_copy(update={"memory": "recompute"}))
    assert unet.is_gradient_checkpointing, "somebody has asked for it"
    unet.disable_gradient_checkpointing()
