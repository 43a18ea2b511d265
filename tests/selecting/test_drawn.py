"""Boxes, strokes and outlines select the pixels that a slow formula says."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from dragonkit.errors import EditError, MaskError
from dragonkit.selecting import BOX, BRUSH, LASSO, POLYGON

sizes = st.tuples(st.integers(1, 24), st.integers(1, 24))
# not too close to each other, or the slow formulas would round differently
places = st.integers(-40, 220).map(lambda eighth: eighth / 8)
points = st.tuples(places, places)


def picture(size: tuple[int, int]) -> Image.Image:
    return Image.new("RGB", size)


def centres(size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    y, x = np.indices((size[1], size[0])) + 0.5
    return x, y


def check(expected: np.ndarray, select: object) -> None:
    """The selector gives this mask, or says that there is none."""
    if expected.any():
        assert np.array_equal(select(), expected)  # type: ignore[operator]
    else:
        with pytest.raises(MaskError, match="selects no pixel"):
            select()  # type: ignore[operator]


@given(sizes, points, points)
def test_a_box_selects_the_pixels_it_touches(size: tuple[int, int], start: tuple[float, float], end: tuple[float, float]) -> None:
    x, y = centres(size)
    low, high = np.minimum(start, end), np.maximum(start, end)
    if (low >= high).any() or (high <= 0).any() or low[0] >= size[0] or low[1] >= size[1]:
        return  # refused: see test_selectors
    touched = (x + 0.5 > low[0]) & (x - 0.5 < high[0]) & (y + 0.5 > low[1]) & (y - 0.5 < high[1])
    assert np.array_equal(BOX.select(picture(size), (*start, *end)), touched)


@given(sizes, st.lists(points, min_size=1, max_size=5), st.sampled_from([0.5, 0.8, 1.0, 2.3, 8.0]))
def test_a_brush_selects_what_is_near_its_way(size: tuple[int, int], way: list[tuple[float, float]], radius: float) -> None:
    x, y = centres(size)
    distance = np.full(x.shape, np.inf)
    for (ax, ay), (bx, by) in zip(way, [*way[1:], way[-1]], strict=True):
        length = (bx - ax) ** 2 + (by - ay) ** 2
        along = np.clip(((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / length, 0, 1) if length else np.zeros_like(x)
        distance = np.minimum(distance, np.hypot(x - ax - along * (bx - ax), y - ay - along * (by - ay)))
    expected = distance <= radius
    for px, py in way:
        if 0 <= px < size[0] and 0 <= py < size[1]:
            expected[int(py), int(px)] = True
    clear = (np.abs(distance - radius) > 1e-9) | expected
    if not expected[clear].any():
        return
    assert np.array_equal(BRUSH.select(picture(size), way, radius=radius)[clear], expected[clear])


def winding(size: tuple[int, int], outline: list[tuple[float, float]]) -> tuple[np.ndarray, np.ndarray]:
    """How often the outline goes round each pixel's centre, as the sum of the angles seen from there; and how near it comes."""
    x, y = centres(size)
    turns, distance = np.zeros(x.shape), np.full(x.shape, np.inf)
    for (ax, ay), (bx, by) in zip(outline, [*outline[1:], outline[0]], strict=True):
        ux, uy, vx, vy = ax - x, ay - y, bx - x, by - y
        turns += np.arctan2(ux * vy - uy * vx, ux * vx + uy * vy) / (2 * math.pi)
        length = (bx - ax) ** 2 + (by - ay) ** 2
        along = np.clip(-(ux * (bx - ax) + uy * (by - ay)) / length, 0, 1) if length else np.zeros_like(x)
        distance = np.minimum(distance, np.hypot(ux + along * (bx - ax), uy + along * (by - ay)))
    return turns, distance


@pytest.mark.parametrize("selector", [LASSO, POLYGON], ids=lambda selector: selector.name)
@given(size=sizes, outline=st.lists(points, min_size=3, max_size=7))
def test_an_outline_selects_what_it_goes_round(selector: object, size: tuple[int, int], outline: list[tuple[float, float]]) -> None:
    turns, distance = winding(size, outline)
    inside, clear = np.abs(turns) > 0.5, distance > 1e-6
    try:
        mask = selector.select(picture(size), outline)  # type: ignore[attr-defined]
    except MaskError:
        mask = np.zeros((size[1], size[0]), bool)
    assert np.array_equal(mask[clear], inside[clear])


@given(sizes, st.lists(points, min_size=3, max_size=6), st.integers(0, 5))
def test_an_outline_has_no_beginning(size: tuple[int, int], outline: list[tuple[float, float]], start: int) -> None:
    def selected(way: list[tuple[float, float]]) -> np.ndarray | None:
        try:
            return LASSO.select(picture(size), way)
        except MaskError:  # it encloses no pixel
            return None

    start %= len(outline)
    one, other = selected(outline), selected(outline[start:] + outline[:start])
    assert (one is None) == (other is None)
    assert one is None or np.array_equal(one, other)


@pytest.mark.parametrize("size", [(1, 1), (7, 3), (3, 7), (40, 30)])
def test_drawn_all_over_it_selects_all(size: tuple[int, int]) -> None:
    width, height = size
    around = [(0, 0), (width, 0), (width, height), (0, height)]
    for mask in (
        BOX.select(picture(size), (0, 0, width, height)),
        LASSO.select(picture(size), around),
        POLYGON.select(picture(size), around[::-1]),
        BRUSH.select(picture(size), [(width / 2, height / 2)], radius=60),
    ):
        assert mask.shape == (height, width) and mask.dtype == bool and mask.all()


def test_a_brush_has_the_radius_that_is_asked_for() -> None:
    mask = BRUSH.select(picture((40, 30)), [(10.5, 15.5), (30.5, 15.5)], radius=4)
    assert np.flatnonzero(mask[:, 20]).tolist() == list(range(11, 20))  # 4 above, 4 below, and its own row
    assert np.flatnonzero(mask[15]).tolist() == list(range(6, 35))
    assert BRUSH.select(picture((40, 30)), [(20.5, 15.5)]).sum(axis=1).max() == 17  # 8 pixels to both sides when left out


@pytest.mark.parametrize("radius", [0.4, 501, -1])
def test_a_brush_of_no_use_is_refused(radius: float) -> None:
    with pytest.raises(EditError, match=rf"BrushOptions.radius is {radius}, but must be"):
        BRUSH.select(picture((40, 30)), [(20, 15)], radius=radius)


def test_what_is_drawn_outside_selects_nothing() -> None:
    with pytest.raises(MaskError, match="the selector 'brush' selects no pixel"):
        BRUSH.select(picture((40, 30)), [(-20, 5), (-20, 25)])
    with pytest.raises(MaskError, match="the selector 'lasso' selects no pixel"):
        LASSO.select(picture((40, 30)), [(50, 5), (60, 5), (60, 20)])
