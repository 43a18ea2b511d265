"""Whether the masks of an edit make sense, on every raster and together."""

from __future__ import annotations

import numpy as np

from dragonkit.edits.edit import Edit
from dragonkit.imaging.masks import Grid, cell_coverage, dilate
from dragonkit.plugins.answers import EditMasks
from dragonkit.plugins.registry import PluginRegistry
from dragonkit.testing.failures import failure

__all__ = ["check_masks"]

HOOK = "dragonkit_build_masks"
SLACK = 2.0
"""Cells by which a coarse raster may differ from the pixels: what a mask loses by rounding, and half as much again for plugins
that think in cells."""
APART = (("target", "preserve"), ("source", "preserve"), ("vacated", "preserve"), ("vacated", "target"))


def check_masks(plugin: str, registry: PluginRegistry, edit: Edit, grids: list[Grid]) -> list[EditMasks]:
    """Build the masks on all grids, of which the first has the picture's own pixels, and check each alone and against the first."""
    masks = [registry.build_masks(edit, grid) for grid in grids]
    for grid, one in zip(grids, masks, strict=True):
        where = f"for {edit!r} on the {grid.width}x{grid.height} cells of a {grid.image_width}x{grid.image_height} picture"
        if one.grid != grid:
            raise failure(plugin, HOOK, f"{where} the answer lies on {one.grid}; use the grid that was asked for")
        if not one.target.any():
            raise failure(plugin, HOOK, f"{where} the target is empty; refuse such an edit with an EditError that says why")
        for first, second in APART:
            if both := int((getattr(one, first) & getattr(one, second)).sum()):
                raise failure(plugin, HOOK, f"{where} {both} cells are in both {first} and {second}; take them out of one")
        for part in ("source", "target"):
            if not _same_place(getattr(masks[0], part), getattr(one, part), grid):
                raise failure(plugin, HOOK, f"{where} the {part} lies elsewhere than on the pixels; work in pixels, then use to_grid")
        if _distance(masks[0], one) > SLACK:
            raise failure(plugin, HOOK, f"{where} the correspondence leads elsewhere than on the pixels; count it in cells of the grid")
    return masks


def _same_place(pixels: np.ndarray, cells: np.ndarray, grid: Grid) -> bool:
    """Whether every cell inside is within SLACK cells of a pixel inside, and every cell that is half full of pixels of a cell inside."""
    covered = cell_coverage(pixels, grid)  # thin parts may be lost on coarse rasters
    return bool((dilate(covered > 0, SLACK) | ~cells).all() and (dilate(cells, SLACK) | (covered < 0.5)).all())


def _distance(pixels: EditMasks, cells: EditMasks) -> float:
    """How far apart, in cells, both correspondences lead from the target's cells: the median, as single ones may fall to a neighbour."""
    size = np.array([cells.grid.cell_width, cells.grid.cell_height])
    rows, columns = np.nonzero(cells.target)
    x, y = ((np.stack([columns, rows], axis=1) + 0.5) * size).astype(int).T
    both = pixels.target[y, x]
    apart = (cells.correspondence[rows, columns] - pixels.correspondence[y, x] / size)[both]
    return float(np.median(np.hypot(*apart.T))) if both.any() else 0.0
