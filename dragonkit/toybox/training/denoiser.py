"""Stage two: the UNet and the text encoder, trained together on latents."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextModel

from dragonkit import toybox
from dragonkit.toybox.training.autoencoder import encode_mean
from dragonkit.toybox.training.clock import Clock
from dragonkit.toybox.training.data import Captioned
from dragonkit.toybox.training.export import build_pipeline, take_weights, write_model, write_sheets
from dragonkit.toybox.training.fit import fit
from dragonkit.toybox.training.recipe import Recipe
from dragonkit.toybox.training.text import build_text_encoder, build_tokenizer, token_ids

STAGE = "denoiser"
WRITING = 0.02
"""Share of the run's time that is kept for writing the model at its end."""


def build_unet(recipe: Recipe) -> UNet2DConditionModel:
    part = recipe.unet
    return UNet2DConditionModel(
        sample_size=recipe.cells,
        in_channels=recipe.autoencoder.latent_channels,
        out_channels=recipe.autoencoder.latent_channels,
        block_out_channels=part.channels,
        layers_per_block=part.layers,
        down_block_types=tuple("CrossAttnDownBlock2D" if attention else "DownBlock2D" for attention in part.attention),
        up_block_types=tuple("CrossAttnUpBlock2D" if attention else "UpBlock2D" for attention in part.decoder_attention),
        cross_attention_dim=recipe.text.width,
        attention_head_dim=part.heads,  # diffusers reads this as the number of heads
        norm_num_groups=part.groups,
    )


def build_scheduler(recipe: Recipe) -> DDIMScheduler:
    """Stable Diffusion's noise schedule. `set_alpha_to_one` ends the last step at the clean picture."""
    return DDIMScheduler(
        num_train_timesteps=1000,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=True,
        steps_offset=1,
        timestep_spacing="leading",
        prediction_type=recipe.unet.prediction_type,
    )


class Denoiser(nn.Module):
    """UNet and text encoder as one module, so that they are compiled, trained and averaged as one."""

    def __init__(self, unet: UNet2DConditionModel, text_encoder: CLIPTextModel):
        super().__init__()
        self.unet, self.text_encoder = unet, text_encoder

    def forward(self, noisy: Tensor, timesteps: Tensor, ids: Tensor) -> Tensor:
        """Noise or velocity (b, c, h, w) predicted from latents (b, c, h, w), timesteps (b,) and token ids (b, length)."""
        return self.unet(noisy, timesteps, self.text_encoder(ids).last_hidden_state, return_dict=False)[0]


def denoising_loss(
    predict: Callable[[Tensor, Tensor, Tensor], Tensor], recipe: Recipe, alphas: Tensor, empty: Tensor, clean: Tensor, ids: Tensor
) -> Tensor:
    """Mean squared error of the predicted noise or velocity, `recipe.unet.prediction_type`.

    A tenth of the captions is dropped so that classifier-free guidance works (Ho and Salimans, 2022).

    Args:
        predict: noisy latents, timesteps, token ids -> prediction, as `Denoiser` does.
        alphas: float32 (timesteps,), cumulative.
        empty: token ids (1, length) of no words.
        clean, ids: latents (b, c, h, w) float32 and token ids (b, length).
    """
    part, count, device = recipe.unet, len(clean), clean.device
    ids = torch.where(torch.rand(count, 1, device=device) < part.caption_dropout, empty, ids)
    # one timestep from each of `batch` equal parts of the schedule: the same distribution with less variance
    order = (torch.randperm(count, device=device) + torch.rand(count, device=device)) / count
    timesteps = (order * len(alphas)).long().clamp(max=len(alphas) - 1)
    noise, alpha = torch.randn_like(clean), alphas[timesteps].view(-1, 1, 1, 1)
    noisy = alpha.sqrt() * clean + (1 - alpha).sqrt() * noise
    target = noise if part.prediction_type == "epsilon" else alpha.sqrt() * noise - (1 - alpha).sqrt() * clean
    if recipe.channels_last:
        noisy = noisy.contiguous(memory_format=torch.channels_last)
    return (predict(noisy, timesteps, ids).float() - target).square().mean()


def train_denoiser(recipe: Recipe, folder: Path, clock: Clock, init: Path | None, device: torch.device) -> None:
    """Compile and draw scenes until `folder/vae` is there, then train UNet and text encoder for the rest of the time, and write
    `folder/model` and its sheets.

    Args:
        init: a finished model to go on from, instead of random weights.

    Raises:
        ValueError: the model in `init` is of another shape than the recipe's.
    """
    part, scheduler = recipe.unet, build_scheduler(recipe)
    torch.manual_seed(recipe.seed)
    tokenizer = build_tokenizer(toybox.vocabulary(), recipe.text.length)
    both = Denoiser(build_unet(recipe), build_text_encoder(tokenizer, recipe.text.width, recipe.text.layers))
    if init is not None:
        take_weights(both.unet, UNet2DConditionModel, init / "unet")
        take_weights(both.text_encoder, CLIPTextModel, init / "text_encoder")
    both = both.to(device).train()
    if recipe.channels_last:
        both.unet.to(memory_format=torch.channels_last)
    ids_of = partial(token_ids, tokenizer)
    alphas, empty = scheduler.alphas_cumprod.to(device), ids_of([""]).to(device)
    loss = partial(denoising_loss, torch.compile(both, dynamic=False) if recipe.compile else both, recipe, alphas, empty)
    precision = getattr(torch, recipe.precision)
    clock.say(STAGE, f"UNet {_millions(both.unet)}, text encoder {_millions(both.text_encoder)}")
    if recipe.compile:
        noise = torch.randn(part.batch, recipe.autoencoder.latent_channels, recipe.cells, recipe.cells, device=device)
        with torch.autocast(device.type, dtype=precision, enabled=precision != torch.float32):
            loss(noise, empty.expand(part.batch, -1)).backward()
        both.zero_grad(set_to_none=True)
        clock.say(STAGE, "compiled")

    scenes = Captioned(recipe.size, part.pool, part.batch, recipe.seed, ids_of, device)
    scenes.draw_while(lambda: clock.minutes < recipe.autoencoder.minutes + WRITING * recipe.minutes)
    clock.say(STAGE, f"{len(scenes.ids)} scenes drawn")
    vae = AutoencoderKL.from_pretrained(awaited(folder / "vae")).to(device).eval().requires_grad_(False)
    if recipe.channels_last:
        vae.to(memory_format=torch.channels_last)
    encode = torch.compile(encode_mean, dynamic=False) if recipe.compile else encode_mean
    fit(
        STAGE,
        both,
        lambda: loss(*scenes.batch(part.batch, partial(encode, vae))),
        seconds=clock.seconds_until(recipe.minutes * (1 - WRITING), recipe.minutes - recipe.autoencoder.minutes),
        batch=part.batch,
        learning_rate=part.learning_rate,
        folder=folder,
        precision=precision,
        ema_decay=part.ema,
        weight_decay=0.01,
    )
    pipeline = build_pipeline(vae, both.unet.eval(), both.text_encoder.eval(), tokenizer, scheduler)
    write_model(pipeline, folder / "model")
    write_sheets(pipeline, folder)


def awaited(path: Path) -> Path:
    """The path, once it is there. RuntimeError when the process that watches over this one is gone."""
    parent = multiprocessing.parent_process()
    while not path.exists():
        if parent is not None and not parent.is_alive():
            raise RuntimeError(f"{path} was not written, and the run that should have is over")
        time.sleep(0.2)
    return path


def _millions(module: nn.Module) -> str:
    return f"{sum(parameter.numel() for parameter in module.parameters()) / 1e6:.2f} M parameters"
