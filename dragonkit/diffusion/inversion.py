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

__all__ = ["InversionFunction", "Progress", "ddim", "extrapolated", "sample"]

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
        latents = _retraced(backbone, condition, schedule, latents, latents, level, options.iterations)
        trajectory.append(latents)
        if progress is not None:
            progress(level + 1, len(schedule))
    return torch.cat(trajectory)


@torch.no_grad()
def extrapolated(
    backbone: Backbone,
    clean: Latents,
    condition: Condition,
    schedule: Schedule,
    options: InversionOptions,
    progress: Progress | None = None,
) -> Trajectory:
    """DDIM inversion with the noise at a step's upper end extrapolated from that of the two levels below, an `InversionFunction`.

    A linear multistep method (Adams and Bashforth's idea), one network call per step: eps(z_k+1) = 2 eps(z_k) - eps(z_k-1). Each call sees
    a level's own latents, so what it records of the picture is what an edit will ask for. The first two steps are plain. Of more
    `options.iterations`, the others go on from there towards the fixed point, as `ddim` does.
    """
    trajectory, below = [clean], None
    for level in range(len(schedule)):
        here = backbone.predict(trajectory[-1], schedule.time(max(level, 1)), condition).noise_pred
        guess = schedule.move(trajectory[-1], here if below is None else 2 * here - below, level, level + 1)
        trajectory.append(_retraced(backbone, condition, schedule, trajectory[-1], guess, level, options.iterations - 1))
        below = here if level else None  # the clean end has no time of its own
        if progress is not None:
            progress(level + 1, len(schedule))
    return torch.cat(trajectory)


def _retraced(
    backbone: Backbone, condition: Condition, schedule: Schedule, latents: Latents, guess: Latents, level: int, times: int
) -> Latents:
    """A guess of what lies a level above the latents, brought nearer to where denoising retraces the step, by a call each time."""
    for _ in range(times):
        noise_pred = backbone.predict(guess, schedule.time(level + 1), condition).noise_pred
        guess = schedule.move(latents, noise_pred, level, level + 1)
    return guess


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
