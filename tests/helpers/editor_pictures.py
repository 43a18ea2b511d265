"""`python -m helpers.editor_pictures` photographs the notebook editor for the documentation, in a real browser."""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from helpers.boat import until, wait_for
from helpers.notebook_page import NotebookPage
from helpers.notebook_server import chromium, serve
from helpers.pictures import stored
from PIL import Image

import dragonkit as dk

IMAGES = Path(__file__).parents[2] / "docs" / "images"
WIDE = {"width": 1280, "height": 800}
CELL = """
import dragonkit as dk

scene = dk.toybox.scene(seed=7)
editor = dk.EditorWidget(scene.image, prompt=scene.caption)
editor
"""


def main(folder: Path = IMAGES) -> None:
    with tempfile.TemporaryDirectory() as root, serve(Path(root)) as server, chromium() as browser:
        page = browser.new_context(viewport=WIDE).new_page()
        lab = NotebookPage(page, server, "editor", [CELL], Path(root))
        lab.open()
        lab.run_cells()
        lab.until_open()
        wait_for(lab, "status", "is inverted")
        _carry(lab)
        until(lab, "len(editor.marks.drags) == 1")
        lab.do("assert editor._easel.stage.wait(10)")
        lab.press("Run")
        wait_for(lab, "progress", "editing: step")
        page.wait_for_timeout(600)
        _save(page, folder / "editor-run.png", lab)
        wait_for(lab, "status", "done in")
        page.wait_for_timeout(500)
        _save(page, folder / "editor-result.png", lab)


def _carry(lab: NotebookPage) -> None:
    boat = dk.toybox.scene(seed=7).objects[0].mask
    middle = tuple(float(np.median(places)) + 0.5 for places in np.nonzero(boat)[::-1])
    left, top, scale = lab.corner()
    cells = lab.python("editor._easel.view.viewport.scale") * scale  # CSS pixels for one of the picture
    start, end = ((round(left + x * cells), round(top + y * cells)) for x, y in (middle, (middle[0] - 30, middle[1] + 20)))
    lab.page.mouse.click(*start)
    until(lab, "bool(editor.mask.any())")
    lab.drag(start, end)
    lab.page.wait_for_timeout(500)


def _save(page: Any, path: Path, lab: NotebookPage) -> None:
    """The window from where the editor begins."""
    lab.editor.evaluate("editor => editor.scrollIntoView({block: 'start'})")
    stored(Image.open(io.BytesIO(page.screenshot())), path)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGES)
