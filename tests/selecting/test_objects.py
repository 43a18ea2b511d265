"""One click selects most of a toybox object and little else; more clicks correct it; and it says what is wrong."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dragonkit.bench.selectors import cases, measure
from dragonkit.errors import EditError, PointError
from dragonkit.selecting import OBJECT, WAND


def disc(size: tuple[int, int], center: tuple[float, float], radius: float) -> np.ndarray:
    y, x = np.indices((size[1], size[0])) + 0.5
    return np.hypot(x - center[0], y - center[1]) <= radius


def painted(size: tuple[int, int], *parts: tuple[np.ndarray, tuple[int, int, int]]) -> Image.Image:
    """Colours with a little noise, as pictures have it; the same each time."""
    pixels = np.full((size[1], size[0], 3), (60, 120, 70), int)
    for mask, color in parts:
        pixels[mask] = color
    noise = np.random.default_rng(0).integers(-6, 7, pixels.shape)
    return Image.fromarray((pixels + noise).clip(0, 255).astype(np.uint8))


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    return (a & b).sum() / (a | b).sum()


@pytest.mark.parametrize("size", [(64, 64), (90, 40), (40, 90), (300, 200), (1000, 700)])
def test_a_plain_object_is_found_at_every_size(size: tuple[int, int]) -> None:
    side = min(size)
    ball = disc(size, (0.4 * size[0], 0.55 * size[1]), 0.2 * side)
    mask = OBJECT.select(painted(size, (ball, (210, 60, 50))), [(0.4 * size[0] + 1, 0.55 * size[1] - 2, True)])
    assert mask.shape == ball.shape
    assert overlap(mask, ball) > 0.97


def test_an_object_of_several_colours_is_one_object() -> None:
    size = (120, 80)
    ball = disc(size, (50, 40), 16)
    spot = disc(size, (50, 40), 6)
    picture = painted(size, (ball, (210, 60, 50)), (spot, (240, 230, 40)))
    click = [(44, 40, True)]
    assert overlap(OBJECT.select(picture, click), ball) > 0.95
    assert overlap(WAND.select(picture, click), ball) < 0.9  # which is why there is more than the wand


def test_one_click_on_toybox_objects_gives_most_of_them() -> None:
    on = cases(64, 20)
    found, wand = measure(OBJECT.select, on), measure(WAND.select, on)
    assert found.iou.mean > 0.7 and found.good > 0.5
    assert wand.iou.mean < 0.4


@pytest.mark.parametrize("size", [(120, 80), (480, 320)])
def test_further_clicks_add_and_take_away(size: tuple[int, int]) -> None:
    unit = size[1] / 80
    left, right = disc(size, (40 * unit, 40 * unit), 12 * unit), disc(size, (66 * unit, 40 * unit), 12 * unit)  # two pixels apart
    picture = painted(size, (left, (210, 60, 50)), (right, (60, 60, 210)))
    on_left, on_right = (40 * unit, 40 * unit), (66 * unit, 40 * unit)
    both = OBJECT.select(picture, [(*on_left, True), (*on_right, True)])
    assert overlap(both, left | right) > 0.95
    only = OBJECT.select(picture, [(*on_left, True), (*on_right, False)])
    assert overlap(only, left) > 0.95


def test_its_twin_is_another_object() -> None:
    size = (120, 60)
    left, right = disc(size, (25, 30), 11), disc(size, (95, 30), 11)
    picture = painted(size, (left | right, (210, 60, 50)))
    assert overlap(OBJECT.select(picture, [(25, 30, True)]), left) > 0.95
    assert overlap(OBJECT.select(picture, [(25, 30, True), (95, 30, True)]), left | right) > 0.95


def test_holes_are_filled_but_for_those_clicked_at() -> None:
    size = (120, 80)
    ring = disc(size, (55, 40), 22) & ~disc(size, (55, 40), 8)
    picture = painted(size, (ring, (210, 60, 50)))
    whole, hollow = (OBJECT.select(picture, [(40, 40, True), *more]) for more in ([], [(55, 40, False)]))
    assert whole[40, 55] and overlap(whole, disc(size, (55, 40), 22)) > 0.95
    assert not hollow[40, 55] and overlap(hollow, ring) > 0.9


def test_an_object_at_the_border_is_whole() -> None:
    size = (96, 64)
    ball = disc(size, (2, 30), 16)
    mask = OBJECT.select(painted(size, (ball, (210, 60, 50))), [(0, 30, True)])
    assert overlap(mask, ball) > 0.95
    assert mask[30, 0]


@settings(max_examples=25)
@given(st.tuples(st.integers(1, 9), st.integers(1, 9)), st.data())
def test_even_the_smallest_pictures_have_an_object(size: tuple[int, int], data: st.DataObject) -> None:
    pixels = np.random.default_rng(data.draw(st.integers(0, 9))).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    x, y = data.draw(st.floats(0, size[0])), data.draw(st.floats(0, size[1]))
    mask = OBJECT.select(pixels, [(x, y, True)])
    assert mask.shape == (size[1], size[0])
    assert mask[min(int(y), size[1] - 1), min(int(x), size[0] - 1)]


@pytest.mark.parametrize("size", [(64, 48), (400, 260)])
def test_it_is_the_same_each_time_whatever_ran_before(size: tuple[int, int]) -> None:
    import cv2

    noise = Image.fromarray(np.random.default_rng(1).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))
    first = OBJECT.select(noise, [(30, 20, True)])
    cv2.setRNGSeed(123)
    assert np.array_equal(OBJECT.select(noise, [(30, 20, True)]), first)


def test_the_reach_says_how_large_the_object_may_be() -> None:
    size = (128, 96)
    inner, outer = disc(size, (64, 48), 10), disc(size, (64, 48), 36)
    picture = painted(size, (outer, (200, 200, 60)), (inner, (210, 60, 50)))
    click = [(64, 48, True)]
    assert overlap(OBJECT.select(picture, click, reach=0.1), inner) > 0.9
    assert overlap(OBJECT.select(picture, click, reach=0.5), outer) > 0.9
    with pytest.raises(EditError, match=r"ObjectOptions.reach is 2, but must be"):
        OBJECT.select(picture, click, reach=2)


def test_clicks_that_contradict_each_other_are_refused() -> None:
    picture = painted((60, 40), (disc((60, 40), (30, 20), 8), (210, 60, 50)))
    around = [(30 + dx, 20 + dy, False) for dx in (-0.5, 0.5) for dy in (-0.5, 0.5)]
    with pytest.raises(PointError, match="next to one that says it is not"):
        OBJECT.select(picture, [(30, 20, True), *around])


def test_without_opencv_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    said = r"the selector 'object' needs OpenCV, which is not installed. Run pip install 'dragonkit\[select\]'."
    with pytest.raises(EditError, match=said):
        OBJECT.select(Image.new("RGB", (8, 8)), [(4, 4, True)])
    assert WAND.select(Image.new("RGB", (8, 8)), [(4, 4, True)]).all()
