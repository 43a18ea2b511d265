"""Whitening and refining change the latents and the decoder, each without the other; visibility is what the decoder does."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from dragonkit.testing.tiny import tiny_recipe
from dragonkit.toybox.training import fit
from dragonkit.toybox.training.autoencoder import (
    build_autoencoder,
    encode_mean,
    flops,
    reconstruction_psnr,
    refine_decoder,
    visibility,
    whiten,
)
from dragonkit.toybox.training.data import HELD_OUT, draw


class Pictures:
    """The same 64 pictures again and again, so that the statistics are exactly theirs."""

    def __init__(self) -> None:
        self.images = draw(64, 0, 32)[0].float() / 127.5 - 1

    def batch(self, count: int) -> tuple[torch.Tensor, list[str]]:
        return self.images[:count], [""] * count


@pytest.fixture
def autoencoder() -> Any:
    return build_autoencoder(tiny_recipe()).eval().requires_grad_(False)


def test_whitening(autoencoder: Any) -> None:
    pictures = Pictures()
    before = encode_mean(autoencoder, pictures.images)
    expected = autoencoder.decode(before).sample
    correlated = torch.cov(before.transpose(0, 1).flatten(1))
    assert (correlated - torch.eye(4)).abs().max() > 0.1  # there is something to do

    whiten(autoencoder, pictures, count=64)
    latents = encode_mean(autoencoder, pictures.images)
    assert torch.allclose(autoencoder.decode(latents).sample, expected, atol=1e-3)
    flat = latents.transpose(0, 1).flatten(1).double()
    assert torch.allclose(flat.mean(1), torch.zeros(4, dtype=torch.float64), atol=1e-4)
    assert torch.allclose(torch.cov(flat), torch.eye(4, dtype=torch.float64), atol=1e-3)


def test_whitened_latents_have_no_spread_of_their_own(autoencoder: Any) -> None:
    whiten(autoencoder, Pictures(), count=64)
    posterior = autoencoder.encode(Pictures().images[:4]).latent_dist
    assert torch.allclose(posterior.sample(), posterior.mean, atol=1e-5)


def test_the_recipe_decides_the_latents() -> None:
    vae = build_autoencoder(tiny_recipe())
    with torch.no_grad():
        assert encode_mean(vae, torch.zeros(1, 3, 32, 32)).shape == (1, 4, 8, 8)
    assert vae.config.scaling_factor == 1


def test_reconstruction_is_measured_on_scenes_never_trained_on(autoencoder: Any) -> None:
    images = draw(8, HELD_OUT, 32)[0].float() / 127.5 - 1
    round_trip = autoencoder.decode(encode_mean(autoencoder, images)).sample.clamp(-1, 1)
    error = ((round_trip - images) * 127.5).square().mean()
    assert reconstruction_psnr(autoencoder, 32, 8) == pytest.approx(10 * torch.log10(255**2 / error).item(), abs=1e-3)


def test_flops_of_a_linear_layer() -> None:
    assert flops(torch.nn.Linear(8, 4), torch.zeros(2, 8)) == 2 * 2 * 8 * 4  # a multiplication and an addition each


def test_refining_improves_the_decoder_and_leaves_the_latents(autoencoder: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter(range(10**6))
    monkeypatch.setattr(fit, "time", SimpleNamespace(perf_counter=lambda: next(ticks) / 10))  # as many steps on every machine
    images = Pictures().images[:8]
    before, start = encode_mean(autoencoder, images), reconstruction_psnr(autoencoder, 32, 32)
    recipe = tiny_recipe()
    recipe = recipe.model_copy(update={"autoencoder": recipe.autoencoder.model_copy(update={"decoder_minutes": 0.3})})
    refine_decoder(recipe, autoencoder, Pictures(), tmp_path)
    assert torch.equal(encode_mean(autoencoder, images), before)
    assert reconstruction_psnr(autoencoder, 32, 32) > start + 1
    assert (tmp_path / "decoder.pt").exists()


def test_visibility_is_the_root_of_what_a_linear_decoder_does() -> None:
    """A decoder that multiplies each latent vector by a matrix A changes a picture by v^T A^T A v."""
    matrix = torch.tensor([[4.0, 1.0], [0.0, 1.0], [0.0, 0.0]])
    decoder = nn.Conv2d(2, 3, 1, bias=False)
    decoder.weight.data = matrix[:, :, None, None]
    vae: Any = SimpleNamespace(
        encode=lambda images: SimpleNamespace(latent_dist=SimpleNamespace(mean=images[:, :2])),
        decode=lambda latents: SimpleNamespace(sample=decoder(latents)),
    )
    root = visibility(vae, torch.rand(2, 3, 8, 8))
    squared = root @ root
    expected = matrix.T @ matrix
    assert torch.allclose(squared / squared.trace(), expected / expected.trace(), atol=1e-5)
    assert root.trace().item() == pytest.approx(2, abs=1e-5)  # eigenvalues of 1 on average: the loss keeps its size
