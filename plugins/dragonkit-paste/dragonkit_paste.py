"""Paste: take an object from another picture and put it into this one. A plugin for dragonkit.

After the paste mode in the released code of DragonDiffusion (arXiv 2307.02421) and DiffEditor (arXiv 2402.02583): the target looks like
the reference's object by equation 5, with the reference's features looked up where the object comes from.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import Field

from dragonkit.plugin_api import (
    AttentionPlan,
    Cells,
    Edit,
    EditError,
    EditMasks,
    EditWeight,
    EnergyTerm,
    Features,
    Placement,
    PreserveWeight,
    Reference,
    ReferenceMask,
    ReferencePicture,
    ReferencePrompt,
    ReferringEdit,
    Shift,
    affine_about,
    bounding_box,
    center_of,
    hookimpl,
    inverse_affine,
    load_reference_mask,
    map_points,
    preserve,
    reference_attention,
    reference_features,
    warp_mask,
)

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Paste"]


class Paste(ReferringEdit):
    """Put the object under `reference_mask` of the picture `reference` into this picture.

    It keeps its place in pixels, counted from the top left, is scaled about its centre, then shifted; what falls outside is cut off.

    Example:
        Paste(reference="sea.jpg", reference_mask="boat.png", shift=(40, -10), scale=0.5)
    """

    mode: ClassVar[str] = "paste"

    reference: ReferencePicture
    reference_mask: ReferenceMask = None
    shift: Shift = Field(default=(0.0, 0.0), description="how far, in pixels: right and down are positive")
    scale: float = Field(default=1.0, gt=0, le=100, description="how much larger the object becomes, about its centre")
    reference_prompt: ReferencePrompt = None
    edit_weight: EditWeight = 4.0
    preserve_weight: PreserveWeight = 6.0


@hookimpl
def dragonkit_edits() -> list[type[Edit]]:
    return [Paste]


@hookimpl
def dragonkit_reference(edit: Edit) -> Reference:
    assert isinstance(edit, Paste)
    return Reference(edit.reference, edit.reference_prompt)


@hookimpl
def dragonkit_build_masks(edit: Edit, size: tuple[int, int]) -> Placement:
    """Where the object lands; all that is there comes from a place in the reference.

    Raises:
        MaskError: the reference mask has not the size of its picture, or is empty.
        EditError: nothing of the object would be in the picture.
    """
    assert isinstance(edit, Paste)
    mask = load_reference_mask(edit.reference, edit.reference_mask)
    affine = _affine(edit, mask)
    target = _landed(mask, affine, size)
    if not target.any():
        raise EditError(_nothing_inside(edit, mask, affine, size))
    back = functools.partial(map_points, inverse_affine(affine))
    return Placement(source=np.zeros_like(target), target=target, back=back, reference_mask=mask)


@hookimpl
def dragonkit_energy_terms(edit: Edit, masks: EditMasks) -> Iterable[EnergyTerm] | None:
    """Edit and preserve (eq. 5)."""
    if not isinstance(edit, Paste):
        return None
    cells = Cells(masks)

    def resemble_reference(features: Features) -> Tensor:
        from dragonkit.plugin_api import gather, inverse_energy, local_similarity, warp

        reference, grid = reference_features(features)
        pasted, target = warp(reference, masks.correspondence_on(grid)), cells("target", reference)
        return inverse_energy(local_similarity(gather(features.generated, target), gather(pasted, target)))

    look = EnergyTerm("edit", resemble_reference, edit.edit_weight, region="target")
    return [look, preserve(masks, edit.preserve_weight)] if masks.preserve.any() else [look]


@hookimpl
def dragonkit_attention(masks: EditMasks) -> AttentionPlan:
    """Keys and values of the source outside the target and of the reference's object, for steps 0 to 35 of 50."""
    return reference_attention(masks)


def _affine(edit: Paste, mask: np.ndarray) -> np.ndarray:
    """From pixels of the reference to pixels of the picture; by whole pixels, so that an object that is not scaled keeps its own."""
    return affine_about(center_of(mask), edit.scale, shift=(round(edit.shift[0]), round(edit.shift[1])))


def _landed(mask: np.ndarray, affine: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The mask along the map, on a picture of another size (width, height)."""
    width, height = size
    canvas = np.zeros((max(height, mask.shape[0]), max(width, mask.shape[1])), bool)
    canvas[: mask.shape[0], : mask.shape[1]] = mask
    return np.ascontiguousarray(warp_mask(canvas, affine)[:height, :width])


def _nothing_inside(edit: Paste, mask: np.ndarray, affine: np.ndarray, size: tuple[int, int]) -> str:
    left, top, right, bottom = bounding_box(mask)
    (x0, y0), (x1, y1) = map_points(affine, np.array([(left, top), (right, bottom)]))
    return (
        f"nothing of the pasted object is in the {size[0]}x{size[1]} picture: "
        f"with shift {edit.shift} and scale {edit.scale} it reaches from ({x0:.4g}, {y0:.4g}) to ({x1:.4g}, {y1:.4g}); "
        "use another shift or scale"
    )
