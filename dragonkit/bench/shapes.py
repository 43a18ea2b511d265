"""Networks as large as a public model's, with random weights: what they draw is noise, what it costs is not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from dragonkit.diffusion.stable_diffusion_xl import backbone_of
from dragonkit.editing.editor import Editor
from dragonkit.models.embedded import dragonkit_models
from dragonkit.plugins.card import ModelCard

__all__ = ["SHAPES"]

SD15_UNET = {"sample_size": 64, "cross_attention_dim": 768, "attention_head_dim": 8}
SD21_UNET = {"sample_size": 96, "cross_attention_dim": 1024, "attention_head_dim": (5, 10, 20, 20), "use_linear_projection": True}
SDXL_UNET = {
    "sample_size": 128,
    "block_out_channels": (320, 640, 1280),
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "transformer_layers_per_block": (1, 2, 10),
    "attention_head_dim": (5, 10, 20),
    "cross_attention_dim": 2048,
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
}


def _editor(card: str, device: str, dtype: torch.dtype, side: int, unet: Mapping[str, Any], velocity: bool = False) -> Editor:
    """With the settings of that card; the pipeline is SDXL's where the network is."""
    from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTextModelWithProjection

    from dragonkit.toybox.training.denoiser import build_scheduler
    from dragonkit.toybox.training.recipe import RECIPES

    torch.manual_seed(0)
    xl = "addition_embed_type" in unet
    with torch.device(device):  # drawn where they will be: a CPU takes a minute for it
        parts: dict[str, Any] = {"unet": UNet2DConditionModel(**unet), "vae": _autoencoder(side)}
        words = _words(1024 if unet["cross_attention_dim"] == 1024 else 768, 23 if velocity else 12)
        parts |= {"text_encoder": CLIPTextModel(words), "tokenizer": _tokenizer()}
        if xl:
            parts |= {"text_encoder_2": CLIPTextModelWithProjection(_words(1280, 32)), "tokenizer_2": _tokenizer()}
    parts["scheduler"] = build_scheduler(RECIPES["gpu128" if velocity else "cpu32"])  # Stable Diffusion's noise levels
    if xl:
        pipeline = StableDiffusionXLPipeline(**parts, add_watermarker=False)
    else:
        pipeline = StableDiffusionPipeline(**parts, safety_checker=None, feature_extractor=None, requires_safety_checker=False)
    for part in pipeline.components.values():
        if isinstance(part, nn.Module):
            nn.Module.to(part, device, dtype)  # diffusers' own `to` warns of layers to be kept in float32, even of none
    settings = next(one for one in dragonkit_models() if one.name == card).settings
    return Editor(backbone_of(pipeline), ModelCard(f"{card}-shape", "", "random weights", settings))


def _autoencoder(side: int) -> Any:
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        sample_size=side,
        latent_channels=4,
        block_out_channels=(128, 256, 512, 512),
        layers_per_block=2,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        force_upcast=False,
    )


def _words(width: int, layers: int) -> Any:
    from transformers import CLIPTextConfig

    return CLIPTextConfig(
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=layers,
        num_attention_heads=width // 64,
        projection_dim=width,
    )


def _tokenizer() -> Any:
    from dragonkit.toybox.sentences import vocabulary
    from dragonkit.toybox.training.text import build_tokenizer

    return build_tokenizer(vocabulary(), 77)


SHAPES: Mapping[str, Callable[[str, torch.dtype], Editor]] = {
    "sd15-shape": lambda device, dtype: _editor("sd15", device, dtype, 512, SD15_UNET),
    "sd21-shape": lambda device, dtype: _editor("sd21", device, dtype, 768, SD21_UNET, velocity=True),
    "sdxl-shape": lambda device, dtype: _editor("sdxl", device, dtype, 1024, SDXL_UNET),
}
"""By name, what makes an editor on a device and in a precision: Stable Diffusion 1.5 at 512 pixels, 2.1 at 768, XL at 1024."""
