"""The model folder loads unaided and the modules in hand stay as they are; sheets put pictures side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import StableDiffusionPipeline

from dragonkit.toybox.training.export import contact_sheet, sample_sheet, write_model


def test_a_written_model_loads_and_runs_unaided(tiny_pipeline: Any, tmp_path: Path) -> None:
    before = {name: value.clone() for name, value in tiny_pipeline.unet.state_dict().items()}
    write_model(tiny_pipeline, tmp_path)
    assert tiny_pipeline.unet.dtype == tiny_pipeline.vae.dtype == torch.float32
    for name, value in tiny_pipeline.unet.state_dict().items():
        assert torch.equal(value, before[name])  # not even rounded

    reloaded = StableDiffusionPipeline.from_pretrained(tmp_path)
    for name, value in reloaded.unet.state_dict().items():
        assert torch.equal(value, before[name].half().float())
    reloaded.set_progress_bar_config(disable=True)
    assert reloaded("a red fish", num_inference_steps=1).images[0].size == (32, 32)


def test_a_sheet_has_its_pictures_in_reading_order() -> None:
    images = torch.linspace(-1, 1, 5)[:, None, None, None].expand(5, 3, 2, 4)
    sheet = np.asarray(contact_sheet(images, columns=3))
    assert sheet.shape == (4, 12, 3)
    assert [sheet[0, 0, 0], sheet[0, 4, 0], sheet[0, 8, 0], sheet[2, 0, 0], sheet[2, 4, 0]] == [0, 64, 128, 191, 255]
    assert (sheet[2:, 8:] == 255).all()  # the empty place is white


def test_a_sheet_of_samples_is_repeatable(tiny_pipeline: Any) -> None:
    one, again = (np.asarray(sample_sheet(tiny_pipeline, ["a red fish", "a tree"], steps=2)) for _ in range(2))
    assert one.shape == (32, 8 * 32, 3)
    assert np.array_equal(one, again)
