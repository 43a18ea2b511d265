"""What a click would select lights up: each thing is looked for once, and neither clicks nor other tools are disturbed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers.headless import emit, open_browser
from PIL import Image

from dragonkit.errors import MaskError
from dragonkit.jupyter.canvas.view import CanvasView
from dragonkit.jupyter.marks.state import MarkState
from dragonkit.jupyter.panels import hover as hovering
from dragonkit.jupyter.panels.hover import Hover

SOON = 30.0
LEFT = np.zeros((40, 60), bool)
LEFT[:, :25] = True


class Halves:
    """Selects the left half; there is nothing on the right."""

    def __init__(self) -> None:
        self.asked: list[tuple[float, float]] = []
        self.failing: Exception | None = None

    def __call__(self, clicks: list[Any]) -> np.ndarray:
        self.asked.append(clicks[0][:2])
        if self.failing is not None:
            raise self.failing
        if clicks[0][0] >= 25:
            raise MaskError("nothing there")
        return LEFT


@pytest.fixture
def view(monkeypatch: pytest.MonkeyPatch) -> CanvasView:
    open_browser(monkeypatch)
    view = CanvasView(Image.new("RGB", (60, 40)), MarkState((60, 40)))
    view.set_tool("pick")
    return view


@pytest.fixture
def errors() -> list[Exception]:
    return []


@pytest.fixture
def halves() -> Halves:
    return Halves()


@pytest.fixture
def hover(view: CanvasView, errors: list[Exception], halves: Halves) -> Hover:
    hover = Hover(view, errors.append)
    hover.look_for(halves)
    return hover


def look_at(view: CanvasView, hover: Hover, x: float, y: float, event: str = "mouse_move") -> None:
    emit(view.widget, event, *view.viewport.to_canvas(x, y))
    assert hover.wait(SOON)


def test_each_thing_is_looked_for_once(view: CanvasView, hover: Hover, halves: Halves, errors: list[Exception]) -> None:
    look_at(view, hover, 5, 5)
    assert view._highlit is LEFT and np.array_equal(hover.under(6, 6), LEFT)
    look_at(view, hover, 20, 30)
    assert len(halves.asked) == 1
    look_at(view, hover, 50, 30)
    assert view._highlit is None and len(halves.asked) == 2 and errors == []
    look_at(view, hover, 5, 5)
    assert view._highlit is LEFT
    look_at(view, hover, 5, 5, "mouse_out")
    assert view._highlit is None
    hover.look_for(halves)
    assert hover.under(6, 6) is None, "another picture"


def test_with_clicks_or_another_tool_nothing_lights_up(view: CanvasView, hover: Hover, halves: Halves) -> None:
    view.set_tool("brush")
    look_at(view, hover, 5, 5)
    view.set_tool("pick")
    view.apply(lambda state: state.change(points=[(50, 5, True)]))
    look_at(view, hover, 5, 5)
    view.apply(lambda state: state.change(LEFT, points=()))
    look_at(view, hover, 5, 5)
    assert halves.asked == [] and view._highlit is None


def test_a_selector_that_is_slow_or_fails_is_left_alone(
    view: CanvasView, hover: Hover, halves: Halves, errors: list[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    halves.failing = ZeroDivisionError("mine")
    look_at(view, hover, 5, 5)
    look_at(view, hover, 6, 5)
    assert [type(error) for error in errors] == [ZeroDivisionError] and len(halves.asked) == 1
    halves.failing = None
    monkeypatch.setattr(hovering, "PATIENCE", -1.0)
    hover.look_for(halves)
    look_at(view, hover, 5, 5)
    assert view._highlit is LEFT
    look_at(view, hover, 50, 5)
    assert len(halves.asked) == 3, "the first time may be dear"
    look_at(view, hover, 51, 5)
    assert len(halves.asked) == 3, "it would be busy whenever a click comes"
