"""The denoising loop of the generation branch: one pure function over plain values. It knows no plugin and no mode."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor

from dragonkit.diffusion.backbone import Backbone
from dragonkit.diffusion.ddim import Schedule
from dragonkit.diffusion.guidance import energy_gradient, normalized
from dragonkit.diffusion.inversion import Recorded
from dragonkit.plan import AttentionPlan, EnergyTerm
from dragonkit.shapes import Latents

__all__ = ["Anchor", "SamplingPlan", "Step", "guided_sampling"]


@dataclass(frozen=True, eq=False)
class Anchor:
    """Latents that are given, not sampled: where `mask` is True, z is the trajectory's at every level down to `stop`'s.

    Attributes:
        mask: bool (h, w).
        trajectory: (n + 1, c, h, w), clean first.
        stop: fraction of the steps, 0 to 1, during which it holds.
    """

    mask: Tensor
    trajectory: Tensor
    stop: float = 1.0


@dataclass(frozen=True, eq=False)
class SamplingPlan:
    """Everything the loop needs to know about an edit.

    Attributes:
        latents: (1, c, h, w), z_T of the generation branch.
        prompt_embeds, negative_prompt_embeds: (1, words, embedding).
        terms: (label, term) pairs of the energy; empty for plain sampling.
        layers: up blocks whose features the energies compare.
        feature_size: (height, width) of the grid that all levels are brought to.
        guided: the steps, counted from 0, at which the energies act.
        attention: whose keys and values the decoder reads; None for its own.
        anchors: applied in order after every step; later ones win.
        guidance_scale: classifier-free guidance, 1 for none.
        energy_scale: RMS of the guidance relative to the latents'.
    """

    latents: Tensor
    prompt_embeds: Tensor
    negative_prompt_embeds: Tensor
    terms: Sequence[tuple[str, EnergyTerm]] = ()
    layers: tuple[int, ...] = (1, 2)
    feature_size: tuple[int, int] = (0, 0)
    guided: frozenset[int] = frozenset()
    attention: AttentionPlan | None = None
    anchors: Sequence[Anchor] = ()
    guidance_scale: float = 1.0
    energy_scale: float = 0.03


@dataclass(frozen=True, eq=False)
class Step:
    """What an observer sees after each step.

    Attributes:
        index, steps: which step of how many, counted from 0.
        timestep: what the network was told.
        energies: weighted energies by label; empty at unguided steps.
        pred_original_sample: (1, c, h, w), the clean latents as far as they can be told now.
        preview: decodes `pred_original_sample` to an image tensor (1, 3, H, W) in [-1, 1]; costs one decoding when called.
    """

    index: int
    steps: int
    timestep: int
    energies: dict[str, float]
    pred_original_sample: Tensor = field(repr=False)
    preview: Callable[[], Tensor] = field(repr=False)


def guided_sampling(
    backbone: Backbone,
    schedule: Schedule,
    plan: SamplingPlan,
    guide: Callable[[int], Recorded],
    on_step: Callable[[Step], None] | None = None,
) -> Latents:
    """Denoise z_T to z_0 under energy guidance (DragonDiffusion, arXiv 2307.02421, section 3 and equation 6).

    At a guided step one call of the UNet gives the noise prediction and the decoder features; the energies' gradient with respect to
    z_t is added to the noise that predicts the clean picture, and the direction term keeps the unguided noise.

    Args:
        guide: level -> the guidance branch (the source) at that level.
        on_step: called after every step; what it raises ends the loop.

    Returns:
        z_0 (1, c, h, w).
    """
    latents, steps = anchored(plan.latents, plan.anchors, len(schedule), 0), len(schedule)
    for index in range(steps):
        level = steps - index
        timestep, guided = schedule.timestep(level), bool(plan.terms) and index in plan.guided
        attention = plan.attention if plan.attention and plan.attention.start * steps <= index < plan.attention.stop * steps else None
        recorded = guide(level) if guided or attention else None

        latents = latents.detach().requires_grad_(guided)
        with (
            torch.set_grad_enabled(guided),
            backbone.attention.reading(
                recorded.keys_values if recorded and attention else None, attention.form if attention else "replace"
            ),
        ):
            prediction = backbone.predict(latents, timestep, plan.prompt_embeds, plan.layers if guided else ())
            noise_pred = prediction.noise_pred.detach()
            if plan.guidance_scale != 1:
                with torch.no_grad():
                    unconditional = backbone.predict(latents, timestep, plan.negative_prompt_embeds).noise_pred
                noise_pred = unconditional + plan.guidance_scale * (noise_pred - unconditional)

        guided_noise_pred, energies = noise_pred, {}
        if guided and recorded:
            guidance = energy_gradient(
                plan.terms, prediction.decoder_features, recorded.decoder_features, latents, plan.feature_size, index
            )
            guided_noise_pred, energies = noise_pred + normalized(guidance.gradient, latents.detach(), plan.energy_scale), guidance.energies

        latents = latents.detach()
        clean = schedule.predict_clean(latents, guided_noise_pred, level)
        latents = anchored(schedule.move(latents, noise_pred, level, level - 1, guided_noise_pred), plan.anchors, steps, index + 1)
        if on_step is not None:
            on_step(Step(index, steps, timestep, energies, clean, partial(backbone.decode, clean)))
    return latents


def anchored(latents: Latents, anchors: Sequence[Anchor], steps: int, done: int) -> Latents:
    """The latents after `done` of `steps` steps with every anchor that still holds put in place."""
    for anchor in anchors:
        if done <= anchor.stop * steps:
            latents = torch.where(anchor.mask, anchor.trajectory[steps - done], latents)
    return latents
