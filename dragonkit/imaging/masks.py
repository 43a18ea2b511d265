"""Masks and their geometry, in pixels of the image: bool arrays (H, W), True inside.

Reading and writing lives in `mask_files`, the exact computations in `rasters`; import all mask functions from here.

Positions are (x, y), origin top left; pixel (column i, row j) covers the square [i, i + 1] x [j, j + 1], its centre is
(i + 0.5, j + 0.5). Whatever leaves the image is lost.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dragonkit.errors import EditError, MaskError
from dragonkit.imaging.mask_files import MaskSource, checked_mask, decode_mask, encode_mask, load_mask
from dragonkit.imaging.places import checked_numbers, is_number
from dragonkit.imaging.rasters import area_average, squared_distance
from dragonkit.words import short

__all__ = [
    "Grid", "MaskSource", "bounding_box", "cell_coverage", "center_of", "decode_mask", "dilate", "encode_mask",
    "erode", "feather", "load_mask", "shift_mask", "to_grid",
]  # fmt: skip

_TIE = 1e-9  # areas closer than this are equal: cells cut at exactly one half must not flip with rounding


@dataclass(frozen=True)
class Grid:
    """A raster of width x height cells laid over an image of image_width x image_height pixels.

    The cells may be the image's pixels, latent cells or feature cells. Raises EditError unless all four are positive.
    """

    width: int
    height: int
    image_width: int
    image_height: int

    def __post_init__(self) -> None:
        if min(self.width, self.height, self.image_width, self.image_height) < 1:
            raise EditError(f"a grid needs positive widths and heights, got {self}. Pass cells and pixels.")

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) of an array with one value per cell."""
        return self.height, self.width

    @property
    def cell_width(self) -> float:
        """Pixels per cell along x."""
        return self.image_width / self.width

    @property
    def cell_height(self) -> float:
        """Pixels per cell along y."""
        return self.image_height / self.height


def shift_mask(mask: np.ndarray, dx: float, dy: float) -> np.ndarray:
    """The mask moved by (dx, dy) pixels, rounded to whole ones (halves to even, so that back is exactly back).

    Example:
        >>> shift_mask(np.eye(3, dtype=bool), 1, 0).astype(int).tolist()
        [[0, 1, 0], [0, 0, 1], [0, 0, 0]]
    """
    mask = checked_mask(mask)
    checked_numbers("Pass pixels.", dx=dx, dy=dy)
    (height, width), x, y = mask.shape, round(dx), round(dy)
    moved = np.zeros_like(mask)
    if abs(x) < width and abs(y) < height:
        moved[max(y, 0) : height + min(y, 0), max(x, 0) : width + min(x, 0)] = mask[
            max(-y, 0) : height + min(-y, 0), max(-x, 0) : width + min(-x, 0)
        ]
    return moved


def dilate(mask: np.ndarray, radius: float) -> np.ndarray:
    """All pixels whose centre is at most `radius` from the centre of a pixel inside: growth by an exact disc.

    Example:
        >>> dot = np.zeros((5, 5), bool)
        >>> dot[2, 2] = True
        >>> int(dilate(dot, 1).sum()), int(dilate(dot, 1.5).sum())
        (5, 9)
    """
    mask = checked_mask(mask)
    _check_radius(radius)
    return np.isfinite(squared_distance(mask, radius))


def erode(mask: np.ndarray, radius: float) -> np.ndarray:
    """All pixels further than `radius` from every pixel outside. The image's border does not erode."""
    _check_radius(radius)
    if not checked_mask(mask).any():
        return mask.copy()
    left, top, right, bottom = bounding_box(mask)
    # no pixel beyond the ring around the box is nearer than the ring itself
    rows, columns = slice(max(top - 1, 0), bottom + 1), slice(max(left - 1, 0), right + 1)
    eroded = np.zeros_like(mask)
    eroded[rows, columns] = ~dilate(~mask[rows, columns], radius)
    return eroded


def feather(mask: np.ndarray, radius: float) -> np.ndarray:
    """A soft mask, float32 (H, W): exactly 1 inside, falling smoothly to exactly 0 at `radius` pixels outside and beyond."""
    mask = checked_mask(mask)
    _check_radius(radius)
    if radius == 0:
        return mask.astype(np.float32)
    squared = squared_distance(mask, radius)
    near, soft = np.isfinite(squared), np.zeros(mask.shape, np.float32)
    nearness = np.clip(1.0 - np.sqrt(squared[near]) / radius, 0.0, 1.0)
    soft[near] = nearness**2 * (3.0 - 2.0 * nearness)  # smoothstep: no visible edge at either end
    return soft


def center_of(mask: np.ndarray) -> tuple[float, float]:
    """The centre of gravity (x, y) of the mask's area; that of a full mask is (W / 2, H / 2). MaskError when empty.

    Example:
        >>> center_of(np.ones((4, 6), bool))
        (3.0, 2.0)
    """
    rows, columns = np.nonzero(_nonempty(mask))
    return float(columns.mean()) + 0.5, float(rows.mean()) + 0.5


def bounding_box(mask: np.ndarray) -> tuple[int, int, int, int]:
    """(left, top, right, bottom), right and bottom exclusive as in PIL. MaskError when empty.

    Example:
        >>> bounding_box(np.eye(4, 6, k=2, dtype=bool))
        (2, 0, 6, 4)
    """
    mask = _nonempty(mask)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def cell_coverage(mask: np.ndarray, grid: Grid) -> np.ndarray:
    """Which fraction of each cell's area is inside: float64 (grid.height, grid.width) in [0, 1], exact for any ratio.

    Raises:
        MaskError: the mask has not the size of the grid's image.
    """
    mask = checked_mask(mask)
    if mask.shape != (grid.image_height, grid.image_width):
        raise MaskError(
            f"the mask is {mask.shape[1]}x{mask.shape[0]} but the grid lies over {grid.image_width}x{grid.image_height} (width x height). "
            "Use a mask of the image's size."
        )
    if mask.shape == grid.shape:  # the pixels themselves
        return mask.astype(np.float64)
    rows = np.linspace(0.0, grid.image_height, grid.height + 1)
    columns = np.linspace(0.0, grid.image_width, grid.width + 1)
    return np.clip(area_average(mask, rows, columns), 0.0, 1.0)  # the sums round in the last digit


def to_grid(mask: np.ndarray, grid: Grid, coverage: float = 0.5) -> np.ndarray:
    """The mask on a grid, bool (grid.height, grid.width): a cell is inside when at least `coverage` of its area is.

    A mask too thin for that keeps its best-covered cells, so only an empty mask becomes empty.

    Raises:
        MaskError: the mask has not the size of the grid's image.
        EditError: coverage is not in (0, 1].

    Example:
        >>> left = np.zeros((4, 8), bool)
        >>> left[:, :3] = True
        >>> to_grid(left, Grid(2, 1, 8, 4)).tolist()  # three quarters of the first cell are inside
        [[True, False]]
    """
    if not is_number(coverage) or not 0.0 < coverage <= 1.0:
        raise EditError(f"coverage must be above 0 and at most 1, got {short(coverage)}. Use 0.5 for cells at least half covered.")
    if checked_mask(mask).shape == grid.shape == (grid.image_height, grid.image_width):
        return mask.copy()
    covered = cell_coverage(mask, grid)
    threshold = min(coverage, covered.max()) if mask.any() else coverage
    return covered >= threshold - _TIE


def _nonempty(mask: np.ndarray) -> np.ndarray:
    if not checked_mask(mask).any():
        raise MaskError(f"the mask of {mask.shape[1]}x{mask.shape[0]} pixels is empty and has no place. Pass one with a pixel inside.")
    return mask


def _check_radius(radius: float) -> None:
    if not is_number(radius) or radius < 0:
        raise EditError(
            f"radius must be a finite number of pixels, 0 or more, got {short(radius)}. Use dilate to grow and erode to shrink."
        )
