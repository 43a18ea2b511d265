"""Another mask of the same picture, such as what a vacated place shall resemble: painted like the mask, then taken over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ipywidgets as W
import numpy as np

from dragonkit.imaging.masks import load_mask
from dragonkit.jupyter.elements import button
from dragonkit.jupyter.forms.controls import LEFT_OUT, Control
from dragonkit.jupyter.forms.roles import FormField

__all__ = ["Region"]


class Region(Control):
    """A control whose value is a mask, bool (H, W).

    Args:
        field: of the mode.
        painted: gives the mask that is painted now.
    """

    def __init__(self, field: FormField, painted: Callable[[], np.ndarray]) -> None:
        self._painted, self._kept, self._callbacks = painted, LEFT_OUT, list[Callable[[], None]]()
        self._words = W.Label()
        take = button("take the painted mask", field.description, lambda: self._keep(self._painted()), icon="paint-brush")
        forget = button("leave out", f"{field.title}: leave it out", lambda: self._keep(LEFT_OUT), icon="times")
        label = W.Label(field.title, tooltip=field.description, layout=W.Layout(width="10em", justify_content="flex-end"))
        super().__init__(W.HBox([label, take, forget, self._words], layout=W.Layout(flex_flow="row wrap")), lambda: self._kept, self._set)
        self._keep(LEFT_OUT)

    def on_change(self, callback: Callable[[], None]) -> None:
        self._callbacks.append(callback)

    def _set(self, value: Any) -> None:
        height, width = self._painted().shape
        self._keep(LEFT_OUT if value is LEFT_OUT or value is None else load_mask(value, (width, height)))

    def _keep(self, mask: Any) -> None:
        self._kept = LEFT_OUT if mask is LEFT_OUT or not mask.any() else mask.copy()
        self._words.value = "left out" if self._kept is LEFT_OUT else f"{int(self._kept.sum())} pixels"
        for callback in self._callbacks:
            callback()
