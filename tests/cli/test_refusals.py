"""What cannot be done is said in one line, with exit code 2, before any model is loaded."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import Result

Refuse = Callable[..., str]
MOVE = ["move", "photo.png", "--mask", "mask.png", "--shift", "8,0"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--shift", "900,0"], "(900.0, 0.0) takes the whole object"),
        (["--shift", "0,0"], "shift (0.0, 0.0) and scale 1"),
        (["--shift", "8"], "--shift is '8', but must have"),
        (["--shift", "8,x"], "--shift[1] is 'x', but must be"),
        (["--scale", "11"], "--scale is '11', but must be"),
        (["--edit-weight", "-1"], "--edit-weight is '-1', but must be"),
        (["--steps", "0"], "--steps is '0', but must be"),
        (["--steps", "many"], "--steps is 'many', but must be"),
        (["--keep", "pixel"], "--keep is 'pixel', but must be"),
        (["--schedule", "span=0.5:0.1"], "--schedule.span is ['0.5', '0.1']: the start"),
        (["--schedule", "evry=2"], "GuidanceSchedule has no field 'evry' (received '2')"),
        (["--schedule", "often"], "--schedule is 'often': as text"),
        (["--preset", "papre"], "'papre'. Did you mean 'paper'?"),
        (["--stepps", "3"], "There is no option --stepps. Did you mean '--steps'?"),
        (["--steps"], "Option '--steps' requires an argument"),
        (["spare.png"], "Got unexpected extra argument"),
        (["--mask", "gone.png"], "mask cannot be read: the picture 'gone.png'"),
        (["--model", "nope"], "file is called 'nope'"),
        (["--lora", "nowhere.safetensors"], "there is no LoRA 'nowhere.safetensors'"),
        (["--lora", "photo.png@0.5"], "the LoRA 'photo.png' is no .safetensors file"),
        (["--device", "gpu"], "--device is 'gpu', but must be"),
        (["--device", "cpu:7"], "--device is 'cpu:7', but PyTorch finds 1"),
        (["--out", "out.jpg"], "--out is 'out.jpg', but must end"),
        (["--out", "photo.png"], "--out is 'photo.png', an input"),
        (["--out", "./mask.png"], "--out is 'mask.png', an input"),
        (["--out", "."], "--out is '.', which is a directory"),
        (["--out", "photo.png/out.png"], "is not a directory"),
        (["--out", "spare.png"], "--out is 'spare.png', which is there already; give another name, or add --overwrite"),
        (["--out", f"{'x' * 300}.png"], "which cannot be written: File name too long"),
        (["--out", f"missing/{'x' * 300}/out.png"], "which cannot be written: File name too long"),
        (["--out", f"{'x' * 248}.png"], "which cannot be written: File name too long"),  # .edit.json would be
        (["--out", "link.png", "--overwrite"], "which cannot be written: it is a link that leads nowhere"),
        (["--out", "pipe.png", "--overwrite"], "which cannot be written: it is no ordinary file"),
        (["--metadata", "ful"], "--metadata is 'ful', but must be edit or full or none. Did you mean 'full'?"),
    ],
    ids=" ".join,
)
def test_a_move_that_cannot_be(words: list[str], message: str, refuse: Refuse, folder: Path) -> None:
    (folder / "spare.png").touch()
    (folder / "link.png").symlink_to("nowhere")
    os.mkfifo(folder / "pipe.png")
    assert message in refuse(MOVE, words)


def test_masks_that_do_not_fit(refuse: Refuse, folder: Path) -> None:
    Image.new("L", (20, 10), 255).save("small.png")
    Image.new("L", (48, 32), 0).save("black.png")
    assert refuse(MOVE, "--mask", "small.png").startswith("the mask is 20x10 but")
    assert refuse(MOVE, "--mask", "black.png").startswith("the mask is empty")


def test_pictures_that_are_none(refuse: Refuse, folder: Path) -> None:
    (folder / "text.png").write_text("hello")
    for name, message in (("text.png", "is not in a format"), ("gone.png", "does not exist"), (".", "is a directory")):
        assert message in refuse("move", name, "--mask", "mask.png", "--shift", "8,0")


def test_what_is_missing(refuse: Refuse) -> None:
    assert refuse("move") == "Missing argument 'IMAGE' (see dragonkit move --help)."
    assert refuse("move", "photo.png") == "Missing option '--mask' or '--click' (see dragonkit move --help)."


def test_unknown_commands(refuse: Refuse) -> None:
    assert refuse("mvoe").startswith("There is no edit or command 'mvoe'. Did you mean 'move'? There are: move,")
    assert "Did you mean" not in refuse("erase")  # nothing like it
    assert refuse("bench", "toybx").startswith("There is no command 'toybx'. Did you mean 'toybox'? There are: ")
    assert "holds Python code" in refuse("custom") and "CustomEdit is for scripts" in refuse("custom")
    assert refuse("--nope") == "There is no option --nope (see dragonkit --help)."


@pytest.mark.skipif(os.name == "nt" or not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_takes_no_files(refuse: Refuse, folder: Path) -> None:
    (folder / "closed").mkdir(mode=0o500)
    assert "which cannot be written: Permission denied" in refuse(MOVE, "--out", "closed/out.png")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc, where even root cannot make files")
def test_a_place_where_nobody_can_write(refuse: Refuse) -> None:
    assert "--out is '/proc/out.png', which cannot be written: " in refuse(MOVE, "--out", "/proc/out.png")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"edits": [{"mode": "mvoe"}]}, "'edit.json': edits[0]: there is no edit mode"),
        ({"edits": [{"mode": "move", "mask": "gone.png"}]}, "there is no mask file 'gone.png'"),
        ({"edits": [{"mode": "move", "mask": "mask.png", "shift": [900, 0]}]}, "takes the whole object out"),
        ({"image": "gone.png"}, "'edit.json': image: the picture 'gone.png'"),
        ({"model": "nope"}, "file is called 'nope'"),
        ({"version": 2}, "has version 2, but"),
        ({"settings": {"steps": 0}}, "Settings.steps is 0, but must be"),
    ],
    ids=str,
)
def test_edit_files_that_cannot_be_run(changes: dict[str, object], message: str, refuse: Refuse, folder: Path) -> None:
    good = {"model": "toybox", "image": "photo.png", "edits": [{"mode": "move", "mask": "mask.png", "shift": [8, 0]}]}
    (folder / "edit.json").write_text(json.dumps({**good, **changes}))
    assert message in refuse("run", "edit.json")


def test_a_run_does_not_write_over_its_inputs(refuse: Refuse, folder: Path) -> None:
    edits = [{"mode": "move", "mask": "mask.png", "shift": [8, 0]}]
    (folder / "sub").mkdir()
    (folder / "sub" / "edit.json").write_text(json.dumps({"model": "toybox", "image": "../photo.png", "edits": edits}))
    os.rename("mask.png", "sub/mask.png")
    for name in ("photo.png", "sub/mask.png"):
        assert refuse("run", "sub/edit.json", "--trust-paths", "--out", name).startswith(f"--out is {name!r}, an input")


def test_what_cannot_be_run(refuse: Refuse, folder: Path) -> None:
    (folder / "text.json").write_text("hello")
    assert refuse("run", "photo.png").startswith("'photo.png' carries no edit file.")
    assert refuse("run", "text.json").startswith("'text.json' is not JSON")
    assert refuse("run", "gone.json").startswith("the edit file 'gone.json' cannot be read")


def test_a_folder_that_is_no_model(invoke: Callable[..., Result], folder: Path) -> None:
    (folder / "empty").mkdir()
    result = invoke(MOVE, "--model", "empty")
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert "the model 'empty' could not be loaded" in result.stderr
