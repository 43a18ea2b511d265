"""A source is read by level, and knows two sizes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dragonkit.diffusion.source import Levels, Source, Way
from dragonkit.diffusion.stable_diffusion import StableDiffusion


@pytest.fixture
def source(backbone: StableDiffusion) -> Source:
    pixels = np.zeros((37, 50, 3), np.uint8)
    return Source(Way(Levels(torch.randn(4, 4, 8, 8))), backbone.schedule(3, (32, 32)), "", None, None, pixels, (32, 32))


def test_levels_are_rows_of_the_trajectory(source: Source) -> None:
    for level in range(4):
        assert torch.equal(source.latents_at(level), source.trajectory[level][None])


def test_image_size_is_width_then_height(source: Source) -> None:
    assert source.image_size == (50, 37)
