"""Edits and edit files: there and back again, and what is wrong in words."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import hypothesis
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from pydantic import Field

from dragonkit.edits.edit import Edit, unknown_mode
from dragonkit.edits.file import PNG_KEY, EditFile
from dragonkit.edits.schedules import GuidanceSchedule
from dragonkit.edits.settings import Settings
from dragonkit.edits.values import Mask
from dragonkit.errors import EditError, EditFileError, UnknownModeError
from dragonkit.imaging.photo_files import open_photo

MASK = np.zeros((4, 6), bool)
MASK[1:3, 2:5] = True


class Nudge(Edit):
    mode: ClassVar[str] = "nudge"
    mask: Mask
    shift: tuple[float, float] = (0, 0)
    weight: float = Field(default=4.0, ge=0)
    note: str | None = None


class Poke(Edit):
    mode: ClassVar[str] = "poke"
    points: tuple[tuple[tuple[float, float], tuple[float, float]], ...]


TYPES: dict[str, type[Edit]] = {"nudge": Nudge, "poke": Poke}

numbers = st.floats(-1e6, 1e6)
points = st.tuples(numbers, numbers)
masks = arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9))).filter(lambda mask: bool(mask.any()))
edits = st.one_of(
    st.builds(Nudge, mask=masks, shift=points, weight=st.floats(0, 1e9), note=st.none() | st.text()),
    st.builds(Poke, points=st.lists(st.tuples(points, points)).map(tuple)),
)
settings = st.builds(
    Settings,
    steps=st.integers(1, 1000),
    energy_scale=st.floats(0, 10),
    seed=st.integers(0, 2**63 - 1),
    schedule=st.builds(GuidanceSchedule, span=st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted).map(tuple), every=st.integers(1, 9)),
    keep=st.sampled_from(["pixels", "latents", "energy"]),
    layers=st.sets(st.integers(0, 3), min_size=1).map(tuple),
)
files = st.builds(
    EditFile,
    model=st.text(min_size=1),
    image=st.text(min_size=1),
    prompt=st.text(),
    seed=st.none() | st.integers(0, 2**63 - 1),
    settings=settings,
    edits=st.lists(edits, max_size=3),
)


def write(path: Path, **changes: Any) -> Path:
    data = {"model": "toybox", "image": "photo.png", "edits": [{"mode": "poke", "points": []}], **changes}
    path.write_text(json.dumps({key: value for key, value in data.items() if value is not ...}), encoding="utf-8")
    return path


@given(edits)
def test_edits_there_and_back(edit: Edit) -> None:
    back = type(edit).from_dict(json.loads(json.dumps(edit.to_dict())))
    assert back == edit
    assert hash(back) == hash(edit)
    assert back.to_dict() == edit.to_dict()


@given(files)
def test_files_there_and_back(file: EditFile) -> None:
    back = EditFile.loads(file.dumps())
    assert back == file
    assert back.dumps() == file.dumps()
    assert [edit.to_dict() for edit in back.edits_from(TYPES)] == file.edits


@hypothesis.settings(max_examples=20)
@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_any_other_json_is_refused_with_our_error(data: object) -> None:
    with pytest.raises(EditFileError):
        EditFile.loads(json.dumps(data))


@given(st.text())
def test_any_other_text_is_refused_with_our_error(text: str) -> None:
    with pytest.raises(EditFileError, match=r"^a\.json"):
        EditFile.loads(text, "a.json")


def test_an_edit_is_frozen_comparable_and_picklable() -> None:
    edit = Nudge(mask=MASK, shift=(3, 4))
    assert edit != Nudge(mask=~MASK, shift=(3, 4))
    assert edit != Nudge(mask=MASK, shift=(3, 5))
    assert edit != Poke(points=())
    assert pickle.loads(pickle.dumps(edit)) == edit
    assert repr(edit).startswith("Nudge(mask='ndarray of shape (4, 6)', shift=(3.0, 4.0)")
    with pytest.raises(ValueError, match="frozen"):
        edit.shift = (0, 0)  # type: ignore[misc]


def test_bad_fields_are_named() -> None:
    with pytest.raises(EditError, match=r"^Nudge\.weight is -1, but must be"):
        Nudge(mask=MASK, weight=-1)
    with pytest.raises(EditError, match=r"^Poke\.points\[0\]\[1\]\[0\] is 'x', but must be"):
        Poke(points=[((0, 0), ("x", 1))])  # type: ignore[list-item, arg-type]


def test_from_dict_checks_the_mode() -> None:
    with pytest.raises(EditError, match=r"'poke', but the data say 'nudge'"):
        Poke.from_dict({"mode": "nudge", "points": []})


def test_an_edit_that_json_cannot_hold_says_so() -> None:
    class Odd(Edit):
        mode: ClassVar[str] = "odd"
        thing: Any

    with pytest.raises(EditError, match="Odd cannot be written as JSON"):
        Odd(thing=object()).to_dict()


def test_a_file_on_disk(tmp_path: Path) -> None:
    picture = Image.fromarray(np.full((4, 6, 3), 9, np.uint8))
    picture.save(tmp_path / "photo.png")
    Image.fromarray(MASK).save(tmp_path / "mask.png")
    path = write(tmp_path / "edit.json", edits=[{"mode": "nudge", "mask": "mask.png"}], settings={"steps": 7})
    file = EditFile.load(path)
    assert file.settings == Settings(steps=7)
    assert file.edits_from(TYPES)[0] == Nudge(mask=tmp_path / "mask.png")
    assert np.array_equal(np.asarray(file.load_image()), np.asarray(picture))


def test_saving_elsewhere(tmp_path: Path) -> None:
    Image.new("RGB", (6, 4), "red").save(tmp_path / "photo.png")
    Image.fromarray(MASK).save(tmp_path / "mask.png")
    (tmp_path / "other").mkdir()
    file = EditFile.load(write(tmp_path / "edit.json", edits=[{"mode": "nudge", "mask": "mask.png"}]))
    file.save(tmp_path / "again.json")
    assert EditFile.load(tmp_path / "again.json") == file
    with pytest.raises(EditFileError, match=r"'photo\.png' relative to .*self_contained"):
        file.save(tmp_path / "other" / "edit.json")
    file.self_contained(TYPES).save(tmp_path / "other" / "edit.json")
    moved = EditFile.load(tmp_path / "other" / "edit.json")
    assert moved.edits_from(TYPES) == [Nudge(mask=MASK)]
    assert moved.load_image().getpixel((0, 0)) == (255, 0, 0)
    with pytest.raises(EditFileError, match="cannot be written"):
        file.self_contained(TYPES).save(tmp_path / "photo.png" / "edit.json")


def test_a_result_picture_carries_its_file(tmp_path: Path) -> None:
    file = EditFile(model="toybox", seed=3, prompt="ein Füchschen ☃", edits=[Nudge(mask=MASK)])
    info = PngInfo()
    info.add_itxt(PNG_KEY, file.dumps())
    Image.new("RGB", (6, 4)).save(tmp_path / "out.png", pnginfo=info)
    assert EditFile.from_png(tmp_path / "out.png") == file
    assert EditFile.load(tmp_path / "out.png") == file
    with pytest.raises(EditFileError, match=r"image is empty\..* seed 3"):
        file.load_image()
    assert file.self_contained(TYPES) == file


def test_pictures_that_carry_none(tmp_path: Path) -> None:
    Image.new("RGB", (6, 4)).save(tmp_path / "bare.png")
    Image.new("RGB", (6, 4)).save(tmp_path / "photo.jpg")
    (tmp_path / "broken.png").write_bytes((tmp_path / "bare.png").read_bytes()[:40])
    for name, message in [("bare.png", "carries no edit file"), ("broken.png", "broken.png"), ("photo.jpg", "is not text")]:
        with pytest.raises(EditFileError, match=message):
            EditFile.load(tmp_path / name)
    with pytest.raises(EditFileError, match="carries no edit file"):
        EditFile.from_png(tmp_path / "photo.jpg")
    with pytest.raises(EditFileError, match=r"none\.png.*cannot be read"):
        EditFile.from_png(tmp_path / "none.png")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 2}, "has version 2, but"),
        ({"version": "one"}, "version is 'one', but must be 1"),
        ({"model": ""}, "model is '', but must be"),
        ({"image": ...}, "neither an image nor a seed"),
        ({"edits": ...}, "edits is missing"),
        ({"edits": [{"points": []}]}, "edits: number 0 has the mode None"),
        ({"edits": 3}, "edits is 3, but must be"),
        ({"edit": []}, "has no field 'edit' (received [])"),
        ({"seed": -1}, "seed is -1, but must be"),
        ({"seed": float("nan")}, "is not JSON: it holds NaN"),
        ({"settings": {"steps": 0}}, "settings: Settings.steps is 0, but must be"),
        ({"settings": {"stps": 5}}, "Did you mean 'steps'?"),
    ],
)
def test_a_broken_file_names_file_and_field(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    path = write(tmp_path / "edit.json", **changes)
    with pytest.raises(EditFileError) as caught:
        EditFile.load(path)
    assert str(path) in str(caught.value)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        ({"mode": "nudge"}, "edits[1]: Nudge.mask is missing"),
        ({"mode": "nudge", "mask": "nope.png"}, "edits[1]: Nudge.mask: there is no mask file"),
        ({"mode": "nudge", "mask": {"png": "AAAA"}}, "edits[1]: Nudge.mask: 'AAAA'"),
    ],
)
def test_a_broken_edit_is_numbered(tmp_path: Path, edit: dict[str, Any], message: str) -> None:
    file = EditFile.load(write(tmp_path / "edit.json", edits=[{"mode": "poke", "points": []}, edit]))
    with pytest.raises(EditFileError) as caught:
        file.edits_from(TYPES)
    assert f"'{tmp_path / 'edit.json'}': {message}" in str(caught.value)


def test_missing_and_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(EditFileError, match=r"nope\.json.*No such file"):
        EditFile.load(tmp_path / "nope.json")
    with pytest.raises(EditFileError, match="directory"):
        EditFile.load(tmp_path)
    file = EditFile.load(write(tmp_path / "edit.json"))
    with pytest.raises(EditFileError, match=r"edit\.json'?: image: .*photo\.png"):
        file.load_image()


def test_a_byte_order_mark_is_no_problem(tmp_path: Path) -> None:
    path = write(tmp_path / "edit.json")
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert EditFile.load(path).model == "toybox"


def test_unknown_modes_list_the_known_ones() -> None:
    file = EditFile(model="toybox", image="a.png", edits=[{"mode": "nugde"}])
    with pytest.raises(UnknownModeError) as caught:
        file.edits_from(TYPES)
    assert str(caught.value) == "the edit file: edits[0]: there is no edit mode 'nugde'. Did you mean 'nudge'? Known modes: nudge, poke."
    assert str(unknown_mode("x", {})).endswith("'x'. Known modes: none.")


def test_an_edit_that_cannot_be_written_is_refused_when_the_file_is_made() -> None:
    with pytest.raises(EditFileError, match="edits: the mask is empty"):
        EditFile(model="m", image="a.png", edits=[Nudge(mask=MASK & False)])


def test_modes_are_scriptable_unless_they_say_otherwise() -> None:
    class Coded(Nudge):
        scriptable: ClassVar[bool] = False

    assert Edit.scriptable and Nudge.scriptable and not Coded.scriptable
    assert "scriptable" not in Nudge.model_fields and Nudge(mask=MASK).to_dict().keys() == {"mode", "mask", "shift", "weight", "note"}


@pytest.mark.processes
def test_importing_edits_loads_no_torch() -> None:
    code = "import sys, dragonkit.edits.file; sys.exit('torch' in sys.modules or 'diffusers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_file_of_a_run(tmp_path: Path) -> None:
    photo, settings = open_photo(Image.new("RGB", (6, 4), "teal")), Settings(guidance_scale=3.0)
    of_picture = EditFile.of("toybox", photo, "a fish", settings, [Nudge(mask=MASK, shift=(3, 4))])
    assert (of_picture.image, of_picture.seed, of_picture.prompt) == (photo.hash, None, "a fish")
    assert of_picture.settings == settings and of_picture.edits[0]["mode"] == "nudge"
    for scale, said in ((1.5, 1.5), (3.0, None), (None, None)):
        of_seed = EditFile.of("toybox", 7, "", settings, [Nudge(mask=MASK, shift=(3, 4))], scale)
        assert (of_seed.image, of_seed.seed, of_seed.seed_guidance_scale) == ("", 7, said)
    assert "seed 7" in repr(of_seed) and photo.hash[:12] in repr(of_picture)


def test_files_differ_from_anything_else() -> None:
    file = EditFile.of("toybox", 7, "", Settings(), [Nudge(mask=MASK)])
    assert file == EditFile.of("toybox", 7, "", Settings(), [Nudge(mask=MASK)])
    assert file != EditFile.of("toybox", 8, "", Settings(), [Nudge(mask=MASK)]) and file != dict(file) and file != 7


def test_equal_edits_hash_alike_and_others_do_not() -> None:
    assert hash(Nudge(mask=MASK, weight=1)) == hash(Nudge(mask=MASK.copy(), weight=1)) != hash(Nudge(mask=MASK, weight=2))
