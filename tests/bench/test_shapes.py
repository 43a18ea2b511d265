"""The shapes are the public models': what they weigh, and at which size they work."""

from __future__ import annotations

import pytest
import torch
from diffusers.utils import logging

from dragonkit.bench.shapes import SHAPES

PUBLIC = {
    "sd15-shape": (859_520_964, 512, 4),
    "sd21-shape": (865_910_724, 768, 4),
    "sdxl-shape": (2_567_463_684, 1024, 3),
}
"""Parameters of the UNet, pixels a side, up blocks. An autoencoder has 83.7 M; with a vocabulary of its own a text encoder differs."""


@pytest.mark.parametrize("name", SHAPES)
def test_the_shape_is_the_public_models(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    logging.disable_progress_bar()
    # noise levels are read, weights only counted
    monkeypatch.setattr("dragonkit.diffusion.stable_diffusion.noise_levels", lambda _: torch.ones(1000))
    backbone = SHAPES[name]("meta", torch.float32).backbone
    assert sum(one.numel() for one in backbone.autoencoder.vae.parameters()) == 83_653_863  # type: ignore[attr-defined]
    unet = backbone.unet  # type: ignore[attr-defined]
    assert (sum(one.numel() for one in unet.parameters()), backbone.model_size, len(unet.up_blocks)) == PUBLIC[name]
    assert (backbone.pixels_per_latent, backbone.latent_channels) == (8, 4)
