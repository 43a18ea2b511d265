"""Stage one: an `AutoencoderKL` trained from scratch on pixels, its latents then whitened."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import AutoencoderKL
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from dragonkit.toybox.training.data import HELD_OUT, Scenes, draw
from dragonkit.toybox.training.fit import fit
from dragonkit.toybox.training.recipe import Recipe


def build_autoencoder(recipe: Recipe) -> AutoencoderKL:
    part = recipe.autoencoder
    levels = len(part.channels)
    return AutoencoderKL(
        sample_size=recipe.size,
        latent_channels=part.latent_channels,
        block_out_channels=part.channels,
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        layers_per_block=part.layers,
        norm_num_groups=8,
        mid_block_add_attention=False,
        scaling_factor=1.0,  # whitening gives the latents unit variance
    )


def train_autoencoder(recipe: Recipe, scenes: Scenes, folder: Path, device: torch.device) -> AutoencoderKL:
    """Train with squared and absolute error and a whisper of KL, then fold the whitening of the latents into its 1x1 convolutions."""
    part = recipe.autoencoder
    vae = build_autoencoder(recipe).to(device)
    if recipe.channels_last:
        vae = vae.to(memory_format=torch.channels_last)
    encode, decode = (torch.compile(vae.encode), torch.compile(vae.decode)) if recipe.compile else (vae.encode, vae.decode)

    def loss() -> Tensor:
        images, _ = scenes.batch(part.batch)
        posterior = encode(images).latent_dist
        reconstruction = decode(posterior.sample()).sample
        error = (reconstruction.float() - images).abs()
        kl = 0.5 * (posterior.mean.float() ** 2 + posterior.var.float() - 1 - posterior.logvar.float()).mean()
        return error.square().mean() + 0.05 * error.mean() + part.kl_weight * kl

    fit(
        "autoencoder",
        vae,
        loss,
        minutes=part.minutes,
        batch=part.batch,
        learning_rate=part.learning_rate,
        folder=folder,
        device=device,
        precision=getattr(torch, recipe.precision),
        flops_per_image=3 * flops(vae, torch.zeros(1, 3, recipe.size, recipe.size, device=device)),
        ema_decay=0.995,
        on_save=lambda: print(f"autoencoder: {reconstruction_psnr(vae, recipe.size, 128):.2f} dB on held-out scenes", flush=True),
    )
    whiten(vae, scenes)
    return vae


def flops(module, *inputs: Tensor) -> int:
    """Floating-point operations of one forward call."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module(*inputs)
    return counter.get_total_flops()


@torch.no_grad()
def encode_mean(vae: AutoencoderKL, images: Tensor) -> Tensor:
    """Latents (b, c, h, w) of images (b, 3, H, W) in [-1, 1]: the posterior's mean."""
    return vae.encode(images).latent_dist.mean


@torch.no_grad()
def whiten(vae: AutoencoderKL, scenes: Scenes, count: int = 1024) -> None:
    """Give the latents zero mean, unit variance and no correlation between channels, without changing what the autoencoder does.

    The affine map and its inverse are folded into the 1x1 convolutions on either side of the latents. A diffusion model starts from
    white noise, so this is the nearest start its data can have.
    """
    latents = torch.cat([encode_mean(vae, scenes.batch(64)[0]) for _ in range(max(1, count // 64))]).double()
    channels = latents.shape[1]
    flat = latents.transpose(0, 1).reshape(channels, -1)
    mean = flat.mean(1)
    values, vectors = torch.linalg.eigh(torch.cov(flat))
    forward = vectors @ torch.diag(values.clamp(min=1e-8).rsqrt()) @ vectors.T
    backward = vectors @ torch.diag(values.clamp(min=1e-8).sqrt()) @ vectors.T

    quant, post = vae.quant_conv, vae.post_quant_conv
    weight, bias = quant.weight[:, :, 0, 0].double(), quant.bias.double()
    quant.weight[:channels, :, 0, 0] = (forward @ weight[:channels]).to(quant.weight)
    quant.bias[:channels] = (forward @ (bias[:channels] - mean)).to(quant.bias)
    weight = post.weight[:, :, 0, 0].double()
    post.bias += (weight @ mean).to(post.bias)
    post.weight[:, :, 0, 0] = (weight @ backward).to(post.weight)
    quant.weight[channels:] = 0  # the spread around the mean would need a full covariance now; say "none" instead of something wrong
    quant.bias[channels:] = -30.0


@torch.no_grad()
def reconstruction_psnr(vae: AutoencoderKL, size: int, count: int) -> float:
    """PSNR in dB (peak 255) of the round trip of `count` held-out scenes: one figure over all their pixels."""
    device = next(vae.parameters()).device
    images = draw(count, HELD_OUT, size)[0].to(device).float() / 127.5 - 1
    errors = [(vae.decode(encode_mean(vae, part)).sample.clamp(-1, 1) - part).square().mean(dim=(1, 2, 3)) for part in images.split(32)]
    return (10 * torch.log10(4 / torch.cat(errors).mean())).item()
