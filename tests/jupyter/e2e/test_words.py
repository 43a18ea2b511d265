"""What the editor says and hands over, in a real JupyterLab: sentences at fields, messages, the clipboard, downloads, before and after."""

from __future__ import annotations

import json

import numpy as np
import pytest
from helpers.boat import (
    SCENE,
    box_the_boat,
    drag_the_boat,
    mask_of,
    result_of,
    run_to_the_end,
    to_window,
    until,
    until_inverted,
    until_shown,
    wait_for,
)
from helpers.notebook_page import NotebookPage
from PIL import Image

pytestmark = pytest.mark.e2e

_UNTITLED = """editor => [...editor.querySelectorAll('input, select, textarea, button, .noUi-handle')]
    .filter(node => node.getClientRects().length && node.dispatchEvent(new MouseEvent('mouseover', {bubbles: true})))
    .filter(node => !node.closest('[title]:not([title=""])')).map(node => node.parentElement.outerHTML)"""


def test_every_field_explains_itself_and_no_mode_greets_with_an_error(lab: NotebookPage) -> None:
    lab.do("editor.mask = scene.objects[0].mask")
    lab.press("pick")
    for mode in lab.python("list(editor._easel.modes._choice.options)"):
        lab.do(f"editor.mode = {mode!r}")
        lab.editor.locator(".widget-dropdown", has_text="mode").locator(f"option:checked[value={mode!r}]").first.wait_for(state="attached")
        assert lab.editor.evaluate(_UNTITLED) == [], mode
        assert lab.editor.locator("[role=alert]:visible").count() == 0, mode
    lab.do("editor.mode = 'resize'")
    wait_for(lab, "hint", "set scale")
    until_inverted(lab)
    lab.press("Run")
    wait_for(lab, "error", "nothing would change")
    lab.look("refused")
    lab.do("editor.form.update({'scale': 1.5})")
    lab.page.wait_for_function("!document.querySelector('.dk-editor [role=alert]')")


def test_the_script_is_copied_and_files_are_handed_over(lab: NotebookPage) -> None:
    lab.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    lab.do("editor.mask = scene.objects[0].mask\neditor.form.update({'shift': (-9, 4)})")
    until_inverted(lab)
    lab.press("Copy as Python")
    wait_for(lab, "status", "on the clipboard")
    assert lab.page.evaluate("navigator.clipboard.readText()") == lab.python("editor.script()")
    assert lab.editor.locator("textarea").is_visible()
    lab.do("editor.form.update({'shift': (-9, 5)})")
    lab.editor.locator("textarea").wait_for(state="hidden")
    with lab.page.expect_download() as waiting:
        lab.press("Download edit file")
    with open(waiting.value.path()) as file:
        assert json.load(file)["edits"][0]["shift"] == [-9, 5]
    assert waiting.value.suggested_filename == "edit.json"


def test_before_and_after_are_parted_by_a_line_and_who_goes_on_has_the_object_selected(lab: NotebookPage) -> None:
    box_the_boat(lab)
    drag_the_boat(lab)
    boxed = mask_of(lab)
    run_to_the_end(lab)
    result, source = result_of(lab), np.asarray(SCENE.image)
    until_shown(lab, result, marks=0.03)
    lab.canvas.focus()
    edge, middle = to_window(lab, (0.2, 20), (32, 20))
    lab.do("pushed = []\neditor.view.on_slide(pushed.append)")
    lab.page.mouse.move(*edge)
    lab.page.mouse.down()
    for share in (0.3, 0.6, 1.0):
        lab.page.mouse.move(edge[0] + share * (middle[0] - edge[0]), edge[1])
    both = np.where(np.arange(64)[None, :, None] < 32, source, result)
    curtain = lab.page.locator("canvas.dk-curtain")
    seen = np.asarray(curtain.evaluate("sheet => [...sheet.getContext('2d').getImageData(0, 0, sheet.width, sheet.height).data]"))
    seen = seen.reshape(both.shape[0] * 10, both.shape[1] * 10, 4)[5::10, 5::10, :3]
    assert (seen != both).any(-1).mean() < 0.06, "the browser shows both by itself, but for the line"
    assert lab.python("pushed") == [], "and Python hears nothing"
    lab.page.mouse.up()
    until(lab, "abs(editor._easel.stage.after.value - 0.5) < 0.01")
    assert lab.python("len(pushed)") == 1
    curtain.wait_for(state="detached")
    until_shown(lab, both, marks=0.03)
    lab.look("before-and-after")
    assert lab.python("len(editor.marks.drags)") == 1
    lab.press("continue from here")
    until(lab, "editor.marks.drags == []")
    assert np.array_equal(mask_of(lab), np.roll(boxed, (17, -16), (0, 1))), "the object is selected where it is now"
    assert lab.python("editor.form.values()['shift']") == [0, 0]
    lab.look("going-on")
    with lab.page.expect_download() as waiting:
        lab.press("Download PNG")
    with Image.open(waiting.value.path()) as saved:
        assert np.array_equal(np.asarray(saved.convert("RGB")), result)
