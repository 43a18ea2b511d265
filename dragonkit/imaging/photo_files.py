"""Photos in: files, PIL images, arrays and tensors as photos, and what of a file cannot be kept."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from dragonkit.imaging.deep import deep_mode, low_bytes
from dragonkit.imaging.images import ImageSource, channels_last, from_array, is_tensor, load_image, open_image, upright
from dragonkit.imaging.opening import EMBEDDED, opened
from dragonkit.imaging.photos import Photo
from dragonkit.words import quoted

__all__ = ["open_photo", "photo_from_bytes"]

_PROFILE_SPACES = {True: b"GRAY", False: b"RGB "}  # of ICC profiles, by whether a photo is grey
_METRE = 0.0254  # metres in an inch
_KEPT_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX")  # what becomes grey or RGB without a loss


def open_photo(source: ImageSource | Photo) -> Photo:
    """Read a picture in its own kind, upright. Takes what `load_image` takes, and raises ImageError as it does."""
    if isinstance(source, Photo):
        return source
    if isinstance(source, (str, os.PathLike)):
        return _opened(open_image(source), f"the picture {quoted(source)}", Path(source))
    if isinstance(source, Image.Image):
        return _opened(upright(source, "the PIL image"), "the PIL image")
    if is_tensor(source):
        return _opened(from_array(channels_last(source)), "the tensor")
    if isinstance(source, np.ndarray):
        return _opened(from_array(source), "the array")
    return _opened(load_image(source), "the picture")  # which refuses it


def photo_from_bytes(data: bytes, what: str, formats: Sequence[str] = EMBEDDED) -> Photo:
    """The photo in a file's bytes, those of a PNG unless other formats are named; `what` names it in errors. Raises ImageError."""
    with opened(data, what, formats) as image:
        return _opened(upright(image, what), what, data)


def _opened(image: Image.Image, what: str, file: Path | bytes | None = None) -> Photo:
    deep, notes = "" if file is None else deep_mode(file), []
    if deep.startswith("LA"):  # which PIL reads as RGBA
        image = image.convert("LA")
    rgb = np.asarray(load_image(image))
    if image.mode == "F":
        samples = np.rint(np.asarray(image, np.float64) * 65535).astype(np.uint16)
        notes.append("the picture's floats become 16 bits")
    elif image.mode.startswith("I"):
        samples = np.asarray(image).astype(np.uint16)  # `load_image` has seen that it fits
    else:
        samples = _samples(image, rgb)
        if file is not None and deep:
            low = low_bytes(file, what)
            if low is None or low.shape != samples.shape:
                notes.append(
                    "the picture's 16 bits cannot be read in this form and become 8; to keep them, save it as a PNG in RGB or RGBA"
                )
            else:
                samples = samples.astype(np.uint16) << 8 | low
    if image.mode not in _KEPT_MODES and not image.mode.startswith(("I", "F")):
        notes.append(f"the picture's colours, {image.mode}, become RGB without a look at their colour profile")
    profile, grey = image.info.get("icc_profile") or None, samples.ndim == 2 or samples.shape[2] == 2
    if profile is not None and profile[16:20] != _PROFILE_SPACES[grey]:
        notes.append(f"the picture's colour profile is for {_space(profile)} and not for {'greys' if grey else 'RGB'}, so it is left out")
        profile = None
    return Photo(samples, rgb, profile, _density(image.info.get("dpi")), tuple(notes))


def _samples(image: Image.Image, rgb: np.ndarray) -> np.ndarray:
    """The samples of a picture with 8 bits; `rgb` itself where they are just that."""
    grey = image.mode in ("1", "L", "LA")
    if image.has_transparency_data:
        return np.asarray(image.convert("LA" if grey else "RGBA"))
    return np.ascontiguousarray(rgb[..., 0]) if grey else rgb


def _density(dpi: Any) -> tuple[float, float] | None:
    """Dots per inch as PNG holds them, in whole dots per metre; None where they are missing or broken."""
    try:
        x, y = (round(float(part) / _METRE) for part in dpi)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    return (x * _METRE, y * _METRE) if min(x, y) > 0 and max(x, y) < 2**31 else None


def _space(profile: bytes) -> str:
    return profile[16:20].decode("ascii", "replace").strip() or "nothing"
