"""A picture that prompts the network beside the words, by an IP-Adapter that was loaded into the pipeline (Ye et al., 2023)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dragonkit.diffusion.backbone import Condition

__all__ = ["WithPicture", "encoded", "has_adapter", "scaled", "stacked"]


@dataclass(frozen=True, eq=False)
class WithPicture:
    """A condition of words and a picture.

    Attributes:
        words: as the backbone makes it of words alone.
        pictures: for each adapter, what its image encoder makes of the picture, or of none: (b, 1, ...).
        scale: 0 for the words alone.
    """

    words: Condition
    pictures: tuple[Tensor, ...]
    scale: float


def has_adapter(unet: Any) -> bool:
    """Whether the UNet asks for a picture. diffusers' loader sets the attribute of the configuration, not its entry."""
    return getattr(unet.config, "encoder_hid_dim_type", None) == "ip_image_proj"


@torch.no_grad()
def encoded(pipeline: Any, picture: np.ndarray, device: torch.device) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """What guidance leads to, and what it leads away from, for each adapter: (1, 1, ...)."""
    pictures = [picture] * len(pipeline.unet.encoder_hid_proj.image_projection_layers)
    without, with_it = zip(
        *(each.chunk(2) for each in pipeline.prepare_ip_adapter_image_embeds(pictures, None, device, 1, True)), strict=True
    )
    return with_it, without


def stacked(conditions: Sequence[WithPicture], rows: Sequence[int], words: Condition) -> WithPicture:
    """Conditions of one scale in one, each as often as it has rows, given all words in one."""
    pictures = zip(*(one.pictures for one in conditions), strict=True)  # by adapter
    several = (torch.cat([each.expand(count, *each.shape[1:]) for each, count in zip(one, rows, strict=True)]) for one in pictures)
    return WithPicture(words, tuple(several), conditions[0].scale)


@contextmanager
def scaled(unet: Any, scale: float) -> Iterator[None]:
    """Within this block the adapters count as much as that; the scales that the caller had set come back afterwards."""
    processors = [one for one in unet.attn_processors.values() if hasattr(one, "to_k_ip")]
    before = [one.scale for one in processors]
    try:
        for one in processors:
            one.scale = [scale] * len(one.to_k_ip)
        yield
    finally:
        for one, its in zip(processors, before, strict=True):
            one.scale = its
