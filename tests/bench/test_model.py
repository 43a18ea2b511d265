"""What `dragonkit bench model` says of a model: each figure against a case whose answer is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.strict import read_json
from PIL import Image
from typer.testing import CliRunner

from dragonkit.bench import model as bench_model
from dragonkit.bench.measures.recognition import Recognizer
from dragonkit.bench.model import match_keypoints, reconstructions, samples_of, turned_up_elsewhere
from dragonkit.cli.app import app
from dragonkit.diffusion.stable_diffusion import StableDiffusion
from dragonkit.editing.editor import Editor
from dragonkit.imaging.images import psnr, to_image, to_tensor
from dragonkit.testing import tiny_editor
from dragonkit.toybox.scenes import scene


def quiet(done: int, whole: int) -> None:
    """Nobody is told."""


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> Editor:
    """The tiny pipeline as the only model, three steps, and a recognizer that was never trained."""
    editor = tiny_editor()
    monkeypatch.setattr(bench_model, "STEPS", 3)
    monkeypatch.setattr(bench_model, "train_recognizer", lambda progress: Recognizer().eval())
    monkeypatch.setattr(Editor, "from_pretrained", lambda model: editor)
    return editor


def test_the_autoencoders_figure_is_that_of_its_round_trips(tiny: Editor) -> None:
    found = reconstructions(tiny, 2, quiet)["autoencoder"]
    pictures = [scene(bench_model.FIRST_SEED + number, 32).image for number in range(2 * bench_model.TIMES)]
    backbone = tiny.backbone
    expected = [psnr(to_image(backbone.decode(backbone.encode(to_tensor(one)))), one) for one in pictures]
    assert found.mean == pytest.approx(np.mean(expected))


@pytest.mark.slow
def test_more_iterations_lead_back_to_the_autoencoders_round_trip(tiny: Editor, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the fixed point sampling retraces the inversion; plain DDIM inversion loses something."""
    many = tiny.settings().model_copy(update={"inversion_iterations": 40})
    monkeypatch.setattr(tiny, "settings", lambda: many)
    monkeypatch.setattr(bench_model, "TIMES", 1)
    found = reconstructions(tiny, 2, quiet)
    assert set(found) == {"autoencoder", "inversion and back", "inversion and back, plain DDIM"}
    assert found["inversion and back"].mean == pytest.approx(found["autoencoder"].mean, abs=0.05)
    assert found["inversion and back, plain DDIM"].mean != pytest.approx(found["autoencoder"].mean, abs=0.05)


def test_samples_are_repeatable_and_follow_their_prompts(tiny: Editor, monkeypatch: pytest.MonkeyPatch) -> None:
    prompts = ["a red fish", "a blue house", "a red fish"]
    first = samples_of(tiny.backbone, prompts, 2.0, quiet)
    assert first.shape == (3, 3, 32, 32) and first.abs().max() <= 1
    assert torch.equal(first, samples_of(tiny.backbone, prompts, 2.0, quiet))
    assert not torch.equal(first[0], first[2])  # noise of its own
    other = samples_of(tiny.backbone, ["a red fish", "a red fish", "a red fish"], 2.0, quiet)
    assert torch.equal(first[0], other[0]) and not torch.equal(first[1], other[1])
    monkeypatch.setattr(bench_model, "_BATCH", 2)
    assert torch.allclose(first, samples_of(tiny.backbone, prompts, 2.0, quiet), atol=1e-4)


def test_an_object_turns_up_whole_elsewhere_before_another_background() -> None:
    for before, after in turned_up_elsewhere(64, 6):
        one, other = before.objects[0], after.objects[0]
        assert (one.category, one.color, one.pattern) == (other.category, other.color, other.pattern)
        assert one.keypoints.keys() == other.keypoints.keys()
        assert 0.8 - 1e-9 <= other.params["half_size"] / one.params["half_size"] <= 1.25 + 1e-9
        assert abs(other.params["angle"] - one.params["angle"]) <= 25 + 1e-9
        assert other.params["half_size"] <= 32 or after.objects[0].center == pytest.approx((32, 32))
        assert np.mean(np.asarray(before.image)[~(one.mask | other.mask)] != np.asarray(after.image)[~(one.mask | other.mask)]) > 0.5


class Oracle:
    """A matcher that knows where everything is, `off` pixels to the right of it."""

    off = 0.0

    def __init__(self, backbone: StableDiffusion, layer: str):
        self.layer = layer

    def find(self, before: Image.Image, after: Image.Image, points: list[Any], prompt: str) -> np.ndarray:
        for one, other in turned_up_elsewhere(before.width, 3):
            if np.array_equal(np.asarray(one.image), np.asarray(before)):
                asked, answers = one.objects[0].keypoints, other.objects[0].keypoints
                known = np.array(list(asked.values()))
                nearest = [int(np.linalg.norm(known - point, axis=1).argmin()) for point in points]
                return np.array(list(answers.values()))[nearest] + (self.off, 0)
        raise AssertionError("a picture of another scene")


@pytest.mark.parametrize("off", [0.0, 3.0])
def test_distances_are_those_to_the_keypoints(tiny: Editor, monkeypatch: pytest.MonkeyPatch, off: float) -> None:
    monkeypatch.setattr(Oracle, "off", off)
    monkeypatch.setattr(bench_model, "Matcher", Oracle)
    found = match_keypoints(tiny.backbone, 3, quiet)
    assert set(found) == {"up.0", "up.1", "up.2", "up.3", "middle"}
    assert found["up.2"].mean == pytest.approx(off, abs=1e-6)
    assert found["middle"].mean > 1


@pytest.mark.slow
def test_the_command_prints_tables_and_json_and_writes_the_samples(tiny: Editor, tmp_path: Path) -> None:
    sheet = tmp_path / "samples.png"
    call = ["bench", "model", "--n", "2", "--samples", "9", "--out", str(sheet)]
    shown = CliRunner().invoke(app, call, catch_exceptions=False)
    assert shown.exit_code == 0, shown.output
    for text in ("autoencoder", "inversion and back", "category", "colour", "up.3", "differ from one another"):
        assert text in shown.output
    assert Image.open(sheet).size == (8 * 32, 2 * 32)
    assert "which is there already" in CliRunner().invoke(app, call).stderr
    found = read_json(CliRunner().invoke(app, [*call, "--overwrite", "--json"], catch_exceptions=False).stdout)
    assert found["psnr"].keys() >= {"autoencoder", "inversion and back"}
    assert set(found["recognized"]) == {"samples", "true pictures after the autoencoder"}
    assert 0 <= found["recognized"]["samples"]["both"][0] <= 1 and found["spread"] > 0


def test_a_sheet_that_cannot_be_written_is_refused_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Editor, "from_pretrained", lambda model: pytest.fail("it was loaded"))
    result = CliRunner().invoke(app, ["bench", "model", "--out", str(tmp_path / "samples.jpg")])
    assert result.exit_code == 2 and "PNG" in result.output
