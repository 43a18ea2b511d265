"""What is handed on says nothing of this machine."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from dragonkit.edits.file import EditFile
from dragonkit.edits.settings import Settings
from dragonkit.edits.sharing import model_name, without_masks, without_path
from dragonkit.imaging.photo_files import open_photo


def write_model(folder: Path, weights: bytes) -> Path:
    (folder / "unet").mkdir(parents=True)
    (folder / "unet" / "weights.safetensors").write_bytes(weights)
    (folder / "model_index.json").write_text("{}")
    return folder


@pytest.mark.parametrize("name", ["toybox", "sd15", "owner/name", "black-forest/dev.1", "a name", "ünlikely"])
def test_names_and_hub_ids_stay(name: str) -> None:
    assert model_name(name) == name


@pytest.mark.parametrize("name", ["/home/me/secret/model", "~/secret/model", "./secret/model", "../model", "a/secret/model", "~me/x/model"])
def test_paths_of_models_go_though_they_are_not_here(name: str) -> None:
    assert model_name(name) == "model"
    assert model_name("secret/model.safetensors") == "model.safetensors"


def test_models_in_folders_of_one_name_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    same = write_model(tmp_path / "a" / "model", b"1" * 200_000), write_model(tmp_path / "b" / "model", b"1" * 200_000)
    other = write_model(tmp_path / "c" / "model", b"1" * 199_999 + b"2")
    names = [model_name(str(folder)) for folder in (*same, other)]
    assert names[0] == names[1] != names[2] and all(name.startswith("model@") for name in names)
    monkeypatch.chdir(tmp_path)
    assert model_name("a/model") == model_name("./a/model") == names[0]
    assert model_name(names[0]) == names[0]
    file = tmp_path / "c" / "model" / "unet" / "weights.safetensors"
    assert model_name(str(file)).startswith("weights.safetensors@")


def test_paths_of_anything_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "mask.png").touch()
    for text in (str(tmp_path / "folder" / "mask.png"), str(tmp_path / "gone" / "mask.png"), "folder/mask.png"):
        assert without_path(text) == "mask.png"
    for text in (
        "",
        "mask.png",
        "a fish / a bird",
        "/imagine a fish",
        "gone/mask.png",
        "x" * 5000,
        "nu\0ll",
        "/",
        "~nobody there",
        "a\n/b",
    ):
        assert without_path(text) == text


def test_a_shareable_file_has_no_path_anywhere(tmp_path: Path) -> None:
    model = write_model(tmp_path / "alice" / "model", b"x")
    secret = tmp_path / "alice" / "options.json"
    edits = [{"mode": "x", "file": str(secret), "inner": {"list": [str(secret)]}, "mask": {"png": "abc"}, "prompt": "a fish"}]
    settings = Settings(inversion_options={"weights": str(secret)})
    photo = open_photo(np.zeros((4, 4, 3), np.uint8))
    photo.picture.save(tmp_path / "alice" / "photo.png")
    for image in (str(tmp_path / "alice" / "photo.png"), photo.hash):
        file = EditFile(model=str(model), image=image, settings=settings, edits=edits)
        shared = file.shareable()
        assert "alice" not in shared.dumps() and shared.shareable() == shared
        assert shared.image == photo.hash and shared.edits[0]["inner"] == {"list": ["options.json"]}
        assert (shared.edits[0]["mask"], shared.edits[0]["prompt"]) == ({"png": "abc"}, "a fish")


def test_masks_without_room_become_hashes() -> None:
    value = {"edits": [{"mask": {"png": "a" * 500}, "prompt": "b" * 500, "both": {"png": "x", "other": 1}}]}
    brief = without_masks(value)
    assert brief["edits"][0]["prompt"] == "b" * 500 and brief["edits"][0]["both"] == {"png": "x", "other": 1}
    assert brief["edits"][0]["mask"]["png"].startswith("sha256:") and len(json.dumps(brief)) < 800


def test_a_model_by_its_name_stays_where_a_folder_has_that_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_model(tmp_path / "toybox", b"1")
    assert model_name("toybox") == "toybox"
    assert model_name("./toybox").startswith("toybox@")


def test_words_are_no_paths_where_something_here_is_called_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a boat").touch()
    assert without_path("a boat") == "a boat"
    assert without_path("/somewhere that is/not here") == "/somewhere that is/not here"
