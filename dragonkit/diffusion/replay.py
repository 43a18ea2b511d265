"""What brings a source back exactly: what the loop replays besides z_T, and what a step of the source misses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from dragonkit.diffusion.backbone import Backbone, Condition, KeyValues, Pairing
from dragonkit.diffusion.schedule import Schedule
from dragonkit.plugins.answers import AttentionForm
from dragonkit.shapes import Latents, Trajectory

__all__ = ["Replay", "guided_noise", "missed", "stepped"]


@dataclass(frozen=True, eq=False)
class Replay:
    """How the loop shall come down, for the source to come back; all defaults together are plain DDIM from z_T.

    Attributes:
        retrace: after every step what the source's own step misses is added, moved along with what the edits move.
        eta: randomness of the steps, 0 to 1; the noise itself is in what is retraced.
        bidirectional: gamma of BDIA's update, which looks back at the level above; 0 for none. Its first step is retraced.
        negatives: for classifier-free guidance at each level from 1 to n; empty for no words at any.
    """

    retrace: bool = False
    eta: float = 0.0
    bidirectional: float = 0.0
    negatives: Sequence[Condition] = ()

    def retraces(self, level: int, levels: int) -> bool:
        """Whether the step down from `level` of `levels` is corrected."""
        return self.retrace or (self.bidirectional > 0 and level == levels)

    def negative(self, level: int, otherwise: Condition) -> Condition:
        """What guidance leads away from at `level`, counted from 1: optimised words where there are some, else what is given."""
        return self.negatives[level - 1] if self.negatives else otherwise


def guided_noise(
    backbone: Backbone,
    latents: Latents,
    time: float,
    condition: Condition,
    negative_condition: Condition,
    guidance_scale: float,
    read: KeyValues | None = None,
    form: AttentionForm = "replace",
) -> Latents:
    """The noise in latents under classifier-free guidance; where both conditions are the same one, or the scale is 1, there is none.

    Args:
        read, form: as in `Backbone.predict`.
    """
    if guidance_scale <= 1 or negative_condition is condition:
        return backbone.predict(latents, time, condition, read=read, form=form).noise_pred
    both = backbone.paired(condition, negative_condition) if isinstance(backbone, Pairing) and len(latents) == 1 else None
    if both is not None:
        noise_pred, unconditional = backbone.predict(torch.cat([latents, latents]), time, both, read=read, form=form).noise_pred.chunk(2)
    else:
        noise_pred = backbone.predict(latents, time, condition, read=read, form=form).noise_pred
        unconditional = backbone.predict(latents, time, negative_condition, read=read, form=form).noise_pred
    return unconditional + guidance_scale * (noise_pred - unconditional)


def stepped(schedule: Schedule, clean: Latents, noise_pred: Latents, level: int, eta: float = 0.0) -> Latents:
    """From `level` to the next lower one, without the noise that eta asks for."""
    if eta == 0:
        return schedule.add_noise(clean, noise_pred, level - 1)
    return schedule.noisy_step(clean, noise_pred, level, eta, torch.zeros_like(clean))


def missed(schedule: Schedule, trajectory: Trajectory, noise_pred: Latents, level: int, eta: float) -> Latents:
    """What the step down from the trajectory's latents at `level` lacks to end at its next lower ones (Ju et al., 2023).

    With eta above 0 it is the noise of that step (Huberman-Spiegelglas et al., 2024, "edit-friendly").

    Args:
        noise_pred: at the trajectory's latents, guided as in the loop.
    """
    here, below = trajectory[level : level + 1], trajectory[level - 1 : level]
    return below - stepped(schedule, schedule.predict_clean(here, noise_pred, level), noise_pred, level, eta)
