"""A rough picture of latents in a millisecond: what the decoder takes as long for as the network does for a step or more."""

from __future__ import annotations

from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from dragonkit.shapes import ImageTensor, Latents

__all__ = ["Glimpse"]

FINEST = 4
"""Pixels a cell, at most: more would show no more."""
RIDGE = 0.01
"""Of the regression: pictures of few cells, or of one colour, do not tell all of its coefficients."""


class Glimpse:
    """Decodes linearly: the pixels of a cell from the latents of it and its eight neighbours, as one picture and its latents show.

    Args:
        latents: (1, c, h, w) of the picture.
        image: (1, 3, s h, s w) in [-1, 1].
    """

    def __init__(self, latents: Latents, image: ImageTensor):
        self._latents, self._image = latents, image
        self._fineness = max(min(image.shape[-1] // latents.shape[-1], FINEST), 1)

    @torch.no_grad()
    def __call__(self, latents: Latents) -> ImageTensor:
        """(1, 3, f h, f w) in [-1, 1], float32; f is at most `FINEST`."""
        pixels = (_neighbourhoods(latents) @ self._coefficients).T[None]
        height, width = (self._fineness * side for side in latents.shape[-2:])
        return F.fold(pixels, (height, width), self._fineness, stride=self._fineness).clamp(-1, 1)

    @cached_property
    def _coefficients(self) -> Tensor:
        """(9 c + 1, 3 f f), by ridge regression; found when somebody looks."""
        seen, (height, width) = _neighbourhoods(self._latents), self._latents.shape[-2:]
        image = F.interpolate(self._image.to(seen), (self._fineness * height, self._fineness * width), mode="area")
        pixels = F.unfold(image, self._fineness, stride=self._fineness)[0].T
        ridge = RIDGE * len(seen) * torch.eye(seen.shape[1]).to(seen)
        return torch.linalg.solve(seen.T @ seen + ridge, seen.T @ pixels)


def _neighbourhoods(latents: Latents) -> Tensor:
    """What each cell and its neighbours hold, and 1: float32 (h w, 9 c + 1)."""
    around = F.unfold(F.pad(latents.float(), (1, 1, 1, 1), mode="replicate"), 3)[0].T
    return torch.cat([around, torch.ones_like(around[:, :1])], dim=1)
