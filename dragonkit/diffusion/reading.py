"""Whose keys and values the decoder reads at a step: the attention plans of all edits, merged (equation 11; references: DiffEditor)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from dragonkit.diffusion.backbone import KeyValues, Prediction
from dragonkit.imaging.masks import Grid, to_grid
from dragonkit.plugins.answers import AttentionForm, AttentionPlan

__all__ = ["PlannedAttention", "merged_memory"]


class PlannedAttention(NamedTuple):
    """An attention plan, and which of the reference pictures its `reference_mask` speaks of."""

    plan: AttentionPlan
    reference: int | None = None


def merged_memory(
    planned: Sequence[PlannedAttention], index: int, steps: int, recorded: Sequence[Prediction], sizes: Sequence[tuple[int, int]]
) -> tuple[KeyValues | None, AttentionForm]:
    """The keys and values to read at step `index` of `steps`, and whether instead of the decoder's own or beside them.

    Of the source, what every plan reads; of the references, what any plan reads; beside its own, if any plan wants that.

    Args:
        recorded: with the keys and values of the source, then of every reference.
        sizes: (height, width) of their latents, in the same order.

    Returns:
        (None, "replace") where no plan holds.
    """
    active = [one for one in planned if one.plan.holds(index, steps)]
    if not active:
        return None, "replace"
    form: AttentionForm = "concatenate" if any(plan.form == "concatenate" for plan, _ in active) else "replace"
    memory: KeyValues = {}
    for layer, source in recorded[0].keys_values.items():
        parts = [_read(source, (plan.source_mask for plan, _ in active if plan.source_mask is not None), sizes[0])]
        for plan, reference in active:
            if reference is not None and plan.reference_mask is not None:
                other = recorded[1 + reference].keys_values[layer]
                parts.append(_read(other, [plan.reference_mask], sizes[1 + reference]))
        memory[layer] = (torch.cat([key for key, _ in parts], dim=1), torch.cat([value for _, value in parts], dim=1))
    return memory, form


def _read(keys_values: tuple[Tensor, Tensor], masks: Iterable[np.ndarray], size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """The keys and values (1, tokens, channels) at the places where all masks are True; all of them without a mask."""
    height, width = _layer_size(keys_values[0].shape[1], size)
    places = np.ones((height, width), dtype=bool)
    for mask in masks:
        places &= to_grid(mask, Grid(width, height, mask.shape[1], mask.shape[0]))
    if places.all():
        return keys_values
    chosen = torch.from_numpy(places.ravel()).to(keys_values[0].device)
    return keys_values[0][:, chosen], keys_values[1][:, chosen]


def _layer_size(tokens: int, size: tuple[int, int]) -> tuple[int, int]:
    """(height, width) of a layer with so many tokens: the latents' size, halved as often as it takes."""
    height, width = size
    while height * width > tokens:
        height, width = -(-height // 2), -(-width // 2)
    return height, width
