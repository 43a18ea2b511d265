"""Whether a mode can be described, asked for in a shell, and written to a file."""

from __future__ import annotations

import json
from typing import Any

from pydantic.errors import PydanticUserError

from dragonkit.edits.edit import Edit
from dragonkit.edits.values import same
from dragonkit.errors import DragonkitError
from dragonkit.imaging.masks import decode_mask
from dragonkit.testing.failures import failure

__all__ = ["check_fields", "check_round_trip", "image_size_of"]

HOOK = "dragonkit_edits"


def check_fields(plugin: str, edit_type: type[Edit]) -> None:
    """The class and all its fields say what they are: `dragonkit MODE --help` and the edit file's schema are made of it."""
    name = edit_type.__name__
    if not (edit_type.__doc__ or "").strip():
        raise failure(plugin, HOOK, f"the class {name} has no docstring; its first line is the help of the mode {edit_type.mode!r}")
    for field, info in edit_type.model_fields.items():
        if not (info.description or "").strip():
            raise failure(plugin, HOOK, f"the field {name}.{field} has no description; write Field(description=...), which is its help")
    if not edit_type.scriptable:
        return
    try:
        json.dumps(edit_type.model_json_schema())
    except (PydanticUserError, TypeError) as error:
        raise failure(
            plugin, HOOK, f"the class {name} has no JSON schema: {str(error).splitlines()[0]}; annotate the field with WithJsonSchema"
        ) from error


def check_round_trip(plugin: str, edit: Edit) -> None:
    """Written to JSON and read again, it is the same edit; masks and pictures count as the same when their pixels are."""
    if not edit.scriptable:
        return
    try:
        written = edit.to_dict()
        again = type(edit).from_dict(json.loads(json.dumps(written)))
        rewritten = again.to_dict()
    except DragonkitError as error:
        raise failure(plugin, HOOK, f"{edit!r} does not survive an edit file: {error}") from error
    if missing := set(type(edit).model_fields) - set(written):
        raise failure(plugin, HOOK, f"an edit file of {edit!r} lacks {', '.join(sorted(missing))}; do not exclude fields")
    for field, value in written.items():
        kept = rewritten[field] == value and (_is_picture(value) or field == "mode" or same(getattr(again, field), getattr(edit, field)))
        if not kept:
            raise failure(plugin, HOOK, f"{type(edit).__name__}.{field} does not survive an edit file: {edit!r} comes back as {again!r}")


def image_size_of(edit: Edit) -> tuple[int, int] | None:
    """(width, height) of the first mask among the fields, and so of the picture that the edit is for."""
    for value in edit.to_dict().values():
        if isinstance(value, dict) and set(value) == {"png"}:
            height, width = decode_mask(value["png"]).shape
            return width, height
    return None


def _is_picture(written: Any) -> bool:
    """Whether this is how a mask or a picture is written; a file and its pixels are written alike, but are not equal."""
    return (isinstance(written, dict) and set(written) == {"png"}) or (isinstance(written, str) and written.startswith("data:image/"))
