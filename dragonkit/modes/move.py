"""Move: take the object under a mask somewhere else, at another size if wished, and fill the place it leaves (paper, section 3.3)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import numpy as np
from pydantic import Field

from dragonkit.edits.edit import Edit
from dragonkit.edits.values import Shift
from dragonkit.errors import EditError
from dragonkit.imaging.affine import affine_about, warp_mask
from dragonkit.imaging.masks import center_of
from dragonkit.modes.moving import MovingEdit, source_attention
from dragonkit.plugins.answers import AttentionPlan, EditMasks, EnergyTerm
from dragonkit.plugins.placement import Placement
from dragonkit.plugins.specs import hookimpl

__all__ = ["Move"]


class Move(MovingEdit):
    """Move the object under `mask` by `shift` pixels, scaled about its centre.

    Example:
        dk.Move(mask="fish.png", shift=(40, 0))
    """

    mode: ClassVar[str] = "move"

    shift: Shift = Field(default=(0.0, 0.0), description="how far, in pixels: right and down are positive")
    scale: float = Field(default=1.0, gt=0, le=10, description="how much larger the object becomes, about its centre")

    def affine(self, mask: np.ndarray) -> np.ndarray:
        """Scaled about the centre of gravity, then shifted by whole pixels, so that an object that is not scaled keeps its own.

        Raises:
            EditError: the object neither moves nor changes size, or is scaled to nothing.
        """
        center, shift = center_of(mask), (round(self.shift[0]), round(self.shift[1]))
        if shift == (0, 0) and self.scale == 1:
            raise EditError(
                f"the move has shift {self.shift} and scale 1, so nothing would change; give a shift of a pixel or more, or a scale"
            )
        if self.scale != 1 and not warp_mask(mask, affine_about(center, self.scale)).any():
            raise EditError(f"the scale {self.scale} leaves nothing of an object of {mask.sum()} pixels; use a scale closer to 1")
        return affine_about(center, self.scale, shift=shift)

    def nothing_left(self, mask: np.ndarray) -> str:
        x, y = center_of(mask)
        return (
            f"the shift {self.shift} takes the whole object out of the {mask.shape[1]}x{mask.shape[0]} picture; "
            f"its centre is at ({x:.0f}, {y:.0f}), so use a smaller shift"
        )


@hookimpl
def dragonkit_edits() -> list[type[Edit]]:
    return [Move]


@hookimpl
def dragonkit_build_masks(edit: Move, size: tuple[int, int]) -> Placement:
    return edit.placement(size)


@hookimpl
def dragonkit_energy_terms(edit: Edit, masks: EditMasks) -> Iterable[EnergyTerm] | None:
    return edit.energy_terms(masks) if isinstance(edit, Move) else None


@hookimpl
def dragonkit_attention() -> AttentionPlan:
    return source_attention()
