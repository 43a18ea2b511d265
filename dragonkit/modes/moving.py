"""What the modes that move content within its picture share: their weights, their initial noise, their attention.

The geometry they share is in `dragonkit.imaging.affine`, the energies in `dragonkit.energy.terms`. Any plugin may use this.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from dragonkit.edits.values import Mask, Region
from dragonkit.plugins.answers import AttentionPlan, EditMasks

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["ContrastWeight", "EditWeight", "Fill", "InpaintWeight", "ObjectMask", "PreserveWeight", "moved_noise", "source_attention"]

ObjectMask = Annotated[Mask, Field(description="the object, white on black, of the picture's size")]
Fill = Annotated[
    Region | None, Field(description="the region that the vacated place shall resemble; all that is not the object when left out")
]
EditWeight = Annotated[float, Field(ge=0, description="weight of looking like the object at the target (eq. 5)")]
PreserveWeight = Annotated[float, Field(ge=0, description="weight of what must not change (eq. 5)")]
ContrastWeight = Annotated[float, Field(ge=0, description="weight of no longer looking like the object at the vacated place (eq. 7)")]
InpaintWeight = Annotated[float, Field(ge=0, description="weight of looking like the surroundings at the vacated place (eq. 8)")]


def moved_noise(masks: EditMasks, source: Any) -> Tensor:
    """The source's z_T with the object's noise copied to its target, looked up without interpolation: (1, c, h, w).

    Args:
        masks: on the latents' cells.
        source: a `dragonkit.Source`.
    """
    from dragonkit.imaging.lookup import warp

    return warp(source.latents_at(len(source.schedule))[0], masks.correspondence, mode="nearest")[None]


def source_attention() -> AttentionPlan:
    """Keys and values of the source replace the decoder's own from step 5 of 50 on, as the released code does."""
    return AttentionPlan(form="replace", start=0.1)
