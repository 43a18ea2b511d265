"""Backgrounds: two pale colours mixed in six ways.

Each function takes x, y (size, size), both in [-1, 1], `knobs` (n, 8, 1, 1) in [0, 1] and the pixel's width, and gives the second colour's
share (n, size, size) in [0, 1]. Everything is slow compared with an object, so that objects keep the only sharp edges that matter.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

TURN = 2 * math.pi


def smooth(x: Tensor, y: Tensor, knobs: Tensor, pixel: float) -> Tensor:
    """A gradient in any direction."""
    angle = knobs[:, 0] * TURN
    return (0.5 + 0.42 * (torch.cos(angle) * x + torch.sin(angle) * y)).clamp(0, 1)


def hilly(x: Tensor, y: Tensor, knobs: Tensor, pixel: float) -> Tensor:
    """Sky above two rolling hills."""
    horizon = -0.1 + 0.7 * knobs[:, 0]
    far = horizon - 0.16 + 0.12 * torch.sin((2.0 + 1.5 * knobs[:, 1]) * x + knobs[:, 2] * TURN)
    near = horizon + 0.1 + 0.1 * torch.sin((2.0 + 1.5 * knobs[:, 3]) * x + knobs[:, 4] * TURN)
    sky = 0.18 * (y + 1).clamp(0, 1)
    behind = torch.lerp(sky, torch.full_like(sky, 0.6), _step(y - far, pixel))
    return torch.lerp(behind, torch.ones_like(sky), _step(y - near, pixel))


def tiled(x: Tensor, y: Tensor, knobs: Tensor, pixel: float) -> Tensor:
    """Two shades of tiles, upright or turned, with soft joints."""
    period, angle = 0.46 + 0.2 * knobs[:, 0], (knobs[:, 1] - 0.5) * TURN * 0.25
    u = (torch.cos(angle) * x + torch.sin(angle) * y) / period + knobs[:, 2]
    v = (torch.cos(angle) * y - torch.sin(angle) * x) / period + knobs[:, 3]
    sharp = period / pixel / math.pi
    su, sv = (torch.sin(math.pi * u) * sharp).clamp(-1, 1), (torch.sin(math.pi * v) * sharp).clamp(-1, 1)
    return 0.5 + 0.5 * su * sv


def wavy(x: Tensor, y: Tensor, knobs: Tensor, pixel: float) -> Tensor:
    """Broad wavy bands."""
    period, sway = 0.55 + 0.25 * knobs[:, 0], 0.06 + 0.06 * knobs[:, 1]
    height = y + sway * torch.sin((3 + 2 * knobs[:, 2]) * x + knobs[:, 3] * TURN)
    return 0.5 + 0.5 * (2.2 * torch.sin(TURN * (height / period + knobs[:, 4]))).clamp(-1, 1)


def cloudy(x: Tensor, y: Tensor, knobs: Tensor, pixel: float) -> Tensor:
    """Soft low-frequency noise: four long waves that bend each other."""
    total = torch.zeros_like(x)
    for k in range(4):
        angle = (knobs[:, k] + k) * TURN / 4
        along = torch.cos(angle) * x + torch.sin(angle) * y
        total = total + torch.sin((2.6 + 0.9 * k) * along + knobs[:, 4 + k] * TURN + 0.5 * total)
    return 0.5 + 0.5 * torch.sin(total)


def sunny(x: Tensor, y: Tensor, knobs: Tensor, pixel: float) -> Tensor:
    """Broad rays from a point near the lower edge."""
    px, py = x - (knobs[:, 0] - 0.5), y - (0.7 + 0.5 * knobs[:, 1])
    rays = torch.sin(torch.round(7 + 4 * knobs[:, 2]) * torch.atan2(py, px) + knobs[:, 3] * TURN)
    radius = torch.sqrt(px * px + py * py)
    return 0.5 + 0.5 * (rays * (radius * 3.0)).clamp(-1, 1) * (radius * 1.5).clamp(0, 1)


KINDS: dict[str, Callable[[Tensor, Tensor, Tensor, float], Tensor]] = {
    "smooth": smooth, "hilly": hilly, "tiled": tiled, "wavy": wavy, "cloudy": cloudy, "sunny": sunny,
}  # fmt: skip
KIND_NAMES: tuple[str, ...] = tuple(KINDS)


def _step(distance: Tensor, pixel: float) -> Tensor:
    return (0.5 + distance / pixel).clamp(0, 1)
