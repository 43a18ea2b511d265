"""The fields of a model as plain values, read once from its JSON schema: messages, command line and notebook all speak from these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from pydantic import BaseModel
from pydantic.errors import PydanticUserError

__all__ = ["NUMBERS", "Allowed", "Field", "allowed_in", "fields_of", "range_of"]

NUMBERS = ("integer", "number")
_KINDS = {"string": "text", "boolean": "flag", "object": "mapping", "null": "none", "integer": "integer", "number": "number"}
_PLAIN = {"text": "text", "flag": "true or false", "mapping": "a mapping", "none": "None"}


@dataclass(frozen=True)
class Allowed:
    """What may stand in one place of a model.

    Attributes:
        kind: "integer", "number", "text", "flag", "choice", "tuple", "list", "mapping", "either" or "none"; "" for anything.
        format: what a type says that it is, such as "mask", "picture", "points" or "shift".
        accepts: what a type says that it takes, in words.
        parts: of a tuple in their order, of "either" the alternatives, of a list the one that says what its items are.
        fields: of a mapping whose fields are known, by name.
        choices: the values of a choice.
        bounds: of a number: "minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum".
        least: how many items or characters there must be.
        optional: whether None is allowed, too.
    """

    kind: str = ""
    format: str = ""
    accepts: str = ""
    parts: tuple[Allowed, ...] = ()
    fields: Mapping[str, Allowed] = field(default_factory=dict)
    choices: tuple[Any, ...] = ()
    bounds: Mapping[str, float] = field(default_factory=dict)
    least: int = 0
    optional: bool = False

    def at(self, key: str | int) -> Allowed | None:
        """What may stand at a field of a mapping or an item of a tuple or list; None where there is no such place."""
        if isinstance(key, str):
            return self.fields.get(key)
        if self.kind == "list":
            return self.parts[0]
        return self.parts[key] if self.kind == "tuple" and key < len(self.parts) else None

    @property
    def range(self) -> str:
        """Which numbers: "from 1 to 9", "above 0 and at most 10", "each from 0 to 3"; "" when any will do."""
        if self.kind in ("tuple", "list"):
            ranges = {part.range for part in self.parts}
            only = ranges.pop() if len(ranges) == 1 else ""
            return only if not only or only.startswith("each ") else f"each {only}"
        return range_of(self.bounds)

    @property
    def words(self) -> str:
        """For messages: "a number above 0", "2 values, each an integer"; "" when the schema does not tell."""
        words = self.accepts or self._own_words()
        return f"{words} or None" if words and self.optional else words

    def _own_words(self) -> str:
        parts = [part.words for part in self.parts]
        if self.kind == "either":
            return " or ".join(dict.fromkeys(parts)) if all(parts) else ""
        if self.kind == "choice":
            return " or ".join(map(repr, self.choices))
        if self.kind in NUMBERS:
            between = " of " if self.range.startswith("at ") else " "
            return f"{'an integer' if self.kind == 'integer' else 'a number'}{between}{self.range}".rstrip()
        if self.kind == "tuple":
            named = [part or "anything" for part in parts]
            return f"{len(parts)} values{f', each {named[0]}' if len(set(named)) == 1 else ': ' + ', '.join(named)}"
        if self.kind == "list":
            return f"a list{f' of at least {self.least}' if self.least else ''}{f', each {parts[0]}' if parts[0] else ''}"
        return "non-empty text" if self.kind == "text" and self.least else _PLAIN.get(self.kind, "")


@dataclass(frozen=True)
class Field:
    """One field of a model.

    Attributes:
        name: of the field.
        allowed: what it may hold.
        required: whether it must be given.
        default: the value when it is left out; None also when there is none.
        description: one sentence.
    """

    name: str
    allowed: Allowed
    required: bool
    default: Any
    description: str

    @property
    def title(self) -> str:
        """The name for people."""
        return self.name.replace("_", " ")


def range_of(bounds: Mapping[str, float]) -> str:
    """`Allowed.bounds` in words."""
    told = {name: _number(bound) for name, bound in bounds.items()}
    if {"minimum", "maximum"} <= told.keys():
        return f"from {told['minimum']} to {told['maximum']}"
    words = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}
    return " and ".join(f"{word} {told[name]}" for name, word in words.items() if name in told)


def fields_of(model: type[BaseModel]) -> list[Field]:
    """The fields of a model in their order."""
    known, fields = allowed_in(model).fields, []
    for name, info in model.model_fields.items():
        default = None if info.is_required() else info.get_default(call_default_factory=True)
        default = default.value if isinstance(default, Enum) else default
        fields.append(Field(name, known.get(name, Allowed()), info.is_required(), default, info.description or ""))
    return fields


def allowed_in(model: type[BaseModel]) -> Allowed:
    """The model as a mapping of its fields; one without fields where a plugin's type has no JSON schema."""
    try:
        schema = model.model_json_schema()
    except PydanticUserError:
        return Allowed("mapping")
    return _read(schema, schema.get("$defs", {}))


def _read(schema: Any, definitions: Mapping[str, Any], within: tuple[str, ...] = ()) -> Allowed:
    def read(part: Any) -> Allowed:
        return _read(part, definitions, within)

    if not isinstance(schema, Mapping):  # JSON schema also knows true: anything
        return Allowed()
    if "$ref" in schema:
        name, rest = schema["$ref"].rsplit("/", 1)[-1], {key: value for key, value in schema.items() if key != "$ref"}
        known = {} if name in within else definitions.get(name, {})  # a type that holds itself is read once
        return _read({**known, **rest}, definitions, (*within, name))
    if len(schema.get("allOf", ())) == 1:
        return read(schema["allOf"][0])
    if "anyOf" in schema and "format" not in schema:
        parts = tuple(part for part in map(read, schema["anyOf"]) if part.kind != "none")
        optional = len(parts) < len(schema["anyOf"])
        return replace(parts[0], optional=optional) if len(parts) == 1 else Allowed("either", parts=parts, optional=optional)
    kind, inner = _KINDS.get(str(schema.get("type")), ""), tuple[Any, ...]()
    if "enum" in schema or "const" in schema:
        kind = "choice"
    elif schema.get("type") == "array":
        inner = tuple(schema.get("prefixItems") or [schema.get("items") or {}])
        kind = "tuple" if "prefixItems" in schema else "list"
    return Allowed(
        kind,
        schema.get("format", ""),
        schema.get("accepts", ""),
        tuple(map(read, inner)),
        {name: read(part) for name, part in schema.get("properties", {}).items()} if kind == "mapping" else {},
        tuple(schema.get("enum", [schema["const"]] if "const" in schema else ())),
        {key: schema[key] for key in ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum") if key in schema},
        schema.get("minItems", schema.get("minLength", 0)),
    )


def _number(value: float) -> str:
    if abs(value) < 1e6:
        return f"{value:g}"
    power = int(value).bit_length()
    return f"2**{power} - 1" if value == 2**power - 1 else str(value)
