"""Whose keys and values the decoder reads at a step: the attention plans of all edits, merged (equation 11; references: DiffEditor)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from dragonkit.diffusion.backbone import KeyValues, Prediction
from dragonkit.imaging.masks import Grid, to_grid
from dragonkit.plugins.answers import AttentionForm, AttentionPlan

__all__ = ["PlannedAttention", "merged_memory"]


@dataclass(frozen=True, eq=False)
class PlannedAttention:
    """An attention plan, and which of the reference pictures its `reference_mask` speaks of."""

    plan: AttentionPlan
    reference: int | None = None
    _places: dict[tuple[object, ...], Tensor | None] = field(default_factory=dict, repr=False)

    def tokens(self, which: Literal["source_mask", "reference_mask"], size: tuple[int, int]) -> Tensor | None:
        """One of the plan's masks as bool (tokens,) of a layer of `size` (height, width); None without a mask."""
        mask = getattr(self.plan, which)
        if mask is None:
            return None
        height, width = size
        return torch.from_numpy(to_grid(mask, Grid(width, height, mask.shape[1], mask.shape[0])).ravel())

    def places(
        self,
        which: Literal["source_mask", "reference_mask"],
        size: tuple[int, int],
        others: Sequence[PlannedAttention],
        device: torch.device,
    ) -> Tensor | None:
        """Numbers of a layer's tokens at which this plan's mask and the others' are True; None where none has a mask.

        Worked out once: to count them stops the device.
        """
        key = (which, size, device, *map(id, others))
        if key not in self._places:
            masks = [tokens for one in (self, *others) if (tokens := one.tokens(which, size)) is not None]
            self._places[key] = torch.stack(masks).all(0).nonzero()[:, 0].to(device) if masks else None
        return self._places[key]


def merged_memory(
    planned: Sequence[PlannedAttention], index: int, steps: int, recorded: Sequence[Prediction], sizes: Sequence[tuple[int, int]]
) -> tuple[KeyValues | None, AttentionForm]:
    """The keys and values to read at step `index` of `steps`, and whether instead of the decoder's own or beside them.

    Of the source, what every plan reads; of the references, what any plan reads; beside its own, if any plan wants that, or if a layer
    were left with nothing to read.

    Args:
        recorded: with the keys and values of the source, then of every reference.
        sizes: (height, width) of their latents, in the same order.

    Returns:
        (None, "replace") where no plan holds.
    """
    active = [one for one in planned if one.plan.holds(index, steps)]
    if not active:
        return None, "replace"
    form: AttentionForm = "concatenate" if any(one.plan.form == "concatenate" for one in active) else "replace"
    memory: KeyValues = {}
    for layer, source in recorded[0].keys_values.items():
        parts = [_read(source, "source_mask", active, sizes[0])]
        for one in active:
            if one.reference is not None and one.plan.reference_mask is not None:
                other = recorded[1 + one.reference].keys_values[layer]
                parts.append(_read(other, "reference_mask", [one], sizes[1 + one.reference]))
        memory[layer] = tuple(torch.cat(tensors, dim=1) for tensors in zip(*parts, strict=True)) if len(parts) > 1 else parts[0]
    if not all(tokens.shape[1] for tokens, *_ in memory.values()):  # a softmax over nothing is NaN
        form = "concatenate"
    return memory, form


def _read(
    keys_values: tuple[Tensor, ...],
    which: Literal["source_mask", "reference_mask"],
    planned: Sequence[PlannedAttention],
    size: tuple[int, int],
) -> tuple[Tensor, ...]:
    """What was recorded (1, tokens, channels) at the places where all plans' masks are True; all of it without a mask."""
    first, *others = planned
    chosen = first.places(which, _layer_size(keys_values[0].shape[1], size), others, keys_values[0].device)
    return keys_values if chosen is None else tuple(part.index_select(1, chosen) for part in keys_values)


def _layer_size(tokens: int, size: tuple[int, int]) -> tuple[int, int]:
    """(height, width) of a layer with so many tokens: the latents' size, halved as often as it takes."""
    height, width = size
    while height * width > tokens:
        height, width = -(-height // 2), -(-width // 2)
    return height, width
