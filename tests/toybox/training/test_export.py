"""The model folder loads unaided and the modules in hand stay as they are; sheets put pictures side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline
from PIL import Image

from dragonkit.toybox.training.autoencoder import build_autoencoder
from dragonkit.toybox.training.data import HELD_OUT, draw
from dragonkit.toybox.training.export import contact_sheet, take_weights, write_model, write_sheets
from dragonkit.toybox.training.recipe import RECIPES


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


def test_sheets_of_samples_and_round_trips(tiny_pipeline: Any, tmp_path: Path) -> None:
    write_sheets(tiny_pipeline, tmp_path, count=10, steps=2)
    samples, round_trips = (Image.open(tmp_path / f"{name}.png") for name in ("samples", "autoencoder"))
    assert samples.size == round_trips.size == (8 * 32, 2 * 32)
    scene = draw(10, HELD_OUT, 32)[0][4]  # the fifth of five stands first in the second row
    assert np.array_equal(np.asarray(round_trips)[32:, :32], scene.permute(1, 2, 0))
    assert not np.array_equal(np.asarray(round_trips)[32:, 32:64], scene.permute(1, 2, 0))
    (tmp_path / "again").mkdir()
    write_sheets(tiny_pipeline, tmp_path / "again", count=10, steps=2)
    assert np.array_equal(np.asarray(samples), np.asarray(Image.open(tmp_path / "again" / "samples.png")))


def test_weights_of_another_shape_or_none_are_refused(tiny_pipeline: Any, tmp_path: Path) -> None:
    tiny_pipeline.vae.save_pretrained(tmp_path / "vae")
    other = build_autoencoder(RECIPES["cpu32"])
    with pytest.raises(ValueError, match=r"vae holds no AutoencoderKL of the recipe's shape: Error"):
        take_weights(other, AutoencoderKL, tmp_path / "vae")
    with pytest.raises(ValueError, match="nowhere holds no"):
        take_weights(other, AutoencoderKL, tmp_path / "nowhere")
