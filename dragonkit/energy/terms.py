"""The standard energy terms, made from an edit's masks (DragonDiffusion, arXiv 2307.02421, equations 5, 7, 8 and 9).

    @hookimpl
    def dragonkit_energy_terms(edit, masks):
        if not isinstance(edit, Rotate):
            return None
        return moving_terms(masks, edit.edit_weight, edit.preserve_weight, edit.contrast_weight, edit.inpaint_weight)

Every term needs a cell to act on: one whose region is empty is an EditError. `moving_terms` and `vacating_terms` leave those out. Where
gradients are regional (DiffEditor, arXiv 2402.02583), that of "edit" acts inside the target and the others' outside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dragonkit.energy.cells import Cells
from dragonkit.errors import EditError
from dragonkit.plugins.answers import EditMasks, EnergyTerm, Features

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["contrast", "inpaint", "moving_terms", "preserve", "resemble_source", "vacating_terms"]


def resemble_source(masks: EditMasks, weight: float) -> EnergyTerm:
    """Equation 5, its edit part: the target looks like what `masks.correspondence` says belongs there.

        weight / (1 + 4 S(F_gen[target], warp(F_src)[target]))

    Where content changes its size this is equation 9: R enlarges the source's features and C crops them about the object's centre,
    which looks every target cell up at the place that the correspondence gives, interpolated bilinearly in both.
    """
    _needs(masks.target, "edit", "target")
    cells = Cells(masks)

    def energy(features: Features) -> Tensor:
        from dragonkit.energy.similarity import gather, inverse_energy, local_similarity
        from dragonkit.imaging.lookup import warp

        moved = warp(features.source, cells("correspondence", features.source))
        target = cells("target", features.generated)
        return inverse_energy(local_similarity(gather(features.generated, target), gather(moved, target)))

    return EnergyTerm("edit", energy, weight, region="target")


def preserve(masks: EditMasks, weight: float) -> EnergyTerm:
    """Equation 5, its other part: weight / (1 + 4 S(F_gen[preserve], F_src[preserve])); what must not change does not."""
    _needs(masks.preserve, "preserve", "preserve")
    cells = Cells(masks)

    def energy(features: Features) -> Tensor:
        from dragonkit.energy.similarity import gather, inverse_energy, local_similarity

        stays = cells("preserve", features.generated)
        return inverse_energy(local_similarity(gather(features.generated, stays), gather(features.source, stays)))

    return EnergyTerm("preserve", energy, weight, region="elsewhere")


def contrast(masks: EditMasks, weight: float) -> EnergyTerm:
    """Equation 7: weight * S(F_gen[vacated], F_src[vacated]); the vacated place stops looking like what it held."""
    _needs(masks.vacated, "contrast", "vacated")
    cells = Cells(masks)

    def energy(features: Features) -> Tensor:
        from dragonkit.energy.similarity import gather, local_similarity

        vacated = cells("vacated", features.generated)
        return local_similarity(gather(features.generated, vacated), gather(features.source, vacated))

    return EnergyTerm("contrast", energy, weight, region="elsewhere")


def inpaint(masks: EditMasks, weight: float) -> EnergyTerm:
    """Equation 8: weight / (1 + 4 S_glob(F_gen[vacated], F_src[surroundings])); the vacated place looks like its surroundings."""
    _needs(masks.vacated, "inpaint", "vacated")
    _needs(masks.surroundings, "inpaint", "surroundings")
    cells = Cells(masks)

    def energy(features: Features) -> Tensor:
        from dragonkit.energy.similarity import gather, global_similarity, inverse_energy

        vacated, around = (cells(name, features.generated) for name in ("vacated", "surroundings"))
        return inverse_energy(global_similarity(gather(features.generated, vacated), gather(features.source, around)))

    return EnergyTerm("inpaint", energy, weight, region="elsewhere")


def moving_terms(
    masks: EditMasks, edit_weight: float = 4.0, preserve_weight: float = 6.0, contrast_weight: float = 0.2, inpaint_weight: float = 0.8
) -> list[EnergyTerm]:
    """All four, for a mode that moves content within its picture, with the paper's weights; terms without a cell to act on are left out."""
    return [resemble_source(masks, edit_weight), *vacating_terms(masks, preserve_weight, contrast_weight, inpaint_weight)]


def vacating_terms(
    masks: EditMasks, preserve_weight: float = 6.0, contrast_weight: float = 0.2, inpaint_weight: float = 0.8
) -> list[EnergyTerm]:
    """Preserve, contrast and inpaint, for a mode that takes content away; terms without a cell to act on are left out."""
    terms = []
    if masks.preserve.any():
        terms.append(preserve(masks, preserve_weight))
    if masks.vacated.any():
        terms.append(contrast(masks, contrast_weight))
    if masks.vacated.any() and masks.surroundings.any():
        terms.append(inpaint(masks, inpaint_weight))
    return terms


def _needs(region: np.ndarray, term: str, name: str) -> None:
    if not region.any():
        raise EditError(f"the energy {term!r} has nothing to act on: EditMasks.{name} has no cell inside. Leave the term out.")
