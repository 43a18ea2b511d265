"""What each field of a mode is to the notebook: something to mark on the picture, a second picture, or a value to set."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel

from dragonkit.edits.schema import Field, fields_of

__all__ = ["FormField", "Role", "form_fields"]

Role = Literal["mask", "points", "arrow", "picture", "picture mask", "region", "value"]
_EQUATION = re.compile(r" \(eq\. \d+\)")
_ROLES: dict[str, Role] = {"points": "points", "shift": "arrow", "picture": "picture", "mask": "mask", "region": "region"}


@dataclass(frozen=True)
class FormField(Field):
    """One field of an edit.

    Attributes:
        role: "mask" and "points" are marked on the picture; "arrow" is a shift, which an arrow on the picture sets; a "picture" is a
            second picture and "picture mask" the mask on it; a "region" is another mask of the first picture; all else is a "value".
        picture: for a "picture mask" the name of the field that holds the picture.
    """

    role: Role
    picture: str = ""


def form_fields(model: type[BaseModel]) -> list[FormField]:
    """The fields of a mode, or of a selector's options, in their order; the types say what they are.

    What is painted is the first `Mask`; any other is a region. A `ReferenceMask` lies on the `Picture` before it.
    """
    fields: list[FormField] = []
    for field in fields_of(model):
        role, picture = _ROLES.get(field.allowed.format, "value"), ""
        if role == "mask" and any(other.role == "mask" for other in fields):
            role = "region"
        elif field.allowed.format == "reference-mask":
            picture = next((other.name for other in reversed(fields) if other.role == "picture"), "")
            role = "picture mask" if picture else "region"
        words = {**vars(field), "description": _EQUATION.sub("", field.description)}  # a form is no place to look it up
        fields.append(FormField(**words, role=role, picture=picture))
    return fields
