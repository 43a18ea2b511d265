"""Mask and picture fields: what they take, keep, compare and write."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from pydantic import field_validator

from dragonkit.edits.edit import Edit
from dragonkit.edits.validation import relative_to
from dragonkit.edits.values import Mask, Picture, image_from_text, image_to_text, mask_to_json, picture_to_json, same
from dragonkit.errors import EditError, ImageError, MaskError, ShapeError
from dragonkit.imaging.images import load_image
from dragonkit.imaging.masks import decode_mask, load_mask

MASK = np.zeros((4, 6), bool)
MASK[1:3, 2:5] = True
GREY = MASK.astype(np.uint8) * 255

masks = arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12))).filter(lambda mask: bool(mask.any()))


class Painted(Edit):
    mode: ClassVar[str] = "painted"
    mask: Mask
    second: Mask | None = None
    more: tuple[Mask, ...] = ()


@pytest.mark.parametrize(
    "given_mask",
    [
        MASK,
        GREY,
        GREY[..., None],
        np.repeat(GREY[..., None], 3, axis=2),
        GREY[None],
        MASK.astype(np.float32),
        torch.from_numpy(MASK),
        torch.from_numpy(MASK)[None].float(),
        torch.from_numpy(MASK)[None, None].float(),
        Image.fromarray(GREY),
    ],
    ids=lambda mask: f"{type(mask).__name__}{getattr(mask, 'shape', '')}",
)
def test_everything_that_is_a_mask_is_written_as_png(given_mask: Any) -> None:
    edit = Painted(mask=given_mask)
    assert type(edit.mask) is type(given_mask)
    assert np.array_equal(load_mask(edit.mask, (6, 4)), MASK)
    written = mask_to_json(edit.mask)
    assert written is not None
    assert np.array_equal(decode_mask(written["png"]), MASK)
    assert edit == Painted(mask=given_mask)


@given(masks)
def test_written_masks_come_back(mask: np.ndarray) -> None:
    edit = Painted(mask=mask, second=mask, more=(mask, ~mask | mask))
    assert Painted.from_dict(edit.to_dict()) == edit


def test_a_path_is_kept_and_read_when_written(tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    edit = Painted(mask=path)
    assert edit.mask == path
    with pytest.raises(MaskError, match=r"mask\.png.*does not exist"):
        edit.to_dict()
    Image.fromarray(GREY).save(path)
    assert np.array_equal(decode_mask(edit.to_dict()["mask"]["png"]), MASK)


def test_paths_in_a_file_are_relative_to_it_and_must_exist(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "mask.png")
    with relative_to(tmp_path):
        assert Painted(mask="mask.png").mask == tmp_path / "mask.png"
        assert Painted(mask=str(tmp_path / "mask.png")).mask == tmp_path / "mask.png"
        with pytest.raises(MaskError, match=r"Painted\.second: there is no mask file 'nope\.png'"):
            Painted(mask="mask.png", second="nope.png")
    assert Painted(mask="mask.png").mask == "mask.png"


def test_painting_on_does_not_change_an_edit() -> None:
    array, picture, tensor = MASK.copy(), Image.fromarray(GREY), torch.from_numpy(MASK).clone()
    edit = Painted(mask=array, second=picture, more=(tensor,))
    before = edit.to_dict()
    array[:] = True
    picture.paste(255, (0, 0, 6, 4))
    tensor[:] = True
    assert edit.to_dict() == before


@pytest.mark.parametrize("bad", [3, None, "", [[0, 1]], {"png": 5}, {"png": "??"}, {"path": "x"}, b"png"])
def test_what_is_no_mask_is_refused(bad: object) -> None:
    with pytest.raises(EditError, match=r"^Painted\.mask"):
        Painted(mask=bad)


def test_masks_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(MaskError, match="empty"):
        Painted(mask=MASK & False).to_dict()
    with pytest.raises(MaskError, match=r"shape \(3,\)"):
        Painted(mask=np.ones(3)).to_dict()
    (tmp_path / "text.png").write_text("not a picture")
    with pytest.raises(MaskError, match=r"text\.png"):
        Painted(mask=tmp_path / "text.png").to_dict()


def test_the_schema_tells_widgets_that_it_is_a_mask() -> None:
    schema = Painted.model_json_schema()["properties"]
    assert schema["mask"]["format"] == "mask"
    assert schema["second"]["anyOf"][0]["format"] == "mask"


def test_same_sees_into_arrays() -> None:
    assert same((MASK, 1), [MASK.copy(), 1])
    assert not same((MASK,), (~MASK,))
    assert not same(MASK, GREY)
    assert not same(MASK, "mask.png")
    assert not same((1,), (1, 2))


def test_pictures_as_text(tmp_path: Path) -> None:
    picture = Image.fromarray(np.arange(48, dtype=np.uint8).reshape(4, 4, 3))
    text = image_to_text(picture)
    assert text.startswith("data:image/png;base64,")
    assert np.array_equal(np.asarray(image_from_text(text)), np.asarray(picture))
    picture.save(tmp_path / "a.png")
    assert np.array_equal(np.asarray(image_from_text("a.png", tmp_path)), np.asarray(picture))
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    for bad in ("data:image/png;base64,%%", "data:image/png;base64,AAAA", base64.b64encode(buffer.getvalue() * 9).decode(), "missing.png"):
        with pytest.raises(ImageError):
            image_from_text(bad, tmp_path)


# --- pictures -----------------------------------------------------------------------------------------------------------

COLORS = np.arange(72, dtype=np.uint8).reshape(4, 6, 3) * 3


class Framed(Edit):
    mode: ClassVar[str] = "framed"
    picture: Picture
    second: Picture | None = None


@pytest.mark.parametrize(
    "given_picture",
    [
        COLORS,
        COLORS / np.float32(255),
        torch.from_numpy(COLORS).permute(2, 0, 1),
        torch.from_numpy(COLORS).permute(2, 0, 1)[None].float() / 255,
        Image.fromarray(COLORS),
    ],
    ids=lambda picture: f"{type(picture).__name__}{getattr(picture, 'shape', '')}",
)
def test_everything_that_is_a_picture_is_written_as_png(given_picture: Any) -> None:
    edit = Framed(picture=given_picture)
    assert type(edit.picture) is type(given_picture)
    assert edit == Framed(picture=given_picture) and edit != Framed(picture=255 - COLORS)
    assert hash(edit) == hash(Framed(picture=given_picture)) and "Framed(picture=" in repr(edit)
    written = edit.to_dict()
    assert written["picture"].startswith("data:image/png;base64,") and written["second"] is None
    again = Framed.from_dict(written)
    assert np.array_equal(np.asarray(load_image(again.picture)), COLORS)
    assert again.to_dict() == written and Framed.from_dict(written) == again


def test_a_pictures_path_is_kept_and_read_when_written(tmp_path: Path) -> None:
    edit = Framed(picture=tmp_path / "a.png")
    assert edit.picture == tmp_path / "a.png"
    with pytest.raises(ImageError, match=r"a\.png.*does not exist"):
        edit.to_dict()
    Image.fromarray(COLORS).save(tmp_path / "a.png")
    assert edit.to_dict()["picture"] == picture_to_json(COLORS)


def test_a_pictures_path_in_a_file_is_relative_to_it_and_must_exist(tmp_path: Path) -> None:
    Image.fromarray(COLORS).save(tmp_path / "a.png")
    with relative_to(tmp_path):
        assert Framed(picture="a.png").picture == tmp_path / "a.png"
        assert Framed(picture=picture_to_json(COLORS)).picture == Image.fromarray(COLORS)
        with pytest.raises(EditError, match=r"^Framed\.second: .* no picture file 'b\.png' .*relative"):
            Framed(picture="a.png", second="b.png")
    assert Framed(picture="b.png").picture == "b.png"


def test_painting_on_does_not_change_a_picture() -> None:
    array, picture, tensor = COLORS.copy(), Image.fromarray(COLORS), torch.from_numpy(COLORS).permute(2, 0, 1).clone()
    edits = [Framed(picture=one) for one in (array, picture, tensor)]
    array[:] = 0
    picture.paste(0, (0, 0, 6, 4))
    tensor[:] = 0
    assert all(edit.to_dict()["picture"] == picture_to_json(COLORS) for edit in edits)


@pytest.mark.parametrize("bad", [3, None, "", [[0, 1]], {"png": "AAAA"}, b"png", "data:image/png;base64,??", "data:image/png;base64,AAAA"])
def test_what_is_no_picture_is_refused(bad: object) -> None:
    with pytest.raises(EditError, match=r"^Framed\.picture"):
        Framed(picture=bad)
    with pytest.raises(EditError, match=r"^Framed\.picture is missing: give a picture"):
        Framed()  # type: ignore[call-arg]


@pytest.mark.parametrize("error", [ImageError("it is too dark. Pass a lighter one."), ShapeError((4, 6), (6, 4), "the picture")])
def test_an_error_about_a_value_names_its_field(error: Exception) -> None:
    class Lit(Framed):
        @field_validator("second")
        @classmethod
        def _light_enough(cls, picture: Any) -> Any:
            raise error

    with pytest.raises(EditError) as caught:
        Lit(picture=COLORS, second=COLORS)
    assert str(caught.value) == f"Lit.second: {error}"


@pytest.mark.parametrize("text", ["data:image/png;base64,??", "data:image/png;base64,AAAA"])
def test_broken_text_of_a_picture_is_told_once_with_its_field(text: str) -> None:
    with pytest.raises(EditError, match=r"^Framed\.second: 'data:image/png;base64,.* is no picture: ") as caught:
        Framed(picture=COLORS, second=text)
    assert str(caught.value).count("base64,") == 1


def test_an_array_that_is_no_picture_is_refused_when_written() -> None:
    with pytest.raises(ImageError, match=r"shape \(3,\)"):
        Framed(picture=np.ones(3)).to_dict()


def test_the_schema_tells_widgets_that_it_is_a_picture() -> None:
    schema = Framed.model_json_schema()["properties"]
    assert schema["picture"]["format"] == "picture" and schema["second"]["anyOf"][0]["format"] == "picture"
