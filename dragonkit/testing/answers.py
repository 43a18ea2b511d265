"""Whether what the hooks answer fits the picture and the engine."""

from __future__ import annotations

import numpy as np
import torch

from dragonkit.diffusion.source import Source, feature_grid, latent_grid
from dragonkit.edits.edit import Edit
from dragonkit.errors import ImageError
from dragonkit.imaging.images import load_image
from dragonkit.imaging.masks import Grid
from dragonkit.plugins.answers import EditMasks
from dragonkit.plugins.registry import PluginRegistry
from dragonkit.testing.failures import failure
from dragonkit.testing.geometry import check_masks
from dragonkit.testing.gradients import check_gradient

__all__ = ["check_answers", "check_terms"]

COARSE, COARSE_REFERENCE = (11, 7), (7, 9)
"""Rasters that divide no usual picture: cells are neither square nor whole pixels. Small, for gradients are checked on them."""


def check_answers(plugin: str, registry: PluginRegistry, edit: Edit, source: Source) -> None:
    """Masks, reference, draft, initial latents and attention plan of an edit of one of the plugin's own modes."""
    size = source.image_size
    grids = [Grid(*size, *size), latent_grid(source), feature_grid(source), Grid(*COARSE, *size)]
    pixel_masks, latent_masks, *_ = check_masks(plugin, registry, edit, grids)
    registry.draft(edit, pixel_masks, _colors(source.pixels), _reference(plugin, registry, edit))
    _check_latents(plugin, registry, edit, latent_masks, source)
    registry.attention(edit, latent_masks)


def check_terms(plugin: str, registry: PluginRegistry, edit: Edit, image_size: tuple[int, int]) -> None:
    """The energies that this plugin, not others, adds to an edit of any mode."""
    masks, other = registry.build_masks(edit, Grid(*COARSE, *image_size)), _reference(plugin, registry, edit)
    grid = None if other is None else Grid(*COARSE_REFERENCE, other.shape[1], other.shape[0])
    for owner, term in registry.energy_terms(edit, masks):
        if owner.name == plugin:
            try:
                check_gradient(term, masks, grid)
            except AssertionError as error:
                raise failure(plugin, "dragonkit_energy_terms", f"for {edit!r} {error}") from error


def _reference(plugin: str, registry: PluginRegistry, edit: Edit) -> np.ndarray | None:
    """The second picture's colours, where there is one."""
    reference = registry.reference(edit)
    if reference is None:
        return None
    try:
        return _colors(np.asarray(load_image(reference.image)))
    except ImageError as error:
        raise failure(plugin, "dragonkit_reference", f"for {edit!r} {error}") from error


def _colors(pixels: np.ndarray) -> np.ndarray:
    """As the engine hands pictures over, but a hook that writes to them fails."""
    colors = pixels.astype(np.float32) / 255
    colors.flags.writeable = False
    return colors


def _check_latents(plugin: str, registry: PluginRegistry, edit: Edit, masks: EditMasks, source: Source) -> None:
    hook, before = "dragonkit_initial_latents", source.trajectory.clone()
    latents, own = registry.initial_latents(edit, masks, source), source.latents_at(len(source.schedule))
    if not torch.equal(source.trajectory, before):
        raise failure(plugin, hook, f"for {edit!r} it writes to source.trajectory, which later edits read as well; work on a copy")
    if latents is None:
        return
    if latents.shape != own.shape or latents.dtype != own.dtype:
        got, expected = (f"{tuple(one.shape)} {one.dtype}" for one in (latents, own))
        raise failure(plugin, hook, f"for {edit!r} it gave a tensor {got}; give one {expected}, like the last of source.trajectory")
    if not torch.isfinite(latents).all():
        raise failure(plugin, hook, f"for {edit!r} it gave NaN or infinite latents; start from the last of source.trajectory")
