"""Masks in and out: files, PIL images, arrays and tensors become bool arrays; bool arrays become text and back."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from PIL import Image

from dragonkit.errors import MaskError
from dragonkit.imaging.images import is_tensor, to_numpy, upright
from dragonkit.imaging.mask_meaning import inside_of
from dragonkit.imaging.opening import EMBEDDED, check_size, opened, png_bytes, png_size
from dragonkit.words import quoted

if TYPE_CHECKING:
    import torch

__all__ = ["EncodedMask", "MaskSource", "checked_mask", "decode_mask", "encode_mask", "load_mask"]

MaskSource: TypeAlias = "str | os.PathLike[str] | Image.Image | np.ndarray | torch.Tensor | EncodedMask"


class EncodedMask:
    """The base64 text of a PNG that shall be a mask: nothing is decoded before `load_mask` knows the size that it must have.

    `numpy.asarray` decodes it as well.

    Attributes:
        text: the base64 text, without a prefix.
        size: (width, height) that the PNG claims.

    Raises:
        MaskError: it is no PNG, or larger than any picture may be.
    """

    def __init__(self, text: str) -> None:
        size = png_size(text)
        if size is None:
            raise _no_png(text, "it does not begin like one")
        with _as_mask_error():
            check_size(size, "the mask")
        self.text, self.size = text.removeprefix("data:image/png;base64,"), size

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width)."""
        return self.size[1], self.size[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return decode_mask(self.text, self.size) if dtype is None else decode_mask(self.text, self.size).astype(dtype)

    def __repr__(self) -> str:
        return f"<EncodedMask {self.size[0]}x{self.size[1]}>"


def load_mask(mask: MaskSource, size: tuple[int, int]) -> np.ndarray:
    """Read a mask for an image of `size` (width, height) as bool (height, width).

    White on black, above the middle; one paint, or labels in colours, on black; what is opaque where transparency varies:
    `dragonkit.imaging.mask_meaning` has the rules. Files of another size are refused before their pixels are decoded.

    Args:
        mask: a path, a PIL image, an array (H, W) or (H, W, 1|3|4), a tensor (H, W) or (1|3|4, H, W); leading axes of
            length 1 are dropped.

    Raises:
        MaskError: unreadable, no mask but a picture, of another size, or empty. A mask that covers everything is allowed.
    """
    values = _mask_values(mask, size)
    _check_size((values.shape[1], values.shape[0]), size)
    inside = inside_of(values)
    if not inside.any():
        highest = values[..., :3].max()
        labels = f" Where these are labels, compare them: numpy.asarray(mask) == {highest}." if highest > 1 else ""
        raise MaskError(f"the mask is empty: its highest value is {highest:g}, and none counts as inside. Paint the object white.{labels}")
    return inside


def encode_mask(mask: np.ndarray) -> str:
    """A bool mask (H, W) as base64 text of a 1-bit PNG."""
    buffer = io.BytesIO()
    Image.fromarray(checked_mask(mask)).save(buffer, format="PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def decode_mask(text: str, size: tuple[int, int] | None = None) -> np.ndarray:
    """The bool mask (H, W) that `encode_mask` wrote; a "data:image/png;base64," prefix is allowed.

    Args:
        size: (width, height) that it must have, which is found out before its pixels are decoded.

    Raises:
        MaskError: it is no PNG, no mask, or of another size.
    """
    values = _text_values(text, size)
    if size is not None:
        _check_size((values.shape[1], values.shape[0]), size)
    return inside_of(values)


def checked_mask(mask: np.ndarray) -> np.ndarray:
    """The mask itself when it is a bool array (H, W) with pixels; MaskError otherwise."""
    if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_ or mask.ndim != 2 or mask.size == 0:
        received = f"{mask.dtype} {mask.shape}" if isinstance(mask, np.ndarray) else type(mask).__name__
        raise MaskError(f"a mask must be a bool array (height, width), got {received}. Use load_mask to make one.")
    return mask


@contextmanager
def _as_mask_error() -> Iterator[None]:
    try:
        yield
    except ValueError as error:  # an ImageError, or a colour mode that PIL cannot convert
        if isinstance(error, MaskError):
            raise
        raise MaskError(f"the mask cannot be read: {error}") from error


def _no_png(text: str, why: object) -> MaskError:
    return MaskError(f"{text[:24]!r}... ({len(text)} characters) is no base64 PNG mask: {why}. Make it with encode_mask.")


def _check_size(found: tuple[int, int], size: tuple[int, int]) -> None:
    if found != size:
        raise MaskError(
            f"the mask is {found[0]}x{found[1]} but the image is {size[0]}x{size[1]} (width x height). Make the mask at the image's size."
        )


def _mask_values(mask: MaskSource, size: tuple[int, int]) -> np.ndarray:
    """Any mask as an array (H, W, 1|3|4) of its own kind of numbers. `size` tells batch axes from a one-pixel-high image."""
    if isinstance(mask, EncodedMask):
        return _text_values(mask.text, size)
    if isinstance(mask, (str, os.PathLike)):
        what = f"the picture {quoted(mask)}"
        with _as_mask_error(), opened(mask, what) as image:
            return _picture_values(image, what, size)
    if isinstance(mask, Image.Image):
        with _as_mask_error():
            return _picture_values(mask, "the PIL image", size)
    tensor = is_tensor(mask)
    if not tensor and not isinstance(mask, np.ndarray):
        raise MaskError(f"a mask cannot be made from {type(mask).__name__}. Pass a path, a PIL image, an array or a tensor.")
    with _as_mask_error():
        array = to_numpy(mask) if tensor else np.asarray(mask)
    original = array.shape
    while array.ndim > 2 and array.shape[0] == 1 and array.shape[:2] != size[::-1]:
        array = array[0]
    if array.ndim == 3 and tensor:
        array = np.moveaxis(array, 0, -1)
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4) or array.size == 0:
        kind = "a tensor" if tensor else "an array"
        raise MaskError(f"{kind} of shape {tuple(original)} is not a mask. Pass one of shape (height, width).")
    if array.dtype.kind not in "bifu":
        raise MaskError(f"a mask must hold bools or numbers, not {array.dtype}. Pass a bool array, such as `labels == 3`.")
    return array


def _text_values(text: str, size: tuple[int, int] | None) -> np.ndarray:
    try:
        with opened(png_bytes(text), "the PNG", EMBEDDED) as image:
            return _picture_values(image, "the PNG", size)
    except ValueError as error:
        if isinstance(error, MaskError):
            raise
        raise _no_png(text, str(error).rstrip(".")) from error


def _picture_values(image: Image.Image, what: str, size: tuple[int, int] | None) -> np.ndarray:
    """The values of a picture, which is not decoded where it has another size, upright or on its side."""
    check_size(image.size, what)
    if size is not None and size != image.size[::-1]:
        _check_size(image.size, size)
    return _pil_values(upright(image, what))


def _pil_values(image: Image.Image) -> np.ndarray:
    if image.has_transparency_data:
        image = image.convert("RGBA")
    elif image.mode not in ("1", "L", "F") and not image.mode.startswith("I"):
        image = image.convert("RGB")
    values = np.asarray(image)
    return values if values.ndim == 3 else values[..., None]
