"""What the canvas shows: the picture with its marks, an edit before any diffusion, or the result, as far as a slider lets it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import ipywidgets as W
import numpy as np
from PIL import Image

from dragonkit.edits.edit import Edit
from dragonkit.errors import EditError
from dragonkit.imaging.strokes import Point
from dragonkit.jupyter.canvas.layers import drawing
from dragonkit.jupyter.canvas.view import CanvasView
from dragonkit.jupyter.marks.state import MarkState
from dragonkit.jupyter.panels.ghost import Ghost, cut_out, filled, ghosts_of
from dragonkit.jupyter.work.latest import Latest
from dragonkit.plugins.registry import PluginRegistry

__all__ = ["Stage"]


class Stage:
    """Decides what lies on a canvas.

    Args:
        view: the canvas.
        picture: what is edited, RGB.
        fail: told of errors of plugins whose edits are previewed.

    Attributes:
        after: the slider from 0, the picture as it was, to 1, the result.
        picture: what is edited.
        result: what came out; None while there is nothing to compare.
    """

    def __init__(self, view: CanvasView, picture: Image.Image, fail: Callable[[Exception], Any]) -> None:
        self.view, self.picture = view, picture
        self._previews = Latest(fail)
        self._pixels: tuple[Image.Image, np.ndarray] | None = None
        self.result: Image.Image | None = None
        self.after = W.FloatSlider(
            value=0,
            min=0,
            max=1,
            step=0.001,
            readout_format=".2f",
            description="before/after",
            tooltip="how much of the result is seen; the line on the picture can be pushed, too",
            disabled=True,
        )
        self.after.style.description_width = "initial"
        self.after.observe(lambda change: self._show(), names="value")
        view.on_slide(lambda share: setattr(self.after, "value", round(max(share, 0.01), 3)))  # at 0 there would be no line to push back
        self._lifted: tuple[Ghost, tuple[float, float]] | None = None
        self._hole: Ghost | None = None
        self._laid: tuple[Ghost | None, ...] = ()  # what is seen of an edit: its content, and what it uncovers

    @property
    def comparing(self) -> bool:
        """Whether something of the result is to be seen."""
        return self.result is not None and self.after.value > 0

    def set_picture(self, picture: Image.Image, marks: MarkState) -> None:
        """Edit another picture, with its marks."""
        self._previews.forget()
        self._lifted, self.picture = None, picture
        self._lay()
        self.set_result(None)
        self.view.set_image(picture, marks)

    def set_result(self, result: Image.Image | None) -> None:
        """Show a result; None shows the picture."""
        self.result = result
        self.after.disabled = result is None
        value = 0.0 if result is None else 1.0
        if self.after.value == value:
            self._show()
        else:
            self.after.value = value

    def set_source(self) -> None:
        """Show the picture itself, since somebody goes on with it; the result stays behind the slider."""
        self.after.value = 0.0

    def preview(self, registry: PluginRegistry, edit: Edit | None) -> None:
        """Show soon what the edit would do, as far as this can be told without a model; None shows nothing, at once."""
        if edit is None:
            self._previews.forget()
            self._lay()
            return
        picture = self._array()

        def work(wanted: Callable[[], bool]) -> None:
            ghosts: tuple[Ghost | None, ...] = ()
            with suppress(EditError):  # it does not fit the picture, of which Run tells; while somebody still draws, that is no error
                ghosts = ghosts_of(registry, edit, picture)
            with drawing:  # a result may come meanwhile, which it must not lie over
                if wanted() and not self.comparing:
                    self._lay(*ghosts)

        self._previews.do(work)

    def wait(self, timeout: float) -> bool:
        """Whether the preview is there within `timeout` seconds."""
        return self._previews.wait(timeout)

    @property
    def lifted(self) -> bool:
        """Whether something is being carried."""
        return self._lifted is not None

    def lift(self, mask: np.ndarray, x: float, y: float, shift: Point = (0.0, 0.0)) -> None:
        """Take up what is under the mask at a position of the picture; `carry` moves it.

        Args:
            shift: how far it has been moved already. Then it is taken as it looks there, if that is to be seen.
        """
        self._previews.forget()
        picture = self._array()
        seen = self._laid if any(shift) else ()
        ghost, self._hole = seen or (cut_out(picture, mask, shift), filled(picture, mask))
        self._lifted = None if ghost is None else (ghost, (x, y))

    def carry(self, x: float, y: float) -> None:
        """The pointer is here now."""
        if self._lifted is not None:
            ghost, start = self._lifted
            self._lay(ghost._replace(x=ghost.x + round(x - start[0]), y=ghost.y + round(y - start[1])), self._hole)

    def drop(self) -> None:
        self._lifted = None

    def _array(self) -> np.ndarray:
        """The picture, uint8 (H, W, 3): of a large one it takes a while."""
        if self._pixels is None or self._pixels[0] is not self.picture:
            self._pixels = self.picture, np.asarray(self.picture)
        return self._pixels[1]

    def _lay(self, *ghosts: Ghost | None) -> None:
        """The first lies on top."""
        self._laid = ghosts if len(ghosts) == 2 and ghosts[0] is not None else ()
        self.view.show_ghosts([ghost for ghost in reversed(ghosts) if ghost is not None])

    def _show(self) -> None:
        with drawing:
            self._show_so()

    def _show_so(self) -> None:
        self.view.compare(self.result, self.after.value)
        self.view.marked = not self.comparing  # the marks belong to the picture, and would hide what became of it
        if self.comparing:
            self._previews.forget()
            self._lay()
