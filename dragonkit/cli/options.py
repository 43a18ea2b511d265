"""From the fields of a pydantic model to options of the command line and back.

A field `edit_weight` becomes `--edit-weight`. How a value is written follows from its type:

    a number, text, a choice, a file's path   as it is
    a tuple or list of numbers                40,0
    a tuple of such tuples                    10,20:30,40
    a list of any other kind                  the option once for every item
    a model with a text form                  that text, such as every=2,dense=0.2
    anything else                             JSON

Values stay text here; pydantic makes numbers of them and says what is wrong.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from dragonkit.edits.schema import NUMBERS, Allowed, Field, fields_of
from dragonkit.errors import EditError

if TYPE_CHECKING:
    from pydantic import BaseModel

__all__ = ["Option", "build", "options_of", "written"]

M = TypeVar("M", bound="BaseModel")
_LISTS = ("tuple", "list")
_EXAMPLES = {"points": "10,20:30,40", "shift": "-32,48"}
_METAVARS = {"points": "X0,Y0:X1,Y1", "shift": "DX,DY"} | dict.fromkeys(("mask", "region", "reference-mask", "picture"), "PATH")


@dataclass(frozen=True)
class Option(Field):
    """A field as an option, such as "--edit-weight"."""

    option: str

    @property
    def type(self) -> str:
        """How a value is written: "number", "number,number", "pixels|latents|energy", "mask"."""
        return _form(self.allowed.parts[0] if self.repeated else self.allowed)

    @property
    def metavar(self) -> str:
        """What stands for the value in the help; choices keep their case."""
        return _METAVARS.get(self.allowed.format) or (self.type if self.choices else self.type.upper())

    @property
    def example(self) -> str:
        """A value of what is hard to guess from `metavar`; "" for the rest."""
        return _EXAMPLES.get(self.allowed.format, "")

    @property
    def choices(self) -> tuple[str, ...]:
        return tuple(map(str, self.allowed.choices))

    @property
    def flag(self) -> bool:
        return self.allowed.kind == "flag"

    @property
    def repeated(self) -> bool:
        """Whether the option is given once for every item: what cannot stand between commas is."""
        return self.allowed.kind == "list" and self.allowed.parts[0].kind not in (*NUMBERS, "choice")

    @property
    def default_text(self) -> str:
        """The default as it would be written, "" when there is none."""
        return "" if self.default is None else written(self.default)

    def parse(self, value: Any) -> Any:
        """What pydantic shall validate, of text or a list of it; all else is that already. EditError when text is not of the right form."""
        if isinstance(value, list):
            return [self._parse(text, self.allowed.parts[0]) for text in value]
        return self._parse(value, self.allowed) if isinstance(value, str) else value

    def _parse(self, text: str, allowed: Allowed) -> Any:
        alternatives = allowed.parts if allowed.kind == "either" else (allowed,)
        lists = [part for part in alternatives if part.kind in _LISTS]
        if lists and (len(lists) == len(alternatives) or "," in text):
            return self._split(text, lists[0], text)
        if allowed.kind == "mapping" and (not allowed.format or text.startswith("{")):
            return self._json(text)
        return text

    def _split(self, text: str, allowed: Allowed, whole: str) -> Any:
        depth = _depth(allowed)
        if depth > 2:
            return self._json(text)
        parts: list[Any] = text.split(",:"[depth - 1])
        if allowed.kind == "tuple" and len(parts) != len(allowed.parts):
            raise EditError(f"{self.option} is {whole!r}, but must have the form {self.metavar}.")
        if depth == 1:
            return parts
        inner = allowed.parts if allowed.kind == "tuple" else allowed.parts * len(parts)
        return [self._split(part, one, whole) for part, one in zip(parts, inner, strict=True)]

    def _json(self, text: str) -> Any:
        try:
            return json.loads(text)
        except ValueError as error:
            raise EditError(f"{self.option} is {text!r}, but must be JSON: {error}.") from error


def options_of(model: type[BaseModel], taken: Collection[str] = (), prefix: str = "") -> list[Option]:
    """The fields of a model in their order; an option in `taken` gets `prefix` in front: "--nudge-seed"."""
    options = ((field, field.name.replace("_", "-")) for field in fields_of(model))
    return [Option(**vars(field), option=f"--{prefix}-{name}" if f"--{name}" in taken else f"--{name}") for field, name in options]


def build(model: type[M], fields: Sequence[Option], values: Mapping[str, Any]) -> M:
    """The model from what was given on the command line; fields that are None or missing keep their defaults.

    Raises:
        EditError: a value is wrong; the message speaks of options.
    """
    from pydantic import ValidationError

    from dragonkit.edits.validation import explain

    options = {field.name: field.option for field in fields}

    def known_as(path: str) -> str:
        return re.sub(r"^\w+", lambda match: options.get(match.group(), match.group()), path)

    given = {field.name: field.parse(values[field.name]) for field in fields if values.get(field.name) is not None}
    try:
        return model(**given)
    except EditError as error:
        if isinstance(error.__cause__, ValidationError):
            raise type(error)(explain(error.__cause__, model, known_as)) from error
        raise


def _depth(allowed: Allowed) -> int:
    return 1 + max(map(_depth, allowed.parts)) if allowed.kind in _LISTS else 0


def _form(allowed: Allowed) -> str:
    if allowed.kind in _LISTS:
        depth = _depth(allowed)
        if depth > 2:
            return "json"
        between = ",:"[depth - 1]
        return between.join(map(_form, allowed.parts)) + (f"{between}..." if allowed.kind == "list" else "")
    if allowed.format:
        return allowed.format
    if allowed.kind == "either":
        return " or ".join(dict.fromkeys(map(_form, allowed.parts)))
    if allowed.kind == "choice":
        return "|".join(map(str, allowed.choices))
    return {"mapping": "json", "flag": "boolean", "": "value"}.get(allowed.kind, allowed.kind)


def written(value: Any) -> str:
    """A value as it would be written on the command line."""
    if isinstance(value, (list, tuple)):
        deep = any(isinstance(part, (list, tuple)) for part in value)
        return (":" if deep else ",").join(map(written, value))
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value)
