"""Pictures that an edit file names by the hash of their pixels: they lie in memory, or with their owner."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from dragonkit.errors import EditFileError
from dragonkit.imaging.images import ImageSource
from dragonkit.imaging.photo_files import open_photo
from dragonkit.imaging.photos import Photo

__all__ = ["is_hash", "keeper", "kept_apart", "matched", "refuse_missing", "replaced", "texts_in"]

_HASH = re.compile(r"sha256:[0-9a-f]{64}")
_keeper: ContextVar[MutableMapping[str, Photo] | None] = ContextVar("dragonkit_picture_keeper", default=None)


@contextmanager
def kept_apart(photos: MutableMapping[str, Photo]) -> Iterator[None]:
    """Within this block edits that become dicts put their pictures here, by hash, and say the hash only."""
    token = _keeper.set(photos)
    try:
        yield
    finally:
        _keeper.reset(token)


def keeper() -> MutableMapping[str, Photo] | None:
    """Where pictures go now; None where they are to be written out."""
    return _keeper.get()


def is_hash(text: object) -> bool:
    """Whether a value is what `pixel_hash` gives."""
    return isinstance(text, str) and _HASH.fullmatch(text) is not None


def texts_in(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """All texts of a JSON value, each with its place, such as "edits[0].reference"."""
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from texts_in(inner, f"{place}.{key}" if place else str(key))
    elif isinstance(value, (list, tuple)):
        for number, inner in enumerate(value):
            yield from texts_in(inner, f"{place}[{number}]")


def replaced(value: Any, change: Callable[[str], Any]) -> Any:
    """A JSON value with every text changed; keys stay."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {key: replaced(inner, change) for key, inner in value.items()}
    return [replaced(inner, change) for inner in value] if isinstance(value, (list, tuple)) else value


def matched(pictures: Iterable[ImageSource | Photo], hashes: Collection[str], name: str) -> dict[str, Photo]:
    """The pictures by hash.

    Args:
        hashes: of those that are asked for.
        name: of the file that asks for them.

    Raises:
        EditFileError: a picture is none of those.
        ImageError: it cannot be read.
    """
    photos = {}
    for number, picture in enumerate(pictures):
        what = repr(os.fspath(picture)) if isinstance(picture, (str, os.PathLike)) else f"number {number}"
        if not hashes:
            raise EditFileError(f"{name} asks for no picture by the hash of its pixels, but got the picture {what}; leave it out.")
        photo = open_photo(picture)
        if photo.hash not in hashes:
            wanted = " or ".join(dict.fromkeys(one[:15] for one in hashes))
            raise EditFileError(
                f"the picture {what} is not what {name} was made from: the hash of its pixels is {photo.hash[:15]}..., but must be "
                f"{wanted}...; give the very picture, or name another one in an edit file (.json)."
            )
        photos[photo.hash] = photo
    return photos


def refuse_missing(missing: Collection[str], name: str) -> None:
    """EditFileError where there are places of pictures or masks that are named by a hash and not held; `name` is that of the file."""
    masks = [place for place in missing if place.endswith(".png")]
    if masks:
        raise EditFileError(f"{name} has no room for {masks[0]}; run the edit file that was written beside it, .edit.json.")
    if missing:
        raise EditFileError(
            f"{name} says of {' and '.join(missing)} only the hash of the pixels; give what it was made from: "
            "--image PICTURE of dragonkit run, or EditFile.with_pictures(PICTURE) in Python."
        )
