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

from dragonkit.errors import EditError

if TYPE_CHECKING:
    from pydantic import BaseModel

__all__ = ["Field", "build", "fields_of", "written"]

M = TypeVar("M", bound="BaseModel")
_NUMBERS = ("integer", "number")


@dataclass(frozen=True)
class Field:
    """One field as an option.

    Attributes:
        name: of the field.
        option: "--edit-weight".
        schema: its JSON schema without references and without null.
        required: whether it must be given.
        default: the value when it is left out; None also when there is none.
        description: one sentence.
    """

    name: str
    option: str
    schema: Mapping[str, Any]
    required: bool
    default: Any
    description: str

    @property
    def type(self) -> str:
        """How a value is written: "number", "number,number", "pixels|latents|energy", "mask"."""
        return _form(_item(self.schema) if self.repeated else self.schema)

    @property
    def metavar(self) -> str:
        """What stands for the value in the help; choices keep their case."""
        return self.type if self.choices else self.type.upper().replace("MASK", "PATH").replace("PICTURE", "PATH")

    @property
    def choices(self) -> tuple[str, ...]:
        return tuple(map(str, self.schema.get("enum", ())))

    @property
    def flag(self) -> bool:
        return self.schema.get("type") == "boolean"

    @property
    def repeated(self) -> bool:
        """Whether the option is given once for every item."""
        return _is_list(self.schema) and not _is_plain(_item(self.schema))

    @property
    def range(self) -> str:
        """In words such as "above 0, at most 10" or "each 0 to 1"; "" when anything goes."""
        return _range(self.schema)

    @property
    def default_text(self) -> str:
        """The default as it would be written, "" when there is none."""
        return "" if self.default is None else written(self.default)

    def parse(self, value: str | list[str] | bool) -> Any:
        """What pydantic shall validate. EditError when the text is not even of the right form."""
        if isinstance(value, bool):
            return value
        if isinstance(value, list):
            return [self._parse(text, _item(self.schema)) for text in value]
        return self._parse(value, self.schema)

    def _parse(self, text: str, schema: Mapping[str, Any]) -> Any:
        alternatives = schema.get("anyOf", [schema])
        lists = [part for part in alternatives if part.get("type") == "array"]
        if lists and (len(lists) == len(alternatives) or "," in text):
            return self._split(text, lists[0], text)
        if schema.get("type") == "object" and ("format" not in schema or text.startswith("{")):
            return self._json(text)
        return text

    def _split(self, text: str, schema: Mapping[str, Any], whole: str) -> Any:
        depth = _depth(schema)
        if depth > 2:
            return self._json(text)
        parts: list[Any] = text.split(",:"[depth - 1])
        inner = schema.get("prefixItems")
        if inner and len(parts) != len(inner):
            raise EditError(f"{self.option} is {whole!r}, but must have the form {self.type.upper()}.")
        if depth == 1:
            return parts
        return [self._split(part, inner[place] if inner else schema["items"], whole) for place, part in enumerate(parts)]

    def _json(self, text: str) -> Any:
        try:
            return json.loads(text)
        except ValueError as error:
            raise EditError(f"{self.option} is {text!r}, but must be JSON: {error}.") from error


def fields_of(model: type[BaseModel], taken: Collection[str] = (), prefix: str = "") -> list[Field]:
    """The fields of a model in their order; an option in `taken` gets `prefix` in front: "--nudge-seed"."""
    from pydantic.errors import PydanticUserError

    from dragonkit.edits.validation import resolved

    try:
        schema = model.model_json_schema()
    except PydanticUserError:  # a type that has no JSON schema: its values can still be given as text
        schema = {"properties": {name: {} for name in model.model_fields}}
    definitions = schema.get("$defs", {})
    fields = []
    for name, own in schema.get("properties", {}).items():
        info = model.model_fields.get(name)
        option = f"--{name.replace('_', '-')}"
        fields.append(
            Field(
                name=name,
                option=f"--{prefix}-{option[2:]}" if option in taken else option,
                schema=resolved(own, definitions),
                required=info.is_required() if info else name in schema.get("required", ()),
                default=own.get("default", info.default_factory() if info and info.default_factory else None),  # type: ignore[call-arg]
                description=(info.description if info else own.get("description")) or "",
            )
        )
    return fields


def build(model: type[M], fields: Sequence[Field], values: Mapping[str, Any]) -> M:
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


def _is_list(schema: Mapping[str, Any]) -> bool:
    return schema.get("type") == "array" and "prefixItems" not in schema


def _item(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    return schema.get("items") or {}


def _is_plain(schema: Mapping[str, Any]) -> bool:
    """Values that can stand between commas."""
    return schema.get("type") in _NUMBERS or "enum" in schema


def _depth(schema: Mapping[str, Any]) -> int:
    if schema.get("type") != "array":
        return 0
    return 1 + max(map(_depth, schema.get("prefixItems") or [_item(schema)]))


def _form(schema: Mapping[str, Any]) -> str:
    if "format" in schema:
        return str(schema["format"])
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(map(_form, schema["anyOf"])))
    if "enum" in schema:
        return "|".join(map(str, schema["enum"]))
    kind = schema.get("type")
    if kind == "array":
        depth = _depth(schema)
        if depth > 2:
            return "json"
        parts = schema.get("prefixItems")
        between = ",:"[depth - 1]
        return between.join(map(_form, parts)) if parts else f"{_form(_item(schema))}{between}..."
    return {"string": "text", "object": "json"}.get(str(kind), str(kind) if kind else "value")


def _range(schema: Mapping[str, Any]) -> str:
    if schema.get("type") == "array":
        ranges = {_range(part) for part in schema.get("prefixItems") or [_item(schema)]}
        only = ranges.pop() if len(ranges) == 1 else ""
        return only if not only or only.startswith("each ") else f"each {only}"
    low, high = schema.get("minimum"), schema.get("maximum")
    if high is not None and abs(high) > 1e9:  # a limit of the machine, not one that anybody meets
        high = None
    if low is not None and high is not None:
        return f"{low:g} to {high:g}"
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    words = (("at least", low), ("above", above), ("at most", high), ("below", below))
    return ", ".join(f"{word} {bound:g}" for word, bound in words if bound is not None)


def written(value: Any) -> str:
    """A value as it would be written on the command line."""
    if isinstance(value, (list, tuple)):
        deep = any(isinstance(part, (list, tuple)) for part in value)
        return (":" if deep else ",").join(map(written, value))
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value)
