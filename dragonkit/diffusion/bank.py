"""What the network saw of pictures, kept for later edits of them within a number of bytes."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import NamedTuple
from weakref import WeakKeyDictionary

import torch

from dragonkit.diffusion.backbone import Prediction

__all__ = ["Bank", "bank_on"]


class _Kept(NamedTuple):
    seen: Prediction
    bytes: int
    hosted: bool
    """Whether it was moved to the host's memory."""


class Bank:
    """Features, and what keys and values are made from, by picture and noise level.

    When it is full, the picture that was used longest ago goes first: into the host's memory where the device has one of its own, out
    of the bank otherwise. What finds no room is not kept, and is computed again whenever it is asked for.

    Args:
        room: bytes on the device.
        host_room: bytes in the host's memory beside them; 0 where the device is the host.
    """

    def __init__(self, room: int, host_room: int = 0):
        self.room, self.host_room = room, host_room
        self._kept: WeakKeyDictionary[object, dict[int, _Kept]] = WeakKeyDictionary()  # the picture used last comes last

    def get(self, picture: object, level: int) -> Prediction | None:
        """What is kept of a picture at a level; None for nothing."""
        kept = self._levels(picture).get(level)
        if kept is None:
            return None
        return _moved(kept.seen, kept.seen.noise_pred.device) if kept.hosted else kept.seen

    def put(self, picture: object, level: int, seen: Prediction) -> None:
        """Keep this of a picture at a level, instead of what was kept there, if there is room."""
        levels, need = self._levels(picture), _bytes(seen)
        levels.pop(level, None)
        for other in [one for one in self._kept if one is not picture]:
            if self.used() + need <= self.room:
                break
            self._move_out(other)
        if self.used() + need <= self.room:
            levels[level] = _Kept(seen, need, False)

    def forget(self) -> None:
        self._kept.clear()

    def used(self, hosted: bool = False) -> int:
        """Bytes on the device, or in the host's memory beside it."""
        return sum(kept.bytes for levels in self._kept.values() for kept in levels.values() if kept.hosted == hosted)

    def _levels(self, picture: object) -> dict[int, _Kept]:
        levels = self._kept.pop(picture, {})
        self._kept[picture] = levels
        return levels

    def _move_out(self, picture: object) -> None:
        """Into the host's memory, for which the oldest there make room, or away."""
        here = {level: kept for level, kept in self._kept[picture].items() if not kept.hosted}
        need = sum(kept.bytes for kept in here.values())
        for oldest in [one for one in self._kept if one is not picture]:
            if self.used(hosted=True) + need <= self.host_room:
                break
            self._drop(oldest, hosted=True)
        fits = self.used(hosted=True) + need <= self.host_room
        for level, kept in here.items():
            if fits:
                self._kept[picture][level] = _Kept(_moved(kept.seen, torch.device("cpu")), kept.bytes, True)
            else:
                del self._kept[picture][level]

    def _drop(self, picture: object, hosted: bool) -> None:
        levels = self._kept[picture]
        for level in [level for level, kept in levels.items() if kept.hosted == hosted]:
            del levels[level]


def bank_on(device: torch.device) -> Bank:
    """A bank that leaves the rest of the memory alone: half of what is free on a GPU, and a quarter of the host's."""
    if device.type == "cuda":
        return Bank(torch.cuda.mem_get_info(device)[0] // 2, _host_bytes() // 4)
    return Bank(_host_bytes() // 4)


def _host_bytes() -> int:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # Windows does not tell
        return 2**33


def _moved(seen: Prediction, device: torch.device) -> Prediction:
    """All but the noise prediction, which says where it came from."""
    features = {layer: one.to(device) for layer, one in seen.features.items()}
    tokens = {layer: tuple(part.to(device) for part in parts) for layer, parts in seen.keys_values.items()}
    return replace(seen, features=features, keys_values=tokens)


def _bytes(seen: Prediction) -> int:
    return sum(one.nbytes for one in (*seen.features.values(), *(part for parts in seen.keys_values.values() for part in parts)))
