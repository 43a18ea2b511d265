"""A model of another family, as a plugin might bring one: flow matching with straight paths, a small transformer, random weights."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dragonkit.diffusion.backbone import Backbone, KeyValues, Prediction, checked_layers
from dragonkit.diffusion.schedule import Schedule
from dragonkit.plugins.answers import AttentionForm
from dragonkit.plugins.card import ModelCard

CELL, CHANNELS, WIDTH, BLOCKS, SIDE = 4, 3, 16, 3, 32

CARD = ModelCard(
    "straight",
    "seed 0",
    "flow matching, random weights",
    {"steps": 5, "inversion_iterations": 2, "layers": ("block.1", "block.2")},
    load="helpers.straight_flow:load",
)


class StraightPaths(Schedule):
    """z = (1 - t) clean + t noise, with t from 0 to 0.99: at 1 noise would say nothing of the picture."""

    def __init__(self, steps: int, size: tuple[int, int]):
        shift = math.sqrt(size[0] * size[1]) / SIDE  # larger pictures need more of the noisy end
        self.times = [0.99 * shift * at / (1 + (shift - 1) * at) for at in (level / steps for level in range(steps + 1))]

    def __len__(self) -> int:
        return len(self.times) - 1

    def time(self, level: int) -> float:
        return self.times[level]

    def predict_clean(self, latents: Tensor, noise_pred: Tensor, level: int) -> Tensor:
        return (latents - self.times[level] * noise_pred) / (1 - self.times[level])

    def add_noise(self, clean: Tensor, noise: Tensor, level: int) -> Tensor:
        return (1 - self.times[level]) * clean + self.times[level] * noise

    def noise_in(self, latents: Tensor, clean: Tensor, level: int) -> Tensor:
        return (latents - (1 - self.times[level]) * clean) / self.times[level]

    def noisy_step(self, clean: Tensor, noise_pred: Tensor, level: int, eta: float, noise: Tensor) -> Tensor:
        above, below = self.times[level], self.times[level - 1]
        # the posterior's variance: what a step down can be uncertain of
        fresh = eta**2 * below**2 * (1 - (below / above * (1 - above) / (1 - below)) ** 2)
        return (1 - below) * clean + (below**2 - fresh) ** 0.5 * noise_pred + fresh**0.5 * noise


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 2 * WIDTH), nn.SiLU(), nn.Linear(2 * WIDTH, WIDTH))

    def forward(self, tokens: Tensor, read: tuple[Tensor, Tensor] | None, form: AttentionForm) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        query, key, value = self.qkv(F.layer_norm(tokens, (WIDTH,))).chunk(3, dim=-1)
        own = (key.detach(), value.detach())
        if read is not None:
            other = [part.expand(len(tokens), -1, -1) for part in read]
            key, value = other if form == "replace" else (torch.cat(pair, 1) for pair in zip((key, value), other, strict=True))
        tokens = tokens + self.out(F.scaled_dot_product_attention(query[:, None], key[:, None], value[:, None])[:, 0])
        return tokens + self.mlp(F.layer_norm(tokens, (WIDTH,))), own


class StraightFlow(Backbone):
    """Predicts velocities v = noise - clean, and says the noise that they imply: z + (1 - t) v."""

    feature_layers = tuple(f"block.{number}" for number in range(BLOCKS))

    def __init__(self, dtype: torch.dtype = torch.float32, seed: int = 0):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            parts = {"into": nn.Conv2d(CHANNELS, WIDTH, 3, padding=1), "out": nn.Conv2d(WIDTH, CHANNELS, 3, padding=1)}
            self.network = nn.ModuleDict({**parts, **{layer.replace(".", ""): Block() for layer in self.feature_layers}})
        self.network.to(dtype).requires_grad_(False)
        self.calls = 0

    latent_channels = CHANNELS  # type: ignore[assignment]
    pixels_per_latent = size_multiple = CELL  # type: ignore[assignment]
    model_size = SIDE  # type: ignore[assignment]
    device = torch.device("cpu")  # type: ignore[assignment]

    @property
    def dtype(self) -> torch.dtype:
        return self.network["into"].weight.dtype

    def schedule(self, steps: int, size: tuple[int, int]) -> StraightPaths:
        return StraightPaths(steps, size)

    def encode(self, images: Tensor) -> Tensor:
        return 2 * F.avg_pool2d(images.to(self.dtype), CELL)

    def decode(self, latents: Tensor) -> Tensor:
        return F.interpolate(latents.detach().float() / 2, scale_factor=CELL, mode="nearest").clamp(-1, 1)

    def condition(self, prompts: Sequence[str], size: tuple[int, int]) -> dict[str, Any]:
        words = [torch.randn(WIDTH, generator=torch.Generator().manual_seed(zlib.crc32(prompt.encode()))) for prompt in prompts]
        return {"words": torch.stack(words).to(self.dtype), "size": size}

    def predict(
        self,
        latents: Tensor,
        time: float,
        condition: dict[str, Any],
        *,
        features: Sequence[str] = (),
        record: bool = False,
        read: KeyValues | None = None,
        form: AttentionForm = "replace",
    ) -> Prediction:
        wanted, seen, recorded = checked_layers(features, self.feature_layers), dict[str, Tensor](), KeyValues()
        waves = torch.sin(time * torch.arange(1, WIDTH + 1, dtype=self.dtype))
        tokens = self.network["into"](latents).flatten(2).transpose(1, 2) + (condition["words"] + waves)[:, None]
        for layer in self.feature_layers:
            tokens, own = self.network[layer.replace(".", "")](tokens, None if read is None else read[layer], form)
            maps = tokens.transpose(1, 2).unflatten(2, latents.shape[2:])
            if layer in wanted:
                seen[layer] = maps
            if record:
                recorded[layer] = own
        self.calls += len(latents)
        return Prediction(latents + (1 - time) * self.network["out"](maps), seen, recorded)


def load(card: ModelCard, device: torch.device, dtype: torch.dtype) -> StraightFlow:
    """What `CARD.load` names."""
    return StraightFlow(dtype, int(card.source.removeprefix("seed ")))
