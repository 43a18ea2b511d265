"""From edits to a plan: ask the plugins once, before the loop, and put their answers into plain values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import compress

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from dragonkit.compositing import cut_and_paste, edit_region, moves, resized, to_mask
from dragonkit.diffusion.backbone import Backbone
from dragonkit.diffusion.sampling import Anchor, SamplingPlan
from dragonkit.diffusion.source import Source
from dragonkit.edits import Edit
from dragonkit.energy import warp
from dragonkit.errors import DragonkitError, PluginHookError, ShapeError
from dragonkit.images import to_tensor
from dragonkit.masks import Grid, cell_coverage, dilate
from dragonkit.plan import AttentionForm, AttentionPlan, EditMasks, EnergyTerm, Features
from dragonkit.plugins import PluginRegistry
from dragonkit.settings import Settings

__all__ = ["EditPlan", "plan_edits"]

FEATURES_PER_LATENT = 2
"""The common feature grid is twice as fine as the latents', as in the released code."""


@dataclass(frozen=True, eq=False)
class EditPlan:
    """What the loop needs, and what turns its latents into a picture.

    Attributes:
        sampling: for `guided_sampling`.
        pasted: (1, 3, H, W) in [-1, 1], of the picture's size: the edits done with scissors and paste.
        pasted_latents: (1, c, h, w), its clean latents.
        known: float32 (H, W): 1 where `pasted` shows the content that the edit wants there, 0 where only the model knows it.
        region: float32 (H, W): how much of each pixel may change.
    """

    sampling: SamplingPlan
    pasted: Tensor
    pasted_latents: Tensor
    known: np.ndarray
    region: np.ndarray


def plan_edits(registry: PluginRegistry, backbone: Backbone, source: Source, edits: Sequence[Edit], settings: Settings) -> EditPlan:
    """Plan several edits in one pass: energies add up, initial latents build on each other, what one edit changes no other preserves.

    Raises:
        EditError: an edit does not fit the picture.
        PluginHookError: a plugin's answer is of no use.
    """
    height, width = source.trajectory.shape[-2:]
    image_masks = _masks(registry, edits, Grid(*source.image_size, *source.image_size))
    latent_masks = _masks(registry, edits, Grid(width, height, *source.image_size))
    feature_grid = Grid(FEATURES_PER_LATENT * width, FEATURES_PER_LATENT * height, *source.image_size)
    feature_masks = _masks(registry, edits, feature_grid)

    started = source
    for edit, masks in zip(edits, latent_masks, strict=True):
        latents = registry.initial_latents(edit, masks, started)
        if latents is not None:
            if latents.shape != source.latents_at(0).shape:
                owner = registry.owner(edit.mode)
                message = (
                    f"dragonkit_initial_latents gave latents of shape {tuple(latents.shape)}, not {tuple(source.latents_at(0).shape)}."
                )
                raise PluginHookError(owner.name, owner.origin, message)
            started = started.starting_from(latents)

    # one latent cell in pixels of the image; the region grows by it and fades over another
    radius = source.image_size[0] / width
    region = edit_region(np.logical_and.reduce([masks.preserve for masks in image_masks]), radius)
    moving = [moves(masks) for masks in image_masks]
    moved_pixels, moved_cells = (list(compress(masks, moving)) for masks in (image_masks, latent_masks))
    known = np.ones(region.shape, dtype=np.float32)
    for masks, moved in zip(image_masks, moving, strict=True):
        if not moved:
            known[masks.source | masks.target] = 0
    pasted = cut_and_paste(to_tensor(Image.fromarray(source.pixels)), *moved_pixels)
    pasted_latents = backbone.encode(resized(pasted, source.size))
    anchors = _anchors(source, latent_masks[0].grid, moved_pixels, moved_cells, pasted_latents, known, region, settings)

    plans = [registry.attention(edit, masks) for edit, masks in zip(edits, latent_masks, strict=True)]
    start, stop = (round(part * settings.steps) for part in settings.guided)
    sampling = SamplingPlan(
        latents=started.latents_at(len(source.schedule)),
        prompt_embeds=source.prompt_embeds,
        negative_prompt_embeds=source.negative_prompt_embeds,
        terms=[
            (f"{plugin}.{term.name}" if len(edits) == 1 else f"{number}:{plugin}.{term.name}", _guarded(plugin, term))
            for number, (edit, masks) in enumerate(zip(edits, feature_masks, strict=True))
            for plugin, term in registry.energy_terms(edit, masks)
        ],
        layers=settings.layers,
        feature_size=feature_grid.shape,
        guided=frozenset(range(start, stop, settings.every)) if settings.energy_scale else frozenset(),
        attention=_merged([plan for plan in plans if plan is not None]),
        anchors=anchors,
        guidance_scale=settings.guidance_scale,
        energy_scale=settings.energy_scale,
    )
    return EditPlan(sampling, pasted, pasted_latents, known, region)


def _masks(registry: PluginRegistry, edits: Sequence[Edit], grid: Grid) -> list[EditMasks]:
    """Every edit's masks on one grid, with nothing preserved that another edit changes."""
    masks = [registry.build_masks(edit, grid) for edit in edits]
    for edit, one in zip(edits, masks, strict=True):
        if one.grid != grid:
            owner = registry.owner(edit.mode)
            raise PluginHookError(owner.name, owner.origin, f"dragonkit_build_masks answered on {one.grid} when asked for {grid}.")
    preserve = np.logical_and.reduce([one.preserve for one in masks])
    return [replace(one, preserve=preserve) for one in masks]


def _anchors(
    source: Source,
    grid: Grid,
    moved_pixels: Sequence[EditMasks],
    moved_cells: Sequence[EditMasks],
    pasted_latents: Tensor,
    known: np.ndarray,
    region: np.ndarray,
    settings: Settings,
) -> list[Anchor]:
    """What is given instead of sampled: the untouched part is the source's, the edited part the pasted picture's for a while.

    A cell counts as moved content when it has the least bit of it, so that no half-covered cell on an object's rim is left to chance.
    """
    target, vacated = (
        np.logical_or.reduce(
            [cell_coverage(dilate(getattr(masks, part), 1), grid) > 0 for masks in moved_pixels] or [np.zeros(grid.shape, bool)]
        )
        for part in ("target", "vacated")
    )
    vacated &= ~target
    untouched = cell_coverage(region > 0, grid) == 0
    pasted = ~untouched & ~vacated & (cell_coverage(known == 0, grid) == 0)
    anchors = []
    if settings.keep != "energy":
        anchors.append(Anchor(to_mask(untouched, pasted_latents), source.trajectory))
    if moved_cells:
        trajectory = _noised(source, pasted_latents, moved_cells, settings.seed)
        for mask, hold in ((vacated, settings.hold_vacated), (pasted, settings.hold)):
            if hold > 0:
                anchors.append(Anchor(to_mask(mask, trajectory), trajectory, hold))
    return anchors


def _noised(source: Source, clean: Tensor, moved_cells: Sequence[EditMasks], seed: int) -> Tensor:
    """The trajectory (n + 1, c, h, w) that the pasted picture would have: its clean latents under the source's noise, moved along.

    Moving latents by whole cells would place content up to half a cell wrong, and latents do not turn or scale. Pasting pixels and
    encoding them is exact; only the noise is looked up cell by cell. Vacated cells get new noise: in their own, the object lives on.
    """
    fresh = torch.randn(clean.shape, generator=torch.Generator().manual_seed(seed)).to(clean)
    vacated = to_mask(np.logical_or.reduce([masks.vacated for masks in moved_cells]), clean)
    levels = [clean]
    for level in range(1, len(source.schedule) + 1):
        noise = source.schedule.noise_in(source.latents_at(level), source.latents_at(0), level)
        mixed = torch.where(vacated, fresh, noise)
        for masks in moved_cells:
            mixed = torch.where(to_mask(masks.target, noise), warp(noise[0], masks.correspondence, mode="nearest")[None], mixed)
        levels.append(source.schedule.add_noise(clean, mixed, level))
    return torch.cat(levels)


def _merged(plans: Sequence[AttentionPlan]) -> AttentionPlan | None:
    """One plan for all edits: concatenation if any asks for it, over the span that covers all."""
    if not plans:
        return None
    form: AttentionForm = "concatenate" if any(plan.form == "concatenate" for plan in plans) else "replace"
    return AttentionPlan(form, min(plan.start for plan in plans), max(plan.stop for plan in plans))


def _guarded(plugin: str, term: EnergyTerm) -> EnergyTerm:
    """The term with errors that name its plugin, and with its answer checked to be a scalar."""

    def function(features: Features) -> Tensor:
        try:
            energy = term.function(features)
        except DragonkitError:
            raise
        except Exception as error:
            raise PluginHookError(plugin, None, f"the energy term {term.name!r} failed: {type(error).__name__}: {error}") from error
        if not isinstance(energy, Tensor) or energy.ndim != 0:
            actual = tuple(energy.shape) if isinstance(energy, Tensor) else type(energy).__name__
            raise ShapeError("a scalar tensor", actual, f"the energy {term.name!r} of plugin {plugin!r}", "Sum or average it.")
        return energy

    return replace(term, function=function)
