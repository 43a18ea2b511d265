"""The UNet and the noise schedule that a recipe makes, what they are trained for, and a run from an autoencoder to a model."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import StableDiffusionPipeline
from torch import nn
from torch._dynamo.testing import CompileCounterWithBackend

from dragonkit import toybox
from dragonkit.testing.tiny import tiny_pipeline, tiny_recipe
from dragonkit.toybox.training import denoiser as denoiser_module
from dragonkit.toybox.training.autoencoder import adopt_autoencoder
from dragonkit.toybox.training.clock import Clock
from dragonkit.toybox.training.denoiser import Denoiser, build_scheduler, build_unet, denoising_loss, train_denoiser
from dragonkit.toybox.training.export import write_model
from dragonkit.toybox.training.recipe import RECIPES, Recipe
from dragonkit.toybox.training.text import build_text_encoder, build_tokenizer, token_ids

CPU = torch.device("cpu")


def test_attention_is_where_the_recipe_puts_it() -> None:
    unet = build_unet(tiny_recipe())
    assert [hasattr(block, "attentions") for block in unet.down_blocks] == [False, False, True, False]
    assert [hasattr(block, "attentions") for block in unet.up_blocks] == [False, True, True, True]
    attention = unet.up_blocks[1].attentions[0].transformer_blocks[0]
    assert attention.attn1.heads == 2
    assert attention.attn2.to_k.in_features == 16  # the words' width
    assert (unet.config.sample_size, unet.config.in_channels, unet.config.out_channels) == (8, 4, 4)


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=lambda recipe: recipe.name)
def test_the_schedule_is_stable_diffusions_and_ends_clean(recipe: Any) -> None:
    scheduler = build_scheduler(recipe)
    assert scheduler.config.prediction_type == recipe.unet.prediction_type
    assert scheduler.final_alpha_cumprod == 1
    assert scheduler.alphas_cumprod[0].item() == pytest.approx(1 - 0.00085)
    assert scheduler.alphas_cumprod[-1].item() == pytest.approx(0.0047, abs=1e-4)


class Oracle(nn.Module):
    """Knows the clean latents, so it can tell noise and velocity from the noisy ones; takes down what it is told."""

    def __init__(self, recipe: Recipe, clean: torch.Tensor):
        super().__init__()
        self.recipe, self.clean, self.alphas = recipe, clean, build_scheduler(recipe).alphas_cumprod

    def forward(self, noisy: torch.Tensor, timesteps: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        self.timesteps, self.ids = timesteps, ids
        alpha = self.alphas[timesteps].view(-1, 1, 1, 1)
        noise = (noisy - alpha.sqrt() * self.clean) / (1 - alpha).sqrt()
        return noise if self.recipe.unet.prediction_type == "epsilon" else (alpha.sqrt() * noisy - self.clean) / (1 - alpha).sqrt()


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
def test_who_knows_the_picture_has_no_loss(prediction_type: Any) -> None:
    recipe, clean = tiny_recipe(prediction_type), torch.randn(40, 4, 8, 8)
    oracle, empty = Oracle(recipe, clean), torch.zeros(1, 5, dtype=torch.long)
    ids = torch.ones(40, 5, dtype=torch.long)
    loss = denoising_loss(oracle, recipe, oracle.alphas, empty, clean, ids)
    assert loss.item() < 1e-4
    assert (oracle.timesteps.sort().values // 25).tolist() == list(range(40))  # one from each part of the schedule
    assert set(oracle.ids.flatten().tolist()) == {0, 1} and (oracle.ids == oracle.ids[:, :1]).all()  # a caption is there or it is not
    oracle.clean = clean + 0.1
    assert denoising_loss(oracle, recipe, oracle.alphas, empty, clean, ids).item() > 1e-3


def test_words_reach_the_unet(tiny_pipeline: Any) -> None:
    both, latents = Denoiser(tiny_pipeline.unet, tiny_pipeline.text_encoder), torch.randn(2, 4, 8, 8)
    ids = token_ids(tiny_pipeline.tokenizer, ["a red fish", "a blue tree"])
    with torch.no_grad():
        said, exchanged = both(latents, torch.tensor([500, 500]), ids), both(latents, torch.tensor([500, 500]), ids.flip(0))
        words = tiny_pipeline.text_encoder(ids).last_hidden_state
        assert torch.equal(said, tiny_pipeline.unet(latents, torch.tensor([500, 500]), words).sample)
    assert not torch.allclose(said, exchanged)


@pytest.mark.slow
def test_unet_and_text_encoder_compile_into_one_graph() -> None:
    recipe, graphs = tiny_recipe(), CompileCounterWithBackend("aot_eager")  # traced and differentiated, but no code is generated
    tokenizer = build_tokenizer(toybox.vocabulary(), recipe.text.length)
    both = Denoiser(build_unet(recipe), build_text_encoder(tokenizer, recipe.text.width, recipe.text.layers))
    predict, empty = torch.compile(both, dynamic=False, backend=graphs), token_ids(tokenizer, [""])
    for _ in range(2):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            clean, ids = torch.randn(4, 4, 8, 8), token_ids(tokenizer, ["a red fish"] * 4)
            loss = denoising_loss(predict, recipe, build_scheduler(recipe).alphas_cumprod, empty, clean, ids)
        loss.backward()
    assert graphs.frame_count == 1
    assert all(one.grad is not None for one in both.parameters())


def test_a_run_goes_on_from_a_finished_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(denoiser_module, "write_sheets", lambda *_: None)
    finished, recipe = tiny_pipeline(seed=4), tiny_recipe().lasting(0.05)
    write_model(finished, tmp_path / "model")
    run = tmp_path / "run"
    run.mkdir()
    adopt_autoencoder(recipe, tmp_path / "model", run)
    slow = recipe.model_copy(update={"unet": recipe.unet.model_copy(update={"learning_rate": 1e-6})})
    train_denoiser(slow, run, Clock(time.time()), tmp_path / "model", CPU)
    before, after = finished.unet.state_dict(), StableDiffusionPipeline.from_pretrained(run / "model").unet.state_dict()
    assert all(torch.allclose(after[name], value, atol=2e-3) for name, value in before.items())
    assert torch.load(run / "denoiser.pt")["step"] > 0

    other = recipe.model_copy(update={"text": recipe.text.model_copy(update={"width": 24})})
    with pytest.raises(ValueError, match="unet holds no UNet2DConditionModel"):
        train_denoiser(other, run, Clock(time.time()), tmp_path / "model", CPU)
