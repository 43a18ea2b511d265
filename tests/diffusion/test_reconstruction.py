"""Every built-in inversion, brought back by the loop that edits: exact where that is promised, and better than DDIM's elsewhere."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from helpers import topologies

from dragonkit.diffusion.inversions import dragonkit_inversions
from dragonkit.diffusion.reconstruction import missed_by, reconstructed
from dragonkit.diffusion.replay import Replay
from dragonkit.diffusion.source import Levels, Source, Way
from dragonkit.diffusion.stable_diffusion import StableDiffusion
from dragonkit.diffusion.stable_diffusion_xl import backbone_of
from dragonkit.edits.settings import Settings
from dragonkit.errors import EditError

SIZE, STEPS = (32, 32), 6
INVERSIONS = {one.name: one for one in dragonkit_inversions()}
EXACT = ("direct", "bdia", "edit-friendly")


@pytest.fixture
def clean(latents: torch.Tensor) -> torch.Tensor:
    return latents[1:]


def inverted(backbone: Any, clean: torch.Tensor, name: str, guidance_scale: float = 1.0, iterations: int = 1, **options: Any) -> Source:
    """The latents as a source, by the inversion of that name."""
    inversion = INVERSIONS[name]
    settings = Settings(guidance_scale=guidance_scale, inversion_iterations=iterations, inversion_options=options)
    condition, negative = (backbone.condition([words], SIZE) for words in ("a red fish", ""))
    schedule, told = backbone.schedule(STEPS, SIZE), list[tuple[int, int]]()
    given = inversion.function(
        backbone, clean, condition, schedule, inversion.options_of(settings), lambda done, of: told.append((done, of))
    )
    assert told == [(done + 1, told[-1][1]) for done in range(told[-1][1])]  # told of every step, up to the last
    trajectory, replay = given if isinstance(given, tuple) else (given, Replay())
    return Source(Way(Levels(trajectory)), schedule, "", condition, negative, np.zeros((32, 32, 3), np.uint8), SIZE, replay=replay)


def loss(backbone: Any, clean: torch.Tensor, name: str, guidance_scale: float = 1.0, **options: Any) -> float:
    """Mean squared error of what comes back."""
    source = inverted(backbone, clean, name, guidance_scale, **options)
    return (reconstructed(backbone, source, guidance_scale) - clean).square().mean().item()


@pytest.mark.parametrize("name", INVERSIONS)
def test_a_trajectory_begins_at_the_picture_and_has_every_level(backbone: StableDiffusion, clean: torch.Tensor, name: str) -> None:
    source = inverted(backbone, clean, name, guidance_scale=3.0)
    assert source.trajectory.shape == (STEPS + 1, 4, 8, 8)
    assert torch.equal(source.latents_at(0), clean)
    assert source.trajectory.isfinite().all() and not source.trajectory.requires_grad
    assert len(source.replay.negatives) in (0, STEPS)


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("guidance_scale", [1.0, 4.0])
@pytest.mark.parametrize("name", EXACT)
def test_what_is_exact_comes_back_at_every_level(
    tiny_pipelines: dict[str, Any], clean: torch.Tensor, name: str, guidance_scale: float, prediction_type: str
) -> None:
    backbone = StableDiffusion(tiny_pipelines[prediction_type])
    source, seen = inverted(backbone, clean, name, guidance_scale), dict[int, torch.Tensor]()
    back = reconstructed(backbone, source, guidance_scale, lambda step: seen.update({step.index: step.pred_original_sample}))
    assert (back - clean).square().mean().sqrt() < 1e-5  # of latents of unit spread, in float32
    assert list(seen) == list(range(STEPS))


@pytest.mark.parametrize("name", ["direct", "edit-friendly"])
def test_what_is_retraced_is_exact_under_any_guidance(backbone: StableDiffusion, clean: torch.Tensor, name: str) -> None:
    source = inverted(backbone, clean, name)
    for guidance_scale in (1.0, 2.0, 7.5):
        assert (reconstructed(backbone, source, guidance_scale) - clean).abs().max() < 1e-5


def test_bdia_is_exact_for_its_own_guidance_only(backbone: StableDiffusion, clean: torch.Tensor) -> None:
    source = inverted(backbone, clean, "bdia", guidance_scale=2.0)
    assert (reconstructed(backbone, source, 2.0) - clean).abs().max() < 1e-5
    assert (reconstructed(backbone, source, 4.0) - clean).abs().max() > 1e-3


@pytest.mark.parametrize("gamma", [0.8, 1.0])
def test_bdia_retraces_its_first_step_only(backbone64: StableDiffusion, clean: torch.Tensor, gamma: float) -> None:
    source = inverted(backbone64, clean.double(), "bdia", gamma=gamma)
    assert [level for level in range(1, STEPS + 1) if source.replay.retraces(level, STEPS)] == [STEPS]
    assert (reconstructed(backbone64, source) - clean).abs().max() < 1e-11
    for level in range(1, STEPS):  # a sum over two levels
        below, here, above = source.trajectory[level - 1 : level + 2].split(1)
        noise_pred = backbone64.predict(here, source.schedule.time(level), source.condition).noise_pred
        back = source.schedule.move(here, noise_pred, level, level - 1)
        assert torch.allclose(below, back + gamma * (above - source.schedule.move(here, noise_pred, level, level + 1)), atol=1e-11)


@pytest.mark.slow
def test_few_steps_and_guidance_lose_less_than_with_ddim(backbone: StableDiffusion, clean: torch.Tensor) -> None:
    plain, guided = (loss(backbone, clean, "ddim", scale) for scale in (1.0, 6.0))
    assert plain > 1e-6
    for name in EXACT:
        assert loss(backbone, clean, name) < plain / 100
    for name in INVERSIONS.keys() - {"ddim"}:
        assert loss(backbone, clean, name, 6.0) < guided / 1.5, name


def test_led_away_from_its_own_words_guidance_does_nothing(backbone: StableDiffusion, clean: torch.Tensor) -> None:
    source = inverted(backbone, clean, "negative-prompt")
    calls = backbone.calls
    assert torch.equal(reconstructed(backbone, source, 5.0), reconstructed(backbone, source, 1.0))
    assert backbone.calls == calls + 2 * STEPS
    assert torch.equal(source.trajectory, inverted(backbone, clean, "ddim").trajectory)


@pytest.mark.slow
def test_null_text_optimises_from_step_to_step(backbone: StableDiffusion, clean: torch.Tensor) -> None:
    few, many = (loss(backbone, clean, "null-text", 6.0, updates=updates) for updates in (1, 20))
    assert many < few < loss(backbone, clean, "ddim", 6.0)
    source = inverted(backbone, clean, "null-text", 6.0)
    words = torch.cat([*source.replay.negatives])
    assert words.shape == (STEPS, *source.negative_condition.shape[1:]) and not words.requires_grad
    assert all((one - other).abs().max() > 0 for one, other in zip(words[1:], words[:-1], strict=True))
    assert inverted(backbone, clean, "null-text", 1.0).replay.negatives == ()


@pytest.mark.slow
def test_null_text_leaves_what_sdxl_is_told_besides_alone() -> None:
    backbone = backbone_of(topologies.sdxl())
    clean = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(3))
    few, many = (loss(backbone, clean, "null-text", 6.0, updates=updates) for updates in (1, 20))
    assert many < few
    source, (nothing,) = inverted(backbone, clean, "null-text", 6.0), [backbone.condition([""], SIZE)]
    for one in source.replay.negatives:
        assert torch.equal(one.summary, nothing.summary) and torch.equal(one.sizes, nothing.sizes)
        assert one.words.shape == nothing.words.shape and not torch.equal(one.words, nothing.words)


def test_null_text_needs_words_that_are_a_tensor(backbone: StableDiffusion, clean: torch.Tensor) -> None:
    inversion, schedule = INVERSIONS["null-text"], backbone.schedule(STEPS, SIZE)
    with pytest.raises(EditError, match=r"null-text optimises words that are a tensor, .* but this model's are dict"):
        inversion.function(backbone, clean, {"words": 1}, schedule, inversion.options_of(Settings()), None)


def test_edit_friendly_asks_nothing_and_its_levels_share_the_picture_only(backbone: StableDiffusion, clean: torch.Tensor) -> None:
    calls = backbone.calls
    source, other = (inverted(backbone, clean, "edit-friendly", seed=seed) for seed in (0, 1))
    assert backbone.calls == calls
    noises = [source.schedule.noise_in(source.latents_at(level), clean, level).flatten() for level in (1, 3, 6)]
    similar = torch.corrcoef(torch.stack(noises))
    assert (similar - torch.eye(3)).abs().max() < 0.2
    assert not torch.equal(source.trajectory[1:], other.trajectory[1:])
    step = missed_by(backbone, source, 3)  # as much as the variance of the step says, for a model that knows the picture
    assert step.square().mean() > missed_by(backbone, inverted(backbone, clean, "direct"), 3).square().mean()
