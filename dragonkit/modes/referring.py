"""What the modes that take something from a second picture share: its fields, its mask, its features, its keys and values.

Any plugin may use this.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import Field

from dragonkit.edits.edit import Edit
from dragonkit.edits.prompts import Prompt
from dragonkit.edits.values import Format, Mask, Picture, mask_to_json
from dragonkit.errors import EditError, MaskError
from dragonkit.imaging.images import load_image, open_picture
from dragonkit.imaging.mask_meaning import cut_out
from dragonkit.imaging.masks import Grid, load_mask
from dragonkit.plugins.answers import AttentionPlan, EditMasks, Features

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "ReferenceMask",
    "ReferencePicture",
    "ReferencePrompt",
    "ReferringEdit",
    "load_reference_mask",
    "reference_attention",
    "reference_features",
]

ReferencePicture = Annotated[Picture, Field(description="the second picture, of any size")]
ReferenceMask = Annotated[
    Annotated[Mask, Format("reference-mask")] | None,
    Field(
        default=None,
        description="the object in the second picture, white on black, of that picture's size; what is opaque when left out and it has "
        "transparency",
    ),
]
"""A mask of the second picture, which is the `Picture` field before it."""
ReferencePrompt = Annotated[Prompt | None, Field(description="what the second picture shows; the same as the first when left out")]


class ReferringEdit(Edit):
    """The base of modes that take an object from a second picture: a subclass has the fields `reference` and `reference_mask`.

    Written to JSON, the mask is always there, also where the reference's transparency is it: the picture is written without.
    """

    def to_dict(self) -> dict[str, Any]:
        data = super().to_dict()
        if data["reference_mask"] is None:
            data["reference_mask"] = mask_to_json(load_reference_mask(self.__dict__["reference"], None))
        return data


def load_reference_mask(reference: Any, mask: Any) -> np.ndarray:
    """The mask of a reference picture, bool (H', W'), as `load_mask` reads it; what is opaque in the picture where the mask is None.

    Raises:
        MaskError: it cannot be read, which is said with the field's name; or there is none, and all of the picture is opaque.
        ImageError: the picture cannot be read.
    """
    if mask is None:
        opaque = cut_out(open_picture(reference))
        if opaque is None:
            raise MaskError(
                "there is no reference_mask, and no transparency in the reference picture that could be one. Give the mask of its object."
            )
        return opaque
    try:
        return load_mask(mask, load_image(reference).size)
    except MaskError as error:
        raise MaskError(f"reference_mask, which lies over the reference picture: {error}") from error


def reference_features(features: Features) -> tuple[Tensor, Grid]:
    """`features.reference` (c, h', w') and the raster that it lies on. EditError where there are none."""
    if features.reference is None or features.reference_grid is None:
        raise EditError(
            f"this energy compares with a reference picture, but the features of layer {features.layer} have none; "
            "give the picture in the hook dragonkit_reference"
        )
    return features.reference, features.reference_grid


def reference_attention(masks: EditMasks) -> AttentionPlan:
    """Keys and values of the source outside the target and of the reference's object, for steps 0 to 35 of 50, as in the released code.

    Args:
        masks: on the latents' cells, with a `reference_mask`.
    """
    return AttentionPlan(form="replace", start=0.0, stop=0.72, source_mask=~masks.target, reference_mask=masks.reference_mask)
