"""Handles on what is selected: they set the mode and its fields by themselves, and the fields move the handles."""

from __future__ import annotations

import time
from contextlib import suppress

import numpy as np

from dragonkit.edits.edit import Edit
from dragonkit.errors import EditError
from dragonkit.imaging.masks import bounding_box, center_of
from dragonkit.jupyter.canvas.view import CanvasView
from dragonkit.jupyter.canvas.viewport import Viewport
from dragonkit.jupyter.marks.state import MarkState
from dragonkit.jupyter.panels.mode_panel import ModePanel
from dragonkit.jupyter.tools.frame import FREE, Frame, Pull, When
from dragonkit.modes.moving import MovingEdit

__all__ = ["Posing"]

_STALK, _EDGE = 28.0, 10.0  # canvas pixels: how far the knob stands off, and how near to the canvas' edge handles may be
_SMALLEST = 0.05  # of its size; a hand that comes near the middle means small, not nothing


class Posing:
    """Gives the tool "pick" its frame, and does what its handles ask for.

    Args:
        view: where the frame is.
        modes: whose fields follow.
    """

    def __init__(self, view: CanvasView, modes: ModePanel) -> None:
        self._view, self._modes = view, modes
        self._edit: Edit | None = None
        self._known: tuple[np.ndarray, Edit | None, Viewport, Frame | None] | None = None
        self._before: dict[Pull, float] = {}
        self._rests = 0.0
        pick = view.tools["pick"]
        pick.frame, pick.pull = self.frame, self.pull  # type: ignore[attr-defined]

    def show(self, edit: Edit | None) -> None:
        """The frame goes where this edit takes what is selected."""
        self._edit = edit

    def frame(self, state: MarkState) -> Frame | None:
        """None while nothing is selected."""
        viewport, known = self._view.viewport, self._known
        if known is None or known[0] is not state.mask or known[1] is not self._edit or known[2] != viewport:
            known = self._known = state.mask, self._edit, viewport, self._made(state.mask, self._edit, viewport)
        return known[3]

    def pull(self, pull: Pull, by: float, now: When) -> None:
        """A handle has been pulled: so many times as large as at the press, or turned by so many degrees.

        Raises:
            EditError: no mode does that.
        """
        if now == "press":
            self._before = {pull: float(self._modes.form.values().get(pull, 1.0 if pull == "scale" else 0.0))}
            return
        begun = time.monotonic()
        if now == "move" and begun < self._rests:  # a large picture is slower than the hand
            return
        self._modes.become(pull)
        if pull == "scale":
            value = round(max(self._before[pull] * by, _SMALLEST), 2)
        else:
            value = float(round((self._before[pull] + by + 180) % 360 - 180))
        field = next(field for field in self._modes.form.fields if field.name == pull)
        bounds = field.allowed.bounds
        value = min(max(value, bounds.get("minimum", -np.inf)), bounds.get("maximum", np.inf))
        self._modes.form.update({pull: value})
        self._rests = 2 * time.monotonic() - begun

    def _made(self, mask: np.ndarray, edit: Edit | None, viewport: Viewport) -> Frame | None:
        if not mask.any():
            return None
        affine = FREE
        if isinstance(edit, MovingEdit):
            with suppress(EditError):  # it changes nothing, of which Run tells
                affine = edit.affine(mask)
        width, height = viewport.canvas_size
        room = *viewport.to_image(_EDGE, _EDGE), *viewport.to_image(width - _EDGE, height - _EDGE)
        return Frame(bounding_box(mask), center_of(mask), affine, self._modes.offers("degrees"), _STALK / viewport.scale, room)
