"""A notebook in a browser, as a person sees it: run cells, press, drag, look. And the kernel, to compare with what Python has."""

from __future__ import annotations

import io
import json
import re
from base64 import b64decode
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
from helpers.notebook_server import Server
from PIL import Image

__all__ = ["NotebookPage"]

LONG = 60_000  # milliseconds; a busy machine starts a kernel slowly

_READY = """() => window.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"""
_EXECUTE = """async code => {
    const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
    const future = kernel.requestExecute({code, store_history: false});
    let said = '', error = null;
    future.onIOPub = message => {
        if (message.header.msg_type === 'stream' && message.content.name === 'stdout') said += message.content.text;
        if (message.header.msg_type === 'error') error = message.content.traceback.join('\\n');
    };
    await future.done;
    return [said, error];
}"""


class NotebookPage:
    """One notebook, open in JupyterLab or Notebook 7.

    Args:
        page: of playwright.
        server: where the notebook is.
        name: of the notebook's file; it is made here.
        cells: Python sources.
        pictures: where `look` writes.
    """

    def __init__(self, page: Any, server: Server, name: str, cells: Sequence[str], pictures: Path) -> None:
        self.page, self.server, self.name, self._pictures = page, server, name, pictures
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(f"{error}\n{error.stack}"))
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(notebook, server.folder / f"{name}.ipynb")

    def open(self, where: str = "doc/tree") -> None:
        """Open it alone ("doc/tree" is JupyterLab, "notebooks" Notebook 7), and wait for its kernel."""
        self.page.goto(f"{self.server.url}/{where}/{self.name}.ipynb?token={self.server.token}&reset", wait_until="domcontentloaded")
        self._wait()

    def run_cells(self) -> None:
        self.command("notebook:run-all-cells")

    def until_open(self) -> None:
        """Wait for the editor that a cell opens; where it does not come, say what the notebook shows instead."""
        from playwright.sync_api import TimeoutError as TooLong  # not there on every machine

        try:
            self.canvas.wait_for(state="visible", timeout=LONG)
        except TooLong:
            shown = self.page.locator(".jp-Notebook").first.inner_text()
            self.page.screenshot(path=str(self._pictures / f"{self.name}-without-editor.png"))
            raise AssertionError(f"no editor was shown; JavaScript's errors: {self.errors}; the notebook reads: {shown[-3000:]}") from None

    def command(self, name: str) -> None:
        """Run one of JupyterLab's commands."""
        self.page.evaluate("name => window.jupyterapp.commands.execute(name)", name)

    def reload(self) -> None:
        """Save, and load the page again; the kernel goes on."""
        self.command("docmanager:save")
        self.page.reload(wait_until="domcontentloaded")
        self._wait()

    def python(self, expression: str) -> Any:
        """The value of an expression in the kernel, as JSON."""
        said, error = self.page.evaluate(_EXECUTE, f"import json as _json\nprint(_json.dumps({expression}))")
        assert error is None, error
        return json.loads(said)

    def do(self, code: str) -> None:
        """Run statements in the kernel."""
        error = self.page.evaluate(_EXECUTE, code)[1]
        assert error is None, error

    def look(self, name: str) -> None:
        """Write what the editor looks like now."""
        self.editor.screenshot(path=str(self._pictures / f"{name}.png"))

    @property
    def editor(self) -> Any:
        return self.page.locator(".dk-editor").last

    @property
    def canvas(self) -> Any:
        """The one that the pointer meets; ipycanvas lays its layers together in it."""
        return self.editor.locator("canvas").first

    def text(self, kind: str) -> Any:
        """One of the lines "status", "error", "progress", "hint"."""
        return self.editor.locator(f".dk-{kind}")

    def press(self, words: str) -> None:
        """Press the button with these words."""
        self.button(words).click()

    def button(self, words: str) -> Any:
        return self.editor.locator("button:visible", has_text=re.compile(rf"^\s*{re.escape(words)}\s*$")).first

    def corner(self) -> tuple[float, float, float]:
        """Where the canvas' top left corner is in the window, and the CSS pixels of a canvas pixel: two by two on fine screens."""
        self.canvas.scroll_into_view_if_needed()
        left, top, scale = self.canvas.evaluate(
            "c => { const r = c.getBoundingClientRect(); return [r.left, r.top, r.width / c.width * (devicePixelRatio > 1 ? 2 : 1)]; }"
        )
        return left, top, scale

    def drag(self, *points: tuple[float, float], steps: int = 12, release: bool = True) -> None:
        """Press at the first point of the window, visit the others, release."""
        hit = self.page.evaluate("([x, y]) => document.elementFromPoint(x, y)?.tagName", list(points[0]))
        assert hit == "CANVAS", f"the press at {points[0]} would land on {hit}"
        self.page.mouse.move(*points[0])
        self.page.mouse.down()
        for point in points[1:]:
            self.page.mouse.move(*point, steps=steps)
        if release:
            self.page.mouse.up()

    def pixels(self) -> np.ndarray:
        """What the canvas shows in the browser, RGB (height, width, 3), one for each canvas pixel."""
        data = self.canvas.evaluate("canvas => canvas.toDataURL('image/png').split(',')[1]")
        return np.asarray(Image.open(io.BytesIO(b64decode(data))).convert("RGB"))

    def _wait(self) -> None:
        self.page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=LONG)
        self.page.wait_for_function(_READY, timeout=LONG)
