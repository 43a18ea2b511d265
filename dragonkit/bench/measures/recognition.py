"""Tells the category and the colour of the object in a picture, so that a model's samples can be held against their captions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, cross_entropy, interpolate

from dragonkit.toybox.drawing.colors import COLORS, PATTERNS
from dragonkit.toybox.drawing.objects import CATEGORIES
from dragonkit.toybox.drawing.rendering import render
from dragonkit.toybox.parameters import SceneBatch, sample

__all__ = ["Recognizer", "plain_scenes", "train_recognizer"]

SIZE = 32
"""Pixels a side in which pictures are looked at, whatever the model's."""
_WIDTHS, _BATCH, _RATE, _SHIFT = (24, 48, 96), 64, 4e-3, 3


class Recognizer(nn.Module):
    """A small convolutional classifier with one answer for the category and one for the colour."""

    def __init__(self) -> None:
        super().__init__()
        layers = [_layer(3, _WIDTHS[0], 1), *(_layer(a, b, 2) for a, b in pairwise(_WIDTHS)), _layer(_WIDTHS[-1], _WIDTHS[-1], 1)]
        self.body = nn.Sequential(*layers)
        self.category, self.color = nn.Linear(_WIDTHS[-1], len(CATEGORIES)), nn.Linear(_WIDTHS[-1], len(COLORS))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Scores (n, categories) and (n, colours) of images (n, 3, h, w) in [-1, 1]."""
        if images.shape[-2:] != (SIZE, SIZE):
            images = interpolate(images, (SIZE, SIZE), mode="bilinear", antialias=True)
        seen = self.body(images).amax(dim=(2, 3))  # the strongest answer anywhere: an object is known wherever it lies
        return self.category(seen), self.color(seen)

    @torch.no_grad()
    def right(self, images: Tensor, scenes: SceneBatch) -> tuple[Tensor, Tensor]:
        """Whether the category, and whether the colour, of each scene's object is what its image (n, 3, h, w) shows: two bool (n,)."""
        category, color = self(images)
        return category.argmax(1) == scenes.category[:, 0], color.argmax(1) == scenes.color[:, 0]


def plain_scenes(count: int, seed: int) -> SceneBatch:
    """Scenes of one object without a pattern, whose second colour could be taken for the one that the caption names."""
    scenes = sample(count, seed, objects=1)
    return replace(scenes, pattern=torch.full_like(scenes.pattern, PATTERNS.index("plain")))


def train_recognizer(count: int = 8000, rounds: int = 8, seed: int = 0, progress: Callable[[int, int], None] | None = None) -> Recognizer:
    """A recognizer, trained on renders of `count` plain scenes that are also shifted, blurred and noisy, as a model's pictures are.

    The same seed gives the same one on the same machine; torch's own random state stays as it is.
    """
    scenes = plain_scenes(count, seed)
    images = torch.cat([render(scenes.rows(slice(start, start + _BATCH)), SIZE) for start in range(0, count, _BATCH)]) * 2 - 1
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Recognizer()
        batches = [rows for _ in range(rounds) for rows in torch.randperm(count).split(_BATCH)]
        optimizer = torch.optim.AdamW(network.parameters(), lr=_RATE, weight_decay=0.05)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, total_steps=len(batches))
        for step, rows in enumerate(batches):
            category, color = network(_worn(images[rows]))
            loss = cross_entropy(category, scenes.category[rows, 0]) + cross_entropy(color, scenes.color[rows, 0])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            if progress is not None:
                progress(step + 1, len(batches))
    return network.eval()


def _layer(before: int, after: int, stride: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(before, after, 3, stride, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU())


def _worn(images: Tensor) -> Tensor:
    """Images (n, 3, h, w) shifted together, and each by shares of its own blurred and noisy."""
    images = images.roll(torch.randint(-_SHIFT, _SHIFT + 1, (2,)).tolist(), (2, 3))
    blurred = avg_pool2d(images, 3, stride=1, padding=1, count_include_pad=False)
    share = torch.rand(2, len(images), 1, 1, 1)
    return images.lerp(blurred, share[0]) + 0.1 * share[1] * torch.randn_like(images)
