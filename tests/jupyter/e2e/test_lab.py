"""The editor in a real JupyterLab, by hand: paint, drag, run, cancel, reload, export; what a person sees and what Python has."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import numpy as np
import pytest
from helpers.boat import (
    SCENE,
    STEPS,
    WINDOW,
    box_the_boat,
    drag_the_boat,
    mask_of,
    painted,
    result_of,
    run_to_the_end,
    to_picture,
    to_window,
    until,
    until_inverted,
    until_shown,
    wait_for,
)  # fmt: skip
from helpers.notebook_page import NotebookPage
from PIL import Image

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("sharpness", [1, 2])
def test_a_mask_painted_with_the_mouse_is_the_mask_in_python(lab: NotebookPage, measured: list[str], sharpness: int) -> None:
    screen = lab.page.context.new_cdp_session(lab.page)
    screen.send("Emulation.setDeviceMetricsOverride", {**WINDOW, "deviceScaleFactor": sharpness, "mobile": False})
    assert lab.page.evaluate("devicePixelRatio") == sharpness
    until(lab, f"editor.view.viewport.fine == {sharpness}")
    source, side = np.asarray(SCENE.image), 10 * sharpness
    lab.page.wait_for_function(f"document.querySelector('.dk-editor canvas').width === {64 * side}")
    lab.page.wait_for_timeout(300)
    assert np.array_equal(lab.pixels(), source.repeat(side, axis=0).repeat(side, axis=1)), "each pixel is a square with sharp edges"
    way = to_window(lab, (33, 43), (54, 43), (54, 20))
    lab.page.mouse.move(*way[0])
    lab.canvas.evaluate("""canvas => { window.stroke = new Promise(done => canvas.addEventListener('mousedown', event => {
        const begun = performance.now(), place = canvas.width / 64;
        const pixel = () => canvas.getContext('2d').getImageData(33 * place, 43 * place, 1, 1).data.join();
        const before = pixel();
        const look = () => pixel() === before ? requestAnimationFrame(look) : done(performance.now() - begun);
        look();
    }, {once: true, capture: true})) }""")
    lab.drag(*way)
    measured.append(f"stroke: {lab.page.evaluate('window.stroke'):.0f} ms from the press until it is seen, at {sharpness}x")
    until(lab, "bool(editor.mask.any())")
    expected = painted(to_picture(lab, *way), diameter=64 / 16)
    assert np.array_equal(mask_of(lab), expected)
    lab.look(f"painted-{sharpness}x")

    lab.press("undo")
    until(lab, "not editor.mask.any()")
    lab.press("redo")
    until(lab, "bool(editor.mask.any())")
    assert np.array_equal(mask_of(lab), expected)
    lab.canvas.focus()
    lab.page.keyboard.press("Control+z")
    until(lab, "not editor.mask.any()")
    lab.canvas.hover(position={"x": 5, "y": 5})
    screen.send("Emulation.clearDeviceMetricsOverride")


def test_drag_run_watch_see_undo(lab: NotebookPage, measured: list[str]) -> None:
    expected = box_the_boat(lab)
    until(lab, "bool(editor.mask.any())")
    assert np.array_equal(mask_of(lab), expected)
    drag_the_boat(lab, release=False)
    lab.look("dragging")
    lab.page.mouse.up()
    until(lab, "len(editor.marks.drags) == 1")
    assert lab.python("editor.form.values()['shift']") == [-16, 17]
    until_inverted(lab)
    lab.look("ready")

    # the page itself writes down what it shows: a few steps are over before anything outside has looked twice
    lab.text("progress").evaluate("""line => { window.seen = []; window.begun = performance.now();
        new MutationObserver(() => window.seen.push([performance.now() - window.begun, line.textContent.trim()]))
            .observe(line, {childList: true, subtree: true, characterData: true});
    }""")
    begun = time.monotonic()
    lab.press("Run")
    wait_for(lab, "status", "done in")
    measured.append(f"run: {time.monotonic() - begun:.1f} s for {STEPS} steps")
    shown = [(milliseconds, line) for milliseconds, line in lab.page.evaluate("window.seen") if line]
    assert shown, "progress is shown"
    measured.append(f"run: {shown[0][0]:.0f} ms until the first progress")
    seen = [line for _, line in shown]
    steps = [int(line.split()[2]) for line in seen]
    assert steps == sorted(steps) and all(line.startswith(f"editing: step {n} of ") for line, n in zip(seen, steps, strict=True))
    assert any("move.edit" in line for line in seen), seen

    result, source = result_of(lab), np.asarray(SCENE.image)
    boat = SCENE.objects[0].mask
    arrived = np.roll(boat, (17, -16), (0, 1))
    error = np.mean((result[arrived].astype(float) - source[boat]) ** 2)
    assert 10 * np.log10(255**2 / error) > 20, "the boat is there"
    assert np.abs(result[boat & ~arrived].astype(float) - source[boat & ~arrived]).mean() > 20, "and no longer here"
    until_shown(lab, result, marks=0.03)
    lab.look("result")

    lab.press("undo")
    until(lab, "editor.marks.drags == []")
    assert np.array_equal(mask_of(lab), expected)
    lab.press("undo")
    until(lab, "not editor.mask.any()")
    until_shown(lab, source)
    lab.look("undone")
    assert len(lab.python("[entry.result.report.seconds for entry in editor.history]")) == 1, "the result is still there"


def test_a_second_run_is_cancelled_and_the_first_stays(lab: NotebookPage, measured: list[str]) -> None:
    box_the_boat(lab)
    drag_the_boat(lab)
    run_to_the_end(lab)
    first = result_of(lab)
    lab.do("editor._session.settings = dk.Settings(steps=60)\neditor._runs.prepare()")  # so long that the hand comes in time
    until_inverted(lab)
    lab.press("Run")
    wait_for(lab, "progress", "editing: step")
    lab.look("running")
    begun = time.monotonic()
    lab.press("Cancel")
    wait_for(lab, "status", "cancelled")
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
    until_shown(lab, result, marks=0.03)
    lab.reload()
    lab.until_open()
    until_shown(lab, result, marks=0.03)
    assert lab.editor.locator("img").count() >= 1, "the history has its thumbnail"
    assert np.array_equal(mask_of(lab), expected)
    lab.look("reloaded")
    lab.press("undo")
    until(lab, "editor.marks.drags == []")
    assert np.array_equal(mask_of(lab), expected), "undo goes on"
    changed = (lab.pixels() != np.asarray(SCENE.image).repeat(10, axis=0).repeat(10, axis=1)).any(axis=2)
    assert changed[expected.repeat(10, axis=0).repeat(10, axis=1)].mean() > 0.9, "the mask is drawn"


def test_the_edit_file_gives_the_same_pixels_in_a_shell(lab: NotebookPage) -> None:
    box_the_boat(lab)
    drag_the_boat(lab)
    run_to_the_end(lab)
    lab.press("Export edit file")
    wait_for(lab, "status", "written: edit-")
    name = lab.text("status").last.inner_text().partition("written: ")[2].split()[0].rstrip(";")
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
    until(lab, "bool(editor.mask.any())")
    assert np.array_equal(mask_of(lab), painted(to_picture(lab, *way), diameter=4))
    lab.look("narrow")
    for mode in lab.python("list(editor._easel.modes._choice.options)"):
        lab.editor.locator(".widget-dropdown", has_text="mode").locator("select:visible").first.select_option(mode)
        until(lab, f"editor.mode == {mode!r}")
        beyond = lab.editor.evaluate("""editor => { const edge = editor.getBoundingClientRect().right;
            return [...editor.querySelectorAll('*')].filter(part => part.getBoundingClientRect().right > edge + 0.5)
                .map(part => `${part.tagName} ${part.className} ${part.textContent.slice(0, 40)}`) }""")
        assert not beyond, f"{mode}: {beyond}"
