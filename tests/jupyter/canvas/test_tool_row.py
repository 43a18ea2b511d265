"""What keys and the mouse do can be clicked; clicks on an object become a mask on a thread of its own."""

from __future__ import annotations

import html
import threading
from typing import Any

import numpy as np
import pytest
from helpers.headless import Browser, drag, emit, key, open_browser
from PIL import Image
from pydantic import Field

from dragonkit.jupyter.canvas.tool_row import ToolRow
from dragonkit.jupyter.canvas.view import CanvasView
from dragonkit.jupyter.marks.state import MarkState
from dragonkit.jupyter.panels.messages import Messages
from dragonkit.jupyter.panels.picking import PickPanel
from dragonkit.plugins.selector import Options, Selector

SOON = 20.0
PICTURE = Image.new("RGB", (64, 48), "white")


@pytest.fixture(autouse=True)
def browser(monkeypatch: pytest.MonkeyPatch) -> Browser:
    return open_browser(monkeypatch)


@pytest.fixture
def errors() -> list[Exception]:
    return []


@pytest.fixture
def view(errors: list[Exception]) -> CanvasView:
    view = CanvasView(PICTURE, MarkState(PICTURE.size))
    view.on_error(errors.append)
    return view


@pytest.fixture
def row(view: CanvasView, errors: list[Exception]) -> ToolRow:
    return ToolRow(view, errors.append)


def test_tools_are_taken_by_button_and_by_key(row: ToolRow, view: CanvasView) -> None:
    for name in row.tools.options:
        row.tools.value = name
        assert view.tool.name == name
    for name, tool in view.tools.items():
        key(view.widget, tool.shortcut)
        assert row.tools.value == name == view.tool.name


def test_the_tool_in_hand_is_explained_where_tooltips_are_not(row: ToolRow, view: CanvasView) -> None:
    for name, tooltip in zip(row.tools.options, row.tools.tooltips, strict=True):
        key(view.widget, view.tools[name].shortcut)
        assert row.help.value == f'<span role="status">{html.escape(f"{name}: {tooltip}")}</span>'


def test_undo_outlives_a_change_of_tool(row: ToolRow, view: CanvasView, errors: list[Exception]) -> None:
    changes: list[int] = []
    view.on_change(lambda: changes.append(1))
    row.tools.value = "box"
    drag(view.widget, (50, 50), (100, 100), (200, 200))
    first = view.state.mask
    row.tools.value = "brush"
    drag(view.widget, (300, 300), (400, 300))
    second = view.state.mask
    assert first.any() and (second & ~first).any()
    for action, expected in (
        ("undo", first),
        ("undo", np.zeros_like(first)),
        ("redo", first),
        ("redo", second),
        ("invert", ~second),
        ("clear", np.zeros_like(first)),
        ("undo", ~second),
    ):
        row.actions[action].click()
        assert np.array_equal(view.state.mask, expected), action
    assert len(changes) == 9 and errors == []


def test_the_brush_is_as_wide_as_the_slider_says(row: ToolRow, view: CanvasView) -> None:
    row.size.value = 12
    assert view.tools["brush"].size == 12 == view.tools["eraser"].size
    key(view.widget, "]")
    assert row.size.value == view.tool.size > 12
    key(view.widget, "e")
    assert row.size.value == view.tool.size
    row.size.value = 5
    key(view.widget, "b")
    assert view.tool.size == 5


def test_opacity_and_zoom(row: ToolRow, view: CanvasView) -> None:
    row.opacity.value = 0.9
    assert view.opacity == 0.9
    for words, zoom in (("100 %", 1), ("200 %", 2), ("fit", "fit")):
        row.zoom.value = words
        assert view.viewport.zoom == zoom


def test_errors_are_told(row: ToolRow, view: CanvasView, errors: list[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view, "apply", lambda change: 1 / 0)
    broken = ToolRow(view, errors.append)
    broken.actions["undo"].click()
    assert [type(error) for error in errors] == [ZeroDivisionError]


# --- clicks on an object ------------------------------------------------------------------------------------------------


class Reach(Options):
    """How far a click reaches."""

    reach: int = Field(default=3, ge=1, le=20, description="pixels")


def around(image: Image.Image, clicks: list[Any], reach: int = 3) -> np.ndarray:
    """Squares around the clicks on the object, without those around the others."""
    mask = np.zeros((image.height, image.width), bool)
    for x, y, positive in clicks:
        mask[max(int(y) - reach, 0) : int(y) + reach, max(int(x) - reach, 0) : int(x) + reach] = positive
    return mask


def boxed(left: int, top: int, right: int, bottom: int) -> np.ndarray:
    mask = np.zeros((48, 64), bool)
    mask[top:bottom, left:right] = True
    return mask


@pytest.fixture
def messages() -> Messages:
    return Messages()


@pytest.fixture
def panel(view: CanvasView, messages: Messages) -> PickPanel:
    selectors = [
        Selector("around", "squares", "clicks", around, Reach),
        Selector("plain", "small squares", "clicks", lambda image, clicks: around(image, clicks, 1)),
        Selector("rectangle", "boxes", "box", lambda image, box: np.ones((48, 64), bool)),
    ]
    panel = PickPanel(view, selectors, lambda: PICTURE, messages)
    view.set_tool("pick")
    return panel


def click(view: CanvasView, panel: PickPanel, x: float, y: float) -> None:
    place = view.viewport.to_canvas(x, y)
    emit(view.widget, "mouse_down", *place)
    emit(view.widget, "mouse_up", *place)
    assert panel.wait(SOON)


def test_clicks_select_and_correct(panel: PickPanel, view: CanvasView, messages: Messages, errors: list[Exception]) -> None:
    assert list(panel.offered) == ["around", "plain"], "what takes no clicks is not offered"
    painted = boxed(40, 30, 50, 40)
    view.state.set_mask(painted)
    click(view, panel, 10, 10)
    assert np.array_equal(view.state.mask, painted | boxed(7, 7, 13, 13))
    assert messages.all == ["around is selecting ...", "around has selected 36 pixels"]
    panel.sign.value = False
    click(view, panel, 14, 10)
    assert np.array_equal(view.state.mask, painted | boxed(7, 7, 11, 13)), "corrected, and what was painted stays"
    panel.sign.value = True
    key(view.widget, "Escape")
    click(view, panel, 30, 10)
    assert np.array_equal(view.state.mask, painted | boxed(7, 7, 11, 13) | boxed(27, 7, 33, 13)), "another object"
    assert errors == []


def test_options_are_fields_and_count_at_once(panel: PickPanel, view: CanvasView) -> None:
    click(view, panel, 20, 20)
    panel._controls["reach"].widget.value = 6
    assert panel.wait(SOON)
    assert np.array_equal(view.state.mask, boxed(14, 14, 26, 26))
    panel.choice.value = "plain"
    assert panel._controls == {} and panel.choice.tooltip == "small squares"
    key(view.widget, "Escape")
    click(view, panel, 50, 20)
    assert np.array_equal(view.state.mask, boxed(14, 14, 26, 26) | boxed(49, 19, 51, 21))


def test_a_selector_that_fails_changes_nothing(panel: PickPanel, view: CanvasView, messages: Messages) -> None:
    panel.sign.value = False
    click(view, panel, 10, 10)
    assert "on the object" in messages._error.value and messages._status.value == "", "nothing is being selected any more"
    assert not view.state.mask.any()
    panel.sign.value = True
    panel.offered["around"] = Selector("around", "nothing", "clicks", lambda image, clicks: np.zeros((48, 64), bool))
    panel.choice.value = "plain"
    panel.choice.value = "around"
    key(view.widget, "Escape")
    click(view, panel, 10, 10)
    assert "selects no pixel" in messages._error.value
    key(view.widget, "Escape")
    assert messages._error.value == "", "it was about a click that is gone"


def test_only_the_newest_click_counts_and_undone_ones_do_not(view: CanvasView, messages: Messages) -> None:
    begun, go = threading.Event(), threading.Event()

    def slow(image: Image.Image, clicks: list[Any]) -> np.ndarray:
        begun.set()
        assert go.wait(SOON)
        return around(image, clicks)

    panel = PickPanel(view, [Selector("slow", "slow", "clicks", slow)], lambda: PICTURE, messages)
    view.set_tool("pick")
    for x in (10, 20, 30):
        place = view.viewport.to_canvas(x, 20)
        emit(view.widget, "mouse_down", *place)
        emit(view.widget, "mouse_up", *place)
        assert begun.wait(SOON)
    go.set()
    assert panel.wait(SOON)
    assert np.array_equal(view.state.mask, boxed(7, 17, 13, 23) | boxed(17, 17, 23, 23) | boxed(27, 17, 33, 23))

    go.clear()
    begun.clear()
    before = view.state.mask
    emit(view.widget, "mouse_down", *view.viewport.to_canvas(50, 20))
    emit(view.widget, "mouse_up", *view.viewport.to_canvas(50, 20))
    assert begun.wait(SOON)
    key(view.widget, "z", ctrl=True)
    go.set()
    assert panel.wait(SOON)
    assert np.array_equal(view.state.mask, before), "that click was taken back"
