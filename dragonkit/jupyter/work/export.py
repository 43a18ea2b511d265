"""A run as a Python script that gives the same result."""

from __future__ import annotations

import json
import os
import sys
import textwrap
from collections.abc import Sequence
from typing import Any

import dragonkit
from dragonkit.edits.edit import Edit
from dragonkit.edits.settings import Settings
from dragonkit.edits.values import same
from dragonkit.edits.writing import inside
from dragonkit.errors import ImageError
from dragonkit.imaging.images import ImageSource
from dragonkit.imaging.photo_files import open_photo
from dragonkit.imaging.photos import Photo

__all__ = ["python_script"]

_WIDTH = 100


def python_script(
    model: str,
    picture: ImageSource | Photo,
    prompt: str,
    settings: Settings,
    edits: Sequence[Edit],
    path: str | os.PathLike[str] | None = None,
    out: str = "edited.png",
) -> str:
    """A complete Python script that gives the result of a run, pixel by pixel.

    Args:
        settings: what the user set; the model's own are left out.
        path: the picture's file. It is named instead of spelled out where it still holds this picture.
        out: what the script saves.
    """
    photo = open_photo(picture)
    path = path if path is not None and _holds(path, photo) else None
    reader = "image_from_text" if photo.is_plain else "photo_from_text"
    lines = ["import dragonkit as dk"]
    lines += [line for line in dict.fromkeys(_import(type(edit)) for edit in edits) if line]
    lines += [] if path is not None else [f"from dragonkit.edits.values import {reader}"]
    lines += ["", f"picture = {_literal(os.fspath(path))}" if path is not None else f"picture = {reader}({_literal(_text(photo))})"]
    for number, edit in enumerate(edits):
        lines += [f"edit{number or ''} = {_call(_name(type(edit)), _given(edit))}"]
    names = ", ".join(f"edit{number or ''}" for number in range(len(edits)))
    asked = settings.model_dump(mode="json", exclude_unset=True)
    lines += [f"settings = {_call('dk.Settings', asked)}"] if asked else []
    lines += [
        "",
        f"editor = dk.Editor.from_pretrained({_literal(model)})",
        f"result = editor.edit(picture, [{names}], {'settings, ' if asked else ''}prompt={_literal(prompt)})",
        f"result.save({_literal(out)})",
    ]
    return "\n".join(lines) + "\n"


def _text(photo: Photo) -> str:
    (text,) = inside({photo.hash: photo.png()}).values()
    return text


def _holds(path: str | os.PathLike[str], photo: Photo) -> bool:
    try:
        found = open_photo(path)
    except ImageError:  # moved or deleted since: then the picture itself is the only way
        return False
    return (found.hash, found.kind) == (photo.hash, photo.kind)


def _given(edit: Edit) -> dict[str, Any]:
    """The fields that are not at their defaults, or were found out, as JSON values."""
    written = edit.to_dict()
    fields = type(edit).model_fields

    def is_said(name: str, value: Any) -> bool:
        return fields[name].is_required() or not same(value, fields[name].get_default()) or (value is None and written[name] is not None)

    return {name: written[name] for name, value in edit if is_said(name, value)}


def _name(edit_type: type[Edit]) -> str:
    return f"dk.{edit_type.__name__}" if _is_public(edit_type) else edit_type.__name__


def _import(edit_type: type[Edit]) -> str:
    if _is_public(edit_type):
        return ""
    name, module = edit_type.__name__, edit_type.__module__
    if module != "__main__" and getattr(sys.modules.get(module), name, None) is edit_type:
        return f"from {module} import {name}"
    return (
        f"from dragonkit.plugin_api import get_registry\n\n{name} = get_registry().edit_types()[{_literal(edit_type.mode)}]"
        "  # register its plugin first: it is not installed\n"
    )


def _is_public(edit_type: type[Edit]) -> bool:
    return edit_type.__name__ in dragonkit.__all__ and getattr(dragonkit, edit_type.__name__) is edit_type


def _call(name: str, values: dict[str, Any]) -> str:
    if not values:
        return f"{name}()"
    arguments = [f"{field}={_literal(value)}" for field, value in values.items()]
    short = f"{name}({', '.join(arguments)})"
    if len(short) <= _WIDTH and "\n" not in short:
        return short
    return f"{name}(\n" + "".join(f"{textwrap.indent(argument, '    ')},\n" for argument in arguments) + ")"


def _literal(value: Any) -> str:
    """A JSON value as Python source; long text in lines of its own."""
    if isinstance(value, (list, tuple)):
        return f"({', '.join(map(_literal, value))}{',' if len(value) == 1 else ''})"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_literal(key)}: {_literal(inner)}' for key, inner in value.items())}}}"
    if isinstance(value, str) and len(value) > _WIDTH:
        lines = "\n".join(f"    {_literal(value[start : start + _WIDTH])}" for start in range(0, len(value), _WIDTH))
        return f"(\n{lines}\n)"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)  # double quotes
