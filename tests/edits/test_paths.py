"""Which files an edit may name: from a picture's metadata none, from an edit file those of its folder, in Python any."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.hostile import with_text
from PIL import Image

from dragonkit.edits.file import EditFile
from dragonkit.edits.paths import PathRule
from dragonkit.edits.validation import relative_to
from dragonkit.edits.values import mask_to_json
from dragonkit.errors import EditFileError, MaskError
from dragonkit.imaging import opening
from dragonkit.modes.appearance import Appearance
from dragonkit.modes.drag import Drag
from dragonkit.modes.move import Move

TYPES = {"move": Move, "appearance": Appearance, "drag": Drag}
MASK = np.zeros((4, 6), bool)
MASK[1:3, 2:5] = True
LOOK = {"mode": "appearance", "mask": mask_to_json(MASK), "reference": "private.png", "reference_mask": mask_to_json(MASK)}
MOVE = {"mode": "move", "mask": "mask.png", "shift": [1, 0]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder sent/ with a picture and a mask in it, and a private picture beside it."""
    (tmp_path / "sent" / "below").mkdir(parents=True)
    Image.new("RGB", (6, 4), "red").save(tmp_path / "private.png")
    for place in ("photo.png", "below/photo.png"):
        Image.new("RGB", (6, 4), "blue").save(tmp_path / "sent" / place)
    Image.fromarray(MASK).save(tmp_path / "sent" / "mask.png")
    return tmp_path


def write(folder: Path, edit: dict[str, Any] = MOVE, **changes: Any) -> Path:
    path = folder / "sent" / "edit.json"
    path.write_text(json.dumps({"model": "toybox", "image": "photo.png", "edits": [edit], **changes}))
    return path


def escapes(folder: Path, kind: str) -> str:
    """The private picture named in one of the ways in which that can be tried."""
    private = folder / "private.png"
    if kind == "link":
        (folder / "sent" / "link.png").symlink_to(private)
        return "link.png"
    if kind == "linked folder":
        (folder / "sent" / "linked").symlink_to(folder)
        return "linked/private.png"
    return {
        "up": "../private.png",
        "absolute": str(private),
        "there and back": "below/../../private.png",
        "itself": "../sent/../private.png",
    }[kind]


def naming(name: str) -> list[tuple[dict[str, Any], str]]:
    """Edits that name a file, and as what."""
    return [({**LOOK, "reference": name}, "picture"), ({**MOVE, "mask": name}, "mask"), ({**LOOK, "reference_mask": name}, "mask")]


KINDS = ["up", "absolute", "there and back", "link", "linked folder"]


@pytest.mark.parametrize("kind", KINDS)
def test_an_edit_file_names_nothing_outside_of_its_folder_unless_it_is_trusted(folder: Path, kind: str) -> None:
    name = escapes(folder, kind)
    file = EditFile.load(write(folder, image=name))
    with pytest.raises(
        EditFileError, match=r"image: the picture .* lies outside of .*Move it there, or trust .*--trust-paths.*trust_paths=True"
    ):
        file.load_image()
    for edit, what in (
        ({**LOOK, "reference": name}, "picture"),
        ({**MOVE, "mask": name}, "mask"),
        ({**LOOK, "reference_mask": name}, "mask"),
    ):
        with pytest.raises(EditFileError, match=rf"edits\[0\]: .*the {what} .* lies outside of"):
            EditFile.load(write(folder, edit)).edits_from(TYPES)
    assert EditFile.load(write(folder, image=name), trust_paths=True).load_image().getpixel((0, 0)) == (255, 0, 0)
    [trusted] = EditFile.load(write(folder, {**LOOK, "reference": name}), trust_paths=True).edits_from(TYPES)
    assert trusted.to_dict()["reference"].startswith("data:image/png;base64,")


def test_what_lies_in_the_folder_or_below_is_found(folder: Path) -> None:
    (folder / "sent" / "link.png").symlink_to(folder / "sent" / "photo.png")
    for name in ("photo.png", "below/photo.png", "./below/../photo.png", str(folder / "sent" / "photo.png"), "link.png"):
        assert EditFile.load(write(folder, image=name)).load_image().getpixel((0, 0)) == (0, 0, 255)
    [edit] = EditFile.load(write(folder)).edits_from(TYPES)
    assert edit == Move(mask=folder / "sent" / "mask.png", shift=(1, 0))


def test_a_linked_folder_may_hold_an_edit_file(folder: Path) -> None:
    write(folder)
    (folder / "here").symlink_to(folder / "sent")
    assert EditFile.load(folder / "here" / "edit.json").load_image().size == (6, 4)


def test_text_names_what_lies_in_the_current_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder / "sent")
    text = write(folder).read_text()
    assert EditFile.loads(text).load_image().getpixel((0, 0)) == (0, 0, 255)
    with pytest.raises(EditFileError, match=r"lies outside of '\.'"):
        EditFile.loads(text.replace("photo.png", "../private.png")).load_image()
    assert EditFile.loads(text.replace("photo.png", "../private.png"), trust_paths=True).load_image().getpixel((0, 0)) == (255, 0, 0)


def test_what_is_made_in_python_names_what_it_likes(folder: Path) -> None:
    file = EditFile(model="toybox", image=str(folder / "private.png"), edits=[{**MOVE, "mask": str(folder / "sent" / "mask.png")}])
    assert file.load_image().getpixel((0, 0)) == (255, 0, 0) and file.edits_from(TYPES)[0].to_dict()["mask"] == mask_to_json(MASK)


# ---- metadata


def refused_from_metadata(folder: Path, said: str, use: Any, edit: dict[str, Any] = LOOK, **changes: Any) -> None:
    """A PNG whose metadata names something is refused when that is used, whatever it is named and wherever the PNG lies."""
    path = folder / "sent" / "sent.png"
    path.write_bytes(with_text(json.dumps({"model": "toybox", "seed": 1, "edits": [edit], **changes})))
    for file in (EditFile.load(path), EditFile.load(path, trust_paths=True), EditFile.from_png(path)):
        with pytest.raises(EditFileError, match=rf"{said}.* in a picture's metadata are never followed"):
            use(file)


@pytest.mark.parametrize("name", ["photo.png", "below/photo.png", "../private.png", "/etc/passwd", "nowhere.png", "/dev/zero"])
def test_from_metadata_no_path_is_followed(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    monkeypatch.setattr(opening, "open_file", lambda path, own=opening.open_file: read.append(Path(path)) or own(path))
    refused_from_metadata(folder, r"image: the picture is the path", EditFile.load_image, image=name)
    for edit, what in (
        ({**LOOK, "reference": name}, "picture"),
        ({**LOOK, "mask": name}, "mask"),
        ({**LOOK, "reference_mask": name}, "mask"),
    ):
        refused_from_metadata(folder, rf"edits\[0\]: .*the {what} is the path", lambda file: file.edits_from(TYPES), edit)
    refused_from_metadata(folder, "the picture is the path", lambda file: file.self_contained(TYPES), image=name)
    assert set(read) <= {folder / "sent" / "sent.png"}


def test_pictures_inside_of_metadata_are_used(folder: Path) -> None:
    inside = "data:image/png;base64," + base64.b64encode((folder / "private.png").read_bytes()).decode()
    path = folder / "sent" / "sent.png"
    path.write_bytes(with_text(json.dumps({"model": "toybox", "image": inside, "edits": [{**LOOK, "reference": inside}]})))
    file = EditFile.load(path)
    assert file.load_image().size == (6, 4) and len(file.edits_from(TYPES)) == 1


# ---- models


def test_models_by_path_follow_the_same_rule(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder / "sent")
    for name in ("model", "../model", "toybox", "owner/name"):
        Path(name).mkdir(parents=True)
    known = ["toybox"]
    for name in ("model", str(folder / "sent" / "model"), "toybox", "owner/name", "owner/other", "nothing"):
        assert EditFile.load(write(folder, model=name)).model_to_load(known) == name
    with pytest.raises(EditFileError, match=r"the model .* lies outside of .* Or name the model yourself, with --model"):
        EditFile.load(write(folder, model="../model")).model_to_load(known)
    assert EditFile.load(write(folder, model="../model"), trust_paths=True).model_to_load(known) == "../model"
    for name in ("model", "../model", "owner/name", "~"):
        refused_from_metadata(folder, "the model is the path", lambda file: file.model_to_load(known), model=name)
    Path("sent.png").write_bytes(with_text(json.dumps({"model": "toybox", "seed": 1, "edits": []})))
    assert EditFile.load("sent.png").model_to_load(known) == "toybox"  # a name, whatever folder is called so


# ---- the rule by itself


def test_names_that_no_file_has_are_refused_in_words(folder: Path) -> None:
    for reach in ("below", "anywhere"):
        for name in ("a\0b", "x" * 5000, "nowhere.png", "below", "\ud800"):
            with pytest.raises(MaskError, match="there is no mask file") as caught:
                PathRule(folder / "sent", reach).follow(name, "mask", MaskError)  # type: ignore[arg-type]
            assert str(caught.value).isprintable() and len(str(caught.value)) < 1000


def test_a_link_that_leads_to_itself(folder: Path) -> None:
    os.symlink("circle.png", folder / "sent" / "circle.png")
    with pytest.raises(MaskError, match=r"there is no mask file|lies outside"):
        PathRule(folder / "sent").follow("circle.png", "mask", MaskError)


def test_a_dict_with_a_folder_follows_the_rule(folder: Path) -> None:
    data = {**MOVE, "mask": "../private.png"}
    with pytest.raises(MaskError, match="lies outside of"):
        Move.from_dict(data, folder / "sent")
    assert Move.from_dict(data, PathRule(folder / "sent", "anywhere")).mask == folder / "sent" / "../private.png"
    with relative_to(folder), pytest.raises(MaskError, match="there is no mask file"):
        Move(mask="mask.png")
