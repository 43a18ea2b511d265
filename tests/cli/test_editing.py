"""Editing from the command line, from the picture to the PNG that carries its edit file."""

from __future__ import annotations

import errno
import json
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.faults import interrupt
from helpers.nudging import NudgePlugin
from helpers.strict import read_json
from PIL import Image
from typer.testing import Result

from dragonkit.editing import storing
from dragonkit.editing.editor import Editor
from dragonkit.edits.file import EditFile
from dragonkit.edits.sharing import model_name
from dragonkit.errors import Cancelled
from dragonkit.imaging.mask_files import decode_mask

Invoke = Callable[..., Result]


@pytest.fixture
def move(invoke: Invoke, folder: Path, tiny_model_folder: str) -> Invoke:
    """`dragonkit move photo.png --mask mask.png --shift 8,0` with the tiny model and two steps; more words may follow."""

    def run(*words: str, image: str = "photo.png", shift: str = "8,0") -> Result:
        common = ["--mask", "mask.png", "--shift", shift, "--model", tiny_model_folder, "--steps", "2", "--inversion-iterations", "1"]
        return invoke("move", image, common, list(words))

    return run


def test_move(move: Invoke, folder: Path) -> None:
    result = move("--prompt", "a fish [red]", shift="-8,0")
    assert (result.exit_code, result.stderr.count("\n") <= 1) == (0, True), result.stderr
    assert "a fish [red]" in result.stdout
    assert "48x32, edited at 64x32 and resized back" in " ".join(result.stdout.split())
    assert "written to photo-move.png" in result.stdout
    file = EditFile.load("photo-move.png")
    assert (file.prompt, file.settings.steps, file.edits[0]["shift"]) == ("a fish [red]", 2, [-8, 0])
    with Image.open("photo-move.png") as image:
        assert (image.mode, image.size) == ("RGB", (48, 32))


def test_a_click_in_place_of_a_mask(invoke: Invoke, folder: Path, tiny_model_folder: str) -> None:
    pytest.importorskip("cv2")
    words = ["photo.png", "--shift", "8,0", "--model", tiny_model_folder, "--steps", "2", "--quiet"]
    pixels = np.full((32, 48, 3), 90, np.uint8)
    pixels[8:20, 6:18] = (200, 30, 30)
    Image.fromarray(pixels).save("photo.png")
    for how in (["--click", "12,14", "--out", "clicked.png"], ["--mask", "mask.png", "--out", "masked.png"]):
        done = invoke("move", words, how)
        assert done.exit_code == 0, done.output
    first, second = (decode_mask(EditFile.load(name).edits[0]["mask"]["png"]) for name in ("clicked.png", "masked.png"))
    assert (first & second).sum() / (first | second).sum() > 0.8
    assert "--click" not in invoke("drag", "--help").stdout  # its mask says where things may change


def test_the_summary_counts_as_people_asked(move: Invoke, folder: Path) -> None:
    """Steps of the schedule, run or not, and the time of all that was waited for."""
    rows = dict(line.split(maxsplit=1) for line in move("--steps", "8", "--hold", "1", "--hold-vacated", "1").stdout.splitlines()[:-1])
    assert rows["steps"].rstrip() == "8, 0 of them guided; 7 had nothing to do, as all was held"
    whole, edit = re.findall(r"([\d.]+) s", rows["time"])
    assert float(whole) > float(edit)


def test_only_what_was_given_overrides_the_model(move: Invoke, folder: Path) -> None:
    words = ["--preset", "fast", "--schedule", "span=0:1", "--keep", "latents", "--layers", "2", "--hold", "0.5", "--seed", "3"]
    assert move(*words).exit_code == 0
    settings = EditFile.load("photo-move.png").settings
    assert (settings.keep, settings.layers, settings.schedule.span, settings.hold, settings.seed) == ("latents", ("up.2",), (0, 1), 0.5, 3)
    assert (settings.inversion_iterations, settings.schedule.every) == (1, 2)  # of the preset
    assert settings.energy_scale == 0.03


def test_a_run_repeats_a_result(move: Invoke, invoke: Invoke, folder: Path, tiny_model_folder: str) -> None:
    """Given the picture, which the result does not hold, and the model, of whose place here it does not speak."""
    assert move("-o", "deep/er/one.png", "-q").stdout == ""
    result = invoke("run", "deep/er/one.png", "--image", "photo.png", "--model", tiny_model_folder, "--json")
    assert result.exit_code == 0, result.stderr
    report = read_json(result.stdout)
    assert report["out"] == "deep/er/one-run.png"
    assert (report["modes"], report["image_size"], len(report["steps"])) == (["move"], [48, 32], 2)
    first, second = (np.asarray(Image.open(f"deep/er/{name}.png")) for name in ("one", "one-run"))
    assert np.array_equal(first, second)


def test_a_run_says_which_picture_it_needs(move: Invoke, refuse: Callable[..., str], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # a model may be loaded for the move
    monkeypatch.chdir(folder)
    assert move("-q", "-o", "one.png").exit_code == 0
    Image.new("RGB", (48, 32)).save("other.png")
    assert refuse("run", "one.png").startswith("'one.png' says of image only the hash of the pixels; give what it was made from: --image")
    assert "'other.png' is not what 'one.png' was made from" in refuse("run", "one.png", "--image", "other.png")
    assert "'gone.png' does not exist" in refuse("run", "one.png", "--image", "gone.png")
    assert "no model, folder or file is called 'tiny-model" in refuse("run", "one.png", "--image", "photo.png")
    assert "--out is 'photo.png', an input" in refuse("run", "one.png", "--image", "photo.png", "--out", "photo.png", "--overwrite")


@pytest.mark.parametrize(
    ("words", "kept"), [([], "edit"), (["--metadata", "full"], "full"), (["--metadata", "none"], "none"), (["--no-metadata"], "none")]
)
def test_what_a_result_says(words: list[str], kept: str, move: Invoke, invoke: Invoke, folder: Path, tiny_model_folder: str) -> None:
    assert move("-q", "-o", "out.png", "--prompt", "a secret fish", *words).exit_code == 0
    data = (folder / "out.png").read_bytes()
    assert (b"secret" in data, b"data:image" in data) == (kept != "none", kept == "full")
    assert str(folder).encode() not in data and tiny_model_folder.encode() not in data
    again = invoke("run", "out.png", "--model", tiny_model_folder, words)
    assert (again.exit_code == 0) == (kept == "full")
    if kept == "full":
        assert (folder / "out-run.png").read_bytes() == data


def test_what_is_there_is_not_overwritten(move: Invoke, refuse: Callable[..., str], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Usual names get a number; a name that was asked for is refused before anything is done."""
    assert "'mine.png', which is there already; give another name, or add --overwrite" in refused_move(refuse, folder, "mine.png")
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    (folder / "photo-move-2.png").symlink_to("nowhere")
    (folder / "photo-move-3.edit.json").touch()
    for name in ("photo-move.png", "photo-move-4.png", "photo-move-5.png"):
        assert f"written to {name}" in move().stdout
    assert move("-o", "mine.png", "--overwrite", "-q").exit_code == 0
    assert Image.open("mine.png").size == (48, 32)
    before = (folder / "photo-move.png").read_bytes()
    assert "written to photo-move.png" in move("--overwrite", "--no-metadata").stdout
    assert (folder / "photo-move.png").read_bytes() != before


def refused_move(refuse: Callable[..., str], folder: Path, out: str) -> str:
    (folder / out).write_text("mine")
    said = refuse("move", "photo.png", "--mask", "mask.png", "--shift", "8,0", "-o", out)
    assert (folder / out).read_text() == "mine"
    return said


@pytest.mark.parametrize("words", [[], ["-o", "photo-move.png"]])
def test_a_name_that_was_taken_meanwhile_costs_no_result(
    words: list[str], move: Invoke, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit = Editor.edit

    def slow(self: Editor, *args: Any, **options: Any) -> Any:
        (folder / "photo-move.png").write_text("somebody else's")
        return edit(self, *args, **options)

    monkeypatch.setattr(Editor, "edit", slow)
    assert "written to photo-move-2.png" in move(*words).stdout
    assert (folder / "photo-move.png").read_text() == "somebody else's"


def test_a_full_disk_costs_no_result(
    move: Invoke, folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is kept where there is room, and the old file at its name as it was."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("room")))
    (folder / "out.png").write_bytes(b"old")
    replacing = storing.replacing

    def full(path: Path, *options: Any) -> Any:
        if path.parent == Path():
            raise OSError(errno.ENOSPC, "No space left on device")
        return replacing(path, *options)

    monkeypatch.setattr(storing, "replacing", full)
    result = move("-o", "out.png", "--overwrite", "--json")
    assert result.exit_code == 0 and (folder / "out.png").read_bytes() == b"old"
    assert "could not be written to out.png: No space left on device" in result.stderr
    place = Path(json.loads(result.stdout)["out"])
    assert place.name == "out.png" and place.parent.parent == Path(tempfile.gettempdir()) and Image.open(place).size == (48, 32)
    interrupt(monkeypatch, "fsync", OSError(errno.ENOSPC, "No space left on device"))
    result = move("-o", "out.png", "--overwrite")
    assert result.exit_code == 2 and "No space left" in result.stderr and len(list(Path(tempfile.gettempdir()).iterdir())) == 1


def test_an_edit_file_in_json_with_paths_relative_to_it(invoke: Invoke, folder: Path, tiny_model_folder: str) -> None:
    edit = {"mode": "move", "mask": "mask.png", "shift": [8, 0]}
    text = json.dumps({"model": "toybox", "image": "photo.png", "settings": {"steps": 2, "inversion_iterations": 1}, "edits": [edit]})
    (folder / "edit.json").write_text(text)
    result = invoke("run", "edit.json", "-o", "again.png", "--model", tiny_model_folder)
    assert result.exit_code == 0, result.stderr
    assert EditFile.load("again.png").model == model_name(tiny_model_folder) != tiny_model_folder


def test_an_edit_file_with_a_seed_generates_its_picture(invoke: Invoke, folder: Path, tiny_model_folder: str) -> None:
    Image.fromarray(np.eye(32, dtype=bool)).save("square.png")
    edit = {"mode": "move", "mask": "square.png", "shift": [4, 0]}
    text = json.dumps({"model": tiny_model_folder, "prompt": "a fish", "seed": 1, "settings": {"steps": 2}, "edits": [edit]})
    (folder / "edit.json").write_text(text)
    assert "the model '" in (told := invoke("run", "edit.json").stderr) and "--trust-paths" in told
    result = invoke("run", "edit.json", "--trust-paths")
    assert result.exit_code == 0, result.stderr
    assert EditFile.load("edit-run.png").seed == 1


def turned(picture: Image.Image, folder: Path) -> str:
    """Stored on its side, with the EXIF note that puts it upright."""
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.transpose(Image.Transpose.ROTATE_90).save(folder / "turned.jpg", exif=exif)
    return "turned.jpg"


def grey(picture: Image.Image, folder: Path) -> str:
    picture.convert("L").save(folder / "grey.png")
    return "grey.png"


def transparent(picture: Image.Image, folder: Path) -> str:
    picture = picture.convert("RGBA")
    picture.putalpha(128)
    picture.save(folder / "transparent.png")
    return "transparent.png"


@pytest.mark.parametrize(("make", "mode"), [(turned, "RGB"), (grey, "L"), (transparent, "RGBA")])
def test_pictures_of_every_kind(make: Callable[[Image.Image, Path], str], mode: str, move: Invoke, folder: Path) -> None:
    with Image.open("photo.png") as photo:
        name = make(photo, folder)
    assert move("-q", "-o", "out.png", image=name).exit_code == 0
    with Image.open("out.png") as image:
        assert (image.mode, image.size) == (mode, (48, 32))


def test_a_plugins_mode_with_a_field_of_every_kind(nudge: NudgePlugin, invoke: Invoke, folder: Path, tiny_model_folder: str) -> None:
    own = ["--mask", "mask.png", "--points", "1,2:3,4", "--points", "-5,6:7,8", "--strong", "--tags", "a,b", "--nudge-seed", "3"]
    result = invoke("nudge", "photo.png", own, "--model", tiny_model_folder, "--steps", "2", "--seed", "11", "--json")
    assert result.exit_code == 0, result.stderr
    assert read_json(result.stdout)["out"] == "photo-nudge.png"
    edit = nudge.edits[0]
    assert edit.points == [((1, 2), (3, 4)), ((-5, 6), (7, 8))]
    assert (edit.strong, edit.tags, edit.seed, edit.how) == (True, ["a,b"], 3, "soft")
    assert EditFile.load("photo-nudge.png").settings.seed == 11


def test_warnings_are_lines_on_stderr(move: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dragonkit.editing.advice.AUTOENCODER_FLOOR", 1000.0)
    result = move("-q")
    assert result.exit_code == 0
    assert result.stderr.startswith("warning: the model was made for other pictures")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("raised", "code", "line"),
    [
        (KeyboardInterrupt(), 130, "error: interrupted"),
        (Cancelled(), 130, "error: the edit was cancelled."),
        (ZeroDivisionError("oh"), 1, "error: this is a bug in dragonkit or a plugin (ZeroDivisionError: oh)"),
    ],
)
def test_a_run_that_ends_early_writes_nothing(
    raised: BaseException, code: int, line: str, move: Invoke, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise raised

    monkeypatch.setattr("dragonkit.editing.running.guided_sampling", fail)
    result = move("-o", "new/out.png")
    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr.splitlines()[-1].startswith(line)
    assert ("Traceback" in result.stderr) == (code == 1)
    assert not (folder / "new").exists()


def test_debugging_shows_where_an_error_came_from(invoke: Invoke, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRAGONKIT_DEBUG", "1")
    result = invoke("run", "gone.json")
    assert result.exit_code == 2
    assert "Traceback" in result.stderr
    assert result.stderr.splitlines()[-1].startswith("error: the edit file 'gone.json' cannot be read")
