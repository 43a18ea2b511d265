"""Surface patterns as one formula, so that a batch of differently patterned objects is painted without a branch.

With u, v the turned coordinates in radians of the pattern's period, every pattern is a threshold of

    A cos u + B cos v + C cos u cos v + E v + D

stripes A, checks C, spots A and B with a threshold D, a fade the slope E, and plain is far below the threshold.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from dragonkit.toybox.drawing.colors import PATTERNS

# pattern: (A, B, C, D, E, slope at the threshold per radian; 0 marks the soft one)
_COEFFICIENTS: dict[str, tuple[float, float, float, float, float, float]] = {
    "plain": (0.0, 0.0, 0.0, -1e4, 0.0, 1.0),
    "striped": (1.0, 0.0, 0.0, 0.0, 0.0, 1.0),
    "spotted": (1.0, 1.0, 0.0, -0.62, 0.0, 1.2),
    "checked": (0.0, 0.0, 1.0, 0.0, 0.0, 0.8),
    "faded": (0.0, 0.0, 0.0, -0.12, 0.13, 0.0),
}


def coefficients(pattern: Tensor) -> Tensor:
    """Rows of the table above for pattern numbers (...): (..., 6), on the CPU."""
    return torch.tensor([_COEFFICIENTS[name] for name in PATTERNS], dtype=torch.float32)[pattern]


def share(x: Tensor, y: Tensor, table: Tensor, angle: Tensor, period: Tensor, phase: Tensor, pixel: Tensor) -> Tensor:
    """How much of the second colour lies at each point of a surface, in [0, 1].

    `x`, `y` (n, h, w) are own-frame coordinates; `table` (n, 6) the coefficients; `angle` (radians), `period` (own-frame units), `phase`
    (turns) and `pixel` (width of a pixel in own-frame units) have shape (n, 1, 1). The result is (n, h, w).
    """
    a, b, c, d, e, slope = (table[:, k, None, None] for k in range(6))
    rate = 2 * math.pi / period
    cos, sin = torch.cos(angle) * rate, torch.sin(angle) * rate
    v = y * cos - x * sin
    cos_u, cos_v = torch.cos(x * cos + y * sin + phase * (2 * math.pi)), torch.cos(v)
    field = cos_u * (a + c * cos_v) + b * cos_v + e * v + d
    # A hard pattern's edge is one pixel wide; the fade keeps its own softness.
    sharpness = torch.where(slope > 0, 1 / (slope.clamp(min=0.1) * rate * pixel), torch.ones_like(slope))
    return (0.5 + field * sharpness).clamp(0, 1)
