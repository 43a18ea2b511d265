"""Masks as a person means them: soft, from JPEG, painted, labelled, cut out; and pictures that are none."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFilter

from dragonkit.errors import MaskError
from dragonkit.imaging.mask_meaning import cut_out, inside_of
from dragonkit.imaging.masks import dilate, erode, load_mask

SIZE = (96, 64)
MASK = Image.new("L", SIZE)
ImageDraw.Draw(MASK).ellipse((20, 10, 70, 50), fill=255)
INSIDE = np.asarray(MASK) > 127
PHOTO = Image.effect_mandelbrot(SIZE, (-2, -1, 1, 1), 60).filter(ImageFilter.GaussianBlur(2))
SCENE = Image.merge("RGB", [PHOTO, PHOTO.transpose(Image.Transpose.FLIP_LEFT_RIGHT), PHOTO.transpose(Image.Transpose.FLIP_TOP_BOTTOM)])


def painted(color: Any, ground: Any = "black", mask: Image.Image = MASK) -> Image.Image:
    return Image.composite(Image.new("RGB", SIZE, color), Image.new("RGB", SIZE, ground), mask)


def jpeg(image: Image.Image, quality: int = 75) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=quality)
    return Image.open(buffer)


def assert_about(found: np.ndarray, pixels: float = 1.5) -> None:
    """The mask, but for its rim."""
    assert found[erode(INSIDE, pixels)].all() and not found[~dilate(INSIDE, pixels)].any()


@pytest.mark.parametrize("radius", [1, 3, 5])
def test_soft_edges_end_in_their_middle(radius: int) -> None:
    soft = MASK.filter(ImageFilter.GaussianBlur(radius))
    for mask in (soft, np.asarray(soft), np.asarray(soft) / 255, Image.fromarray(np.asarray(soft).astype(np.uint16) * 257)):
        found = load_mask(mask, SIZE)
        assert np.mean(found != INSIDE) < 0.02
        assert_about(found, radius)


@pytest.mark.parametrize("quality", [10, 50, 75, 95])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_rings_of_jpeg_are_not_inside(quality: int, mode: str) -> None:
    assert_about(load_mask(jpeg(MASK.convert(mode), quality), SIZE))


@pytest.mark.parametrize("color", ["red", "lime", "blue", "yellow", "orange", (128, 0, 0), (0, 0, 90), (255, 20, 147)])
def test_any_one_paint_on_black(color: Any) -> None:
    np.testing.assert_array_equal(load_mask(painted(color), SIZE), INSIDE)
    assert_about(load_mask(painted(color, mask=MASK.filter(ImageFilter.GaussianBlur(1))), SIZE), 2)
    if max(Image.new("RGB", (1, 1), color).getpixel((0, 0))) > 200:  # type: ignore[arg-type]
        assert_about(load_mask(jpeg(painted(color)), SIZE), 2.5)


def test_labels_in_colours_on_black() -> None:
    labels = painted((128, 0, 0))
    ImageDraw.Draw(labels).rectangle((2, 2, 9, 9), fill=(64, 0, 0))
    ImageDraw.Draw(labels).rectangle((80, 50, 90, 60), fill=(224, 224, 192))
    expected = np.asarray(labels).any(axis=2)
    np.testing.assert_array_equal(load_mask(labels, SIZE), expected)
    np.testing.assert_array_equal(load_mask(labels.convert("P", palette=Image.Palette.ADAPTIVE), SIZE), expected)


def test_a_palette_of_labels_as_data_sets_have_it() -> None:
    image = Image.fromarray(INSIDE.astype(np.uint8) * 8, "P")
    image.putpalette([0, 0, 0, *range(1, 22), 64, 0, 0])  # number 8, a cat
    np.testing.assert_array_equal(load_mask(image, SIZE), INSIDE)


def test_labels_as_greys_say_how_to_compare_them() -> None:
    with pytest.raises(MaskError, match=r"highest value is 3.*numpy\.asarray\(mask\) == 3"):
        load_mask(INSIDE.astype(np.uint8) * 3, SIZE)


def test_a_cut_out_is_what_is_opaque() -> None:
    cut = SCENE.copy()
    cut.putalpha(MASK)
    np.testing.assert_array_equal(load_mask(cut, SIZE), INSIDE)
    soft = SCENE.copy()
    soft.putalpha(MASK.filter(ImageFilter.GaussianBlur(2)))
    assert np.mean(load_mask(soft, SIZE) != INSIDE) < 0.02
    np.testing.assert_array_equal(cut_out(cut), INSIDE)
    for whole in (SCENE, SCENE.convert("RGBA"), MASK):
        assert cut_out(whole) is None


def test_an_opaque_picture_with_alpha_is_a_picture() -> None:
    with pytest.raises(MaskError, match="a picture in colours"):
        load_mask(SCENE.convert("RGBA"), SIZE)


@pytest.mark.parametrize(
    "picture",
    [SCENE, jpeg(SCENE), np.asarray(SCENE), np.asarray(SCENE) / 255, np.asarray(SCENE).astype(np.uint16) * 257, painted("red", "white")],
    ids=["picture", "jpeg", "bytes", "floats", "16 bits", "paint on white"],
)
def test_a_picture_in_colours_is_no_mask(picture: Any) -> None:
    with pytest.raises(MaskError, match=r"a picture in colours: \d+% .*Paint the object white on black, cut it out .* bool array"):
        load_mask(picture, SIZE)


def test_a_screenshot_with_a_selection_is_no_mask() -> None:
    shot = SCENE.copy()
    ImageDraw.Draw(shot).ellipse((20, 10, 70, 50), outline=(255, 0, 0), width=3)
    with pytest.raises(MaskError, match="a picture in colours"):
        load_mask(shot, SIZE)


def test_a_sepia_photo_is_no_paint() -> None:
    ramp = np.linspace(20, 255, SIZE[0])[None].repeat(SIZE[1], 0)[..., None] * np.array([1, 0.78, 0.52])
    with pytest.raises(MaskError, match="a picture in colours"):
        load_mask(ramp.astype(np.uint8), SIZE)


def test_a_picture_in_greys_is_no_mask() -> None:
    ramp = np.linspace(70, 190, SIZE[0])[None].repeat(SIZE[1], 0)
    for picture in (ramp.astype(np.uint8), ramp / 255, np.dstack([ramp.astype(np.uint8)] * 3)):
        with pytest.raises(MaskError, match=r"a picture in greys: 100% .* neither black nor white"):
            load_mask(picture, SIZE)


def test_few_greys_are_a_mask_whatever_they_are() -> None:
    np.testing.assert_array_equal(load_mask(np.where(INSIDE, 140, 110).astype(np.uint8), SIZE), INSIDE)


@given(st.integers(0, 255), st.integers(128, 255))
def test_a_flat_grey_mask_is_told_by_the_middle(dark: int, light: int) -> None:
    found = load_mask(np.where(INSIDE, light, min(dark, 127)).astype(np.uint8), SIZE)
    np.testing.assert_array_equal(found, INSIDE)


def test_large_masks_are_told_by_a_sample() -> None:
    large = Image.new("RGB", (3000, 2000))
    ImageDraw.Draw(large).rectangle((500, 500, 519, 519), fill="red")
    assert load_mask(large, large.size).sum() == 400


@pytest.mark.parametrize(
    ("values", "inside"),
    [
        (np.uint8([0, 1]), [0, 1]),
        (np.uint8([0, 127, 128, 255]), [0, 0, 1, 1]),
        (np.int64([0, 1]), [0, 1]),
        (np.int64([0, 127, 128, 255]), [0, 0, 1, 1]),
        (np.int32([0, 128, 32767, 32768, 65535]), [0, 0, 0, 1, 1]),
        (np.uint16([0, 128, 200]), [0, 0, 0]),  # dark in 16 bits
        (np.uint16([0, 1]), [0, 1]),
        (np.float32([0, 0.5, 0.51, 1]), [0, 0, 1, 1]),
    ],
)
def test_where_the_inside_begins(values: np.ndarray, inside: list[int]) -> None:
    assert inside_of(values[None, :, None]).tolist() == [[bool(one) for one in inside]]


@pytest.mark.parametrize("of", [np.uint8, np.int32, np.uint16, np.float64])
@pytest.mark.parametrize("colours", [False, True])
def test_a_photograph_is_no_mask_in_whatever_numbers(of: type, colours: bool) -> None:
    greys = np.tile(np.linspace(60, 190, 96).astype(np.uint8), (64, 1))[..., None]
    values = np.asarray(SCENE) if colours else greys
    numbers = {np.uint8: values, np.int32: values.astype(np.int32), np.uint16: values.astype(np.uint16) * 257, np.float64: values / 255}[of]
    with pytest.raises(MaskError, match="picture in"):
        inside_of(numbers)


def test_black_and_white_with_a_few_greys_is_a_mask() -> None:
    """A quarter of it may be as soft as it likes."""
    ramp = np.tile(np.linspace(0, 255, 100).astype(np.uint8), (20, 1))
    mask = np.concatenate([np.zeros((20, 30), np.uint8), ramp, np.full((20, 30), 255, np.uint8)], axis=1)[..., None]
    assert inside_of(mask).sum() == 20 * (50 + 30)
