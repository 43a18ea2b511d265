"""Out: the pipeline folder in the ordinary diffusers format, and sheets of samples to look at."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from PIL import Image
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer


def build_pipeline(
    vae: AutoencoderKL, unet: UNet2DConditionModel, text_encoder: CLIPTextModel, tokenizer: CLIPTokenizer, scheduler: DDIMScheduler
) -> StableDiffusionPipeline:
    return StableDiffusionPipeline(
        vae=vae,
        unet=unet,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def write_model(pipeline: StableDiffusionPipeline, folder: Path) -> None:
    """Write the pipeline as fp16 safetensors; the modules in hand stay as they are."""
    half = {name: deepcopy(getattr(pipeline, name)).half() for name in ("vae", "unet", "text_encoder")}
    parts = {name: part for name, part in pipeline.components.items() if name not in half}
    StableDiffusionPipeline(**parts, **half, requires_safety_checker=False).save_pretrained(folder, safe_serialization=True)
    for config in folder.rglob("config.json"):
        values = json.loads(config.read_text())
        values.pop("_name_or_path", None)  # a path of the training machine
        if config.parent.name == "text_encoder":
            # told nothing, diffusers loads its parts in float32 but transformers in what this file says: the two must agree
            values["dtype"] = "float32"
        config.write_text(json.dumps(values, indent=2) + "\n")
    for weights in folder.rglob("*.safetensors"):
        weights.chmod(0o644)  # safetensors lets only the owner read


def contact_sheet(images: Tensor, columns: int = 8) -> Image.Image:
    """One picture of many: images (n, 3, h, w) in [-1, 1]."""
    count, _, height, width = images.shape
    rows = -(-count // columns)
    sheet = torch.ones(3, rows * height, columns * width)
    for number, image in enumerate(images.cpu().float().clamp(-1, 1)):
        y, x = divmod(number, columns)
        sheet[:, y * height : (y + 1) * height, x * width : (x + 1) * width] = image
    return Image.fromarray(((sheet + 1) * 127.5).round().byte().permute(1, 2, 0).numpy())


def sample_sheet(
    pipeline: StableDiffusionPipeline, prompts: list[str], steps: int = 30, guidance_scale: float = 2.0, seed: int = 0
) -> Image.Image:
    """One sample per prompt."""
    pipeline.set_progress_bar_config(disable=True)
    generator = torch.Generator().manual_seed(seed)
    images = pipeline(prompts, num_inference_steps=steps, guidance_scale=guidance_scale, generator=generator, output_type="pt").images
    return contact_sheet(images * 2 - 1)
