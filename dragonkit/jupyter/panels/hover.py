"""What a click would select, shown while the pointer is over it. Each thing is looked for once, in the background."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np

from dragonkit.errors import MaskError
from dragonkit.jupyter.canvas.view import CanvasView
from dragonkit.jupyter.marks.undo import Click
from dragonkit.jupyter.work.latest import Latest

__all__ = ["Hover"]

PATIENCE = 1.0
"""Seconds of work that a selector may take; one that takes more twice is asked by clicks only, or it would be busy whenever a click
comes. What else keeps the machine busy, such as a model that is being loaded, does not count."""

Select = Callable[[list[Click]], np.ndarray]


class Hover:
    """Lights up what lies under the pointer.

    Args:
        view: where; it is for its tool "pick".
        fail: told of errors of selectors. One that fails is not asked again until `look_for`.
    """

    def __init__(self, view: CanvasView, fail: Callable[[Exception], Any]) -> None:
        self._view, self._fail = view, fail
        self._select: Select | None = None
        self._known: list[np.ndarray] = []
        self._slow = 0  # times in a row
        self._latest = Latest(self._failed)
        view.on_hover(self._over)

    def look_for(self, select: Select | None) -> None:
        """Another selector, other options or another picture: what was known is not any more. `select` may take a while."""
        self._latest.forget()
        self._select, self._known, self._slow = select, [], 0
        self._view.highlight(None)

    def under(self, x: float, y: float) -> np.ndarray | None:
        """What is known to be selected by a click there, bool (H, W); None when nothing is."""
        row, column = math.floor(y), math.floor(x)
        inside = 0 <= row < self._view.state.size[1] and 0 <= column < self._view.state.size[0]
        return next((mask for mask in reversed(self._known) if mask[row, column]), None) if inside else None

    def wait(self, timeout: float) -> bool:
        """Whether nothing is being looked for within `timeout` seconds."""
        return self._latest.wait(timeout)

    def _over(self, x: float, y: float, inside: bool) -> None:
        state, select = self._view.state, self._select
        width, height = state.size
        inside = inside and 0 <= x < width and 0 <= y < height
        # a further click corrects the selection, which is another thing; and what is selected is there to be taken
        if not inside or select is None or self._view.tool.name != "pick" or state.points or state.mask[math.floor(y), math.floor(x)]:
            self._latest.forget()
            self._view.highlight(None)
            return
        if (known := self.under(x, y)) is not None:
            self._latest.forget()
            self._view.highlight(known)
            return

        def work(wanted: Callable[[], bool]) -> None:
            begun, mask = time.thread_time(), None
            with suppress(MaskError):  # there is nothing, of which a click would tell
                mask = select([(x, y, True)])
            if select is not self._select:
                return
            self._slow = self._slow + 1 if time.thread_time() - begun > PATIENCE else 0
            if self._slow > 1:
                self._select = None
            if mask is not None:
                self._known.append(mask)
            if wanted() and self._view.tool.name == "pick" and not self._view.state.points:
                self._view.highlight(mask)

        self._latest.do(work)

    def _failed(self, error: Exception) -> None:
        self._select = None
        self._fail(error)
