"""A source is read by level, and a second edit builds on the first one's noise without touching it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dragonkit.diffusion.backbone import Backbone
from dragonkit.diffusion.source import Source


@pytest.fixture
def source(backbone: Backbone) -> Source:
    embeds = backbone.prompt_embeds(["", ""])
    pixels = np.zeros((37, 50, 3), np.uint8)
    return Source(torch.randn(4, 4, 8, 8), backbone.schedule(3), "", embeds[:1], embeds[1:], pixels, (32, 32))


def test_levels_are_rows_of_the_trajectory(source: Source) -> None:
    for level in range(4):
        assert torch.equal(source.latents_at(level), source.trajectory[level][None])


def test_image_size_is_width_then_height(source: Source) -> None:
    assert source.image_size == (50, 37)


def test_starting_from_other_noise_leaves_the_original(source: Source) -> None:
    before, noise = source.trajectory.clone(), torch.randn(1, 4, 8, 8)
    other = source.starting_from(noise)
    assert torch.equal(other.latents_at(3), noise)
    assert torch.equal(other.trajectory[:3], source.trajectory[:3])
    assert torch.equal(source.trajectory, before)
    assert other.pixels is source.pixels
