"""An editor with a boat in it, in JupyterLab: where its pixels are in the window, what should be marked, and waiting for it."""

from __future__ import annotations

import time
from itertools import pairwise

import numpy as np
from helpers.notebook_page import LONG, NotebookPage

import dragonkit as dk

__all__ = [
    "CELL", "SCENE", "STEPS", "WINDOW", "box_the_boat", "drag_the_boat", "mask_of", "painted", "result_of", "run_to_the_end", "to_picture",
    "to_window", "until", "until_inverted", "until_shown", "wait_for",
]  # fmt: skip

SCENE = dk.toybox.scene(seed=7, size=64)
STEPS = 6
CELL = f"""
import dragonkit as dk

scene = dk.toybox.scene(seed=7, size=64)
editor = dk.EditorWidget(scene.image, prompt=scene.caption, settings=dk.Settings(steps={STEPS}))
editor._easel.tools.take("brush")
editor
"""
WINDOW = {"width": 900, "height": 2000}


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
    _take(notebook, "box")
    notebook.drag(*to_window(notebook, (left + 0.2, top + 0.2), (right - 0.2, bottom - 0.2)))
    expected = np.zeros((64, 64), bool)
    expected[top:bottom, left:right] = True
    return expected


def drag_the_boat(notebook: NotebookPage, release: bool = True) -> None:
    _take(notebook, "drag")
    notebook.drag(*to_window(notebook, (43, 40), (35, 52), (27, 64 - 7)), release=release)
    if release:  # a kernel handles canvas and buttons on two threads, so a Run at once might come first
        until(notebook, "len(editor.marks.drags) > 0")


def _take(notebook: NotebookPage, tool: str) -> None:
    """Press a tool's button, and wait as long as a hand that goes from there to the picture."""
    notebook.press(tool)
    until(notebook, f"editor.view.tool.name == {tool!r}")


def run_to_the_end(notebook: NotebookPage) -> None:
    until_inverted(notebook)
    notebook.press("Run")
    wait_for(notebook, "status", "done in")


def until_inverted(notebook: NotebookPage) -> None:
    """Not by the message that says so, whose place another may have taken: opening a file may take longer than inverting it."""
    until(notebook, "editor._session.prepared")


def wait_for(notebook: NotebookPage, kind: str, words: str) -> None:
    from playwright.sync_api import TimeoutError as TooLong  # not there on every machine

    try:
        notebook.text(kind).filter(has_text=words).wait_for(timeout=LONG)
    except TooLong:
        said = notebook.editor.locator(".dk-messages").inner_text()
        raise AssertionError(f"the {kind} never said {words!r}; the messages read: {said}") from None


def until(notebook: NotebookPage, expression: str) -> None:
    """Wait until Python says so."""
    end = time.monotonic() + LONG / 1000
    while not notebook.python(expression):
        assert time.monotonic() < end, f"never true: {expression}; it says {notebook.python('editor.status')}"


def until_shown(notebook: NotebookPage, picture: np.ndarray, marks: float = 0.0) -> None:
    """Wait until the canvas shows the picture, each pixel ten times as large; `marks` is the share that lines over it may take."""
    end, expected = time.monotonic() + 20, picture.repeat(10, axis=0).repeat(10, axis=1)
    while (share := (notebook.pixels() != expected).any(axis=2).mean()) > marks:
        assert time.monotonic() < end, f"{share:.1%} of the canvas differ"
        time.sleep(0.1)
