"""Move: take the object under a mask somewhere else, at another size if wished, and fill the place it leaves (paper, section 3.3)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field

from dragonkit.edits import Edit, Mask
from dragonkit.errors import EditError
from dragonkit.hookspecs import hookimpl
from dragonkit.masks import Grid, center_of, load_mask, scale_mask, shift_mask, to_grid
from dragonkit.plan import AttentionPlan, EditMasks, EnergyTerm, Features, identity_correspondence

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Move"]


class Move(Edit):
    """Move the object under `mask` by `shift` pixels, scaled about its centre.

    Example:
        dk.Move(mask="fish.png", shift=(40, 0))
    """

    mode: ClassVar[str] = "move"

    mask: Mask = Field(description="the object, white on black, of the picture's size")
    shift: tuple[float, float] = Field(default=(0.0, 0.0), description="how far, in pixels: right and down are positive")
    scale: float = Field(default=1.0, gt=0, le=10, description="how much larger the object becomes, about its centre")
    fill: Mask | None = Field(
        default=None, description="the region that the vacated place shall resemble; all that is not the object when left out"
    )
    edit_weight: float = Field(default=4.0, ge=0, description="weight of looking like the object at the target (eq. 5)")
    preserve_weight: float = Field(default=6.0, ge=0, description="weight of what must not change (eq. 5)")
    contrast_weight: float = Field(
        default=0.2, ge=0, description="weight of no longer looking like the object at the vacated place (eq. 7)"
    )
    inpaint_weight: float = Field(default=0.8, ge=0, description="weight of looking like the surroundings at the vacated place (eq. 8)")


@hookimpl
def dragonkit_edits() -> list[type[Edit]]:
    return [Move]


@hookimpl
def dragonkit_build_masks(edit: Edit, grid: Grid) -> EditMasks:
    """Source, target and vacated cells; the target looks its content up by the inverse of scale-then-shift.

    Raises:
        EditError: the object would leave the picture altogether, or neither moves nor changes size.
    """
    assert isinstance(edit, Move)
    size = (grid.image_width, grid.image_height)
    source = load_mask(edit.mask, size)
    center = center_of(source)
    dx, dy = round(edit.shift[0]), round(edit.shift[1])  # whole pixels: the object keeps its own
    if (dx, dy) == (0, 0) and edit.scale == 1:
        raise EditError(
            f"the move has shift {edit.shift} and scale 1, so nothing would change; give a shift of a pixel or more, or a scale"
        )
    target = _moved(source, center, (dx, dy), edit.scale)
    if not scale_mask(source, edit.scale, center).any():
        raise EditError(f"the scale {edit.scale} leaves nothing of an object of {source.sum()} pixels; use a larger scale")
    if not target.any():
        raise EditError(
            f"the shift {edit.shift} takes the whole object out of the {size[0]}x{size[1]} picture; "
            f"its centre is at ({center[0]:.0f}, {center[1]:.0f}), so use a smaller shift"
        )
    outside = ~(source | target)
    surroundings = outside if edit.fill is None else load_mask(edit.fill, size)
    source_cells, target_cells = to_grid(source, grid), to_grid(target, grid)
    return EditMasks(
        grid=grid,
        source=source_cells,
        target=target_cells,
        # a cell that the object touches at all may change
        preserve=~(to_grid(~outside, grid, coverage=0.02) | source_cells | target_cells),
        vacated=source_cells & ~target_cells,
        surroundings=to_grid(surroundings, grid) if surroundings.any() else ~source_cells,
        correspondence=np.where(target_cells[..., None], _looked_up(grid, center, (dx, dy), edit.scale), identity_correspondence(grid)),
    )


def _moved(mask: np.ndarray, center: tuple[float, float], shift: tuple[int, int], scale: float) -> np.ndarray:
    """The mask scaled about its centre, then shifted."""
    if scale == 1:
        return shift_mask(mask, *shift)
    # both at once, about the point that stays in place: in two steps the picture's border would cut what the shift brings back in
    x, y = (middle + by / (1 - scale) for middle, by in zip(center, shift, strict=True))
    return scale_mask(mask, scale, (x, y))


def _looked_up(grid: Grid, center: tuple[float, float], shift: tuple[int, int], scale: float) -> np.ndarray:
    """Where each cell's content comes from under the move, float32 (h, w, 2) in cells."""
    cell = np.array([grid.cell_width, grid.cell_height])
    pixels = identity_correspondence(grid) * cell
    return ((np.array(center) + (pixels - center - np.array(shift)) / scale) / cell).astype(np.float32)


@hookimpl
def dragonkit_energy_terms(edit: Edit, masks: EditMasks) -> Iterable[EnergyTerm] | None:
    """Edit and preserve (eq. 5), contrast (eq. 7) and inpaint (eq. 8); terms without a single cell are left out."""
    if not isinstance(edit, Move):
        return None
    from dragonkit.energy import gather, global_similarity, inverse_energy, local_similarity, warp

    def resemble_object(features: Features) -> Tensor:
        moved = warp(features.source, masks.correspondence)
        return inverse_energy(local_similarity(gather(features.generated, masks.target), gather(moved, masks.target)))

    def preserve(features: Features) -> Tensor:
        return inverse_energy(local_similarity(gather(features.generated, masks.preserve), gather(features.source, masks.preserve)))

    def contrast(features: Features) -> Tensor:
        return local_similarity(gather(features.generated, masks.vacated), gather(features.source, masks.vacated))

    def inpaint(features: Features) -> Tensor:
        return inverse_energy(global_similarity(gather(features.generated, masks.vacated), gather(features.source, masks.surroundings)))

    terms = [EnergyTerm("edit", resemble_object, edit.edit_weight)]
    if masks.preserve.any():
        terms.append(EnergyTerm("preserve", preserve, edit.preserve_weight))
    if masks.vacated.any():
        terms.append(EnergyTerm("contrast", contrast, edit.contrast_weight))
    if masks.vacated.any() and masks.surroundings.any():
        terms.append(EnergyTerm("inpaint", inpaint, edit.inpaint_weight))
    return terms


@hookimpl
def dragonkit_initial_latents(edit: Edit, masks: EditMasks, source: Any) -> Tensor:
    """The object's z_T copied to its target, noise looked up without interpolation."""
    from dragonkit.energy import warp

    return warp(source.latents_at(len(source.schedule))[0], masks.correspondence, mode="nearest")[None]


@hookimpl
def dragonkit_attention(edit: Edit, masks: EditMasks) -> AttentionPlan:
    """Keys and values of the source replace the decoder's own from step 5 of 50 on, as the released code does."""
    return AttentionPlan(form="replace", start=0.1)
