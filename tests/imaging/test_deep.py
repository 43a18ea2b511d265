"""All 16 bits of a picture are read, and written, as another program reads and writes them."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers.deep_pictures import deep_grey_with_alpha, read_deep, write_deep
from PIL import Image

from dragonkit.errors import ImageError
from dragonkit.imaging.deep import deep_mode, low_bytes, write_deep_png


def samples(*shape: int) -> np.ndarray:
    """Noise above, and below it a slope, which other filters of PNG suit."""
    noise = np.random.default_rng(0).integers(0, 65536, shape, dtype=np.uint16)
    slope = np.add.outer(np.arange(shape[0]) * 300, np.arange(shape[1]) * 77).astype(np.uint16)
    below = shape[0] // 2 + 1
    noise[below:] = slope[below:].reshape(-1, shape[1], *[1] * (len(shape) - 2))
    return noise


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("x.png", ()),
        ("x.tif", (cv2.IMWRITE_TIFF_COMPRESSION, 1)),
        ("x.tif", (cv2.IMWRITE_TIFF_COMPRESSION, 5)),
        ("x.tif", (cv2.IMWRITE_TIFF_COMPRESSION, 8)),
    ],
    ids=["png", "tiff", "tiff-lzw", "tiff-deflate"],
)
def test_low_bytes(tmp_path: Path, channels: int, name: str, options: tuple[int, ...]) -> None:
    wanted = samples(60, 37, channels)
    path = write_deep(tmp_path / name, wanted, *options)
    low = low_bytes(path, "it")
    assert low is not None and np.array_equal(low, wanted & 255)
    assert np.array_equal(np.asarray(Image.open(path)), wanted >> 8)
    assert deep_mode(path).startswith("RGB")


def test_low_bytes_of_a_picture_on_its_side(tmp_path: Path) -> None:
    wanted, buffer = samples(20, 30, 3), io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    write_deep_png(buffer, wanted, [(b"eXIf", exif.tobytes()[6:])])
    (tmp_path / "x.png").write_bytes(buffer.getvalue())
    low = low_bytes(tmp_path / "x.png", "it")
    assert low is not None and np.array_equal(low, np.rot90(wanted, -1) & 255)


def test_other_files_are_not_deep(tmp_path: Path) -> None:
    Image.new("RGB", (4, 3)).save(tmp_path / "x.png")
    Image.new("RGB", (4, 3)).save(tmp_path / "x.jpg")
    Image.new("RGB", (4, 3)).save(tmp_path / "x.tif")
    (tmp_path / "text").write_text("hello")
    assert [deep_mode(tmp_path / name) for name in ("x.png", "x.jpg", "x.tif", "text", "gone")] == [""] * 5


def test_a_damaged_picture_is_an_image_error(tmp_path: Path) -> None:
    path = write_deep(tmp_path / "x.png", samples(40, 40, 3))
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(ImageError, match="it is damaged"):
        low_bytes(path, "it")


@pytest.mark.parametrize("shape", [(1, 1), (70, 33), (200, 3), (70, 33, 3), (70, 33, 4)], ids=str)
def test_written_for_others(tmp_path: Path, shape: tuple[int, ...]) -> None:
    wanted = samples(*shape)
    with (tmp_path / "x.png").open("wb") as file:
        write_deep_png(file, wanted, [(b"tEXt", b"key\0value")])
    assert np.array_equal(read_deep(tmp_path / "x.png"), wanted)
    with Image.open(tmp_path / "x.png") as image:
        image.verify()
    with Image.open(tmp_path / "x.png") as image:
        assert image.size == shape[1::-1] and image.info["key"] == "value"


def test_grey_with_alpha(tmp_path: Path) -> None:
    """Which neither PIL nor cv2 keeps: by hand."""
    wanted = samples(10, 7, 2)
    with (tmp_path / "x.png").open("wb") as file:
        write_deep_png(file, wanted)
    assert np.array_equal(deep_grey_with_alpha(tmp_path / "x.png"), wanted)


def test_only_sixteen_bits_are_written() -> None:
    for wrong in (np.zeros((4, 4), np.uint8), np.zeros((4, 4, 5), np.uint16)):
        with pytest.raises(ImageError, match="is uint16 with 1 to 4 channels"):
            write_deep_png(io.BytesIO(), wrong)
