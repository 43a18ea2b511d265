"""All results as thumbnails. The panel shows what it is told and knows nothing of editing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ipywidgets as W

from dragonkit.jupyter.elements import button, png, row
from dragonkit.jupyter.panels.thumbnail import Thumbnail
from dragonkit.jupyter.work.history import History

__all__ = ["HistoryPanel"]

_THUMBNAIL = 80  # CSS pixels of the longest side


class HistoryPanel:
    """Thumbnails of all results: a click compares, and each has a way back to it and a way on from it."""

    def __init__(self, compare: Callable[[int], Any], revert: Callable[[int], Any], go_on: Callable[[int], Any]) -> None:
        self._compare, self._revert, self._go_on = compare, revert, go_on
        self.widget = row()

    def show(self, history: History) -> None:
        """Thumbnails already there are kept: only new ones travel to the browser."""
        for index in range(len(self.widget.children), len(history)):
            self.widget.children = (*self.widget.children, self._card(index, history))
        for entry, card in zip(history, self.widget.children, strict=True):
            card.layout.border = "2px solid #0072b2" if entry is history.current else "2px solid transparent"

    def _card(self, index: int, history: History) -> W.Widget:
        entry = history[index]
        thumbnail = entry.after.image.copy()
        thumbnail.thumbnail((2 * _THUMBNAIL, 2 * _THUMBNAIL))  # sharp on fine screens
        words = f"{index + 1}: {', '.join(edit.mode for edit in entry.edits)}"
        return W.VBox(
            [
                Thumbnail(
                    png(thumbnail), f"run {words}", "see it over the picture, before and after", lambda: self._compare(index), _THUMBNAIL
                ),
                W.Label(words),
                button("revert", f"go back to run {words}", lambda: self._revert(index), icon="history"),
                button("continue from here", f"edit the result of run {words}", lambda: self._go_on(index), icon="arrow-right"),
            ],
            layout=W.Layout(align_items="center", padding="2px"),
        )
