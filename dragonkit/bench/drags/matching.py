"""Where the things at some points of a picture are in another one: nearest neighbours of diffusion features (Tang et al. 2023, "DIFT")."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from dragonkit.diffusion.backbone import Backbone
from dragonkit.diffusion.schedule import Schedule
from dragonkit.errors import ShapeError
from dragonkit.imaging.images import fit_size, load_image, to_tensor
from dragonkit.imaging.lookup import warp

__all__ = ["Matcher"]

Point = tuple[float, float]

TIMESTEP, TIMESTEPS, LAYER, DRAWS = 261, 1000, 1, 8
"""The noise level, the layer (counted from 0), and draws of noise whose features are averaged: those of DragBench's evaluator."""
_COARSEST = 32  # cells along the picture's shorter side, as Stable Diffusion has; a finer layer is taken where there are fewer
_SEED = 42
_ROWS = 16  # of pixels that are compared at once: of all pixels at once the features would fill gigabytes


class Matcher:
    """Finds things again by a model's decoder features. Deterministic: the same pictures give the same places.

    Args:
        layer: its name; None for that of DragBench's evaluator, or a finer one of a model of small pictures.

    Example:
        Matcher(editor.backbone).find(before, after, [(30.5, 20.5)], "a boat")
    """

    def __init__(self, backbone: Backbone, layer: str | None = None):
        self.backbone = backbone
        self.layer = _default_layer(backbone) if layer is None else layer

    @property
    def protocol(self) -> str:
        """How it was matched, in a few words."""
        return f"layer {self.layer}, timestep {TIMESTEP} of {TIMESTEPS}, mean of {DRAWS} draws of noise, nearest by cosine among all pixels"

    @torch.no_grad()
    def find(self, before: Image.Image, after: Image.Image, points: Sequence[Point], prompt: str = "") -> np.ndarray:
        """Where in `after` the things at `points` of `before` are.

        Args:
            before, after: of one size.
            points: (x, y) in pixels; the pixel under each is looked for.
            prompt: what the pictures show.

        Returns:
            float64 (n, 2), (x, y) of the middles of pixels; of equally good ones the first in reading order.

        Raises:
            ShapeError: the pictures differ in size.
        """
        if before.size != after.size:
            raise ShapeError(before.size, after.size, "the second picture", "Compare pictures of one size.")
        width, height = before.size
        wanted = np.floor(np.array(points, dtype=np.float64)).clip(0, [width - 1, height - 1]) + 0.5
        # noise of their own for either picture: the same would be alike in the same places, and things would seem to stay where they were
        generator = torch.Generator().manual_seed(_SEED)
        known, other = (self._features(picture, prompt, generator) for picture in (before, after))
        vectors = _unit(_looked_up(known, wanted[None], before.size)[:, 0])
        best, places = torch.full((len(wanted),), -torch.inf), np.zeros((len(wanted), 2))
        columns = np.arange(width) + 0.5
        for top in range(0, height, _ROWS):
            rows = np.arange(top, min(top + _ROWS, height)) + 0.5
            middles = np.stack(np.meshgrid(columns, rows), axis=-1)
            likeness, index = (vectors.T @ _unit(_looked_up(other, middles, before.size).flatten(1))).max(dim=1)
            better = likeness.cpu() > best
            best = torch.where(better, likeness.cpu(), best)
            places[better.numpy()] = middles.reshape(-1, 2)[index.cpu().numpy()][better.numpy()]
        return places

    def _features(self, picture: Image.Image, prompt: str, generator: torch.Generator) -> Tensor:
        """Decoder features (c, h, w), float32, the mean over draws of noise."""
        backbone = self.backbone
        size = fit_size(picture.size, backbone.model_size, backbone.size_multiple)
        clean = backbone.encode(to_tensor(load_image(picture), size))
        noise = torch.randn(DRAWS, *clean.shape[1:], generator=generator).to(clean)
        schedule = backbone.schedule(TIMESTEPS, size)
        level = _level(schedule)
        condition, noisy = backbone.condition([prompt], size), schedule.add_noise(clean, noise, level)
        return backbone.predict(noisy, schedule.time(level), condition, features=[self.layer]).features[self.layer].float().mean(0)


def _level(schedule: Schedule) -> int:
    """The noise level that is as far along as `TIMESTEP` of `TIMESTEPS`."""
    last = schedule.time(len(schedule))
    return min(range(1, len(schedule) + 1), key=lambda level: abs(schedule.time(level) / last - TIMESTEP / TIMESTEPS))


@torch.no_grad()
def _default_layer(backbone: Backbone) -> str:
    """That of DragBench's evaluator, or the first finer one that is fine enough: at the model's size, as one call shows."""
    side, layers = backbone.model_size, backbone.feature_layers[LAYER:]
    cells = side // backbone.pixels_per_latent
    latents = torch.zeros(1, backbone.latent_channels, cells, cells, device=backbone.device, dtype=backbone.dtype)
    time = backbone.schedule(1, (side, side)).time(1)
    shown = backbone.predict(latents, time, backbone.condition([""], (side, side)), features=layers).features
    return next((layer for layer in layers if min(shown[layer].shape[2:]) >= _COARSEST), layers[-1])


def _looked_up(features: Tensor, places: np.ndarray, size: tuple[int, int]) -> Tensor:
    """Features (c, h, w) of a picture of `size` (width, height) at places (h', w', 2) in its pixels, bilinearly: (c, h', w')."""
    cells = np.array(features.shape[:0:-1]) / size
    return warp(features, (places * cells).astype(np.float32))


def _unit(vectors: Tensor) -> Tensor:
    """Columns of (c, n) at length 1."""
    return torch.nn.functional.normalize(vectors, dim=0)
