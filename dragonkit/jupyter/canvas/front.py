"""The editor's own part in the browser, beside ipycanvas: pointer buttons, strokes that leave the canvas, wheel, focus, clipboard."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import anywidget
import traitlets

__all__ = ["Front"]

_numbers = itertools.count(1)


class Front(anywidget.AnyWidget):
    """Listens to a canvas in the browser. It shows nothing, but must be shown somewhere in the same editor.

    Attributes:
        titles: sentences by the words at a field; see `explain`.
        surface: a class that the canvas has, and no other.
        cursor: what the pointer looks like over the canvas, as CSS calls it.
        zoomed: whether there is more of the picture than is seen, so that the wheel pushes it.
        comparing: of before and after, as `Comparison.told` says; empty while they are not compared.
        main: whether the keys go to this canvas after a click on a button.
    """

    _esm = "\n".join(Path(__file__).with_name(name).read_text("utf-8") for name in ("curtain.js", "front.js"))  # one module, no build step

    titles = traitlets.Dict().tag(sync=True)
    surface = traitlets.Unicode().tag(sync=True)
    zoomed = traitlets.Bool(False).tag(sync=True)
    cursor = traitlets.Unicode("crosshair").tag(sync=True)
    comparing = traitlets.Dict().tag(sync=True)
    main = traitlets.Bool(True).tag(sync=True)

    def __init__(self, handle: Callable[[str, dict[str, float]], Any], main: bool = True) -> None:
        """`handle` is told "move", "up" and "slid" with x and y, "pan" with dx and dy, "zoom" with x, y and by, in pixels of the
        canvas in the browser, and "screen" with the ratio of the screen's pixels to those of CSS."""
        super().__init__(surface=f"dk-surface-{next(_numbers)}", main=main)
        self._handle = handle
        self.on_msg(self._told)
        self.layout.display = "none"

    def explain(self, sentences: Mapping[str, str]) -> None:
        """What the pointer is told where it rests on a field with these words."""
        self.titles = {**self.titles, **sentences}

    def copy(self, text: str) -> None:
        """Put a text on the clipboard; `handle` is told "copied" with done, 1 or 0: not every page may do that."""
        self.send({"ask": "copy", "text": text})

    def lift(self) -> None:
        """The line between before and after is drawn where the browser has pushed it."""
        self.send({"ask": "lift"})

    def download(self, name: str, content: bytes) -> None:
        """Give the browser a file."""
        self.send({"ask": "download", "name": name}, [content])

    def _told(self, _widget: Any, content: Any, _buffers: Any) -> None:
        if not isinstance(content, dict):
            return
        if content.get("action") == "hello":  # somebody listens here: the editor is more than a picture
            self.send({"ask": "live"})
            return
        action, values = content.get("action"), {name: value for name, value in content.items() if name != "action"}
        if isinstance(action, str) and all(isinstance(value, (int, float)) for value in values.values()):
            self._handle(action, values)
