"""Mask reading, and the geometry: exact, invertible where it can be, and checked against brute force."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from dragonkit.errors import EditError, MaskError
from dragonkit.imaging.masks import (
    Grid,
    bounding_box,
    cell_coverage,
    center_of,
    decode_mask,
    dilate,
    encode_mask,
    erode,
    feather,
    load_mask,
    shift_mask,
    to_grid,
)

SHAPES = st.tuples(st.integers(1, 24), st.integers(1, 24))
MASKS = SHAPES.flatmap(lambda shape: arrays(bool, shape))
RADII = st.floats(0, 12)


def box(left: int, top: int, right: int, bottom: int, size: tuple[int, int] = (40, 30)) -> np.ndarray:
    mask = np.zeros(size[::-1], bool)
    mask[top:bottom, left:right] = True
    return mask


def distances(mask: np.ndarray) -> np.ndarray:
    """Distance of every pixel to the nearest one inside, by comparing all pairs."""
    grid = np.indices(mask.shape)
    inside = np.argwhere(mask)
    if len(inside) == 0:
        return np.full(mask.shape, np.inf)
    squared = (grid[0][..., None] - inside[:, 0]) ** 2 + (grid[1][..., None] - inside[:, 1]) ** 2
    return np.sqrt(squared.min(axis=-1))


# ---- reading

MASK = box(1, 2, 4, 3, size=(7, 5))  # as the expected result of everything read below
BYTES = MASK.astype(np.uint8) * 255
BLANK = np.zeros_like(BYTES)


@pytest.mark.parametrize(
    "array",
    [
        MASK,
        MASK[..., None],
        MASK[None, None],
        MASK.astype(np.uint8),
        MASK.astype(np.int64),
        BYTES,
        np.where(MASK, 128, 127).astype(np.uint8),
        MASK.astype(np.int32) * 255,
        MASK.astype(np.uint16) * 65535,
        MASK.astype(np.float64),
        np.where(MASK, 0.51, 0.5),
        np.dstack([BYTES] * 3),
        np.dstack([BLANK, BLANK, BYTES]),  # any paint counts
        np.dstack([BYTES] * 3 + [BLANK + 255]),
        np.dstack([BYTES.T[::-1].T] * 3 + [BYTES]),  # alpha decides where it varies
        np.dstack([BLANK] * 3 + [BYTES]),
        np.dstack([BLANK + 255] * 3 + [BYTES]),
        torch.from_numpy(MASK),
        torch.from_numpy(MASK)[None],
        torch.from_numpy(MASK)[None, None].float().requires_grad_(),
        torch.from_numpy(MASK).bfloat16(),
        torch.from_numpy(BYTES).expand(3, 5, 7),
        Image.fromarray(MASK),
        Image.fromarray(BYTES),
        Image.fromarray(BYTES).convert("RGBA"),
        Image.fromarray(BYTES).convert("P"),
        Image.fromarray(MASK.astype(np.uint16) * 65535),
        Image.fromarray(MASK.astype(np.float32)),
        Image.merge("LA", [Image.fromarray(BLANK), Image.fromarray(BYTES)]),
    ],
)
def test_masks_of_every_kind(array: Any, tmp_path: Path) -> None:
    loaded = load_mask(array, (7, 5))
    assert loaded.dtype == bool
    np.testing.assert_array_equal(loaded, MASK)
    if isinstance(array, Image.Image) and array.mode != "F":
        array.save(tmp_path / "mask.png")
        np.testing.assert_array_equal(load_mask(tmp_path / "mask.png", (7, 5)), MASK)
        np.testing.assert_array_equal(load_mask(str(tmp_path / "mask.png"), (7, 5)), MASK)


def test_a_mask_may_cover_everything() -> None:
    assert load_mask(np.ones((5, 7), bool), (7, 5)).all()
    assert load_mask(Image.new("RGBA", (7, 5), "white"), (7, 5)).all()


def test_a_mask_of_a_one_pixel_high_image() -> None:
    row = np.array([[True, False, True]])
    for mask in (row, row[..., None], np.dstack([row] * 3), row[None], torch.from_numpy(row), torch.from_numpy(row)[None]):
        np.testing.assert_array_equal(load_mask(mask, (3, 1)), row)


def test_the_loaded_mask_is_the_callers_own() -> None:
    mask = MASK.copy()
    load_mask(mask, (7, 5))[:] = False
    np.testing.assert_array_equal(mask, MASK)


def test_a_mask_of_another_size() -> None:
    with pytest.raises(MaskError, match="7x5 but the image is 5x7"):
        load_mask(MASK, (5, 7))


@pytest.mark.parametrize(
    ("mask", "said"),
    [
        (np.zeros((5, 7), bool), "empty: its highest value is 0"),
        (np.full((5, 7), 100, np.uint8), "empty: its highest value is 100"),
        (Image.new("RGBA", (7, 5)), "empty"),
        (np.zeros((5, 7, 2)), r"an array of shape \(5, 7, 2\)"),
        (np.zeros(5), "is not a mask"),
        (np.zeros((0, 7)), "is not a mask"),
        (torch.zeros(2, 5, 7), r"a tensor of shape \(2, 5, 7\)"),
        (np.full((5, 7), math.nan), r"must lie in 0\.\.1"),
        (np.full((5, 7), 255.0), r"lies in 255\.\.255"),
        (np.full((5, 7), -1), "no clear inside"),
        (np.full((5, 7), 1 << 20), "no clear inside"),
        (np.full((5, 7), "x"), "must hold bools or numbers, not <U1"),
        (None, "cannot be made from NoneType"),
        ("nowhere.png", "cannot be read: .*does not exist"),
        (Image.new("La", (7, 5)), "cannot be read: .*not supported"),
        (Image.new("L", (0, 5)), "cannot be read: .*no pixels"),
    ],
)
def test_masks_that_are_none(mask: Any, said: str) -> None:
    with pytest.raises(MaskError, match=said):
        load_mask(mask, (7, 5))


def test_a_text_file_as_mask(tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    path.write_text("not a mask")
    with pytest.raises(MaskError, match=r"cannot be read: .*not in a format"):
        load_mask(path, (7, 5))


@given(MASKS)
def test_encoding_round_trip(mask: np.ndarray) -> None:
    text = encode_mask(mask)
    for written in (text, "data:image/png;base64," + text):
        decoded = decode_mask(written)
        np.testing.assert_array_equal(decoded, mask)
        assert decoded.dtype == bool
        assert decoded.flags.writeable


def test_encoding_is_small() -> None:
    assert len(encode_mask(box(100, 100, 300, 300, size=(512, 512)))) < 500


@pytest.mark.parametrize("text", ["", "no base64!", base64.b64encode(b"no png").decode(), encode_mask(MASK)[:40]])
def test_decoding_what_is_no_mask(text: str) -> None:
    with pytest.raises(MaskError, match="no base64 PNG mask"):
        decode_mask(text)


# ---- moving and scaling


@given(MASKS, st.integers(-30, 30), st.integers(-30, 30))
def test_shift_agrees_with_indices(mask: np.ndarray, dx: int, dy: int) -> None:
    moved = shift_mask(mask, dx, dy)
    height, width = mask.shape
    expected = {(x + dx, y + dy) for y, x in np.argwhere(mask) if 0 <= x + dx < width and 0 <= y + dy < height}
    assert {(x, y) for y, x in np.argwhere(moved)} == expected


@given(MASKS, st.floats(-8, 8), st.floats(-8, 8))
def test_shift_there_and_back(mask: np.ndarray, dx: float, dy: float) -> None:
    roomy = np.pad(mask, 9)
    np.testing.assert_array_equal(shift_mask(shift_mask(roomy, dx, dy), -dx, -dy), roomy)


def test_shift_right_and_down() -> None:
    np.testing.assert_array_equal(shift_mask(box(2, 3, 8, 6), 10, 5), box(12, 8, 18, 11))
    assert not shift_mask(box(2, 3, 8, 6), 0, -30).any()


@given(MASKS)
def test_a_shift_by_zero_changes_nothing(mask: np.ndarray) -> None:
    same = shift_mask(mask, 0, 0)
    np.testing.assert_array_equal(same, mask)
    assert same is not mask


# ---- growing, shrinking, softening


@given(MASKS, RADII)
def test_dilate_is_a_euclidean_disc(mask: np.ndarray, radius: float) -> None:
    np.testing.assert_array_equal(dilate(mask, radius), distances(mask) <= radius)


@given(MASKS, RADII)
def test_erode_is_a_euclidean_disc_and_spares_the_border(mask: np.ndarray, radius: float) -> None:
    np.testing.assert_array_equal(erode(mask, radius), distances(~mask) > radius)


@given(MASKS, RADII)
def test_dilate_contains_the_mask_which_contains_erode(mask: np.ndarray, radius: float) -> None:
    assert not (mask & ~dilate(mask, radius)).any()
    assert not (erode(mask, radius) & ~mask).any()
    assert not (mask & ~erode(dilate(mask, radius), radius)).any()  # closing only adds


def test_radii_with_an_exact_square_root_touch() -> None:
    mask = box(10, 10, 11, 11, size=(21, 21))
    assert dilate(mask, math.sqrt(10))[11, 13]
    assert dilate(mask, 5)[14, 13]
    assert not dilate(mask, 4.999)[14, 13]


@pytest.mark.parametrize("radius", [32, 64])
def test_large_discs(radius: int) -> None:
    mask = np.zeros((200, 180), bool)
    mask[100, 90] = True
    rows, columns = np.indices(mask.shape)
    disc = (rows - 100) ** 2 + (columns - 90) ** 2 <= radius**2
    np.testing.assert_array_equal(dilate(mask, radius), disc)
    np.testing.assert_array_equal(~erode(~mask, radius), disc)


def test_a_radius_beyond_the_image_fills_it() -> None:
    assert dilate(box(0, 0, 1, 1), 1e6).all()
    assert not erode(~box(0, 0, 1, 1), 1e6).any()


@given(MASKS, RADII)
def test_feather_is_one_inside_and_zero_out_of_reach(mask: np.ndarray, radius: float) -> None:
    soft = feather(mask, radius)
    assert (soft.dtype, soft.shape) == (np.float32, mask.shape)
    away = distances(mask)
    assert (soft[mask] == 1).all()
    assert (soft[(away >= radius) & ~mask] == 0).all()
    between = ~mask & (away < radius - 0.01)
    assert ((soft[between] > 0) & (soft[between] < 1)).all()


@given(MASKS, st.floats(1, 12))
def test_feather_falls_with_distance(mask: np.ndarray, radius: float) -> None:
    by_distance = feather(mask, radius).ravel()[np.argsort(distances(mask).ravel())]
    assert (np.diff(by_distance) <= 0).all()


@pytest.mark.parametrize("function", [dilate, erode, feather])
@pytest.mark.parametrize("radius", [-1, math.nan, math.inf])
def test_radii_that_make_no_sense(function: Callable[[np.ndarray, float], np.ndarray], radius: float) -> None:
    with pytest.raises(EditError, match="radius must be a finite number"):
        function(MASK, radius)


# ---- where it is


@given(MASKS.filter(lambda mask: mask.any()))
def test_bounding_box_is_tight_and_holds_the_centre(mask: np.ndarray) -> None:
    left, top, right, bottom = bounding_box(mask)
    assert mask[top:bottom, left:right].sum() == mask.sum()
    assert mask[top].any() and mask[bottom - 1].any() and mask[:, left].any() and mask[:, right - 1].any()
    x, y = center_of(mask)
    assert left < x < right and top < y < bottom


def test_centre_and_box_of_known_masks() -> None:
    assert center_of(np.ones((6, 8), bool)) == (4.0, 3.0)
    assert center_of(box(2, 3, 3, 4)) == (2.5, 3.5)
    assert bounding_box(box(2, 3, 8, 6)) == (2, 3, 8, 6)


@pytest.mark.parametrize("function", [center_of, bounding_box])
def test_nothing_has_no_place(function: Callable[[np.ndarray], object]) -> None:
    with pytest.raises(MaskError, match="40x30 pixels is empty"):
        function(box(0, 0, 0, 0))


# ---- grids


def test_cells_have_sizes_in_pixels() -> None:
    grid = Grid(16, 8, 512, 384)
    assert (grid.cell_width, grid.cell_height, grid.shape) == (32.0, 48.0, (8, 16))
    with pytest.raises(EditError, match="positive"):
        Grid(0, 8, 512, 384)


GRIDS = st.tuples(st.integers(1, 30), st.integers(1, 30))


@given(MASKS, GRIDS)
def test_area_is_preserved_for_every_ratio(mask: np.ndarray, cells: tuple[int, int]) -> None:
    grid = Grid(*cells, mask.shape[1], mask.shape[0])
    coverage = cell_coverage(mask, grid)
    assert coverage.shape == grid.shape
    assert coverage.min() >= 0 and coverage.max() <= 1
    assert coverage.sum() * grid.cell_width * grid.cell_height == pytest.approx(mask.sum())


@given(MASKS, GRIDS)
def test_coverage_agrees_with_brute_force(mask: np.ndarray, cells: tuple[int, int]) -> None:
    width, height = cells
    fine = mask.repeat(height, axis=0).repeat(width, axis=1)  # whole sub-pixels for pixels and cells alike
    expected = fine.reshape(height, mask.shape[0], width, mask.shape[1]).mean(axis=(1, 3))
    np.testing.assert_allclose(cell_coverage(mask, Grid(width, height, mask.shape[1], mask.shape[0])), expected, atol=1e-9)


@given(MASKS, GRIDS, st.floats(0.01, 1))
def test_only_nothing_becomes_nothing(mask: np.ndarray, cells: tuple[int, int], coverage: float) -> None:
    grid = Grid(*cells, mask.shape[1], mask.shape[0])
    on_grid = to_grid(mask, grid, coverage)
    covered = cell_coverage(mask, grid)
    assert (on_grid.dtype, on_grid.shape) == (np.dtype(bool), grid.shape)
    assert on_grid.any() == mask.any()
    if (covered >= coverage).any():
        np.testing.assert_array_equal(on_grid, covered >= coverage - 1e-9)


@given(MASKS, st.integers(1, 4))
def test_masks_made_of_whole_cells_keep_their_area(mask: np.ndarray, cell: int) -> None:
    grid = Grid(mask.shape[1], mask.shape[0], mask.shape[1] * cell, mask.shape[0] * cell)
    np.testing.assert_array_equal(to_grid(mask.repeat(cell, 0).repeat(cell, 1), grid), mask)


def test_cells_exactly_half_covered_are_inside() -> None:
    grid = Grid(10, 10, 30, 30)  # cells of 3 pixels, whose halves no float sum hits exactly by luck
    halves = np.zeros((30, 30), bool)
    halves[:, ::2] = True
    coverage = cell_coverage(halves, grid)
    assert set(np.round(coverage.ravel() * 3).astype(int)) == {1, 2}
    assert to_grid(halves, grid, coverage=1 / 3).all()
    assert to_grid(halves, grid, coverage=2 / 3).sum() == 50


def test_a_thin_line_stays_a_line() -> None:
    line = box(17, 0, 18, 30, size=(30, 30))
    np.testing.assert_array_equal(to_grid(line, Grid(5, 5, 30, 30)), box(2, 0, 3, 5, size=(5, 5)))


def test_a_mask_off_its_grid() -> None:
    with pytest.raises(MaskError, match="7x5 but the grid lies over 5x7"):
        to_grid(MASK, Grid(2, 2, 5, 7))


@pytest.mark.parametrize("coverage", [0, 1.1, math.nan])
def test_coverages_that_make_no_sense(coverage: float) -> None:
    with pytest.raises(EditError, match="coverage must be above 0"):
        to_grid(MASK, Grid(2, 2, 7, 5), coverage)


# ---- arguments

FUNCTIONS: list[Callable[[Any], object]] = [
    lambda mask: shift_mask(mask, 1, 1),
    lambda mask: dilate(mask, 1),
    lambda mask: erode(mask, 1),
    lambda mask: feather(mask, 1),
    lambda mask: to_grid(mask, Grid(2, 2, 7, 5)),
    center_of,
    bounding_box,
    encode_mask,
]


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("mask", [BYTES, MASK[None], np.zeros((0, 3), bool), MASK.tolist()], ids=["uint8", "3d", "0-size", "list"])
def test_geometry_wants_bool_arrays(function: Callable[[Any], object], mask: Any) -> None:
    with pytest.raises(MaskError, match="must be a bool array"):
        function(mask)


@pytest.mark.parametrize(
    "call",
    [
        lambda: shift_mask(MASK, math.nan, 0),
        lambda: shift_mask(MASK, 0, math.inf),
    ],
)
def test_numbers_that_make_no_sense(call: Callable[[], object]) -> None:
    with pytest.raises(EditError, match="must be"):
        call()
