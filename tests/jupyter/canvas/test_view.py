"""The canvas without a browser: events in, drawings out. `headless.Browser` keeps what a real one would show of the mask."""

from __future__ import annotations

import io
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from helpers.headless import Browser, drag, emit, holding, key, layer_id, open_browser, touch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from dragonkit.errors import EditError, ImageError
from dragonkit.imaging.strokes import Point, stroke
from dragonkit.jupyter.canvas.overlay import mask_overlay
from dragonkit.jupyter.canvas.view import CanvasView
from dragonkit.jupyter.marks.state import MarkState
from dragonkit.jupyter.tools.areas import Brush
from dragonkit.jupyter.tools.arrows import DragArrows
from dragonkit.jupyter.tools.base import Tool
from dragonkit.jupyter.tools.pick import Pick

SIZE = (64, 48)  # shown ten times as large
PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8))


@pytest.fixture
def browser(monkeypatch: pytest.MonkeyPatch) -> Iterator[Browser]:
    yield open_browser(monkeypatch)
    assert not holding(), "ipycanvas was left holding: other canvases would not draw any more"


@pytest.fixture
def view(browser: Browser) -> CanvasView:
    view = CanvasView(PICTURE, MarkState(SIZE))
    browser.messages.clear()
    return view


def errors_of(view: CanvasView) -> list[Exception]:
    errors: list[Exception] = []
    view.on_error(errors.append)
    return errors


def shown_mask(browser: Browser, view: CanvasView) -> np.ndarray:
    """RGBA of the mask's layer."""
    width, height = view.viewport.canvas_size
    return browser.layers.get(layer_id(view.widget, 1), np.zeros((2000, 2000, 4), np.uint8))[:height, :width].copy()


def expected_mask(view: CanvasView) -> np.ndarray:
    overlay = mask_overlay(view.state.mask, view.viewport, (0, 0, *view.viewport.canvas_size), view.opacity, view._color)
    return overlay * (overlay[..., 3:] > 0)  # the browser keeps no colour of what is transparent


def painted(points: list[Point], size: float) -> np.ndarray:
    mask = np.zeros((48, 64), bool)
    region = stroke(points, size, SIZE)
    if region is not None:
        (left, top, right, bottom), bits = region
        mask[top:bottom, left:right] = bits
    return mask


def on_canvas(view: CanvasView, *points: Point) -> list[Point]:
    return [view.viewport.to_canvas(*point) for point in points]


def test_the_canvas_has_the_pictures_shape_in_pixels(view: CanvasView) -> None:
    assert (view.widget.width, view.widget.height) == (640, 480) == (view.widget[2].width, view.widget[2].height)
    assert (view.widget.layout.width, view.widget.layout.height) == ("640px", "480px")


def test_the_picture_is_sent_once_and_without_loss(browser: Browser) -> None:
    view = CanvasView(PICTURE, MarkState(SIZE))
    drawn = [command for command in browser.commands if command.name == "drawImage"]
    assert [command.layer for command in drawn] == [layer_id(view.widget, 0)] and drawn[0].args[1:] == [0, 0, 640, 480]
    file = view._layers._picture._whole
    assert drawn[0].args[0] == f"IPY_MODEL_{file.model_id}"
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(file.value))), np.asarray(PICTURE))
    sent = file.value
    view.redraw()
    view.set_zoom(2)
    assert file.value is sent


@pytest.mark.parametrize("end", ["mouse_up", "mouse_out"])
def test_a_stroke_becomes_the_mask_that_is_shown(view: CanvasView, browser: Browser, end: str) -> None:
    changes: list[int] = []
    view.on_change(lambda: changes.append(view.state.version))
    way = on_canvas(view, (10, 10), (30, 20), (50, 40))
    drag(view.widget, *way, release=False)
    assert not changes and not view.state.mask.any()
    emit(view.widget, end, *way[-1])
    brush = view.tool
    assert isinstance(brush, Brush)
    assert np.array_equal(view.state.mask, painted([(10, 10), (30, 20), (50, 40)], brush.size))
    assert changes == [1]
    assert np.array_equal(shown_mask(browser, view), expected_mask(view))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["brush", "eraser", "lasso", "box", "undo", "redo", "zoom 2", "zoom fit", "zoom 7", "pan", "opacity"]),
            st.lists(st.tuples(st.floats(-20, 660), st.floats(-20, 500)), min_size=1, max_size=4),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_whatever_is_done_the_mask_that_is_shown_is_the_mask(view: CanvasView, browser: Browser, doings: list[Any]) -> None:
    """Only the changed part is drawn, so this is where a wrong rectangle would show."""
    for name, points in doings:
        if name in view.tools:
            view.set_tool(name)
            drag(view.widget, *points)
        elif name.startswith("zoom"):
            view.set_zoom(name[5:] if name == "zoom fit" else float(name[5:]))
        elif name == "pan":
            view.pan(*points[0])
        elif name == "opacity":
            view.opacity = abs(points[0][0]) / 660
        else:
            key(view.widget, "z", ctrl=True, shift=name == "redo")
        assert np.array_equal(shown_mask(browser, view), expected_mask(view))


def test_out_and_back_with_the_button_released_outside(view: CanvasView) -> None:
    drag(view.widget, (100, 100), (300, 100), release=False)
    emit(view.widget, "mouse_out", 645, 100)
    mask = view.state.mask
    assert mask[10, 63]
    for x in (600, 400, 200):
        emit(view.widget, "mouse_move", x, 300)
    emit(view.widget, "mouse_up", 200, 300)
    assert np.array_equal(view.state.mask, mask) and view.state.version == 1


def test_a_right_click_breaks_nothing(view: CanvasView) -> None:
    emit(view.widget, "mouse_down", 500, 400)
    emit(view.widget, "mouse_move", 100, 400)
    drag(view.widget, (100, 100), (200, 100))
    brush = view.tool
    assert isinstance(brush, Brush)
    assert np.array_equal(view.state.mask, painted([(10, 10), (20, 10)], brush.size))


def test_a_finger_paints_and_lifts_where_it_was_last(view: CanvasView) -> None:
    touch(view.widget, "start", (100, 100))
    touch(view.widget, "move", (250, 100))
    touch(view.widget, "end")
    brush = view.tool
    assert isinstance(brush, Brush)
    assert np.array_equal(view.state.mask, painted([(10, 10), (25, 10)], brush.size))
    assert brush.preview(view.state) == []  # no finger hovers


def test_two_fingers_push_the_picture_and_paint_nothing(view: CanvasView) -> None:
    view.set_zoom(20)
    offset = view.viewport.offset
    touch(view.widget, "start", (100, 100))
    touch(view.widget, "move", (110, 100))
    assert view.tool.busy
    touch(view.widget, "start", (110, 100), (310, 100))
    assert not view.tool.busy
    touch(view.widget, "move", (130, 140), (330, 140))
    touch(view.widget, "end", (330, 140))
    touch(view.widget, "move", (400, 400))
    touch(view.widget, "end")
    assert view.state.version == 0
    assert view.viewport.offset == pytest.approx((offset[0] - 1, offset[1] - 2))
    touch(view.widget, "start", (100, 100))
    touch(view.widget, "end")
    assert view.state.version == 1


def test_a_touch_that_the_system_takes_is_called_off(view: CanvasView) -> None:
    pointer: list[str] = []
    view.on_pointer(lambda event, x, y: pointer.append(event))
    touch(view.widget, "start", (100, 100))
    touch(view.widget, "cancel")
    touch(view.widget, "end")
    assert view.state.version == 0 and pointer == ["down", "up"]


@pytest.mark.parametrize("modifier", ["ctrl", "meta"])
def test_undo_and_redo_by_key(view: CanvasView, modifier: str) -> None:
    pressed: list[str] = []
    view.on_key(pressed.append)
    drag(view.widget, (100, 100), (200, 100))
    mask = view.state.mask
    view.set_tool("lasso")
    key(view.widget, "z", **{modifier: True})
    assert not view.state.mask.any()
    key(view.widget, "Z", shift=True, **{modifier: True})
    assert np.array_equal(view.state.mask, mask)
    key(view.widget, "z", **{modifier: True})
    key(view.widget, "y", **{modifier: True})
    assert np.array_equal(view.state.mask, mask)
    assert pressed == ["ctrl+z", "ctrl+shift+z", "ctrl+z", "ctrl+y"]


def test_undo_takes_back_what_was_begun_first(view: CanvasView) -> None:
    drag(view.widget, (100, 100), (200, 100))
    key(view.widget, "p")
    for x, y in ((300, 100), (400, 100), (400, 300)):
        drag(view.widget, (x, y))
    key(view.widget, "z", ctrl=True)
    key(view.widget, "p")  # already in hand: nothing is lost
    assert view.state.mask.any() and view.tool.busy
    for _ in range(3):
        key(view.widget, "z", ctrl=True)
    assert not view.state.mask.any() and not view.tool.busy


def test_letters_take_tools_and_brackets_size_them(view: CanvasView) -> None:
    pressed: list[str] = []
    view.on_key(pressed.append)
    for letter, name in zip("ELPRDKB", ["eraser", "lasso", "polygon", "box", "drag", "pick", "brush"], strict=True):
        key(view.widget, letter, shift=True)
        assert view.tool is view.tools[name]
    brush = view.tool
    assert isinstance(brush, Brush)
    size = brush.size
    key(view.widget, "]")
    assert brush.size > size
    key(view.widget, "[")
    assert brush.size == size
    drag(view.widget, (100, 100), (200, 200), release=False)
    key(view.widget, "Escape")
    emit(view.widget, "mouse_up", 200, 200)
    assert view.state.version == 0
    assert pressed == [*"elprdkb][", "Escape"]


def test_arrow_keys_and_the_wheel_push_a_zoomed_picture(view: CanvasView, browser: Browser) -> None:
    key(view.widget, "ArrowRight")
    emit(view.widget, "mouse_wheel", 0, 120)
    assert browser.messages == []  # all of it is there to be seen
    view.set_zoom(20)
    x, y = view.viewport.offset
    key(view.widget, "ArrowRight")
    assert view.viewport.offset == pytest.approx((x + 4, y))
    emit(view.widget, "mouse_wheel", -40, 60)
    assert view.viewport.offset == pytest.approx((x + 2, y + 3))
    drag(view.widget, (0, 0))
    assert view.state.mask[int(y) + 3, int(x) + 2]


def test_a_stroke_costs_a_message_per_move_and_hovering_without_a_preview_none(view: CanvasView, browser: Browser) -> None:
    points = [(100 + 5 * step, 100 + 3 * step) for step in range(60)]
    drag(view.widget, *points)
    assert len(browser.messages) <= len(points) + 1
    browser.messages.clear()
    view.set_tool("lasso")
    browser.messages.clear()
    for point in points:
        emit(view.widget, "mouse_move", *point)
    assert browser.messages == []
    view.set_tool("brush")
    browser.messages.clear()
    emit(view.widget, "mouse_move", 5, 5)
    emit(view.widget, "mouse_move", 5, 5)
    assert len(browser.messages) == 1 and "strokeCircle" in browser.names


def test_the_live_stroke_is_one_path_as_wide_as_the_brush(view: CanvasView, browser: Browser) -> None:
    drag(view.widget, (100, 100), (200, 100), (200, 200), release=False)
    top = [command for command in browser.messages[-1] if command.layer == layer_id(view.widget, 2)]
    (path,) = [command.args[0] for command in top if command.name == "strokeLines"]
    assert path.tolist() == [[100, 100], [200, 100], [200, 200]]
    brush = view.tool
    assert isinstance(brush, Brush)
    assert [8, brush.size * 10] in [command.args for command in top if command.name == "set"]  # attribute 8 is the line's width


def test_a_reload_brings_everything_back(view: CanvasView, browser: Browser) -> None:
    drag(view.widget, (100, 100), (300, 200))
    view.set_tool("drag")
    drag(view.widget, (100, 300), (300, 300))
    view.show_ghosts([(Image.new("RGBA", (8, 8), "red"), 5, 5, 1)])
    before = shown_mask(browser, view)
    browser.reload()
    emit(view.widget[2], "client_ready")
    assert len(browser.messages) == 1
    assert np.array_equal(shown_mask(browser, view), before) and before.any()
    drawn = [(command.layer, command.name) for command in browser.commands]
    assert (layer_id(view.widget, 0), "drawImage") in drawn and (layer_id(view.widget, 2), "drawImage") in drawn
    assert (layer_id(view.widget, 2), "fillPolygon") in drawn  # the arrow's head


@pytest.mark.parametrize("event", ["mouse_move", "mouse_down"])
def test_every_message_names_its_layer(view: CanvasView, browser: Browser, event: str) -> None:
    """A reloaded browser that gets a command without a layer draws no more; something may be drawn before it says that it is ready."""
    emit(view.widget, event, 50, 50)
    browser.reload()
    emit(view.widget, event, 60, 60)
    view.opacity = 0.3
    assert len(browser.messages) == 2


def test_an_exception_while_drawing_goes_to_the_callback_and_is_made_good(view: CanvasView, browser: Browser, monkeypatch: Any) -> None:
    errors = errors_of(view)
    changes: list[int] = []
    view.on_change(lambda: changes.append(1))
    with monkeypatch.context() as broken:
        broken.setattr("dragonkit.jupyter.canvas.layers.draw_mask", lambda *args: 1 / 0)
        drag(view.widget, (100, 100), (200, 100))
    assert [type(error) for error in errors] == [ZeroDivisionError] and not holding()
    assert view.state.mask.any() and changes == [1]  # the stroke is kept
    emit(view.widget, "mouse_move", 300, 300)
    assert np.array_equal(shown_mask(browser, view), expected_mask(view))


def test_a_tool_that_raises_is_reported_and_others_go_on(view: CanvasView, browser: Browser) -> None:
    errors = errors_of(view)

    class Broken(Tool):
        name, shortcut = "broken", "x"

        def down(self, state: MarkState, x: float, y: float) -> None:
            raise RuntimeError("no luck")

    view.set_tool(Broken())
    pointer: list[str] = []
    view.on_pointer(lambda event, x, y: pointer.append(event))
    drag(view.widget, (10, 10), (20, 20))
    assert [str(error) for error in errors] == ["no luck"] and pointer == ["down", "move", "up"]
    view.set_tool("brush")
    drag(view.widget, (100, 100), (200, 100))
    assert view.state.mask.any() and len(errors) == 1
    key(view.widget, "x")
    assert isinstance(view.tool, Broken)


def test_a_selector_that_raises_is_reported(view: CanvasView) -> None:
    errors = errors_of(view)
    view.set_tool(Pick(lambda clicks: 1 / 0))  # type: ignore[arg-type, return-value]
    drag(view.widget, (100, 100))
    assert [type(error) for error in errors] == [ZeroDivisionError] and view.state.version == 0
    view.set_tool(Pick(lambda clicks: np.ones((48, 64), bool)))
    drag(view.widget, (100, 100))
    assert view.state.mask.all() and view.state.points == [(10, 10, True)]


def test_callbacks_that_raise_are_reported_and_stop_nobody(view: CanvasView, browser: Browser) -> None:
    errors = errors_of(view)
    called: list[str] = []
    for register, name in ((view.on_change, "change"), (view.on_pointer, "pointer"), (view.on_key, "key")):
        register(lambda *values: 1 / 0)
        register(lambda *values, name=name: called.append(name))
    drag(view.widget, (100, 100))
    key(view.widget, "b")
    assert called == ["pointer", "change", "pointer", "key"] and len(errors) == 4
    assert np.array_equal(shown_mask(browser, view), expected_mask(view))


def test_without_an_error_callback_errors_are_raised_as_ipywidgets_has_it(view: CanvasView, caplog: pytest.LogCaptureFixture) -> None:
    view.on_change(lambda: 1 / 0)
    drag(view.widget, (100, 100))
    assert "division by zero" in caplog.text
    with pytest.raises(ZeroDivisionError):
        view.apply(MarkState.invert)


def test_a_connection_that_fails_once(monkeypatch: pytest.MonkeyPatch) -> None:
    browser = open_browser(monkeypatch)
    view = CanvasView(PICTURE, MarkState(SIZE))
    errors = errors_of(view)
    browser.failing = OSError("gone")
    drag(view.widget, (100, 100))
    assert errors and all("gone" in str(error) for error in errors)
    browser.failing = None
    emit(view.widget, "mouse_move", 300, 300)
    assert view.state.mask.any() and np.array_equal(shown_mask(browser, view), expected_mask(view))


def test_events_and_drawings_from_many_threads(view: CanvasView, browser: Browser) -> None:
    errors = errors_of(view)

    def paint(row: int) -> None:
        for step in range(6):
            drag(view.widget, (100 * step, row), (100 * step + 5, row))
            view.redraw()

    def progress() -> None:
        for step in range(15):
            view.show_ghosts([(Image.new("RGBA", (4, 4)), step, step, 1)])
        view.show_ghosts([])

    threads = [threading.Thread(target=paint, args=(100 * row + 50,)) for row in range(4)] + [threading.Thread(target=progress)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not errors
    view.redraw()
    assert np.array_equal(shown_mask(browser, view), expected_mask(view))


def test_the_pointer_is_told_in_picture_pixels_while_it_is_pressed(view: CanvasView) -> None:
    events: list[tuple[str, float, float]] = []
    view.on_pointer(lambda *event: events.append(event))
    view.set_tool("drag")
    emit(view.widget, "mouse_move", 10, 10)
    drag(view.widget, (100, 200), (150, 200))
    emit(view.widget, "mouse_up", 10, 10)
    emit(view.widget, "mouse_out", 10, 10)
    drag(view.widget, (100, 200), release=False)
    emit(view.widget, "mouse_out", -10, 200)
    assert events == [("down", 10, 20), ("move", 15, 20), ("up", 15, 20), ("down", 10, 20), ("up", -1, 20)]


def test_a_ghost_follows_and_is_sent_once(view: CanvasView, browser: Browser) -> None:
    cutout = Image.new("RGBA", (12, 6), (255, 0, 0, 128))
    view.show_ghosts([(cutout, 10, 20, 1)])
    (drawn,) = [command for command in browser.commands if command.name == "drawImage"]
    assert drawn.layer == layer_id(view.widget, 2) and drawn.args[1:] == [100, 200, 120, 60]
    sent = view._layers._cutouts[0]._whole.value
    view.show_ghosts([(cutout, 11.5, 20, 1)])
    assert browser.commands[-2].args[1:] == [115, 200, 120, 60] and view._layers._cutouts[0]._whole.value is sent
    browser.messages.clear()
    view.show_ghosts([])
    assert "drawImage" not in browser.names


def test_a_large_picture_is_reduced_until_one_zooms_in(browser: Browser) -> None:
    large = Image.effect_noise((1600, 1000), 60).convert("RGB")
    view = CanvasView(large, MarkState(large.size))
    assert view.viewport.canvas_size == (640, 400)
    reduced = np.asarray(Image.open(io.BytesIO(view._layers._picture._reduced.value)))
    assert np.array_equal(reduced, np.asarray(large.resize((640, 400), Image.Resampling.LANCZOS)))
    assert view._layers._picture._whole.value == b""
    view.set_zoom(1)
    assert Image.open(io.BytesIO(view._layers._picture._whole.value)).size == (1600, 1000)
    assert [command.args[1:] for command in browser.commands if command.name == "drawImage"] == [[0, 0, 640, 400], [-480, -300, 1600, 1000]]
    drag(view.widget, (20, 30))
    assert view.state.mask[330, 500]


def test_another_picture_keeps_the_marks(view: CanvasView, browser: Browser) -> None:
    drag(view.widget, (100, 100), (200, 100))
    mask = view.state.mask
    view.set_zoom(2)
    view.set_image(Image.new("RGB", SIZE, "green"))
    assert view.state.mask is mask and view.viewport.zoom == 2
    assert np.asarray(Image.open(io.BytesIO(view._layers._picture._whole.value)))[0, 0].tolist() == [0, 128, 0]
    key(view.widget, "z", ctrl=True)
    assert not view.state.mask.any()


def test_a_picture_of_another_size_needs_marks_of_its_own(view: CanvasView, browser: Browser) -> None:
    other = Image.new("RGB", (30, 60))
    with pytest.raises(ImageError, match="30x60 but its marks are for 64x48"):
        view.set_image(other)
    assert (view.widget.width, view.widget.height) == (640, 480)
    state = MarkState((30, 60))
    view.set_image(other, state)
    assert view.state is state and (view.widget.width, view.widget[1].height, view.widget.layout.height) == (300, 600, "600px")
    drag(view.widget, (150, 300))
    assert state.mask[30, 15]
    assert np.array_equal(shown_mask(browser, view), expected_mask(view))


def test_changes_made_elsewhere_are_shown_by_redraw_or_apply(view: CanvasView, browser: Browser) -> None:
    dirty = view.state.paint(((5, 6, 15, 16), np.ones((10, 10), bool)), True)
    view.redraw(dirty)
    assert np.array_equal(shown_mask(browser, view), expected_mask(view))
    assert "drawImage" not in browser.names  # the picture was not drawn again
    changes: list[int] = []
    view.on_change(lambda: changes.append(1))
    view.apply(MarkState.undo)
    view.apply(MarkState.undo)
    assert changes == [1] and not shown_mask(browser, view).any()


def test_what_makes_no_sense_is_refused(view: CanvasView) -> None:
    with pytest.raises(EditError, match=r"there is no tool 'axe'"):
        view.set_tool("axe")
    with pytest.raises(EditError, match="the opacity is 2"):
        view.opacity = 2
    with pytest.raises(EditError, match="zoom is 0"):
        view.set_zoom(0)
    assert view.opacity == 0.45 and view.viewport.zoom == "fit"


@pytest.mark.parametrize("zoom", ["fit", 2])
def test_the_reach_is_as_large_on_every_zoom_and_larger_for_a_finger(view: CanvasView, zoom: Any) -> None:
    view.set_tool(DragArrows(single=True))
    view.set_zoom(zoom)
    end, elsewhere = on_canvas(view, (30, 20), (30, 30))
    for distance, by_mouse, starts in ((7, True, (20, 20)), (9, True, None), (20, False, (20, 20)), (30, False, None)):
        view.state.change(drags=[((20, 20), (30, 20))])
        way = [(end[0] + distance, end[1]), elsewhere]
        if by_mouse:
            drag(view.widget, *way)
        else:
            for kind, *places in (("start", way[0]), ("move", way[1]), ("end",)):
                touch(view.widget, kind, *places)
        ((start, _),) = view.state.drags
        assert (start == starts) == (starts is not None), (distance, by_mouse)


def test_two_canvases_do_not_draw_on_each_other(view: CanvasView, browser: Browser) -> None:
    other = CanvasView(PICTURE, MarkState(SIZE))
    drag(view.widget, (100, 100), (200, 100))
    drag(other.widget, (300, 300), (400, 300))
    drag(view.widget, (100, 200), (200, 200))
    for one in (view, other):
        assert np.array_equal(shown_mask(browser, one), expected_mask(one))


@pytest.mark.processes
@pytest.mark.parametrize("name", ["ipycanvas", "ipywidgets"])
def test_without_ipycanvas_one_clear_sentence(name: str) -> None:
    code = f"import sys; sys.modules[{name!r}] = None\nimport dragonkit.jupyter"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    last = run.stderr.strip().splitlines()[-1]
    assert last == (
        f"ImportError: the notebook editor needs {name}, which is not installed: "
        "run pip install 'dragonkit[jupyter]' and restart the kernel"
    )


def test_tab_leaves_the_canvas_which_swallows_keys(view: CanvasView, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []
    monkeypatch.setattr(type(view.widget), "send", lambda widget, content, buffers=None: sent.append(content))
    key(view.widget, "Tab", shift=True)
    key(view.widget, "a")
    assert sent == [{"do": "blur"}]


def test_handles_are_hidden_with_their_arrows(view: CanvasView, browser: Browser) -> None:
    view.set_tool(DragArrows(single=True))
    drag(view.widget, *on_canvas(view, (10, 10), (30, 20)))
    for marked in (True, False):
        browser.messages.clear()
        view.marked = marked
        view.redraw()
        assert ("fillCircle" in browser.names) == marked
        drag(view.widget, *on_canvas(view, (40, 10), (50, 20)), release=False)
        assert "fillCircle" in browser.names, "what is under way is shown"
        key(view.widget, "Escape")


def test_marks_can_be_hidden_and_come_back(view: CanvasView, browser: Browser) -> None:
    drag(view.widget, *on_canvas(view, (10, 10), (30, 20)))
    with_marks = shown_mask(browser, view)
    assert with_marks.any()
    view.marked = False
    assert not shown_mask(browser, view).any()  # not even the outline
    view.marked = True
    assert np.array_equal(shown_mask(browser, view), with_marks)
    assert view.state.mask.any()


def test_on_a_fine_screen_the_canvas_has_more_pixels_and_positions_stay(view: CanvasView, browser: Browser) -> None:
    view.state.set_mask(np.eye(48, 64, dtype=bool))
    browser.messages.clear()
    view.front._told(view.front, {"action": "screen", "ratio": 1.5}, [])
    assert (view.widget.width, view.widget.height) == (1280, 960) and view.widget.layout.width == "640px"
    assert view.viewport.canvas_size == (640, 480)
    (drawn,) = [command for command in browser.commands if command.name == "drawImage"]
    assert drawn.args[1:] == [0, 0, 640, 480] and browser.names.count("scale") == 2, "what is drawn is as large as before"
    overlay = mask_overlay(view.state.mask, view.viewport.on_screen, (0, 0, 1280, 960), view.opacity, view._color)
    shown = browser.layers[layer_id(view.widget, 1)][:960, :1280]
    assert np.array_equal(shown, overlay * (overlay[..., 3:] > 0)), "but the mask has every pixel"
    events = []
    view.on_pointer(lambda *event: events.append(event))
    drag(view.widget, (200, 400), (300, 400))
    touch(view.widget, "start", (200, 400))
    touch(view.widget, "end")
    assert events[:2] == [("down", 10, 20), ("move", 15, 20)] and ("down", 10, 20) in events[2:]
    browser.messages.clear()
    view.front._told(view.front, {"action": "screen", "ratio": 1}, [])
    assert view.widget.width == 640 and "scale" not in browser.names


def test_a_large_picture_is_as_fine_as_the_screen(browser: Browser) -> None:
    large = Image.effect_noise((1600, 1000), 60).convert("RGB")
    view = CanvasView(large, MarkState(large.size))
    view.set_fine(2)
    reduced = Image.open(io.BytesIO(view._layers._picture._reduced.value))
    (*_, drawn) = [command for command in browser.commands if command.name == "drawImage"]
    assert reduced.size == (1280, 800) and drawn.args[1:] == [0, 0, 640, 400]
    other = Image.effect_noise((800, 600), 60).convert("RGB")
    view.set_image(other, MarkState(other.size))
    assert view.viewport.fine == 2 and view.widget.width == 1280
