"""Saved results open in any program, say no more than they should, and are whole or not there."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.deep_pictures import read_deep
from helpers.faults import full_after, interrupt, state
from PIL import Image

from dragonkit.editing import storing
from dragonkit.editing.results import EditResult, Report
from dragonkit.edits import writing
from dragonkit.edits.file import PNG_KEY, EditFile
from dragonkit.edits.settings import Settings
from dragonkit.errors import EditFileError, ImageError
from dragonkit.imaging.photo_files import open_photo
from dragonkit.modes.appearance import Appearance

RNG = np.random.default_rng(0)
TYPES = {"appearance": Appearance}


def made(width: int = 40, height: int = 30, model: str = "toybox", mask: np.ndarray | None = None) -> EditResult:
    """A result of two pictures of noise, which no program makes smaller."""
    source, reference, image = (open_photo(RNG.integers(0, 256, (height, width, 3), dtype=np.uint8)) for _ in range(3))
    mask = np.eye(height, width, dtype=bool) if mask is None else mask
    edit = Appearance(mask=mask, reference=reference.picture, reference_mask=mask)
    report = Report(
        model=model, modes=("appearance",), prompt="", image_size=source.size, working_size=(32, 32), steps=(), reconstruction_psnr=None,
        autoencoder_psnr=None, network_evaluations=0, seconds=1,
    )  # fmt: skip
    file = EditFile.of(model, source, "a private prompt", Settings(), [edit])
    return EditResult(image.image, report, file, np.zeros((height, width), np.float32), image)


def text_of(path: Path) -> str:
    with Image.open(path) as image:
        return getattr(image, "text", {}).get(PNG_KEY, "")


def pictures_of(result: EditResult) -> list[np.ndarray]:
    (edit,) = result.edit_file.edits_from(TYPES)
    return [np.asarray(result.edit_file.load_image()), np.asarray(edit.reference)]  # type: ignore[attr-defined]


def written_out(file: EditFile) -> list[dict[str, Any]]:
    return [edit.to_dict() for edit in file.edits_from(TYPES)]


def test_by_default_the_edit_is_inside_and_no_picture(tmp_path: Path) -> None:
    result = made()
    path = result.save(tmp_path / "out.png")
    assert state(tmp_path).keys() == {"out.png"} and "data:" not in text_of(path) and len(text_of(path)) < 5000
    file = EditFile.load(path)
    assert file == result.edit_file and file.prompt == "a private prompt"
    with pytest.raises(EditFileError, match=r"says of image and edits\[0\]\.reference only"):
        file.check_pictures()
    source, reference = pictures_of(result)
    again = file.with_pictures(source, reference)
    assert np.array_equal(np.asarray(again.load_image()), source) and again.edits_from(TYPES) == result.edit_file.edits_from(TYPES)


def test_in_full_everything_can_be_taken_out_again(tmp_path: Path) -> None:
    result = made()
    file = EditFile.load(result.save(tmp_path / "out.png", metadata="full"))
    assert state(tmp_path).keys() == {"out.png"}
    assert np.array_equal(np.asarray(file.load_image()), pictures_of(result)[0])
    assert written_out(file) == written_out(result.edit_file)


def test_with_none_there_is_nothing(tmp_path: Path) -> None:
    path = made().save(tmp_path / "out.png", metadata="none")
    data = path.read_bytes()
    assert [name for name in (b"tEXt", b"iTXt", b"zTXt", b"eXIf", b"tIME") if name in data] == []
    with pytest.raises(EditFileError, match="carries no edit file"):
        EditFile.load(path)


@pytest.mark.parametrize("metadata", ["edit", "full", "none"])
def test_paths_are_never_inside(tmp_path: Path, metadata: Any) -> None:
    model = tmp_path / "alice" / "model"
    model.mkdir(parents=True)
    (tmp_path / "out").mkdir()
    made(model=str(model)).save(tmp_path / "out" / "out.png", metadata=metadata)
    for data in state(tmp_path / "out").values():
        assert b"alice" not in (data or b"") and str(tmp_path).encode() not in (data or b"")


@pytest.mark.slow
@pytest.mark.parametrize("metadata", ["edit", "full"])
def test_a_large_noisy_picture_opens(tmp_path: Path, metadata: Any) -> None:
    """4300x4300, the size at which Pillow refused a result that had its source inside."""
    result = made(4300, 4300)
    path = result.save(tmp_path / "out.png", metadata=metadata)
    assert np.array_equal(np.asarray(Image.open(path)), np.asarray(result.image))
    assert np.array_equal(read_deep(path), np.asarray(result.image))
    assert path.stat().st_size < 4300 * 4300 * 3 * 1.01
    if metadata == "full":
        file = EditFile.load(tmp_path / "out.edit.json")
        assert np.array_equal(np.asarray(file.load_image()), pictures_of(result)[0])


def test_what_has_no_room_lies_beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (writing, storing):
        monkeypatch.setattr(module, "TEXT_LIMIT", 4000)
    result = made()
    path = result.save(tmp_path / "out.png", metadata="full")
    names = {f"out.{photo.hash[7:15]}.png" for photo in result.edit_file._photos.values()}
    assert state(tmp_path).keys() == {"out.png", "out.edit.json", *names}
    assert EditFile.load(path) == result.edit_file and "data:" not in text_of(path)
    file = EditFile.load(tmp_path / "out.edit.json")
    assert np.array_equal(np.asarray(file.load_image()), pictures_of(result)[0])
    assert written_out(file) == written_out(result.edit_file)


@pytest.mark.parametrize("metadata", ["edit", "full"])
def test_masks_without_room_lie_beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, metadata: Any) -> None:
    for module in (writing, storing):
        monkeypatch.setattr(module, "TEXT_LIMIT", 4000)
    result = made(300, 200, mask=RNG.random((200, 300)) < 0.5)
    path = result.save(tmp_path / "out.png", metadata=metadata)
    assert len(text_of(path)) < 4000
    with pytest.raises(EditFileError, match=r"has no room for edits\[0\]\.mask\.png; run the edit file"):
        EditFile.load(path).check_pictures()
    file = EditFile.load(tmp_path / "out.edit.json")
    if metadata == "edit":
        assert state(tmp_path).keys() == {"out.png", "out.edit.json"}
        file = file.with_pictures(*pictures_of(result))
    assert written_out(file) == written_out(result.edit_file)


@pytest.mark.parametrize("room", [4000, 10**7])
@pytest.mark.parametrize("size", [0, 1, 33, 1000, 3000])
def test_a_full_disk_costs_no_old_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, room: int) -> None:
    for module in (writing, storing):
        monkeypatch.setattr(module, "TEXT_LIMIT", room)
    old, new = made(), made()
    old.save(tmp_path / "out.png", "full")
    before = state(tmp_path)
    with pytest.raises(ImageError, match=r"could not be written to .*out\.png: File too large"), full_after(size):
        new.save(tmp_path / "out.png", "full")
    assert state(tmp_path) == before
    assert np.array_equal(np.asarray(Image.open(tmp_path / "out.png")), np.asarray(old.image))


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device")])
@pytest.mark.parametrize("where", ["fsync", "replace"])
@pytest.mark.parametrize("room", [4000, 10**7])
def test_an_end_at_any_moment_costs_no_old_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, where: str, room: int
) -> None:
    for module in (writing, storing):
        monkeypatch.setattr(module, "TEXT_LIMIT", room)
    made().save(tmp_path / "out.png")
    before = state(tmp_path)
    interrupt(monkeypatch, where, error)
    with pytest.raises(KeyboardInterrupt if isinstance(error, KeyboardInterrupt) else ImageError):
        made().save(tmp_path / "out.png", "full")
    assert state(tmp_path) == before


def test_nothing_is_overwritten_unasked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (writing, storing):
        monkeypatch.setattr(module, "TEXT_LIMIT", 4000)
    result = made()
    for name in ("out.png", "out.edit.json"):
        (tmp_path / name).write_text("mine")
        with pytest.raises(ImageError, match=f"{name}' is there already"):
            result.save(tmp_path / "out.png", "full", overwrite=False)
        assert state(tmp_path) == {name: b"mine"}
        (tmp_path / name).unlink()
    result.save(tmp_path / "out.png", "full", overwrite=False)
