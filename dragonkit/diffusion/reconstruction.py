"""A source brought back without any edit, by the very loop that edits it."""

from __future__ import annotations

from collections.abc import Callable

import torch

from dragonkit.diffusion.backbone import Backbone
from dragonkit.diffusion.replay import guided_noise, missed
from dragonkit.diffusion.sampling import SamplingPlan, Step, guided_sampling
from dragonkit.diffusion.source import Source
from dragonkit.shapes import Latents

__all__ = ["missed_by", "reconstructed"]


def reconstructed(
    backbone: Backbone, source: Source, guidance_scale: float = 1.0, on_step: Callable[[Step], None] | None = None
) -> Latents:
    """What comes down from z_T: (1, c, h, w), the source's z_0 where inversion and replay are exact."""
    plan = SamplingPlan(
        source.latents_at(len(source.schedule)),
        source.condition,
        source.negative_condition,
        guidance_scale=guidance_scale,
        replay=source.replay,
        missed=lambda level: missed_by(backbone, source, level, guidance_scale),
    )
    return guided_sampling(backbone, source.schedule, plan, lambda level, guided: (), on_step)


@torch.no_grad()
def missed_by(backbone: Backbone, source: Source, level: int, guidance_scale: float = 1.0) -> Latents:
    """What the source's own step down from `level` misses: (1, c, h, w)."""
    negative = source.replay.negative(level, source.negative_condition)
    noise_pred = guided_noise(backbone, source.latents_at(level), source.schedule.time(level), source.condition, negative, guidance_scale)
    return missed(source.schedule, source.way.upto(level).latents, noise_pred, level, source.replay.eta)
