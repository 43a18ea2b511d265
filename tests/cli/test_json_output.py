"""With --json stdout holds JSON that every reader takes, and nothing else, whatever plugins print."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from helpers.strict import read_json
from PIL import Image
from typer.testing import Result

from dragonkit.bench.fills import Fill
from dragonkit.bench.paper import Claim, Figure
from dragonkit.bench.reports.statistics import Interval
from dragonkit.cli.app import app
from dragonkit.cli.json_output import only_json, print_json
from dragonkit.edits.file import EditFile
from dragonkit.edits.settings import Settings
from dragonkit.modes.move import Move
from dragonkit.plugins.registry import PluginRegistry
from dragonkit.plugins.specs import hookimpl

Invoke = Callable[..., Result]
MOVE = ["move", "photo.png", "--mask", "mask.png", "--shift", "8,0", "--steps", "2", "--inversion-iterations", "1"]


class Chatterbox:
    """A plugin that prints whenever it is asked something."""

    @hookimpl
    def dragonkit_step(self, step: Any) -> None:
        print(f"step {step.index}!")

    @hookimpl
    def dragonkit_energy_terms(self, edit: Any) -> None:
        print("no terms of mine")
        sys.stdout.write("none\n")

    @hookimpl
    def dragonkit_models(self) -> None:
        print("no models either")


def test_every_command_with_json_is_read_strictly_in_some_test() -> None:
    def names(command: Any, path: str = "") -> Iterator[str]:
        if any("--json" in parameter.opts for parameter in command.params):
            yield path
        for name, inner in getattr(command, "commands", {}).items():
            yield from names(inner, f"{path} {name}".strip())

    bench = {
        f"bench {name}"
        for name in (
            "toybox",
            "paper",
            "selectors",
            "cost",
            "drag",
            "fills",
            "inversions",
            "model",
            "tune",
            "scale",
            "speed",
            "batch",
            "ways",
        )
    }
    assert set(names(typer.main.get_command(app))) == {"run", "batch", "modes", "plugins", "models", "inversions", "doctor", *bench}


@pytest.mark.parametrize("command", ["modes", "plugins", "models", "inversions", "doctor"])
def test_listings(command: str, invoke: Invoke, registry: PluginRegistry) -> None:
    registry.register(Chatterbox(), "chatterbox")
    result = invoke(command, "--json")
    assert result.exit_code == 0 and read_json(result.stdout)


def test_an_edit_with_a_plugin_that_prints(invoke: Invoke, folder: Path, registry: PluginRegistry, tiny_model_folder: str) -> None:
    registry.register(Chatterbox(), "chatterbox")
    result = invoke(MOVE, "--model", tiny_model_folder, "--json")
    assert result.exit_code == 0, result.stderr
    report = read_json(result.stdout)
    assert report["out"] == "photo-move.png" and len(report["steps"]) == 2
    assert report["places"] == [{"mode": "move", "covers": 144 / 1536, "changes": 240 / 1536, "cut": []}]
    assert "step 0!" in result.stderr and "no terms of mine" in result.stderr
    again = invoke("run", "photo-move.png", "--image", "photo.png", "--model", tiny_model_folder, "--json")
    assert read_json(again.stdout)["modes"] == ["move"]


def test_without_json_a_plugin_prints_where_it_likes(invoke: Invoke, registry: PluginRegistry) -> None:
    registry.register(Chatterbox(), "chatterbox")
    assert "no models either" in invoke("models").stdout
    assert "no models either" in invoke("models", "--json").stderr


def test_help_stays_on_stdout(invoke: Invoke) -> None:
    assert "--json" in invoke("models", "--json", "--help").stdout


def test_an_error_leaves_stdout_empty(invoke: Invoke, folder: Path) -> None:
    result = invoke("move", "gone.png", "--mask", "mask.png", "--json")
    assert (result.exit_code, result.stdout) == (2, "") and "does not exist" in result.stderr


def test_numbers_that_json_lacks_are_null(capsys: pytest.CaptureFixture[str]) -> None:
    value = {
        "a": math.nan,
        "b": [math.inf, -math.inf, 1.5, np.float64("nan")],
        3: (True, None, "NaN\ud800é"),
        "settings": Settings(steps=3),
    }
    print_json(value)
    read = read_json(capsys.readouterr().out)
    assert (read["a"], read["b"], read["3"]) == (None, [None, None, 1.5, None], [True, None, "NaN\ud800é"])
    assert read["settings"]["steps"] == 3


def test_stdout_comes_back(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ZeroDivisionError), only_json():
        print("noise")
        print_json([1])
        raise ZeroDivisionError
    print("after")
    assert capsys.readouterr() == ("[1]\nafter\n", "noise\n")


@pytest.mark.processes
def test_a_real_process_keeps_stdout_for_json_below_python_too(tmp_path: Path) -> None:
    code = (
        "import os, subprocess, sys\n"
        "from dragonkit.cli.json_output import only_json, print_json\n"
        "print('before')\n"
        "with only_json():\n"
        "    os.write(1, b'a library\\n')\n"
        "    subprocess.run(['echo', 'a program'], check=True)\n"
        "    print('python')\n"
        "    print_json({'a': 1})\n"
        "print('after')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == 'before\n{"a": 1}\nafter\n'
    assert sorted(done.stderr.split("\n")) == ["", "a library", "a program", "python"]


NOTHING = Interval(math.nan, -math.inf, math.inf)
"""The mean of no values."""


def test_fills_that_nothing_was_measured_of(monkeypatch: pytest.MonkeyPatch, invoke: Invoke) -> None:
    monkeypatch.setattr("dragonkit.cli.bench.fills.load_editor", lambda *_: None)
    monkeypatch.setattr("dragonkit.bench.fills.compare_fills", lambda *_: [Fill("wavy", "default", NOTHING, NOTHING, None)])
    [read] = read_json(invoke("bench", "fills", "--json").stdout)
    assert (read["background"], read["psnr"], read["ahead"]) == ("wavy", [None, None, None], None)


def test_figures_that_nothing_was_measured_of(monkeypatch: pytest.MonkeyPatch, invoke: Invoke) -> None:
    figure = Figure("levels", {"row": {"column": NOTHING}}, [Claim("it is better", NOTHING, "above")])
    monkeypatch.setattr("dragonkit.bench.paper.run_figure", lambda *_: figure)
    read = read_json(invoke("bench", "paper", "--figure", "2", "--json").stdout)
    assert read["2"]["values"]["row"]["column"] == [None, None, None] and read["2"]["verdicts"] == ["not decided"]


# ---- names that are no text


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
def test_a_picture_whose_name_is_no_text(invoke: Invoke, folder: Path, tiny_model_folder: str) -> None:
    name = os.fsdecode(b"\xff.png")
    try:
        os.rename("photo.png", name)
    except OSError:
        pytest.skip("this disk takes text only")
    words = [name if word == "photo.png" else word for word in MOVE]
    shown = invoke(words, "--model", tiny_model_folder)
    assert (shown.exit_code, "written to \\udcff-move.png" in shown.stdout) == (0, True), shown.stderr
    told = invoke(words, "--model", tiny_model_folder, "--json")
    assert read_json(told.stdout)["out"] == os.fsdecode(b"\xff-move-2.png")
    assert all(Path(os.fsdecode(name)).exists() for name in (b"\xff-move.png", b"\xff-move-2.png"))


# ---- masks: what they cover, and their inverse


def test_the_summary_says_what_a_mask_covers_and_what_is_cut(invoke: Invoke, folder: Path, tiny_model_folder: str) -> None:
    result = invoke([word if word != "8,0" else "-9,0" for word in MOVE], "--model", tiny_model_folder)
    said = " ".join(result.stdout.split())
    assert "the move's content covers 9.4% of the picture, 14.1% may change; its target is cut by the left border" in said


def test_an_inverted_mask_is_warned_of_and_can_be_inverted(invoke: Invoke, folder: Path, tiny_model_folder: str) -> None:
    with Image.open("mask.png") as mask:
        Image.fromarray(~np.asarray(mask)).save("inverted.png")
    words = ["inverted.png" if word == "mask.png" else word for word in MOVE]
    warned = invoke(words, "--model", tiny_model_folder, "--json")
    assert "the mask of the move covers 91% of the picture and touches all its borders" in warned.stderr
    assert any("--invert-mask" in warning for warning in read_json(warned.stdout)["warnings"])
    right = invoke(words, "--invert-mask", "--overwrite", "-o", "photo-move.png", "--model", tiny_model_folder, "--json")
    assert "covers" not in right.stderr and read_json(right.stdout)["places"][0]["covers"] == 144 / 1536
    with Image.open("mask.png") as mask:
        expected = np.asarray(mask)
    (edit,) = EditFile.load("photo-move.png").edits_from({"move": Move})
    assert isinstance(edit, Move) and edit.shift == (8, 0) and np.array_equal(edit.mask, expected)


def test_there_must_be_a_mask_to_invert(invoke: Invoke, folder: Path) -> None:
    result = invoke("drag", "photo.png", "--points", "1,2:3,4", "--invert-mask")
    assert result.exit_code == 2 and "--invert-mask needs a mask to invert" in result.stderr


def test_a_prompt_that_is_no_text_is_refused_before_a_model_is_loaded(refuse: Callable[..., str]) -> None:
    assert refuse(MOVE, "--prompt", "caf\udce9").startswith("--prompt holds '\\udce9' at 3")
