"""Scissors and paste: holes are filled from their rim, moves are exact, and what is not in the region keeps its bits."""

from __future__ import annotations

import numpy as np
import torch
from helpers.parts import inside, part
from hypothesis import given
from hypothesis import strategies as st

from dragonkit.editing.pasting import Cutout, blend, cut_and_paste, edit_region, free_pixels, margin, resized, with_detail
from dragonkit.imaging.masks import Grid, dilate, erode
from dragonkit.imaging.matting import RIM
from dragonkit.modes.move import Move
from dragonkit.plugins.answers import EditMasks, identity_correspondence
from dragonkit.plugins.placement import Placement

seeds = st.integers(0, 2**32 - 1)


def masks_of(mask: np.ndarray, **move) -> EditMasks:
    height, width = mask.shape
    return Move(mask=mask, **move).placement((width, height)).on(Grid(width, height, width, height))


# --- cut and paste ------------------------------------------------------------------------------------------------------


def test_nothing_is_left_of_an_objects_rim_at_its_corners_either() -> None:
    """Pixels that touch the object by a corner only are mixtures with it, as those at its sides are."""
    mask = part(20, 20, slice(4, 8), slice(4, 8))
    image = torch.full((1, 3, 20, 20), 0.5)
    image[..., 3:9, 3:9] = -0.2
    image[..., 4:8, 4:8] = -1.0
    pasted = cut_and_paste(image, Cutout(masks_of(mask, shift=(9, 9))))
    assert torch.allclose(inside(pasted, part(20, 20, slice(0, 10), slice(0, 10))), torch.tensor(0.5))


@given(st.integers(-11, 11), st.integers(-9, 9), seeds)
def test_whole_shifts_paste_the_objects_own_pixels(dx: int, dy: int, seed: int) -> None:
    if (dx, dy) == (0, 0):
        dx = 1
    random = np.random.default_rng(seed)
    image, source = torch.from_numpy(random.uniform(-1, 1, (1, 3, 24, 30))).float(), part(24, 30, slice(9, 15), slice(11, 19))
    pasted = cut_and_paste(image, Cutout(masks_of(source, shift=(dx, dy))))
    target = part(24, 30, slice(9 + dy, 15 + dy), slice(11 + dx, 19 + dx))
    # a rim pixel may be a mixture, and is one with its new background then
    inner = erode(source, RIM)
    moved = np.roll(inner, (dy, dx), (0, 1))
    assert torch.allclose(inside(pasted, moved), inside(image, inner), atol=1e-4)
    untouched = ~(dilate(source, RIM) | target)
    assert torch.equal(inside(pasted, untouched), inside(image, untouched))


def test_edges_are_mixtures_with_their_new_background() -> None:
    """A white bar with half-covered edges on black, moved onto grey: its edges are half white, half grey."""
    source = part(20, 30, slice(6, 12), slice(4, 10))
    colors = np.full((20, 30), -1.0, np.float32)
    colors[:, 15:] = 0
    colors[6:12, 4:10] = 1
    colors[6:12, [3, 10]] = 0  # half of white on black
    image = torch.from_numpy(colors).repeat(1, 3, 1, 1)
    pasted = cut_and_paste(image, Cutout(masks_of(source, shift=(14, 0)), lambda places: places - (14, 0)))
    assert torch.allclose(pasted[..., 6:12, 18:24], torch.tensor(1.0), atol=1e-3)
    assert torch.allclose(pasted[..., 6:12, [17, 24]], torch.tensor(0.5), atol=0.05)
    assert torch.allclose(pasted[..., :, :13], torch.tensor(-1.0), atol=0.1)  # and nothing of it is left where it was
    assert torch.allclose(pasted[..., :4, 16:], torch.tensor(0.0), atol=1e-3)


def test_the_vacated_place_shows_the_background() -> None:
    source = part(24, 30, slice(9, 15), slice(4, 12))
    image = torch.where(torch.from_numpy(dilate(source, 1)), 1.0, -0.5).repeat(1, 3, 1, 1)  # the rim is the object's, too
    pasted = cut_and_paste(image, Cutout(masks_of(source, shift=(14, 0))))
    assert torch.allclose(inside(pasted, dilate(source, 1)), torch.tensor(-0.5), atol=1e-5)


def test_an_overlapping_move_leaves_no_second_object() -> None:
    source = part(24, 30, slice(8, 16), slice(4, 14))
    image = torch.where(torch.from_numpy(source), 1.0, -1.0).repeat(1, 3, 1, 1)
    pasted = cut_and_paste(image, Cutout(masks_of(source, shift=(4, 0))))
    expected = part(24, 30, slice(8, 16), slice(8, 18))
    assert torch.allclose(pasted[0, 0], torch.where(torch.from_numpy(expected), 1.0, -1.0), atol=1e-4)


def test_enlarging_about_the_centre() -> None:
    source = part(32, 32, slice(12, 20), slice(12, 20))
    image = torch.where(torch.from_numpy(source), 1.0, -1.0).repeat(1, 3, 1, 1)
    pasted = cut_and_paste(image, Cutout(masks_of(source, scale=2.0)))
    inner = part(32, 32, slice(10, 22), slice(10, 22))
    assert torch.allclose(inside(pasted, inner), torch.tensor(1.0), atol=1e-4)
    assert torch.equal(inside(pasted, ~part(32, 32, slice(8, 24), slice(8, 24))), inside(image, ~part(32, 32, slice(8, 24), slice(8, 24))))


def test_moves_tells_a_move_from_a_change_of_look() -> None:
    source = part(8, 8, slice(2, 5), slice(2, 5))
    move = masks_of(source, shift=(1, 0))
    assert move.places_content()
    look = EditMasks(move.grid, source, source, ~source, ~move.preserve & False, ~source, identity_correspondence(move.grid))
    assert not look.places_content()


def test_what_goes_nowhere_leaves_a_smooth_fill() -> None:
    source = part(32, 32, slice(12, 20), slice(12, 20))
    gone = Placement(source, source & False).on(Grid(32, 32, 32, 32))
    assert gone.places_content()
    image = torch.where(torch.from_numpy(source), 1.0, -0.5).repeat(1, 3, 1, 1)
    assert torch.allclose(cut_and_paste(image, Cutout(gone)), torch.tensor(-0.5), atol=1e-5)


# --- sizes and detail ---------------------------------------------------------------------------------------------------


def test_resized_keeps_constants_and_leaves_the_right_size_alone() -> None:
    image = torch.rand(1, 3, 6, 8) * 2 - 1
    assert resized(image, (8, 6)) is image
    grown = resized(torch.full((1, 3, 6, 8), 0.25), (50, 37))
    assert grown.shape == (1, 3, 37, 50)
    assert torch.allclose(grown, torch.tensor(0.25), atol=1e-5)
    stripes = torch.tensor([-1.0, 1.0]).repeat(1, 3, 8, 4)
    assert resized(stripes, (50, 37)).abs().max() <= 1  # bicubic overshoots


def test_detail_of_the_pasted_picture_comes_back_where_the_model_changed_nothing() -> None:
    pasted, decoded = torch.rand(1, 3, 37, 50) * 2 - 1, torch.rand(1, 3, 32, 32) * 2 - 1
    everywhere, nowhere = np.ones((37, 50), np.float32), np.zeros((37, 50), np.float32)
    assert torch.allclose(with_detail(decoded, decoded, pasted, everywhere, everywhere), pasted, atol=1e-5)
    assert torch.allclose(with_detail(decoded, -decoded, pasted, nowhere, everywhere), resized(decoded, (50, 37)), atol=1e-5)


def test_what_the_model_changed_is_added_to_the_detail() -> None:
    pasted, round_trip, everywhere = torch.zeros(1, 3, 8, 8), torch.full((1, 3, 8, 8), 0.2), np.ones((8, 8), np.float32)
    changed = round_trip.clone()
    changed[..., 2:4, 2:4] += 0.02  # a larger change is another drawing, whose detail nobody knows
    result = with_detail(changed, round_trip, pasted, everywhere, everywhere)
    assert torch.allclose(result, changed - round_trip, atol=0.003)
    another = round_trip + torch.rand(1, 3, 8, 8).sign()
    assert torch.allclose(with_detail(another, round_trip, pasted, everywhere, everywhere), another.clamp(-1, 1), atol=1e-6)  # and clipped


def test_what_was_given_to_the_end_keeps_its_own_pixels() -> None:
    pasted, round_trip = torch.rand(1, 3, 16, 16) * 2 - 1, torch.rand(1, 3, 16, 16) * 2 - 1
    held = part(16, 16, slice(2, 9), slice(2, 9))
    free = free_pixels(held, 4.0)
    result = with_detail(round_trip + 0.02, round_trip, pasted, np.ones((16, 16), np.float32), free)
    inside = torch.from_numpy(held)
    assert torch.equal(result[..., inside], pasted[..., inside].clamp(-1, 1))
    far = torch.from_numpy(~dilate(held, margin(4.0)))
    assert torch.allclose(result[..., far], (pasted + 0.02)[..., far].clamp(-1, 1), atol=0.03)


# --- what may change ----------------------------------------------------------------------------------------------------


@given(seeds, st.sampled_from([1.0, 4.0, 8.0]))
def test_the_region_is_one_at_the_edit_and_zero_away_from_it(seed: int, cell: float) -> None:
    random = np.random.default_rng(seed)
    (top, bottom), (left, right) = np.sort(random.integers(0, 40, 2)), np.sort(random.integers(0, 50, 2))
    edited = part(40, 50, slice(top, bottom + 1), slice(left, right + 1))
    region = edit_region(edited, cell)
    assert region.dtype == np.float32 and region.shape == (40, 50)
    assert (region[dilate(edited, RIM)] == 1).all()
    assert (region[~dilate(edited, margin(cell) + 0.5)] == 0).all()  # half a pixel: distances are those of pixel centres
    assert region.min() >= 0


def test_no_edit_no_region() -> None:
    assert not edit_region(np.zeros((8, 8), bool), 2.0).any()


@given(seeds)
def test_blending_keeps_the_original_bit_for_bit_outside(seed: int) -> None:
    random = np.random.default_rng(seed)
    original, edited = random.integers(0, 256, (9, 7, 3), dtype=np.uint8), random.integers(0, 256, (9, 7, 3)).astype(np.float32)
    region = random.choice(np.array([0, 0.5, 1], np.float32), (9, 7))
    blended = blend(edited, original, region)
    assert blended.dtype == np.uint8
    assert np.array_equal(blended[region == 0], original[region == 0])
    assert np.array_equal(blended[region == 1], edited[region == 1])
    half = (edited + original.astype(np.float32))[region == 0.5] / 2
    assert np.abs(blended[region == 0.5] - half).max(initial=0) <= 0.5
