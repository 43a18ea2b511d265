"""Pictures in and out: files, PIL images, arrays and tensors become RGB, RGB becomes tensors, and back.

A size is always (width, height) in pixels, an array (height, width[, channels]), a tensor ([batch,] channels, height, width).
Torch is imported inside the functions that make or take tensors, so that `import dragonkit` stays light.
"""

from __future__ import annotations

import math
import os
import sys
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from PIL import Image, ImageOps

from dragonkit.errors import ImageError, MaskError, OutOfMemoryError, ShapeError
from dragonkit.imaging.opening import check_size, opened
from dragonkit.words import quoted

if TYPE_CHECKING:
    import torch

__all__ = ["MAX_ASPECT", "ImageSource", "fit_size", "load_image", "open_image", "open_picture", "psnr", "to_image", "to_tensor"]

ImageSource: TypeAlias = "str | os.PathLike[str] | Image.Image | np.ndarray | torch.Tensor"

MAX_ASPECT = 3.0  # diffusion models fall apart on longer strips
_BAND = 1 << 18  # pixels of more than 8 bits made 8 at once: bounds the memory
_TOLERANCE = 1e-3  # how far floats may leave 0..1 by rounding or interpolation before we call it another range


def load_image(source: ImageSource) -> Image.Image:
    """Read a picture as RGB, the way a viewer shows it.

    The EXIF rotation is applied and transparency is flattened onto white. Grey, palette, CMYK and 16-bit pictures become
    8-bit RGB. An embedded colour profile stays in `.info`. The result shares no memory with `source`.

    Args:
        source: a path; a PIL image; an array (H, W) or (H, W, 1|3|4) of uint8 0..255 or floats 0..1; a tensor (1|3|4, H, W)
            or (1, 1|3|4, H, W), likewise.

    Raises:
        ImageError: there is no such file, it is no picture, or the values cannot be read as one.
    """
    return _to_rgb(*_in_own_mode(source))


def open_picture(source: ImageSource) -> Image.Image:
    """The same in its own mode: with its transparency, its 16 bits. Raises ImageError."""
    return _in_own_mode(source)[0]


def open_image(path: str | os.PathLike[str]) -> Image.Image:
    """Read a picture file in its own mode, with the EXIF rotation applied. Raises ImageError."""
    what = f"the picture {quoted(path)}"
    with opened(path, what) as image:
        return upright(image, what)


def _in_own_mode(source: ImageSource) -> tuple[Image.Image, str]:
    """A picture upright, and what it is called in errors."""
    if isinstance(source, (str, os.PathLike)):
        return open_image(source), f"the picture {quoted(source)}"
    if isinstance(source, Image.Image):
        return upright(source, "the PIL image"), "the PIL image"
    if is_tensor(source):
        return from_array(channels_last(source)), "the tensor"
    if isinstance(source, np.ndarray):
        return from_array(source), "the array"
    raise ImageError(f"a picture cannot be made from {type(source).__name__}. Pass a path, a PIL image, an array or a tensor.")


def to_tensor(image: Image.Image, size: tuple[int, int] | None = None) -> torch.Tensor:
    """Picture to a tensor (1, 3, h, w), float32 in [-1, 1], resized with LANCZOS where `size` (w, h) differs. Raises ImageError."""
    import torch

    rgb = _resized(load_image(image), size)
    array = np.asarray(rgb, dtype=np.float32) / 127.5 - 1.0
    return torch.from_numpy(array).permute(2, 0, 1)[None].contiguous()


def to_image(tensor: torch.Tensor, size: tuple[int, int] | None = None) -> Image.Image:
    """Tensor (1, 3, h, w) or (3, h, w) in [-1, 1] to RGB, resized with LANCZOS where `size` (w, h) differs.

    Values beyond [-1, 1] are clipped, as decoders overshoot. Exact inverse of `to_tensor` at the same size.
    Raises ShapeError for another shape or a batch, ImageError for NaN or infinite values.
    """
    import torch

    shape = tuple(tensor.shape)
    if len(shape) not in (3, 4) or shape[-3] != 3 or (len(shape) == 4 and shape[0] != 1) or 0 in shape:
        raise ShapeError("(1, 3, height, width) or (3, height, width)", shape, "the image tensor", "Convert one picture at a time.")
    pixels = tensor.detach().reshape(shape[-3:]).to("cpu", torch.float32)
    if not bool(torch.isfinite(pixels).all()):
        raise ImageError("the image tensor holds NaN or infinite values. Decode in float32, or lower energy_scale.")
    array = ((pixels + 1.0) * 127.5).round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
    return _resized(Image.fromarray(array), size)


def fit_size(image_size: tuple[int, int], model_size: int, multiple: int) -> tuple[int, int]:
    """The (width, height) a model works at for a picture of `image_size` (width, height).

    The short side is `model_size` rounded to `multiple`. The long side keeps the aspect as closely as multiples allow, and is
    at most 3 times the short one. Raises ImageError when a size is not positive.

    Example:
        >>> fit_size((1200, 800), 512, 8)
        (768, 512)
    """
    width, height = image_size
    if min(width, height, model_size, multiple) < 1:
        raise ImageError(f"sizes must be positive, got image_size={image_size}, model_size={model_size}, multiple={multiple}. Pass pixels.")
    short = _round_to(model_size, multiple)
    aspect = min(max(width, height) / min(width, height), MAX_ASPECT)
    long = _round_to(short * aspect, multiple)
    return (long, short) if width >= height else (short, long)


def psnr(a: Image.Image | np.ndarray, b: Image.Image | np.ndarray, mask: np.ndarray | None = None) -> float:
    """Peak signal-to-noise ratio in dB (peak 255) of two pictures; infinite when they are equal.

    Args:
        a, b: PIL images, or uint8 arrays (H, W, 3).
        mask: bool (H, W), compare only where True.

    Raises:
        ShapeError: pictures or mask differ in size. ImageError: an array is not uint8.
        MaskError: (a ValueError) the mask is nowhere True.

    Example:
        >>> black = np.zeros((2, 2, 3), np.uint8)
        >>> grey = np.full((2, 2, 3), 51, np.uint8)  # a fifth of the peak
        >>> round(psnr(black, grey), 1), psnr(grey, grey)
        (14.0, inf)
    """
    first, second = _rgb_array(a), _rgb_array(b)
    if first.shape != second.shape:
        raise ShapeError(first.shape, second.shape, "the second picture", "Compare pictures of one size.")
    squared = (first.astype(np.float64) - second) ** 2
    if mask is not None:
        where = np.asarray(mask, dtype=bool)
        if where.shape != first.shape[:2]:
            raise ShapeError(first.shape[:2], where.shape, "the mask", "Give it the height and width of the pictures.")
        squared = squared[where]
    if squared.size == 0:
        raise MaskError("there is no pixel to compare: the mask is nowhere True. Pass a mask that selects pixels, or None.")
    error = float(squared.mean())
    return math.inf if error == 0.0 else 10.0 * math.log10(255.0**2 / error)


def is_tensor(value: object) -> bool:
    """Whether `value` is a torch tensor, without importing torch: whoever made one has imported it."""
    torch_module = sys.modules.get("torch")
    return torch_module is not None and isinstance(value, torch_module.Tensor)


def to_numpy(tensor: Any) -> np.ndarray:
    """A tensor of any device and kind as an array; bfloat16, which numpy lacks, becomes float32. ImageError where it holds no values."""
    try:
        tensor = tensor.detach().cpu()
        return (tensor.float() if tensor.is_floating_point() else tensor).numpy()
    except (NotImplementedError, RuntimeError, TypeError) as error:  # on the meta device, sparse, quantized
        raise ImageError(f"a tensor of {tensor.dtype} on {tensor.device} cannot be read: {error}. Pass a dense one.") from error


def channels_last(tensor: Any) -> np.ndarray:
    array = to_numpy(tensor)
    if array.ndim == 4 and array.shape[0] == 1:
        array = array[0]
    if array.ndim != 3 or array.shape[0] not in (1, 3, 4):
        raise ImageError(
            f"a tensor of shape {tuple(tensor.shape)} is not one picture (3, height, width). "
            "Use tensor.permute(2, 0, 1) if channels come last, and pass pictures of a batch one by one."
        )
    return array.transpose(1, 2, 0)


def from_array(array: np.ndarray) -> Image.Image:
    """(H, W) or (H, W, 1|3|4) to a PIL image of mode L, RGB or RGBA."""
    if 0 in array.shape:
        raise ImageError(f"the array of shape {array.shape} holds no pixels. Pass a picture of at least 1x1 pixels.")
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        hint = "Pass (height, width) or (height, width, 3)."
        if array.ndim == 3 and array.shape[0] in (1, 3, 4):
            hint = "Channels seem to come first: pass array.transpose(1, 2, 0)."
        raise ImageError(f"an array of shape {array.shape} is not a picture. {hint}")
    if np.issubdtype(array.dtype, np.floating):
        low, high = float(array.min()), float(array.max())
        if not (low >= -_TOLERANCE and high <= 1.0 + _TOLERANCE):  # written so that NaN fails too
            raise ImageError(f"a float picture must lie in 0..1, but lies in {low:g}..{high:g}. Rescale it, or pass uint8 0..255.")
        array = np.rint(np.clip(array.astype(np.float32), 0.0, 1.0) * 255.0).astype(np.uint8)
    if array.dtype != np.uint8:
        raise ImageError(f"a picture must be uint8 (0..255) or float (0..1), not {array.dtype}. Convert the array first.")
    return Image.fromarray(np.ascontiguousarray(array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array))


def upright(image: Image.Image, what: str) -> Image.Image:
    """A loaded copy with the EXIF rotation applied; `what` names it in errors. Raises ImageError."""
    check_size(image.size, what)
    try:
        image.load()
        return ImageOps.exif_transpose(image)
    except MemoryError as error:
        raise OutOfMemoryError(f"Scale {what} down first.") from error
    except Exception as error:  # PIL's decoders raise nearly anything on broken data, from SyntaxError to zlib.error
        raise ImageError(f"{what} is damaged or incomplete: {str(error) or type(error).__name__}. Save or download it again.") from error


def _to_rgb(image: Image.Image, what: str) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":  # PIL's own conversion clips these at 255
        image = _eight_bits(image, what)
    try:
        if image.has_transparency_data:
            rgba = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
        return image.convert("RGB")
    except ValueError as error:
        raise ImageError(f"{what} has colour mode {image.mode}, which has no way to RGB. Save it as RGB.") from error


def _eight_bits(image: Image.Image, what: str) -> Image.Image:
    """A grey picture with more than 8 bits (mode I, I;16 or F) with 8. Raises ImageError."""
    values = np.asarray(image)
    peak, low, high = 1.0 if image.mode == "F" else 65535.0, values.min(), values.max()
    if not (low >= 0 and high <= peak):  # written so that NaN fails too
        raise ImageError(f"{what} has values {low:g}..{high:g}, outside 0..{peak:g}. Save it in 8 or 16 bits.")
    greys = np.empty(values.shape, np.uint8)
    rows = max(1, _BAND // values.shape[1])
    for top in range(0, len(values), rows):
        greys[top : top + rows] = np.rint(values[top : top + rows] / np.float64(peak) * 255.0)
    return Image.fromarray(greys)


def _rgb_array(image: Image.Image | np.ndarray) -> np.ndarray:
    array = np.asarray(image.convert("RGB")) if isinstance(image, Image.Image) else image
    if array.ndim != 3 or array.shape[2] != 3:
        raise ShapeError("(height, width, 3)", array.shape, "the picture")
    if array.dtype != np.uint8:
        raise ImageError(f"pictures to compare must be uint8 (0..255), not {array.dtype}. Convert the array first.")
    return array


def _resized(image: Image.Image, size: tuple[int, int] | None) -> Image.Image:
    if size is None or tuple(size) == image.size:
        return image
    if min(size) < 1:
        raise ImageError(f"the size (width, height) must be positive, got {tuple(size)}. Pass pixels.")
    return image.resize(size, Image.Resampling.LANCZOS)


def _round_to(value: float, multiple: int) -> int:
    return max(1, math.floor(value / multiple + 0.5)) * multiple
