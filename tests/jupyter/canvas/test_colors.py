"""The mask's colour: it stands out from any object, stays while it does well enough, and can be chosen."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.headless import Browser, drag, emit, open_browser
from PIL import Image

from dragonkit.errors import EditError
from dragonkit.jupyter.canvas.colors import COLORS, contrasting
from dragonkit.jupyter.canvas.overlay import MASK_COLOR
from dragonkit.jupyter.canvas.view import CanvasView
from dragonkit.jupyter.marks.state import MarkState


def plain(color: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    mask = np.zeros((30, 40), bool)
    mask[5:20, 8:30] = True
    return np.full((30, 40, 3), color, np.uint8), mask


@pytest.mark.parametrize("color", [*COLORS.values(), (255, 255, 255), (0, 0, 0), (128, 128, 128), (60, 110, 220)])
def test_it_stands_out_from_any_object(color: tuple[int, int, int]) -> None:
    chosen = contrasting(*plain(color))
    assert np.linalg.norm(np.subtract(chosen, color)) > 100


def test_it_stays_while_it_does_well_enough() -> None:
    picture, mask = plain((90, 160, 90))
    best = contrasting(picture, mask, COLORS["green"])
    assert best != COLORS["green"] and contrasting(picture, mask, best) == best
    assert contrasting(picture, mask & False, COLORS["yellow"]) == COLORS["yellow"]
    picture[5:20, 8:20] = MASK_COLOR  # a part of the object is enough
    assert contrasting(picture, mask, MASK_COLOR) != MASK_COLOR


def test_a_large_picture_takes_no_time_and_a_hair_is_seen() -> None:
    picture = np.zeros((3000, 4000, 3), np.uint8)
    picture[...] = MASK_COLOR
    mask = np.zeros((3000, 4000), bool)
    mask[:, ::2] = True
    assert contrasting(picture, mask) != MASK_COLOR
    mask[...] = False
    mask[1500, 17] = True
    assert contrasting(picture, mask) != MASK_COLOR


def test_a_canvas_takes_it_when_something_is_marked_and_it_can_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    browser: Browser = open_browser(monkeypatch)
    picture, mask = plain(MASK_COLOR)
    view = CanvasView(Image.fromarray(picture), MarkState((40, 30)))
    drag(view.widget, (160, 160), (320, 160))
    assert view._color != MASK_COLOR
    view.color = "yellow"
    view.apply(lambda state: state.set_mask(mask))
    assert view._color == COLORS["yellow"] == view._scene().color
    view.color = None
    assert view._color != MASK_COLOR
    with pytest.raises(EditError, match="no mask colour 'beige'"):
        view.color = "beige"
    assert browser.messages


def test_the_pointer_shows_the_tool_and_what_is_under_it(monkeypatch: pytest.MonkeyPatch) -> None:
    open_browser(monkeypatch)
    picture, mask = plain((200, 200, 200))
    view = CanvasView(Image.fromarray(picture), MarkState.holding(mask))
    assert view.front.cursor == "crosshair"
    view.set_tool("eraser")
    assert view.front.cursor == "cell"
    view.set_tool("pick")
    assert view.front.cursor == "pointer"
    drag(view.widget, (0, 0), (1, 1))
    emit(view.widget, "mouse_move", 200, 160)
    assert view.front.cursor == "move"
