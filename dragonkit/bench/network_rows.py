"""Counts what goes through a backbone's network, so that what an edit costs can be checked on any machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from dragonkit.diffusion.backbone import Backbone, Prediction
from dragonkit.shapes import Latents

__all__ = ["Rows", "counted"]


@dataclass
class Rows:
    """Batch rows, forward and differentiated, and seconds: of the calls themselves, and of the autoencoder."""

    forward: int = 0
    backward: int = 0
    calling: float = 0.0
    autoencoding: float = 0.0


@contextmanager
def counted(backbone: Backbone) -> Iterator[Rows]:
    """Within this block every call counts, and every gradient that arrives at the latents it was given; one block at a time."""
    rows, predict, encode, decode = Rows(), backbone.predict, backbone.encode, backbone.decode

    def counting(latents: Latents, *args: Any, **named: Any) -> Prediction:
        rows.forward += len(latents)
        if torch.is_grad_enabled() and latents.requires_grad:
            latents = latents.view_as(latents)  # the caller's own keeps no hook
            latents.register_hook(differentiated)
        begun = time.perf_counter()
        seen = predict(latents, *args, **named)
        rows.calling += time.perf_counter() - begun
        return seen

    def timed(work: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def run(given: Any) -> Any:
            begun = time.perf_counter()
            done = work(given)
            rows.autoencoding += time.perf_counter() - begun
            return done

        return run

    def differentiated(gradient: torch.Tensor) -> None:
        rows.backward += len(gradient)

    backbone.predict, backbone.encode, backbone.decode = counting, timed(encode), timed(decode)  # type: ignore[method-assign, assignment]
    try:
        yield rows
    finally:
        backbone.predict, backbone.encode, backbone.decode = predict, encode, decode  # type: ignore[method-assign]
