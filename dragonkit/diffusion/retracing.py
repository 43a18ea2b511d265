"""Inversions whose way back is retraced, whatever the guidance: of each step of the source, what it misses is kept."""

from __future__ import annotations

from typing import Any

import torch

from dragonkit.diffusion.backbone import Backbone, Condition
from dragonkit.diffusion.inversion import Progress, ddim
from dragonkit.diffusion.replay import Replay
from dragonkit.diffusion.schedule import Schedule
from dragonkit.plugins.inversion import InversionOptions
from dragonkit.shapes import Latents, Trajectory

__all__ = ["direct", "edit_friendly"]


def direct(
    backbone: Backbone,
    clean: Latents,
    condition: Condition,
    schedule: Schedule,
    options: InversionOptions,
    progress: Progress | None = None,
) -> tuple[Trajectory, Replay]:
    """DDIM inversion, retraced (Ju et al., 2023, "Direct Inversion: boosting diffusion-based editing with 3 lines of code")."""
    return ddim(backbone, clean, condition, schedule, options, progress), Replay(retrace=True)


def edit_friendly(
    backbone: Backbone, clean: Latents, condition: Condition, schedule: Schedule, options: Any, progress: Progress | None = None
) -> tuple[Trajectory, Replay]:
    """Every level under noise of its own, retraced by random steps (Huberman-Spiegelglas et al., 2024, "edit friendly DDPM noise space").

    It asks the network for nothing. Neighbouring levels have nothing in common but the picture, so what a step misses is large, and holds
    the picture's structure.
    """
    random = torch.Generator().manual_seed(options.seed)  # on the CPU, so that a seed means the same on every machine
    trajectory = [clean]
    for level in range(1, len(schedule) + 1):
        trajectory.append(schedule.add_noise(clean, torch.randn(clean.shape, generator=random).to(clean), level))
        if progress is not None:
            progress(level, len(schedule))
    return torch.cat(trajectory), Replay(retrace=True, eta=1.0)
