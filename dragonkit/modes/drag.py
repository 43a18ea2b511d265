"""Drag: what is at some points shall be at others (paper, section 3.3), with the picture around them warped smoothly."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field, field_validator

from dragonkit.edits.edit import Edit
from dragonkit.edits.settings import Settings
from dragonkit.edits.values import Mask, Points
from dragonkit.energy.terms import contrast, preserve
from dragonkit.errors import PointError
from dragonkit.imaging.masks import Grid, load_mask
from dragonkit.modes.dragging import check_places, ground_warped, object_deformed, patches_moved
from dragonkit.modes.moving import EditWeight, PreserveWeight
from dragonkit.plugins.answers import AttentionPlan, EditMasks, EnergyTerm, Features
from dragonkit.plugins.placement import Placement
from dragonkit.plugins.specs import hookimpl

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Drag"]

Point = tuple[float, float]

MOST_POINTS = 1000
"""Every point is felt at every pixel: so many take five seconds in a picture of a megapixel, and twice the points twice as long."""


class Drag(Edit):
    """Drag what is at each start to its end; what lies between and around follows.

    Example:
        dk.Drag(points=[((30, 20), (30, 8))], mask="tree.png")
    """

    mode: ClassVar[str] = "drag"

    points: Points = Field(
        min_length=1, description="from and to, in pixels from the top left corner; a point that goes nowhere holds its place"
    )
    mask: Mask | None = Field(
        default=None, description="what may change at most, white on black, of the picture's size; the whole picture when left out"
    )
    object: Mask | None = Field(
        default=None,
        description="what is dragged, white on black; its ground stays. Left out, it is what stands out from the ground where `mask` goes "
        "all around it, and else all that is under `mask`",
    )
    radius: int = Field(default=1, ge=0, le=8, description="how many feature cells around each point are compared and copied")
    init: Literal["auto", "warp", "patches"] = Field(
        default="auto",
        description="what the result starts from: the picture warped, or noise with patches copied; as the settings' start says",
    )
    edit_weight: EditWeight = 4.0
    preserve_weight: PreserveWeight = 6.0
    contrast_weight: float = Field(
        default=0.0, ge=0, description="weight of no longer looking at each start like before (eq. 7); 0.2 in the released code"
    )

    def settled(self, settings: Settings, picture: np.ndarray) -> Drag:
        """`init="auto"` is a warp where edits start from a picture, else patches; a warp looks for its object in it, uint8 (H, W, 3)."""
        if self.init == "auto" and settings.start == "noise":
            return self.model_copy(update={"init": "patches"})
        if self.init == "patches" or self.mask is None or self.object is not None:
            return self
        from dragonkit.imaging.ground import standing_out

        size = (picture.shape[1], picture.shape[0])
        found = standing_out(picture, load_mask(self.mask, size), [start for start, end in self.points if start != end])
        return self if found is None else self.model_copy(update={"object": found})

    @field_validator("points")
    @classmethod
    def _check_points(cls, points: tuple[tuple[Point, Point], ...]) -> tuple[tuple[Point, Point], ...]:
        if len(points) > MOST_POINTS:
            raise PointError(f"a drag takes at most {MOST_POINTS} points, got {len(points)}; leave out those that others carry along")
        for (start, end), (other_start, other_end) in combinations(points, 2):
            if start == other_start and end != other_end:
                raise PointError(f"what is at {start} cannot go both to {end} and to {other_end}; leave one of them out")
            if end == other_end and start != other_start:
                raise PointError(f"what is at {start} and what is at {other_start} cannot both go to {end}; leave one of them out")
        if all(start == end for start, end in points):
            raise PointError(f"every point ends where it starts, the first at {points[0][0]}, so nothing would change; move an end")
        return points


@hookimpl
def dragonkit_edits() -> list[type[Edit]]:
    return [Drag]


@hookimpl
def dragonkit_build_masks(edit: Edit, size: tuple[int, int]) -> Placement:
    """The region in which the drag is felt. A warp looks its content up along the deformation; patches move nothing in pixels.

    Raises:
        PointError: a point lies outside the picture or the mask.
        MaskError: the object lies nowhere under the mask.
    """
    assert isinstance(edit, Drag)
    mask = None if edit.mask is None else load_mask(edit.mask, size)
    check_places(edit.points, size, mask)
    if edit.init == "patches":
        return patches_moved(edit.points, size, mask)
    if edit.object is None:
        return ground_warped(edit.points, size, mask)
    return object_deformed(edit.points, load_mask(edit.object, size), mask)


@hookimpl
def dragonkit_energy_terms(edit: Edit, masks: EditMasks) -> Iterable[EnergyTerm] | None:
    """Edit and preserve (eq. 5): the neighbourhoods of all ends are compared with those of their starts, by one similarity.

    Where it is weighed, contrast (eq. 7) as well: about a start, and not about an end, nothing shall stay as it was.
    """
    if not isinstance(edit, Drag):
        return None
    starts, ends = np.concatenate([_neighbourhoods(pair, edit.radius, masks.grid) for pair in edit.points], axis=2)

    def resemble_start(features: Features) -> Tensor:
        from dragonkit.energy.similarity import inverse_energy, local_similarity
        from dragonkit.imaging.lookup import warp

        return inverse_energy(local_similarity(warp(features.generated, ends)[:, 0], warp(features.source, starts)[:, 0]))

    terms = [EnergyTerm("edit", resemble_start, edit.edit_weight, region="target")]
    if masks.preserve.any():
        terms.append(preserve(masks, edit.preserve_weight))
    about_starts, about_ends = (_cells_about(points, edit.radius, masks.grid) for points in zip(*edit.points, strict=True))
    if edit.contrast_weight and (about_starts & ~about_ends).any():
        term = contrast(replace(masks, vacated=about_starts & ~about_ends), edit.contrast_weight)
        terms.append(replace(term, region="target"))
    return terms


def _cells_about(points: Iterable[Point], radius: int, grid: Grid) -> np.ndarray:
    """The cells that lie in a square neighbourhood of a point's own, bool (grid.height, grid.width)."""
    about = np.zeros(grid.shape, bool)
    for x, y in points:
        column, row = int(x / grid.cell_width), int(y / grid.cell_height)
        about[max(row - radius, 0) : row + radius + 1, max(column - radius, 0) : column + radius + 1] = True
    return about


def _offsets(radius: int) -> np.ndarray:
    """The cells of a square neighbourhood as seen from its middle, int (n, 2)."""
    steps = np.arange(-radius, radius + 1)
    return np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)


def _neighbourhoods(pair: tuple[Point, Point], radius: int, grid: Grid) -> np.ndarray:
    """Positions about start and end, float32 (2, 1, n, 2), in cells; without those that leave the picture in either place."""
    both = np.array(pair)[:, None] / [grid.cell_width, grid.cell_height] + _offsets(radius)
    inside = ((both >= 0) & (both <= [grid.width, grid.height])).all(axis=(0, 2))
    return both[:, None, inside].astype(np.float32)


@hookimpl
def dragonkit_initial_latents(edit: Edit, masks: EditMasks, source: Any) -> Tensor | None:
    """Patches of the source's z_T about the starts copied to the ends, as in the released code; a warp starts as all that moves does."""
    assert isinstance(edit, Drag)
    if edit.init != "patches":
        return None
    latents: Tensor = source.latents_at(len(source.schedule))
    grid, patched = masks.grid, latents.clone()
    last = np.array([grid.width, grid.height]) - 1
    for pair in edit.points:
        cells = (np.array(pair) / [grid.cell_width, grid.cell_height]).astype(int).clip(0, last)[:, None] + _offsets(edit.radius)
        inside = ((cells >= 0) & (cells <= last)).all(axis=(0, 2))
        (from_x, from_y), (to_x, to_y) = cells[:, inside].transpose(0, 2, 1)
        patched[..., to_y, to_x] = latents[..., from_y, from_x]
    return patched


@hookimpl
def dragonkit_attention(edit: Edit, masks: EditMasks) -> AttentionPlan:
    """Keys and values of the source beside the decoder's own from step 5 of 50 on, as in the released code."""
    return AttentionPlan(form="concatenate", start=0.1)
