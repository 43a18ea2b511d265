"""Buttons to keep a run, on the kernel's disk or the browser's: as an edit file, as a Python script, as a picture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import ipywidgets as W

from dragonkit.editing.results import EditResult
from dragonkit.editing.storing import BESIDE, Metadata
from dragonkit.edits.file import EditFile
from dragonkit.files import free_name
from dragonkit.jupyter.canvas.view import CanvasView
from dragonkit.jupyter.elements import button, row
from dragonkit.jupyter.panels.messages import Messages

__all__ = ["ExportPanel"]


class ExportPanel:
    """Writes into the kernel's current folder, under names that are free, or gives the browser a file.

    Args:
        file: makes the edit file of what is asked for now.
        script: makes the Python script of it.
        result: gives the result that is shown. EditError when there is none.
        messages: told what was written, and of errors.
        view: whose part in the browser has a clipboard and takes files.

    Attributes:
        widget: all of it.
        text: the script, shown while it is what was asked for last.
    """

    def __init__(
        self,
        file: Callable[[], EditFile],
        script: Callable[[], str],
        result: Callable[[], EditResult],
        messages: Messages,
        view: CanvasView,
    ) -> None:
        self._front = view.front
        view.on_copied(self._copied)
        self._file, self._script, self._result, self._messages = file, script, result, messages
        self.text = W.Textarea(layout=W.Layout(width="auto", height="14em", display="none"))
        buttons = row(
            button(
                "Export edit file",
                "write what is asked for now as JSON, with your picture inside, for dragonkit run",
                lambda: self._guarded(self.export),
                icon="file-code",
            ),
            button(
                "Copy as Python",
                "put the exact script that gives the same result on the clipboard",
                lambda: self._guarded(self.show_script),
                icon="copy",
            ),
            button(
                "Save PNG",
                "write the result, and into it masks, settings and words, but no picture: anybody who gets the file can read them",
                lambda: self._guarded(self.save),
                icon="save",
            ),
            button("Download PNG", "the same picture, for the browser", lambda: self._guarded(self.download), icon="download"),
            button("Download edit file", "the same file, for the browser", lambda: self._guarded(self.download_file), icon="file-download"),
        )
        self.widget = W.VBox([buttons, self.text])

    def export(self) -> Path:
        """Write the edit file, and say where."""
        file, path = self._file(), free_name("edit.json", first=1)
        file.save(path)
        self._messages.say(f"written: {path}; dragonkit run {path} gives the same result", "file")
        return path

    def save(self, metadata: Metadata = "edit") -> Path:
        """Write the result, and say where; `metadata` as in `EditResult.save`."""
        path = self._result().save(free_name("edited.png", [BESIDE], first=1), metadata, overwrite=False)
        again = {
            "edit": f"; it says what was asked for, and dragonkit run {path} --image PICTURE gives it again",
            "full": f"; your picture is in it, and dragonkit run {path} gives it again",
        }
        self._messages.say(f"written: {path}{again.get(metadata, '')}", "file")
        return path

    def show_script(self) -> str:
        """Put the script on the clipboard, and show it."""
        self.text.value = self._script()
        self.text.layout.display = None
        self._front.copy(self.text.value)
        return self.text.value

    def forget_script(self) -> None:
        """It is no longer what is asked for."""
        self.text.layout.display = "none"

    def download(self) -> None:
        """Give the browser the result, and what has no room in it."""
        result = self._result()
        self._hand_over(lambda folder: result.save(folder / "edited.png"))

    def download_file(self) -> None:
        """Give the browser the edit file."""
        file = self._file()
        self._hand_over(lambda folder: file.save(folder / "edit.json"))

    def _hand_over(self, write: Callable[[Path], Any]) -> None:
        with TemporaryDirectory() as folder:
            write(Path(folder))
            paths = sorted(Path(folder).iterdir())
            for path in paths:
                self._front.download(path.name, path.read_bytes())
        self._messages.say(f"{' and '.join(path.name for path in paths)}: among the browser's downloads", "file")

    def _copied(self, done: bool) -> None:
        if done:
            self._messages.say("the script is on the clipboard", "file")
        else:
            self._messages.say("this page may not use the clipboard: mark the script below and copy it", "file", "warning")

    def _guarded(self, action: Callable[[], Any]) -> None:
        try:
            action()
        except Exception as error:
            self._messages.fail(error, "file")
