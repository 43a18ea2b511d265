"""The editor as an app, served by Voilà: what is drawn before the browser has a canvas must not be lost, and Run works."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.notebook_page import LONG, NotebookPage
from helpers.notebook_server import Server
from helpers.pages import DOCS, blocks_of

import dragonkit as dk

pytestmark = pytest.mark.e2e

SCENE = dk.toybox.scene(seed=7, size=64)
CELL = """
import dragonkit as dk
from dragonkit.testing import tiny_editor

scene = dk.toybox.scene(seed=7, size=64)
editor = dk.EditorWidget(
    scene.image, prompt=scene.caption, editor=tiny_editor(), mask=scene.objects[0].mask, settings=dk.Settings(steps=2)
)
editor._easel.tools.take("brush")  # without handles over the picture
editor
"""


def test_voila_paints_the_picture_at_once_and_runs(server: Server, browser: Any, pictures: Path) -> None:
    page = browser.new_context(viewport={"width": 900, "height": 1500}).new_page()
    notebook = NotebookPage(page, server, "app", [CELL], pictures)
    page.goto(f"{server.url}/voila/render/app.ipynb?token={server.token}", wait_until="domcontentloaded")
    notebook.canvas.wait_for(state="visible", timeout=LONG)
    inside = SCENE.objects[0].mask.repeat(10, axis=0).repeat(10, axis=1)
    source = np.asarray(SCENE.image).repeat(10, axis=0).repeat(10, axis=1)

    end = time.monotonic() + LONG / 1000
    while True:  # the picture must be there, with the mask on it, but for the mask's outline
        changed = (notebook.pixels() != source).any(axis=2)
        marked, spoilt = changed[inside].mean(), changed[~inside].mean()
        if marked > 0.99 and spoilt < 0.01:
            break
        assert time.monotonic() < end, f"{marked:.0%} of the mask are drawn, and {1 - spoilt:.0%} of the picture around it"
        time.sleep(0.1)
    notebook.look("voila")

    notebook.text("status").filter(has_text="is inverted").wait_for(timeout=LONG)
    notebook.press("drag")
    left, top, scale = notebook.corner()
    notebook.drag(*((left + x * scale, top + y * scale) for x, y in ((430, 400), (270, 570))))
    notebook.text("hint").filter(has_text="Next").wait_for(state="detached", timeout=LONG)
    notebook.press("Run")
    notebook.text("status").filter(has_text="done in").wait_for(timeout=LONG)
    notebook.look("voila-result")
    slider = notebook.editor.locator(".widget-slider", has_text="before/after")
    assert slider.locator(".widget-readout").inner_text() == "1.00", "the result is shown"
    assert notebook.editor.locator("img:visible").count() >= 1, "the history has its thumbnail"
    assert notebook.text("error").last.inner_text().strip() == "" and not notebook.errors
    page.context.close()


def test_the_app_of_the_page_edits_and_keeps(server: Server, browser: Any, pictures: Path) -> None:
    """docs/how-to/embed.md, its cells as they are."""
    cells = [block.code for block in blocks_of(DOCS / "how-to" / "embed.md") if block.runs]
    assert len(cells) == 3
    page = browser.new_context(viewport={"width": 1300, "height": 1500}).new_page()
    notebook = NotebookPage(page, server, "embedded", cells, pictures)
    page.goto(f"{server.url}/voila/render/embedded.ipynb?token={server.token}", wait_until="domcontentloaded")
    notebook.canvas.wait_for(state="visible", timeout=LONG)
    notebook.text("status").filter(has_text="is inverted").wait_for(timeout=LONG)
    keep, said = page.locator("button", has_text="Keep it"), page.locator(".widget-label", has_text="Nothing was edited yet.")
    keep.click()
    said.wait_for(timeout=LONG)

    notebook.press("pick")
    left, top, scale = notebook.corner()
    across = notebook.canvas.evaluate("canvas => canvas.width") / 128
    boat, there = ((left + x * across * scale, top + y * across * scale) for x, y in ((86, 48), (54, 96)))
    page.mouse.click(*boat)
    notebook.button("Run").wait_for(timeout=LONG)
    page.wait_for_timeout(1000)  # the click is answered by the kernel
    notebook.drag(boat, there)
    notebook.text("hint").filter(has_text="Next").wait_for(state="detached", timeout=LONG)
    notebook.press("Run")
    notebook.text("status").filter(has_text="done in").wait_for(timeout=LONG)
    page.screenshot(path=str(pictures / "embedded.png"))
    keep.click()
    page.locator(".widget-label", has_text="kept as kept.png").wait_for(timeout=LONG)
    move = dk.EditFile.load(server.folder / "kept.png").edits[0]
    assert move["mode"] == "move" and np.allclose(move["shift"], (-32, 48), atol=2)
    assert not notebook.errors
    page.context.close()
