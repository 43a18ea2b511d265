"""The denoising loop of the generation branch: one pure function over plain values. It knows no plugin and no mode."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor

from dragonkit.diffusion.backbone import Backbone, Condition, Prediction
from dragonkit.diffusion.guidance import PlannedTerm, energy_gradient, normalized
from dragonkit.diffusion.reading import PlannedAttention, merged_memory
from dragonkit.diffusion.replay import Replay, guided_noise, stepped
from dragonkit.diffusion.schedule import Schedule
from dragonkit.imaging.masks import Grid
from dragonkit.shapes import ImageTensor, Latents

__all__ = ["Anchor", "Guide", "SamplingPlan", "Step", "first_open_step", "guided_sampling"]

Guide = Callable[[int, bool], Sequence[Prediction]]
"""(level, whether its features are wanted as well) -> what the network sees of the source there, then of every reference picture."""


@dataclass(frozen=True, eq=False)
class Anchor:
    """Latents that are given, not sampled: where `mask` is True, z is the trajectory's at every level down to `stop`'s.

    Attributes:
        mask: bool (h, w).
        trajectory: (m + 1, c, h, w), clean first, as far up as the loop starts.
        stop: fraction of the steps, 0 to 1, during which it holds.
    """

    mask: Tensor
    trajectory: Tensor
    stop: float = 1.0

    def holds(self, done: int, steps: int) -> bool:
        """Whether it still holds after `done` of `steps` steps."""
        return done <= self.stop * steps


@dataclass(frozen=True, eq=False)
class SamplingPlan:
    """Everything the loop needs to know about an edit.

    Attributes:
        latents: (1, c, h, w), z_T of the generation branch; anything where anchors give all of the first step.
        condition, negative_condition: of the prompt, and of no words for classifier-free guidance.
        terms: the energy's; empty for plain sampling.
        layers: names of those whose features the energies compare.
        feature_size: (height, width) of the grid that all layers are brought to.
        references: the feature grid of every reference picture, twice as fine as its latents.
        guided: the steps, counted from 0, at which the energies act.
        attention: whose keys and values the decoder reads; empty for its own.
        anchors: applied in order after every step; later ones win.
        guidance_scale: classifier-free guidance, 1 for none.
        led: the steps at which it acts; all of them when None.
        energy_scale: RMS of the guidance relative to the latents'.
        region: bool (h, w), the cells that the edits change.
        noise: eta of the step inside the region, by step; 0 where it is missing.
        rounds: how often a step is done, by step; once where it is missing.
        seed: of that noise.
        picture: (condition, whether it is led to) -> that condition, with a picture that prompts beside the words.
        pictured: the steps at which it does.
        replay: what the source asks of the loop.
        missed: level -> (1, c, h, w), added to the step down from there where the source is retraced.
        glimpse: latents -> a rough image tensor; None where only the decoder can tell.
    """

    latents: Tensor
    condition: Condition
    negative_condition: Condition
    terms: Sequence[PlannedTerm] = ()
    layers: tuple[str, ...] = ()
    feature_size: tuple[int, int] = (0, 0)
    references: Sequence[Grid] = ()
    guided: frozenset[int] = frozenset()
    attention: Sequence[PlannedAttention] = ()
    anchors: Sequence[Anchor] = ()
    guidance_scale: float = 1.0
    led: frozenset[int] | None = None
    energy_scale: float = 0.03
    region: Tensor | None = None
    noise: Mapping[int, float] = field(default_factory=dict)
    rounds: Mapping[int, int] = field(default_factory=dict)
    seed: int = 0
    picture: Callable[[Condition, bool], Condition] | None = None
    pictured: frozenset[int] = frozenset()
    replay: Replay = field(default_factory=Replay)
    missed: Callable[[int], Tensor] | None = None
    glimpse: Callable[[Latents], ImageTensor] | None = None

    def conditions(self, index: int, level: int) -> tuple[Condition, Condition]:
        """At a step, what guidance leads to, and what it leads away from: the same one for no guidance."""
        negative = self.replay.negative(level, self.negative_condition)
        led = self.guidance_scale > 1 and negative is not self.condition and (self.led is None or index in self.led)
        if self.picture is None or index not in self.pictured:
            return self.condition, negative if led else self.condition
        condition = self.picture(self.condition, True)
        return condition, self.picture(negative, False) if led else condition

    def free(self, done: int, steps: int) -> Tensor:
        """Where no anchor holds after `done` of `steps` steps: bool (h, w)."""
        free = torch.ones(self.latents.shape[-2:], dtype=torch.bool, device=self.latents.device)
        for anchor in self.anchors:
            if anchor.holds(done, steps):
                free &= ~anchor.mask
        return free


@dataclass(frozen=True, eq=False)
class Step:
    """What an observer sees after each step.

    Attributes:
        index, steps: which step of how many the schedule has, counted from 0; the first ones are not done where anchors give their outcome.
        done, total: how many steps of this run are done, this one included, of how many: from 1 to `total`, without a gap.
        time: what the network was told.
        energies: weighted energies by label; empty at unguided steps.
        pred_original_sample: (1, c, h, w), the clean latents as far as they can be told now.
        preview: decodes `pred_original_sample` to an image tensor (1, 3, H, W) in [-1, 1]; costs one decoding when called.
        glimpse: the same, roughly, at once, and of at most four pixels a cell of the latents; for people who wait.
        picture: of several that are edited at a time, which one, counted from 0.
    """

    index: int
    steps: int
    done: int
    total: int
    time: float
    energies: dict[str, float]
    pred_original_sample: Tensor = field(repr=False)
    preview: Callable[[], ImageTensor] = field(repr=False)
    glimpse: Callable[[], ImageTensor] = field(repr=False)
    picture: int = 0


def first_open_step(held: Sequence[tuple[Tensor, float]], steps: int) -> int:
    """The first step whose outcome is not given in every cell, the last one where there is none: those before it need not be done.

    Args:
        held: masks, bool (h, w), and until which fraction of the steps each one holds.
    """
    for index in range(steps - 1):
        masks = [mask for mask, stop in held if index + 1 <= stop * steps]
        if not masks or not torch.stack(masks).any(0).all():
            return index
    return steps - 1


def guided_sampling(
    backbone: Backbone,
    schedule: Schedule,
    plan: SamplingPlan,
    guide: Guide,
    on_step: Callable[[Step], None] | None = None,
) -> Latents:
    """Denoise z_T to z_0 under energy guidance (DragonDiffusion, arXiv 2307.02421, section 3 and equation 6).

    At a guided step one call of the network gives the noise prediction and the features; the energies' gradient with respect to
    z_t is added to the noise that predicts the clean picture, and the direction term keeps the unguided noise.

    Args:
        guide: the guidance branch by level.
        on_step: called after every step; what it raises ends the loop.

    Returns:
        z_0 (1, c, h, w).
    """
    steps = len(schedule)
    first = first_open_step([(anchor.mask, anchor.stop) for anchor in plan.anchors], steps)
    latents = anchored(plan.latents, plan.anchors, steps, first)
    random = torch.Generator().manual_seed(plan.seed)  # on the CPU, so that a seed means the same on every machine
    above = anchored(plan.latents, plan.anchors, steps, first - 1) if first and plan.replay.bidirectional else None
    for index in range(first, steps):
        level = steps - index
        for again in range(plan.rounds.get(index, 1)):
            if again:
                latents = anchored(_undone(backbone, schedule, plan, latents, level), plan.anchors, steps, index)
            noise_pred, guided_noise_pred, energies = _predict(backbone, schedule, plan, guide, latents, index)
            clean = schedule.predict_clean(latents, guided_noise_pred, level)
            here, latents = latents, stepped(schedule, clean, noise_pred, level, plan.replay.eta)
            latents = latents + _replayed(schedule, plan, here, above, noise_pred, level)
            if index in plan.noise and plan.region is not None:  # DiffEditor: random only where the picture shall change
                fresh = torch.randn(latents.shape, generator=random).to(latents)
                noisy = schedule.noisy_step(clean, noise_pred, level, plan.noise[index], fresh)
                latents = torch.where(plan.region, noisy, latents)
            latents = anchored(latents, plan.anchors, steps, index + 1)
        above = here
        if on_step is not None:
            done, total = index - first + 1, steps - first
            preview = partial(backbone.decode, clean)
            glimpse = preview if plan.glimpse is None else partial(plan.glimpse, clean)
            on_step(Step(index, steps, done, total, schedule.time(level), energies, clean, preview, glimpse))
    return latents


def _predict(
    backbone: Backbone,
    schedule: Schedule,
    plan: SamplingPlan,
    guide: Guide,
    latents: Latents,
    index: int,
) -> tuple[Latents, Latents, dict[str, float]]:
    """At step `index`: the noise prediction, the same with the energies' gradient added, and the energies."""
    steps, level = len(schedule), len(schedule) - index
    time, guided = schedule.time(level), bool(plan.terms) and index in plan.guided
    reading = any(one.plan.holds(index, steps) for one in plan.attention)
    recorded = guide(level, guided) if guided or reading else ()
    sizes = [(latents.shape[2], latents.shape[3]), *((grid.height // 2, grid.width // 2) for grid in plan.references)]
    memory, form = merged_memory(plan.attention, index, steps, recorded, sizes)
    condition, negative = plan.conditions(index, level)
    if not guided:
        with torch.no_grad():
            noise_pred = guided_noise(backbone, latents, time, condition, negative, plan.guidance_scale, memory, form)
        return noise_pred, noise_pred, {}

    latents = latents.detach().requires_grad_()
    with torch.enable_grad():
        prediction = backbone.predict(latents, time, condition, features=plan.layers, read=memory, form=form)
    noise_pred = prediction.noise_pred.detach()
    if negative is not condition:
        with torch.no_grad():
            unconditional = backbone.predict(latents, time, negative, read=memory, form=form).noise_pred
        noise_pred = unconditional + plan.guidance_scale * (noise_pred - unconditional)
    source, *others = (one.features for one in recorded)
    references = list(zip(others, plan.references, strict=True))
    guidance = energy_gradient(plan.terms, prediction.features, source, latents, plan.feature_size, index, references, prediction.pull)
    return noise_pred, noise_pred + normalized(guidance.gradient, latents.detach(), plan.energy_scale), guidance.energies


def _replayed(
    schedule: Schedule, plan: SamplingPlan, latents: Latents, above: Latents | None, noise_pred: Latents, level: int
) -> Latents | float:
    """What is added to the step down from `level`, as `plan.replay` says; `above` is what came before the latents, one level higher."""
    if plan.missed is not None and plan.replay.retraces(level, len(schedule)):
        return plan.missed(level)
    if plan.replay.bidirectional and above is not None:  # Zhang et al., 2024, "BDIA"
        return plan.replay.bidirectional * (above - schedule.move(latents, noise_pred, level, level + 1))
    return 0.0


@torch.no_grad()
def _undone(backbone: Backbone, schedule: Schedule, plan: SamplingPlan, latents: Latents, level: int) -> Latents:
    """From the next lower level back up to `level`, by a step of DDIM inversion (DiffEditor's time travel)."""
    noise_pred = backbone.predict(latents, schedule.time(max(level - 1, 1)), plan.condition).noise_pred
    return schedule.move(latents, noise_pred, level - 1, level)


def anchored(latents: Latents, anchors: Sequence[Anchor], steps: int, done: int) -> Latents:
    """The latents after `done` of `steps` steps with every anchor that still holds put in place."""
    for anchor in anchors:
        if anchor.holds(done, steps):
            latents = torch.where(anchor.mask, anchor.trajectory[steps - done], latents)
    return latents
