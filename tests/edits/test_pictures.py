"""Edit files name pictures by the hash of their pixels: they hold them beside that, are given them, or say what is missing."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from helpers.deep_pictures import read_deep
from helpers.faults import full_after, interrupt, state
from PIL import Image

from dragonkit.edits import writing
from dragonkit.edits.edit import Edit
from dragonkit.edits.file import EditFile
from dragonkit.edits.settings import Settings
from dragonkit.edits.values import Mask, Picture
from dragonkit.errors import EditFileError, ImageError
from dragonkit.imaging.photo_files import open_photo
from dragonkit.imaging.photos import Photo


class Dress(Edit):
    mode: ClassVar[str] = "dress"
    mask: Mask
    reference: Picture
    note: str = ""


TYPES: dict[str, type[Edit]] = {"dress": Dress}
RNG = np.random.default_rng(0)
SOURCE, REFERENCE = (open_photo(RNG.integers(0, 256, (20, 30, 3), dtype=np.uint8)) for _ in range(2))
MASK = np.eye(20, 30, dtype=bool)


def dressed(**changes: Any) -> EditFile:
    fields = {"mask": MASK, "reference": REFERENCE.picture, **changes}
    return EditFile.of("toybox", SOURCE, "a fish", Settings(steps=3), [Dress(**fields)])


def forgotten(file: EditFile) -> EditFile:
    """The file as somebody reads it who has only what its values say."""
    return EditFile(**dict(file))


def test_a_file_names_pictures_and_holds_them() -> None:
    file = dressed()
    assert (file.image, file.edits[0]["reference"]) == (SOURCE.hash, REFERENCE.hash)
    assert file.photo() is SOURCE and np.array_equal(np.asarray(file.load_image()), SOURCE.rgb)
    (edit,) = file.edits_from(TYPES)
    assert isinstance(edit, Dress) and np.array_equal(np.asarray(edit.reference), REFERENCE.rgb)
    assert len(repr(file)) < 150 and "\n" not in repr(file)
    for copy in (pickle.loads(pickle.dumps(file)), file.model_copy()):
        assert copy == file and np.array_equal(copy.photo().rgb, SOURCE.rgb)


def test_written_out_it_has_all_inside() -> None:
    again = EditFile.loads(dressed().dumps())
    assert again.image.startswith("data:image/png;base64,") and again.photo_hash == SOURCE.hash
    assert np.array_equal(np.asarray(again.load_image()), SOURCE.rgb)
    assert np.array_equal(np.asarray(again.edits_from(TYPES)[0].reference), REFERENCE.rgb)  # type: ignore[attr-defined]
    assert again.shareable() == dressed()


def test_what_is_missing_is_said_in_one_sentence() -> None:
    file = forgotten(dressed())
    for attempt in (file.load_image, lambda: file.edits_from(TYPES), file.check_pictures):
        with pytest.raises(EditFileError, match=r"says of (image and )?edits\[0\]\.reference only the hash .*--image PICTURE"):
            attempt()
    with pytest.raises(EditFileError, match="says of image only"):
        file.with_pictures(REFERENCE).load_image()
    assert file.photo_hash == SOURCE.hash


def test_the_right_pictures_make_it_whole(tmp_path: Path) -> None:
    SOURCE.picture.save(tmp_path / "source.png")
    file = forgotten(dressed()).with_pictures(REFERENCE.rgb, tmp_path / "source.png")
    file.check_pictures()
    assert np.array_equal(np.asarray(file.load_image()), SOURCE.rgb) and len(file.edits_from(TYPES)) == 1


def test_other_pictures_are_refused(tmp_path: Path) -> None:
    other = SOURCE.rgb.copy()
    other[3, 4, 1] ^= 1
    Image.fromarray(other).save(tmp_path / "other.png")
    with pytest.raises(EditFileError, match=r"other\.png' is not what the edit file was made from: the hash"):
        forgotten(dressed()).with_pictures(tmp_path / "other.png")
    with pytest.raises(EditFileError, match="number 1 is not what"):
        forgotten(dressed()).with_pictures(SOURCE, other)
    with pytest.raises(EditFileError, match="asks for no picture"):
        EditFile(model="m", image="a.png", edits=[]).with_pictures(SOURCE)
    with pytest.raises(ImageError, match="does not exist"):
        forgotten(dressed()).with_pictures(tmp_path / "gone.png")


def test_a_source_of_16_bits_is_kept_whole(tmp_path: Path) -> None:
    deep = Photo(RNG.integers(0, 65536, (20, 30, 3), dtype=np.uint16), np.zeros((20, 30, 3), np.uint8)).edited(SOURCE.rgb)
    file = EditFile.of("toybox", deep, "", Settings(), [])
    file.save(tmp_path / "edit.json")
    again = EditFile.load(tmp_path / "edit.json").photo()
    assert again.samples.dtype == np.uint16 and np.array_equal(again.samples, deep.samples)


def test_pictures_without_room_lie_beside_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "TEXT_LIMIT", 1000)
    file = dressed()
    for _ in range(2):  # the second time in its own place
        file.save(tmp_path / "out.edit.json")
        names = {f"out.{photo.hash[7:15]}.png" for photo in (SOURCE, REFERENCE)}
        assert {path.name for path in tmp_path.iterdir()} == {"out.edit.json", *names}
    again = EditFile.load(tmp_path / "out.edit.json")
    assert again.image in names and np.array_equal(read_deep(tmp_path / again.image), SOURCE.rgb)
    assert np.array_equal(np.asarray(again.load_image()), SOURCE.rgb) and len(again.edits_from(TYPES)) == 1
    assert json.loads((tmp_path / "out.edit.json").read_text())["edits"][0]["reference"] in names


@pytest.mark.parametrize("size", [0, 100, 2000])
def test_a_full_disk_leaves_nothing_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(writing, "TEXT_LIMIT", 1000)
    dressed(note="old").save(tmp_path / "edit.json")
    before = state(tmp_path)
    with pytest.raises(EditFileError, match="cannot be written"), full_after(size):
        dressed(note="x" * 3000).save(tmp_path / "edit.json")
    assert state(tmp_path) == before
    interrupt(monkeypatch, "fsync")
    with pytest.raises(KeyboardInterrupt):
        dressed().save(tmp_path / "edit.json")
    assert state(tmp_path) == before


def test_half_a_character_is_written(tmp_path: Path) -> None:
    dressed(note="\ud83d").save(tmp_path / "edit.json")
    assert EditFile.load(tmp_path / "edit.json").edits[0]["note"] == "\ud83d"
    assert "魚" in dressed(note="魚").dumps()
