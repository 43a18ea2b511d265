"""The editor in a real JupyterLab, by hand: paint, drag, run, cancel, reload, export; what a person sees and what Python has."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from notebook_page import LONG, NotebookPage
from notebook_server import Server
from PIL import Image

import dragonkit as dk

pytestmark = pytest.mark.e2e

SCENE = dk.toybox.scene(seed=7, size=64)
STEPS = 6
CELL = f"""
import dragonkit as dk

scene = dk.toybox.scene(seed=7, size=64)
editor = dk.EditorWidget(scene.image, prompt=scene.caption, settings=dk.Settings(steps={STEPS}))
editor
"""
WINDOW = {"width": 900, "height": 2000}


@pytest.fixture(scope="module")
def notebook(server: Server, browser: Any, pictures: Path) -> Iterator[NotebookPage]:
    page = browser.new_context(viewport=WINDOW).new_page()
    notebook = NotebookPage(page, server, "lab", [CELL], pictures)
    notebook.open()
    yield notebook
    page.context.close()


@pytest.fixture
def lab(notebook: NotebookPage) -> Iterator[NotebookPage]:
    """The notebook with a new editor in it."""
    notebook.page.set_viewport_size(WINDOW)
    notebook.do("if 'editor' in globals(): editor.close()")
    notebook.page.locator(".dk-editor canvas").wait_for(state="detached", timeout=LONG)
    notebook.run_cells()
    notebook.canvas.wait_for(state="visible", timeout=LONG)
    _until_shown(notebook, np.asarray(SCENE.image))
    yield notebook
    assert not notebook.errors, "JavaScript failed"


def mask_of(notebook: NotebookPage) -> np.ndarray:
    return np.array(notebook.python("editor.mask.tolist()"))


def result_of(notebook: NotebookPage) -> np.ndarray:
    return np.array(notebook.python("__import__('numpy').asarray(editor.result.image).tolist()"), np.uint8)


def to_picture(notebook: NotebookPage, *points: tuple[float, float]) -> list[tuple[float, float]]:
    """Where points of the window are in the 64-pixel picture."""
    left, top, scale = notebook.corner()
    return [((x - left) / scale / 10, (y - top) / scale / 10) for x, y in points]


def to_window(notebook: NotebookPage, *points: tuple[float, float]) -> list[tuple[float, float]]:
    """The whole pixels of the window, which are all that a mouse knows, that are nearest to points of the picture."""
    left, top, scale = notebook.corner()
    return [(round(left + 10 * x * scale), round(top + 10 * y * scale)) for x, y in points]


def painted(points: list[tuple[float, float]], diameter: float) -> np.ndarray:
    """All pixels of the picture whose centres are within half the diameter of the way."""
    height, width = SCENE.image.height, SCENE.image.width
    y, x = np.mgrid[:height, :width] + 0.5
    inside = np.zeros((height, width), bool)
    for (ax, ay), (bx, by) in pairwise(points):
        t = np.clip(((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / ((bx - ax) ** 2 + (by - ay) ** 2), 0, 1)
        inside |= np.hypot(x - ax - t * (bx - ax), y - ay - t * (by - ay)) <= diameter / 2
    return inside


def box_the_boat(notebook: NotebookPage) -> np.ndarray:
    """Draw a box around the boat; returns what should be marked."""
    rows, columns = np.nonzero(SCENE.objects[0].mask)
    left, top, right, bottom = columns.min() - 1, rows.min() - 1, columns.max() + 2, rows.max() + 2
    notebook.press("box")
    notebook.drag(*to_window(notebook, (left + 0.2, top + 0.2), (right - 0.2, bottom - 0.2)))
    expected = np.zeros((64, 64), bool)
    expected[top:bottom, left:right] = True
    return expected


def drag_the_boat(notebook: NotebookPage, release: bool = True) -> None:
    notebook.press("drag")
    notebook.drag(*to_window(notebook, (43, 40), (35, 52), (27, 64 - 7)), release=release)


def run_to_the_end(notebook: NotebookPage) -> None:
    _wait_for(notebook, "status", "is inverted")
    notebook.press("Run")
    _wait_for(notebook, "status", "done in")


def _wait_for(notebook: NotebookPage, kind: str, words: str) -> None:
    notebook.text(kind).filter(has_text=words).wait_for(timeout=LONG)


def _until(notebook: NotebookPage, expression: str) -> None:
    """Wait until Python says so."""
    end = time.monotonic() + LONG / 1000
    while not notebook.python(expression):
        assert time.monotonic() < end, f"never true: {expression}; it says {notebook.python('editor.status')}"


def _until_shown(notebook: NotebookPage, picture: np.ndarray, marks: float = 0.0) -> None:
    """Wait until the canvas shows the picture, each pixel ten times as large; `marks` is the share that lines over it may take."""
    end, expected = time.monotonic() + 20, picture.repeat(10, axis=0).repeat(10, axis=1)
    while (share := (notebook.pixels() != expected).any(axis=2).mean()) > marks:
        assert time.monotonic() < end, f"{share:.1%} of the canvas differ"
        time.sleep(0.1)


@pytest.mark.parametrize("sharpness", [1, 2])
def test_a_mask_painted_with_the_mouse_is_the_mask_in_python(lab: NotebookPage, measured: list[str], sharpness: int) -> None:
    screen = lab.page.context.new_cdp_session(lab.page)
    screen.send("Emulation.setDeviceMetricsOverride", {**WINDOW, "deviceScaleFactor": sharpness, "mobile": False})
    assert lab.page.evaluate("devicePixelRatio") == sharpness
    way = to_window(lab, (33, 43), (54, 43), (54, 20))
    lab.page.mouse.move(*way[0])
    lab.canvas.evaluate("""canvas => { window.stroke = new Promise(done => canvas.addEventListener('mousedown', event => {
        const begun = performance.now(), pixel = () => canvas.getContext('2d').getImageData(330, 430, 1, 1).data.join();
        const before = pixel();
        const look = () => pixel() === before ? requestAnimationFrame(look) : done(performance.now() - begun);
        look();
    }, {once: true, capture: true})) }""")
    lab.drag(*way)
    measured.append(f"stroke: {lab.page.evaluate('window.stroke'):.0f} ms from the press until it is seen, at {sharpness}x")
    _until(lab, "bool(editor.mask.any())")
    expected = painted(to_picture(lab, *way), diameter=64 / 16)
    assert np.array_equal(mask_of(lab), expected)
    lab.look(f"painted-{sharpness}x")

    lab.press("undo")
    _until(lab, "not editor.mask.any()")
    lab.press("redo")
    _until(lab, "bool(editor.mask.any())")
    assert np.array_equal(mask_of(lab), expected)
    lab.canvas.focus()
    lab.page.keyboard.press("Control+z")
    _until(lab, "not editor.mask.any()")
    lab.canvas.hover(position={"x": 5, "y": 5})
    screen.send("Emulation.clearDeviceMetricsOverride")


def test_drag_run_watch_see_undo(lab: NotebookPage, measured: list[str]) -> None:
    expected = box_the_boat(lab)
    _until(lab, "bool(editor.mask.any())")
    assert np.array_equal(mask_of(lab), expected)
    drag_the_boat(lab, release=False)
    lab.look("dragging")
    lab.page.mouse.up()
    _until(lab, "len(editor.marks.drags) == 1")
    assert lab.python("editor.form.values()['shift']") == [-16, 17]
    _wait_for(lab, "status", "is inverted")
    lab.look("ready")

    lab.text("progress").evaluate("""line => { window.seen = [];
        new MutationObserver(() => window.seen.push(line.textContent)).observe(line, {childList: true, subtree: true, characterData: true});
    }""")
    begun = time.monotonic()
    lab.press("Run")
    _wait_for(lab, "progress", "editing: step")
    measured.append(f"run: {1000 * (time.monotonic() - begun):.0f} ms until the first progress")
    _wait_for(lab, "status", "done in")
    measured.append(f"run: {time.monotonic() - begun:.1f} s for {STEPS} steps")
    seen = [line.strip() for line in lab.page.evaluate("window.seen") if line.strip()]
    steps = [int(line.split()[2]) for line in seen]
    assert steps == sorted(steps) and all(line.startswith(f"editing: step {n} of ") for line, n in zip(seen, steps, strict=True))
    assert any("move.edit" in line for line in seen), seen

    result, source = result_of(lab), np.asarray(SCENE.image)
    boat = SCENE.objects[0].mask
    arrived = np.roll(boat, (17, -16), (0, 1))
    error = np.mean((result[arrived].astype(float) - source[boat]) ** 2)
    assert 10 * np.log10(255**2 / error) > 20, "the boat is there"
    assert np.abs(result[boat & ~arrived].astype(float) - source[boat & ~arrived]).mean() > 20, "and no longer here"
    _until_shown(lab, result, marks=0.03)
    lab.look("result")

    lab.press("undo")
    _until(lab, "editor.marks.drags == []")
    assert np.array_equal(mask_of(lab), expected)
    lab.press("undo")
    _until(lab, "not editor.mask.any()")
    _until_shown(lab, source)
    lab.look("undone")
    assert len(lab.python("[entry.result.report.seconds for entry in editor.history]")) == 1, "the result is still there"


def test_a_second_run_is_cancelled_and_the_first_stays(lab: NotebookPage, measured: list[str]) -> None:
    box_the_boat(lab)
    drag_the_boat(lab)
    run_to_the_end(lab)
    first = result_of(lab)
    lab.do("editor._session.settings = dk.Settings(steps=60)\neditor._runs.prepare()")  # so long that the hand comes in time
    _wait_for(lab, "status", "is inverted")
    lab.press("Run")
    _wait_for(lab, "progress", "editing: step")
    lab.look("running")
    begun = time.monotonic()
    lab.press("Cancel")
    _wait_for(lab, "status", "cancelled")
    measured.append(f"cancel: {1000 * (time.monotonic() - begun):.0f} ms")
    lab.look("cancelled")
    assert lab.python("[len(editor.history), editor.error is None, len(editor.marks.drags)]") == [1, True, 1]
    assert np.array_equal(result_of(lab), first) and lab.text("error").last.inner_text().strip() == ""
    assert lab.button("Run").is_enabled()


def test_a_reload_finds_mask_and_result(lab: NotebookPage) -> None:
    expected = box_the_boat(lab)
    drag_the_boat(lab)
    run_to_the_end(lab)
    result = result_of(lab)
    _until_shown(lab, result, marks=0.03)
    lab.reload()
    lab.canvas.wait_for(state="visible", timeout=LONG)
    _until_shown(lab, result, marks=0.03)
    assert lab.editor.locator("img").count() >= 1, "the history has its thumbnail"
    assert np.array_equal(mask_of(lab), expected)
    lab.look("reloaded")
    lab.press("undo")
    _until(lab, "editor.marks.drags == []")
    assert np.array_equal(mask_of(lab), expected), "undo goes on"
    changed = (lab.pixels() != np.asarray(SCENE.image).repeat(10, axis=0).repeat(10, axis=1)).any(axis=2)
    assert changed[expected.repeat(10, axis=0).repeat(10, axis=1)].mean() > 0.9, "the mask is drawn"


def test_the_edit_file_gives_the_same_pixels_in_a_shell(lab: NotebookPage) -> None:
    box_the_boat(lab)
    drag_the_boat(lab)
    run_to_the_end(lab)
    lab.press("Export edit file")
    _wait_for(lab, "status", "written: edit-")
    name = lab.text("status").last.inner_text().split()[1].rstrip(";")
    folder = lab.server.folder
    assert json.loads((folder / name).read_text())["edits"][0]["shift"] == [-16, 17]
    command = [sys.executable, "-m", "dragonkit", "run", name, "-o", "again.png"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert np.array_equal(np.asarray(Image.open(folder / "again.png").convert("RGB")), result_of(lab))


def test_a_narrow_window_cuts_nothing_off(lab: NotebookPage) -> None:
    lab.page.set_viewport_size({"width": 400, "height": 1500})
    way = to_window(lab, (10, 12), (40, 12))
    lab.drag(*way)
    _until(lab, "bool(editor.mask.any())")
    assert np.array_equal(mask_of(lab), painted(to_picture(lab, *way), diameter=4))
    lab.look("narrow")
    for mode in lab.python("list(editor._easel.modes._choice.options)"):
        lab.editor.locator(".widget-dropdown", has_text="mode").locator("select:visible").first.select_option(mode)
        _until(lab, f"editor.mode == {mode!r}")
        beyond = lab.editor.evaluate("""editor => { const edge = editor.getBoundingClientRect().right;
            return [...editor.querySelectorAll('*')].filter(part => part.getBoundingClientRect().right > edge + 0.5)
                .map(part => `${part.tagName} ${part.className} ${part.textContent.slice(0, 40)}`) }""")
        assert not beyond, f"{mode}: {beyond}"
