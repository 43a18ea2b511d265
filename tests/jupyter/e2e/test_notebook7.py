"""The editor in Notebook 7: the picture is painted, and the pointer reaches Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.notebook_page import LONG, NotebookPage
from helpers.notebook_server import Server

import dragonkit as dk

pytestmark = pytest.mark.e2e

CELL = """
import dragonkit as dk
from dragonkit.testing import tiny_editor

scene = dk.toybox.scene(seed=7, size=64)
editor = dk.EditorWidget(scene.image, prompt=scene.caption, editor=tiny_editor(), settings=dk.Settings(steps=2))
editor
"""
_PAINTED = "canvas => canvas.getContext('2d').getImageData(320, 320, 1, 1).data[3] === 255"


def test_notebook_7_paints_the_picture_and_takes_strokes(server: Server, browser: Any, pictures: Path) -> None:
    page = browser.new_context(viewport={"width": 900, "height": 2000}).new_page()
    notebook = NotebookPage(page, server, "seven", [CELL], pictures)
    notebook.open("notebooks")
    notebook.errors.clear()  # Notebook 7 itself misses a setting's schema while it starts; the editor is not there yet
    notebook.run_cells()
    notebook.until_open()
    page.wait_for_function(_PAINTED, arg=notebook.canvas.element_handle(), timeout=LONG)
    source = np.asarray(dk.toybox.scene(seed=7, size=64).image)
    assert np.array_equal(notebook.pixels(), source.repeat(10, axis=0).repeat(10, axis=1))

    left, top, scale = notebook.corner()
    notebook.press("brush")
    notebook.drag((left + 100 * scale, top + 100 * scale), (left + 300 * scale, top + 100 * scale))
    notebook.text("hint").filter(has_text="draw an arrow").wait_for(timeout=LONG)
    assert notebook.python("[bool(editor.mask[10, 20]), bool(editor.mask[40, 20])]") == [True, False]
    notebook.look("notebook-7")
    assert not notebook.errors, "JavaScript failed"
    page.context.close()
