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
    inside, inner = mask[box], erode(mask, RIM)[box]
    rows, columns = np.nonzero(rim[box] & ~inner)
    colors, behind = picture[box], background[box]
    here, there = colors[rows, columns], behind[rows, columns]
    pure = _purest(colors, behind, inside, inner, rows, columns)
    span, offset = pure - there, here - there
    length = (span**2).sum(-1)
    share = np.clip((offset * span).sum(-1) / np.maximum(length, 1e-9), 0, 1)
    residue = np.sqrt(((share[..., None] * span - offset) ** 2).sum(-1))
    mixed = (length > _DISTINCT**2) & (residue < _RESIDUE)
    alpha[box] = inside
    alpha[box][rows, columns] = np.where(mixed, share, inside[rows, columns])
    foreground[box][rows, columns] = np.where(mixed[:, None], pure, here)
    return foreground, alpha


def _purest(
    colors: np.ndarray, behind: np.ndarray, inside: np.ndarray, inner: np.ndarray, rows: np.ndarray, columns: np.ndarray
) -> np.ndarray:
    """For each place the colour (n, 3) within reach that is farthest from the background: of the object inside, or where thin, its own."""
    # an inner pixel is purer than any other, however it looks
    rank = np.where(inside, ((colors - behind) ** 2).sum(-1) + 10 * inner, -1)
    padded_rank = np.pad(rank, _REACH, constant_values=-1)
    padded_colors = np.pad(colors, ((_REACH, _REACH), (_REACH, _REACH), (0, 0)))
    best, found = np.full(len(rows), -1.0), colors[rows, columns].copy()
    for dy in range(2 * _REACH + 1):
        for dx in range(2 * _REACH + 1):
            near = padded_rank[rows + dy, columns + dx]
            better = near > best
            best[better] = near[better]
            found[better] = padded_colors[rows + dy, columns + dx][better]
    return found
