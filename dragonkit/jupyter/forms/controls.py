"""One value of a mode as something to click or type into, chosen by its JSON schema."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

import ipywidgets as W
from pydantic_core import to_jsonable_python

from dragonkit.edits.schema import NUMBERS
from dragonkit.errors import EditError
from dragonkit.jupyter.elements import Choice, row
from dragonkit.jupyter.forms.roles import FormField

__all__ = ["LEFT_OUT", "Control", "control_for"]

LEFT_OUT: Any = object()
"""What a control gives that says nothing: the field keeps its default."""

_STYLE = {"description_width": "10em"}
_WIDE = W.Layout(width="auto", max_width="32em")


class Control:
    """A widget, how its value is read, and how it is written.

    Args:
        widget: what is shown.
        get: the value for pydantic, or LEFT_OUT. EditError when what was typed cannot be read at all.
        set: show a value of the edit; LEFT_OUT empties it.
        parts: the widgets that hold the value, `widget` itself by default.
    """

    def __init__(self, widget: W.Widget, get: Callable[[], Any], set: Callable[[Any], None], *parts: W.Widget) -> None:
        self.widget, self.get, self.set = widget, get, set
        self._parts = parts or (widget,)

    def on_change(self, callback: Callable[[], None]) -> None:
        for part in self._parts:
            part.observe(lambda change: callback(), names="value")


def control_for(field: FormField) -> Control:
    """A slider for a number between two bounds, a box for any other, a list for choices, a tick, text; JSON for what is left."""
    allowed = field.allowed
    if allowed.kind == "choice":
        return _choice(field, {str(value): value for value in allowed.choices})
    if allowed.kind == "flag":
        return _choice(field, {"yes": True, "no": False}) if allowed.optional else _tick(field)
    if allowed.kind in NUMBERS:
        return _text(field, str) if allowed.optional else _number(field)
    if allowed.kind == "tuple" and not allowed.optional and all(part.kind in NUMBERS for part in allowed.parts):
        return _numbers(field)
    return _text(field, str) if allowed.kind == "text" else _text(field, _json, _read_json)


def _number(field: FormField) -> Control:
    whole, bounds = field.allowed.kind == "integer", field.allowed.bounds
    low, high = (bounds.get(end, bounds.get(f"exclusive{end.capitalize()}")) for end in ("minimum", "maximum"))
    start = (int if whole else float)(_start(field, low, high))
    common = {"value": start, **_common(field)}
    if low is not None and high is not None and high - low < 1e6:
        if whole:
            return _plain(W.IntSlider(min=low, max=high, continuous_update=False, **common), start)
        digits = math.floor(math.log10((high - low) / 100))
        readout = f".{max(0, 1 - digits)}f"
        return _plain(W.FloatSlider(min=low, max=high, step=10.0**digits, readout_format=readout, continuous_update=False, **common), start)
    # no bounds in the widget: it would clip what was typed without a word, where pydantic says what is wrong
    return _plain(W.IntText(**common) if whole else W.FloatText(**common), start)


def _start(field: FormField, low: float | None, high: float | None) -> float:
    """The default; without one, a factor (above 0) starts at 1 and anything else as near to 0 as it may."""
    if field.default is not None:
        return float(field.default)
    wanted = 1.0 if field.allowed.bounds.get("exclusiveMinimum") == 0 else 0.0
    return min(max(wanted, -math.inf if low is None else low), math.inf if high is None else high)


def _numbers(field: FormField) -> Control:
    parts = field.allowed.parts
    starts = list(field.default) if field.default is not None else [0] * len(parts)
    names = ("x", "y") if field.role == "arrow" else map(str, range(1, len(parts) + 1))
    boxes = [
        (W.IntText if part.kind == "integer" else W.FloatText)(
            value=start,
            description=name,  # a screen reader reads it
            tooltip=field.description,
            style={"description_width": "1em"},
            layout=W.Layout(width="7.5em"),
            continuous_update=False,
        )
        for part, start, name in zip(parts, starts, names, strict=True)
    ]
    label = W.Label(field.title, tooltip=field.description, layout=W.Layout(width="10em", justify_content="flex-end"))

    def set(value: Any) -> None:
        for box, number in zip(boxes, starts if value is LEFT_OUT else value, strict=True):
            box.value = number

    return Control(row(label, W.HBox(boxes)), lambda: tuple(box.value for box in boxes), set, *boxes)


def _choice(field: FormField, choices: Mapping[str, Any]) -> Control:
    options = [*choices.items()] if field.required or not field.allowed.optional else [("left out", LEFT_OUT), *choices.items()]
    values = [value for _, value in options]
    start = LEFT_OUT if LEFT_OUT in values and field.default is None else field.default if field.default in values else values[0]
    return _plain(Choice(options=options, value=start, **_common(field)), start)


def _tick(field: FormField) -> Control:
    start = bool(field.default)
    return _plain(W.Checkbox(value=start, indent=True, **_common(field)), start)


def _text(field: FormField, write: Callable[[Any], str], read: Callable[[str, FormField], Any] = lambda text, field: text) -> Control:
    """A line of text; empty means left out, unless the default is some other text."""
    start = "" if field.default is None else write(field.default)
    widget = W.Text(value=start, placeholder="" if field.required else "left out", continuous_update=False, **_common(field))

    def get() -> Any:
        return LEFT_OUT if not widget.value and (field.required or not start) else read(widget.value, field)

    def set(value: Any) -> None:
        widget.value = start if value is LEFT_OUT else "" if value is None else write(value)

    return Control(widget, get, set)


def _json(value: Any) -> str:
    return json.dumps(to_jsonable_python(value))


def _read_json(text: str, field: FormField) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise EditError(f'{field.title} is {text!r}, but must be JSON, such as [1, 2] or {{"a": 1}}: {error}') from error


def _plain(widget: W.Widget, start: Any) -> Control:
    def set(value: Any) -> None:
        widget.value = start if value is LEFT_OUT else value

    return Control(widget, lambda: widget.value, set)


def _common(field: FormField) -> dict[str, Any]:
    return {"description": field.title, "tooltip": field.description, "style": _STYLE, "layout": _WIDE}
