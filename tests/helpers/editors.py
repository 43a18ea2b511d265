"""The whole editor without a browser, on a tiny model: its picture, plugins that hold it up or fail, and finding things in it."""

from __future__ import annotations

import html
import threading
from typing import Any

import ipywidgets as W
import numpy as np
from PIL import Image

import dragonkit as dk
from dragonkit.jupyter.canvas.door import Door

__all__ = [
    "HEIGHT", "PICTURE", "SOON", "STEPS", "WIDTH", "Gate", "Troublemaker", "alert_of", "at", "blob", "canvas", "named", "ran", "send",
    "status_of",
]  # fmt: skip

SOON = 30.0
WIDTH, HEIGHT = 40, 32
STEPS = dk.Settings(steps=3)
PICTURE = Image.fromarray(np.random.default_rng(3).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8))


def blob(left: int = 6, top: int = 8) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[top : top + 9, left : left + 10] = True
    return mask


class Gate:
    """A plugin at which runs wait, once it is shut. Counts the steps."""

    def __init__(self) -> None:
        self.reached, self.open, self.steps = threading.Event(), threading.Event(), 0
        self.open.set()

    @dk.hookimpl
    def dragonkit_step(self, step: Any) -> None:
        self.steps += 1
        self.reached.set()
        assert self.open.wait(SOON)


class Troublemaker:
    """A plugin whose energies fail while it is `bad`."""

    bad = False

    @dk.hookimpl
    def dragonkit_energy_terms(self, edit: Any, masks: Any) -> None:
        if self.bad:
            raise KeyError("<b>weights</b>")


def ran(editor: dk.EditorWidget, **fields: Any) -> dk.EditResult:
    editor.form.update(fields)
    editor.run()
    result = editor.wait(SOON)
    assert result is not None
    return result


def named(widget: W.Widget, words: str) -> Any:
    """The first widget within another with these words on it."""
    if getattr(widget, "description", "") == words:
        return widget
    for child in getattr(widget, "children", ()):
        if (found := named(child, words)) is not None:
            return found
    return None


def alert_of(editor: dk.EditorWidget) -> str:
    return html.unescape(str(editor._messages._error.value))


def status_of(editor: dk.EditorWidget) -> str:
    """What is said below the errors."""
    return html.unescape(str(editor._messages._status.value))


def canvas(editor: dk.EditorWidget) -> Any:
    return editor.view.widget


def at(editor: dk.EditorWidget, *points: tuple[float, float]) -> list[tuple[float, float]]:
    """Where points of the picture are on the canvas."""
    return [editor.view.viewport.to_canvas(*point) for point in points]


def send(editor: dk.EditorWidget, name: str, content: bytes, piece: int = 1 << 20) -> None:
    """What the browser sends of a file that is chosen, dropped or pasted."""
    send_through(editor._pictures.door, name, content, piece)


def send_through(door: Door, name: str, content: bytes, piece: int = 1 << 20) -> None:
    door._handle_msg({"content": {"data": {"method": "custom", "content": {"name": name, "size": len(content)}}}, "buffers": []})
    for start in range(0, len(content), piece):
        message = {"content": {"data": {"method": "custom", "content": {}}}, "buffers": [memoryview(content[start : start + piece])]}
        door._handle_msg(message)
