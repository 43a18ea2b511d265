"""Before and after on one canvas: the result lies right of a line that can be pushed. Both pictures are sent to the browser once, which
moves the line by itself where a mouse has it (curtain.js); a finger's way goes through Python."""

from __future__ import annotations

from typing import Any

from PIL import Image

from dragonkit.jupyter.canvas.sheet import Place, Sheet
from dragonkit.jupyter.canvas.viewport import Viewport

__all__ = ["Comparison"]

_KNOB = 11.0  # canvas pixels


class Comparison:
    """What of a result is seen.

    Attributes:
        after: the result, as large as the picture; None while there is none.
        share: how much of it is seen, from 0 to 1, beginning at the right.
    """

    def __init__(self) -> None:
        self._sheet = Sheet()
        self.after: Image.Image | None = None
        self.share = 0.0

    @property
    def shown(self) -> bool:
        return self.after is not None and self.share > 0

    def line(self, viewport: Viewport) -> float:
        """Where the line is, in canvas pixels from the left."""
        return viewport.to_canvas((1 - self.share) * viewport.image_size[0], 0)[0]

    def share_at(self, viewport: Viewport, x: float) -> float:
        """The share with the line at a canvas position."""
        return min(max(1 - viewport.to_image(x, 0)[0] / viewport.image_size[0], 0.0), 1.0)

    def told(self, before: Place, viewport: Viewport, reach: float) -> dict[str, Any]:
        """What the browser must know to push the line: nothing where there is none.

        Args:
            before: of the picture under the result.
            reach: how near the line the pointer takes it, in canvas pixels.
        """
        if not self.shown or self.after is None:
            return {}
        fine = viewport.fine
        after = self._sheet.place(self.after, viewport).told(fine)
        return {"before": before.told(fine), "after": after, "line": fine * self.line(viewport), "reach": fine * reach, "fine": fine}

    def draw(self, layer: Any, viewport: Viewport) -> None:
        """Draw the result on an ipycanvas layer, over the picture."""
        if self.after is None or self.share <= 0:
            return
        width, height = viewport.canvas_size
        left = min(max(self.line(viewport), 0.0), float(width))
        layer.save()
        layer.begin_path()
        layer.rect(left, 0, width - left, height)
        layer.clip()
        self._sheet.draw(layer, self.after, viewport)
        layer.restore()

    def draw_line(self, layer: Any, viewport: Viewport) -> None:
        """Draw the line with its handle, and what is on which side of it."""
        if not self.shown:
            return
        (width, height), x = viewport.canvas_size, self.line(viewport)
        for half, color in ((2.0, "#000000"), (1.0, "#ffffff")):
            layer.fill_style = color
            layer.fill_rect(x - half, 0, 2 * half, height)
        for radius, color in ((_KNOB + 1.5, "#000000"), (_KNOB, "#ffffff")):
            layer.fill_style = color
            layer.fill_circle(x, height / 2, radius)
        layer.fill_style = "#000000"
        for way in (-1, 1):
            layer.fill_polygon([(x + way * 9, height / 2), (x + way * 3, height / 2 - 5), (x + way * 3, height / 2 + 5)])
        layer.font, layer.text_baseline = "14px sans-serif", "top"
        for words, align, at, room in (("before", "right", x - 8, x), ("after", "left", x + 8, width - x)):
            if room > 60:  # else it would be cut
                layer.text_align, layer.line_width, layer.stroke_style, layer.fill_style = align, 3.0, "#000000", "#ffffff"
                layer.stroke_text(words, at, 8)
                layer.fill_text(words, at, 8)
