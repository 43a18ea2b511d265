"""Pipelines of Stable Diffusion's shape as a backbone; their layers are the up blocks of the UNet: "up.0" is the coarsest."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dragonkit.diffusion.attention import Tap, UNetAttention
from dragonkit.diffusion.autoencoder import Autoencoder
from dragonkit.diffusion.backbone import Backbone, Condition, KeyValues, Prediction, checked_layers
from dragonkit.diffusion.fitting import refuse_pipeline
from dragonkit.diffusion.image_prompt import WithPicture, encoded, has_adapter, scaled, stacked
from dragonkit.diffusion.lending import fingerprint, frozen
from dragonkit.diffusion.schedule import DDIM, noise_levels
from dragonkit.errors import UnsupportedModelError
from dragonkit.plugins.answers import AttentionForm
from dragonkit.shapes import ImageTensor, Latents

__all__ = ["StableDiffusion"]

EMBEDDED_GUIDANCE = 8.5
"""What a network is told that was distilled from guided predictions (Luo et al., 2023, "LCM") and asks for
their scale: diffusers' default."""


class StableDiffusion(Backbone):
    """Any pipeline with the parts of `StableDiffusionPipeline`. It belongs to the caller, keeps its own attention processors, and may
    serve several backbones.

    Latents are float32, or float64 where the network is, so that what is lost by half precision does not add up from step to step.

    Attributes:
        precision: what the UNet computes in, as of the last call of an editor.

    Raises:
        UnsupportedModelError: the pipeline lacks a part, has one that would be ignored, or predicts neither noise nor velocity.
    """

    encoders: tuple[str, ...] = ("text_encoder",)
    """The parts that read words; each has a tokenizer of that name."""

    def __init__(self, pipeline: Any):
        refuse_pipeline(pipeline)
        self.pipeline, self._parts = pipeline, self._parts_of(pipeline)
        self.unet = getattr(pipeline.unet, "_orig_mod", pipeline.unet)  # compiled once more for every edit, it would only be slow
        self.autoencoder = Autoencoder(pipeline.vae)
        self.attention = UNetAttention(self.unet)
        self.feature_layers = tuple(f"up.{block}" for block in range(len(self.unet.up_blocks)))
        self.calls, self.precision = 0, self.unet.dtype
        self._levels = (pipeline.scheduler, noise_levels(pipeline.scheduler))
        self._blank: tuple[Any, tuple[Tensor, ...]] | None = None

    # --- what belongs to the caller ---------------------------------------------------------------------------------------

    @property
    def network(self) -> Any:
        """What several backbones of one pipeline share, and so take turns on."""
        return self.unet

    @property
    def networks(self) -> list[nn.Module]:
        return [self.unet, self.autoencoder.vae, *(getattr(self.pipeline, name) for name in self.encoders)]

    @contextmanager
    def lent(self) -> Iterator[None]:
        """As `dragonkit.diffusion.lending.Lent` says."""
        refuse_pipeline(self.pipeline)
        for name, part in self._parts_of(self.pipeline).items():
            if part is not self._parts[name]:
                raise UnsupportedModelError(
                    f"the pipeline's {name} was exchanged after the editor was made; make a new editor of the pipeline"
                )
        self.precision = self.unet.dtype  # asked for once: it looks at every module
        with frozen(self.networks):
            yield

    @contextmanager
    def frugal(self) -> Iterator[None]:
        """As `dragonkit.diffusion.backbone.Frugal` says."""
        asked = self.unet.is_gradient_checkpointing
        if not asked:
            self.unet.enable_gradient_checkpointing()
        try:
            yield
        finally:
            if not asked:
                self.unet.disable_gradient_checkpointing()

    def state(self) -> str:
        scheduler = self.pipeline.scheduler
        more = [self.prediction_type, noise_levels(scheduler).tolist(), [len(tokenizer) for tokenizer in self._tokenizers]]
        freeu = [[getattr(block, name, None) for name in ("s1", "s2", "b1", "b2")] for block in self.unet.up_blocks]
        return fingerprint(self.networks, [more, freeu])

    def _parts_of(self, pipeline: Any) -> dict[str, Any]:
        return {name: getattr(pipeline, name) for name in ("unet", "vae", *self.encoders)}

    # --- sizes and numbers --------------------------------------------------------------------------------------------------

    @property
    def device(self) -> torch.device:
        """Where it computes: offloaded parts may lie elsewhere."""
        computes = getattr(self.pipeline, "_execution_device", None)
        return computes if isinstance(computes, torch.device) else self.unet.device

    @property
    def dtype(self) -> torch.dtype:
        return torch.float64 if self.precision == torch.float64 else torch.float32

    @property
    def attention_kernel(self) -> str:
        """Whose kernels compute attention: "torch", "xformers", or both."""
        return self.attention.kernels(self.device, self.precision)

    @property
    def prediction_type(self) -> str:
        return str(self.pipeline.scheduler.config.get("prediction_type", "epsilon"))

    @property
    def latent_channels(self) -> int:
        return self.unet.config.in_channels

    @property
    def pixels_per_latent(self) -> int:
        return self.autoencoder.pixels_per_latent

    @property
    def size_multiple(self) -> int:
        # for the UNet's halvings to come out even
        return self.pixels_per_latent * 2 ** (len(self.unet.config.block_out_channels) - 1)

    @property
    def model_size(self) -> int:
        size = self.unet.config.sample_size
        if size is None:  # some leave it out
            return int(self.autoencoder.vae.config.get("sample_size") or 64 * self.pixels_per_latent)
        return int(size if isinstance(size, int) else min(size)) * self.pixels_per_latent

    def schedule(self, steps: int, size: tuple[int, int]) -> DDIM:
        return DDIM.of(self.pipeline.scheduler, steps)

    # --- pictures and words -------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def encode(self, images: ImageTensor) -> Latents:
        return self.autoencoder.encode(images.to(self.device)).to(self.dtype)

    @torch.no_grad()
    def decode(self, latents: Latents) -> ImageTensor:
        return self.autoencoder.decode(latents)

    @torch.no_grad()
    def condition(self, prompts: Sequence[str], size: tuple[int, int]) -> Condition:
        """Text features of each prompt: (b, words, embedding)."""
        ids, more = self._read(prompts, self.pipeline.tokenizer, self.pipeline.text_encoder)
        return self.pipeline.text_encoder(ids, **more).last_hidden_state.to(self.precision)

    def paired(self, condition: Condition, other: Condition) -> Condition | None:
        """As `dragonkit.diffusion.backbone.Pairing` says: a GPU has room for two rows, a CPU takes twice the time for them."""
        return self.stacked([condition, other], [1, 1]) if self.device.type == "cuda" else None

    def stacked(self, conditions: Sequence[Condition], rows: Sequence[int]) -> Condition | None:
        """As `dragonkit.diffusion.backbone.Stacking` says."""
        pictured = [one for one in conditions if isinstance(one, WithPicture)]
        if not pictured:
            return self._stacked(conditions, rows)
        if len(pictured) < len(conditions) or len({one.scale for one in pictured}) > 1:
            return None
        return stacked(pictured, rows, self._stacked([one.words for one in pictured], rows))

    def _stacked(self, conditions: Sequence[Condition], rows: Sequence[int]) -> Condition:
        """Words alone, in one."""
        return torch.cat([each.expand(count, -1, -1) for each, count in zip(conditions, rows, strict=True)])

    @property
    def takes_pictures(self) -> bool:
        return has_adapter(self.unet)

    def shown(self, picture: np.ndarray, scale: float) -> Callable[[Condition, bool], Condition]:
        """As `dragonkit.diffusion.backbone.Pictured` says."""
        to, away = encoded(self.pipeline, picture, self.device)
        return lambda condition, led_to: WithPicture(condition, to if led_to else away, scale)

    def _read(self, prompts: Sequence[str], tokenizer: Any, encoder: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """Token ids (b, words), and what else the encoder is told."""
        tokens = tokenizer(
            [self._converted(prompt, tokenizer) for prompt in prompts],
            padding="max_length",
            truncation=True,
            max_length=_room(tokenizer, encoder),
            return_tensors="pt",
        )
        masked = getattr(encoder.config, "use_attention_mask", False)
        return tokens.input_ids.to(self.device), {"attention_mask": tokens.attention_mask.to(self.device)} if masked else {}

    def _converted(self, prompt: str, tokenizer: Any) -> str:
        """With all vectors of a textual inversion that has several."""
        convert = getattr(self.pipeline, "maybe_convert_prompt", None)
        return prompt if convert is None else convert(prompt, tokenizer)

    @property
    def _tokenizers(self) -> list[Any]:
        return [getattr(self.pipeline, name.replace("text_encoder", "tokenizer")) for name in self.encoders]

    def unread(self, prompt: str) -> str:
        """The words at the end of a prompt that the text encoder has no room for; "" when it reads all."""
        words, tokenizer = prompt.split(), self.pipeline.tokenizer
        room = _room(tokenizer, self.pipeline.text_encoder)

        def fits(count: int) -> bool:
            return len(tokenizer(self._converted(" ".join(words[:count]), tokenizer), verbose=False).input_ids) <= room

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

    # --- noise ----------------------------------------------------------------------------------------------------------------

    def predict(
        self,
        latents: Latents,
        time: float,
        condition: Condition,
        *,
        features: Sequence[str] = (),
        record: bool = False,
        read: KeyValues | None = None,
        form: AttentionForm = "replace",
    ) -> Prediction:
        """As `Backbone.predict`: features are up blocks' outputs on the way (fused guidance: no second call); time is a timestep."""
        timestep, tap, wanted = int(time), Tap(read, form, {} if record else None), checked_layers(features, self.feature_layers)
        # tapped first: hooks see the calls of other threads as well; then the mode of gradients, which the last hook changes
        if self.takes_pictures and not isinstance(condition, WithPicture):
            condition = WithPicture(condition, self._no_picture(), 0.0)
        with self.attention.tapped(tap), torch.set_grad_enabled(torch.is_grad_enabled()), ExitStack() as hooks:
            if isinstance(condition, WithPicture):
                hooks.enter_context(scaled(self.unet, condition.scale))
            seen = {layer: hooks.enter_context(self._output_of(layer, last=layer == wanted[-1])) for layer in wanted}
            told = {**self._all_told(condition, len(latents)), **self._guidance_told(len(latents))}
            out = self.unet(latents.to(self.precision), timestep, **told).sample.to(latents.dtype)
            self.calls += len(latents)
            if self.prediction_type == "v_prediction":
                alpha = float(self._alphas[timestep])  # in half precision 1 - alpha would be 0 next to the clean end
                out = alpha**0.5 * out + (1 - alpha) ** 0.5 * latents
        return Prediction(out, {layer: outputs[0] for layer, outputs in seen.items()}, tap.record or {})

    def _all_told(self, condition: Condition, rows: int) -> dict[str, Any]:
        """What the UNet is told of words and picture, for so many rows."""
        if not isinstance(condition, WithPicture):
            return self._told(condition, rows)
        told = self._told(condition.words, rows)
        pictures = [one.to(self.precision).expand(rows, *one.shape[1:]) for one in condition.pictures]
        return {**told, "added_cond_kwargs": {**told.get("added_cond_kwargs", {}), "image_embeds": pictures}}

    def _no_picture(self) -> tuple[Tensor, ...]:
        """Something of the right shape, for an adapter that does not count."""
        adapters = self.unet.encoder_hid_proj.image_projection_layers
        if self._blank is None or self._blank[0] is not adapters:
            self._blank = adapters, encoded(self.pipeline, np.zeros((64, 64, 3), np.uint8), self.device)[1]
        return self._blank[1]

    def _told(self, condition: Condition, rows: int) -> dict[str, Any]:
        """What the UNet is told of the words, for so many rows."""
        return {"encoder_hidden_states": condition.expand(rows, -1, -1)}

    def _guidance_told(self, rows: int) -> dict[str, Tensor]:
        """The scale of guidance, for a UNet that asks for it, as diffusers' pipelines tell it."""
        width = self.unet.config.get("time_cond_proj_dim")
        if width is None:
            return {}
        frequencies = torch.exp(torch.arange(width // 2) * -(torch.log(torch.tensor(10000.0)) / (width // 2 - 1)))
        angles = (EMBEDDED_GUIDANCE - 1) * 1000 * frequencies
        told = nn.functional.pad(torch.cat([angles.sin(), angles.cos()]), (0, width % 2))
        return {"timestep_cond": told.to(self.device, self.precision).expand(rows, -1)}

    @property
    def _alphas(self) -> Tensor:
        scheduler = self.pipeline.scheduler  # which may be another one by now
        if self._levels[0] is not scheduler:
            self._levels = (scheduler, noise_levels(scheduler))
        return self._levels[1]

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


def _room(tokenizer: Any, encoder: Any) -> int:
    """How many tokens the text encoder reads, its marks for begin and end included."""
    return min(tokenizer.model_max_length, encoder.config.max_position_embeddings)
