"""Which colour a mask is shown in: one that its object has not, of colours that everybody can tell apart."""

from __future__ import annotations

import numpy as np

from dragonkit.imaging.masks import bounding_box
from dragonkit.jupyter.canvas.overlay import MASK_COLOR, RGB

__all__ = ["COLORS", "contrasting"]

COLORS: dict[str, RGB] = {
    "blue": MASK_COLOR,
    "vermilion": (213, 94, 0),
    "green": (0, 158, 115),
    "purple": (204, 121, 167),
    "yellow": (240, 228, 66),
}
"""Of Okabe and Ito's palette (Color Universal Design, 2002); the orange is that of arrows."""

_MOST = 20_000  # pixels that are looked at
_FEW = 0.1  # so large a part of an object must stand out, too
_ENOUGH = 0.6  # of the best one's distance: a colour that stands out so much stays, or it would change while one paints


def contrasting(picture: np.ndarray, mask: np.ndarray, now: RGB = MASK_COLOR) -> RGB:
    """The colour of `COLORS` that stands out from what is under a mask; `now` if it does well enough, or if the mask is empty.

    Args:
        picture: uint8 (H, W, 3).
        mask: bool (H, W).
    """
    if not mask.any():
        return now
    left, top, right, bottom = bounding_box(mask)
    step = max(1, round(((right - left) * (bottom - top) / _MOST) ** 0.5))
    window = np.s_[top:bottom:step, left:right:step]
    pixels = picture[window][mask[window]].astype(float)
    if not len(pixels):  # thinner than the raster
        return now
    far = {color: _distance(pixels, color) for color in COLORS.values()}
    best = max(far, key=lambda color: far[color])
    return now if far.get(now, 0.0) >= _ENOUGH * far[best] else best


def _distance(pixels: np.ndarray, color: RGB) -> float:
    """How far nearly all pixels (n, 3) are from a colour, as eyes weigh red, green and blue."""
    return float(np.quantile(np.sqrt(((pixels - color) ** 2) @ (0.3, 0.59, 0.11)), _FEW))
