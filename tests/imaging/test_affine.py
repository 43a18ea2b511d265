"""Affine maps against complex numbers and polygons, and the masks of moved content on several grids."""

from __future__ import annotations

import cmath
import math
import re
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dragonkit.errors import EditError, MaskError, PointError
from dragonkit.imaging.affine import affine_about, affine_through, inverse_affine, map_points, warp_mask
from dragonkit.imaging.masks import Grid, bounding_box, center_of, shift_mask, to_grid
from dragonkit.imaging.rasters import area_average
from dragonkit.modes.geometry import moved_along
from dragonkit.plugins.answers import EditMasks, identity_correspondence

WIDTH, HEIGHT = 48, 32
IMAGE = Grid(WIDTH, HEIGHT, WIDTH, HEIGHT)
GRIDS = [IMAGE, Grid(WIDTH // 2, HEIGHT // 2, WIDTH, HEIGHT), Grid(WIDTH // 4, HEIGHT // 4, WIDTH, HEIGHT), Grid(7, 5, WIDTH, HEIGHT)]

coordinates = st.floats(-60, 60)
points = st.tuples(coordinates, coordinates)
scales = st.floats(0.2, 4)
angles = st.floats(-360, 360)


def box(left: int, top: int, width: int, height: int, size: tuple[int, int] = (WIDTH, HEIGHT)) -> np.ndarray:
    mask = np.zeros(size[::-1], bool)
    mask[top : top + height, left : left + width] = True
    return mask


@st.composite
def objects(draw: st.DrawFn) -> np.ndarray:
    """A few boxes, or a few lone pixels."""
    mask = np.zeros((HEIGHT, WIDTH), bool)
    for _ in range(draw(st.integers(1, 3))):
        left, top = draw(st.integers(0, WIDTH - 1)), draw(st.integers(0, HEIGHT - 1))
        mask |= box(left, top, draw(st.integers(1, 14)), draw(st.integers(1, 14)))
    return mask


@st.composite
def affines(draw: st.DrawFn) -> np.ndarray:
    """Any map that neither flattens nor inflates beyond measure and keeps the picture about where it is; some mirror."""
    turned = affine_about((WIDTH / 2, HEIGHT / 2), draw(scales), draw(angles), draw(st.tuples(st.floats(-12, 12), st.floats(-9, 9))))
    sheared = np.array([[draw(st.sampled_from([1.0, 1.0, 0.6, -1.0])), draw(st.floats(-0.7, 0.7))], [0, 1]])
    return np.column_stack([turned[:, :2] @ sheared, turned[:, 2]])


# --- maps ---------------------------------------------------------------------------------------------------------------


@given(points, points, scales, angles, points)
def test_a_map_about_a_centre_is_a_complex_product(
    point: tuple[float, float], center: tuple[float, float], scale: float, degrees: float, shift: tuple[float, float]
) -> None:
    z, c, by = (complex(*pair) for pair in (point, center, shift))
    expected = c + cmath.rect(scale, math.radians(degrees)) * (z - c) + by
    x, y = map_points(affine_about(center, scale, degrees, shift), np.array(point))
    assert (x, y) == pytest.approx((expected.real, expected.imag), abs=1e-9)


def test_turning_is_clockwise_as_seen() -> None:
    right_of_it, below_it = np.array([14.0, 5.0]), np.array([10.0, 9.0])  # y points down
    assert map_points(affine_about((10, 5), degrees=90), right_of_it) == pytest.approx(below_it)


def test_no_change_is_the_identity() -> None:
    assert np.array_equal(affine_about((3, 4)), [[1, 0, 0], [0, 1, 0]])


@pytest.mark.parametrize("wrong", [{"scale": 0}, {"scale": -1}, {"scale": math.nan}, {"degrees": math.inf}, {"shift": (0, math.nan)}])
def test_numbers_that_make_no_map(wrong: dict[str, float]) -> None:
    with pytest.raises(EditError, match=r"a positive scale|must be .*number"):
        affine_about((0, 0), **wrong)


@given(affines(), st.lists(points, min_size=1, max_size=5))
def test_there_and_back(affine: np.ndarray, some: list[tuple[float, float]]) -> None:
    there = map_points(affine, np.array(some))
    assert there.shape == (len(some), 2)
    assert np.allclose(map_points(inverse_affine(affine), there), some, atol=1e-6)


@pytest.mark.parametrize("wrong", [np.zeros((2, 3)), np.array([[1, 2, 0], [2, 4, 0.0]]), np.array([[1, 0, 0], [0, 1e-9, 0]])])
def test_what_flattens_cannot_be_undone(wrong: np.ndarray) -> None:
    with pytest.raises(EditError, match="flattens everything"):
        inverse_affine(wrong)


@pytest.mark.parametrize("wrong", [np.eye(3), np.full((2, 3), np.nan), np.ones(6)])
def test_arrays_that_are_no_map(wrong: np.ndarray) -> None:
    with pytest.raises(EditError, match=r"finite array \(2, 3\)"):
        inverse_affine(wrong)


# --- maps through points ------------------------------------------------------------------------------------------------


def pairs_of(affine: np.ndarray, starts: list[tuple[float, float]]) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    return [(start, tuple(map_points(affine, np.array(start)))) for start in starts]


@given(points, points)
def test_one_pair_is_a_shift(start: tuple[float, float], end: tuple[float, float]) -> None:
    assert np.allclose(affine_through([(start, end)]), [[1, 0, end[0] - start[0]], [0, 1, end[1] - start[1]]])


@given(points, points, points, scales, angles)
def test_two_pairs_are_a_similarity(
    a: tuple[float, float], b: tuple[float, float], center: tuple[float, float], scale: float, degrees: float
) -> None:
    assume(math.dist(a, b) > 0.1)
    affine = affine_about(center, scale, degrees)
    assert np.allclose(affine_through(pairs_of(affine, [a, b])), affine, atol=1e-7 * 60 / math.dist(a, b))


@given(affines(), st.integers(3, 8), st.integers(0, 2**32 - 1))
def test_three_pairs_and_more_are_the_affine_map_they_lie_on(affine: np.ndarray, number: int, seed: int) -> None:
    corners = np.array([(0, 0), (40, 3), (5, 30)])  # a triangle of some size, and anything else
    starts = np.vstack([corners, np.random.default_rng(seed).uniform(0, 40, (number - 3, 2))])
    assert np.allclose(affine_through(pairs_of(affine, [tuple(start) for start in starts])), affine, atol=1e-9)


@given(st.integers(4, 9), st.integers(0, 2**32 - 1))
def test_pairs_that_lie_on_no_map_give_the_nearest(number: int, seed: int) -> None:
    starts, ends = np.random.default_rng(seed).uniform(0, 40, (2, number, 2))
    affine = affine_through(list(zip(map(tuple, starts), map(tuple, ends), strict=True)))
    homogeneous = np.column_stack([starts, np.ones(number)])
    left_over = map_points(affine, starts) - ends
    assert np.allclose(homogeneous.T @ left_over, 0, atol=1e-6)  # the normal equations


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        ([((5, 5), (1, 1)), ((5, 5), (9, 9))], "both pairs start at (5, 5)"),
        ([((1, 1), (5, 5)), ((9, 9), (5, 5))], "end at one point, near (5, 5)"),
        ([((0, 0), (0, 0)), ((10, 10), (4, 4)), ((30, 30), (1, 9))], "start on one line, near (13.33, 13.33)"),
        ([((7, 7), (0, 0))] * 4, "the 4 pairs start on one line"),
        ([((0, 0), (0, 0)), ((10, 0), (10, 10)), ((0, 10), (20, 20))], "end on one line, near (10, 10)"),
        ([], "got []. Give one pair or more."),
        ([(1, 2)], "got [(1, 2)]"),
        ([((1, 2), (3, math.inf))], "pairs of finite points"),
        ([((1, 2), (3, "x"))], "pairs of finite points"),
        ([((1, 2), (3, 4)), ((1, 2), (3,))], "pairs of finite points"),
    ],
)  # fmt: skip
def test_pairs_that_fix_no_map(pairs: list, said: str) -> None:
    with pytest.raises(PointError, match=re.escape(said)):
        affine_through(pairs)


# --- masks --------------------------------------------------------------------------------------------------------------


@given(objects(), st.integers(-WIDTH - 3, WIDTH + 3), st.integers(-HEIGHT - 3, HEIGHT + 3))
def test_whole_pixel_shifts_are_exact(mask: np.ndarray, dx: int, dy: int) -> None:
    assert np.array_equal(warp_mask(mask, affine_about((0, 0), shift=(dx, dy))), shift_mask(mask, dx, dy))


@given(objects(), scales | st.sampled_from([0.5, 2.0, 3.0]), points)
def test_changes_of_size_are_exact(mask: np.ndarray, scale: float, center: tuple[float, float]) -> None:
    rows, columns = (middle + (np.arange(length + 1) - middle) / scale for length, middle in zip(mask.shape, center[::-1], strict=True))
    # a cell cut at exactly one half is inside
    assert np.array_equal(warp_mask(mask, affine_about(center, scale)), area_average(mask, rows, columns) >= 0.5 - 1e-9)


@given(objects(), st.sampled_from([-270, -90, 90, 180, 270, 360]))
def test_quarter_turns_are_exact(mask: np.ndarray, degrees: int) -> None:
    square = np.zeros((WIDTH, WIDTH), bool)
    square[8 : 8 + HEIGHT] = mask
    turned = warp_mask(square, affine_about((WIDTH / 2, WIDTH / 2), degrees=degrees))
    assert np.array_equal(turned, np.rot90(square, -degrees // 90))


def test_mirroring_is_exact() -> None:
    mask = box(3, 4, 9, 5) | box(6, 9, 2, 10)
    assert np.array_equal(warp_mask(mask, np.array([[-1.0, 0, WIDTH], [0, 1, 0]])), mask[:, ::-1])


def covered(polygon: list[np.ndarray], left: float, top: float) -> float:
    """The area that a convex polygon and one pixel share: cut along the pixel's four sides (Sutherland and Hodgman)."""
    for axis, sign, limit in ((0, 1, left), (0, -1, left + 1), (1, 1, top), (1, -1, top + 1)):
        cut = []
        for a, b in zip(polygon, polygon[1:] + polygon[:1], strict=True):
            inside_a, inside_b = sign * (a[axis] - limit), sign * (b[axis] - limit)
            if inside_a >= 0:
                cut.append(a)
            if inside_a * inside_b < 0:
                cut.append(a + (b - a) * inside_a / (inside_a - inside_b))
        polygon = cut
        if not polygon:
            return 0.0
    x, y = np.array(polygon).T
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2


@given(affines())
def test_any_map_covers_pixels_by_half_or_more(affine: np.ndarray) -> None:
    left, top, width, height = 16, 10, 14, 9
    corners = np.array([(left, top), (left + width, top), (left + width, top + height), (left, top + height)])
    outline = list(map_points(affine, corners))
    warped = warp_mask(box(left, top, width, height), affine)
    low, high = np.floor(np.min(outline, 0)).astype(int) - 1, np.ceil(np.max(outline, 0)).astype(int) + 1
    for y in range(HEIGHT):
        for x in range(WIDTH):
            near = low[0] <= x <= high[0] and low[1] <= y <= high[1]
            share = covered(outline, x, y) if near else 0.0
            if abs(share - 0.5) > 0.13:  # counted on 16 points
                assert warped[y, x] == (share > 0.5), (x, y, share)


@given(st.floats(-180, 180), st.floats(0.5, 2))
def test_a_disc_stays_a_disc_in_its_place(degrees: float, scale: float) -> None:
    rows, columns = np.indices((120, 120)) + 0.5
    warped = warp_mask((rows - 60) ** 2 + (columns - 60) ** 2 < 25**2, affine_about((60, 60), scale, degrees))
    assert warped.sum() == pytest.approx(np.pi * 25**2 * scale**2, rel=0.04)
    assert center_of(warped) == pytest.approx((60, 60), abs=0.1)


def test_nothing_stays_nothing_and_what_leaves_is_lost() -> None:
    assert not warp_mask(np.zeros((4, 5), bool), affine_about((2, 2), 2)).any()
    for degrees in (0, 30):
        assert not warp_mask(box(3, 3, 9, 9), affine_about((0, 0), degrees=degrees, shift=(100, 0))).any()
        clipped = warp_mask(box(30, 10, 10, 8), affine_about((35, 14), degrees=degrees, shift=(12, 0)))
        assert bounding_box(clipped)[2] == WIDTH


def test_the_mask_given_is_left_alone() -> None:
    mask = box(3, 3, 9, 9)
    for degrees in (0, 10):
        warped = warp_mask(mask, affine_about((6, 6), degrees=degrees))
        assert warped is not mask and np.array_equal(mask, box(3, 3, 9, 9))


@pytest.mark.parametrize("wrong", [np.ones((3, 3)), np.ones(3, bool)])
def test_what_is_no_mask_cannot_be_warped(wrong: np.ndarray) -> None:
    with pytest.raises(MaskError):
        warp_mask(wrong, affine_about((0, 0)))


def test_large_pictures_take_little_memory() -> None:
    everything = np.ones((3000, 4000), bool)
    tracemalloc.start()
    try:
        assert warp_mask(everything, affine_about((2000, 1500), degrees=20))[:, 2000].all()  # the bands leave no gap
        assert tracemalloc.get_traced_memory()[1] < 64e6  # a picture of float64 would be 96 MB
        tracemalloc.reset_peak()
        warped = warp_mask(box(2000, 1500, 90, 60, size=(4000, 3000)), affine_about((2045, 1530), degrees=90))
        assert tracemalloc.get_traced_memory()[1] < 32e6
    finally:
        tracemalloc.stop()
    assert bounding_box(warped) == (2015, 1485, 2075, 1575)


# --- the masks of an edit -----------------------------------------------------------------------------------------------


def build_or_skip(grid: Grid, mask: np.ndarray, affine: np.ndarray) -> EditMasks:
    assume(warp_mask(mask, affine).any())
    return moved_along(mask, affine).on(grid)


@pytest.mark.parametrize("grid", GRIDS)
@given(objects(), affines())
def test_regions_do_not_contradict_each_other(grid: Grid, mask: np.ndarray, affine: np.ndarray) -> None:
    masks = build_or_skip(grid, mask, affine)
    assert masks.grid == grid
    assert np.array_equal(masks.source, to_grid(mask, grid))
    assert np.array_equal(masks.target, to_grid(warp_mask(mask, affine), grid))
    assert np.array_equal(masks.vacated, masks.source & ~masks.target)
    assert not (masks.preserve & (masks.source | masks.target)).any()


@given(objects(), affines())
def test_cells_that_the_content_touches_are_not_preserved(mask: np.ndarray, affine: np.ndarray) -> None:
    grid = GRIDS[2]
    masks = build_or_skip(grid, mask, affine)
    touched = (mask | warp_mask(mask, affine)).reshape(grid.height, 4, grid.width, 4).sum(axis=(1, 3))
    assert np.array_equal(masks.preserve, touched == 0)  # a pixel of 16 is more than 2 %


@pytest.mark.parametrize("grid", GRIDS)
@given(objects(), affines())
def test_the_correspondence_is_the_way_back_inside_the_target_only(grid: Grid, mask: np.ndarray, affine: np.ndarray) -> None:
    masks = build_or_skip(grid, mask, affine)
    here = identity_correspondence(grid)
    assert np.array_equal(masks.correspondence[~masks.target], here[~masks.target])
    cell = (grid.cell_width, grid.cell_height)
    come_from = masks.correspondence[masks.target].astype(float) * cell
    assert np.allclose(map_points(affine, come_from) / cell, here[masks.target], atol=1e-3)


@pytest.mark.parametrize("grid", GRIDS)
def test_surroundings_are_what_is_neither_source_nor_target(grid: Grid) -> None:
    mask, affine = box(6, 8, 12, 12), affine_about((12, 14), shift=(20, 0))
    assert np.array_equal(moved_along(mask, affine).on(grid).surroundings, to_grid(~(mask | box(26, 8, 12, 12)), grid))
    given_ones = box(0, 0, 48, 6)
    assert np.array_equal(moved_along(mask, affine, given_ones).on(grid).surroundings, to_grid(given_ones, grid))


def test_content_everywhere_leaves_no_surroundings() -> None:
    masks = moved_along(np.ones((HEIGHT, WIDTH), bool), affine_about((24, 16), 2, 45)).on(GRIDS[1])
    assert not masks.preserve.any() and not masks.surroundings.any()


def test_nothing_left_in_the_picture_is_refused() -> None:
    mask = box(30, 10, 10, 8)
    said = "nothing of the 80 pixels under the mask would be left in the 48x32 picture: their centre goes from (35, 14) to (135, 14), at 4 "
    with pytest.raises(EditError, match=re.escape(said)):
        moved_along(mask, affine_about((35, 14), 2, 90, (100, 0)))
    with pytest.raises(EditError, match=r"^too far$"):
        moved_along(mask, affine_about((35, 14), 2, 90, (100, 0)), gone="too far")


def test_a_mask_of_another_size_is_refused() -> None:
    with pytest.raises(MaskError, match="48x32"):
        moved_along(np.ones((16, 16), bool), affine_about((8, 8), 2)).on(IMAGE)


@pytest.mark.processes
def test_it_imports_without_torch() -> None:
    code = "import sys, dragonkit.imaging.affine; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
