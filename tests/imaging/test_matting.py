"""Soft edges: composites of a known alpha are taken apart again, and what cannot be is left as the mask says."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragonkit.imaging.masks import dilate, erode
from dragonkit.imaging.matting import RIM, matte


def disc(size: int, radius: float, samples: int = 8) -> np.ndarray:
    """How much of each pixel a disc in the middle covers, float32 (size, size)."""
    places = (np.arange(size * samples) + 0.5) / samples - size / 2
    fine = np.hypot(places[:, None], places) <= radius
    return fine.reshape(size, samples, size, samples).mean(axis=(1, 3)).astype(np.float32)


def composite(alpha: np.ndarray, foreground: np.ndarray, background: np.ndarray) -> np.ndarray:
    return (alpha[..., None] * foreground + (1 - alpha[..., None]) * background).astype(np.float32)


channels = st.floats(0, 1, width=32)
colors = st.tuples(channels, channels, channels).map(np.array)


@given(colors, colors, st.floats(4, 9))
def test_a_known_mixture_is_taken_apart(color: np.ndarray, behind: np.ndarray, radius: float) -> None:
    alpha = disc(24, radius)
    background = np.broadcast_to(behind, (24, 24, 3)).astype(np.float32)
    picture = composite(alpha, np.broadcast_to(color, (24, 24, 3)), background)
    foreground, found = matte(picture, alpha >= 0.5, background)
    if np.linalg.norm(color - behind) > 0.1:
        assert np.abs(found - alpha).max() < 0.02
        rim = (found > 0.05) & (found < 1)
        assert np.abs(foreground[rim] - color).max(initial=0) < 0.02
    # taken apart and put together it is the same picture, whatever the colours
    assert np.abs(composite(found, foreground, background) - picture)[dilate(alpha >= 0.5, RIM)].max() < 0.07


@given(st.integers(0, 2**32 - 1))
def test_the_inside_is_opaque_and_keeps_its_colours(seed: int) -> None:
    random = np.random.default_rng(seed)
    picture, background = random.random((2, 16, 20, 3), dtype=np.float32)
    mask = np.zeros((16, 20), bool)
    mask[3:12, 4:15] = True
    foreground, alpha = matte(picture, mask, background)
    inner = erode(mask, RIM)
    assert (alpha[inner] == 1).all() and np.array_equal(foreground[inner], picture[inner])
    assert (alpha[~dilate(mask, RIM)] == 0).all()
    assert ((alpha >= 0) & (alpha <= 1)).all()


def test_a_colour_that_is_no_mixture_is_taken_as_the_mask_says() -> None:
    """A green outline round a red object on blue is the object's own, however far from every mixture of red and blue."""
    mask = disc(24, 7) >= 0.5
    background = np.broadcast_to(np.float32([0, 0, 1]), (24, 24, 3))
    picture = np.where(mask[..., None], np.float32([1, 0, 0]), background)
    outline = mask & ~erode(mask, 1)
    picture[outline] = (0, 1, 0)
    foreground, alpha = matte(picture, mask, background)
    assert np.array_equal(alpha, mask.astype(np.float32))
    assert (foreground[outline] == (0, 1, 0)).all()


def test_an_object_thinner_than_its_rim_has_soft_edges_too() -> None:
    alpha = np.zeros((9, 20), np.float32)
    alpha[3], alpha[4], alpha[5] = 0.3, 1.0, 0.6
    background = np.zeros((9, 20, 3), np.float32)
    picture = composite(alpha, np.ones((9, 20, 3), np.float32), background)
    assert np.abs(matte(picture, alpha >= 0.5, background)[1] - alpha).max() < 0.02


@pytest.mark.parametrize("color", [0.5, 0.52])
def test_an_object_of_the_backgrounds_colour_is_what_the_mask_says(color: float) -> None:
    mask = disc(16, 5) >= 0.5
    picture = np.where(mask[..., None], np.float32(color), np.full((16, 16, 3), 0.5, np.float32))
    assert np.array_equal(matte(picture, mask, np.full((16, 16, 3), 0.5, np.float32))[1], mask.astype(np.float32))


def test_nothing_is_nothing_and_the_picture_given_is_left_alone() -> None:
    picture = np.random.default_rng(0).random((8, 8, 3), dtype=np.float32)
    before = picture.copy()
    foreground, alpha = matte(picture, np.zeros((8, 8), bool), picture)
    assert not alpha.any() and np.array_equal(foreground, picture)
    matte(picture, np.ones((8, 8), bool), 1 - picture)
    assert np.array_equal(picture, before)


@pytest.mark.processes
def test_it_imports_without_torch() -> None:
    code = "import sys, dragonkit.imaging.matting; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip() == "False"
