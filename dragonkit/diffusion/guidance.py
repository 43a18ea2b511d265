"""Energies to a gradient with respect to the latents (DragonDiffusion, section 3.2), summed over layers, and its scale."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from dragonkit.errors import NonFiniteEnergyError
from dragonkit.imaging.masks import Grid
from dragonkit.plugins.answers import EnergyTerm, Features
from dragonkit.plugins.blame import is_out_of_memory
from dragonkit.shapes import FeatureMap, Latents

__all__ = ["Guidance", "PlannedTerm", "energy_gradient", "normalized", "on_grid"]

HALF_PRECISION_LIFT = 1024.0
"""Energies are multiplied by this before float16 gradients are taken, and the gradient divided by it afterwards."""


class PlannedTerm(NamedTuple):
    """An energy term with what the loop must know about it.

    Attributes:
        label: names the energy in reports.
        term: what a plugin gave.
        reference: which of the reference pictures its features come from; None for none.
        region: bool (h, w) on the latents' cells, where its gradient acts; None for everywhere.
        origin: whose fault it is when it fails, for messages.
        blamed: within this block errors name whose fault they are.
    """

    label: str
    term: EnergyTerm
    reference: int | None = None
    region: Tensor | None = None
    origin: str = ""
    blamed: Callable[[], AbstractContextManager[None]] = nullcontext


@dataclass(frozen=True, eq=False)
class Guidance:
    """The gradient of the summed energies, of the latents' shape, and each term's weighted value summed over layers."""

    gradient: Tensor
    energies: dict[str, float]


def on_grid(features: Tensor, size: tuple[int, int]) -> FeatureMap:
    """One layer's features (1, c, h, w) on the common grid: (c, *size) in float32 or better, bilinear."""
    return F.interpolate(_wide(features), size=size, mode="bilinear", align_corners=False)[0]


def energy_gradient(
    terms: Sequence[PlannedTerm],
    generated: Mapping[str, Tensor],
    source: Mapping[str, Tensor],
    latents: Latents,
    size: tuple[int, int],
    step: int,
    references: Sequence[tuple[Mapping[str, Tensor], Grid]] = (),
    pull: Callable[[Mapping[str, Tensor]], Tensor | None] | None = None,
) -> Guidance:
    """Sum every term over every layer, and differentiate once; once per region where gradients are regional.

    Args:
        terms: labels name the energies in reports.
        generated: features (1, c, h, w) by layer, computed from `latents` with gradients on.
        source: the guidance branch's, of the same layers.
        latents: (1, c, h, w), a leaf that requires a gradient.
        size: (height, width) of the common feature grid.
        step: for messages.
        references: the same of every reference picture, each with the raster its features are brought to.
        pull: as in `Prediction`; the features are where gradients end then.

    Raises:
        NonFiniteEnergyError: a term or its gradient is NaN or infinite.
    """
    summands: list[tuple[PlannedTerm, Tensor]] = []
    totals: dict[int, Tensor] = {}  # by region, told apart by identity
    regions: dict[int, Tensor | None] = {}
    for layer in generated:
        features = Features(on_grid(generated[layer], size), on_grid(source[layer], size).detach(), None, layer)
        others = [replace(features, reference=on_grid(maps[layer], grid.shape).detach(), reference_grid=grid) for maps, grid in references]
        for planned in terms:
            _, term, reference, region, *_ = planned
            energy = term.weight * term.function(features if reference is None else others[reference])
            summands.append((planned, energy))
            totals[id(region)] = totals.get(id(region), torch.zeros((), device=latents.device)) + energy
            regions[id(region)] = region
    energies = _values(terms, summands, step)
    # spread over all positions and channels, an energy of 1 leaves each of them less than float16 can say
    lift = HALF_PRECISION_LIFT if any(maps.dtype == torch.float16 for maps in generated.values()) else 1.0
    wanted = {key: total for key, total in totals.items() if total.requires_grad}  # others are constant here
    gradient = torch.zeros_like(latents, dtype=torch.promote_types(latents.dtype, torch.float32))
    for key, total in wanted.items():
        try:
            ends = [latents] if pull is None else list(generated.values())
            parts = torch.autograd.grad(lift * total, ends, retain_graph=True, allow_unused=True)
        except (Exception, SystemExit) as error:  # whatever an operation of a plugin's own does on the way back
            if not is_out_of_memory(error):
                _differentiate_each(summands, ends)
            raise
        part = parts[0] if pull is None else pull({layer: one for layer, one in zip(generated, parts, strict=True) if one is not None})
        if part is None:  # the latents have no say in it, but something of the plugin's own has
            continue
        if not torch.isfinite(part).all():
            raise _culprit(summands, ends, step)
        region = regions[key]
        gradient = gradient + (_wide(part) if region is None else _wide(part) * region) / lift
    return Guidance(gradient, energies)


def _values(terms: Sequence[PlannedTerm], summands: Sequence[tuple[PlannedTerm, Tensor]], step: int) -> dict[str, float]:
    """Every term's energy, summed over layers; asked of the device all at once, as it stops for every answer."""
    energies = {planned.label: 0.0 for planned in terms}
    if not summands:
        return energies
    device = next((energy.device for _, energy in summands if energy.device.type != "cpu"), summands[0][1].device)
    values = torch.stack([energy.detach().to(device, torch.float64) for _, energy in summands]).tolist()
    for (planned, _), value in zip(summands, values, strict=True):
        if not math.isfinite(value):
            raise NonFiniteEnergyError(planned.label, step, value, planned.origin)
        energies[planned.label] += value
    return energies


def _differentiate_each(summands: Sequence[tuple[PlannedTerm, Tensor]], ends: Sequence[Tensor]) -> None:
    """Each term's own gradient: the one that cannot be had says whose it is."""
    for planned, energy in summands:
        if energy.requires_grad:
            with planned.blamed():
                torch.autograd.grad(energy, ends, retain_graph=True, allow_unused=True)


def _culprit(summands: Sequence[tuple[PlannedTerm, Tensor]], ends: Sequence[Tensor], step: int) -> NonFiniteEnergyError:
    """The first term whose own gradient is no number; "the sum of all" where only their sum is."""
    for planned, energy in summands:
        if energy.requires_grad:
            parts = torch.autograd.grad(energy, ends, retain_graph=True, allow_unused=True)
            if not all(torch.isfinite(part).all() for part in parts if part is not None):
                return NonFiniteEnergyError(f"gradient of {planned.label}", step, None, planned.origin)
    return NonFiniteEnergyError("the sum of all", step)


def normalized(gradient: Latents, latents: Latents, energy_scale: float) -> Latents:
    """The gradient scaled to `energy_scale` times the latents' RMS.

    Raw gradients differ by orders of magnitude between models; this makes one energy_scale mean the same for all of them.
    A gradient of zero stays zero.
    """
    gradient = _wide(gradient)
    peak = gradient.abs().max()
    unit = gradient / peak  # the square of a small gradient would be zero
    scaled = unit * (energy_scale * _rms(_wide(latents)) / _rms(unit))
    return torch.where(peak == 0, 0, scaled).to(latents.dtype)  # chosen on the device: asking it would stop it


def _rms(tensor: Tensor) -> Tensor:
    return tensor.square().mean().sqrt()


def _wide(tensor: Tensor) -> Tensor:
    """In float32 at least."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))
