"""Buttons to keep a run: as an edit file, as a Python script, as a picture."""

from __future__ import annotations

import html
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ipywidgets as W

from dragonkit.editing.results import EditResult
from dragonkit.editing.storing import BESIDE, Metadata
from dragonkit.edits.file import EditFile
from dragonkit.files import free_name
from dragonkit.jupyter.elements import button, row
from dragonkit.jupyter.panels.messages import Messages

__all__ = ["ExportPanel"]

# a kernel has no clipboard; the browser's is only there on https and localhost, so the text can be marked and copied as well
_COPY = '<button class="jupyter-button" data-text="{}" onclick="navigator.clipboard.writeText(this.dataset.text)">copy</button>'


class ExportPanel:
    """Writes into the current folder, under names that are free.

    Args:
        file: makes the edit file of what is asked for now.
        script: makes the Python script of it.
        result: gives the result that is shown. EditError when there is none.
        messages: told what was written, and of errors.

    Attributes:
        widget: all of it.
        text: the script, for those who have no mouse.
    """

    def __init__(
        self,
        file: Callable[[], EditFile],
        script: Callable[[], str],
        result: Callable[[], EditResult],
        messages: Messages,
    ) -> None:
        self._file, self._script, self._result, self._messages = file, script, result, messages
        self.text, self._copy = W.Textarea(layout=W.Layout(width="auto", height="14em")), W.HTML()
        self._shown = W.VBox([self.text, self._copy], layout=W.Layout(display="none"))
        buttons = row(
            button(
                "Export edit file",
                "write what is asked for now as JSON, with your picture inside, for dragonkit run",
                lambda: self._guarded(self.export),
                icon="file-code",
            ),
            button("Copy as Python", "the exact script that gives the same result", lambda: self._guarded(self.show_script), icon="copy"),
            button(
                "Save PNG",
                "write the result, and into it masks, settings and words, but no picture: anybody who gets the file can read them",
                lambda: self._guarded(self.save),
                icon="download",
            ),
        )
        self.widget = W.VBox([buttons, self._shown])

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
        """Show the script, with a button that copies it."""
        self.text.value = self._script()
        self._copy.value = _COPY.format(html.escape(self.text.value))
        self._shown.layout.display = ""
        return self.text.value

    def _guarded(self, action: Callable[[], Any]) -> None:
        try:
            action()
        except Exception as error:
            self._messages.fail(error, "file")
