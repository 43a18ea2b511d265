"""A small picture that can be clicked, also with a key."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anywidget
import traitlets

__all__ = ["Thumbnail"]


class Thumbnail(anywidget.AnyWidget):
    """A button with a picture on it.

    Args:
        picture: PNG.
        description: read to those who do not see it.
        tooltip: what a click does.
        click: called by one.
        height: in CSS pixels.
    """

    _esm = Path(__file__).with_suffix(".js").read_text("utf-8")

    picture = traitlets.Bytes().tag(sync=True)
    description = traitlets.Unicode().tag(sync=True)
    tooltip = traitlets.Unicode().tag(sync=True)
    height = traitlets.Int().tag(sync=True)

    def __init__(self, picture: bytes, description: str, tooltip: str, click: Callable[[], Any], height: int) -> None:
        super().__init__(picture=picture, description=description, tooltip=tooltip, height=height)
        self.on_msg(lambda _widget, content, _buffers: click() if content == "click" else None)
