"""What an edit would look like, at once and without any diffusion: its content where it would land. Pixels and numpy only."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from PIL import Image

from dragonkit.editing.layout import Layout
from dragonkit.edits.edit import Edit
from dragonkit.imaging.images import load_image
from dragonkit.imaging.masks import Grid, bounding_box
from dragonkit.plugins.registry import PluginRegistry

__all__ = ["Ghost", "cut_out", "ghost_of"]

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


def ghost_of(registry: PluginRegistry, edit: Edit, picture: np.ndarray) -> Ghost | None:
    """The content of any edit in its place: its mode's draft, or what its mode's correspondence looks up, pixel by pixel.

    Args:
        picture: uint8 (H, W, 3).

    Returns:
        None where only the model can tell what it will look like, and for large pictures.

    Raises:
        EditError: the edit does not fit the picture.
        PluginHookError: a plugin's answer is of no use.
    """
    height, width = picture.shape[:2]
    if height * width > MOST_PIXELS:
        return None
    layout = Layout(registry, edit, (width, height))
    (masks,), (reference,) = layout.on(Grid(width, height, width, height)), layout.references
    origin = picture if reference is None else np.asarray(load_image(reference.image))
    drawn = registry.draft(edit, masks, _unit(picture), None if reference is None else _unit(origin))
    target = masks.target
    if drawn is not None:
        content = np.rint(drawn[target].clip(0, 1) * 255)
    elif not masks.places_content(reference is not None):
        return None
    else:
        x, y = np.floor(masks.correspondence[target]).astype(int).T
        content = origin[y.clip(0, origin.shape[0] - 1), x.clip(0, origin.shape[1] - 1)]
    whole = picture.copy()
    whole[target] = content
    return cut_out(whole, target)


def _unit(picture: np.ndarray) -> np.ndarray:
    return picture.astype(np.float32) / 255
