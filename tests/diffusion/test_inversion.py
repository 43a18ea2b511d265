"""To noise and back: exact with iterations enough, and sampling as diffusers does it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from dragonkit.diffusion.inversion import ddim, extrapolated, sample
from dragonkit.diffusion.stable_diffusion import StableDiffusion
from dragonkit.plugins.inversion import InversionOptions

SIZE = (32, 32)


@pytest.fixture
def clean() -> torch.Tensor:
    return torch.randn(1, 4, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(3))


def test_more_iterations_bring_every_level_back_better(backbone64: StableDiffusion, clean: torch.Tensor) -> None:
    embeds, ten = backbone64.condition(["a fish"], SIZE), backbone64.schedule(10, SIZE)
    schedule = replace(ten, timesteps=ten.timesteps[:5], alphas=ten.alphas[:6])  # fine steps, and only as far as need be

    def error(iterations: int) -> float:
        up = ddim(backbone64, clean, embeds, schedule, InversionOptions(iterations=iterations))
        down = sample(backbone64, up[-1:], embeds, embeds, schedule)
        return (up - down).abs().max().item()

    errors = [error(iterations) for iterations in (1, 2, 4, 12)]
    assert errors[1] < errors[0] / 2
    assert errors[2] < errors[1] / 2
    assert errors[3] < 1e-4  # and at the fixed point all of it


def test_the_trajectory_begins_at_the_picture_and_moves_at_every_level(backbone64: StableDiffusion, clean: torch.Tensor) -> None:
    embeds, schedule = backbone64.condition([""], SIZE), backbone64.schedule(5, SIZE)
    trajectory = ddim(backbone64, clean, embeds, schedule, InversionOptions(iterations=1))
    assert trajectory.shape == (6, 4, 8, 8)
    assert torch.equal(trajectory[:1], clean)
    assert not trajectory.requires_grad
    for level in range(5):  # plain DDIM inversion: the noise is looked up at the lower end's latents
        noise_pred = backbone64.predict(trajectory[level : level + 1], schedule.time(level + 1), embeds).noise_pred
        expected = schedule.move(trajectory[level : level + 1], noise_pred, level, level + 1)
        assert torch.allclose(trajectory[level + 1], expected[0], atol=1e-12)


def test_extrapolating_comes_back_better_for_as_many_calls(backbone64: StableDiffusion, clean: torch.Tensor) -> None:
    embeds, fine = backbone64.condition(["a fish"], SIZE), backbone64.schedule(50, SIZE)
    schedule = replace(fine, timesteps=fine.timesteps[:25], alphas=fine.alphas[:26])

    def error(invert: Any) -> float:
        calls = backbone64.calls
        up = invert(backbone64, clean, embeds, schedule, InversionOptions(iterations=1))
        assert backbone64.calls - calls == 25
        return (up - sample(backbone64, up[-1:], embeds, embeds, schedule)).square().mean().item()

    assert error(extrapolated) < error(ddim) / 4


def test_extrapolating_goes_on_from_what_two_levels_saw(backbone64: StableDiffusion, clean: torch.Tensor) -> None:
    embeds, schedule = backbone64.condition(["a fish"], SIZE), backbone64.schedule(6, SIZE)
    up = extrapolated(backbone64, clean, embeds, schedule, InversionOptions())
    assert torch.equal(up[:1], clean)
    seen = [backbone64.predict(up[level : level + 1], schedule.time(max(level, 1)), embeds).noise_pred for level in range(6)]
    for level in range(6):
        noise = seen[level] if level < 2 else 2 * seen[level] - seen[level - 1]
        alpha, above = (float(schedule.alphas[one]) for one in (level, level + 1))
        pure = (up[level] - (1 - alpha) ** 0.5 * noise[0]) / alpha**0.5
        assert torch.allclose(up[level + 1], above**0.5 * pure + (1 - above) ** 0.5 * noise[0], atol=1e-10)


def test_an_inversion_costs_steps_times_iterations(backbone: StableDiffusion, latents: torch.Tensor, embeds: torch.Tensor) -> None:
    ddim(backbone, latents[:1], embeds, backbone.schedule(4, SIZE), InversionOptions(iterations=3))
    assert backbone.calls == 12


@pytest.mark.parametrize("run", ["ddim", "sample"])
def test_progress_counts_the_steps(backbone: StableDiffusion, latents: torch.Tensor, embeds: torch.Tensor, run: str) -> None:
    told: list[tuple[int, int]] = []

    def progress(done: int, of: int) -> None:
        told.append((done, of))

    schedule = backbone.schedule(3, SIZE)
    if run == "ddim":
        ddim(backbone, latents[:1], embeds, schedule, InversionOptions(iterations=2), progress)
    else:
        sample(backbone, latents[:1], embeds, embeds, schedule, progress=progress)
    assert told == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("guidance_scale", [1.0, 3.5])
def test_sampling_is_what_the_pipeline_does(
    tiny_pipelines: dict[str, Any], latents: torch.Tensor, prediction_type: str, guidance_scale: float
) -> None:
    backbone, noise = StableDiffusion(tiny_pipelines[prediction_type]), latents[:1]
    embeds, negative = backbone.condition(["a red fish", ""], SIZE).chunk(2)
    backbone.pipeline.set_progress_bar_config(disable=True)
    expected = backbone.pipeline(
        "a red fish", num_inference_steps=6, guidance_scale=guidance_scale, latents=noise.clone(), output_type="latent"
    ).images
    trajectory = sample(backbone, noise, embeds, negative, backbone.schedule(6, SIZE), guidance_scale)
    assert trajectory.shape == (7, 4, 8, 8)
    assert torch.equal(trajectory[-1:], noise)  # clean first
    assert torch.allclose(trajectory[:1], expected, atol=1e-4)


def test_sampling_without_guidance_asks_once_a_step(backbone: StableDiffusion, latents: torch.Tensor, embeds: torch.Tensor) -> None:
    sample(backbone, latents[:1], embeds, embeds, backbone.schedule(4, SIZE))
    assert backbone.calls == 4
    sample(backbone, latents[:1], embeds, embeds.clone(), backbone.schedule(4, SIZE), guidance_scale=2.0)
    assert backbone.calls == 4 + 8
    sample(backbone, latents[:1], embeds, embeds, backbone.schedule(4, SIZE), guidance_scale=2.0)  # away from itself: nowhere
    assert backbone.calls == 4 + 8 + 4
