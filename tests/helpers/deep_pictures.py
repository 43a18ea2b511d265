"""Pictures with 16 bits as other programs write them: PIL cannot, cv2 can."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np

ORDER = {2: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}


def write_deep(path: Path, samples: np.ndarray, *options: int) -> Path:
    """Write uint16 (H, W) or (H, W, 3|4), in the order of RGB, by cv2."""
    assert cv2.imwrite(str(path), samples if samples.ndim == 2 else np.ascontiguousarray(samples[..., ORDER[samples.shape[2]]]), options)
    return path


def read_deep(path: Path) -> np.ndarray:
    """All bits of a picture, as cv2 reads them."""
    found = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert found is not None
    return found if found.ndim == 2 else found[..., ORDER[found.shape[2]]]


def deep_grey_with_alpha(path: Path) -> np.ndarray:
    """uint16 (H, W, 2) of a PNG whose rows are written as differences from the ones above."""
    data, place, packed = path.read_bytes(), 8, b""
    while place < len(data):
        length, name = struct.unpack(">I4s", data[place : place + 8])
        if name == b"IHDR":
            width, height, *kind = struct.unpack(">IIBB", data[place + 8 : place + 18])
            assert kind == [16, 4]
        if name == b"IDAT":
            packed += data[place + 8 : place + 8 + length]
        place += length + 12
    rows = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(height, -1)
    assert (rows[:, 0] == 2).all()
    return np.cumsum(rows[:, 1:], axis=0, dtype=np.uint8).view(">u2").reshape(height, width, 2)
