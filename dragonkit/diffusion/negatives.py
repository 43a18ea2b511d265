"""Inversions that change what classifier-free guidance leads away from, so that it leads back to the picture."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from dragonkit.diffusion.backbone import Backbone, Condition
from dragonkit.diffusion.inversion import Progress, ddim
from dragonkit.diffusion.replay import Replay, stepped
from dragonkit.diffusion.schedule import Schedule
from dragonkit.errors import EditError
from dragonkit.plugins.inversion import InversionOptions
from dragonkit.shapes import Latents, Trajectory

__all__ = ["negative_prompt", "null_text"]


def negative_prompt(
    backbone: Backbone,
    clean: Latents,
    condition: Condition,
    schedule: Schedule,
    options: InversionOptions,
    progress: Progress | None = None,
) -> tuple[Trajectory, Replay]:
    """DDIM inversion, led away from its own words (Miyake et al., 2023, "Negative-prompt inversion"): with the same words, from nothing."""
    trajectory = ddim(backbone, clean, condition, schedule, options, progress)
    return trajectory, Replay(negatives=(condition,) * len(schedule))


def null_text(
    backbone: Backbone, clean: Latents, condition: Condition, schedule: Schedule, options: Any, progress: Progress | None = None
) -> Trajectory | tuple[Trajectory, Replay]:
    """DDIM inversion, and at each step the words to lead away from that bring it back (Mokady et al., 2023, "Null-text inversion").

    From the noisy end on, the embedding of no words is optimised until a guided step ends where the trajectory does.

    Args:
        condition: one tensor of floats, or a dataclass whose field `words` is one, as SDXL's: what else it says is left alone.
        options: with the guidance scale, how many updates each step gets, and their size.

    Raises:
        EditError: the model's condition is neither.
    """
    if not isinstance(_words_of(condition), Tensor):
        raise EditError(
            f"null-text optimises words that are a tensor, as Stable Diffusion's, but this model's are {type(condition).__name__}; "
            "choose another inversion"
        )
    if options.guidance_scale <= 1:  # nothing is led away from
        return ddim(backbone, clean, condition, schedule, options, progress)
    steps = len(schedule)
    trajectory = ddim(backbone, clean, condition, schedule, options, progress and (lambda done, of: progress(done, 2 * of)))
    width, height = (side * backbone.pixels_per_latent for side in (clean.shape[3], clean.shape[2]))
    nothing = backbone.condition([""], (width, height))
    words, latents, negatives = _words_of(nothing).float(), trajectory[-1:], list[Condition]()
    for index, level in enumerate(range(steps, 0, -1)):
        goal = trajectory[level - 1 : level]
        words, latents = _optimised(backbone, latents, goal, words, nothing, condition, schedule, level, options)
        negatives.append(_with_words(nothing, words))
        if progress is not None:
            progress(steps + index + 1, 2 * steps)
    return trajectory, Replay(negatives=negatives[::-1])


def _words_of(condition: Condition) -> Any:
    return condition if isinstance(condition, Tensor) else getattr(condition, "words", None)


def _with_words(condition: Condition, words: Tensor) -> Condition:
    """The condition with other words, of its own precision."""
    words = words.to(_words_of(condition).dtype)
    return words if isinstance(condition, Tensor) else replace(condition, words=words)


def _optimised(
    backbone: Backbone,
    latents: Latents,
    goal: Latents,
    words: Tensor,
    nothing: Condition,
    condition: Condition,
    schedule: Schedule,
    level: int,
    options: Any,
) -> tuple[Tensor, Latents]:
    """The words whose guided step from `level` ends nearest to the goal, found from others; and where it ends."""
    time, done = schedule.time(level), len(schedule) - level
    words = words.clone().requires_grad_()
    optimiser = torch.optim.Adam([words], lr=options.learning_rate * (1 - done / (2 * len(schedule))))
    enough = 1e-5 + 2e-5 * done  # later steps may be less exact, as in the released code
    with torch.no_grad():
        conditional = backbone.predict(latents, time, condition).noise_pred

    def step() -> Latents:
        unconditional = backbone.predict(latents, time, _with_words(nothing, words)).noise_pred
        noise_pred = unconditional + options.guidance_scale * (conditional - unconditional)
        return stepped(schedule, schedule.predict_clean(latents, noise_pred, level), noise_pred, level)

    for _ in range(options.updates):
        with torch.enable_grad():
            loss = F.mse_loss(step().float(), goal.float())
            optimiser.zero_grad()
            loss.backward()
        optimiser.step()
        if loss.item() < enough:
            break
    with torch.no_grad():
        return words.detach(), step()
