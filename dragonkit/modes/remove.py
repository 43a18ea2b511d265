"""Remove: the object under a mask is gone, and the ground is as if it had never been there (the paper's equations 7 and 8 alone)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import numpy as np

from dragonkit.edits.edit import Edit
from dragonkit.energy.terms import vacating_terms
from dragonkit.errors import EditError
from dragonkit.imaging.masks import load_mask
from dragonkit.modes.moving import ContrastWeight, Fill, InpaintWeight, ObjectMask, PreserveWeight
from dragonkit.plugins.answers import AttentionPlan, EditMasks, EnergyTerm
from dragonkit.plugins.placement import Placement
from dragonkit.plugins.specs import hookimpl

__all__ = ["Remove"]


class Remove(Edit):
    """Take the object under `mask` away, and fill its place with what is around it.

    Example:
        dk.Remove(mask="fish.png")
    """

    mode: ClassVar[str] = "remove"

    mask: ObjectMask
    fill: Fill = None
    preserve_weight: PreserveWeight = 6.0
    contrast_weight: ContrastWeight = 0.2
    inpaint_weight: InpaintWeight = 0.8


@hookimpl
def dragonkit_edits() -> list[type[Edit]]:
    return [Remove]


@hookimpl
def dragonkit_build_masks(edit: Edit, size: tuple[int, int]) -> Placement:
    """The object as content that comes nowhere.

    Raises:
        MaskError: a mask has another size, or is empty.
        EditError: the mask leaves nothing of the picture.
    """
    assert isinstance(edit, Remove)
    mask = load_mask(edit.mask, size)
    if mask.all():
        raise EditError(f"the mask covers the whole {size[0]}x{size[1]} picture, so there is nothing to fill it with; paint less")
    return Placement(mask, np.zeros_like(mask), surroundings=None if edit.fill is None else load_mask(edit.fill, size))


@hookimpl
def dragonkit_energy_terms(edit: Edit, masks: EditMasks) -> Iterable[EnergyTerm] | None:
    """Preserve (eq. 5), contrast (eq. 7) and inpaint (eq. 8)."""
    return vacating_terms(masks, edit.preserve_weight, edit.contrast_weight, edit.inpaint_weight) if isinstance(edit, Remove) else None


@hookimpl
def dragonkit_attention(masks: EditMasks) -> AttentionPlan:
    """Keys and values of the source beside the object, from step 5 of 50 on: whoever could read the object would paint it again."""
    return AttentionPlan(form="replace", start=0.1, source_mask=~masks.source)
