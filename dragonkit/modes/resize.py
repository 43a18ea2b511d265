"""Resize: make the object under a mask larger or smaller where it stands (paper, section 3.3, equation 9)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, field_validator

from dragonkit.edits.edit import Edit
from dragonkit.energy.terms import moving_terms
from dragonkit.imaging.affine import affine_about
from dragonkit.imaging.masks import Grid, center_of, load_mask
from dragonkit.modes.geometry import warped_masks
from dragonkit.modes.moving import (
    ContrastWeight,
    EditWeight,
    Fill,
    InpaintWeight,
    ObjectMask,
    PreserveWeight,
    moved_noise,
    source_attention,
)
from dragonkit.plugins.answers import AttentionPlan, EditMasks, EnergyTerm
from dragonkit.plugins.specs import hookimpl

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Resize"]


class Resize(Edit):
    """Make the object under `mask` `scale` times as large, about its centre; what leaves the picture is cut off.

    Example:
        dk.Resize(mask="fish.png", scale=1.5)
    """

    mode: ClassVar[str] = "resize"

    mask: ObjectMask
    scale: float = Field(gt=0, le=10, description="how much larger the object becomes, about its centre; below 1 it shrinks")
    fill: Fill = None
    edit_weight: EditWeight = 4.0
    preserve_weight: PreserveWeight = 6.0
    contrast_weight: ContrastWeight = 0.2
    inpaint_weight: InpaintWeight = 0.8

    @field_validator("scale")
    @classmethod
    def _changes_something(cls, scale: float) -> float:
        if scale == 1:
            raise ValueError("nothing would change; give a scale below 1 to shrink the object, or above 1 to enlarge it")
        return scale


@hookimpl
def dragonkit_edits() -> list[type[Edit]]:
    return [Resize]


@hookimpl
def dragonkit_build_masks(edit: Edit, grid: Grid) -> EditMasks:
    """The object scaled about its centre of gravity. EditError when nothing of it would be left in the picture."""
    assert isinstance(edit, Resize)
    size = (grid.image_width, grid.image_height)
    mask = load_mask(edit.mask, size)
    return warped_masks(
        grid,
        mask,
        affine_about(center_of(mask), edit.scale),
        None if edit.fill is None else load_mask(edit.fill, size),
        gone=f"the scale {edit.scale} leaves nothing of an object of {mask.sum()} pixels; use a scale closer to 1",
    )


@hookimpl
def dragonkit_energy_terms(edit: Edit, masks: EditMasks) -> Iterable[EnergyTerm] | None:
    """Edit (eq. 9) and preserve (eq. 5); for a smaller object also contrast (eq. 7) and inpaint (eq. 8) where it was."""
    if not isinstance(edit, Resize):
        return None
    return moving_terms(masks, edit.edit_weight, edit.preserve_weight, edit.contrast_weight, edit.inpaint_weight)


@hookimpl
def dragonkit_initial_latents(edit: Edit, masks: EditMasks, source: Any) -> Tensor:
    return moved_noise(masks, source)


@hookimpl
def dragonkit_attention(edit: Edit, masks: EditMasks) -> AttentionPlan:
    return source_attention()
