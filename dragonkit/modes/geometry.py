"""The masks of the usual edits: content that moves along an affine map, and content that changes in its place."""

from __future__ import annotations

import numpy as np

from dragonkit.errors import EditError
from dragonkit.imaging.affine import inverse_affine, map_points, warp_mask
from dragonkit.imaging.masks import Grid, center_of, to_grid
from dragonkit.plugins.answers import EditMasks, identity_correspondence
from dragonkit.words import place

__all__ = ["masks_in_place", "warped_masks"]


def warped_masks(
    grid: Grid, mask: np.ndarray, affine: np.ndarray, surroundings: np.ndarray | None = None, gone: str | None = None
) -> EditMasks:
    """What a mode that moves the content under `mask` along `affine` answers in `dragonkit_build_masks`.

    Args:
        grid: the raster to answer on.
        mask: bool (H, W) of the picture's size, as `load_mask` gives it.
        affine: where the content goes, in pixels of the picture; any map that can be undone.
        surroundings: bool (H, W), what the vacated place shall resemble; None for all that is neither source nor target.
        gone: what the error says when nothing would be left in the picture; None for a sentence of its own.

    Returns:
        Masks whose correspondence is the map back inside the target, and the identity elsewhere.

    Raises:
        MaskError: the mask is not of the picture's size.
        EditError: nothing of the content would be left in the picture, or the map cannot be undone.
    """
    target = warp_mask(mask, affine)
    if not target.any():
        raise EditError(gone or _nothing_left(mask, affine))
    touched = mask | target
    around = ~touched if surroundings is None else surroundings
    source_cells, target_cells = to_grid(mask, grid), to_grid(target, grid)
    cell = np.array([grid.cell_width, grid.cell_height])
    correspondence = identity_correspondence(grid)
    correspondence[target_cells] = map_points(inverse_affine(affine), correspondence[target_cells] * cell) / cell
    return EditMasks(
        grid=grid,
        source=source_cells,
        target=target_cells,
        # a cell that the content touches at all may change
        preserve=~(to_grid(touched, grid, coverage=0.02) | source_cells | target_cells),
        vacated=source_cells & ~target_cells,
        surroundings=to_grid(around, grid) if around.any() else ~source_cells,
        correspondence=correspondence,
    )


def masks_in_place(grid: Grid, mask: np.ndarray) -> EditMasks:
    """What a mode that changes the look of what is under `mask` answers in `dragonkit_build_masks`: nothing moves, nothing is vacated.

    Args:
        grid: the raster to answer on.
        mask: bool (H, W) of the picture's size, as `load_mask` gives it.
    """
    cells = to_grid(mask, grid)
    preserve = ~(to_grid(mask, grid, coverage=0.02) | cells)  # a cell that the mask touches at all may change
    return EditMasks(
        grid=grid,
        source=cells,
        target=cells,
        preserve=preserve,
        vacated=np.zeros_like(cells),
        surroundings=preserve,
        correspondence=identity_correspondence(grid),
    )


def _nothing_left(mask: np.ndarray, affine: np.ndarray) -> str:
    center = np.array(center_of(mask))
    area = abs(np.linalg.det(affine[:, :2]))
    return (
        f"nothing of the {mask.sum()} pixels under the mask would be left in the {mask.shape[1]}x{mask.shape[0]} picture: "
        f"their centre goes from {place(center)} to {place(map_points(affine, center))}, at {area:.3g} times their area. "
        "Change them less."
    )
