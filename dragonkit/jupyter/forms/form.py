"""The fields of a mode as a form, made from its schema: a plugin's mode has one without doing anything for it."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping
from typing import Any

import ipywidgets as W
import numpy as np
from PIL import Image
from pydantic import ValidationError

from dragonkit.edits.edit import Edit
from dragonkit.edits.validation import explain
from dragonkit.edits.values import same
from dragonkit.errors import EditError
from dragonkit.jupyter.forms.controls import LEFT_OUT, Control, control_for
from dragonkit.jupyter.forms.region import Region
from dragonkit.jupyter.forms.roles import FormField, form_fields
from dragonkit.jupyter.forms.second_picture import SecondPicture

__all__ = ["Form"]

_MARK = "\0"  # stands around field names in pydantic's sentences, so that each finds its field


def _no_mask() -> np.ndarray:
    return np.zeros((1, 1), bool)


def _raise(error: Exception) -> None:
    raise error


class Form:
    """The fields of a mode that are not marked on the picture.

    Args:
        edit_type: the mode's class.
        picture: gives the picture that is being edited: it may serve as the second one, too.
        mask: gives the mask that is painted now, bool (H, W): a field that is another region of the picture can take it.
        fail: told of errors that cannot be raised, because the browser's events caused them.

    Attributes:
        widget: the form.
        fields: all fields of the mode, those that are marked on the picture as well.
        to_set: titles of fields that cannot stay as they are at first; nothing was said there yet.

    Example:
        form = Form(dk.Resize)
        form.set({"scale": 1.5})
        form.edit({"mask": mask})
    """

    def __init__(
        self,
        edit_type: type[Edit],
        picture: Callable[[], Image.Image] | None = None,
        mask: Callable[[], np.ndarray] = _no_mask,
        fail: Callable[[Exception], Any] = _raise,
    ) -> None:
        self.edit_type, self.fields = edit_type, form_fields(edit_type)
        self._picture, self._mask, self._fail = picture, mask, fail
        self._controls: dict[str, Control] = {}
        self._callbacks: list[Callable[[], None]] = []
        self._errors = {field.name: W.HTML().add_class("dk-field-error") for field in self.fields}
        self._quiet = False
        rows = {field.name: row for field in self.fields if (row := self._row(field)) is not None}
        weights = [rows.pop(name) for name in list(rows) if name.endswith("_weight")]
        self._weights = W.Accordion([W.VBox(weights)], titles=["Weights"], selected_index=None) if weights else None
        self.widget = W.VBox([*rows.values(), *([self._weights] if self._weights else [])])
        self._start, self.to_set = self.values(), list[str]()

    @property
    def use_mask(self) -> bool:
        """Whether a mask that the mode does not need is given to it."""
        return all(self._controls[field.name].get() for field in self.fields if field.role == "mask" and field.name in self._controls)

    def values(self) -> dict[str, Any]:
        """The fields as they stand; what was left out is missing. EditError when something typed cannot be read."""
        got = {field.name: self._controls[field.name].get() for field in self.fields if self._is_own(field)}
        return {name: value for name, value in got.items() if value is not LEFT_OUT}

    def set(self, values: Mapping[str, Any]) -> None:
        """Show these values, and the defaults of what is not among them; otherwise like `update`."""
        self.update({**{field.name: LEFT_OUT for field in self.fields}, **values})

    def update(self, values: Mapping[str, Any]) -> None:
        """Show these values; the rest stays. Fields that are marked on the picture are passed over.

        Raises:
            ImageError, MaskError: a second picture or a mask cannot be read.
        """
        self._quiet = True  # one change, not one for every field
        try:
            for field in self.fields:
                if self._is_own(field) and field.name in values:
                    self._controls[field.name].set(values[field.name])
        finally:
            self._quiet = False
        self._changed()

    @property
    def untouched(self) -> list[FormField]:
        """The fields that stand as they did at first."""
        now = self.values()
        return [field for field in self.fields if self._is_own(field) and same(now.get(field.name), self._start.get(field.name))]

    def edit(self, marked: Mapping[str, Any], asked: bool = True) -> Edit:
        """The edit of these fields and those marked on the picture.

        Args:
            asked: whether somebody wants it; else nothing is said at fields that nobody has touched.

        Raises:
            EditError: a value is wrong; the words stand at its field, too.
        """
        self._say({})
        self.to_set = []
        try:
            return self.edit_type(**self.values(), **marked)
        except EditError as error:
            if not isinstance(error.__cause__, ValidationError):
                raise
            labels = {field.name: field.title for field in self.fields}

            def label(path: str) -> str:
                return re.sub(r"^\w+", lambda match: labels.get(match.group(), match.group()), path)

            told = explain(error.__cause__, self.edit_type, lambda path: f"{_MARK}{path}{_MARK}")
            _, *parts = told.split(_MARK)
            sentences = [(path, label(path) + rest) for path, rest in zip(parts[::2], parts[1::2], strict=True)]
            quiet = {} if asked else {field.name: field.title for field in self.untouched}
            faults = {re.split(r"\W", path)[0]: sentence for path, sentence in sentences}
            self._say({name: sentence for name, sentence in faults.items() if name not in quiet})
            self.to_set = [title for name, title in quiet.items() if name in faults]
            raise type(error)(explain(error.__cause__, self.edit_type, label)) from error

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call back after the user or `set` changed something."""
        self._callbacks.append(callback)

    def _is_own(self, field: FormField) -> bool:
        return field.name in self._controls and field.role != "mask"

    def _changed(self) -> None:
        if not self._quiet:
            for callback in self._callbacks:
                callback()

    def _say(self, words: Mapping[str, str]) -> None:
        for name, line in self._errors.items():
            line.value = f'<span role="alert">{html.escape(words[name])}</span>' if name in words else ""
        if self._weights is not None and any(name.endswith("_weight") for name in words):
            self._weights.selected_index = 0  # words in a closed box would be lost

    def _row(self, field: FormField) -> W.Widget | None:
        """The control of a field above its errors; None for a field that has none of its own."""
        if field.role == "picture":
            mask_field = next((other for other in self.fields if other.picture == field.name), None)
            second = SecondPicture(field, mask_field, self._picture, self._fail)
            self._controls[field.name] = Control(second.widget, second.get, second.set)
            second.on_change(self._changed)
            errors = [self._errors[field.name]]
            if mask_field is not None:
                self._controls[mask_field.name] = Control(second.widget, second.get_mask, second.set_mask)
                errors.append(self._errors[mask_field.name])
            return W.VBox([second.widget, *errors])
        if field.role in ("picture mask", "points") or (field.role == "mask" and field.required):
            return None
        if field.role == "mask":
            tick = W.Checkbox(value=True, description="only inside the mask", tooltip=field.description)
            control = Control(tick, lambda: tick.value, lambda value: None)
        else:
            control = Region(field, self._mask) if field.role == "region" else control_for(field)
        self._controls[field.name] = control
        control.on_change(self._changed)
        return W.VBox([control.widget, self._errors[field.name]])
