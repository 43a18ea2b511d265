"""A Stable-Diffusion-shaped pipeline as the engine sees it: encode, decode, embed words, predict noise and hand out decoder features."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dragonkit.diffusion.attention import DecoderAttention
from dragonkit.diffusion.schedule import Schedule, ddim_of
from dragonkit.errors import UnsupportedModelError
from dragonkit.shapes import ImageTensor, Latents, PromptEmbeds

__all__ = ["Backbone", "Prediction"]


@dataclass(frozen=True, eq=False)
class Prediction:
    """What one call of the UNet gives: `noise_pred` (b, c, h, w), and the outputs of the up blocks asked for, by index."""

    noise_pred: Tensor
    decoder_features: dict[int, Tensor]


class Backbone:
    """Wraps any `StableDiffusionPipeline`; its modules are frozen and get dragonkit's attention processors.

    Raises:
        UnsupportedModelError: the pipeline lacks a part, or predicts neither noise nor velocity.
    """

    def __init__(self, pipeline: Any):
        missing = [part for part in ("vae", "unet", "text_encoder", "tokenizer", "scheduler") if getattr(pipeline, part, None) is None]
        if missing:
            raise UnsupportedModelError(
                f"a {type(pipeline).__name__} has no {', '.join(missing)}; give a pipeline of Stable Diffusion's shape"
            )
        self.prediction_type = pipeline.scheduler.config.get("prediction_type", "epsilon")
        if self.prediction_type not in ("epsilon", "v_prediction"):
            raise UnsupportedModelError(
                f"the scheduler's prediction_type is {self.prediction_type!r}; dragonkit works with epsilon and v_prediction models"
            )
        if len(pipeline.unet.up_blocks) < 2 or pipeline.unet.config.in_channels != pipeline.unet.config.out_channels:
            raise UnsupportedModelError(
                f"the UNet takes {pipeline.unet.config.in_channels} channels, gives {pipeline.unet.config.out_channels} and has "
                f"{len(pipeline.unet.up_blocks)} up blocks; inpainting and one-block models do not fit, give a text-to-image model"
            )
        self.pipeline = pipeline
        self.vae, self.unet, self.text_encoder, self.tokenizer = pipeline.vae, pipeline.unet, pipeline.text_encoder, pipeline.tokenizer
        for module in (self.vae, self.unet, self.text_encoder):
            module.requires_grad_(False).eval()
        self.attention = DecoderAttention(self.unet)
        self.alphas = ddim_of(pipeline.scheduler).alphas_cumprod
        """float32 (number of training timesteps,): how much of the variance at each timestep is the picture's."""
        self.calls = 0
        """UNet calls so far, each counted with its batch rows: the cost of a run in network evaluations."""

    @property
    def device(self) -> torch.device:
        return self.unet.device

    @property
    def dtype(self) -> torch.dtype:
        return self.unet.dtype

    @property
    def pixels_per_latent(self) -> int:
        """How many pixels a side one latent cell covers."""
        return 2 ** (len(self.vae.config.block_out_channels) - 1)

    @property
    def size_multiple(self) -> int:
        """Picture sides must be multiples of this for the UNet's halvings to come out even."""
        return self.pixels_per_latent * 2 ** (len(self.unet.config.block_out_channels) - 1)

    @property
    def model_size(self) -> int:
        """The side in pixels of the pictures the model was made for."""
        size = self.unet.config.sample_size
        return (size if isinstance(size, int) else min(size)) * self.pixels_per_latent

    def schedule(self, steps: int) -> Schedule:
        return Schedule.of(self.pipeline.scheduler, steps)

    @torch.no_grad()
    def encode(self, images: ImageTensor) -> Latents:
        """Scaled latents of pictures in [-1, 1]: the posterior's mean, so that the same picture always gives the same latents."""
        mean = self.vae.encode(images.to(self.device, self.vae.dtype)).latent_dist.mean
        return (mean * self.vae.config.scaling_factor).to(self.dtype)

    @torch.no_grad()
    def decode(self, latents: Latents) -> ImageTensor:
        """Pictures in [-1, 1], float32."""
        return self.vae.decode((latents / self.vae.config.scaling_factor).to(self.vae.dtype)).sample.float().clamp(-1, 1)

    @torch.no_grad()
    def prompt_embeds(self, prompts: Sequence[str]) -> PromptEmbeds:
        """Text features of each prompt."""
        length = min(self.tokenizer.model_max_length, self.text_encoder.config.max_position_embeddings)
        ids = self.tokenizer(list(prompts), padding="max_length", truncation=True, max_length=length, return_tensors="pt").input_ids
        return self.text_encoder(ids.to(self.device)).last_hidden_state.to(self.dtype)

    def predict(self, latents: Latents, timestep: int | Tensor, prompt_embeds: PromptEmbeds, layers: Sequence[int] = ()) -> Prediction:
        """Predict the noise in `latents`, and keep the outputs of up blocks `layers` on the way (fused guidance: no second call).

        Gradients flow as the caller's autograd mode says.

        Raises:
            UnsupportedModelError: the model has no such up block.
        """
        features: dict[int, Tensor] = {}
        with ExitStack() as hooks:
            for layer in layers:
                if layer >= len(self.unet.up_blocks):
                    raise UnsupportedModelError(
                        f"the model has {len(self.unet.up_blocks)} up blocks, so there is no block {layer}; count from 0"
                    )
                handle = self.unet.up_blocks[layer].register_forward_hook(lambda _m, _i, out, layer=layer: features.__setitem__(layer, out))
                hooks.callback(handle.remove)
            out = self.unet(latents, timestep, encoder_hidden_states=prompt_embeds).sample
        self.calls += len(latents)
        if self.prediction_type == "v_prediction":
            alphas = self.alphas.to(latents.device)[timestep].to(latents).reshape(-1, 1, 1, 1)
            out = alphas.sqrt() * out + (1 - alphas).sqrt() * latents
        return Prediction(out, features)
