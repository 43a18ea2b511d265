"""Scenes for training: drawn on the device, kept as bytes, and what the UNet sees of them, latents and token ids."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import torch
from torch import Tensor

from dragonkit.toybox.drawing.rendering import render
from dragonkit.toybox.parameters import sample
from dragonkit.toybox.sentences import captions

CHUNK = {"cpu": 64, "cuda": 1024}
"""Scenes rendered in one call: enough to share the work, small enough for a CPU's cache."""
HELD_OUT = 1 << 40
"""Seeds from here on are never trained on."""
LEAST = 0.25
"""Share of the room for captioned scenes that is drawn even where compiling took all the time for it: a few are learnt by heart."""
RENEWED = 0.1
"""Share of the autoencoder's pool that is drawn anew each time that its batches have gone through the pool twice."""


def draw(count: int, seed: int, size: int, device: torch.device | str = "cpu") -> tuple[Tensor, list[str]]:
    """`count` scenes: uint8 images (count, 3, size, size) on the device, and their captions."""
    images, texts = [], []
    chunk = CHUNK.get(torch.device(device).type, CHUNK["cpu"])
    for start in range(0, count, chunk):
        batch = sample(min(chunk, count - start), seed + start)
        images.append((render(batch, size, device) * 255).round().to(torch.uint8))
        texts += captions(batch)
    return torch.cat(images), texts


def as_input(images: Tensor) -> Tensor:
    """Bytes to float32 in [-1, 1], as the autoencoder takes them."""
    return images.float() / 127.5 - 1


class Scenes:
    """An endless stream of pictures: batches from a pool, left and right exchanged at random, that is renewed bit by bit.

    Args:
        size: pixels a side.
        pool: scenes at hand at a time.
        seed: of the first scene; later ones follow.
        device: where images are rendered and handed out.
    """

    def __init__(self, size: int, pool: int, seed: int, device: torch.device):
        self.size, self.device = size, device
        self.images = draw(pool, seed, size, device)[0]
        self.next_seed, self.handed_out, self.oldest = seed + pool, 0, 0

    def batch(self, count: int) -> Tensor:
        """Images (count, 3, size, size) float32 in [-1, 1]."""
        if self.handed_out >= 2 * len(self.images):
            self._renew(max(1, int(RENEWED * len(self.images))))
        self.handed_out += count
        images = as_input(self.images[torch.randint(len(self.images), (count,), device=self.device)])
        mirrored = torch.rand(count, 1, 1, 1, device=self.device) < 0.5
        return torch.where(mirrored, images.flip(3), images)

    def _renew(self, count: int) -> None:
        rows = torch.arange(self.oldest, self.oldest + count, device=self.device) % len(self.images)
        self.images[rows] = draw(count, self.next_seed, self.size, self.device)[0]
        self.next_seed, self.oldest, self.handed_out = self.next_seed + count, int(rows[-1]) + 1, 0


class Captioned:
    """Scenes with their captions as the UNet sees them: drawn while there is time, encoded bit by bit as training goes on.

    Args:
        size: pixels a side.
        room: scenes at most.
        part: scenes drawn and encoded at a time.
        seed: of the first scene.
        token_ids: captions -> int64 (captions, length).
        device: where everything is kept.
    """

    def __init__(self, size: int, room: int, part: int, seed: int, token_ids: Callable[[list[str]], Tensor], device: torch.device):
        self.size, self.room, self.part, self.seed, self.token_ids, self.device = size, room, part, seed, token_ids, device
        self.ids = torch.empty(0)
        self.images: deque[Tensor] = deque()  # parts that are not yet encoded
        self.latents: Tensor | None = None
        self.encoded = 0

    def draw_while(self, time_is_left: Callable[[], bool]) -> None:
        """Draw part after part until there is no more room or no more time; a quarter of the room is filled anyway."""
        ids: list[Tensor] = []
        while not ids or (self.part * (len(ids) + 1) <= self.room and (self.part * len(ids) < LEAST * self.room or time_is_left())):
            images, texts = draw(self.part, self.seed + self.part * len(ids), self.size, self.device)
            self.images.append(images)
            ids.append(self.token_ids(texts))
        self.ids = torch.cat(ids).to(self.device)

    def batch(self, count: int, encode: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
        """Latents (count, c, h, w) float32 and token ids (count, length) of encoded scenes at random; first, one more part is encoded.

        Args:
            encode: images (part, 3, size, size) in [-1, 1] -> latents (part, c, h, w).
        """
        if self.images:
            latents = encode(as_input(self.images.popleft()))
            if self.latents is None:
                kind = torch.bfloat16 if self.device.type == "cuda" else torch.float32
                self.latents = torch.empty(len(self.ids), *latents.shape[1:], dtype=kind, device=self.device)
            self.latents[self.encoded : self.encoded + self.part] = latents
            self.encoded += self.part
        assert self.latents is not None, "draw before asking for a batch"
        rows = torch.randint(self.encoded, (count,), device=self.device)
        return self.latents[rows].float(), self.ids[rows]
