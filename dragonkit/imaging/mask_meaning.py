"""What somebody means by a mask: from the values of a picture or an array to which pixels are inside.

White on black, any one paint on black, labels in colours on black, transparency; and what is no mask at all, such as the photo itself.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from dragonkit.errors import MaskError

__all__ = ["cut_out", "inside_of"]

_GREYISH = 48  # how far the channels of a grey may be apart: JPEG does that
_BLACK = 48  # what may be meant as black: JPEG leaves rings on it
_COLORED = 0.002  # the share of coloured pixels from which a picture is one in colours
_LABELS = 16  # flat colours that a label map may have
_OFF = 48  # how far a pixel may be from a mixture of paint and black
_MIXED = 0.97  # the share of pixels that must be such mixtures
_EXTREME = 0.25  # the share of a soft mask that is black or white at least
_LEVELS = 32  # greys up to which a mask is flat, and may have any
_SAMPLE = 1 << 20  # pixels looked at to tell what kind of picture it is


def inside_of(values: np.ndarray) -> np.ndarray:
    """Which pixels are inside, bool (H, W). All or none may be.

    - Transparency decides where it varies: what is opaque is inside.
    - A picture in colours is a mask when it is one paint on black, or up to 16 flat colours with black among them: all that is not black.
    - Else the brightest channel decides: inside is above 127 in 8 bits, above the middle in 16 bits, above 0.5 in floats, or 1 where only 0
      and 1 occur. That takes soft edges and what JPEG does to them at their middle.

    Args:
        values: (H, W, 1|3|4) of bools or numbers.

    Raises:
        MaskError: it is a picture in colours or greys, and no mask.
    """
    opaque = _opaque(values)
    if opaque is not None:
        return opaque
    bright = _brightest(values[..., :3])
    inside = _threshold(bright)
    painted = _painted(values[..., :3]) if values.shape[2] > 1 else None
    if painted is not None:
        return painted
    _refuse_greys(bright)
    return inside


def cut_out(image: Image.Image) -> np.ndarray | None:
    """What is opaque, bool (H, W), where a picture's transparency tells an object from its background; else None."""
    try:
        return _opaque(np.asarray(image.convert("RGBA"))) if image.has_transparency_data else None
    except ValueError:  # a colour mode that has no way there
        return None


def _opaque(values: np.ndarray) -> np.ndarray | None:
    if values.shape[2] != 4:
        return None
    opaque = _threshold(values[..., 3])
    return opaque if opaque.any() and not opaque.all() else None


def _painted(colours: np.ndarray) -> np.ndarray | None:
    """What is painted in a picture in colours; None for one in greys. MaskError for one that is not painted on black."""
    rgb = _bytes(colours)
    sample = _sampled(rgb)
    bright = _brightest(sample)
    coloured = bright - sample.min(axis=2) > _GREYISH
    if coloured.mean() <= _COLORED:
        return None
    flat = Image.fromarray(rgb).getcolors(_LABELS)
    if flat is not None and any(colour == (0, 0, 0) for _, colour in flat):
        return _brightest(rgb) > 0
    paint = np.median(sample[coloured & (bright >= 0.8 * bright[coloured].max())], axis=0)
    share = sample @ paint / (paint @ paint)
    mixed = np.abs(sample - share[..., None] * paint).max(axis=2) <= _OFF
    if mixed.mean() < _MIXED or np.mean((share > 0.25) & (share < 0.75)) > _EXTREME:
        raise MaskError(
            f"the mask is a picture in colours: {coloured.mean():.0%} of its pixels are coloured, and not in one paint on black. "
            "Paint the object white on black, cut it out with transparency, or pass a bool array, such as `labels == 3`."
        )
    along = rgb[..., 0] * np.float32(paint[0])
    for channel in (1, 2):
        along += rgb[..., channel] * np.float32(paint[channel])
    return along > paint @ paint / 2


def _refuse_greys(bright: np.ndarray) -> None:
    """MaskError for a picture in greys: many of them, and hardly any black or white."""
    counts = np.bincount(_sampled(_bytes(bright)).ravel(), minlength=256)
    extreme = (counts[:_BLACK].sum() + counts[256 - _BLACK :].sum()) / counts.sum()
    if np.count_nonzero(counts) > _LEVELS and extreme < _EXTREME:
        raise MaskError(
            f"the mask is a picture in greys: {1 - extreme:.0%} of its pixels are neither black nor white. "
            "Paint the object white on black, or pass a bool array, such as `depth < 0.4`."
        )


def _threshold(values: np.ndarray) -> np.ndarray:
    """Which values count as inside: see `inside_of`."""
    if values.dtype == np.bool_:
        return values.copy()
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


def _bytes(values: np.ndarray) -> np.ndarray:
    """Values that `_threshold` takes as uint8, for a look at what they are."""
    if values.dtype == np.uint8 and values.max() > 1:
        return values
    if np.issubdtype(values.dtype, np.floating):
        return np.clip(np.rint(values * 255.0), 0, 255).astype(np.uint8)
    high = int(values.max())
    if high <= 1:
        return values.astype(np.uint8) * 255
    return (values >> 8).astype(np.uint8) if high > 255 or values.dtype.itemsize == 2 else values.astype(np.uint8)


def _brightest(colours: np.ndarray) -> np.ndarray:
    """The largest channel (H, W)."""
    bright = colours[..., 0]
    for channel in range(1, colours.shape[2]):
        bright = np.maximum(bright, colours[..., channel])
    return bright


def _sampled(values: np.ndarray) -> np.ndarray:
    """Every n-th row and column, for as many pixels as it takes to tell what they are."""
    step = max(1, round((values.shape[0] * values.shape[1] / _SAMPLE) ** 0.5))
    return values[::step, ::step]
