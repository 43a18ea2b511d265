"""Which shape numbers bring a keypoint to a given place."""

from __future__ import annotations

import torch
from torch import Tensor

from dragonkit.toybox.drawing.objects import keypoints

_STEPS = 7  # grid points per shape number and round
_ROUNDS = 12  # each halves the grid; the last one is finer than any pixel
_RELUCTANCE = 1e-5  # what a needless change of shape costs, against squared distances


def solve(category: int, shape: Tensor, point: int, target: Tensor) -> Tensor:
    """Shape numbers (4,) in [0, 1] that bring keypoint number `point` as near as they can to `target` (2,), in the object's own frame.

    A grid search that zooms in: bounded by construction, blind to local minima narrower than a grid step, and never worse than `shape`
    (4,), which is always a candidate. Numbers that do not move the keypoint keep their value, and of equally good answers the one nearest
    to `shape` wins.
    """
    free = [k for k in range(4) if _moves(category, point, k, shape)]
    best, width = shape.clone(), 1.0
    low, high = torch.zeros_like(shape), torch.ones_like(shape)
    for _ in range(_ROUNDS if free else 0):
        axes = [torch.cat([best[k, None], torch.linspace(float(low[k]), float(high[k]), _STEPS, dtype=shape.dtype)]) for k in free]
        candidates = best.repeat(len(axes[0]) ** len(free), 1)
        candidates[:, free] = torch.cartesian_prod(*axes).view(-1, len(free))
        places = keypoints(category, candidates)[1][:, point]
        cost = (places - target).square().sum(1) + _RELUCTANCE * (candidates - shape).square().sum(1)
        best, width = candidates[cost.argmin()], width * 0.5
        low, high = (best - width * 0.5).clamp(0, 1), (best + width * 0.5).clamp(0, 1)
    return best


def _moves(category: int, point: int, number: int, shape: Tensor) -> bool:
    """Whether a shape number moves a keypoint, from here or from the middle of the range."""
    probes = torch.stack([shape, torch.full_like(shape, 0.5)]).repeat(3, 1)
    probes[:, number] = torch.tensor([0.0, 0.0, 0.5, 0.5, 1.0, 1.0], dtype=shape.dtype)
    places = keypoints(category, probes)[1][:, point].view(3, 2, 2)
    return bool((places - places[:1]).abs().max() > 1e-9)
