"""Whether an energy is what the engine needs: a finite scalar with a right gradient in the generated features."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dragonkit.imaging.masks import Grid
from dragonkit.plugins.answers import EditMasks, EnergyTerm, Features
from dragonkit.words import short

__all__ = ["check_gradient"]


def check_gradient(term: EnergyTerm, masks: EditMasks, reference_grid: Grid | None = None, channels: int = 2, seed: int = 0) -> None:
    """Call an energy term on random float64 features and compare its gradient with finite differences (`torch.autograd.gradcheck`).

    Args:
        term: what `dragonkit_energy_terms` gave for `masks`.
        masks: on any grid; the features get its width and height. The function is called twice for every number, so take a coarse one.
        reference_grid: the raster of the reference picture's features, for terms that use `features.reference`; None for no such picture.
        channels: of the features.
        seed: of the features.

    Raises:
        AssertionError: the term is no finite scalar tensor, does not depend on `features.generated`, has another gradient than finite
            differences say, changes features in place, or gives other values when it is called again. The message names the term.

    Example:
        masks = registry.build_masks(edit, dk.Grid(12, 8, 48, 32))
        for _, term in registry.energy_terms(edit, masks):
            check_gradient(term, masks)
    """
    generator = torch.Generator().manual_seed(seed)

    def features_on(grid: Grid) -> Tensor:
        return torch.randn(channels, *grid.shape, generator=generator, dtype=torch.float64)

    generated, source = features_on(masks.grid).requires_grad_(), features_on(masks.grid)
    reference = None if reference_grid is None else features_on(reference_grid)

    def energy(changed: Tensor) -> Any:
        # copies, so that a term that writes to its features is found out and spoils nothing
        seen = Features(changed.clone(), source.clone(), None if reference is None else reference.clone(), "up.1", reference_grid)
        try:
            value = term.function(seen)
        except Exception as error:
            raise _failure(term, f"raised {type(error).__name__} on random float64 features: {error}") from error
        for name, before in {"generated": changed, "source": source, "reference": reference}.items():
            if before is not None and not torch.equal(before, getattr(seen, name)):
                raise _failure(term, f"writes to features.{name}, which other terms read as well; work on a copy")
        return value

    value = energy(generated)
    if not isinstance(value, Tensor) or value.ndim != 0:
        raise _failure(term, f"gave {short(value)}, but an energy is a scalar tensor; sum or average it")
    if not torch.isfinite(value):
        raise _failure(term, f"gave {value.item()} on random features; leave the term out where its mask is empty")
    if not value.requires_grad:
        raise _failure(term, "does not depend on features.generated, so it cannot guide; compute it with torch, without .detach() or numpy")
    if not torch.equal(value, energy(generated)):
        raise _failure(term, "gave two values for the same features; seed its randomness, or a run cannot be repeated")
    (gradient,) = torch.autograd.grad(value, generated)
    if not torch.isfinite(gradient).all():
        raise _failure(term, "has a gradient with NaN or infinity on random features; keep divisions and roots away from zero")
    largest = float(gradient.abs().max())
    if largest == 0:  # flat here, as a hinge may be
        return
    try:
        # energies average over many cells: brought to a largest gradient of 1, absolute tolerances mean something
        torch.autograd.gradcheck(lambda changed: energy(changed) / largest, (generated,), eps=1e-5, atol=1e-4, rtol=1e-3)
    except RuntimeError as error:
        raise _failure(term, "has another gradient than finite differences say; compute all of it with torch, without .detach()") from error


def _failure(term: EnergyTerm, sentence: str) -> AssertionError:
    return AssertionError(f"the energy term {term.name!r} {sentence}.")
