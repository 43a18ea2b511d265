"""RegionDrag: drag the region under a mask by pairs of points, and fill the place it leaves. A plugin for dragonkit.

After RegionDrag (Lu, Li, Han; ECCV 2024, arXiv 2407.18247): the user says where a whole region goes, not single points, so a few pairs
give a dense, backward map without holes. Here the map is affine, and DragonDiffusion (arXiv 2307.02421) guides along it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field, field_validator

from dragonkit.plugin_api import (
    AttentionPlan,
    ContrastWeight,
    Edit,
    EditMasks,
    EditWeight,
    EnergyTerm,
    Fill,
    Grid,
    InpaintWeight,
    ObjectMask,
    PointError,
    Points,
    PreserveWeight,
    affine_through,
    hookimpl,
    load_mask,
    moved_noise,
    moving_terms,
    source_attention,
    warped_masks,
)

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["RegionDrag"]

Point = tuple[float, float]


class RegionDrag(Edit):
    """Drag the region under `mask` such that the first point of every pair comes to the second.

    One pair shifts it; two also turn and scale it; three stretch and shear it as they need; more are met as nearly as can be.

    Example:
        RegionDrag(mask="wing.png", points=[((40, 60), (40, 60)), ((80, 60), (75, 40))])
    """

    mode: ClassVar[str] = "region"

    mask: ObjectMask
    points: Points = Field(min_length=1, description="pairs of places in pixels: from where to where")
    fill: Fill = None
    edit_weight: EditWeight = 4.0
    preserve_weight: PreserveWeight = 6.0
    contrast_weight: ContrastWeight = 0.2
    inpaint_weight: InpaintWeight = 0.8

    @field_validator("points")
    @classmethod
    def _fix_a_map(cls, points: tuple[tuple[Point, Point], ...]) -> tuple[tuple[Point, Point], ...]:
        if np.allclose(affine_through(points), [[1, 0, 0], [0, 1, 0]]):
            raise PointError("the pairs leave everything where it is, so nothing would change; end one of them elsewhere")
        return points


@hookimpl
def dragonkit_edits() -> list[type[Edit]]:
    return [RegionDrag]


@hookimpl
def dragonkit_build_masks(edit: Edit, grid: Grid) -> EditMasks:
    """The region along the affine map through the pairs.

    Raises:
        PointError: a pair starts outside the picture.
        EditError: nothing of the region would be left in the picture.
    """
    assert isinstance(edit, RegionDrag)
    size = (grid.image_width, grid.image_height)
    for number, ((x, y), _) in enumerate(edit.points):
        if not (0 <= x <= size[0] and 0 <= y <= size[1]):
            raise PointError(f"points[{number}] starts at ({x:g}, {y:g}), outside the {size[0]}x{size[1]} picture; start it inside")
    mask = load_mask(edit.mask, size)
    fill = None if edit.fill is None else load_mask(edit.fill, size)
    return warped_masks(grid, mask, affine_through(edit.points), fill)


@hookimpl
def dragonkit_energy_terms(edit: Edit, masks: EditMasks) -> Iterable[EnergyTerm] | None:
    if not isinstance(edit, RegionDrag):
        return None
    return moving_terms(masks, edit.edit_weight, edit.preserve_weight, edit.contrast_weight, edit.inpaint_weight)


@hookimpl
def dragonkit_initial_latents(edit: Edit, masks: EditMasks, source: Any) -> Tensor:
    return moved_noise(masks, source)


@hookimpl
def dragonkit_attention(edit: Edit, masks: EditMasks) -> AttentionPlan:
    return source_attention()
