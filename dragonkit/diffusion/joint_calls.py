"""Calls of a network that several runs ask for, made in one of several rows, and the way back from their features in one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from dragonkit.diffusion.backbone import Backbone, Condition, KeyValues, Prediction, Stacking
from dragonkit.plugins.answers import AttentionForm
from dragonkit.shapes import Latents

__all__ = ["Call", "Pull", "made"]


@dataclass(frozen=True, eq=False)
class Call:
    """`Backbone.predict`, as a run asks for it.

    Attributes:
        grad: whether autograd's mode is on.
    """

    latents: Latents
    time: float
    condition: Condition
    grad: bool
    features: Sequence[str] = ()
    record: bool = False
    read: KeyValues | None = None
    form: AttentionForm = "replace"

    @property
    def kind(self) -> object:
        """What calls have in common that can be made in one."""
        if self.grad and not self.features:  # somebody differentiates the noise, with respect to whatever it may be
            return self
        read = {} if self.read is None else {layer: tuple(part.shape[1:] for part in parts) for layer, parts in self.read.items()}
        what = (self.latents.shape[1:], self.latents.dtype, type(self.condition), tuple(read.items()))
        return (self.time, *what, *self.features, self.record, self.form, self.grad)

    @property
    def order(self) -> int:
        """Among calls for one noise level: sources are looked at first, so that runs which need that do not fall behind."""
        return 1 if self.grad or self.read is not None else 0


@dataclass(frozen=True, eq=False)
class _Joint:
    """A call of several rows, each of which is differentiated by itself as far back as the features."""

    latents: Latents
    features: Mapping[str, Tensor]


@dataclass(frozen=True, eq=False)
class Pull:
    """`Prediction.pull`, as a run asks for it: for some rows of a call."""

    joint: _Joint
    rows: slice
    time: float
    gradients: Mapping[str, Tensor]
    order: int = 2

    @property
    def kind(self) -> object:
        """As of `Call`."""
        return self.joint


def made(backbone: Backbone, asked: Mapping[int, Call | Pull], ask: Callable[[int, Pull], Tensor | None]) -> dict[int, object]:
    """Answers to calls of one kind, by who asks: as good as what each would get alone.

    Args:
        ask: how somebody asks for the way back later on.
    """
    pulls = {who: one for who, one in asked.items() if isinstance(one, Pull)}
    if pulls:
        return dict(_pulled(pulls))
    calls = {who: one for who, one in asked.items() if isinstance(one, Call)}
    each, rows = list(calls.values()), [len(call.latents) for call in calls.values()]
    together = len(each) > 1 and isinstance(backbone, Stacking)
    condition = backbone.stacked([call.condition for call in each], rows) if together else None  # type: ignore[attr-defined]
    if condition is None:
        return {who: _predicted(backbone, call, call.latents, call.condition, call.read) for who, call in calls.items()}
    first = each[0]
    latents = torch.cat([call.latents.detach() for call in each]).requires_grad_(first.grad)
    seen = _predicted(backbone, first, latents, condition, _memory([call.read for call in each], rows))
    joint, answers, start = _Joint(latents, seen.features), dict[int, object](), 0
    for (who, call), count in zip(calls.items(), rows, strict=True):
        own = slice(start, start := start + count)
        # copies, since whoever keeps a part would keep the whole
        features = {layer: maps.detach()[own].clone().requires_grad_(call.grad) for layer, maps in seen.features.items()}
        keys_values = {layer: tuple(part[own].clone() for part in parts) for layer, parts in seen.keys_values.items()}
        pull = partial(_pull, ask, who, joint, own, call.time) if call.grad else None
        answers[who] = Prediction(seen.noise_pred.detach()[own].clone(), features, keys_values, pull)
    return answers


def _predicted(backbone: Backbone, call: Call, latents: Latents, condition: Condition, read: KeyValues | None) -> Prediction:
    with torch.set_grad_enabled(call.grad):
        return backbone.predict(latents, call.time, condition, features=call.features, record=call.record, read=read, form=call.form)


def _memory(reads: Sequence[KeyValues | None], rows: Sequence[int]) -> KeyValues | None:
    """What all rows read, given what each call reads."""
    every = [(read, count) for read, count in zip(reads, rows, strict=True) if read is not None]
    if not every:
        return None
    return {
        layer: tuple(torch.cat([read[layer][part].expand(count, -1, -1) for read, count in every]) for part in range(len(parts)))
        for layer, parts in every[0][0].items()
    }


def _pull(
    ask: Callable[[int, Pull], Tensor | None], who: int, joint: _Joint, rows: slice, time: float, gradients: Mapping[str, Tensor]
) -> Tensor | None:
    return ask(who, Pull(joint, rows, time, gradients))


def _pulled(pulls: Mapping[int, Pull]) -> dict[int, Tensor | None]:
    """One way back for all who want it; zeros go back from the other rows."""
    joint, layers = next(iter(pulls.values())).joint, {layer for pull in pulls.values() for layer in pull.gradients}
    ends = {layer: maps for layer, maps in joint.features.items() if layer in layers}
    if not ends:
        return dict.fromkeys(pulls)
    gradients = {layer: torch.zeros_like(maps) for layer, maps in ends.items()}
    for pull in pulls.values():
        for layer, part in pull.gradients.items():
            gradients[layer][pull.rows] = part
    (found,) = torch.autograd.grad(list(ends.values()), joint.latents, list(gradients.values()), retain_graph=True, allow_unused=True)
    return {who: None if found is None or not pull.gradients else found[pull.rows] for who, pull in pulls.items()}
