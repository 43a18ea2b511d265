"""The colours of the toybox, their names, and the patterns' names.

A name stands for a small box in hue, saturation and value; a scene draws a colour from inside it, so that "red" is many reds.
"""

from __future__ import annotations

import torch
from torch import Tensor

# name: (hue, hue jitter, saturation low, high, value low, high)
OBJECT_COLORS: dict[str, tuple[float, float, float, float, float, float]] = {
    "red": (0.992, 0.012, 0.76, 0.88, 0.82, 0.92),
    "orange": (0.072, 0.010, 0.78, 0.90, 0.94, 1.00),
    "yellow": (0.140, 0.010, 0.68, 0.82, 0.95, 1.00),
    "green": (0.335, 0.030, 0.55, 0.70, 0.62, 0.74),
    "teal": (0.493, 0.012, 0.62, 0.78, 0.68, 0.80),
    "blue": (0.603, 0.018, 0.66, 0.80, 0.80, 0.92),
    "purple": (0.757, 0.018, 0.50, 0.64, 0.68, 0.80),
    "pink": (0.920, 0.015, 0.40, 0.52, 0.94, 1.00),
    "brown": (0.062, 0.012, 0.56, 0.66, 0.50, 0.60),
    "white": (0.120, 0.050, 0.02, 0.07, 0.95, 0.99),
}
BACKGROUND_COLORS: dict[str, tuple[float, float, float, float, float, float]] = {
    "pink": (0.960, 0.020, 0.14, 0.22, 0.88, 0.94),
    "peach": (0.070, 0.015, 0.20, 0.28, 0.90, 0.95),
    "yellow": (0.135, 0.015, 0.22, 0.30, 0.89, 0.94),
    "green": (0.300, 0.035, 0.18, 0.27, 0.78, 0.87),
    "teal": (0.480, 0.020, 0.18, 0.26, 0.78, 0.87),
    "blue": (0.580, 0.020, 0.18, 0.28, 0.84, 0.92),
    "purple": (0.730, 0.020, 0.15, 0.22, 0.82, 0.90),
    "gray": (0.600, 0.060, 0.02, 0.06, 0.76, 0.86),
}
COLORS: tuple[str, ...] = tuple(OBJECT_COLORS)
BACKGROUND_COLOR_NAMES: tuple[str, ...] = tuple(BACKGROUND_COLORS)
PATTERNS: tuple[str, ...] = ("plain", "striped", "spotted", "checked", "faded")

# What is laid over each colour by patterns and accents: only pairs that stay apart when the picture is small.
ACCENTS: dict[str, tuple[str, ...]] = {
    "red": ("white", "yellow", "teal"),
    "orange": ("white", "blue", "purple"),
    "yellow": ("red", "purple", "blue"),
    "green": ("white", "yellow", "red"),
    "teal": ("white", "yellow", "orange"),
    "blue": ("white", "yellow", "orange"),
    "purple": ("white", "yellow", "orange"),
    "pink": ("white", "purple", "blue"),
    "brown": ("white", "yellow", "teal"),
    "white": ("red", "blue", "purple"),
}


def hsv(hue: Tensor, saturation: Tensor, value: Tensor) -> Tensor:
    """RGB in [0, 1], shape (..., 3), of hue (turns), saturation and value, shape (...)."""

    def channel(n: float) -> Tensor:
        k = (n + hue * 6) % 6
        return value - value * saturation * torch.minimum(k, 4 - k).clamp(0, 1)

    return torch.stack([channel(5.0), channel(3.0), channel(1.0)], -1)


Boxes = dict[str, tuple[float, float, float, float, float, float]]


def draw_color(table: Boxes, index: Tensor, jitter: Tensor, hue_shift: Tensor | float = 0.0) -> Tensor:
    """RGB, shape (..., 3), of the colours numbered `index` (...) in `table`, placed in their boxes by `jitter` (..., 3) in [0, 1].

    `hue_shift` (...), in turns, goes beyond the box, to a neighbouring hue.
    """
    ranges = torch.tensor(list(table.values()), dtype=jitter.dtype)[index]
    hue = (ranges[..., 0] + ranges[..., 1] * (jitter[..., 0] * 2 - 1) + hue_shift) % 1
    saturation = torch.lerp(ranges[..., 2], ranges[..., 3], jitter[..., 1])
    value = torch.lerp(ranges[..., 4], ranges[..., 5], jitter[..., 2])
    return hsv(hue, saturation, value)
