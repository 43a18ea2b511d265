"""The magic wand: pixels of the colour that was clicked on."""

from __future__ import annotations

import numpy as np
from PIL import Image
from pydantic import Field

from dragonkit.plugins.selector import Click, Options, Selector

__all__ = ["WAND", "WandOptions", "connected_to"]


class WandOptions(Options):
    """Which pixels count as alike."""

    tolerance: int = Field(default=32, ge=0, le=255, description="how far red, green and blue may each differ from the clicked pixel")
    contiguous: bool = Field(default=True, description="only pixels connected to the clicked one, edge to edge")


def select_alike(image: Image.Image, clicks: list[Click], *, tolerance: int, contiguous: bool) -> np.ndarray:
    """What is like any pixel clicked on, less what is like any pixel clicked on with positive=False.

    A pixel is alike when no channel differs by more than `tolerance` of 255.
    """
    pixels = np.asarray(image).astype(np.int16)
    chosen = {True: np.zeros(pixels.shape[:2], bool), False: np.zeros(pixels.shape[:2], bool)}
    for x, y, positive in clicks:
        row, column = min(int(y), image.height - 1), min(int(x), image.width - 1)
        alike = (np.abs(pixels - pixels[row, column]) <= tolerance).all(axis=2)
        chosen[positive] |= connected_to(alike, row, column) if contiguous else alike
    return chosen[True] & ~chosen[False]


def connected_to(mask: np.ndarray, row: int, column: int) -> np.ndarray:
    """The part of a bool mask (H, W) that is connected to one of its pixels, edge to edge.

    The rows' runs of True pixels are the nodes of a graph, and its components are found by hooking and pointer jumping
    (Shiloach and Vishkin 1982): about log(H) rounds over the runs, whatever the shape.
    """
    starts = mask.copy()
    starts[:, 1:] &= ~mask[:, :-1]
    runs = np.cumsum(starts, dtype=np.int64).reshape(mask.shape) - 1  # the number of its run, for each True pixel
    touching = mask[:-1] & mask[1:]
    above, below = runs[:-1][touching], runs[1:][touching]
    parents = np.arange(np.count_nonzero(starts))
    while True:
        lowest = np.minimum(parents[above], parents[below])
        hooked = parents.copy()
        for ends in (above, below):
            np.minimum.at(hooked, parents[ends], lowest)
        while not np.array_equal(jumped := hooked[hooked], hooked):
            hooked = jumped
        if np.array_equal(hooked, parents):
            return mask & (parents[runs] == parents[runs[row, column]])
        parents = hooked


WAND = Selector("wand", "pixels of the colour that is clicked on", "clicks", select_alike, WandOptions)
