"""What the network saw of a picture, to the host's memory and back, on a GPU while it computes something else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from dragonkit.diffusion.backbone import Prediction

__all__ = ["Fetched", "bytes_of", "fetched", "to_host"]


class Fetched:
    """On its way to the device. `ready()` is what arrived; what the device is given to do afterwards waits for it, not the caller."""

    def __init__(self, seen: Prediction, arrived: torch.cuda.Event | None = None):
        self._seen, self._arrived = seen, arrived

    def ready(self) -> Prediction:
        if self._arrived is not None:
            now = torch.cuda.current_stream(self._seen.noise_pred.device)
            now.wait_event(self._arrived)
            for tensor in _tensors(self._seen):
                tensor.record_stream(now)
        return self._seen


def to_host(seen: Prediction) -> Prediction:
    """All but the noise prediction, which says where it came from; from a GPU into memory that it reaches by itself ("pinned")."""

    def moved(tensor: Tensor) -> Tensor:
        if not tensor.is_cuda:
            return tensor.to("cpu")
        return torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True).copy_(tensor, non_blocking=True)

    return _each(seen, moved)


def fetched(seen: Prediction, stream: torch.cuda.Stream | None = None) -> Fetched:
    """Back to the device of the noise prediction: on `stream`, once what the device was given before is done; at once without one."""
    device = seen.noise_pred.device
    if stream is None or device.type != "cuda":
        return Fetched(_each(seen, lambda tensor: tensor.to(device, non_blocking=True)))
    stream.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(stream):
        here = _each(seen, lambda tensor: tensor.to(device, non_blocking=True))
        return Fetched(here, stream.record_event())


def bytes_of(seen: Prediction) -> int:
    """What it takes, without the noise prediction."""
    return sum(tensor.nbytes for tensor in _tensors(seen))


def _tensors(seen: Prediction) -> list[Tensor]:
    return [*seen.features.values(), *(part for parts in seen.keys_values.values() for part in parts)]


def _each(seen: Prediction, move: Callable[[Tensor], Tensor]) -> Prediction:
    features = {layer: move(one) for layer, one in seen.features.items()}
    tokens = {layer: tuple(move(part) for part in parts) for layer, parts in seen.keys_values.items()}
    return replace(seen, features=features, keys_values=tokens)
