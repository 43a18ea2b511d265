"""Whether the places of an edit make sense, in pixels and on every raster."""

from __future__ import annotations

from dataclasses import fields

import numpy as np

from dragonkit.editing.layout import Layout
from dragonkit.edits.edit import Edit
from dragonkit.imaging.masks import Grid
from dragonkit.plugins.answers import EditMasks
from dragonkit.plugins.registry import PluginRegistry
from dragonkit.testing.failures import failure

__all__ = ["check_places"]

HOOK = "dragonkit_build_masks"


def check_places(
    plugin: str, registry: PluginRegistry, edit: Edit, grids: list[Grid], reference: tuple[int, int] | None = None
) -> list[EditMasks]:
    """The edit's masks on all grids, checked: there is a target, whose content lies in a picture, or something is taken away; and the
    answer is always the same.

    Args:
        grids: the first has the picture's own pixels.
        reference: (width, height) of the edit's reference picture, if it has one.
    """
    pixels = grids[0]
    size = (pixels.image_width, pixels.image_height)
    where = f"for {edit!r} on a picture of {size[0]}x{size[1]}"
    layout = Layout(registry, edit, size)
    placement = layout.placements[0]
    if not placement.target.any() and (placement.back is not None or not placement.source.any()):  # all that leaves a picture is no removal
        raise failure(plugin, HOOK, f"{where} the target is empty; refuse such an edit with an EditError that says why")
    masks = [layout.on(grid)[0] for grid in grids]
    origins, (width, height) = masks[0].correspondence[masks[0].target], reference or size
    inside = ((origins >= 0) & (origins <= (width, height))).all(axis=1)
    if inside.size and inside.mean() < 0.5:
        taken = f"the {width}x{height} {'reference' if reference else 'picture'}"
        raise failure(plugin, HOOK, f"{where} most of the target comes from outside {taken}; let back give (x, y) in its pixels")
    (again,) = Layout(registry, edit, size).on(pixels)
    for part in fields(EditMasks):
        if not np.array_equal(getattr(masks[0], part.name), getattr(again, part.name)):
            raise failure(plugin, HOOK, f"{where} {part.name} is another one when it is asked for again; keep no state")
    return masks
