"""How much an edit file may ask for, found out before anything of it is decoded."""

from __future__ import annotations

import base64
import json
import time
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from helpers.hostile import png
from PIL import ImageFile

from dragonkit.editing.layout import Layout
from dragonkit.edits import limits
from dragonkit.edits.file import EditFile
from dragonkit.errors import EditFileError, MaskError
from dragonkit.plugins.registry import PluginRegistry

REGISTRY = PluginRegistry(discover=False)


def encoded(width: int, height: int, depth: int = 1, color: int = 0, whole: bool = False) -> str:
    rows = bytes(height * (1 + width // 8 + 1)) if whole else None
    return base64.b64encode(png(width, height, depth, color, rows=rows)).decode()


def file_with(*masks: str, **changes: Any) -> str:
    edits = [{"mode": "move", "mask": {"png": mask}, "shift": [1, 0]} for mask in masks]
    return json.dumps({"model": "toybox", "image": "data:image/png;base64," + encoded(6, 4, 8, 2), "edits": edits, **changes})


@pytest.fixture
def never_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(self: Any) -> None:
        raise AssertionError("pixels were decoded")

    monkeypatch.setattr(ImageFile.ImageFile, "load", load)


def test_one_mask_may_not_be_larger_than_a_picture(never_decoded: None) -> None:
    with pytest.raises(EditFileError, match="mask inside is 13300x13300, more than 128,000,000 pixels"):
        EditFile.loads(file_with(*[encoded(13_300, 13_300)] * 30))
    with pytest.raises(EditFileError, match="7208972, more than 65,535"):
        EditFile.loads(file_with(encoded(14, 7_208_972, 16)))


@pytest.mark.parametrize("place", ["mask", "reference", "anything"])
def test_all_together_are_bounded_wherever_they_are(place: str, never_decoded: None) -> None:
    text = encoded(11_000, 11_000)
    value: Any = {"png": text} if place == "mask" else f"data:image/png;base64,{text}"
    edits = [{"mode": "x", place: [[value]] if place == "anything" else value}] * 4
    EditFile.loads(file_with(edits=edits))
    with pytest.raises(EditFileError, match="pictures and masks of more than 512,000,000 pixels together"):
        EditFile.loads(
            file_with(edits=[*edits, edits[0]] if place != "image" else [*edits, {"mode": "x", "deep": {"deeper": {"png": text}}}])
        )


def test_a_bomb_of_masks_costs_nothing(never_decoded: None) -> None:
    # four masks of 121 megapixels for a picture of 24 pixels: within the bound, refused by the picture's size
    text = file_with(*[encoded(11_000, 11_000, 16, 6)] * 4)
    assert len(text) < 4000
    tracemalloc.start()
    try:
        begun = time.perf_counter()
        edits = REGISTRY.edits_from(EditFile.loads(text))
        with pytest.raises(MaskError, match="the mask is 11000x11000 but the image is 6x4"):
            Layout(REGISTRY, edits, (6, 4))
        seconds, peak = time.perf_counter() - begun, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2**24 and seconds < 30


def test_a_mask_inside_is_decoded_when_its_size_fits() -> None:
    text = encoded(6, 4, whole=True)
    [edit] = REGISTRY.edits_from(EditFile.loads(file_with(text)))
    with pytest.raises(MaskError, match="is empty"):
        Layout(REGISTRY, edit, (6, 4))


def test_edits_are_bounded() -> None:
    edits = [{"mode": "drag", "points": [[[1, 1], [2, 2]]]}] * (limits.MAX_EDITS + 1)
    with pytest.raises(EditFileError, match="there are 257, but one run does at most 256"):
        EditFile.loads(file_with(edits=edits))
    assert len(EditFile.loads(file_with(edits=edits[1:])).edits) == limits.MAX_EDITS


def test_bytes_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "edit.json").write_text(file_with())
    monkeypatch.setattr("dragonkit.edits.file.MAX_BYTES", (tmp_path / "edit.json").stat().st_size)
    EditFile.load(tmp_path / "edit.json")
    with (tmp_path / "edit.json").open("a") as file:
        file.write(" ")
    with pytest.raises(EditFileError, match="has more than"):
        EditFile.load(tmp_path / "edit.json")


def test_a_file_with_holes_is_not_read_whole(tmp_path: Path) -> None:
    with (tmp_path / "edit.json").open("wb") as file:
        file.truncate(2**40)
    tracemalloc.start()
    try:
        with pytest.raises(EditFileError, match="has more than 268,435,456 bytes"):
            EditFile.load(tmp_path / "edit.json")
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


JSON = {
    "deep lists": "[" * 100_000,
    "deep objects": '{"edits": ' * 100_000,
    "a long integer": "1" * 5000,
    "a large number": '{"model": 1e400}',
    "a large number in an edit": '{"edits": [{"y": -1e999}]}',
}


@pytest.mark.parametrize("name", JSON)
def test_json_that_python_reads_and_others_do_not(name: str) -> None:
    with pytest.raises(EditFileError, match=r"is not JSON|holds"):
        EditFile.loads(JSON[name])


@pytest.mark.parametrize("spare", [-1, 0, 1])
def test_the_bound_is_the_sum_of_all_areas(spare: int, monkeypatch: pytest.MonkeyPatch) -> None:
    text = file_with(encoded(30, 5, whole=True), encoded(7, 11, whole=True))
    monkeypatch.setattr(limits, "MAX_TOTAL_PIXELS", 30 * 5 + 7 * 11 + 6 * 4 + spare)
    if spare < 0:
        with pytest.raises(EditFileError, match="pixels together"):
            EditFile.loads(text)
    else:
        EditFile.loads(text)


def test_what_is_no_picture_does_not_end_the_counting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_TOTAL_PIXELS", 100)
    with pytest.raises(EditFileError, match="pixels together"):
        limits.check_weight([{"png": encoded(20, 20)}, {"png": "no picture"}], "a.json")
