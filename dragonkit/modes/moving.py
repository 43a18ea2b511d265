"""What the modes that move content within its picture share: their fields, their masks, their energies, their attention.

    class Rotate(MovingEdit):
        mode: ClassVar[str] = "rotate"
        degrees: float = Field(description="how far, clockwise as seen")

        def affine(self, mask):
            return affine_about(center_of(mask), degrees=self.degrees)

Any plugin may use this. Its hooks then are one line each: see `dragonkit.modes.resize`.
"""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from pydantic import Field

from dragonkit.edits.edit import Edit
from dragonkit.edits.values import Mask, Region
from dragonkit.energy.terms import moving_terms
from dragonkit.imaging.masks import load_mask
from dragonkit.modes.geometry import moved_along
from dragonkit.plugins.answers import AttentionPlan, EditMasks, EnergyTerm
from dragonkit.plugins.placement import Placement

__all__ = ["ContrastWeight", "EditWeight", "Fill", "InpaintWeight", "MovingEdit", "ObjectMask", "PreserveWeight", "source_attention"]

ObjectMask = Annotated[Mask, Field(description="the object, white on black, of the picture's size")]
Fill = Annotated[
    Region | None, Field(description="the region that the vacated place shall resemble; all that is not the object when left out")
]
EditWeight = Annotated[float, Field(ge=0, description="weight of looking like the object at the target (eq. 5)")]
PreserveWeight = Annotated[float, Field(ge=0, description="weight of what must not change (eq. 5)")]
ContrastWeight = Annotated[float, Field(ge=0, description="weight of no longer looking like the object at the vacated place (eq. 7)")]
InpaintWeight = Annotated[float, Field(ge=0, description="weight of looking like the surroundings at the vacated place (eq. 8)")]


class MovingEdit(Edit):
    """Move the object under `mask` along an affine map, and fill the place it leaves.

    A subclass adds the fields that fix the map, and `affine`; they come right after `mask`, in forms and in help.
    """

    mask: ObjectMask
    fill: Fill = None
    edit_weight: EditWeight = 4.0
    preserve_weight: PreserveWeight = 6.0
    contrast_weight: ContrastWeight = 0.2
    inpaint_weight: InpaintWeight = 0.8

    @classmethod
    def __pydantic_init_subclass__(cls, **arguments: Any) -> None:
        for name in [name for name in MovingEdit.model_fields if name != "mask"]:
            cls.model_fields[name] = cls.model_fields.pop(name)
        cls.model_rebuild(force=True)
        super().__pydantic_init_subclass__(**arguments)

    def affine(self, mask: np.ndarray) -> np.ndarray:
        """Where the content goes: float64 (2, 3), in pixels of the picture; see `dragonkit.imaging.affine`.

        Args:
            mask: bool (H, W), the object.

        Raises:
            EditError: the edit makes no sense for this object or picture.
        """
        raise NotImplementedError(f"{type(self).__name__} must say where its content goes: define affine(self, mask).")

    def nothing_left(self, mask: np.ndarray) -> str | None:
        """What the error says when all of the object would leave the picture; None for a sentence that fits any map."""
        return None

    def placement(self, size: tuple[int, int]) -> Placement:
        """The answer for `dragonkit_build_masks`, for a picture of `size` (width, height).

        Raises:
            MaskError: a mask has another size, or is empty.
            EditError: nothing of the object would be left in the picture.
        """
        mask = load_mask(self.mask, size)
        affine = self.affine(mask)
        return moved_along(mask, affine, None if self.fill is None else load_mask(self.fill, size), self.nothing_left(mask))

    def energy_terms(self, masks: EditMasks) -> list[EnergyTerm]:
        """The answer for `dragonkit_energy_terms`: edit (eq. 5; eq. 9 where the size changes), preserve, contrast (7), inpaint (8)."""
        return moving_terms(masks, self.edit_weight, self.preserve_weight, self.contrast_weight, self.inpaint_weight)


def source_attention() -> AttentionPlan:
    """Keys and values of the source replace the decoder's own from step 5 of 50 on, as the released code does."""
    return AttentionPlan(form="replace", start=0.1)
