"""Rotate: turn the object under a mask about its centre, and fill the place it leaves. A plugin for dragonkit.

DragonDiffusion (arXiv 2307.02421) moves and resizes. Turning is the same with another map: its energies compare each target cell
with the place in the source that its content comes from, and a correspondence says that for any map.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, field_validator

from dragonkit.plugin_api import (
    AttentionPlan,
    ContrastWeight,
    Edit,
    EditMasks,
    EditWeight,
    EnergyTerm,
    Fill,
    Grid,
    InpaintWeight,
    ObjectMask,
    PreserveWeight,
    affine_about,
    center_of,
    hookimpl,
    load_mask,
    moved_noise,
    moving_terms,
    source_attention,
    warped_masks,
)

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Rotate"]


class Rotate(Edit):
    """Turn the object under `mask` by `degrees` about its centre; what leaves the picture is cut off.

    Example:
        Rotate(mask="fish.png", degrees=30)
    """

    mode: ClassVar[str] = "rotate"

    mask: ObjectMask
    degrees: float = Field(ge=-360, le=360, description="how far, clockwise as seen")
    fill: Fill = None
    edit_weight: EditWeight = 4.0
    preserve_weight: PreserveWeight = 6.0
    contrast_weight: ContrastWeight = 0.2
    inpaint_weight: InpaintWeight = 0.8

    @field_validator("degrees")
    @classmethod
    def _turns(cls, degrees: float) -> float:
        if degrees % 360 == 0:
            raise ValueError("nothing would change; give an angle that is no multiple of 360")
        return degrees


@hookimpl
def dragonkit_edits() -> list[type[Edit]]:
    return [Rotate]


@hookimpl
def dragonkit_build_masks(edit: Edit, grid: Grid) -> EditMasks:
    """The object turned about its centre of gravity. EditError when nothing of it would be left in the picture."""
    assert isinstance(edit, Rotate)
    size = (grid.image_width, grid.image_height)
    mask = load_mask(edit.mask, size)
    fill = None if edit.fill is None else load_mask(edit.fill, size)
    return warped_masks(grid, mask, affine_about(center_of(mask), degrees=edit.degrees), fill)


@hookimpl
def dragonkit_energy_terms(edit: Edit, masks: EditMasks) -> Iterable[EnergyTerm] | None:
    if not isinstance(edit, Rotate):
        return None
    return moving_terms(masks, edit.edit_weight, edit.preserve_weight, edit.contrast_weight, edit.inpaint_weight)


@hookimpl
def dragonkit_initial_latents(edit: Edit, masks: EditMasks, source: Any) -> Tensor:
    return moved_noise(masks, source)


@hookimpl
def dragonkit_attention(edit: Edit, masks: EditMasks) -> AttentionPlan:
    return source_attention()
