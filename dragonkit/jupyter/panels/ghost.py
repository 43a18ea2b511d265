"""What an edit would look like, at once and without any diffusion: its content where it would land. Pixels and numpy only."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from PIL import Image

from dragonkit.editing.layout import Layout
from dragonkit.edits.edit import Edit
from dragonkit.edits.settings import Settings
from dragonkit.imaging.images import load_image
from dragonkit.imaging.masks import Grid, bounding_box
from dragonkit.plugins.registry import PluginRegistry

__all__ = ["Ghost", "cut_out", "filled", "ghosts_of"]

MOST_PIXELS = 1_000_000
"""Of a preview: a larger picture is looked at on a coarser raster, or a hand would notice."""
_BLURRED = 96  # pixels of the longest side: a blur shows no more


class Ghost(NamedTuple):
    """A cut-out, RGBA, its top left corner at (x, y) in pixels of the picture, `scale` of which one of its own pixels takes."""

    image: Image.Image
    x: float
    y: float
    scale: float = 1.0


def cut_out(picture: np.ndarray, mask: np.ndarray, shift: tuple[float, float] = (0, 0)) -> Ghost | None:
    """The object under a mask, moved: quick enough to follow the pointer. None when the mask is empty.

    Args:
        picture: uint8 (H, W, 3).
        mask: bool (H, W).
        shift: (dx, dy) in pixels.
    """
    if not mask.any():
        return None
    left, top, right, bottom = bounding_box(mask)
    window = np.s_[top:bottom, left:right]
    rgba = np.dstack([picture[window], mask[window] * np.uint8(255)])
    return Ghost(Image.fromarray(rgba), left + round(shift[0]), top + round(shift[1]))


def filled(picture: np.ndarray, mask: np.ndarray) -> Ghost | None:
    """The place under a mask without what is there, smoothly: a blur of what is round it. None when the mask is empty or leaves nothing.

    Args:
        picture, mask: as in `cut_out`.
    """
    if not mask.any() or mask.all():
        return None
    left, top, right, bottom = bounding_box(mask)
    margin = max(right - left, bottom - top) // 2 + 4
    window = np.s_[max(top - margin, 0) : bottom + margin, max(left - margin, 0) : right + margin]
    around, known = picture[window], ~mask[window]
    if not known.any():
        return None
    step = -(-max(known.shape) // _BLURRED)
    few, radius = known[::step, ::step], max(margin // (2 * step), 1)
    if not few.any():
        return None
    weight = _blurred(few.astype(float), radius)
    layers = [_blurred(np.where(few, layer, 0.0), radius) / np.maximum(weight, 1e-9) for layer in np.moveaxis(around[::step, ::step], 2, 0)]
    smooth = Image.fromarray(np.stack(layers, 2).clip(0, 255).astype(np.uint8))
    size = (step * smooth.width, step * smooth.height)
    large = np.asarray(smooth if step == 1 else smooth.resize(size, Image.Resampling.BILINEAR))[: known.shape[0], : known.shape[1]]
    hole = cut_out(large, ~known)
    return hole and hole._replace(x=hole.x + window[1].start, y=hole.y + window[0].start)


def _blurred(values: np.ndarray, radius: int) -> np.ndarray:
    """Means over squares, three times, which is nearly a Gaussian; outside of the picture all is 0."""
    for axis in (0, 1) * 3:
        room = [(radius + 1, radius) if axis == other else (0, 0) for other in range(2)]
        total = np.swapaxes(np.cumsum(np.pad(values, room), axis), 0, axis)
        values = np.swapaxes(total[2 * radius + 1 :] - total[: -2 * radius - 1], 0, axis) / (2 * radius + 1)
    return values


def ghosts_of(registry: PluginRegistry, edit: Edit, picture: np.ndarray) -> tuple[Ghost | None, ...]:
    """The content of any edit in its place, its mode's draft or what its mode's correspondence looks up; then what it vacates, filled.

    Args:
        picture: uint8 (H, W, 3).

    Returns:
        None in it where only the model can tell what it will look like.

    Raises:
        EditError: the edit does not fit the picture.
        PluginHookError: a plugin's answer is of no use.
    """
    height, width = picture.shape[:2]
    edit = edit.settled(Settings(), picture)
    layout = Layout(registry, edit, (width, height))
    grid = _raster(width, height)
    (masks,), (reference,) = layout.on(grid), layout.references
    small = picture if grid.width == width else np.asarray(Image.fromarray(picture).resize((grid.width, grid.height), Image.Resampling.BOX))
    origin, cell = small, (1.0, 1.0)
    if reference is not None:  # at its own size: its pixels are as large as the picture's
        origin, cell = np.asarray(load_image(reference.image)), (grid.cell_width, grid.cell_height)
    drawn = registry.draft(edit, masks, _unit(small), None if reference is None else _unit(origin))
    target = masks.target
    if drawn is not None:
        content = np.rint(drawn[target].clip(0, 1) * 255)
    elif not masks.places_content(reference is not None):
        return ()
    else:
        x, y = np.floor(masks.correspondence[target] * cell).astype(int).T
        content = origin[y.clip(0, origin.shape[0] - 1), x.clip(0, origin.shape[1] - 1)]
    whole = small.copy()
    whole[target] = content
    return tuple(_enlarged(ghost, grid) for ghost in (cut_out(whole, target), filled(small, masks.vacated & ~target)))


def _raster(width: int, height: int) -> Grid:
    step = max(1, math.ceil((width * height / MOST_PIXELS) ** 0.5))
    return Grid(-(-width // step), -(-height // step), width, height)


def _enlarged(ghost: Ghost | None, grid: Grid) -> Ghost | None:
    return ghost and Ghost(ghost.image, ghost.x * grid.cell_width, ghost.y * grid.cell_height, grid.cell_width)


def _unit(picture: np.ndarray) -> np.ndarray:
    return picture.astype(np.float32) / 255
