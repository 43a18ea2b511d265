"""What a finger or a narrow eye needs, in a real JupyterLab: large targets, the pointer's shape, handles within reach, thumbnails."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.boat import SCENE, box_the_boat, drag_the_boat, result_of, run_to_the_end, to_window, until, until_shown
from helpers.notebook_page import NotebookPage

pytestmark = pytest.mark.e2e

_CURSOR = "canvas => getComputedStyle(canvas).cursor"
_SMALL = """editor => [...editor.querySelectorAll('button, select, input')].filter(node => node.getClientRects().length)
    .filter(node => { const r = node.getBoundingClientRect(); return r.height < 40 || r.width < 40; })
    .map(node => `${node.tagName} ${node.type} ${node.textContent}`)"""
_HANDLES = """editor => [...editor.querySelectorAll('.noUi-handle')].filter(node => node.getClientRects().length)
    .map(node => { const r = node.getBoundingClientRect(), x = r.left + r.width / 2, y = r.top + r.height / 2;
        return [[0, -19], [0, 19]].every(([dx, dy]) => document.elementFromPoint(x + dx, y + dy)?.closest('.noUi-handle') === node); })"""


def test_targets_are_large_enough_for_fingers(lab: NotebookPage) -> None:
    session = lab.page.context.new_cdp_session(lab.page)
    session.send("Emulation.setTouchEmulationEnabled", {"enabled": True})
    try:
        assert lab.page.evaluate("matchMedia('(pointer: coarse)').matches")
        for mode in ("move", "appearance"):
            lab.do(f"editor.mode = {mode!r}")
            lab.editor.locator(f"option:checked[value={mode!r}]").first.wait_for(state="attached")
            assert lab.editor.evaluate(_SMALL) == [], mode
        handles = lab.editor.evaluate(_HANDLES)
        assert handles and all(handles)
        lab.look("fingers")
    finally:
        session.send("Emulation.setTouchEmulationEnabled", {"enabled": False})


def test_the_pointer_shows_what_a_press_would_do(lab: NotebookPage) -> None:
    for tool, cursor in (("brush", "crosshair"), ("eraser", "cell"), ("pick", "pointer")):
        lab.press(tool)
        until(lab, f"editor.view.front.cursor == {cursor!r}")
        lab.page.wait_for_function(f"canvas => ({_CURSOR})(canvas) === {cursor!r}", arg=lab.canvas.element_handle())
    lab.do("editor.mask = scene.objects[0].mask")
    middle = tuple(float(np.median(places)) + 0.5 for places in np.nonzero(SCENE.objects[0].mask)[::-1])
    corner, knob = lab.python("[list(editor.view.tool.frame(editor.marks).handles[2]), list(editor.view.tool.frame(editor.marks).knob)]")
    for point, cursor in ((middle, "move"), (corner, "nwse-resize"), (knob, "grab")):
        lab.page.mouse.move(*to_window(lab, point)[0], steps=3)
        lab.page.wait_for_function(f"canvas => ({_CURSOR})(canvas) === {cursor!r}", arg=lab.canvas.element_handle())
    lab.page.keyboard.down(" ")
    lab.page.wait_for_function(f"canvas => ({_CURSOR})(canvas) === 'grab'", arg=lab.canvas.element_handle())
    lab.page.keyboard.up(" ")


def test_a_knob_and_corners_that_fall_off_the_canvas_are_within_reach(lab: NotebookPage) -> None:
    lab.do("editor.mask = scene.objects[0].mask")
    lab.press("pick")
    rows = np.nonzero(SCENE.objects[0].mask)[0]
    lab.do(f"editor.form.update({{'shift': (0, {-int(rows.min()) - 4})}})")  # partly above the picture
    until(lab, "editor.view.tool.frame(editor.marks).corners[0][1] < 0")
    handles = lab.python("[list(point) for point in editor.view.tool.frame(editor.marks).handles]")
    start = to_window(lab, tuple(handles[0]))[0]
    center = lab.python("list(editor.view.tool.frame(editor.marks).center)")
    end = to_window(lab, tuple(np.add(handles[0], np.subtract(center, handles[0]) * 0.3)))[0]
    lab.look("clamped")
    lab.drag(start, end)
    until(lab, "0.6 < editor.form.values()['scale'] < 0.8")


def test_a_thumbnail_is_clicked_to_compare(lab: NotebookPage) -> None:
    box_the_boat(lab)
    drag_the_boat(lab)
    run_to_the_end(lab)
    first = result_of(lab)
    lab.press("undo")
    until_shown(lab, np.asarray(SCENE.image), marks=0.3)
    lab.editor.get_by_role("button", name="run 1: move").click()
    until_shown(lab, first, marks=0.03)
    assert lab.python("editor.marks.drags") == [], "what is marked stays as it is"
    lab.look("compared")
