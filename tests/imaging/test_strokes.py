"""Scan conversion against brute force: every pixel centre by itself, with formulas of another kind."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragonkit.imaging.strokes import Point, Region, polygon, rectangle, stroke

SIZE = (26, 19)
INSIDE = st.tuples(st.floats(0, SIZE[0], exclude_max=True), st.floats(0, SIZE[1], exclude_max=True))
ANYWHERE = st.tuples(st.floats(-30, 60), st.floats(-30, 60)) | INSIDE | st.tuples(st.integers(-5, 30), st.integers(-5, 30))
WAYS = st.lists(ANYWHERE, min_size=1, max_size=6)
CENTERS = np.stack(np.meshgrid(np.arange(SIZE[0]) + 0.5, np.arange(SIZE[1]) + 0.5), axis=-1)


def whole(region: Region | None, size: tuple[int, int] = SIZE) -> np.ndarray:
    """The region as a mask of the picture's size; its rectangle must be as small as can be."""
    mask = np.zeros(size[::-1], bool)
    if region is not None:
        (left, top, right, bottom), bits = region
        assert 0 <= left < right <= size[0] and 0 <= top < bottom <= size[1]
        assert bits.dtype == bool and bits[0].any() and bits[-1].any() and bits[:, 0].any() and bits[:, -1].any()
        mask[top:bottom, left:right] = bits
    return mask


def distance(points: list[Point]) -> np.ndarray:
    """(H, W): how far each pixel centre is from the way, segment by segment."""
    nearest = np.full(SIZE[::-1], np.inf)
    for a, b in zip(points, points[1:] or points, strict=False):
        start, along = np.array(a, float), np.subtract(b, a, dtype=float)
        length = along @ along
        t = np.clip((CENTERS - start) @ along / length, 0, 1) if length > 1e-200 else np.zeros(SIZE[::-1])
        nearest = np.minimum(nearest, np.linalg.norm(CENTERS - start - t[..., None] * along, axis=-1))
    return nearest


@given(WAYS, st.floats(1, 17))
def test_a_stroke_is_all_within_its_radius(points: list[Point], diameter: float) -> None:
    expected = distance(points)
    own = np.zeros(SIZE[::-1], bool)
    for x, y in points:
        if 0 <= x < SIZE[0] and 0 <= y < SIZE[1]:
            own[int(y), int(x)] = True
    clear = abs(expected - diameter / 2) > 1e-6  # on the rim itself rounding decides
    painted = whole(stroke(points, diameter, SIZE))
    assert np.array_equal(painted[clear], (expected <= diameter / 2)[clear] | own[clear])
    assert painted[own].all()


@given(st.lists(INSIDE, min_size=1, max_size=4), st.floats(0.1, 3))
def test_a_stroke_has_no_gaps_however_fast_and_thin(points: list[Point], diameter: float) -> None:
    painted = {(int(x), int(y)) for y, x in zip(*np.nonzero(whole(stroke(points, diameter, SIZE))), strict=True)}
    reached, new = set(), {(int(points[0][0]), int(points[0][1]))}
    while new:
        reached |= new
        new = {(x + dx, y + dy) for x, y in new for dx in (-1, 0, 1) for dy in (-1, 0, 1)} & painted - reached
    assert reached == painted
    assert {(int(x), int(y)) for x, y in points} <= painted


def test_one_pixel_is_one_pixel() -> None:
    assert whole(stroke([(3.9, 7.2)], 1, SIZE)).sum() == 1
    assert whole(stroke([(3.5, 7.5), (9.5, 7.5)], 1, SIZE)).sum() == 7


def test_a_stroke_beside_the_picture_is_none() -> None:
    assert stroke([(-9, 5), (-9, 90)], 10, SIZE) is None
    assert stroke([(-4, 5)], 10, SIZE) is not None


def winding(points: list[Point]) -> np.ndarray:
    """How often the outline goes round each pixel centre: the angles it is seen under, added up."""
    total = np.zeros(SIZE[::-1])
    for a, b in zip(points, [*points[1:], points[0]], strict=True):
        (ax, ay), (bx, by) = (np.moveaxis(np.array(point, float) - CENTERS, -1, 0) for point in (a, b))
        total += np.arctan2(ax * by - ay * bx, ax * bx + ay * by)
    return np.rint(total / (2 * np.pi)).astype(int)


@given(st.lists(ANYWHERE, min_size=1, max_size=7))
def test_a_polygon_is_all_that_its_outline_goes_round(points: list[Point]) -> None:
    clear = distance([*points, points[0]]) > 1e-6
    assert np.array_equal(whole(polygon(points, SIZE))[clear], winding(points)[clear] != 0)


@given(st.tuples(INSIDE, INSIDE, INSIDE), INSIDE)
def test_triangles_about_a_point_leave_neither_seam_nor_overlap(triangle: tuple[Point, Point, Point], middle: Point) -> None:
    a, b, c = triangle
    weights = np.array([1 + middle[0], 1 + middle[1], 3.0])
    inner = tuple(float(value) for value in weights @ np.array(triangle) / weights.sum())
    parts = [whole(polygon([inner, *pair], SIZE)).astype(int) for pair in ((a, b), (b, c), (c, a))]  # type: ignore[list-item]
    assert sum(parts).max(initial=0) <= 1
    clear = distance([a, b, c, a]) > 1e-6
    assert np.array_equal(sum(parts)[clear], whole(polygon([a, b, c], SIZE)).astype(int)[clear])


def test_circling_twice_and_crossing_oneself_fill() -> None:
    square = [(4, 4), (12, 4), (12, 12), (4, 12)]
    assert np.array_equal(whole(polygon(square * 2, SIZE)), whole(polygon(square, SIZE)))
    eight = whole(polygon([(2, 2), (14, 14), (14, 2), (2, 14)], SIZE))
    assert eight[8, 4] and eight[8, 12] and not eight[4, 8]


def test_outlines_without_an_inside_are_none() -> None:
    assert polygon([(3, 3)], SIZE) is None
    assert polygon([(3, 3.2), (9, 3.2)], SIZE) is None
    assert polygon([(-9, -9), (-3, -9), (-3, -3)], SIZE) is None


@pytest.mark.parametrize(
    ("box", "pixels"), [((2, 3, 5, 7), 12), ((-4, -4, 2, 2), 4), ((24, 17, 90, 90), 4), ((5, 5, 5, 9), 0), ((30, 0, 40, 5), 0)]
)
def test_a_rectangle_is_cut_at_the_border(box: tuple[int, int, int, int], pixels: int) -> None:
    assert whole(rectangle(box, SIZE)).sum() == pixels


def test_the_area_of_a_long_stroke_on_a_large_picture() -> None:
    region = stroke([(300, 200), (3500, 2600)], 90, (4000, 3000))
    assert region is not None
    assert region[1].sum() == pytest.approx(90 * np.hypot(3200, 2400) + np.pi * 45**2, rel=1e-3)
