"""Folding makes noise show equally in every direction and changes nothing else; a run leaves an autoencoder that is better than none."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL
from torch import nn

from dragonkit.testing.tiny import tiny_pipeline, tiny_recipe
from dragonkit.toybox.training import fit
from dragonkit.toybox.training.autoencoder import (
    adopt_autoencoder,
    build_autoencoder,
    encode_mean,
    fold,
    reconstruction_psnr,
    train_autoencoder,
    visibility,
)
from dragonkit.toybox.training.data import HELD_OUT, as_input, draw
from dragonkit.toybox.training.export import write_model
from dragonkit.toybox.training.recipe import RECIPES

CPU = torch.device("cpu")


@pytest.fixture
def images() -> torch.Tensor:
    return as_input(draw(64, 0, 32)[0])


@pytest.fixture
def autoencoder() -> Any:
    return build_autoencoder(tiny_recipe()).eval().requires_grad_(False)


def test_folding_leaves_the_round_trip_as_it_is(autoencoder: Any, images: torch.Tensor) -> None:
    before = encode_mean(autoencoder, images)
    expected = autoencoder.decode(before).sample
    fold(autoencoder, images)
    latents = encode_mean(autoencoder, images)
    assert not torch.allclose(latents, before, atol=0.1)
    assert torch.allclose(autoencoder.decode(latents).sample, expected, atol=1e-3)
    flat = latents.transpose(0, 1).flatten(1)
    assert torch.allclose(flat.mean(1), torch.zeros(4), atol=1e-4)
    assert flat.var(1).mean().item() == pytest.approx(1, abs=1e-3)


def test_after_folding_noise_shows_equally_in_every_direction(autoencoder: Any, images: torch.Tensor) -> None:
    def unlike(latents: torch.Tensor) -> float:
        """How many times more the most visible direction shows than the least visible one."""
        torch.manual_seed(3)
        roots = torch.linalg.eigvalsh(visibility(autoencoder, images, 0.3 * latents.transpose(0, 1).flatten(1).std(1).mean().item()))
        return (roots.max() / roots.min()).item() ** 2

    before = unlike(encode_mean(autoencoder, images))
    fold(autoencoder, images)
    after = unlike(encode_mean(autoencoder, images))
    assert before > 5 and after < before / 4


def test_folded_latents_have_no_spread_of_their_own(autoencoder: Any, images: torch.Tensor) -> None:
    fold(autoencoder, images)
    posterior = autoencoder.encode(images[:4]).latent_dist
    assert torch.allclose(posterior.sample(), posterior.mean, atol=1e-5)


def test_visibility_is_the_root_of_what_a_linear_decoder_does() -> None:
    """A decoder that multiplies each latent vector by a matrix A changes a picture by v^T A^T A v."""
    matrix = torch.tensor([[4.0, 1.0], [0.0, 1.0], [0.0, 0.0]])
    decoder = nn.Conv2d(2, 3, 1, bias=False)
    decoder.weight.data = matrix[:, :, None, None]
    vae: Any = SimpleNamespace(
        encode=lambda images: SimpleNamespace(latent_dist=SimpleNamespace(mean=images[:, :2])),
        decode=lambda latents: SimpleNamespace(sample=decoder(latents)),
    )
    root = visibility(vae, torch.rand(2, 3, 8, 8), 0.3)
    squared = root @ root
    expected = matrix.T @ matrix
    assert torch.allclose(squared / squared.trace(), expected / expected.trace(), atol=1e-5)
    assert root.trace().item() == pytest.approx(2, abs=1e-5)  # eigenvalues of 1 on average


def test_the_recipe_decides_the_latents() -> None:
    vae = build_autoencoder(tiny_recipe())
    with torch.no_grad():
        assert encode_mean(vae, torch.zeros(1, 3, 32, 32)).shape == (1, 4, 8, 8)
    assert vae.config.scaling_factor == 1


def test_reconstruction_is_measured_on_scenes_never_trained_on(autoencoder: Any) -> None:
    images = as_input(draw(8, HELD_OUT, 32)[0])
    round_trip = autoencoder.decode(encode_mean(autoencoder, images)).sample.clamp(-1, 1)
    error = ((round_trip - images) * 127.5).square().mean()
    assert reconstruction_psnr(autoencoder, 32, 8) == pytest.approx(10 * torch.log10(255**2 / error).item(), abs=1e-3)


@pytest.mark.slow
def test_a_run_writes_a_better_autoencoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter(range(10**6))
    monkeypatch.setattr(fit, "time", SimpleNamespace(perf_counter=lambda: next(ticks) / 10))  # as many steps on every machine
    said = list[str]()
    clock: Any = SimpleNamespace(seconds_until=lambda *_: 12.0, say=lambda *words: said.append(" ".join(words)))
    untrained = reconstruction_psnr(build_autoencoder(tiny_recipe()).eval(), 32, 64)
    train_autoencoder(tiny_recipe(), tmp_path, clock, CPU)
    trained = AutoencoderKL.from_pretrained(tmp_path / "vae")
    assert trained.dtype == torch.float32 and not (tmp_path / "vae.new").exists()
    assert reconstruction_psnr(trained, 32, 64) > untrained + 1
    assert said[0] == "autoencoder 0.06 M parameters, 16 scenes drawn"
    assert "dB on 256 held-out scenes" in said[-1]


def test_a_finished_models_autoencoder_is_adopted(tmp_path: Path) -> None:
    pipeline = tiny_pipeline()
    write_model(pipeline, tmp_path / "model")
    adopt_autoencoder(tiny_recipe(), tmp_path / "model", tmp_path)
    adopted = AutoencoderKL.from_pretrained(tmp_path / "vae")
    for name, value in pipeline.vae.state_dict().items():
        assert torch.equal(adopted.state_dict()[name], value.half().float())
    with pytest.raises(ValueError, match="vae holds no AutoencoderKL"):
        adopt_autoencoder(RECIPES["cpu32"], tmp_path / "model", tmp_path / "other")
    with pytest.raises(ValueError, match=r"no model.vae holds no"):
        adopt_autoencoder(tiny_recipe(), tmp_path / "no model", tmp_path / "other")
