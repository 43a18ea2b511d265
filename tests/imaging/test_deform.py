"""The warp goes through its points, stays within its borders, keeps shapes near handles, and knows no grid."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dragonkit.imaging import deform
from dragonkit.imaging.deform import Deformation, rigid
from dragonkit.imaging.masks import Grid

WIDTH, HEIGHT = 60, 44
SIZE = (WIDTH, HEIGHT)

places = st.tuples(st.floats(2, WIDTH - 2), st.floats(2, HEIGHT - 2))


def centers(width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """The middles of all pixels, (height, width, 2)."""
    return np.stack(np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5), axis=-1)


def apart(points: list[Any], least: float) -> bool:
    points = [np.array(point) for point in points]
    return all(np.hypot(*(a - b)) >= least for n, a in enumerate(points) for b in points[:n])


def disc(center: tuple[float, float], radius: float, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    return np.hypot(*np.moveaxis(centers(width, height) - center, -1, 0)) <= radius


def ellipse() -> np.ndarray:
    x, y = np.moveaxis((centers() - [30, 22]) / [26, 18], -1, 0)
    return np.hypot(x, y) <= 1


within = st.builds(lambda r, turn: (30 + 25 * r * np.cos(turn), 22 + 17 * r * np.sin(turn)), st.floats(0, 0.95), st.floats(0, 6.28))
"""Places in the ellipse."""


@st.composite
def drags(draw: st.DrawFn, places: st.SearchStrategy[Any] = within) -> list[tuple[Any, Any]]:
    """One to four pairs, no start near another start and no end near another end; some are anchors."""
    starts = draw(st.lists(places, min_size=1, max_size=4))
    ends = [draw(st.one_of(places, st.just(start))) for start in starts]
    assume(apart(starts, 3) and apart(ends, 3) and any(np.hypot(*np.subtract(*pair)) > 1 for pair in zip(starts, ends, strict=True)))
    return list(zip(starts, ends, strict=True))


# --- where it goes ------------------------------------------------------------------------------------------------------


@given(drags(), st.booleans())
def test_every_end_shows_its_start(points: list[Any], masked: bool) -> None:
    mask = ellipse() if masked else None
    starts, ends = np.array(points).transpose(1, 0, 2)
    assert np.allclose(Deformation(points, SIZE, mask).displacement(ends), starts - ends, atol=1e-6)


@given(places, st.floats(2, 15), st.floats(0, 6.28), st.floats(0, 6.28), st.floats(0, 0.99))
def test_a_handle_keeps_its_shape(end: Any, length: float, turn: float, other: float, near: float) -> None:
    start = (end[0] + length * np.cos(turn), end[1] + length * np.sin(turn))
    field = Deformation([(start, end)], (1000, 1000))
    radius = deform.HANDLE * max(deform.REACH * length, deform.LEAST_REACH * 1000)
    beside = np.array(end) + near * radius * np.array([np.cos(other), np.sin(other)])
    assert np.allclose(field.displacement(beside), np.subtract(start, end))


@given(st.tuples(st.floats(-9, 9), st.floats(-9, 9)), st.floats(0, 1), st.floats(0, 1))
def test_what_lies_between_handles_moved_alike_moves_with_them(shift: tuple[float, float], a: float, b: float) -> None:
    assume(np.hypot(*shift) > 0.5)
    starts = np.array([(15, 12), (42, 14), (25, 33)], float)
    field = Deformation([(tuple(start), tuple(start + shift)) for start in starts], SIZE, np.ones((HEIGHT, WIDTH), bool))
    weights = np.sort([0, a, b, 1])
    between = np.diff(weights) @ (starts + shift)
    assert np.allclose(field.displacement(between), np.negative(shift))


@given(st.floats(-3, 3), st.tuples(st.floats(-9, 9), st.floats(-9, 9)))
def test_handles_that_turn_turn_what_lies_between(turn: float, shift: tuple[float, float]) -> None:
    starts = np.array([(15, 12), (42, 14), (25, 33)], float)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    ends = (starts - 25) @ rotation.T + 25 + shift
    assume(not np.isclose(ends, starts).all())
    between = np.array([(25, 20), (30, 17), (22, 24)], float)
    field = Deformation(list(zip(map(tuple, starts), map(tuple, ends), strict=True)), SIZE, np.ones((HEIGHT, WIDTH), bool))
    seen = (between - 25) @ rotation.T + 25 + shift
    assert np.allclose(seen + field.displacement(seen), between, atol=1e-5)


def test_drags_far_from_each_other_do_not_mix() -> None:
    left, right = ((100.0, 100.0), (110.0, 100.0)), ((400.0, 100.0), (400.0, 120.0))
    both = Deformation([left, right], (500, 200))
    for pair in (left, right):
        near = np.add(pair[1], [[0, 0], [8, 3], [-12, 5]])
        assert np.allclose(both.displacement(near), Deformation([pair], (500, 200)).displacement(near))
    assert (both.displacement(np.array([(250.0, 100.0)])) == 0).all()


def test_a_drag_in_the_middle_of_a_ring_of_others_goes_its_own_way() -> None:
    turns = np.arange(8) * np.pi / 4
    ring = 200 + 100 * np.stack([np.cos(turns), np.sin(turns)], axis=-1)
    points = [*(((x, y), (x + 5, y)) for x, y in ring), ((200.0, 200.0), (200.0, 205.0))]
    field = Deformation(points, (400, 500))
    assert np.allclose(field.displacement(np.array([end for _, end in points])), [*[(-5, 0)] * 8, (0, -5)], atol=1e-6)


# --- where it stops -----------------------------------------------------------------------------------------------------


@given(drags())
def test_nothing_moves_outside_the_mask(points: list[Any]) -> None:
    mask = ellipse()
    field = Deformation(points, SIZE, mask)
    displacement, grip = field.displacement(centers()), field.grip(centers())
    assert (displacement[~mask] == 0).all() and (grip[~mask] == 0).all()
    assert np.isfinite(displacement).all()


@given(st.lists(within, min_size=3, max_size=5), st.booleans())
def test_anchors_hold(points: list[Any], masked: bool) -> None:
    assume(apart(points, 1))
    start, end, *anchors = points
    field = Deformation([(start, end), *((anchor, anchor) for anchor in anchors)], SIZE, ellipse() if masked else None)
    assert np.allclose(field.displacement(np.array(anchors)), 0, atol=1e-9)
    assert np.allclose(field.displacement(np.array(end)), np.subtract(start, end), atol=1e-6)


def test_an_anchor_holds_its_neighbourhood_even_among_points_that_move_alike() -> None:
    points = [((x, y), (x + 6.0, y)) for x, y in ((10.0, 10.0), (40.0, 10.0), (25.0, 34.0))]
    held = Deformation([*points, ((30.0, 18.0), (30.0, 18.0))], SIZE)
    beside, halfway = held.displacement(np.array([(31.0, 19.0), (38.0, 14.0)]))
    assert np.hypot(*beside) < 0.6 and 2 < np.hypot(*halfway) < 4
    assert np.allclose(Deformation(points, SIZE).displacement(np.array([(31.0, 19.0)])), [-6, 0])


@given(places, places)
def test_nothing_moves_out_of_reach(start: Any, end: Any) -> None:
    assume(np.hypot(*np.subtract(start, end)) > 0.5)
    reach = max(deform.REACH * np.hypot(*np.subtract(start, end)), deform.LEAST_REACH * HEIGHT)
    displacement, grip = Deformation([(start, end)], SIZE).on(Grid(WIDTH, HEIGHT, *SIZE))
    for values, point in ((np.hypot(*np.moveaxis(displacement, -1, 0)), end), (grip, start)):
        far = np.hypot(*np.moveaxis(centers() - point, -1, 0))
        assert (values[far > reach * (1 + deform.HANDLE) + 1e-9] == 0).all()
        assert (values[far < 0.5 * reach] > 0).all()


@given(st.floats(0, 60))
def test_a_lone_drag_fades_as_a_smooth_step(way: float) -> None:
    field = Deformation([((130.0, 100.0), (110.0, 100.0))], (200, 200))
    shape, reach = 50 / 16, 50  # two and a half times the drag
    left = 1 - min(max(way - shape, 0) / reach, 1)
    for x, y in ((110 - way, 100), (110, 100 + way), (110 + 0.6 * way, 100 - 0.8 * way)):
        assert np.allclose(field.displacement(np.array([x, y])), [20 * left**2 * (3 - 2 * left), 0], atol=1e-6)


def test_it_fades_without_a_jump_on_its_way_to_the_border() -> None:
    field = Deformation([((30.0, 30.0), (30.0, 18.0))], SIZE, ellipse())
    along = np.stack([np.linspace(0, WIDTH, 6001), np.full(6001, 18.0)], axis=-1)
    size = np.hypot(*np.moveaxis(field.displacement(along), -1, 0))
    peak = size.argmax()
    assert size[peak] == pytest.approx(12)
    assert np.abs(np.diff(size)).max() < 0.02  # steps of a hundredth of a pixel
    assert (np.diff(size[:peak]) >= -1e-9).all() and (np.diff(size[peak:]) <= 1e-9).all()


@given(places)
def test_content_must_come_from_the_mask(position: Any) -> None:
    mask = ellipse()
    field = Deformation([((30.0, 20.0), (33.0, 20.0))], SIZE, mask)
    assert field.movable(np.array(position)) == mask[int(position[1]), int(position[0])]
    outside = np.array([(-0.1, 5.0), (5.0, -0.1), (WIDTH + 0.1, 5.0), (5.0, HEIGHT + 0.1)])
    for one in (field, Deformation([((30.0, 20.0), (33.0, 20.0))], SIZE)):
        assert not one.movable(outside).any()


# --- no folds -----------------------------------------------------------------------------------------------------------


def folds(field: Deformation, where: np.ndarray) -> bool:
    """Whether p + D(p) turns anything inside out, by central differences."""
    step = 1e-3
    right, down = np.array([step, 0]), np.array([0, step])
    dx = (field.displacement(where + right) - field.displacement(where - right)) / (2 * step)
    dy = (field.displacement(where + down) - field.displacement(where - down)) / (2 * step)
    return bool(((1 + dx[..., 0]) * (1 + dy[..., 1]) - dx[..., 1] * dy[..., 0] <= 0).any())


@given(st.floats(0, 1), st.floats(0, 6.28), st.floats(0, 1), st.floats(0, 6.28))
def test_a_drag_within_the_inner_half_of_a_disc_folds_nothing(r: float, turn: float, other_r: float, other_turn: float) -> None:
    middle, radius = np.array([40.0, 40.0]), 36
    start, end = (middle + radius / 2 * a * np.array([np.cos(b), np.sin(b)]) for a, b in ((r, turn), (other_r, other_turn)))
    length = np.hypot(*(end - start))
    assume(length > 0.5)
    end = start + (end - start) * min(1, radius / 2 / length)
    mask = disc((40, 40), radius, 80, 80)
    assert not folds(Deformation([(tuple(start), tuple(end))], (80, 80), mask), centers(80, 80)[mask])


@given(places, places)
def test_a_lone_drag_without_a_mask_folds_nothing(start: Any, end: Any) -> None:
    assume(start != end)
    assert not folds(Deformation([(start, end)], SIZE), centers())


# --- the same on every raster -------------------------------------------------------------------------------------------


@given(drags(), st.booleans(), st.sampled_from([(WIDTH, HEIGHT), (30, 22), (15, 11), (7, 5), (1, 1)]))
def test_a_grid_sees_the_field_at_its_cells_centres(points: list[Any], masked: bool, cells: tuple[int, int]) -> None:
    mask = ellipse() if masked else None
    field = Deformation(points, SIZE, mask)
    displacement, grip = field.on(Grid(*cells, *SIZE))
    middles = centers(*cells) * [WIDTH / cells[0], HEIGHT / cells[1]]
    assert np.allclose(displacement, field.displacement(middles), atol=1e-9)
    assert np.allclose(grip, field.grip(middles), atol=1e-9)


def test_many_rows_are_evaluated_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    field = Deformation([((20.0, 20.0), (35.0, 25.0))], SIZE)
    whole = field.on(Grid(WIDTH, HEIGHT, *SIZE))
    monkeypatch.setattr(deform, "_CHUNK", 70)
    for part, expected in zip(field.on(Grid(WIDTH, HEIGHT, *SIZE)), whole, strict=True):
        assert np.array_equal(part, expected)


@given(drags(), st.sampled_from([0.5, 3.0]))
def test_a_larger_picture_is_warped_alike(points: list[Any], factor: float) -> None:
    field = Deformation(points, SIZE)
    enlarged = [tuple(tuple(factor * x for x in point) for point in pair) for pair in points]
    larger = Deformation(enlarged, (int(factor * WIDTH), int(factor * HEIGHT)))
    assert np.allclose(larger.displacement(factor * centers()), factor * field.displacement(centers()), atol=1e-5)


@given(drags(), st.tuples(st.integers(0, 20), st.integers(0, 20)))
def test_everything_shifted_shifts_the_field(points: list[Any], by: tuple[int, int]) -> None:
    mask = ellipse()
    canvas = np.zeros((80, 80), bool)
    canvas[:HEIGHT, :WIDTH] = mask
    shifted = np.roll(canvas, by, axis=(1, 0))
    moved = [tuple(tuple(np.add(point, by)) for point in pair) for pair in points]
    expected = Deformation(points, (80, 80), canvas).displacement(centers())
    assert np.allclose(Deformation(moved, (80, 80), shifted).displacement(centers() + by), expected, atol=1e-5)


@given(drags())
def test_a_mirrored_drag_mirrors_the_field(points: list[Any]) -> None:
    mask = ellipse()
    mirrored = [tuple((WIDTH - x, y) for x, y in pair) for pair in points]
    expected = Deformation(points, SIZE, mask).displacement(centers())[:, ::-1] * [-1, 1]
    assert np.allclose(Deformation(mirrored, SIZE, mask[:, ::-1]).displacement(centers()), expected, atol=1e-5)


def test_borders_of_large_masks_are_met_on_the_safe_side(monkeypatch: pytest.MonkeyPatch) -> None:
    mask = ellipse()
    points = [((20.0, 20.0), (38.0, 24.0))]
    exact = Deformation(points, SIZE, mask).displacement(centers())
    monkeypatch.setattr(deform, "_FINEST", 18)  # cells of three pixels
    coarse = Deformation(points, SIZE, mask).displacement(centers())
    assert np.abs(coarse - exact).max() < 2.5
    # rough cells may reach over the border by less than one of them, and there next to nothing moves
    assert np.abs(coarse[~mask]).max() < 0.5


# --- the pieces ---------------------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=7), st.tuples(st.floats(-5, 15), st.floats(-5, 15)))
def test_the_distance_to_a_hull_is_how_far_a_place_sticks_out(points: list[Any], place: Any) -> None:
    angles = np.linspace(0, 2 * np.pi, 36001)
    directions = np.stack([np.cos(angles), np.sin(angles)])
    expected = max(0.0, (np.array(place) @ directions - (np.array(points) @ directions).max(axis=0)).max())
    found = deform._outside_hull(np.array([complex(*place)]), np.array([complex(*point) for point in points]))
    assert found[0] == pytest.approx(expected, abs=1e-3)


@pytest.mark.processes
def test_it_imports_without_torch() -> None:
    code = "import sys, dragonkit.imaging.deform; sys.exit('torch' in sys.modules or 'diffusers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_what_only_moves_and_turns_is_rigid_and_what_stretches_is_not() -> None:
    columns, rows = np.meshgrid(np.arange(20) + 0.5, np.arange(16) + 0.5)
    places = np.stack([columns, rows], axis=-1)
    cos, sin = np.cos(0.4), np.sin(0.4)
    assert rigid(places @ np.array([[cos, sin], [-sin, cos]]) + (3, -2) - places).all()
    assert not rigid(0.2 * places).any() and rigid(np.zeros((1, 5, 2))).all()
