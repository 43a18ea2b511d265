"""How much an edit file may ask for: what it weighs in pixels is read from headers, before anything is decoded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dragonkit.errors import EditFileError, ImageError
from dragonkit.imaging.opening import check_size, png_size

__all__ = ["MAX_BYTES", "MAX_EDITS", "MAX_TOTAL_PIXELS", "check_weight"]

MAX_BYTES = 256 * 2**20  # of an edit file
MAX_EDITS = 256  # in one run
MAX_TOTAL_PIXELS = 512_000_000  # of all pictures and masks inside: twenty masks for a picture of 24 megapixels


def check_weight(data: Mapping[str, Any], name: str) -> None:
    """EditFileError where the pictures and masks inside are too large, each or together; what is no PNG is not counted.

    Args:
        data: the JSON values of an edit file.
        name: of the file, for messages.
    """
    total = 0
    for text in _embedded(data):
        size = png_size(text)
        if size is None:  # refused where it is used, with the name of its field
            continue
        try:
            check_size(size, f"{name}: a picture or mask inside")
        except ImageError as error:
            raise EditFileError(str(error)) from error
        total += size[0] * size[1]
        if total > MAX_TOTAL_PIXELS:
            raise EditFileError(
                f"{name} holds pictures and masks of more than {MAX_TOTAL_PIXELS:,} pixels together. Make several edit files of it."
            )


def _embedded(data: Any) -> Iterator[str]:
    """All texts that may be a picture, and all that may be a mask, however deep they are."""
    values = [data]
    while values:
        value = values.pop()
        if isinstance(value, str) and value.startswith("data:"):
            yield value
        elif isinstance(value, Mapping):
            if set(value) == {"png"} and isinstance(value["png"], str):
                yield value["png"]
            else:
                values.extend(value.values())
        elif isinstance(value, (list, tuple)):
            values.extend(value)
