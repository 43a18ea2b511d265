"""A second picture, such as whose look to take, with a small canvas to mark the object in it."""

from __future__ import annotations

import html
import io
from collections.abc import Callable
from functools import partial
from typing import Any

import ipywidgets as W
import numpy as np
from PIL import Image

from dragonkit.errors import ImageError
from dragonkit.imaging.images import load_image, open_picture, upright
from dragonkit.imaging.mask_meaning import cut_out
from dragonkit.imaging.masks import load_mask
from dragonkit.imaging.opening import opened
from dragonkit.jupyter.canvas.door import MOST, Door, too_large
from dragonkit.jupyter.canvas.tool_row import ToolRow
from dragonkit.jupyter.canvas.view import CanvasView
from dragonkit.jupyter.elements import button, row
from dragonkit.jupyter.forms.controls import LEFT_OUT
from dragonkit.jupyter.forms.roles import FormField
from dragonkit.jupyter.marks.state import MarkState

__all__ = ["SecondPicture"]


class SecondPicture:
    """Chooses a picture from a file, or takes the one that is being edited, and marks an object in it.

    Args:
        field: the field of the picture.
        mask_field: the field of the mask on it, if the mode has one.
        picture: gives the picture that is being edited.
        fail: told of errors that have nothing to do with the file chosen.

    Attributes:
        widget: all of it.
        image: the picture, RGB; None before one was chosen.
        view: the canvas it is shown on; None before, or without a mask to mark.
    """

    def __init__(
        self,
        field: FormField,
        mask_field: FormField | None,
        picture: Callable[[], Image.Image] | None,
        fail: Callable[[Exception], Any],
    ) -> None:
        self._mask_field, self._fail = mask_field, fail
        self._callbacks: list[Callable[[], None]] = []
        self.image: Image.Image | None = None
        self.view: CanvasView | None = None
        self.door = Door(
            "choose a picture",
            f"{field.description}; or drop it here, or paste it",
            lambda name, content: self._guarded(lambda: self._came(name, content)),
            coming=lambda name, size: self._guarded(lambda: self._coming(name, size)),
        )
        self._error, self._below = W.HTML().add_class("dk-field-error"), W.VBox()
        chosen = [self.door]
        if picture is not None:
            take = partial(self._guarded, lambda: self.set(picture()))
            chosen.append(button("use this picture", "take something from the picture itself", take, icon="image"))
        label = W.Label(field.title, tooltip=field.description, layout=W.Layout(width="10em", justify_content="flex-end"))
        self.widget = W.VBox([row(label, *chosen), self._error, self._below]).add_class("dk-second")

    def get(self) -> Any:
        """The picture, or LEFT_OUT."""
        return LEFT_OUT if self.image is None else self.image

    def set(self, image: Any) -> None:
        """Show a picture, with what is opaque marked where there is transparency; LEFT_OUT removes it. Raises ImageError."""
        picture = None if image is LEFT_OUT or image is None else open_picture(image)
        self.image = None if picture is None else load_image(picture)
        self.view, self._below.children = None, ()
        if self.image is not None and picture is not None:
            self._show(self.image, cut_out(picture))
        self._changed()

    def get_mask(self) -> Any:
        """What is marked, bool (H, W), or LEFT_OUT."""
        return LEFT_OUT if self.view is None or not self.view.state.mask.any() else np.array(self.view.state.mask)

    def set_mask(self, mask: Any) -> None:
        """Mark this; LEFT_OUT removes the marks. Raises MaskError."""
        if self.view is None:
            return
        state = self.view.state
        wanted = np.zeros_like(state.mask) if mask is LEFT_OUT or mask is None else load_mask(mask, state.size)
        self.view.apply(lambda marks: marks.set_mask(wanted))

    def on_change(self, callback: Callable[[], None]) -> None:
        self._callbacks.append(callback)

    def _show(self, image: Image.Image, marked: np.ndarray | None) -> None:
        if self._mask_field is None:
            buffer = io.BytesIO()
            image.save(buffer, format="PNG")
            self._below.children = [W.Image(value=buffer.getvalue(), format="png", layout=W.Layout(max_width="320px"))]
            return
        state = MarkState(image.size)
        if marked is not None:
            state.set_mask(marked)
        self.view = CanvasView(image, state, main=False)
        self.view.on_change(self._changed)
        self.view.on_error(self._fail)
        tools = ToolRow(self.view, self._fail, tools=("brush", "eraser", "lasso", "polygon", "box"))
        asked = W.Label(f"{self._mask_field.title}: mark it here", tooltip=self._mask_field.description)
        self._below.children = [asked, tools.widget, self.view.widget, self.view.front, tools.help]

    def _coming(self, name: str, size: int) -> None:
        if size > MOST:
            raise too_large(name, size)

    def _came(self, name: str, content: bytes) -> None:
        what = f"the file {name!r}"
        with opened(content, what) as image:
            self.set(upright(image, what))

    def _changed(self) -> None:
        for callback in self._callbacks:
            callback()

    def _guarded(self, action: Callable[[], Any]) -> None:
        self._error.value = ""
        try:
            action()
        except ImageError as error:
            self._error.value = f'<span role="alert">{html.escape(str(error))}</span>'
        except Exception as error:
            self._fail(error)
