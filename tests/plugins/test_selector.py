"""A selector checks what it is given and what it gives, and says in a sentence what is wrong."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pydantic import Field

from dragonkit.errors import EditError, ImageError, MaskError, PointError
from dragonkit.plugins.selector import Gesture, Options, Selector

WIDTH, HEIGHT = 48, 32
PICTURE = Image.new("RGB", (WIDTH, HEIGHT), "white")
EVERYTHING = np.ones((HEIGHT, WIDTH), bool)


class Sizes(Options):
    radius: float = Field(default=3, ge=1, le=9, description="how large")


def selector(gesture: Gesture, function: Any = None, options: type[Options] = Options) -> Selector:
    return Selector("some", "something", gesture, function or (lambda image, value, **options: EVERYTHING), options)


def given_to_function(gesture: Gesture, value: Any) -> Any:
    received = []
    selector(gesture, lambda image, value: received.append(value) or EVERYTHING).select(PICTURE, value)
    return received[0]


# --- gestures -----------------------------------------------------------------------------------------------------------


def test_a_box_is_put_in_order_and_cut_at_the_border() -> None:
    assert given_to_function("box", (30, 20, 3.5, 4)) == (3.5, 4, 30, 20)
    assert given_to_function("box", np.array([-5, 30, 99, -1])) == (0, 0, WIDTH, 30)


@given(st.tuples(*[st.floats(-100, 100)] * 4))
def test_a_box_is_the_part_of_it_that_the_picture_has(box: tuple[float, float, float, float]) -> None:
    across, down = sorted(box[0::2]), sorted(box[1::2])
    expected = (max(across[0], 0), max(down[0], 0), min(across[1], WIDTH), min(down[1], HEIGHT))
    if expected[0] < expected[2] and expected[1] < expected[3]:
        assert given_to_function("box", box) == expected
    else:
        with pytest.raises(PointError, match=r"has no area|lies outside"):
            given_to_function("box", box)


@pytest.mark.parametrize("gesture", ["stroke", "outline"])
def test_lines_may_leave_the_picture(gesture: Gesture) -> None:
    assert given_to_function(gesture, [[-3, 4], (50, 6.5), np.array([1, 2])]) == [(-3, 4), (50, 6.5), (1, 2)]


def test_one_point_is_a_stroke() -> None:
    assert given_to_function("stroke", [(3, 4)]) == [(3, 4)]


def test_clicks() -> None:
    clicks = given_to_function("clicks", [[0, 0, True], (WIDTH, HEIGHT, np.False_), (1.5, 2.5, True)])
    assert clicks == [(0, 0, True), (WIDTH, HEIGHT, False), (1.5, 2.5, True)]
    assert all(isinstance(part, kind) for click in clicks for part, kind in zip(click, (float, float, bool), strict=True))


@pytest.mark.parametrize(
    ("gesture", "value", "said"),
    [
        ("box", None, "the gesture is None, but must be a box (x0, y0, x1, y1), in pixels of the picture."),
        ("box", (1, 2, 3), "is (1, 2, 3), but must be"),
        ("box", "all", "is 'all', but must be a box"),
        ("box", (1, 2, 3, "x"), "must be a box"),
        ("box", (1, 2, 1, 9), "(1, 2, 1, 9) has no area"),
        ("box", (50, 2, 60, 9), "(50, 2, 60, 9) lies outside"),
        ("box", (1, 2, float("nan"), 9), "(1, 2, nan, 9) must have finite"),
        ("stroke", [], "the gesture is [], but must be"),
        ("stroke", [(1, 2, 3)], "a list of (x, y), at least one"),
        ("stroke", [(1, 2), (3,)], "a list of (x, y), at least one"),
        ("stroke", [(1, float("inf"))], "the stroke [(1, inf)] must have finite"),
        ("outline", [(1, 2), (3, 4)], "a list of (x, y), at least three"),
        ("outline", 7, "the gesture is 7, but must be"),
        ("clicks", [], "none of the 0 clicks"),
        ("clicks", [(1, 2, False), (2, 3, False)], "none of the 2 clicks"),
        ("clicks", [(1, 2)], "is [(1, 2)], but must be"),
        ("clicks", [(1, 2, 1)], "a list of (x, y, positive)"),
        ("clicks", (1, 2, True), "a list of (x, y, positive)"),
        ("clicks", [("a", 2, True)], "a list of (x, y, positive)"),
        ("clicks", [(1, 2, True), (48.5, 3, True)], "the click at (48.5, 3) is outside"),
        ("clicks", [(1, -0.01, True)], "the click at (1, -0.01) is outside"),
        ("clicks", [(float("nan"), 2, True)], "must have finite numbers only"),
    ],
)
def test_a_wrong_gesture_is_refused_in_words(gesture: Gesture, value: Any, said: str) -> None:
    with pytest.raises(PointError, match=re.escape(said)):
        selector(gesture).select(PICTURE, value)


# --- pictures, options, answers -----------------------------------------------------------------------------------------


def test_the_function_is_given_the_picture_in_rgb_and_all_options() -> None:
    received: list[Any] = []

    def function(image: Image.Image, box: Any, **options: Any) -> np.ndarray:
        received.extend([image.mode, image.size, options])
        return EVERYTHING

    grey = np.zeros((HEIGHT, WIDTH), np.uint8)
    assert selector("box", function, Sizes).select(grey, (1, 2, 3, 4), radius=5) is EVERYTHING
    selector("box", function, Sizes).select(PICTURE.convert("RGBA"), (1, 2, 3, 4))
    assert received == ["RGB", (WIDTH, HEIGHT), {"radius": 5}, "RGB", (WIDTH, HEIGHT), {"radius": 3}]


def test_a_picture_that_is_none_is_refused() -> None:
    with pytest.raises(ImageError):
        selector("box").select("nowhere.png", (1, 2, 3, 4))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"radius": 10}, "Sizes.radius is 10, but must be"),
        ({"raduis": 2}, "Sizes has no field 'raduis' (received 2)"),
        ({"radius": "wide"}, "Sizes.radius is 'wide'"),
    ],
)
def test_wrong_options_are_refused_in_words(options: dict[str, Any], said: str) -> None:
    with pytest.raises(EditError, match=re.escape(said)):
        selector("box", options=Sizes).select(PICTURE, (1, 2, 3, 4), **options)


def test_without_options_none_are_taken() -> None:
    with pytest.raises(EditError, match=re.escape("Options has no field 'radius' (received 2)")):
        selector("box").select(PICTURE, (1, 2, 3, 4), radius=2)


@pytest.mark.parametrize(
    ("answer", "received"),
    [
        (EVERYTHING.astype(float), "float64 (32, 48)"),
        (EVERYTHING.T, "bool (48, 32)"),
        (None, "None"),
    ],
)
def test_what_is_no_mask_is_refused(answer: Any, received: str) -> None:
    said = f"the selector 'some' must give a bool array (32, 48), but gave {received}. Mend its plugin."
    with pytest.raises(MaskError, match=re.escape(said)):
        selector("box", lambda image, box: answer).select(PICTURE, (1, 2, 3, 4))


def test_an_empty_mask_is_refused() -> None:
    nothing = lambda image, box, **options: ~EVERYTHING  # noqa: E731
    said = "the selector 'some' selects no pixel of the 48x32 picture with (1, 2, 3, 4). Try another place."
    with pytest.raises(MaskError, match=re.escape(said) + "$"):
        selector("box", nothing).select(PICTURE, (1, 2, 3, 4))
    with pytest.raises(MaskError, match="Try another place or other options"):
        selector("box", nothing, Sizes).select(PICTURE, (1, 2, 3, 4))


# --- the value itself ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"name": "My Selector"}, "Selector.name is 'My Selector', but must be"),
        ({"name": 3}, "Selector.name is 3"),
        ({"description": " "}, "Selector 'some': description is ' '"),
        ({"gesture": "click"}, "gesture is 'click', but must be"),
        ({"gesture": None}, "Selector 'some': gesture is None"),
        ({"function": 3}, "function must be callable, got 3"),
        ({"options": Sizes()}, "class derived from Options, got Sizes(radius=3)"),
        ({"options": dict}, "Selector 'some': options must be"),
    ],
)
def test_unusable_fields_are_refused_in_words(fields: dict[str, Any], said: str) -> None:
    usable: dict[str, Any] = {"name": "some", "description": "something", "gesture": "box", "function": lambda image, box: EVERYTHING}
    with pytest.raises(EditError, match=re.escape(said)):
        Selector(**{**usable, **fields})


def test_options_make_a_form() -> None:
    schema = selector("box", options=Sizes).options.model_json_schema()["properties"]["radius"]
    assert schema == {"default": 3, "description": "how large", "maximum": 9, "minimum": 1, "title": "Radius", "type": "number"}


@pytest.mark.processes
def test_it_imports_without_torch() -> None:
    code = "import sys, dragonkit.plugins.selector; sys.exit('torch' in sys.modules or 'cv2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
