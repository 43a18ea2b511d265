"""The editor as a still picture, for places that show no widgets: GitHub, nbconvert, a notebook opened without its kernel."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import numpy as np
from IPython.display import display
from PIL import Image, ImageDraw

from dragonkit.jupyter.canvas.overlay import mask_overlay
from dragonkit.jupyter.canvas.viewport import Viewport, canvas_size
from dragonkit.jupyter.elements import png
from dragonkit.jupyter.marks.state import MarkState

__all__ = ["Still", "still"]

_ARROW = "#e69f00"


def still(picture: Image.Image, marks: MarkState | None) -> Image.Image:
    """The picture as large as on the canvas, with its mask and arrows; without marks as it is."""
    viewport = Viewport(picture.size, canvas_size(picture.size))
    size = viewport.canvas_size
    image = picture.resize(size, Image.Resampling.LANCZOS if viewport.scale < 1 else Image.Resampling.NEAREST).convert("RGBA")
    if marks is None:
        return image.convert("RGB")
    image.alpha_composite(Image.fromarray(mask_overlay(np.array(marks.mask), viewport, (0, 0, *size), 0.45)))
    draw = ImageDraw.Draw(image)
    for start, end in marks.drags:
        way = [viewport.to_canvas(*start), viewport.to_canvas(*end)]
        draw.line(way, fill="black", width=5)
        draw.line(way, fill=_ARROW, width=3)
        draw.circle(way[1], 6, fill=_ARROW, outline="black")
    return image.convert("RGB")


class Still:
    """A picture as an output of its own beside the widget's: a notebook keeps it when it is saved, whatever becomes of the widget.

    Args:
        picture: gives what is to be seen now.
    """

    def __init__(self, picture: Callable[[], Image.Image]) -> None:
        self._picture, self._shown = picture, list[Any]()

    def data(self) -> dict[str, str]:
        """As a notebook's outputs are written."""
        return {"image/png": base64.b64encode(png(self._picture())).decode("ascii"), "text/plain": "the picture in the editor"}

    def show(self) -> None:
        """Put it below what was displayed last."""
        self._shown.append(display(self.data(), raw=True, display_id=True))

    def renew(self) -> None:
        """What was shown before is replaced."""
        data = self.data() if self._shown else {}
        for handle in self._shown:
            handle.update(data, raw=True)
