"""A whole training run in seconds: what it writes is a model that loads and edits."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import typer
from helpers.faults import full_after, state
from PIL import Image
from safetensors import SafetensorError

from dragonkit import toybox
from dragonkit.editing.editor import Editor
from dragonkit.edits.settings import Settings
from dragonkit.modes.move import Move
from dragonkit.plugins.registry import PluginRegistry
from dragonkit.testing.tiny import tiny_pipeline
from dragonkit.toybox import train as train_module
from dragonkit.toybox.train import in_processes, train
from dragonkit.toybox.training import denoiser
from dragonkit.toybox.training.export import write_model
from dragonkit.toybox.training.recipe import load_recipe


@pytest.fixture
def one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stages in this process: starting others takes longer than training."""

    def run(stages: dict[str, Any], _: int) -> str:
        for name in sorted(stages):  # the autoencoder first
            function, *arguments = stages[name]
            function(*arguments, device=torch.device("cpu"))
        return ""

    monkeypatch.setattr(train_module, "in_processes", run)
    monkeypatch.setattr(denoiser, "write_sheets", partial(denoiser.write_sheets, count=2, steps=1))


def edited(model: Path) -> np.ndarray:
    editor = Editor.from_pretrained(str(model), registry=PluginRegistry(discover=False))
    scene = toybox.scene(seed=1, size=32)
    edit = Move(mask=scene.objects[0].mask, shift=(4, 0))
    return np.asarray(editor.edit(scene.image, edit, Settings(steps=2, inversion_iterations=1), prompt=scene.caption).image)


@pytest.mark.slow
def test_a_run_writes_a_model_that_edits(one_after_the_other: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    train(config="tiny", out=out, minutes_scale=0.05)
    assert load_recipe(str(out / "recipe.json")).minutes == pytest.approx(0.03)
    assert {"autoencoder.png", "autoencoder.pt", "denoiser.pt", "samples.png", "vae", "model"} <= {path.name for path in out.iterdir()}
    assert Image.open(out / "samples.png").size == Image.open(out / "autoencoder.png").size == (8 * 32, 32)
    assert "done: the model is in" in capsys.readouterr().out
    assert edited(out / "model").shape == (32, 32, 3)

    steps, written = torch.load(out / "denoiser.pt")["step"], (out / "vae").stat().st_mtime
    train(config="tiny", out=out, minutes_scale=0.05)  # the time is spent: it only writes again
    assert torch.load(out / "denoiser.pt")["step"] == steps
    assert (out / "vae").stat().st_mtime == written


def test_a_model_comes_whole_and_what_else_lies_there_stays(tmp_path: Path) -> None:
    write_model(tiny_pipeline(), tmp_path / "model")
    (tmp_path / "model" / "README.md").write_text("mine")
    before = state(tmp_path)
    with full_after(1000), pytest.raises((OSError, RuntimeError, SafetensorError)):
        write_model(tiny_pipeline(), tmp_path / "model")
    assert state(tmp_path) == before
    write_model(tiny_pipeline(), tmp_path / "model")
    assert state(tmp_path).keys() == before.keys() and (tmp_path / "model" / "README.md").read_text() == "mine"


def test_a_finished_models_autoencoder_is_not_trained_again(one_after_the_other: None, tmp_path: Path) -> None:
    write_model(tiny_pipeline(), tmp_path / "model")
    train(config="tiny", out=tmp_path / "run", init=tmp_path / "model", minutes_scale=0.05)
    assert not (tmp_path / "run" / "autoencoder.pt").exists()
    run, model = (tmp_path / name / "vae" / "diffusion_pytorch_model.safetensors" for name in ("run/model", "model"))
    assert run.read_bytes() == model.read_bytes()


@pytest.mark.parametrize(("config", "init"), [("no such recipe", None), ("tiny", "no such model"), ("cpu32", "model")])
def test_a_wrong_recipe_or_model_ends_with_a_sentence(
    config: str, init: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_model(tiny_pipeline(), tmp_path / "model")
    with pytest.raises(typer.Exit) as caught:
        train(config=config, out=tmp_path / "run", init=tmp_path / init if init else None)
    assert caught.value.exit_code == 2
    said = "vae holds no AutoencoderKL of the recipe's shape" if init else "no recipe or file is called 'no such recipe'"
    assert said in capsys.readouterr().err
    assert not (tmp_path / "run" / "vae").exists()


def waits(device: torch.device) -> None:
    time.sleep(600)


def fails(device: torch.device) -> None:
    raise RuntimeError("out of luck")


@pytest.mark.slow
def test_a_stage_that_fails_ends_the_other(capfd: pytest.CaptureFixture[str]) -> None:
    begun = time.monotonic()
    assert in_processes({"denoiser": (waits,), "autoencoder": (fails,)}, 1) == "autoencoder"
    assert time.monotonic() - begun < 300
    assert "out of luck" in capfd.readouterr().err


@pytest.mark.slow
def test_both_stages_at_once(tmp_path: Path) -> None:
    train(config="tiny", out=tmp_path, minutes_scale=0.1, threads=1)
    assert edited(tmp_path / "model").shape == (32, 32, 3)
