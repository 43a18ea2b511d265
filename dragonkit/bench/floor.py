"""How fast a call of the network could be: its operations at the rate of matrix products measured here, its weights at that of memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from dragonkit.bench.cost import timed
from dragonkit.diffusion.backbone import Backbone, Condition
from dragonkit.shapes import Latents

__all__ = ["Floor", "best_of", "measure_floor", "one_row"]

SIDE = 2048
"""Of the matrices: large enough for the full rate."""
STREAMED = 2**26
"""Numbers summed up: too many for any cache."""
ENOUGH = 5.0
"""Seconds of measuring, for each figure."""


@dataclass(frozen=True)
class Floor:
    """One row of a network, and the machine.

    Attributes:
        operations: floating-point operations of matrix products, convolutions and attention.
        weights: bytes that have to be read.
        rate: operations per second of a large matrix product.
        bandwidth: bytes per second of a sum over a large tensor.
        call: seconds that a call takes, at best of several.
    """

    operations: float
    weights: float
    rate: float
    bandwidth: float
    call: float

    @property
    def seconds(self) -> float:
        """What no call can be faster than."""
        return max(self.operations / self.rate, self.weights / self.bandwidth)


@torch.no_grad()
def measure_floor(backbone: Backbone, repeats: int = 5) -> Floor:
    """Of one row, no gradient, at the model's own size."""
    row = one_row(backbone)

    def call() -> Any:
        return backbone.predict(*row)

    with FlopCounterMode(display=False) as counter:
        call()
    matrix = torch.randn(SIDE, SIDE, device=backbone.device, dtype=backbone.dtype)
    stream = torch.zeros(STREAMED, device=backbone.device, dtype=backbone.dtype)
    return Floor(
        counter.get_total_flops(),
        sum(each.numel() * each.element_size() for each in _parameters(backbone)),
        2 * SIDE**3 / best_of(lambda: matrix @ matrix, repeats),
        stream.numel() * stream.element_size() / best_of(lambda: stream.sum(), repeats),
        best_of(call, repeats),
    )


def one_row(backbone: Backbone) -> tuple[Latents, float, Condition]:
    """What a call of one row is about, at the model's own size: noise, a time, no words."""
    side, size = backbone.model_size // backbone.pixels_per_latent, (backbone.model_size, backbone.model_size)
    noise = torch.randn(1, backbone.latent_channels, side, side, generator=torch.Generator().manual_seed(0))
    return noise.to(backbone.device, backbone.dtype), backbone.schedule(2, size).time(1), backbone.condition([""], size)


def _parameters(backbone: Backbone) -> list[torch.Tensor]:
    """The network's, where it is known which these are."""
    unet = getattr(backbone, "unet", None)
    return list(unet.parameters()) if isinstance(unet, torch.nn.Module) else []


def best_of(work: Callable[[], Any], repeats: int) -> float:
    """Seconds, the least of several after one that does not count; of a call that takes long, the first will do."""
    found = list[float]()
    while len(found) <= repeats and sum(found) < ENOUGH:
        found.append(timed(work)[1])
    return min(found[1:] or found)
