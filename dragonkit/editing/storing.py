"""A result on disk: a PNG, what its metadata say, and what has no room in them beside it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal, get_args

from dragonkit.edits.file import PNG_KEY, EditFile
from dragonkit.edits.sharing import without_masks
from dragonkit.edits.writing import TEXT_LIMIT, fits, inside, json_text, write_with_pictures
from dragonkit.files import replacing
from dragonkit.imaging.photos import Photo

__all__ = ["BESIDE", "METADATA", "Metadata", "store"]

Metadata = Literal["edit", "full", "none"]
METADATA: tuple[str, ...] = get_args(Metadata)

BESIDE = ".edit.json"
"""The ending of the edit file beside a PNG, in place of ".png"."""


def store(path: Path, photo: Photo, file: EditFile, metadata: Metadata, overwrite: bool) -> None:
    """Write a PNG, and where its metadata have no room for what is asked for an edit file beside it.

    Raises:
        FileExistsError: `overwrite` is False, and there is something.
        OSError: it cannot be written; what was there is as it was.
    """
    texts, beside = {}, None
    if metadata != "none":
        data, pngs = file.shareable().model_dump(mode="json"), file.pngs() if metadata == "full" else {}
        texts[PNG_KEY] = json_text(data, inside(pngs) if fits(pngs) else {})
        if not fits(pngs) or len(texts[PNG_KEY]) > TEXT_LIMIT:
            beside, texts[PNG_KEY] = (data, pngs), json_text(data)
        if len(texts[PNG_KEY]) > TEXT_LIMIT:
            texts[PNG_KEY] = json_text(without_masks(data))
    with replacing(path, overwrite) as out:
        photo.write(out, texts)
        out.flush()
        os.fsync(out.fileno())  # a full disk is known before anything gets its name
        if beside is not None:
            write_with_pictures(path.with_name(path.stem + BESIDE), *beside, overwrite)
