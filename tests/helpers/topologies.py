"""Pipelines of every shape that people have, with a few thousand random weights each: what differs is how the parts are built."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderTiny,
    DDIMScheduler,
    EulerAncestralDiscreteScheduler,
    LCMScheduler,
    PNDMScheduler,
    StableDiffusionImg2ImgPipeline,
    StableDiffusionInpaintPipeline,
    StableDiffusionPipeline,
    StableDiffusionXLImg2ImgPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from transformers import (
    CLIPImageProcessor,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
)

from dragonkit import toybox
from dragonkit.toybox.training.text import build_tokenizer

BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}
SIDE, CELLS = 32, 8
"""Pixels and latents a side."""


def scheduler(kind: Any = DDIMScheduler, **changes: Any) -> Any:
    return kind(**{**BETAS, **({"clip_sample": False} if kind is DDIMScheduler else {}), **changes})


@cache
def tokenizer() -> Any:
    return build_tokenizer(toybox.vocabulary(), 16)


def text_encoder(kind: Any = CLIPTextModel, width: int = 16) -> Any:
    words = tokenizer()
    config = CLIPTextConfig(
        vocab_size=len(words),
        hidden_size=width,
        intermediate_size=32,
        projection_dim=width,
        num_hidden_layers=2,
        num_attention_heads=1,
        max_position_embeddings=16,
        bos_token_id=words.bos_token_id,
        eos_token_id=words.eos_token_id,
        pad_token_id=words.pad_token_id,
    )
    return kind(config).eval()


def autoencoder(**changes: Any) -> AutoencoderKL:
    vae = AutoencoderKL(
        block_out_channels=(8, 8, 8),
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        latent_channels=4,
        norm_num_groups=4,
        sample_size=SIDE,
        scaling_factor=0.5,
        **changes,
    )
    with torch.no_grad():
        vae.quant_conv.weight *= 12  # fresh layers give next to nothing
    return vae.eval()


def tiny_autoencoder() -> AutoencoderTiny:
    widths = (8, 8, 8)
    made = AutoencoderTiny(
        encoder_block_out_channels=widths, decoder_block_out_channels=widths, num_encoder_blocks=(1, 1, 1), num_decoder_blocks=(1, 1, 1)
    )
    return made.eval()


def unet(blocks: int = 4, attention: tuple[bool, ...] | None = None, width: int = 16, **changes: Any) -> UNet2DConditionModel:
    """Down blocks finest first; `attention` says which have it, by default all but the coarsest."""
    attention = attention or (*[True] * (blocks - 1), False)
    down = tuple("CrossAttnDownBlock2D" if one else "DownBlock2D" for one in attention)
    up = tuple("CrossAttnUpBlock2D" if one else "UpBlock2D" for one in attention[::-1])
    values = {
        "sample_size": CELLS,
        "block_out_channels": (8,) * blocks,
        "layers_per_block": 1,
        "down_block_types": down,
        "up_block_types": up,
        "cross_attention_dim": width,
        "attention_head_dim": 2,
        "norm_num_groups": 4,
    }
    return UNet2DConditionModel(**{**values, **changes}).eval()


def _words(**changes: Any) -> dict[str, Any]:
    parts = {"text_encoder": text_encoder(), "tokenizer": tokenizer(), "safety_checker": None, "feature_extractor": None}
    return {**parts, "requires_safety_checker": False, **changes}


def sd15(kind: Any = StableDiffusionPipeline, **changes: Any) -> Any:
    return kind(**_words(**{"vae": autoencoder(), "unet": unet(), "scheduler": scheduler(PNDMScheduler, skip_prk_steps=True), **changes}))


def sd21(**changes: Any) -> Any:
    """Velocity, heads by block, linear projections."""
    network = unet(use_linear_projection=True, attention_head_dim=(1, 2, 2, 2), upcast_attention=True)
    return sd15(**{"unet": network, "scheduler": scheduler(prediction_type="v_prediction"), **changes})


def sdxl(kind: Any = StableDiffusionXLPipeline, **changes: Any) -> Any:
    """Three up blocks, of which the last has no attention; deeper transformers; two text encoders."""
    network = unet(
        3,
        (False, True, True),
        width=16 + 24,
        transformer_layers_per_block=(1, 1, 2),
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=4,
        projection_class_embeddings_input_dim=6 * 4 + 24,
    )
    parts = {
        "vae": autoencoder(force_upcast=True),
        "unet": network,
        "text_encoder": text_encoder(),
        "tokenizer": tokenizer(),
        "text_encoder_2": text_encoder(CLIPTextModelWithProjection, 24),
        "tokenizer_2": tokenizer(),
        "scheduler": scheduler(EulerAncestralDiscreteScheduler, timestep_spacing="leading"),
    }
    return kind(**{**parts, **changes}, add_watermarker=False) if kind is StableDiffusionXLPipeline else kind(**{**parts, **changes})


def ssd() -> Any:
    """A distilled XL: fewer layers, and none in the middle."""
    network = sdxl().unet
    config = {**network.config, "mid_block_type": None, "transformer_layers_per_block": 1}
    return sdxl(unet=UNet2DConditionModel.from_config(config).eval())


def turbo() -> Any:
    return sd21(scheduler=scheduler(EulerAncestralDiscreteScheduler, timestep_spacing="trailing"), unet=unet(use_linear_projection=True))


def lcm() -> Any:
    """Told the scale of guidance."""
    return sd15(unet=unet(time_cond_proj_dim=6), scheduler=LCMScheduler(**{name: BETAS[name] for name in ("beta_start", "beta_end")}))


def with_adapter(pipeline: Any) -> Any:
    """The pipeline with an IP-Adapter, through diffusers' own loader, and what reads pictures for it."""
    with torch.random.fork_rng():
        torch.manual_seed(5)
        reads = CLIPVisionConfig(
            hidden_size=16, intermediate_size=16, projection_dim=12, num_hidden_layers=1, num_attention_heads=1, image_size=16, patch_size=8
        )
        network, weights = pipeline.unet, dict[str, torch.Tensor]()
        width = network.config.cross_attention_dim
        layers = [network.get_submodule(name.removesuffix(".processor")) for name in network.attn_processors if ".attn2." in name]
        for number, layer in enumerate(layers):
            for part in ("to_k_ip", "to_v_ip"):
                weights[f"{2 * number + 1}.{part}.weight"] = torch.randn(layer.inner_dim, width)
        projection = {"proj.weight": torch.randn(4 * width, 12), "proj.bias": torch.zeros(4 * width)}
        projection |= {"norm.weight": torch.ones(width), "norm.bias": torch.zeros(width)}
        pipeline.register_modules(
            image_encoder=CLIPVisionModelWithProjection(reads).eval(),
            feature_extractor=CLIPImageProcessor(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16}),
        )
    pipeline.load_ip_adapter({"image_proj": projection, "ip_adapter": weights}, subfolder="", weight_name="")
    return pipeline


FULL: dict[str, dict[str, Any]] = {
    "sd15": {"block_out_channels": (32, 64, 128, 128), "attention_head_dim": 8},
    "sd21": {"block_out_channels": (32, 64, 128, 128), "attention_head_dim": (2, 4, 8, 8), "use_linear_projection": True},
    "sdxl": {
        "block_out_channels": (32, 64, 128),
        "attention_head_dim": (2, 4, 8),
        "transformer_layers_per_block": (1, 2, 10),
    },
}
"""The published networks, block by block and layer by layer, a tenth as wide."""


def full(name: str) -> Any:
    """A pipeline with the layers of the published model; its words are tiny."""
    values = {"layers_per_block": 2, "norm_num_groups": 32, "sample_size": 32, **FULL[name]}
    if name != "sdxl":
        return make(name, unet=unet(**values))
    added = {"addition_embed_type": "text_time", "addition_time_embed_dim": 4, "projection_class_embeddings_input_dim": 6 * 4 + 24}
    return make(name, unet=unet(3, (False, True, True), width=16 + 24, use_linear_projection=True, **added, **values))


TOPOLOGIES = {
    "sd15": sd15,
    "sd21": sd21,
    "sdxl": sdxl,
    "ssd": ssd,
    "turbo": turbo,
    "lcm": lcm,
    "tiny autoencoder": lambda: sd15(vae=tiny_autoencoder()),
    "two up blocks": lambda: sd15(unet=unet(2, (True, True))),
    "img2img": lambda: sd15(StableDiffusionImg2ImgPipeline),
    "inpaint": lambda: sd15(StableDiffusionInpaintPipeline),
    "xl img2img": lambda: sdxl(StableDiffusionXLImg2ImgPipeline),
}


def make(name: str, seed: int = 0, **parts: Any) -> Any:
    """A new pipeline of that shape; the caller's random state stays."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        pipeline = TOPOLOGIES[name](**parts)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline
