"""Pictures of any kind and shape in a row, none distorted."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import dragonkit as dk
from dragonkit.errors import ImageError


def test_each_keeps_its_proportions_and_small_ones_their_pixels() -> None:
    red, wide = Image.new("RGB", (2, 2), "red"), np.zeros((10, 40, 3), np.uint8)
    sheet = np.asarray(dk.side_by_side(64, red=red, wide_one=wide))
    assert sheet.shape == (92, 128, 3)
    assert (sheet[28:, :64] == (255, 0, 0)).all()
    black = (sheet[28:, 64:] == 0).all(axis=2)
    assert black.sum() == 64 * 16 and black[24:40].all()


def test_what_is_no_picture_is_refused() -> None:
    with pytest.raises(ImageError, match="by name"):
        dk.side_by_side()
    with pytest.raises(ImageError):
        dk.side_by_side(source="missing.png")
