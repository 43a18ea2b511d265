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
    assert plain.pulled("scale", MIDDLE, (30, 20)) > 1000, "a press on the very centre is no division by zero"


def test_a_map_that_leaves_nothing_has_no_way_back() -> None:
    assert Frame((0, 0, 4, 4), (2, 2), np.zeros((2, 3))).back((1, 2)) == (1, 2)
