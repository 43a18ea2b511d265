"""Stage one: an `AutoencoderKL` trained from scratch on pixels, its latents then whitened."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn
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
        kl = 0.5 * (posterior.mean.float() ** 2 + posterior.var.float() - 1 - posterior.logvar.float()).mean()
        return _pixel_loss(decode(posterior.sample()).sample, images) + part.kl_weight * kl

    blank = torch.zeros(1, 3, recipe.size, recipe.size, device=device)
    _fit("autoencoder", vae, loss, part.minutes, part.learning_rate, flops(vae, blank), recipe, vae, folder)
    whiten(vae, scenes)
    return vae


def refine_decoder(recipe: Recipe, vae: AutoencoderKL, scenes: Scenes, folder: Path) -> None:
    """Train the decoder alone for `decoder_minutes` more. The latents stay what they are, so a denoiser trained on them stays good."""
    part = recipe.autoencoder
    decoder = nn.ModuleDict({"post_quant_conv": vae.post_quant_conv, "decoder": vae.decoder}).requires_grad_()
    decode = torch.compile(vae.decode) if recipe.compile else vae.decode

    def loss() -> Tensor:
        images, _ = scenes.batch(part.batch)
        return _pixel_loss(decode(encode_mean(vae, images)).sample, images)

    latents = encode_mean(vae, scenes.batch(1)[0])
    _fit("decoder", decoder, loss, part.decoder_minutes, part.learning_rate / 2, flops(vae.decode, latents), recipe, vae, folder)


def _pixel_loss(reconstruction: Tensor, images: Tensor) -> Tensor:
    error = (reconstruction.float() - images).abs()
    return error.square().mean() + 0.05 * error.mean()


def _fit(
    stage: str,
    module: nn.Module,
    loss: Callable[[], Tensor],
    minutes: float,
    learning_rate: float,
    forward_flops: int,
    recipe: Recipe,
    vae: AutoencoderKL,
    folder: Path,
) -> None:
    fit(
        stage,
        module,
        loss,
        minutes=minutes,
        batch=recipe.autoencoder.batch,
        learning_rate=learning_rate,
        folder=folder,
        device=vae.device,
        precision=getattr(torch, recipe.precision),
        flops_per_image=3 * forward_flops,
        ema_decay=0.995,
        on_save=lambda: print(f"{stage}: {reconstruction_psnr(vae, recipe.size, 128):.2f} dB on held-out scenes", flush=True),
    )


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
def visibility(vae: AutoencoderKL, images: Tensor, step: float = 0.3) -> Tensor:
    """How much of the picture each direction of latent space decides.

    The picture's squared change for a small white pattern along a direction v is proportional to v^T G v. Whitened latents hide how unlike
    these are: of eight directions, one decides half of the picture and four together a hundredth.

    Args:
        images: (n, 3, h, w) in [-1, 1], at which the decoder is looked at.
        step: size of the pattern; the latents have unit variance.

    Returns:
        The square root of G, (c, c), symmetric; its eigenvalues have a mean of 1. The root, because a denoiser that is trained for
        visible directions alone would be at a loss when a picture is inverted.
    """
    latents = encode_mean(vae, images)
    before, pattern = vae.decode(latents).sample, step * torch.randn_like(latents[:, :1])
    channels = torch.eye(latents.shape[1], device=latents.device)[:, None, :, None, None]  # one direction each
    changes = torch.stack([vae.decode(latents + direction * pattern).sample - before for direction in channels]).flatten(1).double()
    values, vectors = torch.linalg.eigh(changes @ changes.T)
    roots = values.clamp(min=0).sqrt()
    return (vectors @ torch.diag(roots / roots.mean()) @ vectors.T).to(latents)


@torch.no_grad()
def reconstruction_psnr(vae: AutoencoderKL, size: int, count: int) -> float:
    """PSNR in dB (peak 255) of the round trip of `count` held-out scenes: one figure over all their pixels."""
    device = next(vae.parameters()).device
    images = draw(count, HELD_OUT, size)[0].to(device).float() / 127.5 - 1
    errors = [(vae.decode(encode_mean(vae, part)).sample.clamp(-1, 1) - part).square().mean(dim=(1, 2, 3)) for part in images.split(32)]
    return (10 * torch.log10(4 / torch.cat(errors).mean())).item()
