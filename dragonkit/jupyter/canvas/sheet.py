"""A picture that lives in the browser: sent once and without loss, drawn as often as needed."""

from __future__ import annotations

import io
from typing import Any, NamedTuple

import ipywidgets as W
from PIL import Image

from dragonkit.imaging.strokes import Point
from dragonkit.jupyter.canvas.viewport import Viewport

__all__ = ["Place", "Sheet"]


class Place(NamedTuple):
    """A file in the browser, and where on a canvas it is drawn, in the canvas's pixels."""

    file: W.Image
    x: float
    y: float
    width: float
    height: float
    smooth: bool

    def told(self, fine: int) -> dict[str, Any]:
        """For the browser, whose canvas has `fine` pixels for each of these."""
        x, y, width, height = (fine * one for one in self[1:5])
        return {"file": self.file.model_id, "x": x, "y": y, "width": width, "height": height, "smooth": self.smooth}


class Sheet:
    """Holds one picture at a time: as it is, and reduced, which browsers do badly.

    ipycanvas itself would send RGB as JPEG. The widgets stay when the picture changes: a browser that has yet to draw from one stops
    drawing for good when it is gone.
    """

    def __init__(self) -> None:
        self._whole, self._reduced = W.Image(format="png"), W.Image(format="png")
        self._held: dict[W.Image, tuple[Image.Image, float]] = {}

    def draw(self, layer: Any, image: Image.Image, viewport: Viewport, at: Point = (0.0, 0.0), larger: float = 1.0) -> None:
        """Draw the picture on an ipycanvas layer, its top left corner at a position of the viewport's picture.

        Args:
            larger: how many pixels of the viewport's picture one pixel of this one takes.
        """
        place = self.place(image, viewport, at, larger)
        layer.image_smoothing_enabled = place.smooth
        layer.draw_image(place.file, place.x, place.y, place.width, place.height)

    def place(self, image: Image.Image, viewport: Viewport, at: Point = (0.0, 0.0), larger: float = 1.0) -> Place:
        """Where the picture is drawn, and from what."""
        x, y = viewport.to_canvas(*at)
        scale, fine = viewport.scale * larger, viewport.fine
        if scale * fine >= 1:
            smooth = scale * fine < 2  # from there on, people want to see pixels
            return Place(self._holding(self._whole, image, 1.0)[0], x, y, image.width * scale, image.height * scale, smooth)
        x, y = round(x * fine) / fine, round(y * fine) / fine  # between pixels it would be blurred
        file, size = self._holding(self._reduced, image, scale * fine)
        return Place(file, x, y, size[0] / fine, size[1] / fine, True)

    def _holding(self, file: W.Image, image: Image.Image, scale: float) -> tuple[W.Image, tuple[int, int]]:
        """The file with the picture in it, and its (width, height)."""
        held = self._held.get(file)
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        if held is None or held[0] is not image or held[1] != scale:
            buffer = io.BytesIO()
            # more compression takes four times as long for little
            image.resize(size, Image.Resampling.LANCZOS).save(buffer, format="PNG", compress_level=1)
            file.value = buffer.getvalue()
            self._held[file] = (image, scale)
        return file, size
