"""Pipelines of Stable Diffusion's shape as a backbone; their layers are the up blocks of the UNet: "up.0" is the coarsest."""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor

from dragonkit.diffusion.attention import Tap, UNetAttention
from dragonkit.diffusion.backbone import Backbone, KeyValues, Prediction, checked_layers
from dragonkit.diffusion.schedule import DDIM, ddim_of
from dragonkit.errors import UnsupportedModelError
from dragonkit.plugins.answers import AttentionForm
from dragonkit.shapes import ImageTensor, Latents, PromptEmbeds

__all__ = ["StableDiffusion"]


class StableDiffusion(Backbone):
    """Any `StableDiffusionPipeline`. Its modules are frozen; it keeps its own attention processors, and may serve several backbones.

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
        self.attention = UNetAttention(self.unet)
        self.feature_layers = tuple(f"up.{block}" for block in range(len(self.unet.up_blocks)))
        self._alphas = ddim_of(pipeline.scheduler).alphas_cumprod
        self.calls = 0

    @property
    def network(self) -> Any:
        """What several backbones of one pipeline share, and so take turns on."""
        return self.unet

    @property
    def device(self) -> torch.device:
        return self.unet.device

    @property
    def dtype(self) -> torch.dtype:
        return self.unet.dtype

    @property
    def attention_kernel(self) -> str:
        """Whose kernels compute attention: "torch", "xformers", or both."""
        return self.attention.kernels(self.device, self.dtype)

    @property
    def latent_channels(self) -> int:
        return self.unet.config.in_channels

    @property
    def pixels_per_latent(self) -> int:
        return 2 ** (len(self.vae.config.block_out_channels) - 1)

    @property
    def size_multiple(self) -> int:
        # for the UNet's halvings to come out even
        return self.pixels_per_latent * 2 ** (len(self.unet.config.block_out_channels) - 1)

    @property
    def model_size(self) -> int:
        size = self.unet.config.sample_size
        return (size if isinstance(size, int) else min(size)) * self.pixels_per_latent

    def schedule(self, steps: int, size: tuple[int, int]) -> DDIM:
        return DDIM.of(self.pipeline.scheduler, steps)

    @torch.no_grad()
    def encode(self, images: ImageTensor) -> Latents:
        # the posterior's mean, so that the same picture always gives the same latents
        mean = self.vae.encode(images.to(self.device, self.vae.dtype)).latent_dist.mean
        return (mean * self.vae.config.scaling_factor).to(self.dtype)

    @torch.no_grad()
    def decode(self, latents: Latents) -> ImageTensor:
        return self.vae.decode((latents / self.vae.config.scaling_factor).to(self.vae.dtype)).sample.float().clamp(-1, 1)

    @torch.no_grad()
    def condition(self, prompts: Sequence[str], size: tuple[int, int]) -> PromptEmbeds:
        """Text features of each prompt: (b, words, embedding)."""
        ids = self.tokenizer(
            list(prompts), padding="max_length", truncation=True, max_length=self._prompt_length, return_tensors="pt"
        ).input_ids
        return self.text_encoder(ids.to(self.device)).last_hidden_state.to(self.dtype)

    def unread(self, prompt: str) -> str:
        """The words at the end of a prompt that the text encoder has no room for; "" when it reads all."""
        words = prompt.split()

        def fits(count: int) -> bool:
            return len(self.tokenizer(" ".join(words[:count]), verbose=False).input_ids) <= self._prompt_length

        return " ".join(words[bisect.bisect_left(range(1, len(words) + 1), True, key=lambda count: not fits(count)) :])

    def advice(self) -> Iterator[str]:
        """Which layers do not read the source, as they have processors of their own."""
        kept = self.attention.untapped
        if kept:
            whose = ", ".join(sorted(set(kept.values())))
            yield (
                f"{len(kept)} of {len(kept) + len(self.attention.layers)} of the decoder's self-attention layers keep their own processors "
                f"({whose}) and read nothing of the source, so an edit is less like it; unet.set_default_attn_processor() lets them read"
            )

    @property
    def _prompt_length(self) -> int:
        """How many tokens the text encoder reads, its marks for begin and end included."""
        return min(self.tokenizer.model_max_length, self.text_encoder.config.max_position_embeddings)

    def predict(
        self,
        latents: Latents,
        time: float,
        condition: PromptEmbeds,
        *,
        features: Sequence[str] = (),
        record: bool = False,
        read: KeyValues | None = None,
        form: AttentionForm = "replace",
    ) -> Prediction:
        """As `Backbone.predict`: features are up blocks' outputs on the way (fused guidance: no second call); time is a timestep."""
        timestep, tap, wanted = int(time), Tap(read, form, {} if record else None), checked_layers(features, self.feature_layers)
        # tapped first: hooks see the calls of other threads as well; then the mode of gradients, which the last hook changes
        with self.attention.tapped(tap), torch.set_grad_enabled(torch.is_grad_enabled()), ExitStack() as hooks:
            seen = {layer: hooks.enter_context(self._output_of(layer, last=layer == wanted[-1])) for layer in wanted}
            out = self.unet(latents, timestep, encoder_hidden_states=condition.expand(len(latents), -1, -1)).sample
            self.calls += len(latents)
            if self.prediction_type == "v_prediction":
                alpha = float(self._alphas[timestep])  # in half precision 1 - alpha would be 0 next to the clean end
                out = alpha**0.5 * out + (1 - alpha) ** 0.5 * latents
        return Prediction(out, {layer: outputs[0] for layer, outputs in seen.items()}, tap.record or {})

    @contextmanager
    def _output_of(self, layer: str, last: bool) -> Iterator[list[Tensor]]:
        """What the up block gives within this context; behind the last one nothing is kept for a way back that nobody goes."""
        outputs = list[Tensor]()

        def hook(_module: Any, _inputs: Any, out: Tensor) -> None:
            outputs.append(out)
            if last:
                torch.set_grad_enabled(False)

        handle = self.unet.up_blocks[self.feature_layers.index(layer)].register_forward_hook(hook)
        try:
            yield outputs
        finally:
            handle.remove()
