"""What the network saw of pictures, kept for later edits of them within a number of bytes."""

from __future__ import annotations

import os
from typing import NamedTuple
from weakref import WeakKeyDictionary

import torch

from dragonkit.diffusion.backbone import Prediction
from dragonkit.diffusion.host import Fetched, bytes_of, fetched, to_host

__all__ = ["Bank", "bank_on"]


class _Kept(NamedTuple):
    seen: Prediction
    bytes: int
    hosted: bool
    """Whether it was moved to the host's memory."""


class Bank:
    """Features, and what keys and values are made from, by picture and noise level.

    When it is full, the picture that was used longest ago goes first: into the host's memory where the device has one of its own, out
    of the bank otherwise. What finds no room on the device goes to the host as well; what finds none there is not kept, and is computed
    again whenever it is asked for. Edits go down the levels, so what lies on the host is fetched one level ahead.

    Args:
        room: bytes on the device.
        host_room: bytes in the host's memory beside them; 0 where the device is the host.
    """

    def __init__(self, room: int, host_room: int = 0):
        self.room, self.host_room = room, host_room
        self._kept: WeakKeyDictionary[object, dict[int, _Kept]] = WeakKeyDictionary()  # the picture used last comes last
        self._coming: WeakKeyDictionary[object, tuple[int, Fetched]] = WeakKeyDictionary()
        self._stream: torch.cuda.Stream | None = None

    def get(self, picture: object, level: int) -> Prediction | None:
        """What is kept of a picture at a level; None for nothing."""
        levels = self._levels(picture)
        known, coming = self._coming.pop(picture, (None, None))
        kept, next_one = levels.get(level), levels.get(level - 1)
        if kept is None or not kept.hosted:
            return None if kept is None else kept.seen
        here = coming if coming is not None and known == level else fetched(kept.seen)
        if next_one is not None and next_one.hosted:
            self._coming[picture] = level - 1, fetched(next_one.seen, self._side_stream(next_one.seen))
        return here.ready()

    def put(self, picture: object, level: int, seen: Prediction, on_host: bool = False) -> None:
        """Keep this of a picture at a level, instead of what was kept there, if there is room: in the host's memory, if asked for."""
        levels, need = self._levels(picture), bytes_of(seen)
        levels.pop(level, None)
        self._coming.pop(picture, None)
        if on_host and self.host_room:
            self._host(picture, level, seen)
            return
        for other in [one for one in self._kept if one is not picture]:
            if self.used() + need <= self.room:
                break
            self._move_out(other)
        if self.used() + need <= self.room:
            levels[level] = _Kept(seen, need, False)
        else:
            self._host(picture, level, seen)

    def drop(self, picture: object, level: int) -> None:
        """Keep nothing of a picture at a level."""
        self._kept.get(picture, {}).pop(level, None)
        self._coming.pop(picture, None)

    def forget(self) -> None:
        self._kept.clear()
        self._coming.clear()

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
        fits = self._host_has_room(picture, sum(kept.bytes for kept in here.values()))
        for level, kept in here.items():
            del self._kept[picture][level]
            if fits:
                self._kept[picture][level] = _Kept(to_host(kept.seen), kept.bytes, True)

    def _host(self, picture: object, level: int, seen: Prediction) -> None:
        if self._host_has_room(picture, need := bytes_of(seen)):
            self._kept[picture][level] = _Kept(to_host(seen), need, True)

    def _host_has_room(self, picture: object, need: int) -> bool:
        """Whether so much of this picture fits, once others have left the host, the oldest first, as far as it takes."""
        for oldest in [one for one in self._kept if one is not picture]:
            if self.used(hosted=True) + need <= self.host_room:
                break
            levels = self._kept[oldest]
            for level in [level for level, kept in levels.items() if kept.hosted]:
                del levels[level]
        return self.used(hosted=True) + need <= self.host_room

    def _side_stream(self, seen: Prediction) -> torch.cuda.Stream | None:
        """Where a GPU copies while it computes."""
        device = seen.noise_pred.device
        if self._stream is None and device.type == "cuda":
            self._stream = torch.cuda.Stream(device)
        return self._stream


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
