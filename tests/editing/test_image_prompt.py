"""A picture prompts beside the words, by an adapter in the pipeline: as diffusers does it, when the settings say, and not otherwise."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from helpers import topologies
from helpers.topologies import SIDE, make, with_adapter
from PIL import Image

import dragonkit as dk
from dragonkit.diffusion.image_prompt import WithPicture
from dragonkit.errors import EditError
from dragonkit.plugins.registry import PluginRegistry

PICTURE = Image.fromarray(np.random.default_rng(2).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8))
MASK = np.zeros((SIDE, SIDE), bool)
MASK[8:18, 4:14] = True
MOVE = dk.Move(mask=MASK, shift=(12, 2))
SHAPES = pytest.mark.parametrize("shape", ["sd15", "sdxl"])


def editor_of(pipeline: Any) -> dk.Editor:
    return dk.Editor.from_pipeline(pipeline, PluginRegistry(discover=False))


def moved(editor: dk.Editor, span: tuple[float, float] = (0, 1), **changes: Any) -> np.ndarray:
    schedule, layers = dk.GuidanceSchedule(image_prompt=span), editor.settings().layers
    settings = dk.Settings.preset("paper", steps=2, guidance_scale=3.0, layers=layers, schedule=schedule, **changes)
    return np.asarray(editor.edit(PICTURE, MOVE, settings, "a fish").image, int)


@SHAPES
def test_the_network_is_told_what_diffusers_tells_it(shape: str) -> None:
    pipeline = with_adapter(make(shape))
    backbone = editor_of(pipeline).backbone
    latents, words = torch.randn(1, 4, 8, 8), backbone.condition(["a fish"], (SIDE, SIDE))
    show = backbone.shown(PICTURE, 0.7)  # type: ignore[attr-defined]
    embeds = pipeline.prepare_ip_adapter_image_embeds([PICTURE], None, torch.device("cpu"), 1, True)
    pipeline.set_ip_adapter_scale(0.7)
    told: dict[str, Any] = {"encoder_hidden_states": words, "added_cond_kwargs": {}}
    if shape == "sdxl":
        told = {"encoder_hidden_states": words.words, "added_cond_kwargs": {"text_embeds": words.summary, "time_ids": words.sizes}}
    for led_to, its in ((True, embeds[0][1:]), (False, embeds[0][:1])):
        with torch.no_grad():
            ours = backbone.predict(latents, 300.0, show(words, led_to)).noise_pred
            theirs = pipeline.unet(latents, 300, **{**told, "added_cond_kwargs": {**told["added_cond_kwargs"], "image_embeds": [its]}})
        assert torch.allclose(ours, theirs.sample, atol=1e-5)


@pytest.mark.parametrize("shape", ["sd15", pytest.param("sdxl", marks=pytest.mark.slow)])
def test_an_adapter_counts_only_where_it_is_asked_for(shape: str) -> None:
    pipeline = with_adapter(make(shape))
    pipeline.set_ip_adapter_scale(0.9)
    editor = editor_of(pipeline)
    without, with_it, again = moved(editor), moved(editor, image_prompt=1.0), moved(editor)
    assert np.array_equal(without, again) and np.abs(with_it - without).max() > 3
    assert {tuple(one.scale) for one in pipeline.unet.attn_processors.values() if hasattr(one, "to_k_ip")} == {(0.9,)}, "as it was"
    assert np.array_equal(moved(editor, (0.5, 0.5), image_prompt=1.0), without)
    pipeline.unload_ip_adapter()
    assert np.abs(moved(editor) - without).max() <= 1


def test_it_prompts_at_the_steps_that_the_schedule_says(monkeypatch: pytest.MonkeyPatch) -> None:
    editor = editor_of(with_adapter(make("sd15")))
    source = editor.invert(PICTURE, "a fish", dk.Settings.preset("paper", steps=5), check=False)
    predict, scales = editor.backbone.predict, list[tuple[float, float, bool]]()

    def watched(latents: torch.Tensor, time: float, condition: Any, **options: Any) -> Any:
        if isinstance(condition, WithPicture):
            scales.append(
                (time, condition.scale, torch.equal(condition.pictures[0], editor.backbone.shown(PICTURE, 1.0)("", True).pictures[0]))
            )
        return predict(latents, time, condition, **options)

    monkeypatch.setattr(editor.backbone, "predict", watched)
    settings = dk.Settings.preset("paper", steps=5, image_prompt=0.1, guidance_scale=3.0)
    editor.edit(source, MOVE, settings)
    time = source.schedule.time(4)  # step 1 of 5: from a fifth to two fifths
    assert scales == [(time, 0.1, True), (time, 0.1, False)]


def test_a_model_without_an_adapter_refuses_it() -> None:
    with pytest.raises(EditError, match=r"image_prompt is 0\.1, but the model has no IP-Adapter; load one with"):
        moved(editor_of(topologies.sd15()), image_prompt=0.1)
