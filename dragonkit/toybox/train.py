"""Train the embedded model: `python -m dragonkit.toybox.train --config cpu64 --out runs/cpu64`.

Renders its own scenes, needs no download, runs on CPU and CUDA, and picks up where an earlier call with the same folder stopped.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import torch
import typer

from dragonkit import toybox
from dragonkit.toybox.training.autoencoder import build_autoencoder, reconstruction_psnr, refine_decoder, train_autoencoder
from dragonkit.toybox.training.data import HELD_OUT, Scenes, draw
from dragonkit.toybox.training.denoiser import Latents, build_scheduler, train_denoiser
from dragonkit.toybox.training.export import build_pipeline, contact_sheet, sample_sheet, write_model
from dragonkit.toybox.training.recipe import load_recipe
from dragonkit.toybox.training.text import build_text_encoder, build_tokenizer


def train(
    config: Annotated[str, typer.Option(help="A named recipe (cpu64, cpu32, gpu128) or a JSON file.")] = "cpu64",
    out: Annotated[Path, typer.Option(help="Folder for checkpoints, sheets and the finished model.")] = Path("runs/toybox"),
    minutes_scale: Annotated[float, typer.Option(help="Multiplies every stage's minutes: 0.02 is a dry run.")] = 1.0,
    threads: Annotated[int, typer.Option(help="CPU threads; 0 leaves torch's choice.")] = 0,
) -> None:
    """Train autoencoder, then UNet with text encoder, and write a diffusers folder to OUT/model."""
    try:
        recipe = load_recipe(config)
    except ValueError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
    if threads:
        torch.set_num_threads(threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.type == "cuda":
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.benchmark = True
    recipe = recipe.lasting(minutes_scale)
    out.mkdir(parents=True, exist_ok=True)
    (out / "recipe.json").write_text(recipe.model_dump_json(indent=2))
    torch.manual_seed(recipe.seed)
    begun = time.perf_counter()
    scenes = Scenes(recipe.size, recipe.pool, recipe.seed, device)
    print(f"{recipe.name} on {device}: scenes ready after {time.perf_counter() - begun:.0f} s", flush=True)

    vae_folder = out / "vae"
    if vae_folder.exists():
        vae = build_autoencoder(recipe).from_pretrained(vae_folder).to(device)
    else:
        vae = train_autoencoder(recipe, scenes, out, device)
        vae.save_pretrained(vae_folder)
    if recipe.autoencoder.decoder_minutes:
        refine_decoder(recipe, vae, scenes, out)
    vae.requires_grad_(False).eval()
    print(f"autoencoder: {reconstruction_psnr(vae, recipe.size, 512):.2f} dB on 512 held-out scenes, {_millions(vae)}", flush=True)
    images = draw(32, HELD_OUT, recipe.size)[0].to(device).float() / 127.5 - 1
    both = torch.stack([images, vae.decode(vae.encode(images).latent_dist.mean).sample], 1).flatten(0, 1)
    contact_sheet(both).save(out / "autoencoder.png")

    tokenizer = build_tokenizer(toybox.vocabulary(), recipe.text.length)
    text_encoder = build_text_encoder(tokenizer, recipe.text.width, recipe.text.layers)
    data = Latents(scenes, vae, tokenizer, out)
    prompts = draw(32, HELD_OUT, recipe.size)[1]

    def finish(unet) -> None:
        pipeline = build_pipeline(vae, unet, text_encoder, tokenizer, build_scheduler(recipe))
        write_model(pipeline, out / "model")
        sample_sheet(pipeline, prompts).save(out / "samples.png")

    unet, text_encoder = train_denoiser(recipe, data, text_encoder, out, device, finish)
    finish(unet)
    print(f"done after {(time.perf_counter() - begun) / 60:.1f} minutes: UNet {_millions(unet)}, text encoder {_millions(text_encoder)}")
    print(f"the model is in {out / 'model'}")


def _millions(module: torch.nn.Module) -> str:
    return f"{sum(parameter.numel() for parameter in module.parameters()) / 1e6:.2f} M parameters"


if __name__ == "__main__":
    typer.run(train)
