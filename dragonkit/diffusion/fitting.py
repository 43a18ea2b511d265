"""Which of diffusers' pipelines fit the engine, told in one sentence where one does not: by their parts, not by their names."""

from __future__ import annotations

from typing import Any

from diffusers import UNet2DConditionModel

from dragonkit.diffusion.image_prompt import has_adapter
from dragonkit.errors import UnsupportedModelError

__all__ = ["is_xl", "refuse_pipeline"]

_OPTIONS = {
    "class_embed_type": None,
    "num_class_embeds": None,
    "attention_type": "default",
    "only_cross_attention": False,
}
"""Options of a UNet that ask for inputs which edits have not, and what they are where they ask for nothing."""


def is_xl(pipeline: Any) -> bool:
    """Whether it is of Stable Diffusion XL's shape, whose UNet is told sizes and a summary of the words as well."""
    unet = getattr(pipeline, "unet", None)
    return unet is not None and unet.config.get("addition_embed_type") == "text_time"


def refuse_pipeline(pipeline: Any) -> None:
    """Refuse what would be ignored, or would fail later. It takes next to no time, so that it may be asked before every call.

    Raises:
        UnsupportedModelError: the pipeline does not fit.
    """
    kind = type(pipeline).__name__
    if getattr(pipeline, "transformer", None) is not None and getattr(pipeline, "unet", None) is None:
        raise UnsupportedModelError(
            f"a {kind} works with a {type(pipeline.transformer).__name__}, and only UNets are edited with; give a model of the kind of "
            "Stable Diffusion 1, 2 or XL"
        )
    xl = is_xl(pipeline)
    parts = ("vae", "unet", "text_encoder", "tokenizer", *(("text_encoder_2", "tokenizer_2") if xl else ()), "scheduler")
    missing = [part for part in parts if getattr(pipeline, part, None) is None]
    if missing:
        refiner = "; a refiner is not enough" if xl and "text_encoder" in missing else ""
        raise UnsupportedModelError(f"a {kind} has no {', '.join(missing)}; give a pipeline of Stable Diffusion's shape{refiner}")
    for part in ("controlnet", "adapter"):
        if getattr(pipeline, part, None) is not None:
            raise UnsupportedModelError(
                f"the pipeline has a {part}, which edits would ignore; give one without, "
                "such as StableDiffusionPipeline.from_pipe(pipeline)"
            )
    prediction_type = pipeline.scheduler.config.get("prediction_type", "epsilon")
    if prediction_type not in ("epsilon", "v_prediction"):
        raise UnsupportedModelError(
            f"the scheduler's prediction_type is {prediction_type!r}; dragonkit works with epsilon and v_prediction models"
        )
    _refuse_unet(unet := getattr(pipeline.unet, "_orig_mod", pipeline.unet))  # of a compiled one
    if has_adapter(unet) and (getattr(pipeline, "image_encoder", None) is None or getattr(pipeline, "feature_extractor", None) is None):
        raise UnsupportedModelError(
            "the pipeline has an IP-Adapter, but nothing that reads a picture for it; load its image_encoder and a feature_extractor as "
            "well, or take the adapter off with pipeline.unload_ip_adapter()"
        )
    _refuse_mismatch(pipeline, xl)


def _refuse_unet(unet: Any) -> None:
    config = unet.config
    if not isinstance(unet, UNet2DConditionModel):
        raise UnsupportedModelError(f"the unet is a {type(unet).__name__}; only a UNet2DConditionModel is edited with, give such a model")
    if len(unet.up_blocks) < 2 or config.in_channels != config.out_channels:
        raise UnsupportedModelError(
            f"the UNet takes {config.in_channels} channels, gives {config.out_channels} and has {len(unet.up_blocks)} up blocks; "
            "inpainting and one-block models do not fit, give a text-to-image model"
        )
    if config.get("encoder_hid_dim_type") is not None and not has_adapter(unet):
        raise UnsupportedModelError(
            f"the UNet's encoder_hid_dim_type is {config.encoder_hid_dim_type!r}, which asks for more than words; give a model of the kind "
            "of Stable Diffusion 1, 2 or XL"
        )
    if config.get("addition_embed_type") not in (None, "text_time"):
        raise UnsupportedModelError(
            f"the UNet's addition_embed_type is {config.addition_embed_type!r}, which asks for more than words; give a model of the kind "
            "of Stable Diffusion 1, 2 or XL"
        )
    for option, plain in _OPTIONS.items():
        value = config.get(option, plain)
        if value != plain and value is not False and not (isinstance(value, (list, tuple)) and not any(value)):
            raise UnsupportedModelError(
                f"the UNet's {option} is {value!r}, which asks for more than words; give a model of the kind of Stable Diffusion 1, 2 or XL"
            )


def _refuse_mismatch(pipeline: Any, xl: bool) -> None:
    """Parts of different models."""
    unet, text = pipeline.unet.config, pipeline.text_encoder.config
    latents, width = (
        pipeline.vae.config.get("latent_channels"),
        text.hidden_size + (pipeline.text_encoder_2.config.hidden_size if xl else 0),
    )
    advice = "these are parts of different models, give those that belong together"
    if latents != unet.in_channels:
        raise UnsupportedModelError(f"the autoencoder makes latents of {latents} channels, but the UNet takes {unet.in_channels}; {advice}")
    if isinstance(unet.cross_attention_dim, int) and width != unet.cross_attention_dim:
        raise UnsupportedModelError(f"the words' features are {width} wide, but the UNet takes {unet.cross_attention_dim}; {advice}")
    if xl:
        told = 6 * unet.addition_time_embed_dim + pipeline.text_encoder_2.config.projection_dim
        if told != unet.projection_class_embeddings_input_dim:
            raise UnsupportedModelError(
                f"sizes and a summary of the words are {told} numbers, but the UNet takes {unet.projection_class_embeddings_input_dim}; "
                "give a base model of SDXL, not a refiner"
            )
