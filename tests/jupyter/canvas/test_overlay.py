"""The mask laid over the picture: where its colour is, and where its outline."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dragonkit.jupyter.canvas.overlay import MASK_COLOR, mask_overlay
from dragonkit.jupyter.canvas.viewport import Viewport

MASKS = st.tuples(st.integers(1, 14), st.integers(1, 14)).flatmap(lambda shape: arrays(bool, shape))


def seen(mask: np.ndarray, view: Viewport) -> np.ndarray:
    """Which canvas pixels have the centre of a marked pixel in them, or their own centre in one."""
    width, height = view.canvas_size
    found = np.zeros((height, width), bool)
    for y, x in np.ndindex(height, width):
        i, j = view.to_image(x + 0.5, y + 0.5)
        if 0 <= i < mask.shape[1] and 0 <= j < mask.shape[0]:
            found[y, x] = mask[int(j), int(i)]
    for j, i in np.argwhere(mask):
        x, y = view.to_canvas(i + 0.5, j + 0.5)
        if 0 <= x < width and 0 <= y < height:
            found[int(y), int(x)] = True
    return found


def around(bits: np.ndarray) -> np.ndarray:
    """Where one of the pixels around, or the pixel itself, is True."""
    padded = np.pad(bits, 1)
    return np.any([padded[dy : dy + bits.shape[0], dx : dx + bits.shape[1]] for dy in range(3) for dx in range(3)], axis=0)


@given(MASKS, st.integers(1, 4), st.floats(0, 1))
def test_colour_within_white_at_the_rim_black_around(mask: np.ndarray, scale: int, opacity: float) -> None:
    height, width = mask.shape
    view = Viewport((width, height), (width * scale, height * scale))
    overlay = mask_overlay(mask, view, (0, 0, *view.canvas_size), opacity)
    marked = np.kron(mask, np.ones((scale, scale), bool))
    border = ~np.pad(np.ones((height * scale - 2, width * scale - 2), bool), 1) if min(marked.shape) > 2 else np.ones_like(marked)
    within, rim = marked & ~around(~marked) & ~border, marked & (around(~marked) | border)
    outline, far = ~marked & around(marked), ~marked & ~around(marked)
    assert (overlay[within] == (*MASK_COLOR, round(255 * opacity))).all()
    assert (overlay[rim] == 255).all()
    assert (overlay[outline] == (0, 0, 0, 255)).all()
    assert not overlay[far][:, 3].any()


@given(MASKS, st.floats(0.2, 3), st.floats(-3, 12), st.floats(-3, 12))
def test_at_any_zoom_everything_marked_is_seen_and_nothing_else(mask: np.ndarray, zoom: float, x: float, y: float) -> None:
    view = Viewport((mask.shape[1], mask.shape[0]), (17, 11), zoom, (x, y))
    overlay = mask_overlay(mask, view, (0, 0, 17, 11), 0.5)
    marked = (overlay[..., 3] > 0) & ~(overlay == (0, 0, 0, 255)).all(axis=-1)
    expected = seen(mask, view)
    assert not (expected & ~around(marked)).any()  # a centre on an edge may fall to either side
    assert not (marked & ~around(expected)).any()
    assert abs(int(marked.sum()) - int(expected.sum())) <= 0.25 * expected.sum() + 2


@given(MASKS, st.floats(0.3, 5), st.data())
def test_a_part_drawn_alone_is_the_part_of_the_whole(mask: np.ndarray, zoom: float, data: st.DataObject) -> None:
    view = Viewport((mask.shape[1], mask.shape[0]), (31, 23), zoom, (2.3, 1.9))
    left, top = data.draw(st.integers(0, 30)), data.draw(st.integers(0, 22))
    right, bottom = data.draw(st.integers(left + 1, 31)), data.draw(st.integers(top + 1, 23))
    whole = mask_overlay(mask, view, (0, 0, 31, 23), 0.4)
    part = mask_overlay(mask, view, (left, top, right, bottom), 0.4)
    assert part.shape == (bottom - top, right - left, 4)
    different = (part != whole[top:bottom, left:right]).any(axis=-1)
    assert different.sum() <= 0.02 * different.size  # rounding, where a picture pixel's edge falls on a canvas pixel's centre


@pytest.mark.parametrize("size", [(4000, 3000), (2500, 900)])
def test_one_pixel_of_a_large_picture_is_seen(size: tuple[int, int]) -> None:
    mask = np.zeros(size[::-1], bool)
    mask[777, 1234] = True
    view = Viewport(size, (640, round(640 * size[1] / size[0])))
    overlay = mask_overlay(mask, view, (0, 0, *view.canvas_size), 0.5)
    x, y = view.to_canvas(1234.5, 777.5)
    assert (overlay[int(y), int(x)] == 255).all() and (overlay[..., 3] > 0).sum() == 9
