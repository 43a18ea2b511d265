"""Masks, pictures and gestures as values of edits: how they are checked, compared and written as JSON.

A mask field takes whatever `dragonkit.imaging.masks.load_mask` takes and keeps it unread: the image's size is known only later.
"""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from PIL import Image
from pydantic import BeforeValidator, GetJsonSchemaHandler, PlainSerializer, ValidationInfo, WithJsonSchema
from pydantic_core import CoreSchema

from dragonkit.edits.paths import PathRule
from dragonkit.edits.pictures import keeper
from dragonkit.errors import DragonkitError, ImageError, MaskError
from dragonkit.imaging.images import is_tensor, load_image, open_image, upright
from dragonkit.imaging.mask_files import EncodedMask
from dragonkit.imaging.masks import encode_mask, load_mask
from dragonkit.imaging.opening import EMBEDDED, opened, png_bytes
from dragonkit.imaging.photo_files import open_photo, photo_from_bytes
from dragonkit.imaging.photos import Photo
from dragonkit.words import short

__all__ = [
    "Format",
    "Mask",
    "Picture",
    "Points",
    "Region",
    "Shift",
    "image_from_text",
    "image_to_text",
    "mask_to_json",
    "photo_from_text",
    "picture_to_json",
    "same",
]

_FORMS = "a mask: a path, a PIL image, an array, a tensor or {'png': base64}"
_PICTURE_FORMS = "a picture: a path, a PIL image, an array, a tensor or 'data:image/png;base64,...' text"


def mask_to_json(mask: Any) -> dict[str, str] | None:
    """{"png": base64 of a 1-bit PNG} of anything `load_mask` takes; a file is read. None stays None. Raises MaskError."""
    if mask is None:  # a field of type `Mask | None`
        return None
    if isinstance(mask, (str, os.PathLike)):
        try:
            mask = open_image(mask)
        except ImageError as error:
            raise MaskError(f"the mask cannot be read: {error}") from error
    return {"png": encode_mask(load_mask(mask, _size(mask)))}


def image_to_text(image: Image.Image) -> str:
    """A picture as "data:image/png;base64,..." text; lossless."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def image_from_text(text: str, paths: Path | PathRule | None = None) -> Image.Image:
    """The RGB picture in "data:image/png;base64," text or at a path relative to a folder.

    Args:
        paths: the folder, or which paths are followed.

    Raises:
        ImageError: there is no such picture, or its path is not followed.
    """
    if text.startswith("data:"):
        return load_image(_embedded(text))
    rule = paths if isinstance(paths, PathRule) else PathRule(paths or Path(), "anywhere")
    return load_image(rule.follow(text, "picture", ImageError, must_exist=False))


def _embedded(text: str) -> Image.Image:
    """The picture in text, in its own mode: transparency may say where the object is."""
    try:
        with opened(png_bytes(text), "the PNG", EMBEDDED) as image:
            return upright(image, "the PNG")
    except ImageError as error:
        raise ImageError(f"{short(text)} is no picture: {error}") from error


def photo_from_text(text: str) -> Photo:
    """The picture in "data:image/png;base64," text, in its own kind. Raises ImageError."""
    try:
        return photo_from_bytes(png_bytes(text), "the PNG")
    except ImageError as error:
        raise ImageError(f"{short(text)} is no picture: {error}") from error


def same(a: Any, b: Any) -> bool:
    """Equality that also compares arrays, tensors and tuples of them; masks that are still encoded count as what they hold."""
    a, b = (np.asarray(one) if isinstance(one, EncodedMask) else one for one in (a, b))
    if isinstance(a, (tuple, list)) and isinstance(b, (tuple, list)):
        return len(a) == len(b) and all(map(same, a, b))
    if hasattr(a, "shape") or hasattr(b, "shape"):
        return type(a) is type(b) and a.shape == b.shape and bool((a == b).all())
    return bool(a == b)


def _check_mask(value: Any, info: ValidationInfo) -> Any:
    """Accept what `load_mask` accepts, and keep files and encoded masks unread."""
    if isinstance(value, EncodedMask):
        return value
    if isinstance(value, Mapping):
        if set(value) != {"png"} or not isinstance(value["png"], str):
            raise ValueError("a mask in JSON is {'png': base64 text} or a path")
        return EncodedMask(value["png"])
    if isinstance(value, (str, os.PathLike)):
        return _check_path(value, info, "mask", MaskError)
    return _own(value, _FORMS)


def _own(value: Any, forms: str) -> Any:
    """A copy: painting on must not change an edit that was already made."""
    if isinstance(value, Image.Image):
        return upright(value, "the PIL image")
    if isinstance(value, np.ndarray):
        return value.copy()
    if is_tensor(value):
        return value.detach().clone()
    raise ValueError(f"it must be {forms}")


def _check_path(path: str | os.PathLike[str], info: ValidationInfo, what: str, error: type[DragonkitError]) -> str | os.PathLike[str]:
    if not os.fspath(path):
        raise ValueError(f"a {what}'s path must not be empty")
    rule = (info.context or {}).get("paths")
    return path if rule is None else rule.follow(path, what, error)


def _size(mask: Any) -> tuple[int, int]:
    """(width, height) of a picture, an array (H, W[, 1|3|4]) or a tensor ([1|3|4,] H, W), leading ones apart."""
    if isinstance(mask, Image.Image):
        return mask.size
    shape = tuple(mask.shape)
    if len(shape) < 2:
        raise MaskError(f"an array of shape {shape} is not a mask. Pass (height, width).")
    if not is_tensor(mask) and len(shape) > 2 and shape[-1] in (1, 3, 4):
        shape = shape[:-1]
    return shape[-1], shape[-2]


Mask = Annotated[
    Any,
    BeforeValidator(_check_mask),
    PlainSerializer(mask_to_json, when_used="json"),
    WithJsonSchema(
        {
            "format": "mask",
            "accepts": _FORMS,
            "anyOf": [
                {"type": "string", "description": "path of a picture, relative to the edit file"},
                {"type": "object", "properties": {"png": {"type": "string"}}, "required": ["png"], "additionalProperties": False},
            ],
        }
    ),
]
"""The type of a mask field: `mask: Mask`, or `mask: Mask | None = None`. Read it with `load_mask(edit.mask, image.size)`."""


@dataclass(frozen=True)
class Format:
    """Names what a field is in its JSON schema, from which the notebook and the command line know it."""

    name: str

    def __get_pydantic_json_schema__(self, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(core_schema), "format": self.name}


Region = Annotated[Mask, Format("region")]
"""A mask of the same picture besides the one that says what is edited, such as what a vacated place shall resemble."""

Point = tuple[float, float]

Points = Annotated[tuple[tuple[Point, Point], ...], Format("points")]
"""Pairs ((x, y), (x, y)) of places in pixels, from where to where; the notebook draws them as arrows."""

Shift = Annotated[Point, Format("shift")]
"""How far, (dx, dy) in pixels; in the notebook an arrow sets it."""


def picture_to_json(picture: Any) -> str | None:
    """ "data:image/png;base64,..." of anything `load_image` takes; a file is read. None stays None. Raises ImageError.

    Within `dragonkit.edits.pictures.kept_apart` the hash of its pixels instead.
    """
    if picture is None:
        return None
    if (photos := keeper()) is None:
        return image_to_text(load_image(picture))
    photo = open_photo(load_image(picture))
    photos[photo.hash] = photo
    return photo.hash


def _check_picture(value: Any, info: ValidationInfo) -> Any:
    """Accept what `load_image` accepts, and the text that `picture_to_json` writes."""
    if isinstance(value, str) and value.startswith("data:"):
        return _embedded(value)
    if isinstance(value, (str, os.PathLike)):
        return _check_path(value, info, "picture", ImageError)
    return _own(value, _PICTURE_FORMS)


Picture = Annotated[
    Any,
    BeforeValidator(_check_picture),
    PlainSerializer(picture_to_json, when_used="json"),
    WithJsonSchema({"type": "string", "format": "picture", "accepts": _PICTURE_FORMS}),
]
"""The type of a field that is a second picture. Read it with `load_image(edit.reference)`, or hand it on in a `Reference`."""
