"""Noise levels and the moves between them: what the engine asks of a schedule, and DDIM's (Song et al., 2021)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from dragonkit.errors import EditError, UnsupportedModelError

__all__ = ["DDIM", "Part", "Schedule", "noise_levels"]

NO_SIGNAL = 1e-6
"""Below this, noise levels end at 0 (zero terminal signal-to-noise ratio, Lin et al., 2024), where noise says nothing of the picture."""
LEAST_ALPHA = 1e-4
"""What such levels are raised to: at a hundredth of the signal noise does say something, and no network tells the difference."""


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


def noise_levels(scheduler: Any) -> Tensor:
    """float64 (timesteps,): the cumulative alpha of every timestep that the model was trained on, as the scheduler itself has them.

    Raises:
        UnsupportedModelError: it has none, or goes through others than it says.
    """
    alphas, config, name = getattr(scheduler, "alphas_cumprod", None), getattr(scheduler, "config", {}), type(scheduler).__name__
    advice = "give the pipeline the scheduler of its checkpoint, or DDIMScheduler with that one's noise levels"
    if not isinstance(alphas, Tensor) or alphas.ndim != 1 or len(alphas) < 2:
        raise UnsupportedModelError(
            f"the scheduler is a {name}, which has no alphas_cumprod: flow matching and continuous noise levels are not read; {advice}"
        )
    other = {"use_flow_sigmas": True, "timestep_type": "continuous"}
    for option, value in other.items():
        if config.get(option) == value:
            raise UnsupportedModelError(f"the scheduler is a {name} with {option}={value!r}, whose noise levels are not read; {advice}")
    spacing = config.get("timestep_spacing", "leading")
    if spacing not in _SPACINGS:
        raise UnsupportedModelError(
            f"the scheduler's timestep_spacing is {spacing!r}, but must be one of {', '.join(_SPACINGS)}; set it so"
        )
    alphas = alphas.detach().cpu().double()
    if not (torch.isfinite(alphas).all() and (alphas[0] <= 1) and (alphas[1:] <= alphas[:-1]).all() and alphas[-1] >= 0):
        raise UnsupportedModelError(
            f"the noise levels of the scheduler, a {name}, do not go from clean to noisy: alphas_cumprod must descend from 1 to 0; {advice}"
        )
    return alphas.clamp(min=LEAST_ALPHA) if alphas[-1] < NO_SIGNAL else alphas


_SPACINGS = {
    "leading": lambda steps, known: np.arange(steps) * (known // steps),
    "trailing": lambda steps, known: np.round(np.arange(known, 0, -known / steps)).astype(np.int64)[:steps][::-1] - 1,
    "linspace": lambda steps, known: np.round(np.linspace(0, known - 1, steps)).astype(np.int64),
}
"""Which of the known timesteps a run visits, ascending (Lin et al., 2024, table 2)."""


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
        """The levels that diffusers' `DDIMScheduler` would visit with this scheduler's noise levels and spacing.

        Raises:
            EditError: the model was trained on fewer timesteps.
            UnsupportedModelError: its noise levels are not DDIM's kind.
        """
        alphas, config = noise_levels(scheduler), scheduler.config
        known, spacing = len(alphas), config.get("timestep_spacing", "leading")
        if steps > known:
            raise EditError(f"steps is {steps}, but the model knows {known} timesteps only; ask for at most {known}")
        timesteps = torch.from_numpy(_SPACINGS[spacing](steps, known).copy())
        if spacing == "leading":
            timesteps = timesteps + int(config.get("steps_offset") or 0)
        # with an offset, as many steps as there are timesteps would run past the last: then all begin so much earlier
        timesteps = timesteps - max(int(timesteps[-1]) - (known - 1), 0)
        clean = bool(config.get("set_alpha_to_one", True)) and config.get("final_sigmas_type", "zero") == "zero"
        end = torch.ones(1, dtype=torch.float64) if clean or timesteps[0] == 0 else alphas[:1]  # else the last step would do nothing
        return cls(timesteps, torch.cat([end, alphas[timesteps]]))

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
