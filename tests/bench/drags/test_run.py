"""A data set is run once: what is finished stays, what is broken is told, and nothing that lies there already is lost."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np
import pytest
from helpers.drag_folders import POINTS, picture, write_drag_bench, write_good_drag
from PIL import Image, ImageCms

from dragonkit.bench.drags.run import Record, run_samples
from dragonkit.bench.drags.sets import open_set
from dragonkit.editing.editor import Editor
from dragonkit.edits.file import EditFile
from dragonkit.edits.schedules import GuidanceSchedule
from dragonkit.edits.settings import Settings
from dragonkit.errors import Cancelled, EditFileError
from dragonkit.imaging.photos import Photo
from dragonkit.testing import tiny_editor

QUICK = Settings(steps=2)


@pytest.fixture(scope="module")
def editor() -> Editor:
    return tiny_editor()


@pytest.fixture
def no_edit(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Call it, and from then on an edit fails the test."""

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("there was nothing to edit")

    return lambda: monkeypatch.setattr(Editor, "edit", refuse)


class Places:
    """A matcher that finds everything at the top left, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[Image.Image, Image.Image, Any, str]] = []

    def find(self, before: Image.Image, after: Image.Image, points: Any, prompt: str) -> np.ndarray:
        self.asked.append((before, after, points, prompt))
        return np.zeros((len(points), 2))


def run(editor: Editor, folder: Path, out: Path, settings: Settings | None = QUICK, **options: Any) -> list[Record]:
    return run_samples(editor, open_set(folder).samples, out, settings, **options)


def states(records: list[Record]) -> dict[str, str]:
    return {record.sample: record.state for record in records}


def test_results_lie_where_evaluators_look(editor: Editor, tmp_path: Path) -> None:
    for number, name in enumerate(("animals/b", "animals/a", "art_work/c")):
        write_drag_bench(tmp_path / "set", name, seed=number)
    done: list[tuple[int, int]] = []
    records = run(editor, tmp_path / "set", tmp_path / "out", progress=lambda *so_far: done.append(so_far))
    assert states(records) == {"animals/a": "made", "animals/b": "made", "art_work/c": "made"}
    assert done == [(0, 3), (1, 3), (2, 3), (3, 3)]
    written = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert written == [f"{record.sample}/dragged_image.png" for record in records]
    # the evaluators' own way of reading: the result beside its source, resized to it
    for name in states(records):
        with (
            Image.open(tmp_path / "set" / name / "original_image.png") as source,
            Image.open(tmp_path / "out" / name / "dragged_image.png") as one,
        ):
            assert (one.mode, one.size) == ("RGB", source.size)
            assert np.any(np.asarray(one) != np.asarray(source))
    file = EditFile.load(tmp_path / "out" / "animals" / "a" / "dragged_image.png")
    assert (file.model, file.prompt, file.settings.steps, file.edits[0]["mode"]) == ("tiny", "a fish", 2, "drag")


def write_edit_files(folder: Path) -> None:
    """Every kind: a picture beside it with a colour profile, a seed, both, and a result."""
    folder.mkdir()
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture().save(folder / "photo.png", icc_profile=profile)
    drag = {"mode": "drag", "points": [[[40.5, 10.5], [34.5, 20.5]]]}
    seeded = {"mode": "drag", "points": [[[4, 4], [8, 4]]]}
    for name, fields in {
        "named": {"image": "photo.png", "edits": [drag]},
        "guided": {"seed": 3, "seed_guidance_scale": 4.0, "prompt": "a fish", "edits": [seeded]},
        "seeded": {"seed": 3, "prompt": "a fish", "edits": [seeded]},
        "both": {"seed": 3, "image": "photo.png", "edits": [drag]},
        "own": {"image": "photo.png", "edits": [drag], "settings": {"hold": 0.3, "steps": 3, "schedule": {"span": [0, 0.5]}}},
    }.items():
        (folder / f"{name}.json").write_text(json.dumps({"model": "another", **fields}))
    tiny_editor().run(EditFile.load(folder / "named.json")).save(folder / "result.png")


@pytest.mark.parametrize("kind", ["DragBench", "GoodDrag", "edit files"])
def test_what_is_finished_is_not_done_again(editor: Editor, tmp_path: Path, no_edit: Callable[[], None], kind: str) -> None:
    folder, out = tmp_path / "set", tmp_path / "out"
    if kind == "edit files":
        write_edit_files(folder)
    else:
        write = write_drag_bench if kind == "DragBench" else write_good_drag
        write(folder, "one"), write(folder, "two", seed=1, points=[*POINTS, [1, 1], [5, 5]])
    matchers = Places(), Places()
    first = run(editor, folder, out, matcher=matchers[0])
    before = {path: path.read_bytes() for path in out.rglob("*.png")}
    assert set(states(first).values()) == {"made"} and len(before) == len(first) >= 2
    no_edit()
    second = run(tiny_editor(), folder, out, matcher=matchers[1])
    assert set(states(second).values()) == {"kept"}
    assert {path: path.read_bytes() for path in out.rglob("*.png")} == before
    # what is kept is measured as what is made
    for one, other in zip(*(matcher.asked for matcher in matchers), strict=True):
        assert one[2:] == other[2:] and all(np.array_equal(np.asarray(one[place]), np.asarray(other[place])) for place in (0, 1))


@pytest.mark.slow
def test_settings_go_on_top_of_an_edit_files_own(editor: Editor, tmp_path: Path) -> None:
    write_edit_files(tmp_path / "set")
    run(editor, tmp_path / "set", tmp_path / "out", Settings(steps=2, schedule=GuidanceSchedule(every=2)))
    files = {name: EditFile.load(tmp_path / "out" / name / "dragged_image.png") for name in ("own", "named", "seeded", "guided", "both")}
    own, named = files["own"].settings, files["named"].settings
    assert (own.hold, own.steps, own.schedule.span, own.schedule.every) == (0.3, 2, (0, 0.5), 2)
    assert (named.hold, named.steps, named.schedule.span) == (0.6, 2, (0, 0.6))
    assert {file.model for file in files.values()} == {"tiny"}  # the one that is tried, not the one that the files name
    assert (files["seeded"].seed, files["both"].seed) == (3, None)
    assert (files["guided"].seed, files["guided"].seed_guidance_scale, files["seeded"].seed_guidance_scale) == (3, 4.0, None)
    assert run(editor, tmp_path / "set", tmp_path / "plain", None)[2].state == "made"
    assert EditFile.load(tmp_path / "plain" / "own" / "dragged_image.png").settings.steps == 3


def untouched(folder: Path, out: Path) -> None:
    pass


@pytest.mark.parametrize(
    "settings, change, words",
    [
        (Settings(steps=3), untouched, "was made with steps 2 and not 3"),
        (Settings(steps=2, hold=0.1), untouched, "was made with hold 0.6 and not 0.1, and"),
        (QUICK, lambda folder, out: picture(9).save(folder / "two" / "original_image.png"), "was made from another image, and"),
        (QUICK, lambda folder, out: picture(9).save(out / "two" / "dragged_image.png"), "carries no edit file"),
        (QUICK, lambda folder, out: (out / "two" / "dragged_image.png").write_text("mine"), "is not JSON"),
    ],
    ids=["steps", "hold", "picture", "somebody's picture", "no picture"],
)
def test_what_lies_there_is_not_lost(
    editor: Editor, tmp_path: Path, no_edit: Callable[[], None], settings: Settings, change: Callable[[Path, Path], Any], words: str
) -> None:
    """Told before anything is done, the sample before it included."""
    folder, out = tmp_path / "set", tmp_path / "out"
    write_drag_bench(folder, "two")
    run(editor, folder, out)
    write_drag_bench(folder, "one")
    change(folder, out)
    before = (out / "two" / "dragged_image.png").read_bytes()
    no_edit()
    with pytest.raises(EditFileError) as caught:
        run(editor, folder, out, settings)
    assert words in str(caught.value) and "ive another --out, or take it away." in str(caught.value)
    assert (out / "two" / "dragged_image.png").read_bytes() == before and not (out / "one").exists()


def test_another_model_is_another_result(editor: Editor, tmp_path: Path) -> None:
    write_drag_bench(tmp_path / "set")
    run(editor, tmp_path / "set", tmp_path / "out")
    other = Editor(editor.backbone, type(editor.card)("other", "x", "", editor.card.settings), editor.registry)
    with pytest.raises(EditFileError, match="was made with the model 'tiny' and not 'other'"):
        run(other, tmp_path / "set", tmp_path / "out")


def test_one_that_is_broken_does_not_stop_the_others(editor: Editor, tmp_path: Path) -> None:
    marker = tmp_path / "was-run"
    for name in ("a", "b", "c", "d", "e"):
        write_drag_bench(tmp_path / "set", name)
    (tmp_path / "set" / "b" / "meta_data.pkl").write_bytes(f"cos\nsystem\n(S'touch {marker}'\ntR.".encode())
    (tmp_path / "set" / "c" / "original_image.png").write_bytes(b"\x89PNG")
    write_drag_bench(tmp_path / "more", "d", points=[[9, 9], [12, 12], [9, 9], [14, 14]])
    (tmp_path / "more" / "d" / "meta_data.pkl").replace(tmp_path / "set" / "d" / "meta_data.pkl")
    records = run(editor, tmp_path / "set", tmp_path / "out", matcher=Places(), fidelity=lambda *_: 1.0)
    assert states(records) == {"a": "made", "b": "failed", "c": "failed", "d": "failed", "e": "made"}
    notes = {record.sample: record.note for record in records}
    assert "wants to load 'os.system'" in notes["b"] and "original_image.png" in notes["c"] and "cannot go both to" in notes["d"]
    assert all(math.isnan(record.fidelity) and record.distances == () for record in records if record.state == "failed")
    assert not marker.exists() and sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a", "e"]


def test_an_interrupted_run_goes_on_where_it_was(editor: Editor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b", "c"):
        write_drag_bench(tmp_path / "set", name)
    whole, edit, writes, edits = Photo.write, Editor.edit, [], []

    def interrupted(self: Photo, file: IO[bytes], texts: Any = None) -> None:
        writes.append(1)
        if len(writes) == 2:
            file.write(b"\x89PNG half of it")
            raise KeyboardInterrupt
        whole(self, file, texts)

    monkeypatch.setattr(Photo, "write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(editor, tmp_path / "set", tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").rglob("*") if path.is_file()] == ["dragged_image.png"]
    monkeypatch.setattr(Photo, "write", whole)
    monkeypatch.setattr(Editor, "edit", lambda *args, **options: edits.append(1) or edit(*args, **options))
    assert states(run(editor, tmp_path / "set", tmp_path / "out")) == {"a": "kept", "b": "made", "c": "made"}
    assert len(edits) == 2
    assert {path.name for path in (tmp_path / "out").rglob("*") if path.is_file()} == {"dragged_image.png"}


def test_a_cancelled_edit_ends_the_run(editor: Editor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_drag_bench(tmp_path / "set")

    def cancelled(*_: Any, **__: Any) -> None:
        raise Cancelled

    monkeypatch.setattr(Editor, "edit", cancelled)
    with pytest.raises(Cancelled):
        run(editor, tmp_path / "set", tmp_path / "out")


def test_figures(editor: Editor, tmp_path: Path) -> None:
    """Distances are those of what is found from the ends; the source is measured beside the result."""
    write_drag_bench(tmp_path / "set")
    seen: list[tuple[Image.Image, Image.Image]] = []
    matcher = Places()

    def fidelity(before: Image.Image, after: Image.Image) -> float:
        seen.append((before, after))
        return 0.25

    (record,) = run(editor, tmp_path / "set", tmp_path / "out", matcher=matcher, fidelity=fidelity)
    ends = [math.hypot(34.5, 20.5), math.hypot(10.5, 8.5)]
    assert record.distances == record.untouched == pytest.approx(ends) and record.fidelity == 0.25
    (result, source) = matcher.asked
    assert result[2:] == source[2:] == ([(40.5, 10.5), (10.5, 4.5)], "a fish")
    for before, after in (result[:2], *seen):
        assert np.array_equal(np.asarray(before), np.asarray(picture()))
        assert np.array_equal(np.asarray(after), np.asarray(Image.open(tmp_path / "out" / "animals" / "one" / "dragged_image.png")))
    assert source[0] is source[1] is result[0]


def test_an_edit_without_points_has_no_distance(editor: Editor, tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    picture().save(tmp_path / "set" / "photo.png")
    Image.fromarray(np.pad(np.ones((8, 8), bool), ((4, 20), (4, 36)))).save(tmp_path / "set" / "mask.png")
    edit = {"mode": "move", "mask": "mask.png", "shift": [8, 0]}
    (tmp_path / "set" / "wish.json").write_text(json.dumps({"model": "x", "image": "photo.png", "edits": [edit]}))
    matcher = Places()
    (record,) = run(editor, tmp_path / "set", tmp_path / "out", matcher=matcher)
    assert (record.state, record.distances, matcher.asked) == ("made", (), [])


def test_a_widened_mask_is_remarked(editor: Editor, tmp_path: Path) -> None:
    write_drag_bench(tmp_path / "set", points=[[40, 10], [34, 30]])
    (record,) = run(editor, tmp_path / "set", tmp_path / "out")
    assert record.state == "made" and record.note.startswith("the mask was widened along the way of points[0]")
