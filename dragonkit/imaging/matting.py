"""Soft edges of an object: the colours at its rim are mixtures with the background, and what is moved must not take that along."""

from __future__ import annotations

import numpy as np

from dragonkit.imaging.masks import bounding_box, dilate, erode

__all__ = ["RIM", "matte"]

RIM = 1.5
"""Pixels around a mask whose colours are mixtures with the object's: all eight neighbours, as corners are mixtures, too."""

_REACH = 2  # pixels: how far the object's pure colour is looked for
_DISTINCT = 0.06  # object and background nearer than this in colour, of 1, cannot be told apart
_RESIDUE = 0.06  # a colour that no mixture comes nearer to than this is the object's own, or the background's


def matte(picture: np.ndarray, mask: np.ndarray, background: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The object's own colours, and how much of each pixel is the object's.

    At the rim, I = alpha F + (1 - alpha) B is solved for alpha, where B is the background and F the purest colour of the object within two
    pixels; the object's inside is opaque. Where no alpha explains the pixel, it is taken as the mask says.

    Args:
        picture: float32 (H, W, 3).
        mask: bool (H, W), the object.
        background: float32 (H, W, 3), the picture as it would be without the object, at least on the mask and its rim.

    Returns:
        foreground: float32 (H, W, 3); the picture's own beyond the rim.
        alpha: float32 (H, W) in [0, 1], 0 beyond the rim.
    """
    foreground, alpha = picture.copy(), np.zeros(mask.shape, np.float32)
    if not mask.any():
        return foreground, alpha
    rim = dilate(mask, RIM)
    left, top, right, bottom = bounding_box(rim)
    box = (slice(top, bottom), slice(left, right))
    inside, rim, inner = mask[box], rim[box], erode(mask, RIM)[box]
    colors, behind = picture[box], background[box]
    pure = _purest(colors, behind, inside, inner)
    span, offset = pure - behind, colors - behind
    length = (span**2).sum(-1)
    share = np.clip((offset * span).sum(-1) / np.maximum(length, 1e-9), 0, 1)
    residue = np.sqrt(((share[..., None] * span - offset) ** 2).sum(-1))
    mixed = rim & ~inner & (length > _DISTINCT**2) & (residue < _RESIDUE)
    foreground[box] = np.where(mixed[..., None], pure, colors)
    alpha[box] = np.where(mixed, share, inside)
    return foreground, alpha


def _purest(colors: np.ndarray, behind: np.ndarray, inside: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """The colour within reach that differs most from the background, of the object's inside, or where it is thin, of the object."""
    height, width = inside.shape
    difference = ((colors - behind) ** 2).sum(-1)
    # an inner pixel is purer than any other, however it looks
    rank = np.where(inside, difference + 10 * inner, -1)
    padded_rank = np.pad(rank, _REACH, constant_values=-1)
    padded_colors = np.pad(colors, ((_REACH, _REACH), (_REACH, _REACH), (0, 0)))
    best, found = np.full(inside.shape, -1.0), colors.copy()
    for dy in range(2 * _REACH + 1):
        for dx in range(2 * _REACH + 1):
            here = padded_rank[dy : dy + height, dx : dx + width]
            better = here > best
            best = np.where(better, here, best)
            found = np.where(better[..., None], padded_colors[dy : dy + height, dx : dx + width], found)
    return found
