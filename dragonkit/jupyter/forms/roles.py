"""What each field of a mode is to the notebook: something to mark on the picture, a second picture, or a value to set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.errors import PydanticUserError

from dragonkit.edits.validation import resolved

__all__ = ["FormField", "Role", "form_fields", "numbers_in"]

Role = Literal["mask", "points", "arrow", "picture", "picture mask", "region", "value"]
_NUMBERS = ("integer", "number")


@dataclass(frozen=True)
class FormField:
    """One field of an edit.

    Attributes:
        name: of the field.
        role: "mask" and "points" are marked on the picture; "arrow" is a shift, which an arrow on the picture sets; a "picture" is a
            second picture and "picture mask" the mask on it; a "region" is another mask of the first picture; all else is a "value".
        schema: its JSON schema without references and without null.
        required: whether it must be given.
        default: the value when it is left out; None also when there is none.
        optional: whether it may be None.
        description: one sentence.
        picture: for a "picture mask" the name of the field that holds the picture.
    """

    name: str
    role: Role
    schema: Mapping[str, Any]
    required: bool
    default: Any
    optional: bool
    description: str
    picture: str = ""

    @property
    def label(self) -> str:
        return self.name.replace("_", " ")


def form_fields(model: type[BaseModel]) -> list[FormField]:
    """The fields of a mode, or of a selector's options, in their order.

    The mask of a picture `reference` is the field `reference_mask`; a `shift` of two numbers is an arrow.
    """
    try:
        whole = model.model_json_schema()
    except PydanticUserError:  # a plugin's field type may have no JSON schema: it is written as text, and pydantic says what is wrong
        whole = {}
    definitions, properties = whole.get("$defs", {}), whole.get("properties", {})
    schemas = {name: resolved(properties.get(name, {}), definitions) for name in model.model_fields}
    fields = []
    for name, info in model.model_fields.items():
        role, picture = _role(name, schemas)
        fields.append(
            FormField(
                name=name,
                role=role,
                schema=schemas[name],
                required=info.is_required(),
                default=None if info.is_required() else info.get_default(call_default_factory=True),
                optional=any(part.get("type") == "null" for part in properties.get(name, {}).get("anyOf", ())),
                description=info.description or "",
                picture=picture,
            )
        )
    return fields


def _role(name: str, schemas: Mapping[str, Mapping[str, Any]]) -> tuple[Role, str]:
    schema, picture = schemas[name], name.removesuffix("_mask")
    if schema.get("format") == "picture":
        return "picture", ""
    if schema.get("format") == "mask":
        if name == "mask":
            return "mask", ""
        return ("picture mask", picture) if schemas.get(picture, {}).get("format") == "picture" else ("region", "")
    if name == "points" and numbers_in(_items(_items(schema))) == 2:
        return "points", ""
    if name == "shift" and numbers_in(schema) == 2:
        return "arrow", ""
    return "value", ""


def _items(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a list, or a tuple of things of one kind, holds."""
    parts = schema.get("prefixItems")
    if parts and all(part == parts[0] for part in parts):
        return dict(parts[0])
    return dict(schema.get("items") or {})


def numbers_in(schema: Mapping[str, Any]) -> int:
    """How many numbers a tuple of numbers holds; 0 for anything else."""
    parts = schema.get("prefixItems", ())
    return len(parts) if all(part.get("type") in _NUMBERS for part in parts) else 0
