"""Running and watching. The panel shows what it is told and knows nothing of editing."""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import Any

import ipywidgets as W
from PIL import Image

from dragonkit.jupyter.elements import button, png, row
from dragonkit.jupyter.work.job import Progress

__all__ = ["RunPanel"]

_PREVIEW = 160  # CSS pixels of the longest side


class RunPanel:
    """Run, Cancel, a progress bar, and the picture in the making.

    Attributes:
        widget: all of it.
    """

    def __init__(self, run: Callable[[], Any], cancel: Callable[[], Any]) -> None:
        self._run = button("Run", "run the edit", run, button_style="primary", icon="play")
        self._cancel = button("Cancel", "stop the run within one step", cancel, disabled=True, icon="stop")
        self._bar = W.IntProgress(value=0, min=0, max=1, layout=W.Layout(flex="1 1 10em", width="auto", min_width="8em"))
        self._words = W.HTML().add_class("dk-progress")
        self._preview = W.Image(format="png", layout=W.Layout(display="none"))
        self.widget = W.VBox([row(self._run, self._cancel, self._bar), self._words, self._preview])

    def busy(self, running: bool) -> None:
        """Whether a run is going on: then it can be cancelled, and not be started again."""
        self._run.disabled, self._cancel.disabled = running, not running
        if running:
            self._bar.value = 0

    def progress(self, what: str, progress: Progress) -> None:
        self._bar.max, self._bar.value = progress.steps, progress.step
        left = "" if progress.seconds_left is None else f", about {progress.seconds_left:.0f} s left"
        energies = "".join(f"; {name} {value:.3g}" for name, value in progress.energies.items())
        done = f"{progress.step} of {progress.steps}"
        words = f"{what}: {f'step {done}' if progress.unit == 'step' else f'{done} {progress.unit}'}{left}{energies}"
        waits = progress.step == 0 and progress.unit == "step"
        self._words.value = html.escape(f"{what} waits: something else runs on this model" if waits else words)

    def rest(self) -> None:
        """Nothing is going on."""
        self._words.value, self._bar.value = "", 0
        self._preview.layout.display = "none"

    def preview(self, image: Image.Image, size: tuple[int, int]) -> None:
        """Show the picture in the making, of whatever size, in the proportions of `size` (width, height)."""
        self._preview.value = png(image)
        self._preview.layout.width, self._preview.layout.height = (f"{round(side * _PREVIEW / max(size))}px" for side in size)
        self._preview.layout.display = ""
