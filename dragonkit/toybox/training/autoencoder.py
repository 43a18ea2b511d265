"""Stage one: an `AutoencoderKL` trained from scratch on pixels, its latents then turned and scaled to what can be seen of them."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import AutoencoderKL
from torch import Tensor

from dragonkit.files import replacing_folder
from dragonkit.toybox.training.clock import Clock
from dragonkit.toybox.training.data import HELD_OUT, Scenes, as_input, draw
from dragonkit.toybox.training.export import take_weights
from dragonkit.toybox.training.fit import fit
from dragonkit.toybox.training.recipe import Recipe

STAGE = "autoencoder"
SEEDS = 10_000_000
"""Where its scenes' seeds begin, counted from the recipe's: the UNet's begin there."""
MEASURED = 256
"""Held-out scenes for the figure in the log."""


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
        scaling_factor=1.0,  # `fold` gives the latents unit variance
    )


def train_autoencoder(recipe: Recipe, folder: Path, clock: Clock, device: torch.device) -> None:
    """Train until `recipe.autoencoder.minutes`, fold, and write `folder/vae`, float32."""
    part = recipe.autoencoder
    torch.manual_seed(recipe.seed)
    vae = build_autoencoder(recipe).to(device)
    if recipe.channels_last:
        vae = vae.to(memory_format=torch.channels_last)

    def reconstruct(images: Tensor) -> Tensor:
        posterior = vae.encode(images).latent_dist
        kl = 0.5 * (posterior.mean.float() ** 2 + posterior.var.float() - 1 - posterior.logvar.float()).mean()
        error = vae.decode(posterior.sample()).sample.float() - images
        return error.square().mean() + 0.05 * error.abs().mean() + part.kl_weight * kl

    compute = torch.compile(reconstruct, dynamic=False) if recipe.compile else reconstruct
    scenes = Scenes(recipe.size, part.pool, recipe.seed + SEEDS, device)
    clock.say(STAGE, f"{sum(p.numel() for p in vae.parameters()) / 1e6:.2f} M parameters, {part.pool} scenes drawn")
    precision = getattr(torch, recipe.precision)
    if recipe.compile:
        with torch.autocast(device.type, dtype=precision, enabled=precision != torch.float32):
            compute(scenes.batch(part.batch)).backward()
        vae.zero_grad(set_to_none=True)
        clock.say(STAGE, "compiled")
    fit(
        STAGE,
        vae,
        lambda: compute(scenes.batch(part.batch)),
        seconds=clock.seconds_until(part.minutes, part.minutes),
        batch=part.batch,
        learning_rate=part.learning_rate,
        folder=folder,
        precision=precision,
        ema_decay=part.ema,
    )
    vae = vae.eval().requires_grad_(False)
    fold(vae, as_input(draw(2 * MEASURED, recipe.seed, recipe.size, device)[0]))
    clock.say(STAGE, f"{reconstruction_psnr(vae, recipe.size, MEASURED):.2f} dB on {MEASURED} held-out scenes")
    _write(vae, folder)


def adopt_autoencoder(recipe: Recipe, model: Path, folder: Path) -> None:
    """Write the autoencoder of a finished model to `folder/vae`, as `train_autoencoder` would have. ValueError for another shape."""
    vae = build_autoencoder(recipe)
    take_weights(vae, AutoencoderKL, model / "vae")
    _write(vae, folder)


def _write(vae: AutoencoderKL, folder: Path) -> None:
    with replacing_folder(folder / "vae") as new:  # the other process waits for a folder that is complete
        vae.to(memory_format=torch.contiguous_format).save_pretrained(new)


@torch.no_grad()
def encode_mean(vae: AutoencoderKL, images: Tensor) -> Tensor:
    """Latents (b, c, h, w) of images (b, 3, H, W) in [-1, 1]: the posterior's mean."""
    return vae.encode(images).latent_dist.mean


@torch.no_grad()
def fold(vae: AutoencoderKL, images: Tensor) -> None:
    """Turn and scale the latents so that noise shows equally in every direction, without changing what the autoencoder does.

    New latents are M (z - mean), where M^T M is proportional to the visible metric G of `visibility`: an error of a given length is then as
    large a change of the picture whatever its direction, and a denoiser's squared error counts what can be seen. The mean of the
    channels' variances is one. M and its inverse go into the 1x1 convolutions on either side of the latents.

    Args:
        images: (n, 3, h, w) in [-1, 1], for the statistics.
    """
    latents = torch.cat([encode_mean(vae, part) for part in images.split(64)]).double()
    channels = latents.shape[1]
    flat = latents.transpose(0, 1).reshape(channels, -1)
    mean, spread = flat.mean(1), torch.cov(flat)
    root = visibility(vae, images[:64], 0.3 * flat.std(1).mean().item()).double()
    forward = root * (root @ spread @ root.T).diagonal().mean().rsqrt()
    backward = torch.linalg.inv(forward)

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
def visibility(vae: AutoencoderKL, images: Tensor, step: float) -> Tensor:
    """How much of the picture each direction of latent space decides.

    The picture's squared change for a small white pattern along a direction v is proportional to v^T G v. Directions are very unlike in
    this: in the embedded model's autoencoder the most visible one shows 50 times as much as the least visible one.

    Args:
        images: (n, 3, h, w) in [-1, 1], at which the decoder is looked at.
        step: size of the pattern, in units of the latents.

    Returns:
        The square root of G, (c, c), symmetric; its eigenvalues have a mean of 1, and none is below a thousandth of the largest.
    """
    latents = encode_mean(vae, images)
    before, pattern = vae.decode(latents).sample, step * torch.randn_like(latents[:, :1])
    directions = torch.eye(latents.shape[1], device=latents.device)[:, None, :, None, None]
    changes = torch.stack([vae.decode(latents + one * pattern).sample - before for one in directions]).flatten(1).double()
    values, vectors = torch.linalg.eigh(changes @ changes.T)
    roots = values.clamp(min=1e-6 * values.max().item()).sqrt()
    return (vectors @ torch.diag(roots / roots.mean()) @ vectors.T).to(latents)


@torch.no_grad()
def reconstruction_psnr(vae: AutoencoderKL, size: int, count: int) -> float:
    """PSNR in dB (peak 255) of the round trip of `count` held-out scenes: one figure over all their pixels."""
    device = next(vae.parameters()).device
    images = as_input(draw(count, HELD_OUT, size, device)[0])
    errors = [(vae.decode(encode_mean(vae, part)).sample.clamp(-1, 1) - part).square().mean(dim=(1, 2, 3)) for part in images.split(32)]
    return (10 * torch.log10(4 / torch.cat(errors).mean())).item()
