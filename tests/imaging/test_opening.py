"""Picture files at the door: what is not looked for, what is refused by its header, what is no file, and what a message says."""

from __future__ import annotations

import base64
import io
import os
import subprocess
import threading
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.hostile import POSTSCRIPT, chunk, corpus, in_format, png, with_text
from PIL import Image, ImageFile

from dragonkit.edits.file import EditFile
from dragonkit.edits.values import image_from_text
from dragonkit.errors import EditFileError, ImageError, MaskError, OutOfMemoryError
from dragonkit.imaging import opening
from dragonkit.imaging.images import load_image
from dragonkit.imaging.mask_files import EncodedMask
from dragonkit.imaging.masks import decode_mask, load_mask
from dragonkit.imaging.opening import open_file, opened, png_size, text_in_png

CORPUS = corpus()
OTHERS = ("a DDS", "a SPIDER", "a good DDS", "a good SPIDER", "a good TGA")


@pytest.fixture
def sent(tmp_path: Path) -> Callable[[bytes], Path]:
    """Write bytes to a file, and give its path."""

    def write(data: bytes) -> Path:
        (tmp_path / "sent.png").write_bytes(data)
        return tmp_path / "sent.png"

    return write


@pytest.fixture
def never_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that decodes a pixel fails."""

    def load(self: Any) -> None:
        raise AssertionError("pixels were decoded")

    monkeypatch.setattr(ImageFile.ImageFile, "load", load)


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


# ---- formats


@pytest.fixture
def no_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Ghostscript that leaves a file behind when it is started, and the folder in which that would be."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("gs", "gswin64c", "gswin32c"):
        (folder / name).write_text(f"#!/bin/sh\ntouch {folder}/ran\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    monkeypatch.setattr("PIL.EpsImagePlugin.gs_binary", None)
    return folder


@pytest.mark.parametrize(
    "data", [POSTSCRIPT, CORPUS["PostScript behind a binary header"], in_format("EPS")], ids=["plain", "binary", "PIL's"]
)
def test_ghostscript_never_runs(data: bytes, no_programs: Path, tmp_path: Path) -> None:
    for name in ("photo.eps", "photo.png"):
        (tmp_path / name).write_bytes(data)
        for door in (load_image, EditFile.from_png, lambda path: load_mask(path, (6, 4))):
            with pytest.raises((ImageError, EditFileError, MaskError)):
                door(tmp_path / name)
    for call in (
        lambda: image_from_text("data:image/png;base64," + text(data)),
        lambda: decode_mask(text(data)),
        lambda: EncodedMask(text(data)),
    ):
        with pytest.raises((ImageError, MaskError)):
            call()
    assert not (no_programs / "ran").exists()


@pytest.mark.processes
def test_the_ghostscript_of_these_tests_would_run(no_programs: Path, tmp_path: Path) -> None:
    (tmp_path / "photo.eps").write_bytes(in_format("EPS"))
    with pytest.raises((OSError, SyntaxError, subprocess.CalledProcessError)), Image.open(tmp_path / "photo.eps") as image:
        image.load()
    assert (no_programs / "ran").exists()


@pytest.mark.parametrize("name", opening.FORMATS)
def test_what_is_sent_as_a_photo_is_read_from_files(name: str, sent: Callable[[bytes], Path]) -> None:
    assert load_image(sent(in_format(name))).size == (6, 4)


def test_several_pictures_in_one_jpeg_are_one_of_a_phone(tmp_path: Path) -> None:
    image = Image.new("RGB", (6, 4), "red")
    image.save(tmp_path / "phone.jpg", format="MPO", save_all=True, append_images=[image])
    assert load_image(tmp_path / "phone.jpg").size == (6, 4)


@pytest.mark.parametrize(
    "name", [name for name in corpus() if name.startswith(("a DDS", "a SPIDER", "a good DDS", "a good SPIDER", "a good TGA"))]
)
def test_other_formats_are_not_looked_for(name: str, sent: Callable[[bytes], Path]) -> None:
    with pytest.raises(ImageError, match=r"not in a format that can be read \(it starts with .*Save it as PNG"):
        load_image(sent(CORPUS[name]))


@pytest.mark.parametrize("name", [name for name in opening.FORMATS if name != "PNG"])
def test_only_pngs_stand_in_text(name: str) -> None:
    for call in (lambda: image_from_text("data:image/png;base64," + text(in_format(name))), lambda: decode_mask(text(in_format(name)))):
        with pytest.raises((ImageError, MaskError), match=r"Save it as PNG|no base64 PNG"):
            call()
    with pytest.raises(ImageError, match="only PNGs may stand in text"):
        image_from_text("data:image/jpeg;base64," + text(in_format("JPEG")))


def test_a_broken_header_is_called_damaged(sent: Callable[[bytes], Path]) -> None:
    with pytest.raises(ImageError, match="is damaged: its header makes no sense"):
        load_image(sent(CORPUS["a PNG with an empty profile"]))


def test_a_broken_profile_is_an_error_of_ours(sent: Callable[[bytes], Path]) -> None:
    with pytest.raises(IndexError), Image.open(io.BytesIO(CORPUS["a PNG with a profile behind it"])) as image:
        image.load()
    with pytest.raises(ImageError, match="is damaged or incomplete"):
        load_image(sent(CORPUS["a PNG with a profile behind it"]))


# ---- sizes


@pytest.mark.parametrize(
    ("width", "height", "depth", "color", "said"),
    [
        (14, 7_208_972, 16, 0, "more than 65,535 pixels long"),
        (65_536, 1, 1, 0, "more than 65,535 pixels long"),
        (13_300, 13_300, 1, 0, "more than 128,000,000 pixels"),
        (60_000, 60_000, 8, 2, "more than 128,000,000 pixels"),
        (2**31 - 1, 2**31 - 1, 16, 6, "more than 128,000,000 pixels"),
    ],
)
def test_too_large_a_picture_is_refused_by_its_header(
    width: int, height: int, depth: int, color: int, said: str, sent: Callable[[bytes], Path], never_decoded: None
) -> None:
    data = png(width, height, depth, color)
    assert len(data) < 400
    for call in (lambda: load_image(sent(data)), lambda: image_from_text("data:image/png;base64," + text(data))):
        with pytest.raises(ImageError, match=said):
            call()
    for call in (lambda: load_mask(sent(data), (width, height)), lambda: EncodedMask(text(data)), lambda: decode_mask(text(data))):
        with pytest.raises(MaskError, match=r"more than|13300x13300"):
            call()
    with pytest.raises(EditFileError, match=said):
        EditFile.from_png(sent(data))


def test_a_mask_of_another_size_is_refused_by_its_header(sent: Callable[[bytes], Path], never_decoded: None) -> None:
    for data in (png(11_000, 11_000, 16, 6), CORPUS["a PNG with two headers"]):
        for mask in (sent(data), EncodedMask(text(data))):
            with pytest.raises(MaskError, match=r"the mask is \d+x\d+ but the image is 6x4"):
                load_mask(mask, (6, 4))
        with Image.open(io.BytesIO(data)) as image, pytest.raises(MaskError, match="but the image is 6x4"):
            load_mask(image, (6, 4))


def test_a_mask_on_its_side_is_turned_first(tmp_path: Path) -> None:
    mask, exif = np.zeros((4, 6), bool), Image.Exif()
    mask[0, :2], exif[0x0112] = True, 6
    Image.fromarray(np.rot90(mask).copy()).save(tmp_path / "mask.png", exif=exif.tobytes())
    assert np.array_equal(load_mask(tmp_path / "mask.png", (6, 4)), mask)


def test_the_largest_side_is_allowed(sent: Callable[[bytes], Path]) -> None:
    assert load_image(sent(png(65_535, 1, 1, 0, rows=bytes(1 + 65_535 // 8 + 1)))).size == (65_535, 1)


def test_sizes_of_pngs_in_text_are_read_from_their_beginning() -> None:
    data = text(png(300, 20))
    assert png_size(data) == png_size("data:image/png;base64," + data) == png_size(data[:32]) == (300, 20)
    for other in ("", "data:image/png;base64,", data[:31], "x" + data, text(in_format("JPEG")), "\ud800" * 60):
        assert png_size(other) is None


def test_sixteen_bits_become_eight_without_a_copy_in_floats() -> None:
    values = (np.arange(2000 * 2000) % 65536).astype(np.uint16).reshape(2000, 2000)
    image = Image.fromarray(values)
    tracemalloc.start()
    try:
        grey = np.asarray(load_image(image))[..., 0]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert np.array_equal(grey, np.rint(values / 257).astype(np.uint8))
    assert peak < 2.5 * values.nbytes + 2**24  # in floats alone it would be four times as much


def test_memory_that_runs_out_is_no_damage(sent: Callable[[bytes], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def load(self: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(ImageFile.ImageFile, "load", load)
    with pytest.raises(OutOfMemoryError, match=r"Scale the picture .* down first"):
        load_image(sent(in_format("PNG")))


# ---- what is no file


def refused(path: Any, said: str) -> None:
    for door in (load_image, EditFile.load, EditFile.from_png, lambda path: load_mask(path, (6, 4))):
        with pytest.raises((ImageError, EditFileError, MaskError), match=said):
            door(path)


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="there is no /dev/zero")
def test_a_device_that_never_ends() -> None:
    refused("/dev/zero", "a pipe or a device, not a file")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
def test_a_pipe_that_never_begins(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    work = threading.Thread(target=refused, args=(tmp_path / "pipe.png", "a pipe or a device, not a file"), daemon=True)
    work.start()
    work.join(20)
    assert not work.is_alive()


def test_a_directory(tmp_path: Path) -> None:
    refused(tmp_path, "directory")


@pytest.mark.parametrize("name", ["a\0b.png", "\ud800.png"])
def test_a_name_that_no_file_can_have(name: str) -> None:
    refused(name, "no file can have this name")


def test_a_name_that_is_too_long() -> None:
    refused("x" * 5000 + ".png", r"\(500\d characters\).*: File name too long")


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
def test_a_name_that_is_no_text_is_a_name(tmp_path: Path) -> None:
    path = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.png")
    try:
        Path(path).write_bytes(with_text("{}"))
    except OSError:
        pytest.skip("this disk takes text only")
    assert load_image(path).size == (6, 4)
    for call in (lambda: load_mask(path, (9, 9)), lambda: EditFile.load(path)):
        with pytest.raises((MaskError, EditFileError)) as caught:
            call()
        assert str(caught.value).isprintable()


def test_a_folder_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    try:
        (tmp_path / "gone").rmdir()
    except OSError:
        pytest.skip("a folder in use cannot be removed here")
    with pytest.raises(ImageError, match=r"'photo\.png' does not exist\. Check the path"):
        load_image("photo.png")


def test_a_file_is_closed_again(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(in_format("PNG"))
    with opened(tmp_path / "a.png", "the picture") as image:
        stream = image.fp
    assert stream is None or stream.closed
    with open_file(tmp_path / "a.png") as file:
        assert file.read(4) == b"\x89PNG"


# ---- texts


def test_a_text_is_found_before_and_behind_the_pixels(sent: Callable[[bytes], Path]) -> None:
    said, rows = chunk(b"tEXt", b"dragonkit\0{}"), bytes(28)
    assert text_in_png(sent(png(6, 4, 8, 0, [said], rows)), "dragonkit") == "{}"
    assert text_in_png(sent(png(6, 4, 8, 0, [], rows, [said])), "dragonkit") == "{}"
    assert text_in_png(sent(png(6, 4, 8, 0, [], rows)), "dragonkit") is None
    assert text_in_png(sent(in_format("JPEG")), "dragonkit") is None


def test_a_text_before_the_pixels_is_found_without_them(sent: Callable[[bytes], Path], never_decoded: None) -> None:
    assert text_in_png(sent(with_text("{}")), "dragonkit") == "{}"
