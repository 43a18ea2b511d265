"""What is exported gives the same picture, pixel by pixel, by an edit file and by a script."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from PIL import Image
from pydantic import Field

import dragonkit as dk
from dragonkit.edits.schedules import GuidanceSchedule
from dragonkit.imaging.images import load_image
from dragonkit.imaging.photo_files import open_photo
from dragonkit.imaging.photos import Photo
from dragonkit.jupyter.work.export import python_script
from dragonkit.plugins.registry import PluginRegistry
from dragonkit.testing import tiny_editor


@pytest.fixture(scope="module")
def editor() -> dk.Editor:
    return tiny_editor()


@pytest.fixture
def reader(editor: dk.Editor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder to work in, where `Editor.from_pretrained("tiny")` gives the tiny editor, with nothing remembered."""

    def from_pretrained(_: type, model: str) -> dk.Editor:
        assert model == "tiny"
        return dk.Editor(editor.backbone, editor.card, editor.registry)

    monkeypatch.setattr(dk.Editor, "from_pretrained", classmethod(from_pretrained))
    monkeypatch.chdir(tmp_path)
    yield tmp_path


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    return Image.fromarray(np.random.default_rng(1).integers(0, 256, (30, 40, 3), dtype=np.uint8))


def blob(left: int = 6, top: int = 8) -> np.ndarray:
    mask = np.zeros((30, 40), bool)
    mask[top : top + 9, left : left + 10] = True
    mask[top + 2, left + 3] = False
    return mask


def pixels(path: Path) -> bytes:
    return load_image(path).tobytes()


def run_script(script: str) -> dict[str, Any]:
    namespace: dict[str, Any] = {"__name__": "script"}
    exec(compile(script, "script.py", "exec"), namespace)
    return namespace


CASES = {
    "move": ([dk.Move(mask=blob(), shift=(12.5, 4), scale=1.2, fill=~blob(0, 0))], dk.Settings()),
    "settings": ([dk.Resize(mask=blob(), scale=1.5)], dk.Settings(steps=3, schedule=GuidanceSchedule(every=2), layers=(1,))),
    "drag": ([dk.Drag(points=[((10, 12), (14, 12)), ((30, 20), (30, 20))])], dk.Settings(seed=3)),
    "two": ([dk.Resize(mask=blob(), scale=0.6), dk.Move(mask=blob(26, 18), shift=(0, -8))], dk.Settings()),
}


@pytest.mark.parametrize("case", CASES)
def test_the_script_and_the_file_give_the_same_pixels(case: str, editor: dk.Editor, reader: Path, picture: Image.Image) -> None:
    edits, settings = CASES[case]
    expected = editor.edit(picture, edits, settings, prompt="a 'fish'\n").image.tobytes()
    script = python_script("tiny", picture, "a 'fish'\n", settings, edits)
    ast.parse(script)
    assert max(map(len, script.splitlines())) <= 140
    run_script(script)
    assert pixels(reader / "edited.png") == expected

    file = dk.EditFile.of("tiny", open_photo(picture), "a 'fish'\n", editor.settings(settings), edits)
    file.save(reader / "edit.json")
    again = dk.EditFile.load(reader / "edit.json")
    assert again.shareable() == file
    assert dk.Editor.from_pretrained("tiny").run(again).image.tobytes() == expected


def test_a_second_picture_is_spelled_out(editor: dk.Editor, reader: Path, picture: Image.Image) -> None:
    other = Image.fromarray(np.random.default_rng(2).integers(0, 256, (20, 24, 3), dtype=np.uint8))
    lent = np.zeros((20, 24), bool)
    lent[4:12, 5:20] = True
    edit = dk.Appearance(mask=blob(), reference=other, reference_mask=lent, init="colors")
    expected = editor.edit(picture, edit).image.tobytes()
    run_script(python_script("tiny", picture, "", dk.Settings(), [edit]))
    assert pixels(reader / "edited.png") == expected


def test_a_mask_that_was_transparency_is_spelled_out(editor: dk.Editor, reader: Path, picture: Image.Image) -> None:
    cut = picture.convert("RGBA")
    cut.putalpha(Image.fromarray(blob(20, 14)))
    edit = dk.Appearance(mask=blob(), reference=cut)
    script = python_script("tiny", picture, "", dk.Settings(steps=2), [edit])
    assert "reference_mask={" in script
    again = run_script(script)["edit"]
    assert again.to_dict() == edit.to_dict()


@pytest.mark.parametrize("deep", [False, True])
def test_a_picture_of_another_kind_is_spelled_out_in_it(editor: dk.Editor, reader: Path, deep: bool) -> None:
    if deep:
        samples = np.random.default_rng(3).integers(0, 65536, (30, 40, 3), dtype=np.uint16)
        picture = Photo(samples, (samples >> 8).astype(np.uint8), density=(300, 300))
    else:
        picture = open_photo(np.random.default_rng(3).integers(0, 256, (30, 40, 4), dtype=np.uint8))
    edits = [dk.Resize(mask=blob(), scale=1.5)]
    run_script(python_script("tiny", picture, "", dk.Settings(), edits))
    saved = open_photo("edited.png")
    assert saved.is_deep == deep and np.array_equal(saved.samples, editor.edit(picture, edits).photo.samples)


def test_a_picture_from_a_file_is_named_while_the_file_holds_it(reader: Path, picture: Image.Image) -> None:
    edits = [dk.Resize(mask=blob(), scale=1.5)]

    def script() -> str:
        return python_script("tiny", picture, "", dk.Settings(), edits, path="in.png")

    assert "picture = image_from_text(" in script(), "no such file"
    picture.save("in.png")
    assert 'picture = "in.png"\n' in script() and "image_from_text" not in script()
    named = pixels(reader / "in.png")
    Image.new("RGB", picture.size).save("in.png")
    assert "picture = image_from_text(" in script(), "another picture by now"
    assert named == picture.tobytes()


def test_defaults_are_left_out(picture: Image.Image) -> None:
    script = python_script("toybox", picture, "", dk.Settings(), [dk.Move(mask=blob(), shift=(3, 4))])
    assert "weight" not in script and "fill" not in script and "settings" not in script.lower()
    assert "    shift=(3.0, 4.0),\n" in script and 'editor = dk.Editor.from_pretrained("toybox")\n' in script


@dataclass
class Plugin:
    """A plugin of two functions."""

    edit_type: type[dk.Edit]

    @dk.hookimpl
    def dragonkit_edits(self) -> list[type[dk.Edit]]:
        return [self.edit_type]

    @dk.hookimpl
    def dragonkit_build_masks(self, edit: Any, size: tuple[int, int]) -> dk.Placement:
        return dk.Move(mask=edit.mask, shift=(edit.amount, 0)).placement(size)


class Nudge(dk.Edit):
    """Found by its module's name."""

    mode: ClassVar[str] = "nudge"
    mask: dk.Mask
    amount: int = Field(default=4, ge=-9, le=9)


def test_a_mode_of_an_installed_plugin_is_imported(reader: Path, picture: Image.Image, editor: dk.Editor) -> None:
    editor.registry.register(Plugin(Nudge), "nudge")
    edit = Nudge(mask=blob(), amount=6)
    script = python_script("tiny", picture, "", dk.Settings(), [edit])
    assert f"from {__name__} import Nudge\n" in script
    expected = editor.edit(picture, edit).image.tobytes()
    namespace = run_script(script)
    assert namespace["edit"] == edit and pixels(reader / "edited.png") == expected


def test_a_mode_registered_by_hand_is_asked_for_by_name(picture: Image.Image, monkeypatch: pytest.MonkeyPatch, reader: Path) -> None:
    class Local(Nudge):
        mode: ClassVar[str] = "local"

    registry = PluginRegistry(discover=False)
    registry.register(Plugin(Local), "local")
    monkeypatch.setattr("dragonkit.plugins.registry.get_registry", lambda: registry)
    local = tiny_editor(Plugin(Local))
    monkeypatch.setattr(dk.Editor, "from_pretrained", classmethod(lambda _, model: local))
    edit = Local(mask=blob())
    script = python_script("tiny", picture, "", dk.Settings(), [edit])
    assert 'get_registry().edit_types()["local"]  # register its plugin first' in script
    assert run_script(script)["edit"] == edit
