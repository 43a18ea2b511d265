"""RegionDrag: drag the region under a mask by pairs of points, and fill the place it leaves. A plugin for dragonkit.

After RegionDrag (Lu, Li, Han; ECCV 2024, arXiv 2407.18247): the user says where a whole region goes, not single points, so a few pairs
give a dense, backward map without holes. Here the map is affine, and DragonDiffusion (arXiv 2307.02421) guides along it.
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
    PointError,
    Points,
    affine_through,
    hookimpl,
    source_attention,
)

__all__ = ["RegionDrag"]

Point = tuple[float, float]


class RegionDrag(MovingEdit):
    """Drag the region under `mask` such that the first point of every pair comes to the second.

    One pair shifts it; two also turn and scale it; three stretch and shear it as they need; more are met as nearly as can be.

    Example:
        RegionDrag(mask="wing.png", points=[((40, 60), (40, 60)), ((80, 60), (75, 40))])
    """

    mode: ClassVar[str] = "region"

    points: Points = Field(min_length=1, description="pairs of places in pixels: from where to where")

    @field_validator("points")
    @classmethod
    def _fix_a_map(cls, points: tuple[tuple[Point, Point], ...]) -> tuple[tuple[Point, Point], ...]:
        if np.allclose(affine_through(points), [[1, 0, 0], [0, 1, 0]]):
            raise PointError("the pairs leave everything where it is, so nothing would change; end one of them elsewhere")
        return points

    def affine(self, mask: np.ndarray) -> np.ndarray:
        """The map through the pairs. PointError when one of them starts outside the picture."""
        height, width = mask.shape
        for number, ((x, y), _) in enumerate(self.points):
            if not (0 <= x <= width and 0 <= y <= height):
                raise PointError(f"points[{number}] starts at ({x:g}, {y:g}), outside the {width}x{height} picture; start it inside")
        return affine_through(self.points)


@hookimpl
def dragonkit_edits() -> list[type[Edit]]:
    return [RegionDrag]


@hookimpl
def dragonkit_build_masks(edit: RegionDrag, size: tuple[int, int]) -> Placement:
    return edit.placement(size)


@hookimpl
def dragonkit_energy_terms(edit: Edit, masks: EditMasks) -> Iterable[EnergyTerm] | None:
    return edit.energy_terms(masks) if isinstance(edit, RegionDrag) else None


@hookimpl
def dragonkit_attention() -> AttentionPlan:
    return source_attention()
