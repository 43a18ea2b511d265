"""A Stable Diffusion pipeline of a few thousand random weights: it knows nothing, but goes the whole way in milliseconds."""

from __future__ import annotations

from typing import Literal

import torch
from diffusers import StableDiffusionPipeline

from dragonkit import toybox
from dragonkit.toybox.training.autoencoder import build_autoencoder
from dragonkit.toybox.training.denoiser import build_scheduler, build_unet
from dragonkit.toybox.training.export import build_pipeline
from dragonkit.toybox.training.recipe import RECIPES, Recipe
from dragonkit.toybox.training.text import build_text_encoder, build_tokenizer

__all__ = ["PredictionType", "tiny_pipeline", "tiny_recipe"]

PredictionType = Literal["epsilon", "v_prediction"]


def tiny_recipe(prediction_type: PredictionType = "v_prediction") -> Recipe:
    """Pictures of 32 pixels, latents of 8x8 cells with 4 channels, four up blocks with attention in the last three."""
    recipe = RECIPES["tiny"]
    return recipe.model_copy(update={"unet": recipe.unet.model_copy(update={"prediction_type": prediction_type})})


def tiny_pipeline(
    prediction_type: PredictionType = "v_prediction", dtype: torch.dtype = torch.float32, seed: int = 0
) -> StableDiffusionPipeline:
    """A new pipeline on the CPU: pictures of 32 pixels a side or a multiple, latents a quarter of that with 4 channels.

    The same seed gives the same weights, whatever the type; latents and pictures spread about as widely as a trained model's.

    Args:
        prediction_type: what the UNet predicts, "epsilon" or "v_prediction".
        dtype: of the weights; float64 for finite differences.
        seed: of the weights. The random state of the caller is left alone.
    """
    recipe = tiny_recipe(prediction_type)
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(seed)
        tokenizer = build_tokenizer(toybox.vocabulary(), recipe.text.length)
        text_encoder = build_text_encoder(tokenizer, recipe.text.width, recipe.text.layers)
        vae, unet = build_autoencoder(recipe), build_unet(recipe)
        # fresh layers give latents of a sixth of unit spread, which would make every picture look alike
        vae.quant_conv.weight *= 12
        vae.register_to_config(scaling_factor=0.5)
        unet.conv_out.weight *= 2
    for module in (vae, unet, text_encoder):
        if dtype != torch.float32:
            module.to(dtype)
        module.eval()
    return build_pipeline(vae, unet, text_encoder, tokenizer, build_scheduler(recipe))
