"""Several edits at once: their masks on one grid, combined, and refused where they contradict each other. Loads no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np

from dragonkit.edits.edit import Edit
from dragonkit.errors import EditError, PluginHookError
from dragonkit.imaging.masks import Grid, bounding_box
from dragonkit.plugins.answers import EditMasks
from dragonkit.plugins.registry import PluginRegistry

__all__ = ["check_edits", "combined_masks"]


def check_edits(registry: PluginRegistry, edits: Sequence[Edit], image_size: tuple[int, int]) -> None:
    """Let the modes build their masks on the picture's own pixels, before anything slow: they refuse what does not fit.

    Raises:
        EditError: an edit does not fit a picture of `image_size` (width, height), or two contradict each other.
        PluginHookError: a plugin's answer is of no use.
    """
    combined_masks(registry, edits, Grid(*image_size, *image_size))


def combined_masks(registry: PluginRegistry, edits: Sequence[Edit], grid: Grid) -> list[EditMasks]:
    """Every edit's masks on one grid: nothing preserved that another edit changes, nothing vacated that another one fills.

    On the picture's own pixels two edits that contradict each other are an EditError; coarser grids only blur the same masks.
    """
    masks = [registry.build_masks(edit, grid) for edit in edits]
    for edit, one in zip(edits, masks, strict=True):
        if one.grid != grid:
            owner = registry.owner(edit.mode)
            raise PluginHookError(owner.name, owner.origin, f"dragonkit_build_masks answered on {one.grid} when asked for {grid}.")
    if len(edits) == 1:
        return masks
    if (grid.width, grid.height) == (grid.image_width, grid.image_height):
        _refuse_conflicts(edits, masks)
    preserve = np.logical_and.reduce([one.preserve for one in masks])
    filled = np.logical_or.reduce([one.target for one in masks])
    return [replace(one, preserve=preserve, vacated=one.vacated & ~filled) for one in masks]


def _refuse_conflicts(edits: Sequence[Edit], masks: Sequence[EditMasks]) -> None:
    names = [f"edit {number} ({edit.mode})" for number, edit in enumerate(edits)]
    for one, other in combinations(range(len(edits)), 2):
        both = masks[one].target & masks[other].target
        if both.any():
            raise EditError(
                f"{names[one]} and {names[other]} both want {_place(both)}; move one of them elsewhere, or edit the result of the first"
            )
        for stays, leaves in ((one, other), (other, one)):
            # what one edit changes where it is, the other takes away
            taken = masks[stays].target & masks[stays].source & masks[leaves].vacated
            if taken.any():
                raise EditError(
                    f"{names[stays]} changes {_place(taken)} where it is, but {names[leaves]} takes it away; "
                    "do one after the other: edit the result of the first"
                )


def _place(mask: np.ndarray) -> str:
    left, top, right, bottom = bounding_box(mask)
    return f"the same {int(mask.sum())} pixels (x {left} to {right - 1}, y {top} to {bottom - 1})"
