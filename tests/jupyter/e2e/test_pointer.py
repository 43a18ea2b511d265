"""What a mouse and a keyboard do to an editor in a real JupyterLab, and what they must not do to the notebook round it."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from helpers.boat import (
    SCENE,
    box_the_boat,
    drag_the_boat,
    mask_of,
    painted,
    result_of,
    to_picture,
    to_window,
    until,
    until_inverted,
    until_shown,
    wait_for,
)
from helpers.notebook_page import LONG, NotebookPage

pytestmark = pytest.mark.e2e

_CELLS = "() => [...document.querySelectorAll('.jp-Notebook .jp-Cell')].map(cell => cell.className.match(/jp-(Code|Raw|Markdown)Cell/)[1])"
_SCROLLED = "() => [...document.querySelectorAll('.jp-Notebook *, .jp-Notebook')].reduce((sum, node) => sum + node.scrollTop, 0)"


def test_keys_after_a_click_on_any_button_are_the_editors(lab: NotebookPage) -> None:
    cells = lab.page.evaluate(_CELLS)
    for words in ("lasso", "undo", "fit", "clear", "invert", "Cancel"):
        lab.editor.get_by_role("button", name=words).first.click(force=True)
        for key in ("r", "d", "d", "b", "a", "m", "x"):
            lab.page.keyboard.press(key)
        until(lab, "editor.view.tool.name == 'brush'")  # b was pressed last of those that take a tool
    lab.editor.locator(".dk-help").click()  # a place that nothing can be done with
    lab.page.keyboard.press("r")
    until(lab, "editor.view.tool.name == 'box'")
    assert lab.page.evaluate(_CELLS) == cells and lab.canvas.is_visible()
    lab.editor.get_by_role("textbox", name="prompt").click()
    lab.page.keyboard.press("End")
    lab.page.keyboard.type(" dr")
    assert lab.editor.get_by_role("textbox", name="prompt").input_value().endswith(" dr"), "who types a text goes on typing it"


def test_the_wheel_scrolls_the_page_and_with_ctrl_the_picture_grows(lab: NotebookPage) -> None:
    lab.page.set_viewport_size({"width": 900, "height": 500})
    (point,) = to_window(lab, (20, 30))
    before = to_picture(lab, point)[0]
    lab.page.mouse.move(*point)
    scrolled = lab.page.evaluate(_SCROLLED)
    lab.page.mouse.wheel(0, 120)
    lab.page.wait_for_function(f"({_SCROLLED})() > {scrolled}", timeout=LONG)
    lab.page.mouse.wheel(0, -120)
    lab.page.wait_for_function(f"({_SCROLLED})() <= {scrolled}", timeout=LONG)
    assert lab.python("editor.view.viewport.zoom") == "fit"
    (point,) = to_window(lab, (20, 30))
    lab.page.mouse.move(*point)
    lab.page.keyboard.down("Control")
    lab.page.mouse.wheel(0, -90)
    until(lab, "editor.view.viewport.zoom != 'fit'")
    lab.page.keyboard.up("Control")
    left, top, css = lab.corner()
    at = lab.python(f"editor.view.viewport.to_image({(point[0] - left) / css}, {(point[1] - top) / css})")
    assert at == pytest.approx(before, abs=0.3), "what is under the pointer stays there"
    offset = lab.python("editor.view.viewport.offset")
    lab.page.mouse.wheel(0, 60)
    until(lab, f"list(editor.view.viewport.offset) != {offset}")  # there is more to see, so the wheel pushes the picture
    lab.page.keyboard.down("Control")
    for _ in range(6):
        lab.page.mouse.wheel(0, 100)
    lab.page.keyboard.up("Control")
    until(lab, "editor.view.viewport.zoom == 'fit'")


@pytest.mark.parametrize("button", ["middle", "right"])
def test_other_buttons_edit_nothing(lab: NotebookPage, button: str) -> None:
    lab.do("editor.view.set_zoom(20)")
    offset = lab.python("editor.view.viewport.offset")
    start, end = (300, 300), (240, 260)
    left, top, _ = lab.corner()
    lab.page.mouse.move(left + start[0], top + start[1])
    lab.page.mouse.down(button=button)
    lab.page.mouse.move(left + end[0], top + end[1], steps=5)
    lab.page.mouse.up(button=button)
    if button == "middle":
        until(
            lab,
            f"abs(editor.view.viewport.offset[0] - {offset[0]} - 3) < 0.1 and abs(editor.view.viewport.offset[1] - {offset[1]} - 2) < 0.1",
        )
    lab.page.mouse.move(left + start[0], top + start[1], steps=3)
    assert not lab.python("editor.mask.any().item()") and not lab.python("editor.view.tool.busy")
    lab.page.keyboard.press("Escape")


def test_with_space_the_picture_is_pushed(lab: NotebookPage) -> None:
    lab.do("editor.view.set_zoom(20)")
    offset = lab.python("editor.view.viewport.offset")
    left, top, _ = lab.corner()
    lab.page.mouse.move(left + 300, top + 300)
    lab.canvas.focus()
    lab.page.keyboard.down(" ")
    lab.page.mouse.down()
    lab.page.mouse.move(left + 260, top + 300, steps=4)
    lab.page.mouse.up()
    lab.page.keyboard.up(" ")
    until(lab, f"abs(editor.view.viewport.offset[0] - {offset[0]} - 2) < 0.1")
    assert not lab.python("editor.mask.any().item()")


def test_a_stroke_that_leaves_the_canvas_and_comes_back_is_one_stroke(lab: NotebookPage) -> None:
    way = to_window(lab, (40, 20), (40, -4), (55, -4), (55, 20))
    lab.drag(*way)
    until(lab, "bool(editor.mask.any())")
    drawn, expected = mask_of(lab), painted(to_picture(lab, *way), diameter=4)
    assert (drawn != expected).sum() <= 4, "a pixel or two where the pointer was between two events"
    lab.press("undo")
    until(lab, "not editor.mask.any()")


def test_a_lasso_that_ends_outside_is_kept(lab: NotebookPage) -> None:
    lab.press("lasso")
    lab.drag(*to_window(lab, (40, 20), (55, 20), (55, -3), (40, -3)))
    until(lab, "bool(editor.mask.any())")
    mask = mask_of(lab)
    assert mask[2:18, 43:53].all() and not mask[24:].any()


def test_an_interrupt_of_the_kernel_stops_a_run(lab: NotebookPage) -> None:
    box_the_boat(lab)
    drag_the_boat(lab)
    lab.do("editor._session.settings = dk.Settings(steps=120)\neditor._runs.prepare()")
    until_inverted(lab)
    lab.press("Run")
    wait_for(lab, "progress", "editing: step")
    lab.command("notebook:interrupt-kernel")
    wait_for(lab, "status", "cancelled")
    assert lab.python("[editor.mask.any().item(), len(editor.marks.drags)]") == [True, 1]


def test_after_a_restart_the_editor_says_that_it_is_dead(lab: NotebookPage) -> None:
    _restart(lab.page)
    lab.page.wait_for_function(
        "getComputedStyle(document.querySelector('.dk-editor'), '::before').content.includes('kernel was restarted')", timeout=LONG
    )
    signs = """() => [...document.querySelectorAll('.dk-editor .jupyter-widgets-disconnected')]
        .filter(node => getComputedStyle(node, '::before').display !== 'none').length"""
    assert lab.page.evaluate(signs) == 0, "which is enough: ipywidgets has a broken link for each of its parts"
    lab.look("dead")
    end = time.monotonic() + LONG / 1000
    while lab.page.evaluate("window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.status") != "idle":
        assert time.monotonic() < end
        time.sleep(0.1)
    lab.run_cells()
    lab.until_open()
    until_shown(lab, np.asarray(SCENE.image))


def _restart(page: Any) -> None:
    page.evaluate("window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")


def test_click_the_object_drag_it_run(lab: NotebookPage) -> None:
    """Three actions, and the keyboard sets right what the hand did."""
    lab.press("pick")
    boat = SCENE.objects[0].mask
    rows, columns = np.nonzero(boat)
    middle = (float(np.median(columns)) + 0.5, float(np.median(rows)) + 0.5)
    (point,) = to_window(lab, middle)
    lab.page.mouse.click(*point)
    until(lab, "bool(editor.mask.any())")
    until_inverted(lab)
    assert (mask_of(lab) & boat).sum() > 0.8 * boat.sum()
    start, end = to_window(lab, middle, (middle[0] - 14, middle[1] + 9))
    lab.drag(start, end, release=False)
    lab.look("carried")
    lab.page.mouse.up()
    until(lab, "len(editor.marks.drags) == 1")
    (x, y) = lab.python("editor.form.values()['shift']")
    assert (x, y) == pytest.approx((-14, 9), abs=0.3) and lab.python("editor.mode") == "move"
    lab.press("Run")
    wait_for(lab, "status", "done in")
    lab.look("moved")
    changed = (result_of(lab) != np.asarray(SCENE.image)).any(axis=2)
    assert changed[boat].mean() > 0.5


def test_a_drag_in_the_first_moment_is_an_edit(lab: NotebookPage) -> None:
    """Nothing has been looked up yet, and nothing lit up."""
    boat = SCENE.objects[0].mask
    middle = tuple(float(np.median(places)) + 0.5 for places in np.nonzero(boat)[::-1])
    start, end = to_window(lab, middle, (middle[0] - 14, middle[1] + 9))
    lab.do("editor._easel.tools.take('pick')")
    lab.drag(start, end)
    until(lab, "len(editor.marks.drags) == 1")
    lab.press("Run")
    wait_for(lab, "status", "done in")
    assert lab.python("editor.history[0].edits[0].shift") == pytest.approx([-14, 9], abs=0.3)
    assert (mask_of(lab) & boat).sum() > 0.8 * boat.sum()
    lab.press("undo")
    until(lab, "editor.marks.drags == [] and editor.marks.points == [] and not editor.mask.any()")


def test_in_a_wide_window_picture_and_run_are_on_one_screen(lab: NotebookPage) -> None:
    lab.page.set_viewport_size({"width": 1500, "height": 900})
    canvas, run = lab.canvas.bounding_box(), lab.button("Run").bounding_box()
    assert run["x"] >= canvas["x"] + canvas["width"] and run["y"] + run["height"] <= canvas["y"] + canvas["height"] + 40
    before = lab.corner()
    for tool in ("brush", "pick", "drag"):
        lab.press(tool)
        lab.editor.get_by_role("status").filter(has_text=f"{tool}: ").wait_for()
    lab.look("wide")
    assert lab.corner()[0] == before[0]
