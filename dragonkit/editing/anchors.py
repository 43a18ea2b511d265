"""What latents are given: where the generation branch starts, and what is held instead of sampled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from dragonkit.diffusion.sampling import Anchor
from dragonkit.diffusion.source import Source, latent_grid
from dragonkit.editing.pasting import to_mask
from dragonkit.edits.edit import Edit
from dragonkit.edits.settings import Settings
from dragonkit.errors import PluginHookError
from dragonkit.imaging.lookup import warp
from dragonkit.imaging.masks import Grid, cell_coverage, dilate
from dragonkit.imaging.matting import RIM
from dragonkit.plugins.answers import EditMasks
from dragonkit.plugins.registry import PluginRegistry

__all__ = ["Hold", "Placed", "anchors_of", "holds_of", "initial_latents", "moved_misses", "moved_noise"]


@dataclass(frozen=True, eq=False)
class Placed:
    """An edit whose content can be pasted: its masks on pixels and on latent cells, and the reference that the content comes from, if any.

    Attributes:
        certain: bool (H, W), where in the target that content is right; elsewhere it is a first guess.
    """

    pixels: EditMasks
    cells: EditMasks
    reference: Source | None
    certain: np.ndarray


def initial_latents(
    registry: PluginRegistry,
    source: Source,
    edits: Sequence[Edit],
    masks: Sequence[EditMasks],
    references: Sequence[Source | None],
    seed: int | None = 0,
) -> Tensor:
    """z_T with every edit's changes to the source's, applied in order; `seed` is that of new noise, None for none."""
    own = combined = source.latents_at(len(source.schedule))
    for edit, cells, reference in zip(edits, masks, references, strict=True):
        latents = registry.initial_latents(edit, cells, source, reference)
        if latents is None:
            latents = moved_noise(cells, source, reference, seed)
        if latents.shape != own.shape:
            owner = registry.owner(edit.mode)
            message = f"dragonkit_initial_latents gave latents of shape {tuple(latents.shape)}, not {tuple(own.shape)}."
            raise PluginHookError(owner.name, owner.origin, message)
        if not torch.isfinite(latents).all():
            owner = registry.owner(edit.mode)
            raise PluginHookError(owner.name, owner.origin, "dragonkit_initial_latents gave latents that are NaN or infinite.")
        combined = torch.where(latents != own, latents.to(own), combined)
    return combined


def moved_noise(cells: EditMasks, source: Source, reference: Source | None = None, seed: int | None = 0) -> Tensor:
    """The source's z_T with the noise of the content copied to its target, looked up without interpolation: (1, c, h, w).

    What the content leaves gets new noise: in its own it lives on, whatever pushes it away.

    Args:
        cells: the masks on the latents' cells.
        reference: the picture that the content comes from; None for the source itself.
        seed: of the new noise; None to leave the content's own there, as the released code does.
    """
    own, origin = source.latents_at(len(source.schedule)), reference or source
    if not cells.places_content(reference is not None):
        return own
    moved = warp(origin.latents_at(len(origin.schedule))[0], cells.correspondence_on(latent_grid(origin)), mode="nearest")[None]
    left = own if seed is None else torch.where(to_mask(cells.vacated, own), _fresh(own, seed), own)
    return torch.where(to_mask(cells.target, own), moved, left)


class Hold(NamedTuple):
    """Cells that are given instead of sampled.

    Attributes:
        mask: bool (h, w).
        stop: until which fraction of the steps.
        own: whether they are the source's own, else the pasted picture's.
    """

    mask: Tensor
    stop: float
    own: bool = False


def holds_of(
    grid: Grid, placed: Sequence[Placed], pasted_latents: Tensor, known: np.ndarray, untouched: np.ndarray, settings: Settings
) -> list[Hold]:
    """What is given instead of sampled: the untouched part is the source's, the edited part the pasted picture's for a while.

    A cell counts as moved content when it has the least bit of it, so that no half-covered cell on an object's rim is left to chance.
    """
    target, vacated = (
        np.logical_or.reduce(
            [cell_coverage(dilate(getattr(one.pixels, part), RIM), grid) > 0 for one in placed] or [np.zeros(grid.shape, bool)]
        )
        for part in ("target", "vacated")
    )
    vacated &= ~target
    pasted = ~untouched & ~vacated & (cell_coverage(known == 0, grid) == 0)
    guesses = np.logical_or.reduce([one.pixels.target & ~one.certain for one in placed] or [known == 0])
    guessed = cell_coverage(guesses, grid) > 0
    holds = [] if settings.keep == "energy" else [Hold(to_mask(untouched, pasted_latents), 1.0, own=True)]
    if placed:
        for mask, hold in ((vacated, settings.hold_vacated), (pasted & guessed, settings.hold_guess), (pasted & ~guessed, settings.hold)):
            if hold > 0:
                holds.append(Hold(to_mask(mask, pasted_latents), hold))
    return holds


def anchors_of(
    holds: Sequence[Hold], source: Source, placed: Sequence[Placed], pasted_latents: Tensor, level: int, seed: int
) -> list[Anchor]:
    """The holds with what they hold, up to a level: above, nobody looks."""
    own = source.way.upto(level).latents
    pasted = own if all(hold.own for hold in holds) else _noised(source, pasted_latents, placed, level, seed)
    return [Anchor(hold.mask, own if hold.own else pasted, hold.stop) for hold in holds]


def _noised(source: Source, clean: Tensor, placed: Sequence[Placed], highest: int, seed: int) -> Tensor:
    """The trajectory (highest + 1, c, h, w) that the pasted picture would have: its clean latents under the noise of what was pasted.

    Moving latents by whole cells would place content up to half a cell wrong, and latents do not turn or scale. Pasting pixels and
    encoding them is exact; only the noise is looked up cell by cell. Vacated cells get new noise, as at the start.
    """
    fresh, carry = _fresh(clean, seed), _carrier(source, placed)
    levels = [clean]
    for level in range(1, highest + 1):
        levels.append(source.schedule.add_noise(clean, carry(partial(_noise, level=level), fresh), level))
    return torch.cat(levels)


def moved_misses(source: Source, placed: Sequence[Placed], misses: Callable[[Source, int], Tensor], seed: int) -> Callable[[int], Tensor]:
    """What the source's step down from a level misses, moved along with the content; vacated cells get what a random step would give them.

    Args:
        misses: (source, level) -> (1, c, h, w).
        seed: of that random step.
    """
    carry, nothing = _carrier(source, placed), torch.zeros_like(source.latents_at(0))

    def moved(level: int) -> Tensor:
        fresh = nothing
        if source.replay.eta:
            unit = _fresh(nothing, (seed + level) % 2**63)
            fresh = source.schedule.noisy_step(nothing, nothing, level, source.replay.eta, unit)
        return carry(lambda origin: misses(origin, level), fresh)

    return moved


def _carrier(source: Source, placed: Sequence[Placed]) -> Callable[[Callable[[Source], Tensor], Tensor], Tensor]:
    """(what each source has at its cells, what vacated cells get) -> the same as the edits place it, looked up without interpolation."""
    like = source.latents_at(0)
    vacated = [to_mask(one.cells.vacated, like) for one in placed]
    origins = [one.reference or source for one in placed]
    places = [one.cells.correspondence_on(latent_grid(origin)) for one, origin in zip(placed, origins, strict=True)]
    targets = [to_mask(one.cells.target, like) for one in placed]

    def carry(field: Callable[[Source], Tensor], fresh: Tensor) -> Tensor:
        mixed = field(source)
        for mask in vacated:
            mixed = torch.where(mask, fresh, mixed)
        for origin, place, target in zip(origins, places, targets, strict=True):
            mixed = torch.where(target, warp(field(origin)[0], place, mode="nearest")[None], mixed)
        return mixed

    return carry


def _fresh(like: Tensor, seed: int) -> Tensor:
    """New noise, drawn on the CPU, so that a seed means the same on every machine."""
    return torch.randn(like.shape, generator=torch.Generator().manual_seed(seed)).to(like)


def _noise(source: Source, level: int) -> Tensor:
    return source.schedule.noise_in(source.latents_at(level), source.latents_at(0), level)
