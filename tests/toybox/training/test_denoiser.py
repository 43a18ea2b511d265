"""The UNet and the noise schedule that a recipe makes, and the latents it is trained on."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from dragonkit.testing.tiny import tiny_recipe
from dragonkit.toybox.training.autoencoder import encode_mean
from dragonkit.toybox.training.data import Scenes
from dragonkit.toybox.training.denoiser import Latents, build_scheduler, build_unet
from dragonkit.toybox.training.recipe import RECIPES
from dragonkit.toybox.training.text import token_ids


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


@pytest.mark.parametrize("pool", [0, 6])
def test_batches_pair_latents_with_their_captions(tiny_pipeline: Any, tmp_path: Path, pool: int) -> None:
    vae, tokenizer = tiny_pipeline.vae, tiny_pipeline.tokenizer
    with torch.no_grad():
        latents, ids = Latents(Scenes(32, pool, 0, torch.device("cpu")), vae, tokenizer, tmp_path).batch(5)
        images, texts = Scenes(32, pool, 0, torch.device("cpu")).batch(5)
        expected = encode_mean(vae, images)
    assert latents.dtype == torch.float32
    assert torch.allclose(latents, expected, atol=2e-2 if pool else 1e-5)  # a pool is kept in half precision
    assert torch.equal(ids, token_ids(tokenizer, texts))
    assert (tmp_path / "latents.pt").exists() == bool(pool)


def test_a_pool_is_encoded_once(tiny_pipeline: Any, tmp_path: Path) -> None:
    scenes = Scenes(32, 6, 0, torch.device("cpu"))
    Latents(scenes, tiny_pipeline.vae.requires_grad_(False), tiny_pipeline.tokenizer, tmp_path)

    def encode(_: Any) -> None:
        raise AssertionError("encoded again")

    Latents(scenes, SimpleNamespace(encode=encode), tiny_pipeline.tokenizer, tmp_path)
