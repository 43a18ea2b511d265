"""From edits to a plan: ask the plugins once, before the loop, and put their answers into plain values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from dragonkit.diffusion.backbone import Backbone, Condition, Pictured
from dragonkit.diffusion.glimpse import Glimpse
from dragonkit.diffusion.reading import PlannedAttention
from dragonkit.diffusion.sampling import SamplingPlan, first_open_step
from dragonkit.diffusion.source import Source, feature_grid, latent_grid
from dragonkit.editing.anchors import Placed, anchors_of, holds_of, initial_latents, moved_misses
from dragonkit.editing.energies import planned_term
from dragonkit.editing.layout import Layout
from dragonkit.editing.pasting import Cutout, cut_and_paste, edit_region, free_pixels, resized, to_mask
from dragonkit.editing.transparency import pasted_alpha
from dragonkit.edits.edit import Edit
from dragonkit.edits.schedules import Span
from dragonkit.edits.settings import Settings
from dragonkit.errors import PluginHookError
from dragonkit.imaging.images import to_tensor
from dragonkit.imaging.masks import Grid, cell_coverage, dilate, to_grid
from dragonkit.plugins.answers import AttentionPlan, EditMasks
from dragonkit.plugins.placement import Placement
from dragonkit.plugins.registry import PluginRegistry

__all__ = ["EditPlan", "plan_edits"]


@dataclass(frozen=True, eq=False)
class EditPlan:
    """What the loop needs, and what turns its latents into a picture.

    Attributes:
        sampling: for `guided_sampling`.
        pasted: (1, 3, H, W) in [-1, 1], of the picture's size: the edits done with scissors and paste.
        given_latents: (1, c, h, w), z_0 as it were if the model changed nothing: the source's where that stays, else the pasted picture's.
        known: float32 (H, W): 1 where `pasted` shows the content that the edit wants there, 0 where only the model knows it.
        free: float32 (H, W): how free the model was to change each pixel; 0 where all that it shows was given.
        region: float32 (H, W): how much of each pixel may change.
        alpha: float32 (H, W) in [0, 1], the transparency of the result; None for a picture without.
    """

    sampling: SamplingPlan
    pasted: Tensor
    given_latents: Tensor
    known: np.ndarray
    free: np.ndarray
    region: np.ndarray
    alpha: np.ndarray | None = None


def plan_edits(
    registry: PluginRegistry,
    backbone: Backbone,
    source: Source,
    layout: Layout,
    settings: Settings,
    references: Sequence[Source | None] | None = None,
    misses: Callable[[Source, int], Tensor] | None = None,
    reach: Callable[[Source, int], object] = lambda source, level: source.way.upto(level),
) -> EditPlan:
    """Plan several edits in one pass: energies add up, masks combine, attention plans merge, each changes its part of z_T.

    Args:
        layout: the edits, on a picture of the source's size.
        references: the inverted reference picture of every edit, None for edits without one.
        misses: (source, level) -> what the source's own step down from there misses, for sources that are retraced.
        reach: finds a source's levels, as far up as the edit starts.

    Raises:
        PluginHookError: a plugin's answer is of no use.
    """
    layout = layout.settled(settings, source.pixels)
    edits, references = layout.edits, references or [None] * len(layout.edits)
    latent_cells, feature_cells = latent_grid(source), feature_grid(source)
    image_masks, latent_masks, feature_masks = map(layout.on, (Grid(*layout.size, *layout.size), latent_cells, feature_cells))

    touched = ~np.logical_and.reduce([masks.preserve for masks in image_masks])
    region = edit_region(touched, latent_cells.cell_width)
    asked = zip(edits, image_masks, layout.placements, references, strict=True)
    cutouts = [_cutout(registry, source, *each) for each in asked]
    known = np.ones(region.shape, dtype=np.float32)
    for masks, cutout in zip(image_masks, cutouts, strict=True):
        if cutout is None:
            known[masks.source | masks.target] = 0
    known_cutouts = [cutout for cutout in cutouts if cutout is not None]
    pasted = cut_and_paste(_tensor(source), *known_cutouts)
    alpha = None if source.photo.alpha is None else pasted_alpha(source.photo.alpha, known_cutouts, region)
    pasted_there = resized(pasted, source.size)
    pasted_latents = backbone.encode(pasted_there)
    # an encoder sees further than a cell: the source's latents up to two cells from an object know of it
    untouched = ~dilate(cell_coverage(touched, latent_cells) > 0, 2)
    certain = [masks.target if one.certain is None else one.certain for one, masks in zip(layout.placements, image_masks, strict=True)]
    everything = zip(image_masks, latent_masks, references, certain, strict=True)
    placed = [Placed(*each) for each, cutout in zip(everything, cutouts, strict=True) if cutout is not None]

    inverted = list(dict.fromkeys(reference for reference in references if reference is not None))
    number = [None if reference is None else inverted.index(reference) for reference in references]
    planned = zip(edits, latent_masks, number, strict=True)
    when = settings.schedule.attention
    attention = [(_attention(registry, *asked, when), asked[-1]) for asked in planned if settings.attention]
    regions = [_regions(masks, pasted_latents) if settings.schedule.regional else {} for masks in latent_masks]
    terms = [
        planned_term(plugin, term, "" if len(edits) == 1 else f"{place}:", number[place], regions[place])
        for place, (edit, masks) in enumerate(zip(edits, feature_masks, strict=True))
        for plugin, term in registry.energy_terms(edit, masks)
    ]
    steps = len(source.schedule)
    holds = holds_of(latent_cells, placed, pasted_latents, known, untouched, settings)
    first = first_open_step([(hold.mask, hold.stop) for hold in holds], steps)
    top = min(steps - first + (source.replay.bidirectional > 0), steps)  # which looks back by a level
    for each in (source, *inverted):
        reach(each, top)
    if first == 0:
        start = initial_latents(registry, source, edits, latent_masks, references, settings.seed if settings.start == "picture" else None)
    else:  # all of it is held where the loop begins
        start = torch.zeros_like(pasted_latents)
    guided = settings.schedule.guided(settings.steps) if terms and settings.energy_scale else frozenset[int]()
    sampling = SamplingPlan(
        latents=start,
        condition=source.condition,
        negative_condition=source.negative_condition,
        terms=terms,
        layers=settings.layers,
        feature_size=feature_cells.shape,
        references=[feature_grid(reference) for reference in inverted],
        guided=guided,
        attention=[
            PlannedAttention(plan if reference is None else _on_latents(plan, inverted[reference]), reference)
            for plan, reference in attention
            if plan is not None
        ],
        anchors=anchors_of(holds, source, placed, pasted_latents, top, settings.seed),
        guidance_scale=settings.guidance_scale,
        led=settings.schedule.led(steps),
        energy_scale=settings.energy_scale,
        region=to_mask(~np.logical_and.reduce([masks.preserve for masks in latent_masks]), pasted_latents),
        noise=settings.schedule.noise_at(settings.steps),
        rounds=settings.schedule.rounds_at(settings.steps) if guided else {},
        seed=settings.seed,
        picture=_picture(backbone, source, settings),
        pictured=settings.schedule.pictured(settings.steps),
        replay=source.replay,
        glimpse=Glimpse(pasted_latents, pasted_there),
        missed=None if misses is None else moved_misses(source, placed, misses, settings.seed),
    )
    given_latents = torch.where(to_mask(untouched, pasted_latents), source.latents_at(0), pasted_latents)
    held = np.zeros(region.shape, bool)
    for one in placed:
        held |= (
            (one.certain & (settings.hold == 1))
            | (one.pixels.target & (settings.hold_guess == 1))
            | (one.pixels.vacated & (settings.hold_vacated == 1))
        )
    return EditPlan(sampling, pasted, given_latents, known, free_pixels(held, latent_cells.cell_width), region, alpha)


def _picture(backbone: Backbone, source: Source, settings: Settings) -> Callable[[Condition, bool], Condition] | None:
    """The source as a prompt (DiffEditor, section 3.1), where the settings ask for it."""
    if not settings.image_prompt:
        return None
    assert isinstance(backbone, Pictured)  # Editor.settings has asked
    return backbone.shown(source.pixels, settings.image_prompt)


def _cutout(
    registry: PluginRegistry, source: Source, edit: Edit, masks: EditMasks, placement: Placement, reference: Source | None
) -> Cutout | None:
    """What the edit looks like without a diffusion model, or None where only the model can tell."""
    draft = None
    if registry.implements(edit, "draft"):  # the pictures in floats are large
        colors = [None if one is None else one.pixels.astype(np.float32) / 255 for one in (source, reference)]
        assert colors[0] is not None
        draft = registry.draft(edit, masks, colors[0], colors[1])
    if draft is not None:
        return Cutout(masks, draft=torch.from_numpy(draft).permute(2, 0, 1)[None] * 2 - 1)
    if not masks.places_content(reference is not None):
        return None
    return Cutout(masks, placement.back, None if reference is None else _tensor(reference), with_ground=placement.with_ground)


def _attention(registry: PluginRegistry, edit: Edit, masks: EditMasks, reference: int | None, when: Span | None) -> AttentionPlan | None:
    """The mode's plan, at the times that the settings say, if they do."""
    plan = registry.attention(edit, masks)
    if plan is not None and plan.reference_mask is not None and reference is None:
        owner = registry.owner(edit.mode)
        message = "dragonkit_attention gave a reference_mask, but there is no picture to read: give it in dragonkit_reference."
        raise PluginHookError(owner.name, owner.origin, message)
    return plan if plan is None or when is None else replace(plan, start=when[0], stop=when[1])


def _on_latents(plan: AttentionPlan, reference: Source) -> AttentionPlan:
    """The plan with its reference mask on the latents' cells: coarse once instead of at every step."""
    mask = plan.reference_mask
    if mask is None:
        return plan
    cells = latent_grid(reference)
    return replace(plan, reference_mask=to_grid(mask, replace(cells, image_width=mask.shape[1], image_height=mask.shape[0])))


def _tensor(source: Source) -> Tensor:
    return to_tensor(Image.fromarray(source.pixels))


def _regions(masks: EditMasks, like: Tensor) -> dict[str, Tensor]:
    """Where the gradients of the terms act, by the terms' `region`."""
    return {"target": to_mask(masks.target, like), "elsewhere": to_mask(~masks.target, like)}
