"""Resize: make the object under a mask larger or smaller where it stands (paper, section 3.3, equation 9)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import numpy as np
from pydantic import Field, field_validator

from dragonkit.edits.edit import Edit
from dragonkit.imaging.affine import affine_about
from dragonkit.imaging.masks import center_of
from dragonkit.modes.moving import MovingEdit, source_attention
from dragonkit.plugins.answers import AttentionPlan, EditMasks, EnergyTerm
from dragonkit.plugins.placement import Placement
from dragonkit.plugins.specs import hookimpl

__all__ = ["Resize"]


class Resize(MovingEdit):
    """Make the object under `mask` `scale` times as large, about its centre; what leaves the picture is cut off.

    Example:
        dk.Resize(mask="fish.png", scale=1.5)
    """

    mode: ClassVar[str] = "resize"

    scale: float = Field(gt=0, le=10, description="how much larger the object becomes, about its centre; below 1 it shrinks")

    @field_validator("scale")
    @classmethod
    def _changes_something(cls, scale: float) -> float:
        if scale == 1:
            raise ValueError("nothing would change; give a scale below 1 to shrink the object, or above 1 to enlarge it")
        return scale

    def affine(self, mask: np.ndarray) -> np.ndarray:
        return affine_about(center_of(mask), self.scale)

    def nothing_left(self, mask: np.ndarray) -> str:
        return f"the scale {self.scale} leaves nothing of an object of {mask.sum()} pixels; use a scale closer to 1"


@hookimpl
def dragonkit_edits() -> list[type[Edit]]:
    return [Resize]


@hookimpl
def dragonkit_build_masks(edit: Resize, size: tuple[int, int]) -> Placement:
    return edit.placement(size)


@hookimpl
def dragonkit_energy_terms(edit: Edit, masks: EditMasks) -> Iterable[EnergyTerm] | None:
    """Edit (eq. 9) and preserve (eq. 5); for a smaller object also contrast (eq. 7) and inpaint (eq. 8) where it was."""
    return edit.energy_terms(masks) if isinstance(edit, Resize) else None


@hookimpl
def dragonkit_attention() -> AttentionPlan:
    return source_attention()
