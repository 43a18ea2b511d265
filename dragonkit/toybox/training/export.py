"""Out: the pipeline folder in the ordinary diffusers format, and sheets to look at; and weights back in.

`python -m dragonkit.toybox.training.export MODEL FOLDER` writes the sheets of a finished model.
"""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from PIL import Image
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from dragonkit.files import replacing_folder, write_picture
from dragonkit.toybox.training.data import HELD_OUT, as_input, draw


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
    with replacing_folder(folder) as new:
        StableDiffusionPipeline(**parts, **half, requires_safety_checker=False).save_pretrained(new, safe_serialization=True)
        for config in new.rglob("config.json"):
            values = json.loads(config.read_text())
            values.pop("_name_or_path", None)  # a path of the training machine
            if config.parent.name == "text_encoder":
                # told nothing, diffusers loads its parts in float32 but transformers in what this file says: the two must agree
                values["dtype"] = "float32"
            config.write_text(json.dumps(values, indent=2) + "\n")
        for weights in new.rglob("*.safetensors"):
            weights.chmod(0o644)  # safetensors lets only the owner read


def take_weights(module: Any, kind: Any, folder: Path) -> None:
    """Load the weights of a part of a finished model, float32, into `module`, a `kind` of the same shape.

    Raises:
        ValueError: there is no such part, or it has another shape.
    """
    try:
        module.load_state_dict(kind.from_pretrained(folder, dtype=torch.float32).state_dict())
    except (OSError, RuntimeError) as error:
        raise ValueError(f"{folder} holds no {kind.__name__} of the recipe's shape: {str(error).strip().splitlines()[0]}") from error


def contact_sheet(images: Tensor, columns: int = 8) -> Image.Image:
    """One picture of many: images (n, 3, h, w) in [-1, 1]."""
    count, _, height, width = images.shape
    rows = -(-count // columns)
    sheet = torch.ones(3, rows * height, columns * width)
    for number, image in enumerate(images.cpu().float().clamp(-1, 1)):
        y, x = divmod(number, columns)
        sheet[:, y * height : (y + 1) * height, x * width : (x + 1) * width] = image
    return Image.fromarray(((sheet + 1) * 127.5).round().byte().permute(1, 2, 0).numpy())


def write_sheets(pipeline: StableDiffusionPipeline, folder: Path, count: int = 32, steps: int = 30) -> None:
    """Write what a model makes of scenes that it never saw.

    `folder/samples.png`: a sample for each of `count` captions, guidance scale 2, seed 0. `folder/autoencoder.png`: half as many scenes,
    each followed by its round trip through the autoencoder.
    """
    images, captions = draw(count, HELD_OUT, pipeline.vae.config.sample_size)
    pipeline.set_progress_bar_config(disable=True)
    samples = pipeline(
        captions, num_inference_steps=steps, guidance_scale=2.0, generator=torch.Generator().manual_seed(0), output_type="pt"
    ).images
    write_picture(folder / "samples.png", contact_sheet(samples * 2 - 1))
    scenes = as_input(images[: count // 2]).to(pipeline.vae.device)
    with torch.no_grad():
        back = pipeline.vae.decode(pipeline.vae.encode(scenes).latent_dist.mean).sample
    write_picture(folder / "autoencoder.png", contact_sheet(torch.stack([scenes, back], 1).flatten(0, 1)))


def export(
    model: Annotated[Path, typer.Argument(help="A finished model in diffusers' format.")],
    folder: Annotated[Path, typer.Argument(help="Where samples.png and autoencoder.png go.")],
) -> None:
    """Write the sheets of a finished model: samples, and round trips through its autoencoder."""
    write_sheets(StableDiffusionPipeline.from_pretrained(model), folder)


if __name__ == "__main__":
    typer.run(export)
