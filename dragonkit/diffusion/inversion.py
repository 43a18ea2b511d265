"""From a picture to noise and back: what the engine asks of an inversion, DDIM's, and plain sampling."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch

from dragonkit.diffusion.backbone import Backbone, Condition
from dragonkit.diffusion.replay import Replay, guided_noise
from dragonkit.diffusion.schedule import Schedule
from dragonkit.plugins.inversion import InversionOptions
from dragonkit.shapes import Latents, Trajectory

__all__ = ["InversionFunction", "Progress", "ddim", "sample"]

Progress = Callable[[int, int], None]
"""Called with (steps done, steps in all)."""


class InversionFunction(Protocol):
    """The `function` of a `dragonkit.Inversion`: which way a picture may have come from noise."""

    def __call__(
        self, backbone: Backbone, clean: Latents, condition: Condition, schedule: Schedule, options: Any, progress: Progress
    ) -> Trajectory | tuple[Trajectory, Replay]:
        """Latents at every level, and what else brings the picture back.

        Args:
            backbone: predicts the noise.
            clean: (1, c, h, w), the picture's latents.
            condition: of the words that go with it.
            schedule: of n levels.
            options: an instance of the inversion's `options`.
            progress: to be called with (steps done, steps in all); what it raises ends the inversion.

        Returns:
            (n + 1, c, h, w), z_0 to z_T, `clean` first. Edits start at z_T, hold cells at what lies between, and see the picture's features
            there. Where the loop shall do more than to come down from z_T, beside it a `Replay`.
        """


@torch.no_grad()
def ddim(
    backbone: Backbone,
    clean: Latents,
    condition: Condition,
    schedule: Schedule,
    options: InversionOptions,
    progress: Progress | None = None,
) -> Trajectory:
    """DDIM inversion, an `InversionFunction` (Song et al., 2021; iterated as by Pan et al., 2023, "AIDI").

    A step up needs the noise at its upper end, which is not known yet. One of `options.iterations` takes it at the lower end's latents
    (plain DDIM inversion); more iterate y <- move(z, eps(y)) towards the fixed point, where denoising retraces the step exactly.
    """
    latents, trajectory = clean, [clean]
    for level in range(len(schedule)):
        guess = latents
        for _ in range(options.iterations):
            noise_pred = backbone.predict(guess, schedule.time(level + 1), condition).noise_pred
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
    condition: Condition,
    negative_condition: Condition,
    schedule: Schedule,
    guidance_scale: float = 1.0,
    progress: Progress | None = None,
) -> Trajectory:
    """Plain deterministic sampling, no edit: the trajectory that starts from noise (b, c, h, w).

    Returns:
        ((n + 1) b, c, h, w), clean first, level by level.
    """
    trajectory = [latents]
    for level in range(len(schedule), 0, -1):
        noise_pred = guided_noise(backbone, latents, schedule.time(level), condition, negative_condition, guidance_scale)
        latents = schedule.move(latents, noise_pred, level, level - 1)
        trajectory.append(latents)
        if progress is not None:
            progress(len(schedule) - level + 1, len(schedule))
    return torch.cat(trajectory[::-1])
