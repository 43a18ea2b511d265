"""From a picture to noise and back: DDIM inversion, plain reconstruction, and recording what the source looks like to the UNet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from dragonkit.diffusion.attention import KeyValues
from dragonkit.diffusion.backbone import Backbone
from dragonkit.diffusion.schedule import Schedule
from dragonkit.shapes import Latents, PromptEmbeds

__all__ = ["Recorded", "invert", "record", "sample"]

Progress = Callable[[int, int], None]
"""Called with (steps done, steps in all)."""


@dataclass(frozen=True, eq=False)
class Recorded:
    """The guidance branch at one step: decoder features by up block (1, c, h, w), and the decoder's keys and values."""

    decoder_features: dict[int, Tensor]
    keys_values: KeyValues


@torch.no_grad()
def invert(
    backbone: Backbone,
    latents: Latents,
    prompt_embeds: PromptEmbeds,
    schedule: Schedule,
    iterations: int = 1,
    progress: Progress | None = None,
) -> Tensor:
    """DDIM inversion: the trajectory (n + 1, c, h, w) that leads from clean latents (1, c, h, w) to noise.

    A step up needs the noise at its upper end, which is not known yet. One iteration takes it at the lower end's latents (plain DDIM
    inversion); more iterate y <- move(z, eps(y)) towards the fixed point, where denoising retraces the step exactly.
    """
    trajectory = [latents]
    for level in range(len(schedule)):
        guess = latents
        for _ in range(iterations):
            noise_pred = backbone.predict(guess, schedule.timestep(level + 1), prompt_embeds).noise_pred
            guess = schedule.move(latents, noise_pred, level, level + 1)
        latents = guess
        trajectory.append(latents)
        if progress is not None:
            progress(level + 1, len(schedule))
    return torch.cat(trajectory)


@torch.no_grad()
def sample(
    backbone: Backbone,
    latents: Latents,
    prompt_embeds: PromptEmbeds,
    negative_prompt_embeds: PromptEmbeds,
    schedule: Schedule,
    guidance_scale: float = 1.0,
    progress: Progress | None = None,
) -> Tensor:
    """Plain DDIM sampling, no edit: the trajectory (n + 1, c, h, w), clean first, that starts from noise (1, c, h, w)."""
    trajectory = [latents]
    for level in range(len(schedule), 0, -1):
        noise_pred = backbone.predict(latents, schedule.timestep(level), prompt_embeds).noise_pred
        if guidance_scale != 1:
            unconditional = backbone.predict(latents, schedule.timestep(level), negative_prompt_embeds).noise_pred
            noise_pred = unconditional + guidance_scale * (noise_pred - unconditional)
        latents = schedule.move(latents, noise_pred, level, level - 1)
        trajectory.append(latents)
        if progress is not None:
            progress(len(schedule) - level + 1, len(schedule))
    return torch.cat(trajectory[::-1])


@torch.no_grad()
def record(backbone: Backbone, latents: Latents, timestep: int, prompt_embeds: PromptEmbeds, layers: tuple[int, ...]) -> Recorded:
    """Run the guidance branch at one step and keep what the generation branch needs of it."""
    keys_values: KeyValues = {}
    with backbone.attention.recording(keys_values):
        prediction = backbone.predict(latents, timestep, prompt_embeds, layers)
    return Recorded(prediction.decoder_features, keys_values)
