"""`dragonkit bench drag` from the folder to the table."""

from __future__ import annotations

import functools
import importlib
import math
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import torch
from helpers.drag_folders import write_alexnet, write_drag_bench, write_good_drag
from helpers.strict import read_json
from typer.testing import Result

from dragonkit.bench.reports.statistics import interval
from dragonkit.edits.file import EditFile

Invoke = Callable[..., Result]


@pytest.fixture(scope="module")
def alexnet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("torch-home")
    write_alexnet(home)
    return home


@pytest.fixture
def bench(invoke: Invoke, folder: Path, tiny_model_folder: str, alexnet: Path, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """`dragonkit bench drag` with these words, the tiny model and two steps; nothing is downloaded."""
    monkeypatch.setenv("TORCH_HOME", str(alexnet))

    def offline(*_: Any, **__: Any) -> None:
        raise URLError("no network")

    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    quick = ["--model", tiny_model_folder, "--steps", "2", "--inversion-iterations", "1"]
    return lambda *words, stdin=None: invoke("bench", "drag", quick, list(words), stdin=stdin)


def told(result: Result) -> str:
    """What was printed, without the table's breaks."""
    return " ".join(result.output.split())


def test_a_data_set(bench: Invoke, folder: Path, tiny_model_folder: str) -> None:
    for number, name in enumerate(("animals/b", "animals/a", "art_work/c")):
        write_drag_bench(folder / "DragBench", name, seed=number)
    result = bench("DragBench")
    assert (result.exit_code, result.stderr) == (0, "")
    text = told(result)
    assert text.startswith("DragBench: 3 samples") and "results: DragBench-dragonkit" in text
    assert text.index("animals/a") < text.index("animals/b") < text.index("art_work/c")
    assert "image fidelity: 1 - LPIPS (AlexNet, 224 px) of source and result" in text
    assert f"mean distance: matching of features (DIFT), {tiny_model_folder}: layer up.3, timestep 261 of 1000, mean of 8 draws" in text
    assert "over all 6 points alike, as DragBench's evaluator averages:" in text
    assert len(list((folder / "DragBench-dragonkit").rglob("dragged_image.png"))) == 3


@pytest.mark.slow
def test_json(bench: Invoke, folder: Path) -> None:
    for number in range(3):
        write_good_drag(folder / "set", f"fish_{number}", seed=number)
    first, second = (bench("set", "--json", "--out", "there") for _ in range(2))
    assert first.exit_code == second.exit_code == 0
    found, again = (read_json(one.stdout) for one in (first, second))
    assert (found["format"], found["out"], set(found["protocol"])) == ("GoodDrag", "there", {"image fidelity", "mean distance"})
    assert [one["sample"] for one in found["samples"]] == ["fish_0", "fish_1", "fish_2"]
    assert {one["state"] for one in found["samples"]} == {"made"} and {one["state"] for one in again["samples"]} == {"kept"}
    assert {**again, "samples": 0} == {**found, "samples": 0}
    distances = [one["distances"] for one in found["samples"]]
    assert found["distance_over_points"] == {"mean": pytest.approx(np.mean(distances)), "points": 6}
    for name, values in {
        "distance": np.mean(distances, axis=1),
        "untouched": [np.mean(one["untouched"]) for one in found["samples"]],
        "fidelity": [one["fidelity"] for one in found["samples"]],
    }.items():
        assert found["means"][name] == pytest.approx(interval(values)._asdict())
        assert not math.isnan(found["means"][name]["mean"])
    assert all(0 < one["fidelity"] < 1 for one in found["samples"])


def test_settings_presets_and_another_matcher(bench: Invoke, folder: Path, tiny_model_folder: str) -> None:
    write_drag_bench(folder / "set")
    result = bench("set", "--preset", "paper", "--hold", "0.2", "--schedule", "every=2", "--matcher", f"{tiny_model_folder}/.", "-o", "out")
    assert result.exit_code == 0, result.output
    assert f"(DIFT), {tiny_model_folder}/.:" in told(result)
    settings = EditFile.load(folder / "out" / "animals" / "one" / "dragged_image.png").settings
    assert (settings.keep, settings.hold, settings.guidance_scale, settings.steps) == ("energy", 0.2, 4.0, 2)
    assert (settings.schedule.every, settings.schedule.span) == (2, (0, 0.6))


def test_without_alexnet_there_is_no_fidelity_and_all_else(bench: Invoke, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(folder / "empty"))
    write_drag_bench(folder / "set")
    result = bench("set", "--json", "--download")
    assert result.exit_code == 0
    (line,) = (line for line in result.stderr.splitlines() if line.startswith("warning"))
    assert line.startswith("warning: image fidelity is left out: AlexNet's weights cannot be had (URLError: <urlopen error no network>)")
    found = read_json(result.stdout)
    assert found["samples"][0]["fidelity"] is found["means"]["fidelity"] is None
    assert found["protocol"]["image fidelity"] == "not measured, a warning says why"
    assert found["means"]["distance"]["mean"] >= 0
    table = told(bench("set"))
    assert " kept " in table and "image fidelity mean" not in table and "image fidelity: not measured" in table


@pytest.mark.parametrize("answer, asked", [("n\n", True), ("y\n", True), ("", False)], ids=["no", "yes", "nobody there"])
def test_what_is_to_be_downloaded_is_asked_about(
    bench: Invoke, folder: Path, monkeypatch: pytest.MonkeyPatch, answer: str, asked: bool
) -> None:
    """233 MiB come when somebody at a terminal says yes, or by --download, and never unasked."""
    monkeypatch.setenv("TORCH_HOME", str(folder / "empty"))
    monkeypatch.setattr(importlib.import_module("dragonkit.cli.bench.drag"), "_somebody_is_there", lambda: asked)
    tried: list[str] = []
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", lambda url, **_: tried.append(url) or {})
    write_drag_bench(folder / "set")
    result = bench("set", stdin=answer)
    assert result.exit_code == 0 and bool(tried) == (answer == "y\n")
    assert ("233 MiB from download.pytorch.org. Fetch them?" in result.stderr) == asked
    assert ("which --download fetches" in result.stderr) == (answer != "y\n")


def test_broken_samples_are_told_and_counted(bench: Invoke, folder: Path) -> None:
    for name in ("a", "b", "c", "d"):
        write_drag_bench(folder / "set", name)
    (folder / "set" / "b" / "meta_data.pkl").write_bytes(b"cos\nsystem\n(S'touch was-run'\ntR.")
    (folder / "set" / "c" / "meta_data.pkl").unlink()
    result = bench("set")
    assert result.exit_code == 2
    *warnings, error = result.stderr.splitlines()
    assert [line.split(":")[:2] for line in warnings] == [["warning", " b"], ["warning", " c"]]
    assert "wants to load 'os.system'" in warnings[0] and "nothing of it was run" in warnings[0]
    assert error == "error: 2 of 4 samples could not be done; the lines above say why."
    assert not (folder / "was-run").exists()
    assert sorted(path.name for path in (folder / "set-dragonkit").iterdir()) == ["a", "d"]


@pytest.mark.parametrize(
    "words, said",
    [
        (["nowhere"], "the folder 'nowhere' does not exist"),
        (["photo.png"], "the folder 'photo.png' is a file"),
        (["empty"], "holds no samples"),
        (["set", "--out", "set/results"], "results would lie among the samples in 'set'"),
        (["set", "--out", "set"], "results would lie among the samples in 'set'"),
        (["set/animals", "--out", "set"], "results would lie among the samples in 'set/animals'"),
        (["set", "--out", "photo.png"], "photo.png' is not a directory"),
        (["set", "--steps", "many"], "--steps is 'many', but must be"),
        (["set", "--preset", "papper"], "Did you mean 'paper'?"),
        (["set", "--model", "sd99"], "no model, folder or file is called 'sd99'"),
        (["set", "--device", "gpu"], "--device is 'gpu'"),
        (["set", "--stepps", "3"], "--steps"),
        ([], "Missing argument 'FOLDER'"),
    ],
)
def test_refusals(refuse: Callable[..., str], folder: Path, words: list[str], said: str) -> None:
    """In one line, before a model is loaded, and nothing is left behind."""
    (folder / "empty").mkdir()
    write_drag_bench(folder / "set")
    if words[:1] == ["set/animals"]:
        write_drag_bench(folder / "set" / "animals", "animals/inner")
    assert said in refuse("bench", "drag", words)


def test_results_lie_beside_the_folder_whatever_it_is_called(bench: Invoke, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_drag_bench(folder / "deep" / "set")
    assert bench("deep/set/").exit_code == 0
    monkeypatch.chdir(folder / "deep" / "set")
    assert "kept" in told(bench("."))
    monkeypatch.chdir(folder / "deep" / "set" / "animals")
    assert "kept" in told(bench(".."))
    assert sorted(path.name for path in (folder / "deep").iterdir()) == ["set", "set-dragonkit"]


def test_results_in_the_folder_above_are_fine(bench: Invoke, folder: Path) -> None:
    write_drag_bench(folder / "set", "animals/one")
    result = bench("set", "--out", ".")
    assert result.exit_code == 0 and (folder / "animals" / "one" / "dragged_image.png").exists()


def test_what_lies_there_is_refused(bench: Invoke, folder: Path) -> None:
    write_drag_bench(folder / "set")
    assert bench("set").exit_code == 0
    result = bench("set", "--hold", "0.3")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "was made with hold 0.6 and not 0.3" in result.stderr


def test_help_has_the_settings(invoke: Invoke) -> None:
    text = invoke("bench", "drag", "--help").stdout
    assert all(
        word in text
        for word in (
            "FOLDER",
            "--matcher",
            "--preset",
            "Settings, with the defaults of toybox:",
            "--guidance-scale",
            "--inversion-iterations",
        )
    )
    assert "drag" in invoke("bench", "--help").stdout


@pytest.mark.e2e
def test_ctrl_c_and_again(folder: Path, alexnet: Path, tiny_model_folder: str) -> None:
    """A real process is interrupted after its first result; the next one goes on."""
    for number in range(4):
        write_drag_bench(folder / "set", f"{number:02}", seed=number)
    command = [sys.executable, "-m", "dragonkit", "bench", "drag", "set", "--model", tiny_model_folder, "--steps", "20", "--json"]
    environment = {"TORCH_HOME": str(alexnet), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    # where the tests themselves run in the background, SIGINT is ignored, and the child would inherit that
    heard = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, env=environment, preexec_fn=heard, **pipes)
    while not (folder / "set-dragonkit" / "00" / "dragged_image.png").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert err.splitlines()[-1].startswith("error: interrupted; what is finished lies in 'set-dragonkit'")
    left = sorted(path.parent.name for path in (folder / "set-dragonkit").rglob("*") if path.is_file())
    assert 1 <= len(left) < 4
    again = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert again.returncode == 0, again.stderr
    kept = [one["sample"] for one in read_json(again.stdout)["samples"] if one["state"] == "kept"]
    assert kept == left
