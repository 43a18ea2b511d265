"""Counts what goes through a backbone's network, so that what an edit costs can be checked on any machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from dragonkit.diffusion.backbone import Backbone, Prediction
from dragonkit.shapes import Latents

__all__ = ["Rows", "counted"]


@dataclass
class Rows:
    """Batch rows, forward and differentiated."""

    forward: int = 0
    backward: int = 0


@contextmanager
def counted(backbone: Backbone) -> Iterator[Rows]:
    """Within this block every call counts, and every gradient that arrives at the latents it was given; one block at a time."""
    rows, predict = Rows(), backbone.predict

    def counting(latents: Latents, *args: Any, **named: Any) -> Prediction:
        rows.forward += len(latents)
        if torch.is_grad_enabled() and latents.requires_grad:
            latents = latents.view_as(latents)  # the caller's own keeps no hook
            latents.register_hook(differentiated)
        return predict(latents, *args, **named)

    def differentiated(gradient: torch.Tensor) -> None:
        rows.backward += len(gradient)

    backbone.predict = counting  # type: ignore[method-assign]
    try:
        yield rows
    finally:
        backbone.predict = predict  # type: ignore[method-assign]
