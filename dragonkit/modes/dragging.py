"""Where a drag acts, in pixels: on an object and the ground it leaves, on all that is under a mask, or on patches of noise."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

from dragonkit.errors import MaskError, PointError
from dragonkit.imaging.deform import Deformation, rigid
from dragonkit.imaging.masks import Grid
from dragonkit.plugins.answers import identity_correspondence
from dragonkit.plugins.placement import Placement

__all__ = ["check_places", "ground_warped", "object_deformed", "patches_moved"]

Point = tuple[float, float]
Points = Sequence[tuple[Point, Point]]

STILL = 0.1
"""What moves by less than this, in pixels, counts as not moved at all."""


def object_deformed(points: Points, thing: np.ndarray, mask: np.ndarray | None) -> Placement:
    """An object deformed on ground that stays. Nothing holds it at the mask's border, which goes around it.

    Args:
        points: pairs of start and end, (x, y) in pixels.
        thing: bool (H, W), the object.
        mask: bool (H, W), what may change at most; None for the whole picture.

    Raises:
        MaskError: no part of the object lies under the mask.
    """
    height, width = thing.shape
    if mask is not None:
        thing = thing & mask
        if not thing.any():
            raise MaskError("no part of the drag's object lies under its mask; paint the mask around the object and the places it goes to")
    deformation, pixels = Deformation(points, (width, height)), Grid(width, height, width, height)
    displacement, _ = deformation.on(pixels)
    places = identity_correspondence(pixels) + displacement
    column, row = np.moveaxis(np.floor(places).astype(int), -1, 0)
    target = deformation.movable(places) & thing[row.clip(0, height - 1), column.clip(0, width - 1)]
    if mask is not None:
        target &= mask
    return Placement(
        source=thing, target=target, back=functools.partial(_where_from, deformation, displacement), certain=target & rigid(displacement)
    )


def ground_warped(points: Points, size: tuple[int, int], mask: np.ndarray | None) -> Placement:
    """All that is under the mask deformed, ground and all; what would have to come from beyond it the model must paint."""
    deformation, displacement, dragged, region = _felt(points, size, mask)
    target = region & deformation.movable(identity_correspondence(Grid(*size, *size)) + displacement)
    return Placement(
        source=dragged | (region & ~target),
        target=target,
        touched=region,
        back=functools.partial(_where_from, deformation, displacement),
        certain=target & rigid(displacement),
        with_ground=True,
    )


def patches_moved(points: Points, size: tuple[int, int], mask: np.ndarray | None) -> Placement:
    """Nothing moved in pixels: the mask may change, or where there is none, what a warp would change."""
    region = _felt(points, size, mask)[-1] if mask is None else mask
    return Placement(source=region, target=region)


def _felt(points: Points, size: tuple[int, int], mask: np.ndarray | None) -> tuple[Deformation, np.ndarray, np.ndarray, np.ndarray]:
    """The deformation, how far each pixel's content comes (H, W, 2), what mostly comes along, and all that changes, bool (H, W)."""
    deformation = Deformation(points, size, mask)
    displacement, grip = deformation.on(Grid(*size, *size))
    dragged = grip >= 0.5
    return deformation, displacement, dragged, dragged | (np.hypot(displacement[..., 0], displacement[..., 1]) > STILL)


def _where_from(deformation: Deformation, displacement: np.ndarray, places: np.ndarray) -> np.ndarray:
    """The deformation at places (n, 2), computed anew where they are no centres of pixels: those are known."""
    column, row = np.floor(places).astype(int).T
    if np.array_equal(places, np.stack([column, row], axis=1) + 0.5):
        return places + displacement[row, column]
    return places + deformation.displacement(places)


def check_places(points: Points, size: tuple[int, int], mask: np.ndarray | None) -> None:
    """PointError where a point lies outside the picture or the mask."""
    width, height = size
    for number, pair in enumerate(points):
        for name, place in zip(("start", "end"), pair, strict=True):
            what = f"the {name} of points[{number}], ({place[0]:g}, {place[1]:g}),"
            if not _is_inside(place, size, None):
                within = f"give x from 0 to {width} and y from 0 to {height}"
                raise PointError(f"{what} lies outside the {width}x{height} picture; {within}{_hint(points, size, mask)}")
            if not _is_inside(place, size, mask):
                raise PointError(
                    f"{what} lies outside the mask; move it, or paint the mask over starts and ends{_hint(points, size, mask)}"
                )


def _is_inside(place: Point, size: tuple[int, int], mask: np.ndarray | None) -> bool:
    (x, y), (width, height) = place, size
    if not (0 <= x <= width and 0 <= y <= height):
        return False
    return mask is None or bool(mask[min(int(y), height - 1), min(int(x), width - 1)])


def _hint(points: Points, size: tuple[int, int], mask: np.ndarray | None) -> str:
    """What to say where the points were probably given as (y, x), as arrays are indexed."""
    swapped = [(y, x) for pair in points for x, y in pair]
    all_inside = all(_is_inside(place, size, mask) for place in swapped)
    return "; with x and y swapped all of them would lie inside: a point is (x, y), not (row, column)" if all_inside else ""
