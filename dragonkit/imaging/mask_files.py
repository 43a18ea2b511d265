"""Masks in and out: files, PIL images, arrays and tensors become bool arrays; bool arrays become text and back."""

from __future__ import annotations

import base64
import io
import os
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from PIL import Image

from dragonkit.errors import MaskError
from dragonkit.imaging.images import is_tensor, open_image, to_numpy, upright

if TYPE_CHECKING:
    import torch

__all__ = ["MaskSource", "checked_mask", "decode_mask", "encode_mask", "load_mask"]

MaskSource: TypeAlias = "str | os.PathLike[str] | Image.Image | np.ndarray | torch.Tensor"


def load_mask(mask: MaskSource, size: tuple[int, int]) -> np.ndarray:
    """Read a mask for an image of `size` (width, height) as bool (height, width).

    Inside is True; above 127 in 8 bits, above the middle in 16 bits, above 0.5 in floats, or 1 where only 0 and 1 occur.
    In colour the brightest channel decides, so that any paint counts; alpha does where the colours say nothing.

    Args:
        mask: a path, a PIL image, an array (H, W) or (H, W, 1|3|4), a tensor (H, W) or (1|3|4, H, W); leading axes of
            length 1 are dropped.

    Raises:
        MaskError: unreadable, of another size, or empty. A mask that covers everything is allowed.
    """
    values = _mask_values(mask, (size[1], size[0]))
    if values.shape[:2] != (size[1], size[0]):
        raise MaskError(
            f"the mask is {values.shape[1]}x{values.shape[0]} but the image is {size[0]}x{size[1]} (width x height). "
            "Make the mask at the image's size."
        )
    colours = values[..., :3].max(axis=2)
    inside = _threshold(colours)
    if values.shape[2] == 4 and inside.all() == inside.any():
        by_alpha = _threshold(values[..., 3])
        if by_alpha.any() and not by_alpha.all():
            inside = by_alpha
    if not inside.any():
        raise MaskError(
            f"the mask is empty: its highest value is {float(colours.max()):g}, and none counts as inside. Paint the object white."
        )
    return inside


def encode_mask(mask: np.ndarray) -> str:
    """A bool mask (H, W) as base64 text of a 1-bit PNG."""
    buffer = io.BytesIO()
    Image.fromarray(checked_mask(mask)).save(buffer, format="PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def decode_mask(text: str) -> np.ndarray:
    """The bool mask (H, W) that `encode_mask` wrote; a "data:image/png;base64," prefix is allowed. Raises MaskError."""
    try:
        data = base64.b64decode(text.removeprefix("data:image/png;base64,"), validate=True)
        with Image.open(io.BytesIO(data)) as image:
            return np.array(image.convert("L")) > 127
    except Exception as error:  # PIL's decoders raise nearly anything on broken data
        raise MaskError(f"{text[:24]!r}... ({len(text)} characters) is no base64 PNG mask: {error}. Make it with encode_mask.") from error


def checked_mask(mask: np.ndarray) -> np.ndarray:
    """The mask itself when it is a bool array (H, W) with pixels; MaskError otherwise."""
    if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_ or mask.ndim != 2 or mask.size == 0:
        received = f"{mask.dtype} {mask.shape}" if isinstance(mask, np.ndarray) else type(mask).__name__
        raise MaskError(f"a mask must be a bool array (height, width), got {received}. Use load_mask to make one.")
    return mask


def _mask_values(mask: MaskSource, shape: tuple[int, int]) -> np.ndarray:
    """Any mask as an array (H, W, 1|3|4) of its own kind of numbers. `shape` tells batch axes from a one-pixel-high image."""
    if isinstance(mask, (str, os.PathLike, Image.Image)):
        try:
            return _pil_values(upright(mask, "the PIL image") if isinstance(mask, Image.Image) else open_image(mask))
        except ValueError as error:  # an ImageError, or a colour mode that PIL cannot convert
            raise MaskError(f"the mask cannot be read: {error}") from error
    tensor = is_tensor(mask)
    if not tensor and not isinstance(mask, np.ndarray):
        raise MaskError(f"a mask cannot be made from {type(mask).__name__}. Pass a path, a PIL image, an array or a tensor.")
    array = to_numpy(mask) if tensor else np.asarray(mask)
    original = array.shape
    while array.ndim > 2 and array.shape[0] == 1 and array.shape[:2] != shape:
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


def _pil_values(image: Image.Image) -> np.ndarray:
    if image.has_transparency_data:
        image = image.convert("RGBA")
    elif image.mode not in ("1", "L", "F") and not image.mode.startswith("I"):
        image = image.convert("RGB")
    values = np.asarray(image)
    return values if values.ndim == 3 else values[..., None]


def _threshold(values: np.ndarray) -> np.ndarray:
    """Which values count as inside: see `load_mask`."""
    if values.dtype == np.bool_:
        return values
    low, high = values.min(), values.max()
    if np.issubdtype(values.dtype, np.floating):
        if not (low >= -1e-3 and high <= 1 + 1e-3):  # written so that NaN fails too
            raise MaskError(f"a float mask must lie in 0..1, but lies in {low:g}..{high:g}. Compare it with a threshold first.")
        return values > 0.5
    if low < 0 or high > 65535:
        raise MaskError(f"a mask of {values.dtype} values {low}..{high} has no clear inside. Pass a bool array, such as `labels == 3`.")
    if high <= 1:
        return values == 1
    return values > (32767 if high > 255 or values.dtype.itemsize == 2 else 127)
