"""Pipelines of Stable Diffusion XL's shape (Podell et al., 2023): two text encoders, and a UNet that is told sizes as well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from dragonkit.diffusion.backbone import Condition
from dragonkit.diffusion.fitting import is_xl
from dragonkit.diffusion.stable_diffusion import StableDiffusion
from dragonkit.shapes import PromptEmbeds

__all__ = ["StableDiffusionXL", "WordsAndSizes", "backbone_of"]


@dataclass(frozen=True, eq=False)
class WordsAndSizes:
    """A condition of SDXL.

    Attributes:
        words: (b, words, embedding), of both encoders side by side.
        summary: (b, embedding), of the second encoder.
        sizes: (1 or b, 6): height and width of the original, top and left of the crop, height and width of the picture, in pixels.
    """

    words: PromptEmbeds
    summary: Float[Tensor, "prompts summary"]
    sizes: Float[Tensor, "any 6"]


class StableDiffusionXL(StableDiffusion):
    """Any pipeline with the parts of `StableDiffusionXLPipeline`, as `StableDiffusion`."""

    encoders = ("text_encoder", "text_encoder_2")

    @torch.no_grad()
    def condition(self, prompts: Sequence[str], size: tuple[int, int]) -> WordsAndSizes:
        """What the network is told: pictures are whole, and of the size that they are worked at."""
        words, summary = [], None
        for name, tokenizer in zip(self.encoders, self._tokenizers, strict=True):
            encoder = getattr(self.pipeline, name)
            ids, more = self._read(prompts, tokenizer, encoder)
            out = encoder(ids, output_hidden_states=True, **more)
            words.append(out.hidden_states[-2])
            summary = getattr(out, "text_embeds", summary)
        assert summary is not None  # CLIPTextModelWithProjection gives one
        said, dtype = torch.tensor([bool(prompt) for prompt in prompts], device=self.device), self.precision
        if not getattr(self.pipeline, "config", {}).get("force_zeros_for_empty_prompt", True):
            said[:] = True
        embedded = torch.cat(words, dim=-1) * said[:, None, None]
        sizes = torch.tensor([[size[1], size[0], 0, 0, size[1], size[0]]], dtype=dtype, device=self.device)
        return WordsAndSizes(embedded.to(dtype), (summary * said[:, None]).to(dtype), sizes)

    def _stacked(self, conditions: Sequence[Condition], rows: Sequence[int]) -> Condition:
        words = super()._stacked([one.words for one in conditions], rows)
        summary, sizes = (
            torch.cat([getattr(each, part).expand(count, -1) for each, count in zip(conditions, rows, strict=True)])
            for part in ("summary", "sizes")
        )
        return WordsAndSizes(words, summary, sizes)

    def _told(self, condition: WordsAndSizes, rows: int) -> dict[str, Any]:
        summary, sizes = condition.summary.expand(rows, -1), condition.sizes.expand(rows, -1)
        return {
            "encoder_hidden_states": condition.words.expand(rows, -1, -1),
            "added_cond_kwargs": {"text_embeds": summary, "time_ids": sizes},
        }


def backbone_of(pipeline: Any) -> StableDiffusion:
    """A pipeline of any kind as a backbone. UnsupportedModelError where it does not fit."""
    return StableDiffusionXL(pipeline) if is_xl(pipeline) else StableDiffusion(pipeline)
