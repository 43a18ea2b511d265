"""Pictures in and out: every kind of file, array and tensor, and every way to get them wrong."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from dragonkit.errors import ImageError, ShapeError
from dragonkit.imaging.images import fit_size, load_image, psnr, to_image, to_tensor

ORIENTATION = 0x0112


@pytest.fixture
def rgb() -> np.ndarray:
    """A picture (5, 7, 3) in which no two axes can be swapped unnoticed."""
    return np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)


def saved(image: Image.Image, path: Path, **options: Any) -> Path:
    image.save(path, **options)
    return path


def pixels(image: Image.Image) -> np.ndarray:
    assert image.mode == "RGB"
    return np.asarray(image)


# ---- files


@pytest.mark.parametrize("as_text", [True, False], ids=["str", "Path"])
@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff"])
def test_lossless_files_are_read_exactly(tmp_path: Path, rgb: np.ndarray, suffix: str, as_text: bool) -> None:
    path = saved(Image.fromarray(rgb), tmp_path / f"photo.{suffix}")
    np.testing.assert_array_equal(pixels(load_image(str(path) if as_text else path)), rgb)


# where the stored top-left corner is shown, for the eight EXIF orientations
CORNERS = {1: (0, 0), 2: (1, 0), 3: (1, 1), 4: (0, 1), 5: (0, 0), 6: (1, 0), 7: (1, 1), 8: (0, 1)}


@pytest.mark.parametrize("orientation", CORNERS)
@pytest.mark.parametrize("from_path", [True, False], ids=["path", "PIL"])
def test_exif_orientation_of_a_jpeg_is_applied(tmp_path: Path, orientation: int, from_path: bool) -> None:
    stored = Image.new("RGB", (32, 16))
    stored.paste("white", (0, 0, 8, 8))
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    path = saved(stored, tmp_path / "photo.jpg", exif=exif, quality=95)
    shown = load_image(path if from_path else Image.open(path))
    assert shown.size == ((32, 16) if orientation < 5 else (16, 32))
    x, y = CORNERS[orientation]
    assert shown.getpixel((x * (shown.width - 1), y * (shown.height - 1))) == (255, 255, 255)
    assert load_image(shown).size == shown.size  # once is enough


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("1", 1, (255, 255, 255)),
        ("L", 100, (100, 100, 100)),
        ("LA", (100, 255), (100, 100, 100)),
        ("LA", (100, 0), (255, 255, 255)),
        ("RGBA", (10, 20, 30, 255), (10, 20, 30)),
        ("RGBA", (10, 20, 30, 0), (255, 255, 255)),
        ("RGBA", (0, 0, 0, 51), (204, 204, 204)),
        ("I;16", 0x8080, (0x80, 0x80, 0x80)),
        ("I;16", 0xFFFF, (255, 255, 255)),
    ],
)
def test_modes_of_png(tmp_path: Path, mode: str, colour: object, expected: tuple[int, int, int]) -> None:
    path = saved(Image.new(mode, (4, 3), colour), tmp_path / "photo.png")  # type: ignore[arg-type]
    assert load_image(path).getcolors() == [(12, expected)]


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("I", 65535, (255, 255, 255)),
        ("F", 0.2, (51, 51, 51)),
        ("CMYK", (0, 0, 0, 0), (255, 255, 255)),
        ("PA", 0, None),
        ("HSV", (0, 0, 255), (255, 255, 255)),
    ],
)
def test_rarer_modes_of_pil(mode: str, colour: object, expected: tuple[int, int, int] | None) -> None:
    image = load_image(Image.new(mode, (4, 3), colour))  # type: ignore[arg-type]
    assert (image.mode, image.size) == ("RGB", (4, 3))
    assert expected is None or image.getcolors() == [(12, expected)]


def test_palette_and_its_transparency(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([200, 0, 0, 0, 0, 200])
    image.putpixel((1, 0), 1)
    opaque = load_image(saved(image, tmp_path / "palette.png"))
    assert [opaque.getpixel((x, 0)) for x in (0, 1)] == [(200, 0, 0), (0, 0, 200)]
    see_through = load_image(saved(image, tmp_path / "transparent.png", transparency=1))
    assert [see_through.getpixel((x, 0)) for x in (0, 1)] == [(200, 0, 0), (255, 255, 255)]
    assert "transparency" not in see_through.info


def test_opaque_alpha_changes_no_pixel(rgb: np.ndarray) -> None:
    np.testing.assert_array_equal(pixels(load_image(np.dstack([rgb, np.full(rgb.shape[:2], 255, np.uint8)]))), rgb)


def test_an_animation_gives_its_first_frame(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    path = saved(frames[0], tmp_path / "two.gif", save_all=True, append_images=frames[1:])
    assert load_image(path).getpixel((0, 0)) == (255, 0, 0)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"nowhere\.png' does not exist"):
        load_image(tmp_path / "nowhere.png")


def test_a_directory(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="is a directory"):
        load_image(tmp_path)


def test_a_web_address() -> None:
    with pytest.raises(ImageError, match=r"'https://example\.org/a\.png' is a web address.*Download"):
        load_image("https://example.org/a.png")


@pytest.mark.parametrize(("content", "said"), [(b"dear diary", "dear diary"), (b"", "it is empty")])
def test_a_text_file_named_png(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "diary.png"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=rf"diary\.png' is not in a format.*{said}.*Save it as PNG"):
        load_image(path)


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "webp", "tiff", "bmp"])
@pytest.mark.parametrize("part", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_a_truncated_file(tmp_path: Path, suffix: str, part: float) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path = saved(Image.fromarray(noise), tmp_path / f"cut.{suffix}")
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])
    with pytest.raises(ImageError, match=r"cut\."):
        load_image(path)


def test_a_closed_pil_image(tmp_path: Path, rgb: np.ndarray) -> None:
    image = Image.open(saved(Image.fromarray(rgb), tmp_path / "photo.png"))
    image.close()
    with pytest.raises(ImageError, match="the PIL image"):
        load_image(image)


def test_a_pil_image_without_pixels() -> None:
    with pytest.raises(ImageError, match="0x3 and holds no pixels"):
        load_image(Image.new("RGB", (0, 3)))


@pytest.mark.parametrize(("mode", "colour"), [("I", -1), ("I", 70000), ("F", 2.0), ("F", math.nan)])
def test_greys_out_of_range(mode: str, colour: float) -> None:
    with pytest.raises(ImageError, match=r"has values .* outside 0\.\."):
        load_image(Image.new(mode, (2, 2), colour))


def test_a_mode_without_way_to_rgb() -> None:
    with pytest.raises(ImageError, match="colour mode La"):
        load_image(Image.new("La", (2, 2)))


@pytest.mark.parametrize("source", [None, 3, b"bytes", [[1, 2], [3, 4]]])
def test_things_that_are_no_pictures(source: object) -> None:
    with pytest.raises(ImageError, match=f"cannot be made from {type(source).__name__}"):
        load_image(source)  # type: ignore[arg-type]


# ---- arrays and tensors


def test_arrays_of_every_shape(rgb: np.ndarray) -> None:
    grey = rgb[..., 0]
    np.testing.assert_array_equal(pixels(load_image(rgb)), rgb)
    np.testing.assert_array_equal(pixels(load_image(rgb.astype(np.float64) / 255)), rgb)
    np.testing.assert_array_equal(pixels(load_image(rgb[::-1, ::-1])), rgb[::-1, ::-1])
    for array in (grey, grey[..., None], (grey / 255).astype(np.float32)):
        np.testing.assert_array_equal(pixels(load_image(array)), np.dstack([grey] * 3))
    see_through = np.dstack([rgb, np.zeros_like(grey)])
    assert (pixels(load_image(see_through)) == 255).all()


def test_tensors_are_channels_first(rgb: np.ndarray) -> None:
    tensor = torch.from_numpy(rgb).permute(2, 0, 1)
    for variant in (tensor, tensor[None], tensor / 255, (tensor / 255)[None].requires_grad_(), (tensor / 255).double()):
        np.testing.assert_array_equal(pixels(load_image(variant)), rgb)
    half = load_image((tensor / 255).bfloat16())
    assert abs(pixels(half).astype(int) - rgb).max() <= 1


def test_the_result_shares_no_memory(rgb: np.ndarray) -> None:
    original, image = rgb.copy(), Image.fromarray(rgb)
    for source in (rgb, image):
        load_image(source).paste("red", (0, 0, 7, 5))
        np.testing.assert_array_equal(rgb, original)
        np.testing.assert_array_equal(np.asarray(image), original)


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((3, 8, 9), "transpose"),
        ((1, 8, 9), "transpose"),
        ((8, 9, 2), "is not a picture"),
        ((8,), "is not a picture"),
        ((1, 8, 9, 3), "is not a picture"),
        ((0, 9, 3), "holds no pixels"),
        ((8, 0), "holds no pixels"),
    ],
)
def test_arrays_of_wrong_shape(shape: tuple[int, ...], said: str) -> None:
    with pytest.raises(ImageError, match=said) as caught:
        load_image(np.zeros(shape, np.uint8))
    assert str(shape) in str(caught.value)


@pytest.mark.parametrize("dtype", [bool, np.int64, np.uint16, np.complex64])
def test_arrays_of_wrong_dtype(dtype: type) -> None:
    with pytest.raises(ImageError, match=rf"must be uint8 .*, not {np.dtype(dtype)}"):
        load_image(np.zeros((4, 4, 3), dtype))


@pytest.mark.parametrize("value", [math.nan, math.inf, -1.0, 255.0])
def test_floats_out_of_range(value: float) -> None:
    with pytest.raises(ImageError, match=r"must lie in 0\.\.1"):
        load_image(np.full((4, 4, 3), value))


def test_floats_out_of_range_by_rounding_are_clipped() -> None:
    assert load_image(np.full((2, 2), 1.0005)).getpixel((0, 0)) == (255, 255, 255)
    assert load_image(np.full((2, 2), -0.0005)).getpixel((0, 0)) == (0, 0, 0)


@pytest.mark.parametrize("shape", [(8, 9, 3), (2, 3, 8, 9), (8, 9), (2, 8, 9), (1, 1, 3, 8, 9)])
def test_tensors_of_wrong_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(ImageError, match=r"permute\(2, 0, 1\)") as caught:
        load_image(torch.zeros(shape))
    assert str(shape) in str(caught.value)


def test_tensors_without_pixels() -> None:
    with pytest.raises(ImageError, match="holds no pixels"):
        load_image(torch.zeros(3, 0, 8))


# ---- to the model and back


def test_every_value_survives_the_way_to_the_model_and_back() -> None:
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16)
    image = Image.fromarray(np.dstack([ramp, ramp.T, 255 - ramp]))
    tensor = to_tensor(image)
    assert (tuple(tensor.shape), tensor.dtype) == ((1, 3, 16, 16), torch.float32)
    assert (tensor.min().item(), tensor.max().item()) == (-1.0, 1.0)
    np.testing.assert_array_equal(pixels(to_image(tensor)), np.asarray(image))
    np.testing.assert_array_equal(pixels(to_image(tensor[0].double().requires_grad_())), np.asarray(image))


def test_axes_of_the_tensor(rgb: np.ndarray) -> None:
    tensor = to_tensor(Image.fromarray(rgb))
    assert tensor[0, 2, 1, 4].item() == pytest.approx(rgb[1, 4, 2] / 127.5 - 1)


def test_sizes_are_width_and_height(rgb: np.ndarray) -> None:
    image = Image.fromarray(rgb)
    assert tuple(to_tensor(image, (16, 8)).shape) == (1, 3, 8, 16)
    assert to_image(to_tensor(image), (16, 8)).size == (16, 8)
    expected = image.resize((16, 8), Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(pixels(to_image(to_tensor(image, (16, 8)))), np.asarray(expected))
    for call in (lambda: to_tensor(image, (0, 8)), lambda: to_image(to_tensor(image), (8, -1))):
        with pytest.raises(ImageError, match="must be positive"):
            call()


def test_overshooting_values_are_clipped() -> None:
    assert to_image(torch.full((3, 2, 2), 1.5)).getpixel((0, 0)) == (255, 255, 255)
    assert to_image(torch.full((3, 2, 2), -9.0)).getpixel((0, 0)) == (0, 0, 0)


@pytest.mark.parametrize("shape", [(2, 3, 4, 4), (4, 4, 3), (4, 4), (1, 4, 4, 4), (3, 0, 4)])
def test_to_image_wants_one_rgb_picture(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match="the image tensor must have shape") as caught:
        to_image(torch.zeros(shape))
    assert caught.value.actual == shape


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_to_image_refuses_what_is_not_finite(value: float) -> None:
    with pytest.raises(ImageError, match="NaN or infinite"):
        to_image(torch.full((1, 3, 2, 2), value))


# ---- working sizes


@pytest.mark.parametrize(
    ("image_size", "model_size", "multiple", "expected"),
    [
        ((512, 512), 512, 8, (512, 512)),
        ((1024, 768), 512, 64, (704, 512)),
        ((768, 1024), 512, 64, (512, 704)),
        ((1920, 1080), 512, 8, (912, 512)),
        ((5000, 100), 512, 8, (1536, 512)),
        ((1, 1), 64, 8, (64, 64)),
        ((100, 90), 4, 8, (8, 8)),
    ],
)
def test_fit_size(image_size: tuple[int, int], model_size: int, multiple: int, expected: tuple[int, int]) -> None:
    assert fit_size(image_size, model_size, multiple) == expected


@given(
    size=st.tuples(st.integers(1, 4000), st.integers(1, 4000)),
    model_size=st.integers(1, 1024),
    multiple=st.sampled_from([1, 8, 16, 64]),
)
def test_fit_size_keeps_the_aspect_within_half_a_multiple(size: tuple[int, int], model_size: int, multiple: int) -> None:
    width, height = fit_size(size, model_size, multiple)
    assert width % multiple == height % multiple == 0
    short, long = min(width, height), max(width, height)
    assert short == max(multiple, round(model_size / multiple + 1e-9) * multiple)
    assert long <= 3 * short
    assert abs(long - short * min(max(size) / min(size), 3)) <= multiple / 2
    assert fit_size(size[::-1], model_size, multiple) == (height, width)


@pytest.mark.parametrize("arguments", [((0, 5), 512, 8), ((5, 5), 0, 8), ((5, 5), 512, 0), ((5, -1), 512, 8)])
def test_fit_size_wants_positive_numbers(arguments: tuple[tuple[int, int], int, int]) -> None:
    with pytest.raises(ImageError, match="must be positive"):
        fit_size(*arguments)


# ---- psnr


def test_psnr_of_known_errors(rgb: np.ndarray) -> None:
    zeros = np.zeros((4, 4, 3), np.uint8)
    assert psnr(rgb, rgb) == math.inf
    assert psnr(zeros, zeros + 255) == pytest.approx(0.0)
    assert psnr(zeros, zeros + 1) == psnr(zeros + 1, zeros) == pytest.approx(20 * math.log10(255))
    assert psnr(Image.fromarray(zeros), zeros + 1) == psnr(zeros, zeros + 1)


def test_psnr_under_a_mask() -> None:
    first = np.zeros((4, 4, 3), np.uint8)
    second, mask = first.copy(), np.zeros((4, 4), bool)
    second[0], mask[0] = 255, True
    assert psnr(first, second, mask) == pytest.approx(0.0)
    assert psnr(first, second, ~mask) == math.inf
    with pytest.raises(ValueError, match="no pixel to compare"):
        psnr(first, second, np.zeros((4, 4), bool))


def test_psnr_of_what_cannot_be_compared(rgb: np.ndarray) -> None:
    with pytest.raises(ShapeError, match="the second picture"):
        psnr(rgb, rgb[:-1])
    with pytest.raises(ShapeError, match="the mask"):
        psnr(rgb, rgb, np.ones((7, 5), bool))
    with pytest.raises(ShapeError, match="the picture"):
        psnr(rgb[..., 0], rgb[..., 0])
    with pytest.raises(ImageError, match="uint8"):
        psnr(rgb / 255, rgb / 255)
