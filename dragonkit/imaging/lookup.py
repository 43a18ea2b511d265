"""Warping tensors: what is at the places of a backward map. The one module of imaging that needs torch: import it by name."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from dragonkit.shapes import Correspondence, FeatureMap

__all__ = ["warp"]


def warp(
    features: FeatureMap, correspondence: Correspondence | Float[Tensor, "grid_height grid_width 2"], mode: str = "bilinear"
) -> Float[Tensor, "features grid_height grid_width"]:
    """Look features up along a backward map: cell p of the result is the content at `correspondence[p]`.

    Args:
        features: (c, h, w).
        correspondence: (h', w', 2), (x, y) in cells of `features` with cell centres at integer + 0.5.
        mode: "bilinear"; "bicubic" for pixels; or "nearest" for noise, whose spread interpolation would shrink.

    Returns:
        (c, h', w'); positions outside take the nearest cell inside.
    """
    height, width = features.shape[-2:]
    places = torch.as_tensor(correspondence, device=features.device)
    grid = (places * places.new_tensor([2 / width, 2 / height]) - 1).to(features)
    return F.grid_sample(features[None], grid[None], mode=mode, padding_mode="border", align_corners=False)[0]
