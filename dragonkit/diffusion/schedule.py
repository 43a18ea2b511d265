"""The arithmetic of DDIM (Song et al., 2021): noise levels, and deterministic moves between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from diffusers import DDIMScheduler
from torch import Tensor

__all__ = ["Schedule", "ddim_of"]

LEAST_ALPHA = 1e-4
"""Some models' noise levels end at 0 (zero terminal signal-to-noise ratio, Lin et al., 2024), where noise says nothing of the picture.
At a hundredth of the signal it does, and no network tells the difference."""


def ddim_of(scheduler: Any) -> DDIMScheduler:
    """DDIM with the noise levels of this scheduler's configuration, none of them below `LEAST_ALPHA`."""
    ddim = DDIMScheduler.from_config(scheduler.config)
    ddim.alphas_cumprod = ddim.alphas_cumprod.clamp(min=LEAST_ALPHA)
    return ddim


@dataclass(frozen=True, eq=False)
class Schedule:
    """Noise levels 0 (clean) to n (noisiest) of an n-step run.

    Attributes:
        timesteps: int64 (n,), ascending: `timesteps[level - 1]` is what the network is told at `level`.
        alphas: float64 (n + 1,): the cumulative alpha of each level; `alphas[0]` is the clean end's.
    """

    timesteps: Tensor
    alphas: Tensor

    @classmethod
    def of(cls, scheduler: Any, steps: int) -> Schedule:
        """The levels that diffusers' `DDIMScheduler` would visit with this scheduler's configuration."""
        ddim = ddim_of(scheduler)
        ddim.set_timesteps(steps)
        # with an offset, as many steps as there are timesteps would run one past the last
        timesteps = ddim.timesteps.cpu().long().flip(0).clamp(max=len(ddim.alphas_cumprod) - 1)
        alphas = torch.cat([ddim.final_alpha_cumprod.reshape(1), ddim.alphas_cumprod[timesteps]]).double()
        return cls(timesteps, alphas)

    def __len__(self) -> int:
        return len(self.timesteps)

    def timestep(self, level: int) -> int:
        """What the network is told at a level from 1 to n."""
        return int(self.timesteps[level - 1])

    def predict_clean(self, latents: Tensor, noise_pred: Tensor, level: int) -> Tensor:
        """pred_original_sample: the clean latents that `noise_pred` implies."""
        alpha = float(self.alphas[level])
        return (latents - (1 - alpha) ** 0.5 * noise_pred) / alpha**0.5

    def add_noise(self, clean: Tensor, noise: Tensor, level: int) -> Tensor:
        """Latents at `level` of a clean picture under that noise."""
        alpha = float(self.alphas[level])
        return alpha**0.5 * clean + (1 - alpha) ** 0.5 * noise

    def noise_in(self, latents: Tensor, clean: Tensor, level: int) -> Tensor:
        """The noise that, added to `clean`, gives `latents` at `level` (1 to n)."""
        alpha = float(self.alphas[level])
        return (latents - alpha**0.5 * clean) / (1 - alpha) ** 0.5

    def move(self, latents: Tensor, noise_pred: Tensor, level: int, to: int, guided_noise_pred: Tensor | None = None) -> Tensor:
        """One deterministic DDIM step from `level` to `to`, in either direction.

        Args:
            guided_noise_pred: used for the clean prediction only; the direction term keeps `noise_pred` (DragonDiffusion's released code).
        """
        clean = self.predict_clean(latents, noise_pred if guided_noise_pred is None else guided_noise_pred, level)
        return self.add_noise(clean, noise_pred, to)

    def noisy_step(self, clean: Tensor, noise_pred: Tensor, level: int, eta: float, noise: Tensor) -> Tensor:
        """One stochastic step from `level` to the next lower one (Song et al., equations 12 and 16): eta 0 is DDIM, 1 is DDPM.

        Args:
            clean: what `predict_clean` gave at `level`.
            noise: fresh, of unit variance, of the latents' shape.
        """
        above, below = float(self.alphas[level]), float(self.alphas[level - 1])
        variance = eta**2 * (1 - below) / (1 - above) * (1 - above / below)
        return below**0.5 * clean + (1 - below - variance) ** 0.5 * noise_pred + variance**0.5 * noise
