"""A picture as the engine holds it: the way from its clean latents to noise, and the words it was inverted with."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from dragonkit.diffusion.schedule import Schedule
from dragonkit.imaging.masks import Grid

__all__ = ["Source", "feature_grid", "latent_grid"]


FEATURES_PER_LATENT = 2
"""The common feature grid is twice as fine as the latents', as in the released code."""


@dataclass(frozen=True, eq=False)
class Source:
    """Made by inversion or generation, once per picture; every later edit starts from it.

    Attributes:
        trajectory: (n + 1, channels, height, width): z_0 to z_T, clean first.
        schedule: the n + 1 noise levels of the trajectory.
        prompt: the words.
        prompt_embeds: (1, words, embedding) of the prompt.
        negative_prompt_embeds: (1, words, embedding) of no words, for classifier-free guidance.
        pixels: uint8 (H, W, 3), the picture as it was given.
        size: (width, height) in pixels at which the model works on it.
        reconstruction_psnr: dB between the picture and what comes back from z_T without any edit; None when it was not checked.
        autoencoder_psnr: dB between the picture and the autoencoder's round trip: the most that a reconstruction can reach.
        seed: of the noise a generated picture came from; None for an inverted one.
        inversion_iterations: network calls per step that it was inverted with.
    """

    trajectory: Tensor
    schedule: Schedule
    prompt: str
    prompt_embeds: Tensor
    negative_prompt_embeds: Tensor
    pixels: np.ndarray
    size: tuple[int, int]
    reconstruction_psnr: float | None = None
    autoencoder_psnr: float | None = None
    seed: int | None = None
    inversion_iterations: int = 1

    @property
    def image_size(self) -> tuple[int, int]:
        """(width, height) of the picture as given."""
        return self.pixels.shape[1], self.pixels.shape[0]

    def latents_at(self, level: int) -> Tensor:
        """z at a noise level, 0 (clean) to n: (1, channels, height, width)."""
        return self.trajectory[level : level + 1]

    def starting_from(self, initial_latents: Tensor) -> Source:
        """The same source with another z_T, (1, channels, height, width): so that a second edit builds on the first one's."""
        trajectory = self.trajectory.clone()
        trajectory[-1:] = initial_latents
        return replace(self, trajectory=trajectory)


def latent_grid(source: Source) -> Grid:
    """The raster of the latents' cells, laid over the picture."""
    height, width = source.trajectory.shape[-2:]
    return Grid(width, height, *source.image_size)


def feature_grid(source: Source) -> Grid:
    """The common raster of all feature levels, laid over the picture."""
    cells = latent_grid(source)
    return replace(cells, width=FEATURES_PER_LATENT * cells.width, height=FEATURES_PER_LATENT * cells.height)
