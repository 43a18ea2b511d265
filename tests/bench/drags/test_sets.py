"""Data sets of drags are recognised, and their samples become edit files that say what the data set says."""

from __future__ import annotations

import json
import pickle
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.drag_folders import POINTS, SIZE, mask, picture, write_drag_bench, write_good_drag
from PIL import Image

from dragonkit.bench.drags.sets import DragSet, Reading, open_set
from dragonkit.edits.file import EditFile
from dragonkit.errors import DragonkitError, EditFileError
from dragonkit.imaging.masks import load_mask
from dragonkit.modes.drag import Drag
from dragonkit.testing import tiny_editor

PAIRS = (((40.5, 10.5), (34.5, 20.5)), ((10.5, 4.5), (10.5, 8.5)))
"""POINTS as positions: the middles of the pixels."""


def drag_of(reading: Reading) -> tuple[Drag, np.ndarray]:
    (edit,) = reading.file.edits_from({"drag": Drag})
    assert isinstance(edit, Drag)
    return edit, load_mask(edit.mask, SIZE)


def only(found: DragSet) -> Callable[[str], Reading]:
    (sample,) = found.samples
    return sample.read


def names(folder: Path) -> list[str]:
    return [sample.name for sample in open_set(folder).samples]


def test_drag_bench(tmp_path: Path) -> None:
    write_drag_bench(tmp_path, "animals/JH_2023-09-14-1820-16")
    found = open_set(tmp_path)
    assert (found.format, names(tmp_path)) == ("DragBench", ["animals/JH_2023-09-14-1820-16"])
    reading = only(found)("some-model")
    drag, inside = drag_of(reading)
    assert (reading.file.model, reading.file.prompt, reading.note) == ("some-model", "a fish", "")
    assert np.array_equal(np.asarray(reading.file.load_image()), np.asarray(picture()))
    assert drag.points == PAIRS and np.array_equal(inside, mask() == 1)
    assert not reading.file.settings.model_fields_set  # they are the model's own


def test_good_drag(tmp_path: Path) -> None:
    sample = write_good_drag(tmp_path, "fish_0")
    found = open_set(tmp_path)
    assert (found.format, names(tmp_path)) == ("GoodDrag", ["fish_0"])
    reading = only(found)("some-model")
    drag, inside = drag_of(reading)
    assert (reading.file.prompt, drag.points) == ("", PAIRS) and np.array_equal(inside, mask() == 1)
    with Image.open(sample / "original.jpg") as original:
        assert np.array_equal(np.asarray(reading.file.load_image()), np.asarray(original))


@pytest.mark.parametrize(
    "given",
    [
        255 * mask(),
        mask().astype(bool),
        mask().astype(np.float64) / 3,
        -mask().astype(np.int8),
        np.asfortranarray(mask()),
        np.stack([mask(), 0 * mask(), 0 * mask()], -1),
    ],
    ids=["255", "bool", "small", "negative", "Fortran", "colour"],
)
def test_a_mask_is_what_is_not_zero(tmp_path: Path, given: np.ndarray) -> None:
    write_drag_bench(tmp_path, mask=given)
    assert np.array_equal(drag_of(only(open_set(tmp_path))("m"))[1], mask() == 1)


@pytest.mark.parametrize(
    "points",
    [np.array(POINTS), [np.array(pair) for pair in POINTS], tuple(map(tuple, POINTS)), [[np.int64(x), y] for x, y in POINTS]],
)
def test_points_in_any_container(tmp_path: Path, points: Any) -> None:
    write_drag_bench(tmp_path, points=points)
    assert drag_of(only(open_set(tmp_path))("m"))[0].points == PAIRS


def test_the_corners_are_in_the_picture(tmp_path: Path) -> None:
    write_drag_bench(tmp_path, points=[[0, 0], [47, 31]], mask=np.ones(SIZE[::-1]))
    assert drag_of(only(open_set(tmp_path))("m"))[0].points == (((0.5, 0.5), (47.5, 31.5)),)


def test_points_outside_of_the_mask_widen_it_along_their_way(tmp_path: Path) -> None:
    write_drag_bench(tmp_path, points=[[40, 10], [34, 20], [20, 20], [20, 29]])
    reading = only(open_set(tmp_path))("m")
    _, inside = drag_of(reading)
    added = inside & (mask() == 0)
    rows, columns = np.nonzero(added)
    assert added[29, 20] and rows.min() == 26 and rows.max() <= 30 and (abs(columns + 0.5 - 20.5) <= 1).all()
    assert (inside | (mask() == 0)).all()
    assert reading.note == "the mask was widened along the way of points[1], which leaves it"
    tiny_editor().edit(reading.file.load_image(), [drag_of(reading)[0]])


def test_samples_are_sorted_and_found_at_any_depth(tmp_path: Path) -> None:
    for name in ("b/2", "a/2", "b/10", "a/1", "c/deep/er", ".ipynb_checkpoints/1"):
        write_drag_bench(tmp_path, name)
    (tmp_path / ".DS_Store").touch()
    (tmp_path / "a" / ".DS_Store").touch()
    assert names(tmp_path) == ["a/1", "a/2", "b/10", "b/2", "c/deep/er"]
    assert names(tmp_path / "b") == ["10", "2"]
    assert names(tmp_path / "b" / "2") == ["."]


def test_a_sample_that_lost_a_file_is_told_of(tmp_path: Path) -> None:
    for name, lost in (("a", "meta_data.pkl"), ("b", "original_image.png"), ("c", "user_drag.png")):
        (write_drag_bench(tmp_path, name) / lost).unlink()
    a, b, c = open_set(tmp_path).samples
    with pytest.raises(DragonkitError, match=r"meta_data\.pkl' cannot be read: No such file"):
        a.read("m")
    with pytest.raises(DragonkitError, match=r"original_image\.png' does not exist"):
        b.read("m")
    assert c.read("m").file.prompt == "a fish"


def broken(**changes: Any) -> Callable[[Path], Path]:
    return lambda folder: write_drag_bench(folder, **changes)


def with_pickle(data: bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (write_drag_bench(folder) / "meta_data.pkl").write_bytes(data)
        return folder

    return write


def with_json(text: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (write_good_drag(folder) / "points.json").write_text(text)
        return folder

    return write


CYCLE: list[Any] = []
CYCLE.append(CYCLE)


@pytest.mark.parametrize(
    "write, words",
    [
        (with_pickle(pickle.dumps({"mask": mask()})), "has no prompt, points"),
        (with_pickle(pickle.dumps([1, 2])), "has no prompt, points, mask"),
        (with_pickle(b"cos\nsystem\n(S'exit 1'\ntR."), "wants to load 'os.system'"),
        (broken(prompt=3), "prompt is of type int, but must be"),
        (broken(mask=[[1]]), "mask is of type list, but must be"),
        (broken(mask=mask().T), "the mask is 32x48, but the picture is 48x32"),
        (broken(mask=mask().ravel()), "the mask is an array of shape (1536,), but the picture is 48x32"),
        (broken(mask=0 * mask()), "the mask is 0 everywhere"),
        (broken(points=POINTS[:3]), "a list of start, end, start, end, got 3 of them"),
        (broken(points=[]), "got 0 of them"),
        (broken(points="no"), "got one str"),
        (broken(points=[[1, 2], [3]]), "points[1] is no pair of numbers x, y"),
        (broken(points=[[1, 2], 3]), "points[1] is no pair"),
        (broken(points=[["1", 2], [3, 4]]), "points[0] is no pair"),
        (broken(points=[[True, 2], [3, 4]]), "points[0] is no pair"),
        (broken(points=[[1, 2], [float("nan"), 4]]), "points[1] is no pair"),
        (broken(points=[[10**400, 2], [3, 4]]), "points[0] is no pair"),
        (broken(points=[CYCLE, CYCLE]), "points[0] is no pair"),
        (broken(points=[[48, 2], [3, 4]]), "points[0] is (48, 2), outside of the 48x32 picture"),
        (broken(points=[[1, 2], [3, 31.5]]), "points[1] is (3, 31.5), outside of"),
        (broken(points=[[1, 2], [-1, 3]]), "points[1] is (-1, 3), outside of"),
        (broken(points=[[9, 9], [9, 9]]), "every point ends where it starts"),
        (with_json("{"), "is not JSON"),
        (with_json("[" * 100_000), "is not JSON"),
        (with_json("[]"), "has no points"),
        (with_json('{"points": [[1, 2]]}'), "got 1 of them"),
        (with_json('{"points": [[1, 2], [1e999, 3]]}'), "points[1] is no pair"),
    ],
)
def test_what_makes_no_sense_is_told_in_a_sentence(tmp_path: Path, write: Callable[[Path], Path], words: str) -> None:
    write(tmp_path / "set")
    with pytest.raises(DragonkitError, match=re.escape(words)) as caught:
        only(open_set(tmp_path / "set"))("m")
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


def test_a_folder_of_edit_files(tmp_path: Path) -> None:
    """JSON, and pictures that carry one; other pictures are what they speak of."""
    picture().save(tmp_path / "photo.png")
    edit = {"mode": "drag", "points": PAIRS}
    (tmp_path / "wish.json").write_text(json.dumps({"model": "toybox", "image": "photo.png", "prompt": "a fish", "edits": [edit]}))
    result = tiny_editor().run(EditFile.load(tmp_path / "wish.json"))
    result.save(tmp_path / "more" / "again.PNG")
    (tmp_path / "more" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    (tmp_path / "more" / "notes.txt").touch()
    (tmp_path / "more" / "folder.json").mkdir()
    found = open_set(tmp_path)
    assert (found.format, names(tmp_path)) == ("edit files", ["more/again", "wish"])
    again, wish = (sample.read("m").file for sample in found.samples)
    assert wish.prompt == again.prompt == "a fish"
    for file in (wish, again):
        assert np.array_equal(np.asarray(file.load_image()), np.asarray(picture()))


def test_two_edit_files_of_one_name(tmp_path: Path) -> None:
    """Their results would lie in one place; a name that sorts between them hides nothing."""
    picture().save(tmp_path / "photo.png")
    text = json.dumps({"model": "toybox", "image": "photo.png", "edits": [{"mode": "drag", "points": PAIRS}]})
    for name in ("wish.json", "wish.more.json"):
        (tmp_path / name).write_text(text)
    tiny_editor().run(EditFile.load(tmp_path / "wish.json")).save(tmp_path / "wish.png")
    with pytest.raises(EditFileError, match=r"has 2 edit files called 'wish', \.json and \.png"):
        open_set(tmp_path)


def test_folders_that_are_no_data_set(tmp_path: Path) -> None:
    with pytest.raises(EditFileError, match="does not exist"):
        open_set(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    with pytest.raises(EditFileError, match="is a file"):
        open_set(tmp_path / "file")
    with pytest.raises(EditFileError, match=r"holds no samples: no meta_data\.pkl"):
        open_set(tmp_path)
    write_drag_bench(tmp_path / "set")
    write_good_drag(tmp_path / "set")
    with pytest.raises(EditFileError, match="holds both DragBench and GoodDrag samples"):
        open_set(tmp_path)
    shutil.rmtree(tmp_path / "set" / "fish_0")
    assert names(tmp_path) == ["set/animals/one"]
