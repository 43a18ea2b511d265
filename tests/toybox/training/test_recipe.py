"""Recipes are plain values that survive JSON, and a bad one is refused with the file and the field."""

from __future__ import annotations

from pathlib import Path

import pytest
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from pydantic import ValidationError
from transformers import CLIPTextModel

from dragonkit import toybox
from dragonkit.models.embedded import TOYBOX
from dragonkit.testing.tiny import tiny_recipe
from dragonkit.toybox.training.autoencoder import build_autoencoder
from dragonkit.toybox.training.denoiser import build_scheduler, build_unet
from dragonkit.toybox.training.export import take_weights
from dragonkit.toybox.training.recipe import RECIPES, Recipe, load_recipe
from dragonkit.toybox.training.text import build_text_encoder, build_tokenizer


@pytest.mark.parametrize("recipe", [*RECIPES.values(), tiny_recipe("epsilon")], ids=lambda recipe: recipe.name)
def test_a_recipe_survives_json(recipe: Recipe, tmp_path: Path) -> None:
    path = tmp_path / "recipe.json"
    path.write_text(recipe.model_dump_json(indent=2))
    assert load_recipe(str(path)) == recipe


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=lambda recipe: recipe.name)
def test_named_recipes_make_four_blocks_on_whole_cells(recipe: Recipe) -> None:
    assert load_recipe(recipe.name) is recipe
    cells = recipe.size / 2 ** (len(recipe.autoencoder.channels) - 1)
    assert cells == int(cells) and cells % 2 ** (len(recipe.unet.channels) - 1) == 0
    assert all(width % recipe.unet.groups == 0 for width in recipe.unet.channels)
    assert all(width % 8 == 0 for width in recipe.autoencoder.channels)
    assert recipe.unet.decoder_attention[1:] == (True, True, True)  # the engine's keys and values come from there


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"is called 'cpu63'; .* gpu128, cpu32, tiny"):
        load_recipe("cpu63")


@pytest.mark.parametrize("text", ["hello", "{}", '{"name": "x", "size": "large"}'])
def test_a_file_that_is_no_recipe_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "recipe.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"recipe\.json is not a training recipe"):
        load_recipe(str(path))


def test_misspelled_fields_and_no_time_are_refused() -> None:
    values = tiny_recipe().model_dump()
    with pytest.raises(ValidationError, match="sise"):
        Recipe(**values, sise=3)
    with pytest.raises(ValidationError, match="greater than 0"):
        Recipe(**{**values, "minutes": 0})
    with pytest.raises(ValidationError, match=r"the autoencoder takes 0\.3 of 0\.2 minutes"):
        Recipe(**{**values, "minutes": 0.2})


def test_a_recipe_can_last_longer() -> None:
    recipe = RECIPES["gpu128"]
    longer = recipe.lasting(2)
    assert (longer.minutes, longer.autoencoder.minutes) == (2 * recipe.minutes, 2 * recipe.autoencoder.minutes)
    assert longer.lasting(1 / 2) == recipe


def test_the_embedded_model_has_the_shape_of_its_recipe() -> None:
    recipe = RECIPES["gpu128"]
    text = build_text_encoder(build_tokenizer(toybox.vocabulary(), recipe.text.length), recipe.text.width, recipe.text.layers)
    take_weights(build_autoencoder(recipe), AutoencoderKL, TOYBOX / "vae")
    take_weights(build_unet(recipe), UNet2DConditionModel, TOYBOX / "unet")
    take_weights(text, CLIPTextModel, TOYBOX / "text_encoder")
    shipped = DDIMScheduler.from_pretrained(TOYBOX / "scheduler").config
    assert {name: shipped[name] for name in ("prediction_type", "beta_start", "beta_end", "beta_schedule", "set_alpha_to_one")} == {
        name: build_scheduler(recipe).config[name]
        for name in ("prediction_type", "beta_start", "beta_end", "beta_schedule", "set_alpha_to_one")
    }


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=lambda recipe: recipe.name)
def test_named_recipes_make_models_small_enough_to_come_along(recipe: Recipe) -> None:
    unet, autoencoder = build_unet(recipe), build_autoencoder(recipe)
    text = build_text_encoder(build_tokenizer(toybox.vocabulary(), recipe.text.length), recipe.text.width, recipe.text.layers)
    counts = [network.num_parameters() for network in (unet, autoencoder, text)]
    assert counts[0] <= 16e6  # a CPU edits in well under a minute
    assert 2 * sum(counts) <= 40e6  # bytes in float16
