"""Parts of pictures, by rows and columns."""

from __future__ import annotations

import numpy as np
import torch

__all__ = ["inside", "part"]


def part(height: int, width: int, rows: slice, columns: slice) -> np.ndarray:
    """A mask of a rectangle, bool (height, width)."""
    mask = np.zeros((height, width), bool)
    mask[rows, columns] = True
    return mask


def inside(image: torch.Tensor, mask: np.ndarray) -> torch.Tensor:
    """The pixels of a picture under a mask, (..., n)."""
    return image[..., torch.from_numpy(mask)]
