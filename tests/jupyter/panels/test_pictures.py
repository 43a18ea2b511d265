"""Other pictures on the easel: opened, sent from a browser, re-opened with their edit; and undo goes back to the one before."""

from __future__ import annotations

import io
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.editors import HEIGHT, PICTURE, SOON, WIDTH, alert_of, at, blob, canvas, named, ran, send, status_of
from helpers.headless import drag, key
from PIL import Image

import dragonkit as dk
from dragonkit.errors import EditFileError, ImageError

OTHER = Image.fromarray(np.random.default_rng(8).integers(0, 256, (48, 24, 3), dtype=np.uint8))


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def picture_of(editor: dk.EditorWidget) -> np.ndarray:
    return np.asarray(editor._session.photo.picture)


def undo(editor: dk.EditorWidget) -> None:
    key(canvas(editor), "z", ctrl=True)


@pytest.mark.slow
def test_a_picture_that_is_sent_is_edited_and_undo_goes_back_to_the_one_before(open_editor: Any, model: dk.Editor) -> None:
    editor = open_editor(mask=blob())
    editor.form.update({"shift": (12, 4)})
    send(editor, "C:\\photos\\other.png", png(OTHER), piece=100)
    assert alert_of(editor) == "" and "opened 'other.png', 24x48" in status_of(editor) and "prompt" in status_of(editor)
    assert np.array_equal(picture_of(editor), np.asarray(OTHER)) and editor.marks.size == (24, 48) and not editor.mask.any()
    assert (canvas(editor).width, canvas(editor).height) == editor.view.viewport.canvas_size
    assert editor.form.values()["shift"] == (0, 0) and named(editor, "prompt").value == ""
    assert editor._easel.tools.size.max >= editor._easel.tools.size.value == 3
    named(editor, "prompt").value = "a tower"
    drag(canvas(editor), *at(editor, (6, 10), (12, 20)))
    drawn = editor.mask.copy()
    result = ran(editor, shift=(0, 9))
    expected = model.edit(OTHER, dk.Move(mask=drawn, shift=(0, 9)), dk.Settings(), prompt="a tower")
    assert result.image.size == (24, 48) and result.image.tobytes() == expected.image.tobytes()

    for _ in range(20):
        undo(editor)
        if np.array_equal(picture_of(editor).shape, (HEIGHT, WIDTH, 3)):
            break
    assert np.array_equal(picture_of(editor), np.asarray(PICTURE)) and named(editor, "prompt").value == "a fish"
    assert np.array_equal(editor.mask, blob()) and editor.form.values()["shift"] == (12, 4)
    assert editor._session.settings == dk.Settings(steps=3) and editor._easel.tools.size.value == 2
    for _ in range(5):
        named(editor, "redo").click()
    assert np.array_equal(editor.mask, drawn) and named(editor, "prompt").value == "a tower", "and forth again"
    assert editor.wait(SOON) is result


@pytest.mark.slow
def test_undo_after_going_on_from_a_result_brings_the_picture_and_its_marks_back(open_editor: Any) -> None:
    editor = open_editor(mask=blob())
    editor.view.apply(lambda state: state.change(drags=[((10, 12), (22, 16))]))
    result = ran(editor)
    editor.continue_from(0)
    assert editor._session.photo is result.photo and editor.marks.drags == []
    undo(editor)
    assert np.array_equal(picture_of(editor), np.asarray(PICTURE)) and editor.marks.drags == [((10.0, 12.0), (22.0, 16.0))]
    assert np.array_equal(editor.mask, blob()) and editor.form.values()["shift"] == (12, 4)
    undo(editor)
    assert editor.marks.drags == [] and np.array_equal(editor.mask, blob()), "the marks' own steps are still there"


@pytest.mark.parametrize(
    "name, content, words",
    [
        ("notes.png", b"hello", "is not in a format that can be read"),
        ("empty.png", b"", "it is empty"),
        ("cut.png", png(OTHER)[:300], "damaged or incomplete"),
        ("page.ps", b"%!PS-Adobe-3.0", "is not in a format that can be read"),
        ("edit.json", b'{"version": 1, "model": 3}', "model"),
        ("edit.json", b'{"version": 1, "mod', "is not JSON"),
        ("edit.json", b'{"model": "toybox", "image": "/etc/passwd.png", "edits": []}', "never followed"),
    ],
)
def test_what_cannot_be_opened_is_told_in_a_sentence_and_nothing_is_lost(open_editor: Any, name: str, content: bytes, words: str) -> None:
    editor = open_editor(mask=blob())
    send(editor, name, content)
    assert words in alert_of(editor) + status_of(editor) and "Traceback" not in alert_of(editor)
    assert np.array_equal(picture_of(editor), np.asarray(PICTURE)) and np.array_equal(editor.mask, blob())
    send(editor, "other.png", png(OTHER))
    assert alert_of(editor) == "" and picture_of(editor).shape == (48, 24, 3)


def test_a_file_that_is_too_large_is_refused_before_it_comes(open_editor: Any, monkeypatch: Any) -> None:
    editor = open_editor()
    door = editor._pictures.door
    door._handle_msg({"content": {"data": {"method": "custom", "content": {"name": "film.tif", "size": 10**9}}}, "buffers": []})
    assert "'film.tif' has 1000.0 MB, more than 268 MB" in alert_of(editor)
    door._handle_msg({"content": {"data": {"method": "custom", "content": {}}}, "buffers": [b"x" * 100]})
    assert door._pieces == [] and np.array_equal(picture_of(editor), np.asarray(PICTURE))


# --- edits come back ----------------------------------------------------------------------------------------------------


@pytest.fixture
def edited(model: dk.Editor) -> dk.EditResult:
    return model.edit(PICTURE, dk.Move(mask=blob(), shift=(12, 4)), dk.Settings(steps=2), prompt="a boat")


def restored(editor: dk.EditorWidget) -> bool:
    """Whether everything of `edited` is back."""
    return (
        np.array_equal(picture_of(editor), np.asarray(PICTURE))
        and named(editor, "prompt").value == "a boat"
        and editor.mode == "move"
        and np.array_equal(editor.mask, blob())
        and editor.form.values()["shift"] == (12, 4)
        and len(editor.marks.drags) == 1
        and editor._session.settings.steps == 2
    )


@pytest.mark.slow
def test_a_png_with_its_picture_comes_back_whole_and_its_result_can_be_gone_on_from(
    open_editor: Any, edited: dk.EditResult, model: dk.Editor, tmp_path: Path
) -> None:
    path = edited.save(tmp_path / "edited.png", metadata="full")
    editor = open_editor(path, prompt="", settings=None)
    assert restored(editor) and "not restored" not in status_of(editor), status_of(editor)
    assert len(editor.history) == 1 and editor.result is None and editor.history[0].after.hash == edited.photo.hash
    named(editor, "Save PNG").click()
    assert "press Run to make it again" in alert_of(editor)
    assert ran(editor).image.tobytes() == edited.image.tobytes(), "it goes on where it was"
    editor.continue_from(0)
    assert np.array_equal(picture_of(editor), np.asarray(edited.photo.picture)) and np.array_equal(editor.mask, blob(18, 12))

    other = open_editor(OTHER)
    send(other, "edited.png", path.read_bytes())
    assert restored(other)
    undo(other)
    assert picture_of(other).shape == (48, 24, 3)


def test_a_png_without_its_picture_says_so_and_waits_for_it(open_editor: Any, edited: dk.EditResult, tmp_path: Path) -> None:
    path = edited.save(tmp_path / "edited.png")
    editor = open_editor(path, prompt="")
    assert "not restored: the picture that was edited, of which the file holds only the hash" in status_of(editor)
    assert np.array_equal(picture_of(editor), np.asarray(edited.photo.picture)) and named(editor, "prompt").value == "a boat"
    assert np.array_equal(editor.mask, blob(18, 12)) and editor.marks.drags == [], "what was moved is selected where it is"
    send(editor, "another.png", png(OTHER))
    send(editor, "picture.png", png(PICTURE))
    assert restored(editor) and "not restored" not in status_of(editor)
    assert editor.history[0].after.hash == edited.photo.hash

    known = open_editor(PICTURE)
    send(known, "edited.png", path.read_bytes())
    assert restored(known), "a picture that the editor has already is found by its hash"


@pytest.mark.slow
def test_edit_files_come_back(open_editor: Any, edited: dk.EditResult, tmp_path: Path) -> None:
    edited.edit_file.save(tmp_path / "edit.json")
    assert restored(open_editor(tmp_path / "edit.json", prompt="", settings=None))
    assert restored(open_editor(edited.edit_file, prompt="", settings=None))
    editor = open_editor(OTHER)
    send(editor, "edit.json", (tmp_path / "edit.json").read_bytes())
    assert restored(editor)
    bare = dk.EditFile.loads(edited.edit_file.model_dump_json())
    with pytest.raises(EditFileError, match="only the hash"):
        open_editor(bare)
    editor = open_editor(OTHER)
    send(editor, "bare.json", bare.model_dump_json().encode())
    assert picture_of(editor).shape == (48, 24, 3) and "not restored from 'bare.json'" in status_of(editor)
    send(editor, "picture.png", png(PICTURE))
    assert restored(editor)


def test_a_picture_that_has_only_a_seed_is_made_again(open_editor: Any, model: dk.Editor, tmp_path: Path, monkeypatch: Any) -> None:
    source = model.generate("a boat", seed=4, settings=dk.Settings(steps=2))
    mask = np.zeros(source.photo.size[::-1], bool)
    mask[8:20, 8:20] = True
    edited = model.edit(source, dk.Move(mask=mask, shift=(12, 4)), dk.Settings(steps=2))
    path = edited.save(tmp_path / "edited.png")

    def back(editor: dk.EditorWidget) -> bool:
        deadline = time.monotonic() + SOON
        while "opened" not in status_of(editor) and time.monotonic() < deadline:
            time.sleep(0.02)
        same = np.array_equal(picture_of(editor), np.asarray(source.photo.picture)) and np.array_equal(editor.mask, mask)
        return same and editor.form.values()["shift"] == (12, 4) and named(editor, "prompt").value == "a boat"

    editor = open_editor(edited.edit_file, prompt="", settings=None)
    assert back(editor)
    assert ran(editor).image.tobytes() == edited.image.tobytes(), "as it was made, not as it is inverted"

    editor = open_editor(OTHER)
    send(editor, "edited.png", path.read_bytes())
    assert "making the picture of seed 4, 'a boat'" in status_of(editor) or "opened" in status_of(editor)
    assert back(editor) and editor.history[0].after.hash == edited.photo.hash
    undo(editor)
    assert picture_of(editor).shape == (48, 24, 3)

    def broken(*args: Any, **options: Any) -> None:
        raise dk.EditError("no noise today")

    monkeypatch.setattr(model, "source_of", broken)
    editor = open_editor(OTHER)
    send(editor, "edited.png", path.read_bytes())
    assert editor._session._generation.wait(SOON)
    assert "not restored: the picture of seed 4, as no noise today" in status_of(editor)
    assert np.array_equal(picture_of(editor), np.asarray(edited.photo.picture))


@pytest.mark.slow
def test_a_picture_named_by_a_path_is_read_by_python_and_never_for_a_browser(
    open_editor: Any, edited: dk.EditResult, tmp_path: Path
) -> None:
    PICTURE.save(tmp_path / "in.png")
    file = dk.EditFile(**{**edited.edit_file.model_dump(), "image": "in.png"})
    file.save(tmp_path / "edit.json")
    editor = open_editor(tmp_path / "edit.json", prompt="", settings=None)
    assert restored(editor) and f'picture = "{tmp_path / "in.png"}"' in editor.script()
    editor = open_editor(OTHER)
    send(editor, "edit.json", (tmp_path / "edit.json").read_bytes())
    assert "never followed" in status_of(editor) and picture_of(editor).shape == (48, 24, 3)


@pytest.mark.slow
def test_arrows_of_a_drag_and_what_is_not_there_of_an_edit(open_editor: Any, model: dk.Editor, tmp_path: Path) -> None:
    points = (((10.0, 12.0), (16.0, 12.0)), ((30.0, 20.0), (30.0, 20.0)))
    path = model.edit(PICTURE, dk.Drag(points=points), dk.Settings(steps=2), prompt="a boat").save(tmp_path / "dragged.png")
    editor = open_editor(PICTURE)
    send(editor, "dragged.png", path.read_bytes())
    assert editor.mode == "drag" and editor.edits[0].points == points and editor.marks.drags == list(points)

    lent = np.ones((48, 24), bool)
    looks = dk.Appearance(mask=blob(), reference=OTHER, reference_mask=lent)
    path = model.edit(PICTURE, looks, dk.Settings(steps=2), prompt="a boat").save(tmp_path / "looks.png")
    send(editor, "looks.png", path.read_bytes())
    assert editor.mode == "appearance" and np.array_equal(editor.mask, blob())
    assert "not restored: reference of its edit, which the file does not hold" in status_of(editor)
    path = model.edit(PICTURE, looks, dk.Settings(steps=2), prompt="a boat").save(tmp_path / "whole.png", metadata="full")
    send(editor, "whole.png", path.read_bytes())
    assert editor.edits == [looks], "with the second picture and its mask"


@pytest.mark.slow
def test_another_model_several_edits_and_modes_that_nobody_offers_are_named(open_editor: Any, edited: dk.EditResult) -> None:
    text = dk.EditFile.loads(edited.edit_file.dumps()).model_dump(mode="json")
    editor = open_editor(OTHER)
    send(editor, "a.json", dk.EditFile(**{**text, "model": "sd15", "edits": [*text["edits"], *text["edits"]]}).dumps().encode())
    assert "its settings, which are for the model 'sd15', and this editor has 'tiny'" in status_of(editor)
    assert "1 of its 2 edits" in status_of(editor) and np.array_equal(editor.mask, blob())
    send(editor, "b.json", dk.EditFile(**{**text, "edits": [{"mode": "teleport"}]}).dumps().encode())
    assert "its edit, as" in status_of(editor) and "no edit mode" in status_of(editor)
    assert np.array_equal(picture_of(editor), np.asarray(PICTURE)) and named(editor, "prompt").value == "a boat"


def test_what_python_opens_raises(open_editor: Any, tmp_path: Path) -> None:
    editor = open_editor(mask=blob())
    with pytest.raises(ImageError, match="does not exist"):
        editor.open_picture(tmp_path / "nowhere.png")
    editor.open_picture(OTHER, prompt="a tower")
    assert named(editor, "prompt").value == "a tower" and picture_of(editor).shape == (48, 24, 3)


def test_undo_waits_until_a_picture_is_there(open_editor: Any, monkeypatch: Any) -> None:
    """A kernel handles the events of a canvas and those of a button on two threads."""
    editor = open_editor(mask=blob())
    reached, go = threading.Event(), threading.Event()
    fit = editor._easel.tools.fit

    def slowly() -> None:
        reached.set()
        assert go.wait(SOON)
        fit()

    monkeypatch.setattr(editor._easel.tools, "fit", slowly)
    opening = threading.Thread(target=editor.open_picture, args=(OTHER,))
    opening.start()
    assert reached.wait(SOON)
    undoing = threading.Thread(target=undo, args=(editor,))
    undoing.start()
    undoing.join(0.1)
    assert undoing.is_alive()
    go.set()
    opening.join(SOON)
    undoing.join(SOON)
    assert np.array_equal(picture_of(editor), np.asarray(PICTURE)) and np.array_equal(editor.mask, blob())


# --- what the next stroke goes on from ----------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_switch_says_whether_the_source_or_the_result_is_gone_on_from(open_editor: Any) -> None:
    editor = open_editor(mask=blob())
    base = editor._pictures.base
    assert base.disabled and base.value == "source"
    editor.view.apply(lambda state: state.change(drags=[((10, 12), (22, 16))]))
    first = ran(editor)
    assert not base.disabled and base.value == "source" and editor._easel.stage.comparing
    base.value = "result"
    assert editor._session.photo is first.photo and np.array_equal(editor.mask, blob(18, 12)) and editor.marks.drags == []
    assert not editor._easel.stage.comparing
    base.value = "source"
    assert np.array_equal(picture_of(editor), np.asarray(PICTURE)) and editor.marks.drags == [((10.0, 12.0), (22.0, 16.0))]
    assert np.array_equal(editor.mask, blob()) and editor.result is first
    undo(editor)
    assert base.value == "result" and editor._session.photo is first.photo
    second = ran(editor, shift=(-4, 0))
    assert base.value == "source" and editor.result is second
    editor.revert(0)
    assert base.value == "source" and editor.result is first
    editor.continue_from(1)
    assert base.value == "result" and editor._session.photo is second.photo
    named(editor, "prompt").value = "a whale"
    assert base.value == "result"
