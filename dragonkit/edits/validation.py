"""Frozen pydantic models whose errors a person can read: one sentence with the field, the value received and what is allowed.

`Model` is the base of edits, settings and edit files. `explain` turns a pydantic `ValidationError` into such a sentence, and is
all that the doors (command line, notebook) need to report a bad value in their own words.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.errors import PydanticUserError
from pydantic_core import ErrorDetails

from dragonkit.errors import DragonkitError, EditError, MaskError, PointError
from dragonkit.words import closest, short

__all__ = ["Model", "explain", "relative_to", "resolved"]

# Pydantic's __init__ takes no context; a context variable is the way its documentation gives.
_context: ContextVar[dict[str, Any] | None] = ContextVar("dragonkit_validation_context", default=None)


class Model(BaseModel):
    """A frozen pydantic model: unknown fields and NaN are refused, and a bad value raises `EditError` in plain words.

    The original pydantic error is the `__cause__`. A validator that raises `MaskError` or `PointError` decides the class.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    error_type: ClassVar[type[EditError]] = EditError
    error_prefix: ClassVar[str | None] = None

    def __init__(self, /, **data: Any) -> None:
        try:
            self.__pydantic_validator__.validate_python(data, self_instance=self, context=_context.get())
        except ValidationError as error:
            raise _error_type(error, type(self))(explain(error, type(self), self.error_prefix)) from error


@contextmanager
def relative_to(folder: str | os.PathLike[str] | None) -> Iterator[None]:
    """Within this block, path strings given to models are relative to `folder`, and must name existing files."""
    token = _context.set(None if folder is None else {"folder": Path(folder)})
    try:
        yield
    finally:
        _context.reset(token)


def explain(error: ValidationError, model: type[BaseModel], prefix: str | Callable[[str], str] | None = None) -> str:
    """Say what is wrong in plain words, one sentence per field.

    Args:
        error: what pydantic raised while validating `model`.
        model: the class that was validated; its JSON schema tells what is allowed.
        prefix: put in front of field names; default "ClassName.". Or a function from "field" or "field[0].part" to what users know
            it as, such as the command line's options.

    Example:
        "Settings.steps is 0, but must be an integer from 1 to 1000."
    """
    if not callable(prefix):
        prefix = (f"{model.__name__}." if prefix is None else prefix).__add__
    try:
        schema = model.model_json_schema()
    except PydanticUserError:  # a plugin's field type may have no JSON schema; pydantic's own words must do
        schema = {}
    sentences: dict[str, str] = {}
    for item in error.errors(include_url=False):
        path, allowed = _locate(item["loc"], schema)
        sentences.setdefault(path, _sentence(item, prefix(path) if path else model.__name__, model, allowed))
    return " ".join(sentences.values())


def resolved(schema: Any, definitions: Mapping[str, Any]) -> Any:
    """A JSON schema with references followed, constants as enums, and null taken out of unions; objects stay as they are."""
    if "$ref" in schema:
        schema = definitions.get(schema["$ref"].rsplit("/", 1)[-1], {})
    if "format" not in schema and "anyOf" in schema:
        parts = [resolved(part, definitions) for part in schema["anyOf"] if part.get("type") != "null"]
        return parts[0] if len(parts) == 1 else {**schema, "anyOf": parts}
    if "allOf" in schema and len(schema["allOf"]) == 1:
        return resolved(schema["allOf"][0], definitions)
    if "const" in schema:
        return {**schema, "enum": [schema["const"]]}
    inner = {key: resolved(schema[key], definitions) for key in ("items",) if isinstance(schema.get(key), Mapping)}
    if "prefixItems" in schema:
        inner["prefixItems"] = [resolved(part, definitions) for part in schema["prefixItems"]]
    return {**schema, **inner}


def _error_type(error: ValidationError, model: type[Model]) -> type[EditError]:
    """The class to raise: the model's own, or the more exact one that a validator raised itself."""
    items = error.errors(include_url=False)
    cause = type(items[0].get("ctx", {}).get("error"))
    one_field = len({item["loc"][:1] for item in items}) == 1
    return cause if one_field and model.error_type is EditError and cause in (MaskError, PointError) else model.error_type


def _sentence(item: ErrorDetails, name: str, model: type[BaseModel], allowed: str) -> str:
    kind, value = item["type"], short(item["input"])
    cause = item.get("ctx", {}).get("error")
    if kind == "missing":
        return f"{name} is missing: give {allowed or 'a value'}."
    if kind == "extra_forbidden":
        for part in item["loc"][:-1]:  # a field of a field
            inner = getattr(model.model_fields.get(str(part)), "annotation", None)
            model = inner if isinstance(inner, type) and issubclass(inner, BaseModel) else model
        fields = list(model.model_fields)
        word = str(item["loc"][-1])
        known = ", ".join(fields) or "none"
        return f"{model.__name__} has no field {word!r} (received {value}).{closest(word, fields)} Its fields: {known}."
    if isinstance(cause, DragonkitError):  # already a whole sentence, from a nested model or a validator
        return f"{name}: {cause}" if item["loc"] else str(cause)
    if cause is not None:
        return f"{name} is {value}: {str(cause).rstrip('.')}."
    if allowed:
        guess = closest(item["input"], _words_in(allowed)) if isinstance(item["input"], str) else ""
        return f"{name} is {value}, but must be {allowed}.{guess}"
    return f"{name} is {value}: {item['msg'].rstrip('.')}."


def _locate(loc: Sequence[str | int], root: Mapping[str, Any]) -> tuple[str, str]:
    """Follow a pydantic error location through the JSON schema: the path as text ("shift[0]"), and what is allowed there."""
    definitions = root.get("$defs", {})
    path, schema = "", root
    for depth, key in enumerate(loc):
        schema = _resolve(schema, definitions)
        if isinstance(key, str):
            inner = schema.get("properties", {}).get(key)
            if inner is None and depth > 0:
                break  # the name of a union's branch, not of a field
            path += f".{key}" if path else key
        else:
            items = schema.get("prefixItems")
            inner = items[key] if items and key < len(items) else schema.get("items")
            if inner is None:
                break
            path += f"[{key}]"
        schema = inner or {}
    return path, _describe(schema, definitions) if path else ""


def _resolve(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = schema.get("$ref")
    return definitions.get(reference.rsplit("/", 1)[-1], {}) if reference else schema


def _describe(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    """What a JSON schema allows, in words; "" when it cannot tell."""
    schema = _resolve(schema, definitions)
    if "accepts" in schema:
        return str(schema["accepts"])
    if "anyOf" in schema:
        parts = [_describe(part, definitions) for part in schema["anyOf"]]
        return " or ".join(dict.fromkeys(parts)) if all(parts) else ""
    if "enum" in schema or "const" in schema:
        return " or ".join(repr(value) for value in schema.get("enum", [schema.get("const")]))
    kind = schema.get("type")
    if kind in ("integer", "number"):
        return f"{'an integer' if kind == 'integer' else 'a number'}{_range(schema)}"
    if kind == "array":
        return _describe_array(schema, definitions)
    if kind == "string" and schema.get("minLength"):
        return "non-empty text"
    words = {"string": "text", "boolean": "true or false", "null": "None", "object": "a mapping"}
    return words.get(kind, "") if isinstance(kind, str) else ""


def _describe_array(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    if "prefixItems" in schema:
        parts = [_describe(part, definitions) for part in schema["prefixItems"]]
        if len(set(parts)) == 1:
            return f"{len(parts)} values, each {parts[0] or 'anything'}"
        return f"{len(parts)} values: {', '.join(part or 'anything' for part in parts)}"
    least = f" of at least {schema['minItems']}" if schema.get("minItems") else ""
    inner = _describe(schema.get("items", {}), definitions)
    return f"a list{least}{f', each {inner}' if inner else ''}"


def _range(schema: Mapping[str, Any]) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    if low is not None and high is not None:
        return f" from {low:g} to {high:g}" if abs(high) < 1e6 else f" from {low:g} to {high}"
    bounds = (("of at least", low), ("above", above), ("of at most", high), ("below", below))
    words = [f"{text} {bound:g}" for text, bound in bounds if bound is not None]
    return f" {' and '.join(words)}" if words else ""


def _words_in(allowed: str) -> list[str]:
    return [word[1:-1] for word in allowed.split(" or ") if word.startswith("'")]
