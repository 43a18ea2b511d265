"""The frame round what is selected: its corners and its knob follow the map, and a pull is measured about its centre."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dragonkit.imaging.affine import affine_about
from dragonkit.jupyter.tools.frame import Frame

MIDDLE = (20.0, 15.0)


def frame(**way: object) -> Frame:
    return Frame((10, 10, 30, 20), MIDDLE, affine_about(MIDDLE, **way), stalk=5.0)  # type: ignore[arg-type]


def test_corners_and_knob_follow_the_map() -> None:
    plain = Frame((10, 10, 30, 20), MIDDLE, stalk=5.0)
    assert plain.corners == ((10, 10), (30, 10), (30, 20), (10, 20)) and plain.knob == (20, 5) and not plain.moved
    moved = frame(scale=2.0, shift=(3, -1))
    assert np.allclose(moved.corners, [(3, 4), (43, 4), (43, 24), (3, 24)]) and moved.center == (23, 14) and moved.moved
    assert moved.knob == pytest.approx((23, -1)), "the knob stands off as far as ever"
    turned = frame(degrees=90)
    assert turned.knob == pytest.approx((30, 15)), "clockwise, up becomes right"
    assert Frame((0, 0, 4, 4), (2, 2), turns=False).knob is None


@pytest.mark.parametrize("way", [{"scale": 2.0, "shift": (3, -1)}, {"degrees": 30}, {"scale": 0.5}])
def test_the_way_back(way: dict[str, object]) -> None:
    moved = frame(**way)
    assert np.allclose([moved.back(corner) for corner in moved.corners], [(10, 10), (30, 10), (30, 20), (10, 20)])


def test_pulls_are_measured_about_the_centre() -> None:
    plain = frame()
    assert plain.handle_at((29, 21), 3) == "scale" and plain.handle_at((20, 6), 3) == "degrees" and plain.handle_at(MIDDLE, 3) is None
    assert plain.pulled("scale", (30, 20), (40, 25)) == pytest.approx(2)
    assert plain.pulled("degrees", (20, 5), (30, 15)) == pytest.approx(90)
    assert plain.pulled("degrees", (20, 5), (19, 25)) == pytest.approx(-180 + math.degrees(math.atan2(1, 10)))
    assert plain.pulled("scale", MIDDLE, (30, 20)) == pytest.approx(math.hypot(10, 5)), "a press on the very centre is a pixel beside it"


def test_a_map_that_leaves_nothing_has_no_way_back() -> None:
    assert Frame((0, 0, 4, 4), (2, 2), np.zeros((2, 3))).back((1, 2)) == (1, 2)


def test_handles_that_would_lie_off_the_canvas_can_be_reached() -> None:
    plain, room = frame(), (2.0, 2.0, 38.0, 30.0)
    for dx, dy in ((0, 0), (-25, -12), (30, 0), (100, 100), (0, -40)):
        moved = Frame(plain.box, MIDDLE, np.array([[1.0, 0.0, dx], [0.0, 1.0, dy]]), True, 5.0, room)
        assert moved.knob is not None
        for x, y in (*moved.handles, moved.knob):
            assert room[0] <= x <= room[2] and room[1] <= y <= room[3]
        assert all(moved.handle_at(handle, 1) for handle in moved.handles) and moved.handle_at(moved.knob, 1) == "degrees"
        assert moved.corners == tuple((x + dx, y + dy) for x, y in frame().corners), "the box itself is where it is"
    raised = Frame(plain.box, MIDDLE, np.array([[1.0, 0.0, 0.0], [0.0, 1.0, -9.0]]), True, 5.0, room)
    assert raised.knob == (20, 16), "below, where there is no room above"


def test_the_pointer_says_what_a_press_would_do() -> None:
    plain = frame()
    assert plain.cursor_at((10, 10), 2) == plain.cursor_at((30, 20), 2) == "nwse-resize"
    assert plain.cursor_at((30, 10), 2) == plain.cursor_at((10, 20), 2) == "nesw-resize"
    assert plain.cursor_at((20, 5), 2) == "grab" and plain.cursor_at(MIDDLE, 2) == ""
