"""Noise levels and the moves between them: what the engine asks of a schedule, and DDIM's (Song et al., 2021)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from diffusers import DDIMScheduler
from torch import Tensor

from dragonkit.errors import EditError

__all__ = ["DDIM", "Part", "Schedule", "ddim_of"]

LEAST_ALPHA = 1e-4
"""Some models' noise levels end at 0 (zero terminal signal-to-noise ratio, Lin et al., 2024), where noise says nothing of the picture.
At a hundredth of the signal it does, and no network tells the difference."""


@runtime_checkable
class Schedule(Protocol):
    """Noise levels 0 (clean) to n = len(schedule) (noisiest): at each one z is clean latents and unit noise, mixed in given shares.

    All tensors are latents (b, c, h, w). The share of the clean picture must not be 0 at any level.
    """

    def __len__(self) -> int: ...

    def time(self, level: int) -> float:
        """What the network is told at a level from 1 to n; ascends."""

    def predict_clean(self, latents: Tensor, noise_pred: Tensor, level: int) -> Tensor:
        """pred_original_sample: the clean latents that `noise_pred` implies."""

    def add_noise(self, clean: Tensor, noise: Tensor, level: int) -> Tensor:
        """Latents at `level` of a clean picture under that noise."""

    def noise_in(self, latents: Tensor, clean: Tensor, level: int) -> Tensor:
        """The noise that, added to `clean`, gives `latents` at `level` (1 to n)."""

    def noisy_step(self, clean: Tensor, noise_pred: Tensor, level: int, eta: float, noise: Tensor) -> Tensor:
        """One stochastic step from `level` to the next lower one; eta 0 is deterministic, 1 the most random.

        Args:
            clean: what `predict_clean` gave at `level`.
            noise: fresh, of unit variance, of the latents' shape.
        """

    def move(self, latents: Tensor, noise_pred: Tensor, level: int, to: int) -> Tensor:
        """One deterministic step from `level` to `to`, in either direction."""
        return self.add_noise(self.predict_clean(latents, noise_pred, level), noise_pred, to)


@dataclass(frozen=True, eq=False)
class Part(Schedule):
    """The levels `low` to `high` of a schedule, counted from 0 again."""

    whole: Schedule
    low: int
    high: int

    def __len__(self) -> int:
        return self.high - self.low

    def time(self, level: int) -> float:
        return self.whole.time(self.low + level)

    def predict_clean(self, latents: Tensor, noise_pred: Tensor, level: int) -> Tensor:
        return self.whole.predict_clean(latents, noise_pred, self.low + level)

    def add_noise(self, clean: Tensor, noise: Tensor, level: int) -> Tensor:
        return self.whole.add_noise(clean, noise, self.low + level)

    def noise_in(self, latents: Tensor, clean: Tensor, level: int) -> Tensor:
        return self.whole.noise_in(latents, clean, self.low + level)

    def noisy_step(self, clean: Tensor, noise_pred: Tensor, level: int, eta: float, noise: Tensor) -> Tensor:
        return self.whole.noisy_step(clean, noise_pred, self.low + level, eta, noise)

    def move(self, latents: Tensor, noise_pred: Tensor, level: int, to: int) -> Tensor:
        return self.whole.move(latents, noise_pred, self.low + level, self.low + to)


def ddim_of(scheduler: Any) -> DDIMScheduler:
    """DDIM with the noise levels of this scheduler's configuration, none of them below `LEAST_ALPHA`."""
    ddim = DDIMScheduler.from_config(scheduler.config)
    ddim.alphas_cumprod = ddim.alphas_cumprod.clamp(min=LEAST_ALPHA)
    return ddim


@dataclass(frozen=True, eq=False)
class DDIM(Schedule):
    """The levels of a model that was trained on a thousand timesteps or so.

    Attributes:
        timesteps: int64 (n,), ascending: `timesteps[level - 1]` is what the network is told at `level`.
        alphas: float64 (n + 1,): the cumulative alpha of each level; `alphas[0]` is the clean end's.
    """

    timesteps: Tensor
    alphas: Tensor

    @classmethod
    def of(cls, scheduler: Any, steps: int) -> DDIM:
        """The levels that diffusers' `DDIMScheduler` would visit with this scheduler's configuration.

        Raises:
            EditError: the model was trained on fewer timesteps.
        """
        ddim = ddim_of(scheduler)
        known = len(ddim.alphas_cumprod)
        if steps > known:
            raise EditError(f"steps is {steps}, but the model knows {known} timesteps only; ask for at most {known}")
        ddim.set_timesteps(steps)
        timesteps = ddim.timesteps.cpu().long().flip(0)
        # with an offset, as many steps as there are timesteps would run past the last: then all begin so much earlier
        timesteps = timesteps - max(int(timesteps[-1]) - (known - 1), 0)
        alphas = torch.cat([ddim.final_alpha_cumprod.reshape(1), ddim.alphas_cumprod[timesteps]]).double()
        return cls(timesteps, alphas)

    def __len__(self) -> int:
        return len(self.timesteps)

    def time(self, level: int) -> float:
        return float(self.timesteps[level - 1])

    def predict_clean(self, latents: Tensor, noise_pred: Tensor, level: int) -> Tensor:
        alpha = float(self.alphas[level])
        return (latents - (1 - alpha) ** 0.5 * noise_pred) / alpha**0.5

    def add_noise(self, clean: Tensor, noise: Tensor, level: int) -> Tensor:
        alpha = float(self.alphas[level])
        return alpha**0.5 * clean + (1 - alpha) ** 0.5 * noise

    def noise_in(self, latents: Tensor, clean: Tensor, level: int) -> Tensor:
        alpha = float(self.alphas[level])
        return (latents - alpha**0.5 * clean) / (1 - alpha) ** 0.5

    def noisy_step(self, clean: Tensor, noise_pred: Tensor, level: int, eta: float, noise: Tensor) -> Tensor:
        """Song et al., equations 12 and 16: eta 0 is DDIM, 1 is DDPM."""
        above, below = float(self.alphas[level]), float(self.alphas[level - 1])
        variance = eta**2 * (1 - below) / (1 - above) * (1 - above / below)
        return below**0.5 * clean + (1 - below - variance) ** 0.5 * noise_pred + variance**0.5 * noise
