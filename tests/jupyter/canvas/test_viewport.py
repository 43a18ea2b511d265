"""The window on a picture: there and back, bounds, zoom about a point."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dragonkit.errors import EditError
from dragonkit.jupyter.canvas.viewport import Viewport, canvas_size

SIZES = st.tuples(st.integers(1, 5000), st.integers(1, 5000))
ZOOMS = st.sampled_from(["fit", 1, 2]) | st.floats(0.05, 30)
VIEWS = st.builds(
    lambda image, longest, zoom, offset: Viewport(image, canvas_size(image, longest), zoom, offset),
    SIZES,
    st.integers(40, 640),
    ZOOMS,
    st.tuples(st.floats(-9000, 9000), st.floats(-9000, 9000)),
)
PLACES = st.tuples(st.floats(-700, 700), st.floats(-700, 700))


@given(VIEWS, PLACES)
def test_there_and_back(view: Viewport, place: tuple[float, float]) -> None:
    assert view.to_canvas(*view.to_image(*place)) == pytest.approx(place, abs=1e-6)
    assert view.to_image(*view.to_canvas(*place)) == pytest.approx(place, abs=1e-6)


@given(VIEWS, PLACES, PLACES)
def test_lengths_are_scaled_alike_everywhere_and_both_ways(view: Viewport, a: tuple[float, float], b: tuple[float, float]) -> None:
    (ax, ay), (bx, by) = view.to_image(*a), view.to_image(*b)
    assert ((bx - ax) * view.scale, (by - ay) * view.scale) == pytest.approx((b[0] - a[0], b[1] - a[1]), abs=1e-6)


@given(SIZES)
def test_a_canvas_has_the_pictures_shape_and_is_at_most_640_long(image: tuple[int, int]) -> None:
    width, height = canvas_size(image)
    assert min(width, height) >= 1
    assert 320 < max(width, height) <= 640
    if max(image) <= 640:
        assert (width % image[0], height % image[1]) == (0, 0)  # every pixel of a small picture is a whole square
    else:
        assert max(width, height) == 640 and abs(min(width, height) - 640 * min(image) / max(image)) <= 1


@given(SIZES)
def test_fit_shows_all_and_fills_one_side(image: tuple[int, int]) -> None:
    view = Viewport(image, canvas_size(image))
    left, top = view.to_canvas(0, 0)
    right, bottom = view.to_canvas(*image)
    assert min(left, top) >= -1e-6 and right <= view.canvas_size[0] + 1e-6 and bottom <= view.canvas_size[1] + 1e-6
    assert min(left, top) == pytest.approx(0, abs=1e-6)
    assert (left + right, top + bottom) == pytest.approx(view.canvas_size)


@pytest.mark.parametrize(("zoom", "scale"), [(1, 1), (2, 2), ("fit", 0.5), (0.75, 0.75)])
def test_zoom_is_canvas_pixels_per_picture_pixel(zoom: float | str, scale: float) -> None:
    assert Viewport((1280, 1000), (640, 500), zoom).scale == scale


@given(VIEWS, PLACES)
def test_panning_shows_nothing_beyond_the_picture(view: Viewport, push: tuple[float, float]) -> None:
    moved = view.panned(*push)
    for axis in (0, 1):
        first = moved.offset[axis]
        shown, all_of_it = moved.canvas_size[axis] / moved.scale, moved.image_size[axis]
        if shown >= all_of_it:
            assert first == pytest.approx((all_of_it - shown) / 2)  # centred
        else:
            assert -1e-9 <= first <= all_of_it - shown + 1e-6
            free = view.offset[axis] - push[axis] / view.scale
            if 0 <= free <= all_of_it - shown:
                assert first == pytest.approx(free)


@given(VIEWS, st.floats(1, 8), st.floats(0, 1), st.floats(0, 1))
def test_zooming_in_keeps_the_place_under_the_pointer(view: Viewport, factor: float, u: float, v: float) -> None:
    about = (u * view.canvas_size[0], v * view.canvas_size[1])
    place = view.to_image(*about)
    closer = view.zoomed(view.scale * factor, about)
    for axis in (0, 1):
        assume(view.canvas_size[axis] / view.scale <= view.image_size[axis])
        assert closer.to_image(*about)[axis] == pytest.approx(place[axis], abs=1e-6)


@given(VIEWS, st.tuples(st.integers(-50, 5050), st.integers(-50, 5050)), SIZES, st.integers(0, 3))
def test_a_rectangle_on_the_canvas_holds_its_pixels(view: Viewport, corner: tuple[int, int], size: tuple[int, int], margin: int) -> None:
    rect = (*corner, corner[0] + size[0], corner[1] + size[1])
    found = view.rect_on_canvas(rect, margin)
    (left, top), (right, bottom) = view.to_canvas(*rect[:2]), view.to_canvas(*rect[2:])
    shown = left - margin < view.canvas_size[0] and right + margin > 0 and top - margin < view.canvas_size[1] and bottom + margin > 0
    assert (found is not None) == shown
    if found is not None:
        assert 0 <= found[0] <= max(left - margin, 0) and 0 <= found[1] <= max(top - margin, 0)
        assert min(right + margin, view.canvas_size[0]) <= found[2] <= view.canvas_size[0]
        assert min(bottom + margin, view.canvas_size[1]) <= found[3] <= view.canvas_size[1]
        assert found[2] - found[0] <= right - left + 2 * margin + 2


def test_an_unmoved_view_is_equal() -> None:
    view = Viewport((100, 100), (600, 600))
    assert view.panned(50, -50) == view == replace(view, offset=(9, 9))


@pytest.mark.parametrize("zoom", ["fill", 0, -1, float("nan"), float("inf")])
def test_a_zoom_that_makes_no_sense_is_refused(zoom: float | str) -> None:
    with pytest.raises(EditError, match="zoom is"):
        Viewport((10, 10), (10, 10), zoom)
    with pytest.raises(EditError, match="sizes must be positive"):
        Viewport((0, 10), (10, 10))
