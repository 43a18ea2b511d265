"""The magic wand selects like colours, and only connected ones when asked, as a slow search from pixel to pixel does."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from dragonkit.errors import EditError, MaskError
from dragonkit.selecting import WAND
from dragonkit.selecting.wand import connected_to

shapes = st.tuples(st.integers(1, 12), st.integers(1, 12))


def searched(mask: np.ndarray, row: int, column: int) -> np.ndarray:
    """Depth-first search over the four neighbours."""
    found, waiting = np.zeros_like(mask), [(row, column)]
    while waiting:
        y, x = waiting.pop()
        if 0 <= y < mask.shape[0] and 0 <= x < mask.shape[1] and mask[y, x] and not found[y, x]:
            found[y, x] = True
            waiting += [(y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)]
    return found


@given(shapes.flatmap(lambda shape: arrays(bool, shape)), st.data())
def test_connected_is_what_a_search_finds(mask: np.ndarray, data: st.DataObject) -> None:
    inside = np.argwhere(mask)
    if len(inside):
        row, column = inside[data.draw(st.integers(0, len(inside) - 1))]
        assert np.array_equal(connected_to(mask, row, column), searched(mask, row, column))


def test_a_spiral_is_one_piece() -> None:
    mask = np.zeros((60, 71), bool)  # wound from outside in, one pixel wide: the worst that there is for spreading
    top, left, bottom, right = 0, 0, *mask.shape
    x, y, turn = 0, 0, 0
    while bottom - top > 1 and right - left > 1:
        ends = [(right - 1, top), (right - 1, bottom - 1), (left, bottom - 1), (left, top + 2)]
        for end_x, end_y in ends:
            mask[min(y, end_y) : max(y, end_y) + 1, min(x, end_x) : max(x, end_x) + 1] = True
            x, y = end_x, end_y
        top, left, bottom, right, turn = top + 2, left + 2, bottom - 2, right - 2, turn + 1
        x, y = left - 2, top
    assert turn > 10
    for row, column in np.argwhere(mask)[[0, 400, -1]]:
        assert np.array_equal(connected_to(mask, row, column), mask)


@given(shapes.flatmap(lambda shape: arrays(np.uint8, (*shape, 3), elements=st.sampled_from([0, 30, 60, 255]))), st.data())
def test_alike_is_within_the_tolerance_in_every_channel(pixels: np.ndarray, data: st.DataObject) -> None:
    row, column = data.draw(st.integers(0, pixels.shape[0] - 1)), data.draw(st.integers(0, pixels.shape[1] - 1))
    tolerance = data.draw(st.sampled_from([0, 29, 30, 60, 255]))
    chosen = [int(value) for value in pixels[row, column]]
    alike = np.array([[all(abs(int(a) - b) <= tolerance for a, b in zip(pixel, chosen, strict=True)) for pixel in line] for line in pixels])
    click = [(column + 0.5, row + 0.5, True)]
    assert np.array_equal(WAND.select(pixels, click, tolerance=tolerance, contiguous=False), alike)
    assert np.array_equal(WAND.select(pixels, click, tolerance=tolerance), searched(alike, row, column))


STRIPES = np.zeros((6, 9, 3), np.uint8)
STRIPES[:, 3:6] = (200, 10, 10)


def columns(mask: np.ndarray) -> list[int]:
    assert (mask == mask[0]).all()
    return np.flatnonzero(mask[0]).tolist()


def test_clicks_add_up_and_take_away() -> None:
    left, middle, right = (1.5, 2.5), (4.5, 2.5), (8.5, 2.5)
    assert columns(WAND.select(STRIPES, [(*left, True)])) == [0, 1, 2]
    assert columns(WAND.select(STRIPES, [(*left, True)], contiguous=False)) == [0, 1, 2, 6, 7, 8]
    assert columns(WAND.select(STRIPES, [(*left, True), (*middle, True)])) == [0, 1, 2, 3, 4, 5]
    assert columns(WAND.select(STRIPES, [(*left, True), (*middle, True), (*right, False)])) == [0, 1, 2, 3, 4, 5]
    assert columns(WAND.select(STRIPES, [(*left, True), (*middle, True), (*right, False)], contiguous=False)) == [3, 4, 5]
    assert columns(WAND.select(STRIPES, [(*middle, True)], tolerance=200)) == list(range(9))


def test_the_far_border_belongs_to_the_last_pixel() -> None:
    assert columns(WAND.select(STRIPES, [(9, 6, True)])) == [6, 7, 8]


def test_nothing_left_is_an_error() -> None:
    with pytest.raises(MaskError, match="the selector 'wand' selects no pixel"):
        WAND.select(STRIPES, [(1, 1, True), (2, 2, False)])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"tolerance": 256}, "WandOptions.tolerance is 256, but must be"),
        ({"tolerance": -1}, "WandOptions.tolerance is -1"),
        ({"contiguous": "perhaps"}, "WandOptions.contiguous is 'perhaps', but must be"),
    ],
)
def test_options_have_ranges(options: dict[str, Any], said: str) -> None:
    with pytest.raises(EditError, match=re.escape(said)):
        WAND.select(STRIPES, [(1, 1, True)], **options)


def test_the_picture_may_be_of_any_mode() -> None:
    grey = Image.fromarray(STRIPES[..., 0])
    assert columns(WAND.select(grey, [(4, 1, True)])) == [3, 4, 5]
