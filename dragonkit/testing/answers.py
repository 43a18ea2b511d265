"""Whether what the hooks answer fits the picture and the engine."""

from __future__ import annotations

import numpy as np
import torch

from dragonkit.diffusion.source import Source, feature_grid, latent_grid
from dragonkit.edits.edit import Edit
from dragonkit.imaging.masks import Grid
from dragonkit.plugins.answers import EditMasks
from dragonkit.plugins.registry import PluginRegistry
from dragonkit.testing.failures import failure
from dragonkit.testing.geometry import check_places
from dragonkit.testing.gradients import check_gradient

__all__ = ["check_answers", "check_terms"]

COARSE, COARSE_REFERENCE = (11, 7), (7, 9)
"""Rasters that divide no usual picture: cells are neither square nor whole pixels. Small, for gradients are checked on them."""


def check_answers(plugin: str, registry: PluginRegistry, edit: Edit, source: Source, reference: Source | None) -> None:
    """Places, draft, initial latents and attention plan of an edit of one of the plugin's own modes.

    Args:
        reference: the inverted picture that the edit's `dragonkit_reference` gives.
    """
    size = source.image_size
    grids = [Grid(*size, *size), latent_grid(source), feature_grid(source), Grid(*COARSE, *size)]
    pixel_masks, latent_masks, *_ = check_places(plugin, registry, edit, grids, None if reference is None else reference.image_size)
    registry.draft(edit, pixel_masks, _colors(source.pixels), None if reference is None else _colors(reference.pixels))
    _check_latents(plugin, registry, edit, latent_masks, source, reference)
    registry.attention(edit, latent_masks)


def check_terms(
    plugin: str, registry: PluginRegistry, edit: Edit, image_size: tuple[int, int], reference_size: tuple[int, int] | None = None
) -> None:
    """The energies that this plugin, not others, adds to an edit of any mode."""
    masks = registry.build_masks(edit, image_size).on(Grid(*COARSE, *image_size))
    grid = None if reference_size is None else Grid(*COARSE_REFERENCE, *reference_size)
    for owner, term in registry.energy_terms(edit, masks):
        if owner.name == plugin:
            try:
                check_gradient(term, masks, grid)
            except AssertionError as error:
                raise failure(plugin, "dragonkit_energy_terms", f"for {edit!r} {error}") from error


def _colors(pixels: np.ndarray) -> np.ndarray:
    """As the engine hands pictures over, but a hook that writes to them fails."""
    colors = pixels.astype(np.float32) / 255
    colors.flags.writeable = False
    return colors


def _check_latents(plugin: str, registry: PluginRegistry, edit: Edit, masks: EditMasks, source: Source, reference: Source | None) -> None:
    hook, given = "dragonkit_initial_latents", [source] if reference is None else [source, reference]
    before = [one.trajectory.clone() for one in given]
    latents, own = registry.initial_latents(edit, masks, source, reference), source.latents_at(len(source.schedule))
    for name, one, kept in zip(("source", "reference"), given, before, strict=False):
        if not torch.equal(one.trajectory, kept):
            raise failure(plugin, hook, f"for {edit!r} it writes to {name}.trajectory, which later edits read as well; work on a copy")
    if latents is None:
        return
    if latents.shape != own.shape or latents.dtype != own.dtype:
        got, expected = (f"{tuple(one.shape)} {one.dtype}" for one in (latents, own))
        raise failure(plugin, hook, f"for {edit!r} it gave a tensor {got}; give one {expected}, like the last of source.trajectory")
    if not torch.isfinite(latents).all():
        raise failure(plugin, hook, f"for {edit!r} it gave NaN or infinite latents; start from the last of source.trajectory")
