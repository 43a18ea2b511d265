"""The engine does not care what a model is: a flow-matching transformer inverts, generates and edits like Stable Diffusion."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from helpers.straight_flow import CARD, StraightFlow, StraightPaths
from PIL import Image

from dragonkit.diffusion.backbone import Backbone
from dragonkit.diffusion.schedule import Schedule
from dragonkit.editing.editor import Editor
from dragonkit.edits.edit import Edit
from dragonkit.edits.settings import Settings
from dragonkit.errors import EditError
from dragonkit.modes.appearance import Appearance
from dragonkit.modes.drag import Drag
from dragonkit.modes.move import Move
from dragonkit.plugins.card import ModelCard
from dragonkit.plugins.registry import PluginRegistry
from dragonkit.plugins.specs import hookimpl

WIDTH, HEIGHT = 48, 32


def picture() -> Image.Image:
    pixels = np.full((HEIGHT, WIDTH, 3), (40, 90, 160), np.uint8)
    pixels[8:20, 6:18] = (230, 60, 30)
    pixels[22:28, 30:44] = (60, 220, 90)
    return Image.fromarray(pixels)


def box(left: int, top: int, side: int = 12) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[top : top + side, left : left + side] = True
    return mask


MOVE = Move(mask=box(6, 8), shift=(16, 2))
EDITS: dict[str, Edit] = {
    "move": MOVE,
    "drag": Drag(points=(((12.0, 14.0), (20.0, 16.0)),)),
    "appearance": Appearance(mask=box(6, 8), reference=picture(), reference_mask=box(31, 21, 8)),
}


@pytest.fixture
def editor() -> Editor:
    return Editor(StraightFlow(), CARD, PluginRegistry(discover=False))


# --- the model ----------------------------------------------------------------------------------------------------------


def test_it_is_a_backbone_of_another_shape() -> None:
    flow = StraightFlow()
    assert isinstance(flow, Backbone) and isinstance(flow.schedule(3, (32, 32)), Schedule)
    assert 2000 < sum(part.numel() for part in flow.network.parameters()) < 10_000
    assert flow.feature_layers == ("block.0", "block.1", "block.2")


@pytest.mark.parametrize("level", [1, 4, 10])
def test_straight_paths_keep_the_laws_of_a_schedule(level: int) -> None:
    schedule = StraightPaths(10, (48, 32))
    clean, noise, fresh = torch.randn(3, 1, 3, 4, 4, dtype=torch.float64)
    noisy = schedule.add_noise(clean, noise, level)
    assert torch.allclose(schedule.noise_in(noisy, clean, level), noise)
    assert torch.allclose(schedule.predict_clean(noisy, noise, level), clean)
    assert torch.allclose(schedule.move(noisy, noise, level, level - 1), schedule.add_noise(clean, noise, level - 1))
    assert torch.allclose(schedule.noisy_step(clean, noise, level, 0.0, fresh), schedule.add_noise(clean, noise, level - 1))
    coefficients = [
        schedule.noisy_step(torch.zeros(1), torch.full((1,), a), level, 1.0, torch.full((1,), b)).item() for a, b in ((1, 0), (0, 1))
    ]
    assert sum(part**2 for part in coefficients) == pytest.approx(schedule.time(level - 1) ** 2 if level > 1 else 0, abs=1e-6)


# --- the whole way ------------------------------------------------------------------------------------------------------


def test_a_picture_goes_to_noise_and_back(editor: Editor) -> None:
    once, often = (editor.invert(picture(), "a fish", Settings(inversion_iterations=count)) for count in (1, 40))
    assert once.trajectory.shape == (6, 3, 8, 12)
    assert once.reconstruction_psnr and often.reconstruction_psnr and often.autoencoder_psnr
    assert often.reconstruction_psnr == pytest.approx(often.autoencoder_psnr, abs=0.1)
    assert once.reconstruction_psnr < often.reconstruction_psnr - 0.3


@pytest.mark.parametrize("preset", ["default", "paper", "reference"])
@pytest.mark.parametrize("mode", EDITS)
def test_an_edit_runs_and_keeps_the_rest(editor: Editor, mode: str, preset: str) -> None:
    seen: list[float] = []
    settings = Settings.preset(preset, steps=5)
    result = editor.edit(picture(), EDITS[mode], settings, prompt="a fish", on_step=lambda step: seen.append(step.time))
    assert result.image.size == (WIDTH, HEIGHT)
    assert seen == sorted(seen, reverse=True) and 0 < seen[-1] < seen[0] < 1
    assert [step.time for step in result.report.steps] == seen
    changed = (np.asarray(result.image) != np.asarray(picture())).any(-1)
    assert changed.any()
    if preset == "default":  # what is known is held, and steps whose outcome is given are not done
        assert not changed[result.region == 0].any()
    else:
        assert any(step.energies for step in result.report.steps)
    assert np.array_equal(np.asarray(editor.run(result.edit_file).image), np.asarray(result.image))


def test_energies_and_attention_act(editor: Editor) -> None:
    source = editor.invert(picture(), "a fish")

    def run(**settings: Any) -> Any:
        return editor.edit(source, MOVE, Settings(hold=0.0, keep="energy", **settings))

    plain, guided, own = run(energy_scale=0.0), run(energy_scale=0.1), run(energy_scale=0.0, attention=False)
    assert (np.asarray(plain.image) != np.asarray(guided.image)).any()
    assert (np.asarray(plain.image) != np.asarray(own.image)).any()


def test_words_become_a_picture_that_can_be_edited(editor: Editor) -> None:
    source, other = (editor.generate(words, 3, Settings(guidance_scale=2.0)) for words in ("a fish", "a boat"))
    assert source.trajectory.shape == (6, 3, 8, 8) and source.size == (32, 32)
    assert not np.array_equal(source.pixels, other.pixels)
    mask = np.zeros((32, 32), bool)
    mask[4:12, 4:12] = True
    result = editor.edit(source, Move(mask=mask, shift=(12, 8)))
    assert (np.asarray(result.image) != source.pixels).any()


def test_a_layer_that_the_model_lacks_is_refused_before_anything_slow() -> None:
    editor = Editor(StraightFlow(), ModelCard("straight", "seed 0"), PluginRegistry(discover=False))
    for refused in (
        lambda: editor.edit(picture(), MOVE),
        lambda: editor.invert(picture()),
        lambda: editor.generate("a fish", settings=Settings(layers=("block.1", "up.1"))),
    ):
        with pytest.raises(EditError, match=r"the model has no layer 'up\.1'\..* Its layers: block\.0, block\.1, block\.2\."):
            refused()
    assert editor.backbone.calls == 0
    with pytest.raises(EditError, match=r"no layer 'block\.3'\. Did you mean 'block\.[012]'\?"):
        editor.settings(Settings(layers=("block.3",)))


def test_a_plugin_brings_the_family(editor: Editor) -> None:
    class Straight:
        @hookimpl
        def dragonkit_models(self) -> list[ModelCard]:
            return [CARD]

    registry = PluginRegistry(discover=False)
    registry.register(Straight())
    loaded = Editor.from_pretrained("straight", "cpu", torch.float32, registry)
    assert isinstance(loaded.backbone, StraightFlow) and loaded.card is CARD
    assert loaded.settings().layers == ("block.1", "block.2")
    images = [np.asarray(one.edit(picture(), MOVE, prompt="a fish").image) for one in (loaded, editor)]
    assert np.array_equal(*images)
