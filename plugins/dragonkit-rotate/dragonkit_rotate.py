"""Rotate: turn the object under a mask about its centre, and fill the place it leaves. A plugin for dragonkit.

DragonDiffusion (arXiv 2307.02421) moves and resizes. Turning is the same with another map: its energies compare each target cell
with the place in the source that its content comes from, and a correspondence says that for any map.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import numpy as np
from pydantic import Field, field_validator

from dragonkit.plugin_api import (
    AttentionPlan,
    Edit,
    EditMasks,
    EnergyTerm,
    MovingEdit,
    Placement,
    affine_about,
    center_of,
    hookimpl,
    source_attention,
)

__all__ = ["Rotate"]


class Rotate(MovingEdit):
    """Turn the object under `mask` by `degrees` about its centre; what leaves the picture is cut off.

    Example:
        Rotate(mask="fish.png", degrees=30)
    """

    mode: ClassVar[str] = "rotate"

    degrees: float = Field(ge=-360, le=360, description="how far, clockwise as seen")

    @field_validator("degrees")
    @classmethod
    def _turns(cls, degrees: float) -> float:
        if degrees % 360 == 0:
            raise ValueError("nothing would change; give an angle that is no multiple of 360")
        return degrees

    def affine(self, mask: np.ndarray) -> np.ndarray:
        return affine_about(center_of(mask), degrees=self.degrees)


@hookimpl
def dragonkit_edits() -> list[type[Edit]]:
    return [Rotate]


@hookimpl
def dragonkit_build_masks(edit: Rotate, size: tuple[int, int]) -> Placement:
    return edit.placement(size)


@hookimpl
def dragonkit_energy_terms(edit: Edit, masks: EditMasks) -> Iterable[EnergyTerm] | None:
    return edit.energy_terms(masks) if isinstance(edit, Rotate) else None


@hookimpl
def dragonkit_attention() -> AttentionPlan:
    return source_attention()
