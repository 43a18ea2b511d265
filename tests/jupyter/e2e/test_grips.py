"""The object itself in the hand, in a real JupyterLab: it lights up, is taken, pulled at its corners and turned at its knob."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.boat import SCENE, mask_of, to_picture, to_window, until
from helpers.notebook_page import NotebookPage

pytestmark = pytest.mark.e2e

BOAT = SCENE.objects[0].mask
MIDDLE = tuple(float(np.median(places)) + 0.5 for places in np.nonzero(BOAT)[::-1])


def corners_of(lab: NotebookPage) -> np.ndarray:
    return np.array(lab.python("editor.view.tools['pick'].frame(editor.marks).corners"))


def test_what_a_click_would_select_lights_up_and_is_what_it_selects(lab: NotebookPage) -> None:
    lab.press("pick")
    before = lab.pixels()
    (point,) = to_window(lab, MIDDLE)
    lab.page.mouse.move(*point)
    until(lab, "editor.view._highlit is not None")
    lit = np.array(lab.python("editor.view._highlit.tolist()"))
    lab.page.wait_for_timeout(200)
    changed = (lab.pixels() != before).any(axis=2)
    assert changed[lit.repeat(10, axis=0).repeat(10, axis=1)].mean() > 0.95 and (lit & BOAT).sum() > 0.8 * BOAT.sum()
    lab.look("lit")
    assert not lab.python("editor.mask.any().item()"), "nothing is selected by looking"
    lab.page.mouse.down()
    lab.page.mouse.up()
    until(lab, "bool(editor.mask.any())")
    assert np.array_equal(mask_of(lab), lit)
    assert lab.python("editor.view._highlit is None")


def test_corners_scale_the_middle_moves_and_fields_move_the_handles(lab: NotebookPage) -> None:
    lab.do("editor.mask = scene.objects[0].mask")
    lab.press("pick")
    corners, center = corners_of(lab), np.array(lab.python("editor.view.tool.frame(editor.marks).center"))
    start, end = to_window(lab, tuple(corners[2]), tuple(center + 1.4 * (corners[2] - center)))
    lab.drag(start, end)
    until(lab, "editor.form.values().get('scale', 1) > 1.3 and not editor.view.tool.busy")
    assert lab.python("[editor.mode, editor.form.values()['scale']]") == ["move", pytest.approx(1.4, abs=0.03)]
    lab.do("assert editor._easel.stage.wait(10)")
    lab.look("scaled")
    start, end = to_window(lab, tuple(center), tuple(center - (8, 6)))
    lab.drag(start, end)
    until(lab, "len(editor.marks.drags) == 1")
    shift, scale = lab.python("[editor.form.values()['shift'], editor.form.values()['scale']]")
    assert shift == pytest.approx([-8, -6], abs=0.2) and scale == pytest.approx(1.4, abs=0.03)
    again = to_window(lab, tuple(center - (8, 6)), tuple(center - (12, 2)))
    lab.drag(*again)  # taken where it now is
    until(lab, "editor.form.values()['shift'][0] < -11")
    assert lab.python("editor.form.values()['shift']") == pytest.approx([-12, -2], abs=0.3)
    lab.do("assert editor._easel.stage.wait(10)")
    lab.look("scaled-and-moved")
    for expected in ([-8, -6], [0, 0]):
        lab.canvas.focus()
        lab.page.keyboard.press("Control+z")
        until(lab, f"abs(editor.form.values()['shift'][0] - {expected[0]}) < 0.3")
    until(lab, "editor.form.values()['scale'] > 1.3")
    lab.page.keyboard.press("Control+z")
    until(lab, "editor.form.values()['scale'] == 1")
    before = corners_of(lab)
    lab.do("editor.form.update({'scale': 0.5})")
    assert np.ptp(corners_of(lab), axis=0) == pytest.approx(0.5 * np.ptp(before, axis=0)), "the fields move the handles"


def test_the_knob_turns(lab: NotebookPage) -> None:
    lab.do("editor.mask = scene.objects[0].mask")
    lab.press("pick")
    knob, center = (np.array(lab.python(f"editor.view.tool.frame(editor.marks).{name}")) for name in ("knob", "center"))
    arm = knob - center
    start, end = to_window(lab, tuple(knob), tuple(center + np.array([-arm[1], arm[0]])))  # a quarter, clockwise
    lab.drag(start, end)
    until(lab, "editor.mode == 'rotate' and not editor.view.tool.busy")
    assert lab.python("editor.form.values()['degrees']") == pytest.approx(90, abs=3)
    (knob_at,) = to_picture(lab, end)
    x, y = (round(10 * place) for place in lab.python("editor.view.tool.frame(editor.marks).knob"))
    lab.page.wait_for_function(  # it is drawn
        "([x, y]) => document.querySelector('.dk-editor canvas').getContext('2d').getImageData(x, y, 1, 1).data.join() === '230,159,0,255'",
        arg=[x, y],
    )
    lab.look("turned")
    assert lab.python("editor.view.tool.frame(editor.marks).knob") == pytest.approx(knob_at, abs=1.5)
    assert lab.text("error").inner_text().strip() == ""
