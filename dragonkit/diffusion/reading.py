"""Whose keys and values the decoder reads at a step: the attention plans of all edits, merged (equation 11; references: DiffEditor)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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
    _tokens: dict[tuple[str, tuple[int, int], torch.device], Tensor] = field(default_factory=dict, repr=False)

    def tokens(self, which: Literal["source_mask", "reference_mask"], size: tuple[int, int], device: torch.device) -> Tensor | None:
        """One of the plan's masks as bool (tokens,) of a layer of `size` (height, width); None without a mask. Worked out once."""
        mask = getattr(self.plan, which)
        if mask is None:
            return None
        if (which, size, device) not in self._tokens:
            height, width = size
            cells = to_grid(mask, Grid(width, height, mask.shape[1], mask.shape[0]))
            self._tokens[which, size, device] = torch.from_numpy(cells.ravel()).to(device)
        return self._tokens[which, size, device]


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
        memory[layer] = (torch.cat([key for key, _ in parts], dim=1), torch.cat([value for _, value in parts], dim=1))
    if not all(keys.shape[1] for keys, _ in memory.values()):  # a softmax over nothing is NaN
        form = "concatenate"
    return memory, form


def _read(
    keys_values: tuple[Tensor, Tensor],
    which: Literal["source_mask", "reference_mask"],
    planned: Iterable[PlannedAttention],
    size: tuple[int, int],
) -> tuple[Tensor, Tensor]:
    """The keys and values (1, tokens, channels) at the places where all plans' masks are True; all of them without a mask."""
    keys, values = keys_values
    layer = _layer_size(keys.shape[1], size)
    masks = [tokens for one in planned if (tokens := one.tokens(which, layer, keys.device)) is not None]
    if not masks:
        return keys_values
    chosen = torch.stack(masks).all(0)
    return keys[:, chosen], values[:, chosen]


def _layer_size(tokens: int, size: tuple[int, int]) -> tuple[int, int]:
    """(height, width) of a layer with so many tokens: the latents' size, halved as often as it takes."""
    height, width = size
    while height * width > tokens:
        height, width = -(-height // 2), -(-width // 2)
    return height, width
