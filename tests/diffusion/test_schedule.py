"""The schedule walks where diffusers' DDIM scheduler walks, and there and back again."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers import DDIMScheduler, PNDMScheduler
from hypothesis import given
from hypothesis import strategies as st

from dragonkit.diffusion.schedule import DDIM, noise_levels
from dragonkit.errors import EditError

STABLE_DIFFUSION = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1, "clip_sample": False}

levels = st.integers(1, 20)


def scheduler(**changes: Any) -> DDIMScheduler:
    return DDIMScheduler(**{**STABLE_DIFFUSION, **changes})


def network(latents: torch.Tensor, timestep: int) -> torch.Tensor:
    """Stands in for a UNet: any smooth function of both will do."""
    return torch.sin(2 * latents + timestep / 300)


@pytest.mark.parametrize("set_alpha_to_one", [True, False])
@pytest.mark.parametrize("steps", [1, 7, 50])
@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
def test_a_whole_run_is_diffusers_own(prediction_type: str, steps: int, set_alpha_to_one: bool) -> None:
    ddim = scheduler(prediction_type=prediction_type, set_alpha_to_one=set_alpha_to_one)
    ddim.set_timesteps(steps)
    schedule = DDIM.of(ddim, steps)
    theirs = ours = torch.randn(1, 4, 8, 8)
    for level, timestep in zip(range(steps, 0, -1), ddim.timesteps.tolist(), strict=True):
        assert schedule.time(level) == timestep
        step = ddim.step(network(theirs, timestep), timestep, theirs)
        theirs = step.prev_sample
        out, alpha = network(ours, timestep), ddim.alphas_cumprod[timestep]
        noise_pred = out if prediction_type == "epsilon" else alpha.sqrt() * out + (1 - alpha).sqrt() * ours
        assert torch.allclose(schedule.predict_clean(ours, noise_pred, level), step.pred_original_sample, atol=1e-5)
        ours = schedule.move(ours, noise_pred, level, level - 1)
        assert torch.allclose(ours, theirs, atol=1e-5)


def test_noise_without_any_signal_is_taken_as_next_to_none() -> None:
    ddim = scheduler(prediction_type="v_prediction", rescale_betas_zero_snr=True, timestep_spacing="trailing", steps_offset=0)
    ddim.set_timesteps(20)
    schedule = DDIM.of(ddim, 20)
    assert ddim.alphas_cumprod[int(schedule.time(20))] == 0 < schedule.alphas[20]
    latents, timestep = torch.randn(1, 4, 8, 8), int(schedule.time(20))
    out, alpha = network(latents, timestep), noise_levels(ddim)[timestep]
    ours = schedule.move(latents, alpha.sqrt() * out + (1 - alpha).sqrt() * latents, 20, 19)
    assert torch.allclose(ours, ddim.step(out, timestep, latents).prev_sample, atol=0.02)
    back = schedule.move(schedule.move(ours, torch.ones_like(ours), 19, 20), torch.ones_like(ours), 20, 19)
    assert torch.allclose(back, ours, atol=1e-3)


def test_levels_ascend_from_the_clean_end() -> None:
    schedule = DDIM.of(scheduler(), 50)
    assert len(schedule) == 50
    assert [schedule.time(level) for level in (1, 2, 50)] == [1, 21, 981]
    assert schedule.alphas.shape == (51,) and schedule.alphas[0] == 1
    assert (schedule.alphas.diff() < 0).all()
    assert DDIM.of(scheduler(set_alpha_to_one=False), 50).alphas[0] == pytest.approx(1 - 0.00085)


def test_other_schedulers_lend_their_noise_schedule() -> None:
    values = {name: value for name, value in STABLE_DIFFUSION.items() if name != "clip_sample"} | {"set_alpha_to_one": False}
    mine, theirs = DDIM.of(scheduler(**values), 20), DDIM.of(PNDMScheduler(skip_prk_steps=True, **values), 20)
    assert torch.equal(mine.timesteps, theirs.timesteps)
    assert torch.equal(mine.alphas, theirs.alphas)


@pytest.mark.parametrize("steps", [999, 1000])
def test_as_many_steps_as_the_model_was_trained_on(steps: int) -> None:
    schedule = DDIM.of(scheduler(), steps)
    assert len(schedule) == steps
    assert schedule.timesteps.max() == 999  # the model knows no later one


@given(levels, st.integers(0, 20))
def test_there_and_back_with_the_same_noise_is_where_it_began(level: int, to: int) -> None:
    schedule = DDIM.of(scheduler(), 20)
    latents, noise_pred = torch.randn(2, 1, 4, 3, 3, dtype=torch.float64)
    back = schedule.move(schedule.move(latents, noise_pred, level, to), noise_pred, to, level)
    assert torch.allclose(back, latents, atol=1e-9)


@given(levels)
def test_adding_noise_and_finding_it(level: int) -> None:
    schedule = DDIM.of(scheduler(), 20)
    clean, noise = torch.randn(2, 1, 4, 3, 3, dtype=torch.float64)
    noisy = schedule.add_noise(clean, noise, level)
    assert torch.allclose(schedule.noise_in(noisy, clean, level), noise, atol=1e-9)
    assert torch.allclose(schedule.predict_clean(noisy, noise, level), clean, atol=1e-9)


def test_the_clean_end_has_no_noise() -> None:
    schedule = DDIM.of(scheduler(), 20)
    clean, noise = torch.randn(2, 1, 4, 3, 3)
    assert torch.equal(schedule.add_noise(clean, noise, 0), clean)


@pytest.mark.parametrize("eta", [0.0, 0.4, 1.0])
def test_a_noisy_step_has_the_posteriors_mean_and_spread(eta: float) -> None:
    """Against DDIM for eta 0, and DDPM's posterior q(z_{t-1} | z_t, z_0) for eta 1 (Ho et al., equation 7)."""
    schedule = DDIM.of(DDIMScheduler(), 20)
    clean, noise_pred, noise = torch.randn(3, 1, 4, 3, 3, dtype=torch.float64)
    above, below = schedule.alphas[12].item(), schedule.alphas[11].item()
    latents = above**0.5 * clean + (1 - above) ** 0.5 * noise_pred
    stepped = schedule.noisy_step(clean, noise_pred, 12, eta, noise)
    if eta == 0:
        assert torch.allclose(stepped, schedule.add_noise(clean, noise_pred, 11))
    if eta == 1:
        alpha = above / below
        mean = below**0.5 * (1 - alpha) / (1 - above) * clean + alpha**0.5 * (1 - below) / (1 - above) * latents
        spread = ((1 - below) / (1 - above) * (1 - alpha)) ** 0.5
        assert torch.allclose(stepped, mean + spread * noise, atol=1e-12)
    # the spread at the lower level stays what the schedule says, whatever eta: prediction and noise are independent there
    coefficients = [
        schedule.noisy_step(torch.zeros(1), torch.full((1,), a), 12, eta, torch.full((1,), b)).item() for a, b in ((1, 0), (0, 1))
    ]
    assert sum(part**2 for part in coefficients) == pytest.approx(1 - below, rel=1e-5)


@pytest.mark.parametrize("offset", [0, 1])
@pytest.mark.parametrize("spacing", ["leading", "trailing", "linspace"])
def test_every_level_has_a_timestep_of_its_own(spacing: str, offset: int) -> None:
    """Also where there are as many steps as timesteps, and an offset would run past the last."""
    for steps in (1, 2, 25, 333, 500, 501, 999, 1000):
        timesteps = DDIM.of(scheduler(timestep_spacing=spacing, steps_offset=offset), steps).timesteps
        assert len(timesteps) == steps and (timesteps.diff() > 0).all()
        assert timesteps[0] >= 0 and timesteps[-1] <= 999


def test_more_steps_than_the_model_knows_timesteps_are_refused() -> None:
    with pytest.raises(EditError, match="steps is 101, but the model knows 100"):
        DDIM.of(scheduler(num_train_timesteps=100), 101)
    assert len(DDIM.of(scheduler(num_train_timesteps=100), 100)) == 100
