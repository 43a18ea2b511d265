"""BDIA: an inversion that can be undone exactly, as every step is a sum over two levels that can be solved for either of them."""

from __future__ import annotations

from typing import Any

import torch

from dragonkit.diffusion.backbone import Backbone, Condition
from dragonkit.diffusion.inversion import Progress
from dragonkit.diffusion.replay import Replay, guided_noise
from dragonkit.diffusion.schedule import Schedule
from dragonkit.shapes import Latents, Trajectory

__all__ = ["bdia"]


@torch.no_grad()
def bdia(
    backbone: Backbone, clean: Latents, condition: Condition, schedule: Schedule, options: Any, progress: Progress | None = None
) -> tuple[Trajectory, Replay]:
    """Bi-directional integration (Zhang et al., 2024, "Exact diffusion inversion via bi-directional integration approximation").

    With e the noise in z_i, going down is z_(i-1) = move(z_i, e, i → i-1) + gamma (z_(i+1) - move(z_i, e, i → i+1)), and going up the same
    solved for z_(i+1). The first step up is DDIM's, iterated; the first one down is retraced, as it takes two levels to begin with.

    Args:
        options: with gamma, and the guidance scale: only under that one the way down is the way up.
    """
    width, height = (side * backbone.pixels_per_latent for side in (clean.shape[3], clean.shape[2]))
    negative = condition if options.guidance_scale <= 1 else backbone.condition([""], (width, height))

    def noise_at(latents: Latents, level: int) -> Latents:
        return guided_noise(backbone, latents, schedule.time(level), condition, negative, options.guidance_scale)

    first = clean
    for _ in range(options.iterations):
        first = schedule.move(clean, noise_at(first, 1), 0, 1)
    trajectory = [clean, first]
    for level in range(1, len(schedule)):
        below, here = trajectory[-2:]
        noise_pred = noise_at(here, level)
        lacking = below - schedule.move(here, noise_pred, level, level - 1)
        trajectory.append(schedule.move(here, noise_pred, level, level + 1) + lacking / options.gamma)
        if progress is not None:
            progress(level, len(schedule))
    if progress is not None:
        progress(len(schedule), len(schedule))
    return torch.cat(trajectory), Replay(bidirectional=options.gamma)
