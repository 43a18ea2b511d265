"""Counts what goes through a UNet: batch rows forward, and batch rows that are differentiated."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor

__all__ = ["Rows", "counted"]


@dataclass
class Rows:
    forward: int = 0
    backward: int = 0

    def taken(self) -> tuple[int, int]:
        """Both since the last call."""
        rows = self.forward, self.backward
        self.forward = self.backward = 0
        return rows


@contextmanager
def counted(unet: Any) -> Iterator[Rows]:
    """Within this block every call of the UNet counts, and every gradient that arrives at its first layer."""
    rows = Rows()

    def forward(_module: Any, _inputs: Any, out: Tensor) -> None:
        rows.forward += len(out)
        if out.requires_grad:
            out.register_hook(backward)

    def backward(gradient: Tensor) -> None:
        rows.backward += len(gradient)

    handle = unet.conv_in.register_forward_hook(forward)
    try:
        yield rows
    finally:
        handle.remove()
