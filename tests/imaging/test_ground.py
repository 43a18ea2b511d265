"""The ground under things and what stands out from it: holes are filled from their rim, things found where a mask goes around them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers.parts import inside, part
from hypothesis import given
from hypothesis import strategies as st

from dragonkit import toybox
from dragonkit.imaging.ground import fill_hole, standing_out
from dragonkit.imaging.masks import dilate

seeds = st.integers(0, 2**32 - 1)


# --- filling holes ------------------------------------------------------------------------------------------------------


@given(seeds)
def test_known_pixels_stay_bit_for_bit(seed: int) -> None:
    random = np.random.default_rng(seed)
    height, width = random.integers(1, 30, 2)
    image, hole = torch.from_numpy(random.uniform(-1, 1, (1, 3, height, width))).float(), random.random((height, width)) < random.random()
    filled = fill_hole(image, hole)
    assert torch.equal(inside(filled, ~hole), inside(image, ~hole))
    if not hole.all():  # averages invent no new extremes
        assert inside(filled, hole).ge(inside(image, ~hole).min() - 1e-5).all()
        assert inside(filled, hole).le(inside(image, ~hole).max() + 1e-5).all()


@pytest.mark.parametrize(
    ("size", "rows", "columns"),
    [
        ((32, 32), slice(10, 20), slice(5, 25)),
        ((33, 47), slice(0, 30), slice(20, 47)),
        ((64, 192), slice(0, 64), slice(64, 128)),  # a full-height object in a wide picture
        ((1, 9), slice(0, 1), slice(3, 7)),
    ],
)
def test_a_hole_in_one_colour_gets_that_colour(size: tuple[int, int], rows: slice, columns: slice) -> None:
    hole, colour = part(*size, rows, columns), torch.tensor([0.7, -0.2, 0.1])
    image = colour[None, :, None, None].repeat(1, 1, *size)
    image[..., torch.from_numpy(hole)] = -1  # what was there must not shine through
    assert torch.allclose(inside(fill_hole(image, hole), hole), colour[None, :, None], atol=1e-5)


def test_a_hole_in_a_ramp_gets_about_the_ramp() -> None:
    ramp, hole = torch.linspace(-1, 1, 64).expand(1, 3, 64, 64).clone(), part(64, 64, slice(20, 40), slice(24, 44))
    broken = torch.where(torch.from_numpy(hole), 1.0, ramp)
    error = (fill_hole(broken, hole) - ramp).abs()
    assert inside(error, hole).max() < 0.1  # the hole spans 0.6
    assert inside(error, hole).mean() < 0.05


def test_nothing_to_fill_and_nothing_to_fill_with() -> None:
    image = torch.rand(1, 3, 8, 8)
    assert torch.equal(fill_hole(image, np.zeros((8, 8), bool)), image)
    assert torch.equal(fill_hole(image, np.ones((8, 8), bool)), image)


# --- what stands out ----------------------------------------------------------------------------------------------------

SIZE = 64
ROWS, COLUMNS = np.indices((SIZE, SIZE)) + 0.5
RAMP = np.stack([2 * COLUMNS, 80 + ROWS, 200 - COLUMNS], axis=-1).astype(np.uint8)
AROUND = part(SIZE, SIZE, slice(8, 56), slice(8, 56))


def disc(x: float, y: float, radius: float) -> np.ndarray:
    return np.hypot(COLUMNS - x, ROWS - y) <= radius


def painted(*things: np.ndarray) -> np.ndarray:
    picture = RAMP.copy()
    for thing in things:
        picture[thing] = (250, 30, 30)
    return picture


def test_a_thing_on_its_ground_is_found() -> None:
    thing = disc(30, 34, 11)
    for click in (30, 34), (40, 34), (30, 23.5), (42, 34):  # on it, or just beside it
        assert np.array_equal(standing_out(painted(thing), AROUND, [click]), thing)


def test_only_what_is_clicked_on_is_found() -> None:
    one, other = disc(20, 20, 7), disc(42, 42, 8)
    picture = painted(one, other)
    assert np.array_equal(standing_out(picture, AROUND, [(20, 20)]), one)
    assert np.array_equal(standing_out(picture, AROUND, [(20, 20), (42, 42)]), one | other)


def test_a_thing_may_wind() -> None:
    snake = np.zeros((SIZE, SIZE), bool)
    snake[12:52:6, 12:52] = True
    snake[12:18, 51] = snake[18:24, 12] = snake[24:30, 51] = snake[30:36, 12] = True
    snake[36:, :] = False
    assert np.array_equal(standing_out(painted(snake), AROUND, [(12.5, 30.5)]), snake)


def test_a_thing_on_patterned_ground_is_found() -> None:
    thing, tiles = disc(30, 34, 11), ((ROWS // 8 + COLUMNS // 8) % 2).astype(int)
    picture = (np.where(tiles[..., None], [150, 170, 190], [120, 138, 160])).astype(np.uint8)
    picture[thing] = (250, 30, 30)
    found = standing_out(picture, AROUND, [(30, 34)])
    assert found is not None and (found & thing).sum() / (found | thing).sum() > 0.95


def test_where_nothing_is_found() -> None:
    thing = disc(30, 34, 11)
    assert standing_out(painted(thing), AROUND, [(50, 12)]) is None  # a click on the ground
    assert standing_out(painted(thing), AROUND, [(30, 34), (50, 12)]) is None
    assert standing_out(painted(thing), np.ones_like(AROUND), [(30, 34)]) is None  # no ground to be seen
    assert standing_out(RAMP, AROUND, [(30, 34)]) is None


@pytest.mark.parametrize("rows", [slice(0, 40), slice(24, 64), slice(0, 64)])
def test_a_thing_that_goes_on_beyond_the_mask_is_not_torn(rows: slice) -> None:
    bar = part(SIZE, SIZE, rows, slice(20, 44))
    assert standing_out(painted(bar), AROUND, [(32, 32)]) is None


@given(seeds)
def test_whatever_the_picture_what_is_found_lies_under_the_mask(seed: int) -> None:
    random = np.random.default_rng(seed)
    height, width = random.integers(2, 40, 2)
    picture = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
    mask = dilate(random.random((height, width)) < 0.02, float(random.uniform(0, 9)))
    clicks = [(float(x), float(y)) for x, y in random.uniform(0, (width, height), (random.integers(1, 4), 2))]
    found = standing_out(picture, mask, clicks)
    assert found is None or (found.shape == mask.shape and found.any() and not (found & ~mask).any())


def test_toybox_things_are_found_by_one_click() -> None:
    shares = []
    for seed in range(24):
        scene = toybox.scene(seed, size=128, objects=1)
        (one,) = scene.objects
        (x, y), mask = next(iter(one.keypoints.values())), dilate(one.mask, 10)
        found = standing_out(np.asarray(scene.image), mask, [(x, y)])
        shares.append(0 if found is None else (found & one.mask).sum() / (found | one.mask).sum())
    assert np.mean(np.array(shares) > 0.7) >= 0.5, shares
