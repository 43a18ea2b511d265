"""Where content goes that moves along an affine map."""

from __future__ import annotations

import functools

import numpy as np

from dragonkit.errors import EditError
from dragonkit.imaging.affine import inverse_affine, map_points, warp_mask
from dragonkit.imaging.masks import center_of
from dragonkit.plugins.placement import Placement
from dragonkit.words import place

__all__ = ["moved_along"]


def moved_along(mask: np.ndarray, affine: np.ndarray, surroundings: np.ndarray | None = None, gone: str | None = None) -> Placement:
    """What a mode that moves the content under `mask` along `affine` answers in `dragonkit_build_masks`.

    Args:
        mask: bool (H, W) of the picture's size, as `load_mask` gives it.
        affine: where the content goes, in pixels of the picture; any map that can be undone.
        surroundings: bool (H, W), what the vacated place shall resemble; None for all that is neither source nor target.
        gone: what the error says when nothing would be left in the picture; None for a sentence of its own.

    Raises:
        EditError: nothing of the content would be left in the picture, or the map cannot be undone.
    """
    target = warp_mask(mask, affine)
    if not target.any():
        raise EditError(gone or _nothing_left(mask, affine))
    return Placement(mask, target, surroundings=surroundings, back=functools.partial(map_points, inverse_affine(affine)))


def _nothing_left(mask: np.ndarray, affine: np.ndarray) -> str:
    center = np.array(center_of(mask))
    area = abs(np.linalg.det(affine[:, :2]))
    return (
        f"nothing of the {mask.sum()} pixels under the mask would be left in the {mask.shape[1]}x{mask.shape[0]} picture: "
        f"their centre goes from {place(center)} to {place(map_points(affine, center))}, at {area:.3g} times their area. "
        "Change them less."
    )
