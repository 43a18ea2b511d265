"""Autoencoders of several kinds, at the scale that they say, also where half precision is too small for them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from helpers.topologies import autoencoder, tiny_autoencoder

from dragonkit.diffusion.autoencoder import Autoencoder
from dragonkit.errors import ModelError, UnsupportedModelError

pytestmark = pytest.mark.usefixtures("no_grad")


@pytest.fixture
def no_grad() -> Any:
    with torch.no_grad():
        yield


@pytest.fixture
def picture() -> torch.Tensor:
    return torch.rand(1, 3, 32, 64) * 2 - 1


SCALES: list[dict[str, Any]] = [
    {},
    {"shift_factor": 0.3},
    {"latents_mean": [0.1, -0.2, 0.3, 0.0], "latents_std": [1.5, 2.0, 0.5, 1.0]},
]


@pytest.mark.parametrize("says", SCALES, ids=["scale", "shift", "mean and std"])
def test_latents_are_scaled_as_the_configuration_says(says: dict[str, Any], picture: torch.Tensor) -> None:
    vae = autoencoder()
    raw = vae.encode(picture).latent_dist.mean
    vae.register_to_config(**says)
    mean, std = (
        torch.tensor(says.get(name, [other] * 4)).reshape(1, 4, 1, 1) for name, other in (("latents_mean", 0.0), ("latents_std", 1.0))
    )
    expected = (raw - says.get("shift_factor", 0.0) - mean) * 0.5 / std
    ours = Autoencoder(vae)
    assert torch.allclose(ours.encode(picture), expected, atol=1e-6)
    assert torch.allclose(ours.decode(expected), vae.decode(raw).sample.clamp(-1, 1), atol=1e-5)


def test_one_without_a_posterior(picture: torch.Tensor) -> None:
    vae = tiny_autoencoder()
    ours = Autoencoder(vae)
    assert ours.pixels_per_latent == 4 and ours.latent_channels == 4
    latents = ours.encode(picture)
    assert torch.equal(latents, vae.encode(picture).latents)
    assert torch.equal(ours.decode(latents), vae.decode(latents).sample.clamp(-1, 1))


@pytest.mark.parametrize("says_so", [True, False])
def test_what_overflows_float16_is_computed_in_float32(says_so: bool, picture: torch.Tensor) -> None:
    vae = autoencoder(force_upcast=says_so)
    for layer in (vae.encoder.conv_in, vae.decoder.conv_in):
        layer.weight *= 2e5  # what follows is normalised; in between it is too large for float16
    whole = Autoencoder(vae)
    latents = whole.encode(picture)
    expected = whole.decode(latents)
    half = Autoencoder(vae.half())
    assert not torch.isfinite(vae.decode((latents / 0.5).half()).sample).all()
    assert torch.allclose(half.encode(picture), latents, rtol=0.02, atol=0.02)
    assert torch.allclose(half.decode(latents), expected, atol=0.02)
    assert vae.dtype == torch.float16  # as it was


def test_one_that_gives_no_numbers_at_all_is_told(picture: torch.Tensor) -> None:
    vae = autoencoder().half()
    vae.encoder.conv_in.weight.fill_(torch.nan)
    with pytest.raises(ModelError, match="the autoencoder gave NaN"):
        Autoencoder(vae).encode(picture)
    assert vae.dtype == torch.float16


def test_other_pictures_than_rgb_are_refused() -> None:
    with pytest.raises(UnsupportedModelError, match="of 4 channels in and 3 out"):
        Autoencoder(autoencoder(in_channels=4))
