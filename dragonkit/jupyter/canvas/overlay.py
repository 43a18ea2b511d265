"""A mask as something to lay over a picture: a colour that colour-blind people tell apart, and an outline seen on any ground."""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
from PIL import Image

from dragonkit.imaging.strokes import Rect
from dragonkit.jupyter.canvas.viewport import Viewport

__all__ = ["MARGIN", "MASK_COLOR", "RGB", "mask_overlay"]

RGB: TypeAlias = tuple[int, int, int]

MASK_COLOR: RGB = (0, 114, 178)
"""RGB of the blue of Okabe and Ito's palette (Color Universal Design, 2002)."""
MARGIN = 1
"""How many canvas pixels the outline reaches beyond the mask: by so much more than the mask's change must be drawn anew."""


def mask_overlay(mask: np.ndarray, viewport: Viewport, rect: Rect, opacity: float, color: RGB = MASK_COLOR) -> np.ndarray:
    """What to draw on a rectangle of the canvas: uint8 RGBA (height, width, 4).

    Each canvas pixel is as opaque as it is covered, so that a stroke thinner than a canvas pixel shows. The outline is white just
    within and black just around whatever is covered at all; it does not fade with `opacity`.

    Args:
        mask: bool (H, W), the picture's.
        rect: in canvas pixels.
        opacity: of the colour, 0..1.
    """
    left, top, right, bottom = rect
    covered = _coverage(mask, viewport, (left - MARGIN, top - MARGIN, right + MARGIN, bottom + MARGIN))
    marked = np.pad(covered > 0, 1)
    around, within = (_neighbours(side)[1:-1, 1:-1] for side in (marked, ~marked))
    marked = marked[1:-1, 1:-1]
    rgba = np.zeros((*covered.shape, 4), np.uint8)
    rgba[..., :3] = color
    rgba[..., 3] = np.rint(covered * opacity)
    rgba[marked & within] = (255, 255, 255, 255)
    rgba[~marked & around] = (0, 0, 0, 255)
    return rgba[MARGIN:-MARGIN, MARGIN:-MARGIN]


def _coverage(mask: np.ndarray, viewport: Viewport, rect: Rect) -> np.ndarray:
    """How much of each canvas pixel of a rectangle the mask covers, uint8 (h, w) up to 255; beyond the picture nothing is covered."""
    (x0, y0), (x1, y1) = viewport.to_image(*rect[:2]), viewport.to_image(*rect[2:])
    left, top, right, bottom = math.floor(x0), math.floor(y0), math.ceil(x1), math.ceil(y1)
    height, width = mask.shape
    pixels = np.zeros((bottom - top, right - left), np.uint8)
    rows, columns = slice(max(top, 0), min(bottom, height)), slice(max(left, 0), min(right, width))
    if rows.start < rows.stop and columns.start < columns.stop:
        part = mask[rows, columns] * np.uint8(255)
        pixels[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left] = part
    size = (rect[2] - rect[0], rect[3] - rect[1])
    scaled = Image.fromarray(pixels).resize(size, Image.Resampling.BOX, box=(x0 - left, y0 - top, x1 - left, y1 - top))
    return np.asarray(scaled)


def _neighbours(bits: np.ndarray) -> np.ndarray:
    """Where one of the eight pixels around is True."""
    rows = bits | np.roll(bits, 1, axis=0) | np.roll(bits, -1, axis=0)
    return rows | np.roll(rows, 1, axis=1) | np.roll(rows, -1, axis=1)
