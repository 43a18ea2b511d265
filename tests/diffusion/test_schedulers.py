"""diffusers' schedulers: their own noise levels are read, or they are refused by name."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from diffusers import DDIMScheduler, EulerDiscreteScheduler, LCMScheduler, PNDMScheduler, UniPCMultistepScheduler
from helpers.schedulers import PAGE, STABLE_DIFFUSION, build, classes, page, verdict

from dragonkit.diffusion.schedule import DDIM, LEAST_ALPHA, NO_SIGNAL, noise_levels
from dragonkit.errors import UnsupportedModelError

ALPHAS = DDIMScheduler(**STABLE_DIFFUSION).alphas_cumprod.double()


def test_the_table_of_the_docs_is_what_they_are() -> None:
    assert PAGE.read_text(encoding="utf-8") == page()


@pytest.mark.parametrize("name", classes())
def test_what_is_read_is_what_the_scheduler_has(name: str) -> None:
    """Against its own numbers, and where it counts in sigmas, against these at its own timesteps."""
    scheduler = build(classes()[name])
    if verdict(scheduler) != "read":
        if scheduler is not None:
            with pytest.raises(UnsupportedModelError, match=name):
                DDIM.of(scheduler, 10)
        return
    schedule = DDIM.of(scheduler, 10)
    assert torch.equal(schedule.alphas[1:], noise_levels(scheduler)[schedule.timesteps])
    assert (schedule.alphas.diff() < 0).all()
    own = scheduler.alphas_cumprod.double()
    read = own[schedule.timesteps]
    assert torch.equal(schedule.alphas[1:], read) or own[-1] < NO_SIGNAL
    if {"beta_start", "beta_schedule"} <= set(scheduler.config) and name != "UnCLIPScheduler" and not name.startswith("CogVideoX"):
        assert torch.allclose(own, ALPHAS, atol=1e-6)
    if hasattr(scheduler, "sigmas") and "timestep_spacing" in scheduler.config and "Inverse" not in name and "Heun" not in name:
        scheduler.set_timesteps(10)
        sigmas = {float(time): float(sigma) for time, sigma in zip(scheduler.timesteps, scheduler.sigmas, strict=False)}
        for time, alpha in zip(schedule.timesteps.tolist(), schedule.alphas[1:].tolist(), strict=True):
            if float(time) in sigmas and "KDPM2" not in name:
                assert alpha == pytest.approx(1 / (1 + sigmas[float(time)] ** 2), rel=1e-3)


def test_numbers_come_from_the_scheduler_and_not_from_what_another_one_makes_of_its_configuration() -> None:
    """Built in code, LCM's default noise levels are Stable Diffusion's, and DDIM's are not."""
    assert torch.equal(noise_levels(LCMScheduler()), LCMScheduler().alphas_cumprod.double())
    own = DDIMScheduler()
    own.alphas_cumprod = torch.linspace(0.99, 0.01, 1000)
    assert torch.equal(noise_levels(own), own.alphas_cumprod.double())


@pytest.mark.parametrize(
    ("scheduler", "said"),
    [
        (
            UniPCMultistepScheduler(use_flow_sigmas=True, prediction_type="flow_prediction"),
            "UniPCMultistepScheduler with use_flow_sigmas=True",
        ),
        (EulerDiscreteScheduler(timestep_type="continuous", prediction_type="v_prediction"), "timestep_type='continuous'"),
        (SimpleNamespace(config={}), "SimpleNamespace, which has no alphas_cumprod"),
        (SimpleNamespace(config={}, alphas_cumprod=torch.linspace(0, 1, 10)), "do not go from clean to noisy"),
        (SimpleNamespace(config={}, alphas_cumprod=torch.full((10,), torch.nan)), "do not go from clean to noisy"),
        (SimpleNamespace(config={"timestep_spacing": "odd"}, alphas_cumprod=ALPHAS), "timestep_spacing is 'odd'"),
    ],
    ids=lambda value: value.replace(" ", "_")[:30] if isinstance(value, str) else "",
)
def test_others_are_refused_by_name(scheduler: Any, said: str) -> None:
    with pytest.raises(UnsupportedModelError) as caught:
        DDIM.of(scheduler, 10)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_ordinary_levels_are_left_alone_and_only_those_without_signal_are_raised() -> None:
    linear = DDIMScheduler()  # ends at 4e-5
    assert torch.equal(noise_levels(linear), linear.alphas_cumprod.double())
    zero = DDIMScheduler(**STABLE_DIFFUSION, rescale_betas_zero_snr=True)
    assert zero.alphas_cumprod[-1] == 0 and noise_levels(zero).min() == LEAST_ALPHA


@pytest.mark.parametrize("scheduler", [PNDMScheduler(), DDIMScheduler(timestep_spacing="linspace", set_alpha_to_one=False)])
def test_no_step_does_nothing(scheduler: Any) -> None:
    assert (DDIM.of(scheduler, 10).alphas.diff() < 0).all()
