"""Signed distances of flat shapes: negative inside, zero on the edge, of slope about one near it.

Every function takes the coordinates `x`, `y` (any broadcastable shapes; x right, y down) and shape numbers that are floats or tensors that
broadcast with them, and returns distances of the broadcast shape in the same unit as the coordinates. Slope one is what makes the edge
one pixel wide at every size: coverage is simply half a pixel minus the distance.
"""

from __future__ import annotations

import torch
from torch import Tensor

Number = float | Tensor


def circle(x: Tensor, y: Tensor, cx: Number, cy: Number, r: Number) -> Tensor:
    """Disc of radius `r` about (cx, cy)."""
    return torch.sqrt((x - cx) ** 2 + (y - cy) ** 2 + 1e-9) - r


def ellipse(x: Tensor, y: Tensor, cx: Number, cy: Number, rx: Number, ry: Number) -> Tensor:
    """Axis-aligned ellipse, to first order: the implicit function over its slope."""
    u, v = (x - cx) / rx, (y - cy) / ry
    squared = u * u + v * v
    slope = torch.sqrt((u / rx) ** 2 + (v / ry) ** 2 + 1e-9)
    return (squared - torch.sqrt(squared + 1e-9)) / slope


def leaf(x: Tensor, y: Tensor, ax: Number, ay: Number, bx: Number, by: Number, r: Number) -> Tensor:
    """Ellipse whose long axis runs from (ax, ay) to (bx, by) and whose half width is `r`: a leaf, a wing, a petal."""
    ex, ey = _tensor(bx - ax, x), _tensor(by - ay, x)
    length = torch.sqrt(ex * ex + ey * ey + 1e-9)
    ex, ey = ex / length, ey / length
    px, py = x - (ax + bx) * 0.5, y - (ay + by) * 0.5
    return ellipse(px * ex + py * ey, py * ex - px * ey, 0.0, 0.0, length * 0.5, r)


def box(x: Tensor, y: Tensor, cx: Number, cy: Number, hx: Number, hy: Number, r: float = 0.0) -> Tensor:
    """Rectangle of half sides (hx, hy) whose corners are rounded by `r`."""
    dx, dy = (x - cx).abs() - (hx - r), (y - cy).abs() - (hy - r)
    return torch.sqrt(dx.clamp(min=0) ** 2 + dy.clamp(min=0) ** 2 + 1e-9) + torch.maximum(dx, dy).clamp(max=0) - r


def capsule(x: Tensor, y: Tensor, ax: Number, ay: Number, bx: Number, by: Number, r: Number) -> Tensor:
    """Thick line of half width `r` with round ends from (ax, ay) to (bx, by)."""
    px, py, ex, ey = x - ax, y - ay, bx - ax, by - ay
    along = ((px * ex + py * ey) / (ex * ex + ey * ey + 1e-6)).clamp(0, 1)
    return torch.sqrt((px - along * ex) ** 2 + (py - along * ey) ** 2 + 1e-9) - r


def polygon(x: Tensor, y: Tensor, *corners: tuple[Number, Number], r: float = 0.0) -> Tensor:
    """Convex polygon, corners clockwise as seen, grown by `r`."""
    distance: Tensor | None = None
    for (ax, ay), (bx, by) in zip(corners, corners[1:] + corners[:1], strict=True):
        ex, ey = _tensor(bx - ax, x), _tensor(by - ay, x)
        length = torch.sqrt(ex * ex + ey * ey + 1e-9)
        side = (x - ax) * (ey / length) - (y - ay) * (ex / length)
        distance = side if distance is None else torch.maximum(distance, side)
    assert distance is not None
    return distance - r


def ring(x: Tensor, y: Tensor, cx: Number, cy: Number, r: Number, thickness: Number) -> Tensor:
    """Circle line of radius `r`, `thickness` to either side."""
    return circle(x, y, cx, cy, r).abs() - thickness


def union(*distances: Tensor) -> Tensor:
    """Whatever lies in any of the shapes."""
    result = distances[0]
    for distance in distances[1:]:
        result = torch.minimum(result, distance)
    return result


def melt(a: Tensor, b: Tensor, k: float) -> Tensor:
    """Union whose inner corner is filled smoothly over a length `k`."""
    h = (1.0 - (a - b).abs() / k).clamp(min=0)
    return torch.minimum(a, b) - h * h * (k * 0.25)


def both(*distances: Tensor) -> Tensor:
    """Whatever lies in all of the shapes; a half plane such as `y - 0.3` is a shape too."""
    result = distances[0]
    for distance in distances[1:]:
        result = torch.maximum(result, distance)
    return result


def _tensor(value: Number, like: Tensor) -> Tensor:
    # full_like needs no copy from the host, which torch.tensor would on a GPU.
    return value if isinstance(value, Tensor) else like.new_full((), value)
