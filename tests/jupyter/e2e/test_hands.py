"""What a hand or a screen reader finds in a real JupyterLab: names, the keyboard, arrows that are corrected."""

from __future__ import annotations

import re

import numpy as np
import pytest
from helpers.boat import box_the_boat, to_picture, to_window, until
from helpers.notebook_page import NotebookPage

pytestmark = pytest.mark.e2e

TOOLS = ["brush", "eraser", "lasso", "polygon", "box", "drag", "pick"]
BUTTONS = [
    *TOOLS,
    "undo",
    "redo",
    "clear",
    "invert",
    "fit",
    "100 %",
    "200 %",
    "Run",
    "Cancel",
    "Export edit file",
    "Copy as Python",
    "Save PNG",
    "Download PNG",
    "Download edit file",
]
_ICON = "button => { const i = button.querySelector('i'); return i ? getComputedStyle(i, '::before').content : 'none' }"
_OUTLINE = "() => { const s = getComputedStyle(document.activeElement); return s.outlineStyle === 'none' ? 0 : parseFloat(s.outlineWidth) }"
_FOCUSED = "() => document.activeElement.textContent.trim()"


def test_every_button_has_a_name_a_sentence_and_an_icon(lab: NotebookPage) -> None:
    for name in BUTTONS:
        button = lab.editor.get_by_role("button", name=re.compile(rf"^\W*{name}\W*$"))
        assert button.count() == 1, name
        assert len(button.get_attribute("title")) > len(name), name
        assert button.evaluate(_ICON) not in ("none", "normal", '""'), f"{name} has no icon"
    lab.page.set_viewport_size({"width": 420, "height": 1500})
    corner = lab.corner()
    for name in TOOLS:
        lab.editor.get_by_role("button", name=re.compile(rf"^\W*{name}\W*$")).click()
        lab.editor.get_by_role("status").filter(has_text=re.compile(f"^{name}: ")).wait_for()
        assert lab.corner() == corner, "the picture stays under the hand"
    for role, name in (("textbox", "prompt"), ("combobox", "mode"), ("spinbutton", "x"), ("spinbutton", "y")):
        assert lab.editor.get_by_role(role, name=name, exact=True).count() == 1, name


def test_the_keyboard_reaches_everything_and_shows_where_it_is(lab: NotebookPage) -> None:
    lab.button(TOOLS[0]).focus()
    lab.page.keyboard.press("Shift+Tab")  # whatever stands before the editor
    for name in TOOLS:
        lab.page.keyboard.press("Tab")
        assert lab.page.evaluate(_FOCUSED) == name
        assert lab.page.evaluate(_OUTLINE) >= 2
        lab.page.keyboard.press("Space")
        until(lab, f"editor.view.tool.name == {name!r}")
    reached = set()
    lab.canvas.focus()
    for _ in range(30):
        lab.page.keyboard.press("Tab")
        if lab.page.evaluate("document.activeElement.tagName") == "CANVAS":
            lab.page.wait_for_function("document.activeElement.tagName !== 'CANVAS'")  # it is Python that lets go
        reached.add(lab.page.evaluate(_FOCUSED))
    assert {"Run", "Export edit file", "Copy as Python", "Save PNG", "take the painted mask"} <= reached
    assert not lab.python("editor.mask.any().item()")


def test_arrows_begin_where_others_end_and_are_corrected_when_chosen(lab: NotebookPage) -> None:
    box_the_boat(lab)
    lab.do("editor.mode = 'drag'")
    lab.press("drag")
    a, b, c, d, e = to_window(lab, (30, 20), (45, 20), (45, 40), (20, 50), (40, 10))
    picture = dict(zip("abcde", to_picture(lab, a, b, c, d, e), strict=True))

    def arrows(*names: str) -> list[list[tuple[float, float]]]:
        return [[picture[end] for end in name] for name in names]

    lab.drag(a, b)
    lab.drag(b, c)
    until(lab, "len(editor.marks.drags) == 2")
    assert np.allclose(lab.python("editor.marks.drags"), arrows("ab", "bc"), atol=0.1)
    lab.page.mouse.click(*b)
    until(lab, "len(editor.view.tool.preview(editor.marks)) == 2")  # its handles
    lab.look("chosen")
    lab.drag(b, e)
    lab.drag(a, d)
    until(lab, f"abs(editor.marks.drags[0][0][1] - {picture['d'][1]}) < 0.1")
    assert np.allclose(lab.python("editor.marks.drags"), arrows("de", "bc"), atol=0.1)
    lab.look("corrected")
    lab.page.keyboard.press("Delete")
    until(lab, "len(editor.marks.drags) == 1")
    assert np.allclose(lab.python("editor.marks.drags"), arrows("bc"), atol=0.1)
