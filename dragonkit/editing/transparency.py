"""Transparency under edits: what moves takes its own along, and what it leaves is as transparent as its surroundings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from dragonkit.editing.pasting import Cutout, cut_and_paste

__all__ = ["pasted_alpha"]


def pasted_alpha(alpha: np.ndarray, cutouts: Sequence[Cutout], region: np.ndarray) -> np.ndarray:
    """The alpha of a picture after its edits, float32 (H, W) in [0, 1]; the picture's own, bit for bit, where `region` is 0.

    A draft says nothing of transparency, so the picture's own stays there. What comes from a second picture is opaque.

    Args:
        alpha: float32 (H, W) in [0, 1].
        cutouts: of all edits.
        region: float32 (H, W), how much of each pixel may change.
    """
    if alpha.min() == alpha.max():
        return alpha
    layer = torch.from_numpy(alpha * 2 - 1).expand(1, 3, *alpha.shape).contiguous()
    moving = [replace(one, picture=None if one.picture is None else torch.ones_like(one.picture)) for one in cutouts if one.draft is None]
    pasted = cut_and_paste(layer, *moving)[0, 0].numpy() / 2 + 0.5
    return np.where(region > 0, np.clip(pasted * region + alpha * (1 - region), 0, 1), alpha).astype(np.float32)
