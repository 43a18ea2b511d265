"""What an edit would look like, at once and without any diffusion: its content where it would land. Pixels and numpy only."""

from __future__ import annotations

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

MOST_PIXELS = 1_500_000
"""Of a picture whose edits are built at every change: beyond it a hand would notice."""


class Ghost(NamedTuple):
    """A cut-out, RGBA, its top left corner at (x, y) in pixels of the picture."""

    image: Image.Image
    x: float
    y: float


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
    known = ~mask[window]
    if not known.any():
        return None
    weight = _blurred(known.astype(float), margin // 2)
    layers = [_blurred(np.where(known, layer, 0.0), margin // 2) / np.maximum(weight, 1e-9) for layer in np.moveaxis(picture[window], 2, 0)]
    whole = picture.copy()
    whole[window] = np.where(known[..., None], picture[window], np.stack(layers, 2).clip(0, 255))
    return cut_out(whole, mask)


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
        None in it where only the model can tell what it will look like; nothing for large pictures.

    Raises:
        EditError: the edit does not fit the picture.
        PluginHookError: a plugin's answer is of no use.
    """
    height, width = picture.shape[:2]
    if height * width > MOST_PIXELS:
        return ()
    edit = edit.settled(Settings(), picture)
    layout = Layout(registry, edit, (width, height))
    (masks,), (reference,) = layout.on(Grid(width, height, width, height)), layout.references
    origin = picture if reference is None else np.asarray(load_image(reference.image))
    drawn = registry.draft(edit, masks, _unit(picture), None if reference is None else _unit(origin))
    target = masks.target
    if drawn is not None:
        content = np.rint(drawn[target].clip(0, 1) * 255)
    elif not masks.places_content(reference is not None):
        return ()
    else:
        x, y = np.floor(masks.correspondence[target]).astype(int).T
        content = origin[y.clip(0, origin.shape[0] - 1), x.clip(0, origin.shape[1] - 1)]
    whole = picture.copy()
    whole[target] = content
    return cut_out(whole, target), filled(picture, masks.vacated & ~target)


def _unit(picture: np.ndarray) -> np.ndarray:
    return picture.astype(np.float32) / 255
