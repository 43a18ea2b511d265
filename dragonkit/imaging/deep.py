"""Pictures with 16 bits: what PIL leaves out when it reads them, and PNG, which it writes with 16 bits for greys only."""

from __future__ import annotations

import struct
import sys
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

import numpy as np

from dragonkit.errors import ImageError
from dragonkit.imaging.images import upright
from dragonkit.imaging.opening import opened

__all__ = ["deep_mode", "low_bytes", "write_deep_png"]

_OTHER_BYTE = {"16B": "16L", "16L": "16B", "16N": "16B" if sys.byteorder == "little" else "16L"}
"""PIL unpacks the high byte of each sample, as the order of the file says. Told the other order, it unpacks the low one."""
_FORMATS = ("PNG", "TIFF")
_ROWS = 64  # written at once
_COLOR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # of PNG, by the number of channels


def deep_mode(file: Path | bytes) -> str:
    """How PIL unpacks the samples of a PNG or TIFF with 16 bits, such as "RGB;16B"; "" for any other file."""
    try:
        with opened(file, "the picture", _FORMATS) as image:
            modes = {_raw_mode(tile[3]) for tile in image.tile}
    except ImageError:
        return ""
    return next((mode for mode in modes if ";16" in mode), "")


def low_bytes(file: Path | bytes, what: str) -> np.ndarray | None:
    """The low bytes of a colour picture with 16 bits, uint8 (H, W, 3|4), upright; PIL reads the high ones. None where PIL cannot tell.

    Args:
        file: one that has a `deep_mode`.
        what: names the picture in errors.

    Raises:
        ImageError: it is damaged.
    """
    with opened(file, what, _FORMATS) as image:
        modes = {_raw_mode(tile[3]) for tile in image.tile}
        mode, _, order = modes.pop().partition(";")
        if modes or mode not in ("RGB", "RGBA") or mode != image.mode or order not in _OTHER_BYTE:
            return None
        image.tile = [type(tile)(*tile[:3], _with_raw_mode(tile[3], f"{mode};{_OTHER_BYTE[order]}")) for tile in image.tile]
        return np.asarray(upright(image, what))


def write_deep_png(file: IO[bytes], samples: np.ndarray, chunks: Iterable[tuple[bytes, bytes]] = ()) -> None:
    """Write uint16 samples, (H, W) or (H, W, 2|3|4), as a PNG.

    Args:
        chunks: name and data of what else it holds; it comes before the pixels.
    """
    height, width = samples.shape[:2]
    channels = 1 if samples.ndim == 2 else samples.shape[2]
    if samples.dtype != np.uint16 or channels not in _COLOR_TYPES:
        raise ImageError(f"a picture of 16 bits is uint16 with 1 to 4 channels, got {samples.dtype} {samples.shape}. Convert it first.")
    file.write(b"\x89PNG\r\n\x1a\n")
    _write_chunk(file, b"IHDR", struct.pack(">IIBBBBB", width, height, 16, _COLOR_TYPES[channels], 0, 0, 0))
    for name, data in chunks:
        _write_chunk(file, name, data)
    packer = zlib.compressobj(6)
    above = np.zeros((1, width * channels * 2), np.uint8)
    for top in range(0, height, _ROWS):
        rows = samples[top : top + _ROWS].astype(">u2").reshape(-1, width * channels).view(np.uint8)
        filtered = np.empty((len(rows), 1 + rows.shape[1]), np.uint8)
        filtered[:, 0] = 2  # each row as its difference from the one above
        np.subtract(rows, np.concatenate([above, rows[:-1]]), out=filtered[:, 1:])
        above = rows[-1:]
        if packed := packer.compress(filtered.data):
            _write_chunk(file, b"IDAT", packed)
    _write_chunk(file, b"IDAT", packer.flush())
    _write_chunk(file, b"IEND", b"")


def _write_chunk(file: IO[bytes], name: bytes, data: bytes) -> None:
    file.write(struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(name))))


def _raw_mode(arguments: Any) -> str:
    """How a decoder of PIL is told to unpack samples: its only argument, or the first."""
    first = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return first if isinstance(first, str) else ""


def _with_raw_mode(arguments: Any, raw_mode: str) -> Any:
    return (raw_mode, *arguments[1:]) if isinstance(arguments, tuple) else raw_mode
