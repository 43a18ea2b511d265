"""What stands below the picture: running and watching, and the history. They show what they are told and know nothing of editing."""

from __future__ import annotations

import html
import io
from collections.abc import Callable
from typing import Any

import ipywidgets as W
from PIL import Image

from dragonkit.jupyter.history import History
from dragonkit.jupyter.job import Progress, in_words

__all__ = ["STYLE", "HistoryPanel", "RunPanel", "button", "png", "row"]

_PREVIEW, _THUMBNAIL = 160, 80  # CSS pixels of the longest side

STYLE = """<style>
.dk-editor .widget-inline-hbox { max-width: calc(100% - 4px); }
.dk-editor canvas { max-width: 100%; height: auto !important; }
.dk-editor button:focus-visible, .dk-editor input:focus-visible, .dk-editor select:focus-visible, .dk-editor canvas:focus-visible,
.dk-editor textarea:focus-visible, .dk-editor [tabindex]:focus-visible { outline: 3px solid #0072b2 !important; outline-offset: 1px; }
.dk-editor textarea { white-space: pre; }
.dk-editor .dk-second canvas { max-width: min(100%, 320px); }
.dk-editor .widget-html-content { line-height: 1.4; }
.dk-editor .widget-toggle-button { display: inline-flex; align-items: center; gap: 4px; }
.dk-editor .widget-toggle-button i { order: -1; }
.dk-editor .dk-help { opacity: 0.75; }
.dk-editor .dk-hint { font-style: italic; }
.dk-editor .dk-error, .dk-editor .dk-field-error { color: #d55e00; font-weight: bold; }
</style>"""
"""For the whole editor: canvases fit narrow windows, the focus can be seen, and errors are told apart by more than their colour."""


def button(words: str, tooltip: str, action: Callable[[], Any], **options: Any) -> W.Button:
    """A button as wide as its words."""
    made = W.Button(description=words, tooltip=tooltip, layout=W.Layout(width="auto"), **options)
    made.on_click(lambda _: action())
    return made


def row(*children: W.Widget) -> W.HBox:
    """Side by side, and below each other where the window is narrow."""
    return W.HBox(children, layout=W.Layout(flex_flow="row wrap", align_items="center"))


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()


class RunPanel:
    """Run, Cancel, a progress bar, the picture in the making, and what there is to say.

    Attributes:
        widget: all of it.
        messages: everything that was ever said, errors too.
    """

    def __init__(self, run: Callable[[], Any], cancel: Callable[[], Any]) -> None:
        self.messages: list[str] = []
        self._run = button("Run", "run the edit", run, button_style="primary", icon="play")
        self._cancel = button("Cancel", "stop the run within one step", cancel, disabled=True, icon="stop")
        self._bar = W.IntProgress(value=0, min=0, max=1, layout=W.Layout(flex="1 1 10em", width="auto", min_width="8em"))
        self._words = W.HTML().add_class("dk-progress")
        self._preview = W.Image(format="png", layout=W.Layout(display="none"))
        self._status = W.HTML().add_class("dk-status")
        self._error = W.HTML().add_class("dk-error")
        self.widget = W.VBox([row(self._run, self._cancel, self._bar), self._words, self._preview, self._status, self._error])

    def say(self, words: str) -> None:
        """Replace the status line; an error stays."""
        self.messages.append(words)
        self._status.value = f'<span role="status">{html.escape(words)}</span>'

    def fail(self, error: BaseException) -> None:
        """Show an error below the status line, where it stays until `forgive`."""
        self.messages.append(in_words(error))
        self._error.value = f'<span role="alert">{html.escape(in_words(error))}</span>'

    def forgive(self) -> None:
        self._error.value = ""

    def busy(self, running: bool) -> None:
        """Whether a run is going on: then it can be cancelled, and not be started again."""
        self._run.disabled, self._cancel.disabled = running, not running
        if running:
            self._bar.value = 0

    def progress(self, what: str, progress: Progress) -> None:
        self._bar.max, self._bar.value = progress.steps, progress.step
        left = "" if progress.seconds_left is None else f", about {progress.seconds_left:.0f} s left"
        energies = "".join(f"; {name} {value:.3g}" for name, value in progress.energies.items())
        self._words.value = html.escape(f"{what}: step {progress.step} of {progress.steps}{left}{energies}")

    def rest(self) -> None:
        """Nothing is going on."""
        self._words.value, self._bar.value = "", 0
        self._preview.layout.display = "none"

    def preview(self, image: Image.Image, size: tuple[int, int]) -> None:
        """Show the picture in the making, of whatever size, in the proportions of `size` (width, height)."""
        self._preview.value = png(image)
        self._preview.layout.width, self._preview.layout.height = (f"{round(side * _PREVIEW / max(size))}px" for side in size)
        self._preview.layout.display = ""


class HistoryPanel:
    """Thumbnails of all results, each with a way back to it and a way on from it."""

    def __init__(self, revert: Callable[[int], Any], go_on: Callable[[int], Any]) -> None:
        self._revert, self._go_on = revert, go_on
        self.widget = row()

    def show(self, history: History) -> None:
        """Thumbnails already there are kept: only new ones travel to the browser."""
        for index in range(len(self.widget.children), len(history)):
            self.widget.children = (*self.widget.children, self._card(index, history))
        for entry, card in zip(history, self.widget.children, strict=True):
            card.layout.border = "2px solid #0072b2" if entry is history.current else "2px solid transparent"

    def _card(self, index: int, history: History) -> W.Widget:
        entry = history[index]
        thumbnail = entry.result.image.copy()
        thumbnail.thumbnail((2 * _THUMBNAIL, 2 * _THUMBNAIL))  # sharp on fine screens
        words = f"{index + 1}: {', '.join(edit.mode for edit in entry.edits)}"
        return W.VBox(
            [
                # no tooltip: the front end of ipywidgets 8.1 fails on that of a picture
                W.Image(value=png(thumbnail), format="png", layout=W.Layout(height=f"{_THUMBNAIL}px", width="auto")),
                W.Label(words),
                button("revert", f"go back to run {words}", lambda: self._revert(index), icon="history"),
                button("continue from here", f"edit the result of run {words}", lambda: self._go_on(index), icon="arrow-right"),
            ],
            layout=W.Layout(align_items="center", padding="2px"),
        )
