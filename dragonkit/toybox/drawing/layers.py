"""What a drawing function gives back, and the fixed colours that several of them use."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from dragonkit.toybox.drawing.sdf import Number

RGB = tuple[float, float, float]

INK: RGB = (0.13, 0.13, 0.17)
WHITE: RGB = (0.98, 0.97, 0.94)
BARK: RGB = (0.47, 0.32, 0.21)
GREEN: RGB = (0.36, 0.64, 0.32)
GLASS: RGB = (0.76, 0.90, 0.97)
METAL: RGB = (0.85, 0.86, 0.89)
BEAK: RGB = (0.97, 0.62, 0.15)


class Layer(NamedTuple):
    """One flat piece of an object, painted over the pieces before it."""

    distance: Tensor
    """Signed distance in the object's own frame, negative inside."""
    paint: str | RGB
    """"surface" (main colour with the pattern), "main", "second", "shade" (darker main), "shine" (whitened main), or a fixed colour."""
    rim: float = 1.0
    """Strength of the dark rim: less for what is smaller than a rim is wide."""


class Drawing(NamedTuple):
    """An object in its own frame, which it fills to about [-1, 1]: x right, y down."""

    layers: list[Layer]
    """Back to front."""
    points: dict[str, tuple[Number, Number]]
    """Named keypoints (x, y)."""
