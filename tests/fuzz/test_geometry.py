"""The doors for numbers: points, shifts, scales, radii, maps and grids; as functions, and as edits of a picture."""

from __future__ import annotations

from typing import Any

import numpy as np
from helpers.doors import Door
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dragonkit.editing.layout import Layout
from dragonkit.editing.places import advice_on_places, places_of
from dragonkit.imaging.affine import affine_about, affine_through, inverse_affine, map_points, warp_mask
from dragonkit.imaging.masks import Grid, bounding_box, cell_coverage, center_of, dilate, erode, feather, shift_mask, to_grid
from dragonkit.imaging.strokes import polygon, rectangle, stroke
from dragonkit.modes.drag import Drag
from dragonkit.modes.move import Move
from dragonkit.modes.resize import Resize
from dragonkit.plugins.registry import PluginRegistry

GEOMETRY, PLACES = Door("geometry"), Door("edits' points and numbers")
REGISTRY = PluginRegistry(discover=False)
SIZE = (9, 7)

extremes = st.sampled_from(
    [0, -0.0, 1e300, -1e300, 1e-300, 1e308, 10**400, 2**63, -1, 0.5, 1e9, True, None, "1", 3 + 4j, np.float32("inf")]
)
near = st.floats(-20, 20) | st.integers(-20, 20)
numbers = near | st.floats() | extremes
points = st.lists(st.tuples(numbers, numbers), max_size=5)
pairs = st.lists(st.tuples(st.tuples(numbers, numbers), st.tuples(numbers, numbers)), max_size=4)
near_pairs = st.lists(st.tuples(st.tuples(st.floats(-1, 10), st.floats(-1, 8)), st.tuples(st.floats(-1, 10), st.floats(-1, 8))), max_size=4)
masks = arrays(bool, SIZE[::-1]) | st.builds(np.ones, st.just(SIZE[::-1]), st.just(bool))
maps = arrays(np.float64, (2, 3), elements=st.floats() | st.floats(-3, 3))


@given(masks, numbers, numbers)
def test_masks(mask: np.ndarray, one: Any, other: Any) -> None:
    for call in (dilate, erode, feather):
        GEOMETRY.knock(lambda call=call: call(mask, one))
    GEOMETRY.knock(lambda: shift_mask(mask, one, other))
    GEOMETRY.knock(lambda: center_of(mask))
    GEOMETRY.knock(lambda: bounding_box(mask))


@given(masks, st.lists(st.integers(-2, 30), min_size=4, max_size=4), st.booleans(), numbers)
def test_grids(mask: np.ndarray, sizes: list[int], fits: bool, coverage: Any) -> None:
    grid = GEOMETRY.knock(lambda: Grid(*sizes[:2], *(SIZE if fits else sizes[2:])))
    if grid is not None:
        GEOMETRY.knock(lambda: to_grid(mask, grid, coverage))
        GEOMETRY.knock(lambda: cell_coverage(mask, grid))


@given(masks, st.tuples(numbers, numbers), numbers, numbers, st.tuples(numbers, numbers))
def test_maps_about_a_point(mask: np.ndarray, center: Any, scale: Any, degrees: Any, shift: Any) -> None:
    affine = GEOMETRY.knock(lambda: affine_about(center, scale, degrees, shift))
    if affine is not None:
        assert np.isfinite(affine).all()
        GEOMETRY.knock(lambda: warp_mask(mask, affine))


@given(masks, pairs | near_pairs)
def test_maps_through_points(mask: np.ndarray, pairs: Any) -> None:
    affine = GEOMETRY.knock(lambda: affine_through(pairs))
    if affine is not None:
        assert np.isfinite(affine).all()
        GEOMETRY.knock(lambda: warp_mask(mask, affine))


@given(masks, maps)
def test_any_map(mask: np.ndarray, affine: np.ndarray) -> None:
    back = GEOMETRY.knock(lambda: inverse_affine(affine))
    if back is not None:
        assert np.isfinite(back).all()
        GEOMETRY.knock(lambda: map_points(back, np.array([[0.0, 0.0], [9.0, 7.0]])))
    GEOMETRY.knock(lambda: warp_mask(mask, affine))


@given(points, numbers)
def test_strokes(points: Any, diameter: Any) -> None:
    for call in (lambda: stroke(points, diameter, SIZE), lambda: polygon(points, SIZE)):
        region = GEOMETRY.knock(call)
        if region is not None:
            (left, top, right, bottom), bits = region
            assert 0 <= left < right <= SIZE[0] and 0 <= top < bottom <= SIZE[1] and bits.shape == (bottom - top, right - left)


@given(st.tuples(numbers, numbers, numbers, numbers))
def test_rectangles(box: Any) -> None:
    GEOMETRY.knock(lambda: rectangle(box, SIZE))


def knock_with(make: Any) -> None:
    """Make an edit and lay it out, which is what is done before a model is loaded."""
    edit = PLACES.knock(make)
    layout = None if edit is None else PLACES.knock(lambda: Layout(REGISTRY, edit, SIZE))
    if layout is not None:
        PLACES.knock(lambda: (places_of(layout), list(advice_on_places(layout))))
        PLACES.knock(lambda: layout.on(Grid(3, 2, *SIZE)))


@given(masks, st.tuples(numbers, numbers), numbers)
def test_moves(mask: np.ndarray, shift: Any, scale: Any) -> None:
    knock_with(lambda: Move(mask=mask, shift=shift, scale=scale))
    knock_with(lambda: Resize(mask=mask, scale=scale))


@given(st.none() | masks, pairs | near_pairs, st.integers(-1, 9), st.sampled_from(["warp", "patches"]))
def test_drags(mask: np.ndarray | None, pairs: Any, radius: int, init: Any) -> None:
    knock_with(lambda: Drag(points=pairs, mask=mask, radius=radius, init=init))
