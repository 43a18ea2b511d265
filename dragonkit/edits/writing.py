"""Edit files as text, and on disk with the pictures that they hold."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from dragonkit.edits.pictures import replaced
from dragonkit.errors import EditFileError
from dragonkit.files import replacing

__all__ = ["TEXT_LIMIT", "fits", "inside", "json_text", "refuse_lost_paths", "write_with_pictures"]

TEXT_LIMIT = 8_000_000
"""Characters of text in a PNG; what is larger lies beside it. libpng reads no larger chunk, Pillow 64 MiB of them at most."""


def json_text(data: Mapping[str, Any], named: Mapping[str, str] | None = None) -> str:
    """JSON that UTF-8 can hold, with other texts in the place of some."""
    data = replaced(data, lambda text: (named or {}).get(text, text))
    text = json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    try:
        text.encode()
    except UnicodeEncodeError:  # half a character can only be spelled out
        return json.dumps(data, indent=2, allow_nan=False) + "\n"
    return text


def fits(pngs: Mapping[str, bytes]) -> bool:
    """Whether pictures have room in an edit file."""
    return sum(map(len, pngs.values())) * 4 / 3 < TEXT_LIMIT


def inside(pngs: Mapping[str, bytes]) -> dict[str, str]:
    """Pictures by their hashes as text that may stand in an edit file."""
    return {name: "data:image/png;base64," + base64.b64encode(png).decode("ascii") for name, png in pngs.items()}


def refuse_lost_paths(data: Mapping[str, Any], folder: Path, other: Path, name: str) -> None:
    """EditFileError where the values of an edit file, `name`, say paths relative to its `folder`, and it is to be written to another."""
    if other.resolve() == folder.resolve():
        return
    texts = [data["image"], *(value for edit in data["edits"] for value in edit.values() if isinstance(value, str))]
    paths = [text for text in texts if not os.path.isabs(text) and os.path.isfile(folder / text)]
    if paths:
        raise EditFileError(
            f"{name} names {paths[0]!r} relative to {str(folder)!r}, so it cannot be saved in {str(other)!r}. "
            "Save it in the same folder, or save file.self_contained(edit_types)."
        )


def write_with_pictures(path: Path, data: Mapping[str, Any], pngs: Mapping[str, bytes], overwrite: bool = True) -> None:
    """Write an edit file with its pictures, inside where they have room, else beside it: all of them, or nothing.

    Args:
        data: the values of the file.
        pngs: pictures as PNG, by the hash that `data` says in their place.

    Raises:
        OSError: it cannot be written.
    """
    with ExitStack() as written:
        file = written.enter_context(replacing(path, overwrite))  # it gets its name last, when what it names is there
        names = inside(pngs)
        if not fits(pngs):
            stem = path.name.removesuffix(".json").removesuffix(".edit")
            names = {name: f"{stem}.{name[7:15]}.png" for name in pngs}
            for name, png in pngs.items():
                written.enter_context(replacing(path.with_name(names[name]), overwrite)).write(png)
        file.write(json_text(data, names).encode())
