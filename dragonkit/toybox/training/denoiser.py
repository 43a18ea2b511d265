"""Stage two: the UNet and the text encoder, trained together on latents."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from torch import Tensor, nn
from tqdm import tqdm
from transformers import CLIPTextModel, CLIPTokenizer

from dragonkit.toybox.training.autoencoder import encode_mean, flops, visibility
from dragonkit.toybox.training.data import Scenes
from dragonkit.toybox.training.fit import fit
from dragonkit.toybox.training.recipe import Recipe
from dragonkit.toybox.training.text import token_ids


def build_unet(recipe: Recipe) -> UNet2DConditionModel:
    part = recipe.unet
    return UNet2DConditionModel(
        sample_size=recipe.size // 2 ** (len(recipe.autoencoder.channels) - 1),
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


class Latents:
    """Training batches of latents and token ids; a pool of scenes is encoded once."""

    def __init__(self, scenes: Scenes, vae: AutoencoderKL, tokenizer: CLIPTokenizer, folder: Path):
        self.scenes, self.vae, self.tokenizer = scenes, vae, tokenizer
        self.latents: Tensor | None = None
        if scenes.images is not None:
            path = folder / "latents.pt"
            if not path.exists():
                parts = [
                    encode_mean(vae, part.float() / 127.5 - 1).half() for part in tqdm(scenes.images.split(64), desc="encoding scenes")
                ]
                torch.save(torch.cat(parts), path)
            self.latents, self.ids = torch.load(path), token_ids(tokenizer, scenes.texts)

    def batch(self, count: int) -> tuple[Tensor, Tensor]:
        """Latents (count, c, h, w) float32 and token ids (count, length)."""
        if self.latents is None:
            images, texts = self.scenes.batch(count)
            return encode_mean(self.vae, images), token_ids(self.tokenizer, texts).to(images.device)
        rows = torch.randint(len(self.latents), (count,), generator=self.scenes.random)
        return self.latents[rows].float(), self.ids[rows]


def train_denoiser(
    recipe: Recipe, data: Latents, text_encoder: CLIPTextModel, folder: Path, device: torch.device, on_save
) -> tuple[UNet2DConditionModel, CLIPTextModel]:
    """Train UNet and text encoder together to predict the noise or the velocity, `recipe.unet.prediction_type`.

    Errors are weighted by how much of them could be seen, see `visibility`: this does not change what a perfect denoiser predicts, but
    a small one then spends its weights on what shows.

    A tenth of the captions is dropped so that classifier-free guidance works (Ho and Salimans, 2022). `on_save(unet)` is called with
    the averaged weights after each checkpoint.
    """
    part, scheduler = recipe.unet, build_scheduler(recipe)
    unet = build_unet(recipe).to(device)
    if recipe.channels_last:
        unet = unet.to(memory_format=torch.channels_last)
    both = nn.ModuleDict({"unet": unet, "text_encoder": text_encoder.to(device)})
    predict = torch.compile(unet) if recipe.compile else unet
    empty = token_ids(data.tokenizer, [""]).to(device)
    alphas = scheduler.alphas_cumprod.to(device)
    weights = visibility(data.vae, data.scenes.batch(32)[0])  # errors that show count for more

    def loss() -> Tensor:
        clean, ids = data.batch(part.batch)
        ids = torch.where(torch.rand(len(ids), 1, device=device) < part.caption_dropout, empty, ids)
        # one timestep from each of `batch` equal parts of the schedule: the same distribution with less variance
        order = (torch.randperm(len(clean), device=device) + torch.rand(len(clean), device=device)) / len(clean)
        timesteps = (order * len(alphas)).long().clamp(max=len(alphas) - 1)
        noise, alpha = torch.randn_like(clean), alphas[timesteps].view(-1, 1, 1, 1)
        noisy = alpha.sqrt() * clean + (1 - alpha).sqrt() * noise
        target = noise if part.prediction_type == "epsilon" else alpha.sqrt() * noise - (1 - alpha).sqrt() * clean
        error = predict(noisy, timesteps, text_encoder(ids).last_hidden_state).sample.float() - target
        return (error * torch.einsum("ij,bjhw->bihw", weights, error)).mean()

    clean, ids = data.batch(1)
    fit(
        "denoiser",
        both,
        loss,
        minutes=part.minutes,
        batch=part.batch,
        learning_rate=part.learning_rate,
        folder=folder,
        device=device,
        precision=getattr(torch, recipe.precision),
        flops_per_image=3 * flops(unet, clean, torch.zeros(1, dtype=torch.long, device=device), text_encoder(ids).last_hidden_state),
        ema_decay=part.ema,
        weight_decay=0.01,
        save_every=300.0,
        on_save=lambda: on_save(unet),
    )
    return unet, text_encoder
