"""Scenes for training: rendered on the fly, or a pool of them drawn once and kept as bytes."""

from __future__ import annotations

import torch
from torch import Tensor
from tqdm import tqdm

from dragonkit.toybox.drawing.rendering import render
from dragonkit.toybox.parameters import sample
from dragonkit.toybox.sentences import captions

CHUNK = 64
"""Scenes rendered in one call: enough to share the work, small enough for a CPU's cache."""
HELD_OUT = 1 << 40
"""Seeds from here on are never trained on."""


def draw(count: int, seed: int, size: int, device: torch.device | str = "cpu") -> tuple[Tensor, list[str]]:
    """`count` scenes: uint8 images (count, 3, size, size) on the CPU or device, and their captions."""
    images, texts = [], []
    for start in range(0, count, CHUNK):
        batch = sample(min(CHUNK, count - start), seed + start)
        images.append((render(batch, size, device) * 255).round().to(torch.uint8))
        texts += captions(batch)
    return torch.cat(images), texts


class Scenes:
    """An endless stream of training batches.

    Args:
        size: pixels a side.
        pool: scenes drawn before they repeat; 0 for fresh ones for ever.
        seed: first scene seed.
        device: where images are rendered and handed out.
    """

    def __init__(self, size: int, pool: int, seed: int, device: torch.device):
        self.size, self.seed, self.device, self.drawn = size, seed, device, 0
        self.random = torch.Generator().manual_seed(seed)
        self.images: Tensor | None = None
        self.texts: list[str] = []
        if pool:
            parts = []
            for start in tqdm(range(0, pool, 1024), desc="drawing scenes", unit="k"):
                images, texts = draw(min(1024, pool - start), seed + start, size)
                parts.append(images)
                self.texts += texts
            self.images = torch.cat(parts)

    def batch(self, count: int) -> tuple[Tensor, list[str]]:
        """Images (count, 3, size, size) float32 in [-1, 1] and their captions."""
        if self.images is None:
            images, texts = draw(count, self.seed + self.drawn, self.size, self.device)
            self.drawn += count
        else:
            rows = torch.randint(len(self.images), (count,), generator=self.random)
            images, texts = self.images[rows], [self.texts[row] for row in rows.tolist()]
        return images.to(self.device).float() / 127.5 - 1, texts
