"""The ground that things stand on: continued under them, and told from them. Needs torch: import it by name."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F

from dragonkit.imaging.masks import bounding_box, dilate, erode
from dragonkit.shapes import GridMask, ImageTensor

__all__ = ["fill_hole", "standing_out"]

APART = (0.12, 0.2, 0.3)
"""Differences in [0, 1], in the channel where they are largest, from which something is not the ground: the first that tells one thing from
it. On patterned ground it takes a larger one."""
FRAGMENT = 0.12
"""The share of the mask below which a larger difference finds but a part of something."""
ALIKE = 0.06
"""Difference up to which two colours may be of one thing."""
AROUND = 0.05
"""The share of a mask's outermost pixels that may stand out where it goes all around a thing."""
CONTINUED = 0.08
"""The share of the pixels next to a mask that may look like the thing: where there are more, it may go on beyond the mask."""
_SAMPLES = 256  # pixels that tell how a thing looks
OUTERMOST, NEAR = 1 / 64, 1 / 40
"""How far into the mask its outermost pixels lie, and how far from a click a thing may begin, as shares of the picture's shorter side."""


def fill_hole(image: ImageTensor, hole: GridMask) -> ImageTensor:
    """Fill the hole smoothly from its rim: averages of known pixels at ever coarser scales, then refined back (pull-push).

    Args:
        image: (1, 3, H, W).
        hole: bool (H, W), True where nothing is known.
    """
    if not hole.any() or hole.all():
        return image
    # averages of what lies farther away than the hole is large would not reach its rim
    left, top, right, bottom = bounding_box(hole)
    reach = max(8, right - left, bottom - top)
    window = np.s_[..., max(top - reach, 0) : bottom + reach, max(left - reach, 0) : right + reach]
    filled = image.clone()
    filled[window] = _pulled_and_pushed(image[window], hole[window])
    return filled


def _pulled_and_pushed(image: ImageTensor, hole: GridMask) -> ImageTensor:
    known = torch.from_numpy(~hole).to(image)[None, None]
    levels = [(image * known, known)]
    while not levels[-1][1].all() and max(levels[-1][1].shape[-2:]) > 1:
        total, weight = (F.avg_pool2d(part, 2, ceil_mode=True) for part in levels[-1])
        # a pixel half known is known: its average counts fully from here on
        levels.append((total / weight.clamp(min=1e-6) * (weight > 0), (weight > 0).to(weight)))
    filled = levels[-1][0]
    for colors, weight in reversed(levels[:-1]):
        coarse = F.interpolate(filled, size=colors.shape[-2:], mode="bilinear", align_corners=False)
        filled = colors * weight + coarse * (1 - weight)
    return filled


def standing_out(picture: np.ndarray, mask: GridMask, clicks: Sequence[tuple[float, float]]) -> GridMask | None:
    """The things under a mask at the clicks, where the mask goes all around them: what differs from the ground outside continued inwards.

    Args:
        picture: uint8 (H, W, 3).
        mask: bool (H, W), drawn generously.
        clicks: (x, y) in pixels, on the things.

    Returns:
        bool (H, W) within the mask, everything that hangs together with what is at a click; None where a click is on nothing that stands
        out, where the mask cuts through something, or covers the whole picture.
    """
    if mask.all() or not mask.any():
        return None
    shorter = min(mask.shape)
    left, top, right, bottom = bounding_box(mask)
    window = np.s_[top:bottom, left:right]
    image = torch.from_numpy(picture.astype(np.float32) / 255).permute(2, 0, 1)[None]
    apart = (image - fill_hole(image, mask))[..., top:bottom, left:right].abs().amax(1)[0].numpy()
    rows, columns = np.mgrid[top:bottom, left:right] + 0.5
    seeds = [np.hypot(columns - x, rows - y) <= max(NEAR * shorter, 1) for x, y in clicks]
    outermost = mask & ~erode(mask, max(OUTERMOST * shorter, 1))
    for least in APART:
        things = (apart > least) & mask[window]
        if not all((seed & things).any() for seed in seeds):
            return None
        found = np.zeros_like(mask)
        found[window] = _hanging_together(np.logical_or.reduce(seeds) & things, things)
        if least > APART[0] and found.sum() < FRAGMENT * mask.sum():
            return None
        if (found & outermost).sum() <= AROUND * outermost.sum() and not _goes_on(picture, mask, found):
            return found
    return None


def _goes_on(picture: np.ndarray, mask: GridMask, found: GridMask) -> bool:
    """Whether what is found may go on beyond the mask: the same colours are seen along its outside."""
    core, beyond = erode(found, 1.5), dilate(mask, 2) & ~mask
    inside, outside = (picture[part].astype(np.float32) / 255 for part in (core if core.any() else found, beyond))
    inside = inside[:: -(-len(inside) // _SAMPLES)]
    apart = np.array([np.abs(color - inside).max(-1).min() for color in outside])
    return bool((apart < ALIKE).mean() > CONTINUED)


def _hanging_together(seeds: GridMask, things: GridMask) -> GridMask:
    """What of the things can be reached from the seeds without leaving them: whole runs of rows and columns at a time."""
    reached = seeds & things
    while True:
        before = reached.sum()
        for axis in (0, 1):
            reached = _along(reached, things, axis)
        if reached.sum() == before:
            return reached


def _along(reached: GridMask, things: GridMask, axis: int) -> GridMask:
    """Every run of things along an axis in which something is reached, as a whole."""
    things, reached = np.moveaxis(things, axis, -1), np.moveaxis(reached, axis, -1)
    starts = things & ~np.pad(things, ((0, 0), (1, 0)))[:, :-1]
    run = np.cumsum(starts.ravel()).reshape(things.shape) * things  # numbered from 1; 0 where there is nothing
    hit = np.bincount(run[reached], minlength=run.max() + 1) > 0
    hit[0] = False
    return np.moveaxis(hit[run], -1, axis)
