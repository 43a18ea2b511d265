"""A result is of its source's kind: grey, transparent, of 16 bits, with its profile, and its own bits outside of the edit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.deep_pictures import read_deep, write_deep
from PIL import Image, ImageCms

from dragonkit.editing.editor import Editor
from dragonkit.edits.file import EditFile
from dragonkit.edits.settings import Settings
from dragonkit.imaging.deep import write_deep_png
from dragonkit.imaging.photo_files import open_photo
from dragonkit.modes.appearance import Appearance
from dragonkit.modes.move import Move
from dragonkit.testing import tiny_editor

WIDTH, HEIGHT = 48, 32
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
GREY = SRGB[:16] + b"GRAY" + SRGB[20:]
THING = np.zeros((HEIGHT, WIDTH), bool)
THING[8:16, 6:14] = True
LANDED = np.roll(THING, 20, axis=1)
MOVE = Move(mask=THING, shift=(20, 0))
QUICK = Settings(steps=2, inversion_iterations=1)


def samples(channels: int, dtype: type = np.uint8) -> np.ndarray:
    """A quiet ground with a loud thing; the last of 2 or 4 channels is alpha, opaque on the thing only."""
    peak = np.iinfo(dtype).max
    found = np.random.default_rng(0).integers(peak // 3, peak // 2, (HEIGHT, WIDTH, channels)).astype(dtype)
    found[THING] = np.array([peak // 9, peak - peak // 9, peak // 5, peak][:channels]).astype(dtype)
    if channels in (2, 4):
        found[..., -1] = np.where(THING, peak, 0)
    return found[..., 0] if channels == 1 else found


def png(folder: Path, channels: int, dtype: type) -> Path:
    path = folder / "x.png"
    if dtype is np.uint16:
        with path.open("wb") as file:
            write_deep_png(file, samples(channels, dtype))
    else:
        Image.fromarray(samples(channels)).save(path, icc_profile=GREY if channels < 3 else SRGB, dpi=(300, 300))
    return path


def jpeg(folder: Path) -> Path:
    Image.fromarray(samples(3)).save(folder / "x.jpg", icc_profile=SRGB, dpi=(300, 300))
    return folder / "x.jpg"


def grey_jpeg(folder: Path) -> Path:
    Image.fromarray(samples(1)).save(folder / "x.jpg", icc_profile=GREY)
    return folder / "x.jpg"


def webp(folder: Path) -> Path:
    Image.fromarray(samples(4)).save(folder / "x.webp", lossless=True, icc_profile=SRGB)
    return folder / "x.webp"


def tiff(folder: Path) -> Path:
    Image.fromarray(samples(4)).save(folder / "x.tif", icc_profile=SRGB, dpi=(300, 300))
    return folder / "x.tif"


KINDS: dict[str, Callable[[Path], Path]] = {
    "L": lambda folder: png(folder, 1, np.uint8),
    "LA": lambda folder: png(folder, 2, np.uint8),
    "RGB": lambda folder: png(folder, 3, np.uint8),
    "RGBA": lambda folder: png(folder, 4, np.uint8),
    "L 16": lambda folder: png(folder, 1, np.uint16),
    "RGB 16": lambda folder: png(folder, 3, np.uint16),
    "RGBA 16": lambda folder: png(folder, 4, np.uint16),
    "JPEG": jpeg,
    "grey JPEG": grey_jpeg,
    "WebP": webp,
    "TIFF": tiff,
    "TIFF 16": lambda folder: write_deep(folder / "x.tif", samples(3, np.uint16)),
}


@pytest.fixture(scope="module")
def editor() -> Editor:
    return tiny_editor()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("keep", ["pixels", pytest.param("latents", marks=pytest.mark.slow)])
def test_every_kind_goes_through(editor: Editor, tmp_path: Path, kind: str, keep: Any) -> None:
    path = KINDS[kind](tmp_path)
    before = open_photo(path)
    result = editor.edit(path, MOVE, QUICK.model_copy(update={"keep": keep}))
    after = open_photo(result.save(tmp_path / "out.png"))
    assert np.array_equal(after.samples, result.photo.samples) and np.array_equal(np.asarray(result.image), np.asarray(after.image))
    assert (after.samples.shape, after.samples.dtype) == (before.samples.shape, before.samples.dtype)
    assert after.profile == before.profile and after.density == before.density
    changed = (after.rgb != before.rgb).any(axis=2)
    assert changed[THING].any() and changed[LANDED].any()
    if keep == "pixels":
        outside = result.region == 0
        assert outside.any() and np.array_equal(after.samples[outside], before.samples[outside])
    again = editor.run(EditFile.load(tmp_path / "out.png").with_pictures(path))
    assert np.array_equal(again.photo.samples, after.samples)
    if before.is_deep:
        assert np.array_equal(read_deep(tmp_path / "out.png"), after.samples)


@pytest.mark.parametrize("channels", [2, 4])
def test_transparency_moves_along(editor: Editor, tmp_path: Path, channels: int) -> None:
    """A sticker: the thing alone is opaque, wherever it is, and where it was there is nothing."""
    result = editor.edit(png(tmp_path, channels, np.uint8), MOVE, QUICK)
    alpha = np.asarray(result.image)[..., -1]
    assert alpha[LANDED].min() > 200 and alpha[THING].max() < 50
    assert (alpha[result.region == 0] == 0).all()


def test_what_is_opaque_stays_opaque(editor: Editor) -> None:
    picture = samples(4)
    picture[..., 3] = 255
    result = editor.edit(picture, MOVE, QUICK)
    assert result.image.mode == "RGBA" and (np.asarray(result.image)[..., 3] == 255).all()
    plain = editor.edit(picture[..., :3], MOVE, QUICK)
    assert np.array_equal(np.asarray(result.image)[..., :3], np.asarray(plain.image))


def test_another_look_keeps_the_transparency(editor: Editor) -> None:
    reference = np.random.default_rng(3).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    picture = samples(4)
    result = editor.edit(picture, Appearance(mask=THING, reference=reference, reference_mask=THING), QUICK)
    assert np.array_equal(np.asarray(result.image)[..., 3], picture[..., 3])
    assert (np.asarray(result.image)[THING] != picture[THING]).any()


def test_an_edit_of_a_result_keeps_its_kind(editor: Editor, tmp_path: Path) -> None:
    first = editor.edit(png(tmp_path, 3, np.uint16), MOVE, QUICK)
    second = editor.edit(first, Move(mask=LANDED, shift=(-4, 6)), QUICK)
    assert second.photo.is_deep
    outside = second.region == 0
    assert np.array_equal(second.photo.samples[outside], first.photo.samples[outside])


def test_pictures_alike_to_the_model_are_told_apart(editor: Editor) -> None:
    """Of one picture with and without alpha the inversion is remembered apart, and a result is of the kind that was given."""
    plain = samples(3)
    opaque = np.dstack([plain, np.full((HEIGHT, WIDTH), 255, np.uint8)])
    modes = [editor.edit(picture, MOVE, QUICK).image.mode for picture in (plain, opaque, plain)]
    assert modes == ["RGB", "RGBA", "RGB"]


def test_what_cannot_be_kept_is_said_once(editor: Editor) -> None:
    image = Image.fromarray(samples(4)).convert("CMYK")
    result = editor.edit(image, MOVE, QUICK)
    assert result.image.mode == "RGB"
    assert [note for note in result.report.warnings if "CMYK" in note] == [
        "the picture's colours, CMYK, become RGB without a look at their colour profile"
    ]
