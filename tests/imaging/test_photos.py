"""A picture's own kind survives an edit: greys stay grey, transparency and 16 bits stay, profile and density come along."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers.deep_pictures import deep_grey_with_alpha, read_deep, write_deep
from PIL import Image, ImageCms

from dragonkit.errors import ImageError
from dragonkit.imaging.deep import write_deep_png
from dragonkit.imaging.images import load_image
from dragonkit.imaging.photo_files import open_photo, photo_from_bytes
from dragonkit.imaging.photos import Photo, pixel_hash

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
GREY = SRGB[:16] + b"GRAY" + SRGB[20:]
CMYK = SRGB[:16] + b"CMYK" + SRGB[20:]
COLORS = np.random.default_rng(1).integers(0, 256, (12, 17, 4), dtype=np.uint8)
DEEP = np.random.default_rng(2).integers(0, 65536, (12, 17, 4), dtype=np.uint16)


def png(path: Path, channels: int) -> Path:
    Image.fromarray(COLORS[..., 0] if channels == 1 else COLORS[..., :channels]).save(path)
    return path


def deep_png(path: Path, channels: int) -> Path:
    with path.open("wb") as file:
        write_deep_png(file, DEEP[..., 0] if channels == 1 else DEEP[..., :channels])
    return path


KINDS: dict[str, tuple[Callable[[Path], Path], tuple[int, ...], type]] = {
    "grey": (lambda folder: png(folder / "x.png", 1), (12, 17), np.uint8),
    "grey+alpha": (lambda folder: png(folder / "x.png", 2), (12, 17, 2), np.uint8),
    "rgb": (lambda folder: png(folder / "x.png", 3), (12, 17, 3), np.uint8),
    "rgba": (lambda folder: png(folder / "x.png", 4), (12, 17, 4), np.uint8),
    "grey16": (lambda folder: deep_png(folder / "x.png", 1), (12, 17), np.uint16),
    "rgb16": (lambda folder: deep_png(folder / "x.png", 3), (12, 17, 3), np.uint16),
    "rgba16": (lambda folder: deep_png(folder / "x.png", 4), (12, 17, 4), np.uint16),
    "tiff rgb16": (lambda folder: write_deep(folder / "x.tif", DEEP[..., :3]), (12, 17, 3), np.uint16),
    "tiff rgba16": (lambda folder: write_deep(folder / "x.tif", DEEP), (12, 17, 4), np.uint16),
    "tiff grey16": (lambda folder: write_deep(folder / "x.tif", DEEP[..., 0]), (12, 17), np.uint16),
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, tuple[int, ...], type]:
    make, shape, dtype = KINDS[request.param]
    return make(tmp_path), shape, dtype


def test_what_the_model_sees_is_what_load_image_gives(kind: tuple[Path, tuple[int, ...], type]) -> None:
    photo, image = open_photo(kind[0]), load_image(kind[0])
    assert np.array_equal(photo.rgb, np.asarray(image)) and photo.size == image.size == (17, 12)
    assert np.array_equal(np.asarray(load_image(photo.image)), photo.rgb)
    assert (photo.samples.shape, photo.samples.dtype, photo.notes) == (kind[1], kind[2], ())


def test_a_photo_written_is_the_same(kind: tuple[Path, tuple[int, ...], type], tmp_path: Path) -> None:
    photo = open_photo(kind[0])
    with (tmp_path / "out.png").open("wb") as file:
        photo.write(file, {"key": "välue"})
    again = open_photo(tmp_path / "out.png")
    assert again.samples.dtype == photo.samples.dtype and np.array_equal(again.samples, photo.samples)
    assert np.array_equal(photo_from_bytes(photo.png(), "it").samples, photo.samples)
    with Image.open(tmp_path / "out.png") as image:
        image.load()
        assert image.text == {"key": "välue"}  # type: ignore[attr-defined]
    assert (photo.hash, photo.kind) == (again.hash, again.kind)
    if photo.is_deep:
        assert np.array_equal(read_deep(tmp_path / "out.png"), photo.samples)


def test_what_does_not_change_stays_bit_for_bit(kind: tuple[Path, tuple[int, ...], type]) -> None:
    photo = open_photo(kind[0])
    same = photo.edited(photo.rgb.copy(), None if photo.alpha is None else photo.alpha.copy())
    assert np.array_equal(same.samples, photo.samples)
    look = photo.rgb.copy()
    look[2:5, 3:9] = (200, 90, 30)
    edited, there = photo.edited(look), np.zeros((12, 17), bool)
    there[2:5, 3:9] = True
    assert edited.samples.shape == photo.samples.shape and edited.samples.dtype == photo.samples.dtype
    assert np.array_equal(edited.samples[~there], photo.samples[~there])
    if photo.alpha is not None:
        assert np.array_equal(edited.samples[..., -1], photo.samples[..., -1])
    elif photo.is_grey:
        assert (edited.rgb[there] == 116).all()  # 0.299 * 200 + 0.587 * 90 + 0.114 * 30
    else:
        assert np.array_equal(edited.rgb, look)
    assert np.array_equal(edited.rgb, np.asarray(load_image(edited.image)))


def test_what_lies_under_transparency_is_found_again() -> None:
    """Over white the edited photo looks as it should, wherever its transparency lets it."""
    photo = open_photo(Image.fromarray(COLORS))
    look = np.asarray(Image.fromarray(np.roll(COLORS, 5, axis=1)[..., :3]))
    alpha = np.linspace(0, 1, 12 * 17, dtype=np.float32).reshape(12, 17)
    white = np.rint(look * alpha[..., None] + 255 * (1 - alpha[..., None])).astype(np.uint8)  # so that there is an answer
    edited = photo.edited(white, alpha)
    assert np.abs(edited.rgb.astype(int) - white).max() <= 1
    assert np.abs(edited.samples[..., 3] / 255 - alpha).max() <= 0.5 / 255 + 1e-6
    opaque = alpha > 0.9
    assert np.abs(edited.samples[..., :3].astype(int) - look)[opaque].max() <= 1


def test_grey_with_alpha_of_16_bits_stays_grey(tmp_path: Path) -> None:
    photo = open_photo(deep_png(tmp_path / "x.png", 2))
    assert (photo.is_grey, photo.is_deep) == (True, False) and "cannot be read in this form" in photo.notes[0]
    deep = Photo(DEEP[..., :2], photo.rgb)
    with (tmp_path / "y.png").open("wb") as file:
        deep.write(file)
    assert np.array_equal(deep_grey_with_alpha(tmp_path / "y.png"), DEEP[..., :2])


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("deep", [False, True])
def test_profile_and_density_come_along(tmp_path: Path, channels: int, deep: bool) -> None:
    samples = (DEEP if deep else COLORS)[..., :channels]
    plain = open_photo(Image.fromarray(COLORS[..., :3]))
    profile = GREY if channels < 3 else SRGB
    photo = Photo(samples[..., 0] if channels == 1 else samples, plain.rgb, profile, (300, 200)).edited(plain.rgb)
    with (tmp_path / "x.png").open("wb") as file:
        photo.write(file)
    again = open_photo(tmp_path / "x.png")
    assert again.profile == profile and again.density == pytest.approx((300, 200), abs=0.02)
    with Image.open(tmp_path / "x.png") as image:
        assert image.info["icc_profile"] == profile


@pytest.mark.parametrize("name", ["x.png", "x.jpg", "x.tif", "x.webp"])
def test_every_format_keeps_its_profile(tmp_path: Path, name: str) -> None:
    Image.fromarray(COLORS[..., :3]).save(tmp_path / name, icc_profile=SRGB, dpi=(150, 150))
    photo = open_photo(tmp_path / name)
    assert photo.profile == SRGB and photo.image.info["icc_profile"] == SRGB
    assert photo.density == (None if name == "x.webp" else pytest.approx((150, 150), abs=0.02))


def test_a_picture_on_its_side_is_put_upright(kind: tuple[Path, tuple[int, ...], type], tmp_path: Path) -> None:
    photo, exif, shell = open_photo(kind[0]), Image.Exif(), io.BytesIO()
    exif[0x0112] = 6
    if photo.is_deep:
        write_deep_png(shell, photo.samples, [(b"eXIf", exif.tobytes()[6:])])
    else:
        photo.image.save(shell, format="PNG", exif=exif)
    (tmp_path / "turned.png").write_bytes(shell.getvalue())
    assert np.array_equal(open_photo(tmp_path / "turned.png").samples, np.rot90(photo.samples, -1))


@pytest.mark.parametrize(
    ("make", "shape", "note"),
    [
        (lambda: Image.fromarray(COLORS).convert("CMYK"), (12, 17, 3), "the picture's colours, CMYK, become RGB"),
        (lambda: Image.fromarray(COLORS[..., :3]).convert("P"), (12, 17, 3), None),
        (lambda: Image.fromarray(COLORS[..., 0]).convert("1"), (12, 17), None),
        (lambda: Image.fromarray(COLORS[..., 0].astype(np.float32) / 255), (12, 17), "floats become 16 bits"),
        (lambda: Image.fromarray(DEEP[..., 0].astype(np.int32)), (12, 17), None),
        (lambda: COLORS[..., 0], (12, 17), None),
        (lambda: COLORS[..., :1], (12, 17), None),
        (lambda: COLORS, (12, 17, 4), None),
        (lambda: COLORS[..., :3] / 255, (12, 17, 3), None),
    ],
    ids=["cmyk", "palette", "bits", "floats", "ints", "array", "array 1", "array 4", "array floats"],
)
def test_other_kinds(make: Callable[[], Image.Image | np.ndarray], shape: tuple[int, ...], note: str | None) -> None:
    photo = open_photo(make())
    assert photo.samples.shape == shape and len(photo.notes) == (note is not None)
    assert note is None or note in photo.notes[0]
    assert np.array_equal(np.asarray(load_image(photo.image)), np.asarray(load_image(make())))


def test_transparent_colours_are_alpha(tmp_path: Path) -> None:
    Image.new("L", (4, 3), 5).save(tmp_path / "grey.png", transparency=5)
    Image.new("RGB", (4, 3), (1, 2, 3)).save(tmp_path / "rgb.png", transparency=(1, 2, 3))
    image = Image.new("P", (4, 3), 0)
    image.putpalette([9, 8, 7] * 256)
    image.save(tmp_path / "palette.png", transparency=0)
    assert open_photo(tmp_path / "grey.png").samples[0, 0].tolist() == [5, 0]
    assert open_photo(tmp_path / "rgb.png").samples[0, 0].tolist() == [1, 2, 3, 0]
    assert open_photo(tmp_path / "palette.png").samples[0, 0].tolist() == [9, 8, 7, 0]


def test_a_profile_for_other_colours_is_left_out(tmp_path: Path) -> None:
    cases = {"grey": (COLORS[..., 0], SRGB, "for RGB and not for greys"), "rgb": (COLORS[..., :3], CMYK, "for CMYK and not for RGB")}
    for name, (samples, profile, words) in cases.items():
        Image.fromarray(samples).save(tmp_path / f"{name}.png", icc_profile=profile)
        photo = open_photo(tmp_path / f"{name}.png")
        assert photo.profile is None and words in photo.notes[0]


@pytest.mark.parametrize("dpi", [None, (0, 0), (72, float("nan")), 72, ("a", "b"), (float("inf"), 1)], ids=str)
def test_a_broken_density_is_none(dpi: object) -> None:
    image = Image.fromarray(COLORS[..., :3])
    image.info["dpi"] = dpi
    assert open_photo(image).density is None


def test_hashes_and_kinds_tell_photos_apart() -> None:
    """Those of the same look have one hash; what else differs is their kind."""
    opaque = np.dstack([COLORS[..., :3], np.full((12, 17), 255, np.uint8)])
    plain, with_alpha = open_photo(COLORS[..., :3]), open_photo(opaque)
    profiled = Photo(plain.rgb, plain.rgb, SRGB)
    assert plain.hash == with_alpha.hash == pixel_hash(plain.picture) and plain.hash.startswith("sha256:") and len(plain.hash) == 71
    assert len({plain.kind, with_alpha.kind, profiled.kind}) == 3 and plain.kind == ""
    assert pixel_hash(np.zeros((2, 8, 3), np.uint8)) != pixel_hash(np.zeros((4, 4, 3), np.uint8))


def test_small_things() -> None:
    photo = open_photo(COLORS)
    assert repr(photo) == "<Photo 17x12, RGB with alpha, 8 bits>" and open_photo(photo) is photo
    assert repr(Photo(DEEP[..., 0], photo.rgb)) == "<Photo 17x12, grey, 16 bits>"
    again = pickle.loads(pickle.dumps(open_photo(COLORS[..., :3])))
    assert again.is_plain
    with pytest.raises(ImageError, match="cannot be made from int"):
        open_photo(3)  # type: ignore[arg-type]
    with pytest.raises(ImageError, match="is not in a format that can be read"):
        photo_from_bytes(b"hello", "it")
