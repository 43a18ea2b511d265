"""Move: take the object under a mask somewhere else, at another size if wished, and fill the place it leaves (paper, section 3.3)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from dragonkit.edits.edit import Edit
from dragonkit.edits.values import Shift
from dragonkit.energy.terms import moving_terms
from dragonkit.errors import EditError
from dragonkit.imaging.affine import affine_about, warp_mask
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

__all__ = ["Move"]


class Move(Edit):
    """Move the object under `mask` by `shift` pixels, scaled about its centre.

    Example:
        dk.Move(mask="fish.png", shift=(40, 0))
    """

    mode: ClassVar[str] = "move"

    mask: ObjectMask
    shift: Shift = Field(default=(0.0, 0.0), description="how far, in pixels: right and down are positive")
    scale: float = Field(default=1.0, gt=0, le=10, description="how much larger the object becomes, about its centre")
    fill: Fill = None
    edit_weight: EditWeight = 4.0
    preserve_weight: PreserveWeight = 6.0
    contrast_weight: ContrastWeight = 0.2
    inpaint_weight: InpaintWeight = 0.8


@hookimpl
def dragonkit_edits() -> list[type[Edit]]:
    return [Move]


@hookimpl
def dragonkit_build_masks(edit: Edit, grid: Grid) -> EditMasks:
    """The object scaled about its centre of gravity, then shifted by whole pixels, so that it keeps its own.

    Raises:
        EditError: the object would leave the picture altogether, or neither moves nor changes size.
    """
    assert isinstance(edit, Move)
    size = (grid.image_width, grid.image_height)
    mask = load_mask(edit.mask, size)
    center = center_of(mask)
    shift = (round(edit.shift[0]), round(edit.shift[1]))
    if shift == (0, 0) and edit.scale == 1:
        raise EditError(
            f"the move has shift {edit.shift} and scale 1, so nothing would change; give a shift of a pixel or more, or a scale"
        )
    if not warp_mask(mask, affine_about(center, edit.scale)).any():
        raise EditError(f"the scale {edit.scale} leaves nothing of an object of {mask.sum()} pixels; use a scale closer to 1")
    return warped_masks(
        grid,
        mask,
        affine_about(center, edit.scale, shift=shift),
        None if edit.fill is None else load_mask(edit.fill, size),
        gone=f"the shift {edit.shift} takes the whole object out of the {size[0]}x{size[1]} picture; "
        f"its centre is at ({center[0]:.0f}, {center[1]:.0f}), so use a smaller shift",
    )


@hookimpl
def dragonkit_energy_terms(edit: Edit, masks: EditMasks) -> Iterable[EnergyTerm] | None:
    """Edit and preserve (eq. 5), contrast (eq. 7) and inpaint (eq. 8)."""
    if not isinstance(edit, Move):
        return None
    return moving_terms(masks, edit.edit_weight, edit.preserve_weight, edit.contrast_weight, edit.inpaint_weight)


@hookimpl
def dragonkit_initial_latents(edit: Edit, masks: EditMasks, source: Any) -> Tensor:
    return moved_noise(masks, source)


@hookimpl
def dragonkit_attention(edit: Edit, masks: EditMasks) -> AttentionPlan:
    return source_attention()
