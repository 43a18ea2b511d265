"""A whole training run in seconds: what it writes is a model that loads and edits."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from PIL import Image

from dragonkit import toybox
from dragonkit.editing.editor import Editor
from dragonkit.edits.settings import Settings
from dragonkit.modes.move import Move
from dragonkit.plugins.registry import PluginRegistry
from dragonkit.testing.tiny import tiny_recipe
from dragonkit.toybox import train as train_module
from dragonkit.toybox.train import train
from dragonkit.toybox.training.recipe import load_recipe


def test_a_run_writes_a_model_that_edits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    measure = train_module.reconstruction_psnr
    monkeypatch.setattr(train_module, "sample_sheet", partial(train_module.sample_sheet, steps=1))
    monkeypatch.setattr(train_module, "reconstruction_psnr", lambda vae, size, count: measure(vae, size, 16))
    (tmp_path / "tiny.json").write_text(tiny_recipe(minutes=0.1).model_dump_json())
    out = tmp_path / "run"
    train(config=str(tmp_path / "tiny.json"), out=out, minutes_scale=0.02, threads=1)

    assert load_recipe(str(out / "recipe.json")).unet.minutes == pytest.approx(0.002)
    assert {"autoencoder.png", "autoencoder.pt", "denoiser.pt", "latents.pt", "samples.png", "vae", "model"} <= {
        path.name for path in out.iterdir()
    }
    assert Image.open(out / "samples.png").size == (8 * 32, 4 * 32)
    assert "done after" in capsys.readouterr().out

    editor = Editor.from_pretrained(str(out / "model"), registry=PluginRegistry(discover=False))
    scene = toybox.scene(seed=1, size=32)
    edit = Move(mask=scene.objects[0].mask, shift=(4, 0))
    result = editor.edit(scene.image, edit, Settings(steps=2, inversion_iterations=1), prompt=scene.caption)
    assert np.asarray(result.image).shape == (32, 32, 3)
    steps = torch.load(out / "denoiser.pt")["step"]

    train(config=str(tmp_path / "tiny.json"), out=out, minutes_scale=0.02, threads=1)  # the time is spent: it only writes again
    assert torch.load(out / "denoiser.pt")["step"] == steps


def test_an_unknown_recipe_ends_with_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as caught:
        train(config="no such recipe", out=tmp_path / "run")
    assert caught.value.exit_code == 2
    assert "no recipe or file is called 'no such recipe'" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
