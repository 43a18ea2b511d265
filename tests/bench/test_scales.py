"""What `dragonkit bench scale` says: gradients differ from model to model, the scale that serves them need not."""

from __future__ import annotations

import math

import pytest
import torch
from helpers.strict import read_json
from typer.testing import CliRunner

pytest.importorskip("torchmetrics")

from dragonkit.bench import scales
from dragonkit.bench.reports.statistics import Interval
from dragonkit.bench.scales import ModelScale, shared_scale, try_scales
from dragonkit.cli.app import app
from dragonkit.editing.editor import Editor
from dragonkit.testing import tiny_editor


def model_scale(*psnr: float) -> ModelScale:
    values = {scale: Interval(value, value, value) for scale, value in zip(scales.SCALES, psnr, strict=True)}
    return ModelScale(0.001, 1000.0, values, values)


def test_the_shared_scale_is_where_the_models_lose_least_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scales, "SCALES", (0.01, 0.03, 0.1))
    one, other = model_scale(12.0, 15.0, 14.0), model_scale(10.0, 16.0, 16.5)
    assert (one.best, other.best) == (0.03, 0.1)
    shared, losses = shared_scale([one, other])
    assert shared == 0.03 and losses == pytest.approx([0.0, 0.5])


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> Editor:
    """The tiny pipeline as the only model, which is asked for two scales."""
    editor = tiny_editor()
    monkeypatch.setattr(scales, "SCALES", (0.0, 0.05))
    monkeypatch.setattr(Editor, "from_pretrained", lambda model: editor)
    return editor


@pytest.mark.slow
def test_gradients_are_told_apart_from_their_effect(tiny: Editor) -> None:
    found = try_scales("tiny", 1)
    assert 0 < found.raw < math.inf and 0 < found.factor < math.inf
    assert found.psnr.keys() == {0.0, 0.05}
    assert found.psnr[0.0] != found.psnr[0.05]


@pytest.mark.slow
def test_raw_is_gradient_by_noise_and_factor_latents_by_gradient(tiny: Editor, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    measured = scales.energy_gradient

    def ten_times(*args: object) -> object:
        guidance = measured(*args)  # type: ignore[arg-type]
        seen.append(guidance)
        return type(guidance)(10 * guidance.gradient, guidance.energies)

    before = try_scales("tiny", 1)
    monkeypatch.setattr(scales, "energy_gradient", ten_times)
    after = try_scales("tiny", 1)
    assert seen and torch.isfinite(seen[0].gradient).all()
    assert after.raw == pytest.approx(10 * before.raw) and after.factor == pytest.approx(before.factor / 10)
    assert after.psnr == before.psnr  # only looked at


@pytest.mark.slow
def test_the_command_prints_tables_and_json(tiny: Editor) -> None:
    words = ["bench", "scale", "--model", "one", "--model", "two", "--n", "1"]
    said = CliRunner().invoke(app, words, env={"COLUMNS": "200"})
    assert said.exit_code == 0, said.output
    assert "factor to reach energy_scale=1" in said.output and "One for all: " in said.output
    found = read_json(CliRunner().invoke(app, [*words, "--json"]).output)
    assert found["models"]["one"] == found["models"]["two"] and found["losses"] == [0.0, 0.0]
