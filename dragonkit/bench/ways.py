"""Ways to compute a call of the network, precision, threads, layout and compilation: what each takes here, and how far its noise is off."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from dragonkit.bench.floor import best_of, one_row
from dragonkit.diffusion.backbone import Backbone
from dragonkit.errors import EditError
from dragonkit.models.devices import torch_threads
from dragonkit.words import first_line

__all__ = ["PLAIN", "Way", "measure_ways"]

PLAIN = "float32, as it is"
BLOCK = "ResnetBlock2D"
"""What is compiled: blocks that neither hooks nor attention processors, which are others for every call, ask to be compiled anew."""
REPEATS = 7


@dataclass(frozen=True)
class Way:
    """A way to compute calls of one row.

    Attributes:
        call: seconds, the least of several.
        back: the same with the way back from the noise to the latents.
        error: RMS of the difference of its noise from the plain way's, as a fraction of it.
        ready: seconds until the first call and the first way back are over, whatever that takes.
        failed: why it cannot be had here; "" where it can.
    """

    what: str
    call: float = 0.0
    back: float = 0.0
    error: float = 0.0
    ready: float = 0.0
    failed: str = ""


def measure_ways(load: Callable[[str], Backbone], compilation: bool = True) -> Iterator[Way]:
    """Every way, the plain one first, on one thread where nothing else is said.

    Args:
        load: name of a precision -> a backbone of it, on the device in question.
        compilation: whether blocks are compiled as well, which takes minutes.

    Raises:
        EditError: the network is not of diffusers.
    """
    backbone = load("float32")
    unet, plain = getattr(backbone, "unet", None), list[Tensor]()
    if not isinstance(unet, nn.Module):
        raise EditError("ways can be compared of diffusers' networks only; name a model in their format")

    def way(what: str, one: Backbone, block: AbstractContextManager[object]) -> Way:
        try:
            with block:
                return _measured(what, one, plain)
        except Exception as error:  # no compiler, no such kernel: the other ways are worth a row yet
            return Way(what, failed=f"{type(error).__name__}: {first_line(error)}")

    with torch_threads(1):
        yield _measured(PLAIN, backbone, plain)
        if backbone.device.type == "cpu" and (cores := os.cpu_count() or 1) > 1:
            yield way(f"{cores} threads", backbone, torch_threads(cores))
        yield way("channels last", backbone, _channels_last(unet))
        if compilation:
            yield way("its ResNet blocks compiled", backbone, _compiled(unet))
        for dtype in ("bfloat16", "float16") if backbone.device.type == "cuda" else ("bfloat16",):
            yield way(dtype, load(dtype), nullcontext())


def _measured(what: str, backbone: Backbone, plain: list[Tensor]) -> Way:
    latents, at, condition = one_row(backbone)

    @torch.no_grad()
    def call() -> Tensor:
        return backbone.predict(latents, at, condition).noise_pred

    @torch.enable_grad()
    def back() -> Any:
        leaf = latents.clone().requires_grad_()
        return torch.autograd.grad(backbone.predict(leaf, at, condition).noise_pred.sum(), leaf)

    begun = time.perf_counter()
    noise, _ = call(), back()
    ready = time.perf_counter() - begun
    plain.append(noise)
    error = (noise - plain[0]).square().mean().sqrt() / plain[0].square().mean().sqrt()
    fastest, both = (best_of(work, REPEATS) for work in (call, back))
    return Way(what, fastest, both, float(error), ready)


@contextmanager
def _channels_last(network: nn.Module) -> Iterator[None]:
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    try:
        yield
    finally:
        network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]


@contextmanager
def _compiled(network: nn.Module) -> Iterator[None]:
    blocks = [module for module in network.modules() if type(module).__name__ == BLOCK]
    try:
        for block in blocks:
            block.compile(dynamic=False)
        with torch._dynamo.config.patch(recompile_limit=2 * len(blocks) + 8):  # they share one function, and each has shapes of its own
            yield
    finally:
        for block in blocks:
            block._compiled_call_impl = None
        torch._dynamo.reset()
