"""A picture as the engine holds it: the way from its clean latents to noise, and the words it was inverted with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from dragonkit.diffusion.backbone import Condition
from dragonkit.diffusion.inversion import Progress
from dragonkit.diffusion.replay import Replay
from dragonkit.diffusion.schedule import Schedule
from dragonkit.imaging.masks import Grid
from dragonkit.imaging.photos import Photo
from dragonkit.words import short

__all__ = ["Levels", "Source", "Way", "feature_grid", "latent_grid"]


FEATURES_PER_LATENT = 2
"""The common feature grid is twice as fine as the latents', as in the released code."""


class Levels(NamedTuple):
    """Some levels of a picture, clean first.

    Attributes:
        latents: (m + 1, c, h, w), z_0 to z_m.
        seen: (1, c, h, w) by level, what the network saw there where that was as good as `latents`: what it recorded belongs to it.
    """

    latents: Tensor
    seen: Mapping[int, Tensor] = {}


class Way:
    """A picture's latents by noise level, found as far up as somebody asks: an edit whose first steps are given never reads the top.

    Args:
        levels: what is known.
        climb: (this way, a higher level, progress) -> the levels up to that one; None where all is known.
    """

    def __init__(self, levels: Levels, climb: Callable[[Way, int, Progress | None], Levels] | None = None):
        self.levels, self._climb = levels, climb

    def upto(self, level: int, progress: Progress | None = None) -> Levels:
        """At least up to this level. What climbs reports to `progress`; what it raises leaves the way as it was."""
        if level >= len(self.levels.latents) and self._climb is not None:
            self.levels = self._climb(self, level, progress)
        return self.levels


@dataclass(frozen=True, eq=False, repr=False)
class Source:
    """Made by inversion or generation, once per picture; every later edit starts from it.

    Attributes:
        way: from its latents to noise.
        schedule: the n + 1 noise levels of the trajectory.
        prompt: the words.
        condition: the prompt as the model that made the source takes it.
        negative_condition: the same of no words, for classifier-free guidance.
        pixels: uint8 (H, W, 3), the picture as it was given, in RGB.
        size: (width, height) in pixels at which the model works on it.
        reconstruction_psnr: dB between the picture and what comes back from z_T without any edit; None when it was not checked.
        checked_under: the guidance scale of that way back.
        autoencoder_psnr: dB between the picture and the autoencoder's round trip: the most that a reconstruction can reach.
        seed: of the noise a generated picture came from; None for an inverted one.
        guidance_scale: what that picture was generated under.
        inverted_with: the fields of `Settings` that say how it was made, and that an edit cannot change.
        replay: what brings it back besides z_T.
        state: what the model said of itself then; "" when nothing.
        photo: the picture in its own kind: grey, transparent, of 16 bits; `pixels` when left out.
    """

    way: Way
    schedule: Schedule
    prompt: str
    condition: Condition
    negative_condition: Condition
    pixels: np.ndarray
    size: tuple[int, int]
    reconstruction_psnr: float | None = None
    checked_under: float | None = None
    autoencoder_psnr: float | None = None
    seed: int | None = None
    guidance_scale: float | None = None
    inverted_with: Mapping[str, Any] = field(default_factory=dict)
    replay: Replay = field(default_factory=Replay)
    state: str = field(default="", repr=False)
    photo: Photo = None  # type: ignore[assignment]  # set below

    def __post_init__(self) -> None:
        if self.photo is None:
            object.__setattr__(self, "photo", Photo(self.pixels, self.pixels))

    @property
    def image_size(self) -> tuple[int, int]:
        """(width, height) of the picture as given."""
        return self.pixels.shape[1], self.pixels.shape[0]

    @property
    def trajectory(self) -> Tensor:
        """(n + 1, channels, height, width): z_0 to z_T, clean first; found now as far as that was not asked for before."""
        return self.way.upto(len(self.schedule)).latents

    def latents_at(self, level: int) -> Tensor:
        """z at a noise level, 0 (clean) to n: (1, channels, height, width)."""
        return self.way.upto(level).latents[level : level + 1]

    def seen_at(self, level: int) -> Tensor:
        """What the network shall see of the picture at a level: z, or what it saw close to it while z was found."""
        return self.way.upto(level).seen.get(level, self.latents_at(level))

    def __repr__(self) -> str:
        (width, height), (inner_width, inner_height) = self.image_size, self.size
        seen = "" if self.size == self.image_size else f", seen at {inner_width}x{inner_height}"
        made = "inverted" if self.seed is None else f"generated from seed {self.seed}"
        return f"<Source {width}x{height}{seen}, {made} in {len(self.schedule)} steps, {short(self.prompt)}>"


def latent_grid(source: Source) -> Grid:
    """The raster of the latents' cells, laid over the picture."""
    height, width = source.latents_at(0).shape[-2:]
    return Grid(width, height, *source.image_size)


def feature_grid(source: Source) -> Grid:
    """The common raster of all layers' features, laid over the picture."""
    cells = latent_grid(source)
    return replace(cells, width=FEATURES_PER_LATENT * cells.width, height=FEATURES_PER_LATENT * cells.height)
