"""Appearance: give the object under a mask the look of another picture's object; its outline stays (paper, equation 10)."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field

from dragonkit.edits.edit import Edit
from dragonkit.energy import terms
from dragonkit.energy.cells import Cells
from dragonkit.imaging.masks import load_mask, to_grid
from dragonkit.imaging.recoloring import recolored
from dragonkit.modes.moving import ObjectMask, PreserveWeight
from dragonkit.modes.referring import (
    ReferenceMask,
    ReferencePicture,
    ReferencePrompt,
    ReferringEdit,
    load_reference_mask,
    reference_attention,
    reference_features,
)
from dragonkit.plugins.answers import AttentionPlan, EditMasks, EnergyTerm, Features, Reference
from dragonkit.plugins.placement import Placement
from dragonkit.plugins.specs import hookimpl

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Appearance"]


class Appearance(ReferringEdit):
    """Give the object under `mask` the look of the object under `reference_mask` in the picture `reference`.

    Example:
        dk.Appearance(mask="cat.png", reference="tiger.jpg", reference_mask="tiger.png")
    """

    mode: ClassVar[str] = "appearance"

    mask: ObjectMask
    reference: ReferencePicture
    reference_mask: ReferenceMask = None
    reference_prompt: ReferencePrompt = None
    init: Literal["texture", "colors", "none"] = Field(
        default="texture",
        description="what to start from: the reference's surface laid over the object, the object's own pattern in the reference's "
        "colours, or the object as it is",
    )
    edit_weight: float = Field(default=3.5, ge=0, description="weight of looking like the reference's object on average (eq. 10)")
    preserve_weight: PreserveWeight = 5.0


@hookimpl
def dragonkit_edits() -> list[type[Edit]]:
    return [Appearance]


@hookimpl
def dragonkit_reference(edit: Edit) -> Reference:
    assert isinstance(edit, Appearance)
    return Reference(edit.reference, edit.reference_prompt)


@hookimpl
def dragonkit_build_masks(edit: Edit, size: tuple[int, int]) -> Placement:
    """The object in its place. MaskError when one of the masks has not the size of its picture, or is empty."""
    assert isinstance(edit, Appearance)
    mask = load_mask(edit.mask, size)
    return Placement(source=mask, target=mask, reference_mask=load_reference_mask(edit.reference, edit.reference_mask))


@hookimpl
def dragonkit_draft(edit: Edit, masks: EditMasks, picture: np.ndarray, reference: np.ndarray | None) -> np.ndarray | None:
    """The object under the reference's surface or in its colours; None with init="none"."""
    assert isinstance(edit, Appearance)
    if edit.init == "none":
        return None
    assert reference is not None and masks.reference_mask is not None
    return recolored(picture, masks.target, reference, masks.reference_mask, edit.init)


@hookimpl
def dragonkit_energy_terms(edit: Edit, masks: EditMasks) -> Iterable[EnergyTerm] | None:
    """Look (eq. 10) and preserve (eq. 5)."""
    if not isinstance(edit, Appearance):
        return None
    assert masks.reference_mask is not None
    lending_cells = functools.cache(functools.partial(to_grid, masks.reference_mask))  # asked at every step for the same few grids

    cells = Cells(masks)

    def resemble_reference(features: Features) -> Tensor:
        from dragonkit.energy.similarity import gather, global_similarity, inverse_energy

        reference, grid = reference_features(features)
        own, other = gather(features.generated, cells("target", reference)), gather(reference, lending_cells(grid))
        return inverse_energy(global_similarity(own, other))

    look = EnergyTerm("edit", resemble_reference, edit.edit_weight, region="target")
    return [look, terms.preserve(masks, edit.preserve_weight)] if masks.preserve.any() else [look]


@hookimpl
def dragonkit_attention(masks: EditMasks) -> AttentionPlan:
    """Keys and values of the source outside the object and of the reference's object, for steps 0 to 35 of 50."""
    return reference_attention(masks)
