"""Pictures and edits come into the editor by a button, by dropping and by pasting, in a real JupyterLab; nothing that was there is lost."""

from __future__ import annotations

import io
from base64 import b64encode
from pathlib import Path

import numpy as np
import pytest
from helpers.boat import SCENE, box_the_boat, drag_the_boat, mask_of, result_of, run_to_the_end, until, until_shown, wait_for
from helpers.notebook_page import NotebookPage
from PIL import Image

import dragonkit as dk

pytestmark = pytest.mark.e2e

OTHER = dk.toybox.scene(seed=11, size=64)
_FILE = "const bytes = Uint8Array.from(atob(text), c => c.charCodeAt(0)); const file = new File([bytes], name, {type});"
_DROP = f"""(node, [name, type, text]) => {{ {_FILE}
    const dataTransfer = new DataTransfer(); dataTransfer.items.add(file);
    const seen = [];
    for (const kind of ['dragenter', 'dragover', 'drop']) {{
        node.dispatchEvent(new DragEvent(kind, {{bubbles: true, cancelable: true, dataTransfer}}));
        seen.push(node.closest('.dk-editor, .dk-second').classList.contains('dk-dropping'));
    }}
    return seen;
}}"""
_COPY = f"""async ([name, type, text]) => {{ {_FILE} await navigator.clipboard.write([new ClipboardItem({{[type]: file}})]); }}"""


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def text(content: bytes) -> str:
    return b64encode(content).decode()


def test_a_file_is_chosen_and_undo_goes_back(lab: NotebookPage, tmp_path: Path) -> None:
    boxed = box_the_boat(lab)
    rng = np.random.default_rng(0)
    photo = Image.fromarray(rng.integers(0, 256, (700, 900, 3), dtype=np.uint8))  # noise: nearly two megabytes, so two pieces
    photo.save(tmp_path / "noise.png")
    assert (tmp_path / "noise.png").stat().st_size > 1.5e6
    with lab.page.expect_file_chooser() as chooser:
        lab.press("Open")
    chooser.value.set_files(tmp_path / "noise.png")
    wait_for(lab, "status", "opened 'noise.png', 900x700")
    until(lab, "editor.view.viewport.canvas_size == (640, 498)")
    assert not lab.python("editor.mask.any().item()")
    shown = lab.pixels()
    assert shown.shape == (498, 640, 3) and shown.std() > 5
    lab.look("opened")
    lab.canvas.focus()
    lab.page.keyboard.press("Control+z")
    until(lab, "editor.marks.size == (64, 64)")
    assert np.array_equal(mask_of(lab), boxed)
    lab.page.keyboard.press("Control+z")
    until_shown(lab, np.asarray(SCENE.image))


def test_a_picture_is_dropped_and_another_pasted(lab: NotebookPage) -> None:
    seen = lab.canvas.evaluate(_DROP, ["other.png", "image/png", text(png(OTHER.image))])
    assert seen == [False, True, False], "the editor shows where it can be dropped"
    until_shown(lab, np.asarray(OTHER.image))
    lab.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    lab.canvas.focus()
    flipped = OTHER.image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    lab.page.evaluate(_COPY, ["", "image/png", text(png(flipped))])
    lab.page.keyboard.press("Control+v")
    until_shown(lab, np.asarray(flipped))
    assert lab.page.locator(".jp-Notebook .jp-Cell").count() == 1, "the notebook has pasted nothing"
    lab.editor.get_by_role("textbox", name="prompt").click()
    lab.page.evaluate("navigator.clipboard.writeText('a lighthouse')")
    lab.page.keyboard.press("Control+v")
    lab.page.keyboard.press("Enter")
    until(lab, "editor._session.prompt == 'a lighthouse'")
    lab.canvas.evaluate(_DROP, ["notes.txt", "text/plain", text(b"hello")])
    wait_for(lab, "error", "is not in a format that can be read")
    until_shown(lab, np.asarray(flipped))


def test_a_second_picture_is_dropped_where_it_belongs_and_pasted_there(lab: NotebookPage) -> None:
    lab.do("editor.mode = 'appearance'")
    second = lab.editor.locator(".dk-second")
    door = second.get_by_role("button", name="choose a picture")
    assert door.evaluate(_DROP, ["other.png", "image/png", text(png(OTHER.image))]) == [False, True, False]
    until(lab, "editor.form.values().get('reference') is not None")
    second.locator("canvas").first.wait_for()
    lab.look("second picture")
    lab.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    lab.page.evaluate(_COPY, ["", "image/png", text(png(OTHER.image.crop((0, 0, 40, 64))))])
    door.focus()
    lab.page.keyboard.press("Control+v")
    until(lab, "editor.form.values()['reference'].size == (40, 64)")
    assert lab.python("editor.marks.size") == [64, 64], "the picture that is edited stays"
    until_shown(lab, np.asarray(SCENE.image))


def test_a_result_that_was_downloaded_is_dropped_and_the_edit_goes_on(lab: NotebookPage) -> None:
    box_the_boat(lab)
    drag_the_boat(lab)
    run_to_the_end(lab)
    mask, result = mask_of(lab), result_of(lab)
    with lab.page.expect_download() as waiting:
        lab.press("Download PNG")
    content = Path(waiting.value.path()).read_bytes()
    lab.do("editor.close()\nother = dk.toybox.scene(seed=11, size=64)")
    lab.page.locator(".dk-editor canvas").wait_for(state="detached")
    lab.run_cells()
    lab.until_open()
    lab.do("editor.open_picture(dk.toybox.scene(seed=11, size=64).image)")
    until_shown(lab, np.asarray(OTHER.image))
    lab.canvas.evaluate(_DROP, ["edited.png", "image/png", text(content)])
    until(lab, "len(editor.marks.drags) == 1")  # the picture is among those that undo leads to
    assert np.array_equal(mask_of(lab), mask) and lab.python("editor.form.values()['shift']") == [-16, 17]
    lab.look("reopened")
    until_shown(lab, result, marks=0.03)
    run_to_the_end(lab)
    assert np.array_equal(result_of(lab), result)


def test_the_switch_says_what_is_gone_on_from(lab: NotebookPage) -> None:
    assert lab.button("result").is_disabled()
    box_the_boat(lab)
    drag_the_boat(lab)
    run_to_the_end(lab)
    result = result_of(lab)
    lab.look("switch")
    lab.press("result")
    until(lab, "editor.marks.drags == []")
    lab.do("editor.marks.clear()\neditor.view.redraw()")
    until_shown(lab, result)
    lab.press("source")
    until(lab, "len(editor.marks.drags) == 1")
    lab.canvas.focus()
    lab.page.keyboard.press("Control+z")
    until(lab, "editor.marks.drags == [] and editor._pictures.base.value == 'result'")
