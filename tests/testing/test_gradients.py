"""`check_gradient` accepts energies that can guide, and says in a sentence what is wrong with others."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from helpers.sliding import MASK

from dragonkit.energy.terms import moving_terms
from dragonkit.imaging.affine import affine_about
from dragonkit.imaging.masks import Grid
from dragonkit.modes.geometry import moved_along
from dragonkit.plugins.answers import EditMasks, EnergyTerm, Features, identity_correspondence
from dragonkit.testing import check_gradient

GRID, REFERENCE = Grid(6, 4, 48, 32), Grid(3, 5, 30, 50)
EMPTY = np.zeros(GRID.shape, bool)
MASKS = EditMasks(GRID, EMPTY, EMPTY, EMPTY, EMPTY, EMPTY, identity_correspondence(GRID))


def check(function: Callable[[Features], Any], reference_grid: Grid | None = None) -> None:
    check_gradient(EnergyTerm("glow", function), MASKS, reference_grid)


@pytest.mark.parametrize(
    "function",
    [
        lambda features: features.generated.sum(),
        lambda features: (features.generated - features.source).square().mean(),
        lambda features: (features.generated - features.source).abs().mean(),
        lambda features: 1e-9 * features.generated.exp().mean(),
        lambda features: 1e9 * features.generated.sin().mean(),
        lambda features: torch.cosine_similarity(features.generated, features.source.detach(), dim=0).mean(),
        lambda features: (features.generated * features.source.mean().item()).square().sum(),
        lambda features: torch.relu(features.generated - 100).sum(),  # flat here
    ],
)
def test_right_energies_pass(function: Callable[[Features], Any]) -> None:
    check(function)


def test_dragonkits_own_energies_pass() -> None:
    masks = moved_along(MASK, affine_about((12.0, 14.0), scale=0.7, shift=(14.0, 5.0))).on(Grid(12, 8, 48, 32))
    terms = moving_terms(masks, 4, 6, 0.2, 0.8)
    assert len(terms) == 4
    for term in terms:
        check_gradient(term, masks)


def test_features_lie_on_the_grids_that_were_asked_for() -> None:
    seen = []

    def look(features: Features) -> torch.Tensor:
        seen.append(features)
        assert features.reference is not None
        return (features.generated * features.reference.mean()).sum()

    check(look, REFERENCE)
    for features in seen:
        assert features.generated.shape[1:] == features.source.shape[1:] == (4, 6)
        assert features.reference.shape[1:] == (5, 3)
        assert features.reference_grid == REFERENCE
        assert not features.source.requires_grad and not features.reference.requires_grad
    assert {features.generated.dtype for features in seen} == {torch.float64}


def test_without_a_reference_there_is_none() -> None:
    def look(features: Features) -> torch.Tensor:
        assert features.reference is None and features.reference_grid is None
        return features.generated.sum()

    check(look)


def writes(features: Features) -> torch.Tensor:
    features.source.mul_(2)
    return features.generated.sum()


def writes_to_generated(features: Features) -> torch.Tensor:
    features.generated[0, 0, 0] = 1
    return features.generated.sum()


def half_detached(features: Features) -> torch.Tensor:
    return (features.generated * features.generated.detach()).sum()


def one_cell_detached(features: Features) -> torch.Tensor:
    square = features.generated.square()
    return (square.sum() - square[1, 2, 3] + square[1, 2, 3].detach()) / 10_000


def random(features: Features) -> torch.Tensor:
    return features.generated.sum() * torch.rand(())


def steep(features: Features) -> torch.Tensor:
    return (features.generated * 0).abs().sqrt().sum() + features.generated.sum()


WRONG: dict[str, tuple[Callable[[Features], Any], str]] = {
    "a number": (lambda features: 3.5, "gave 3.5, but an energy is a scalar tensor"),
    "a map": (lambda features: features.generated, "gave Tensor of shape (2, 4, 6), but an energy is a scalar tensor"),
    "one in a list": (lambda features: features.generated.sum()[None], "gave Tensor of shape (1,), but"),
    "NaN": (lambda features: features.generated[:, EMPTY].mean(), "gave nan on random features"),
    "infinite": (lambda features: features.generated.sum() / 0, "inf on random features"),
    "constant": (lambda features: features.source.sum(), "does not depend on features.generated"),
    "detached": (lambda features: features.generated.detach().sum(), "does not depend on features.generated"),
    "numpy": (lambda features: torch.tensor(features.generated.detach().numpy().mean()), "does not depend on features.generated"),
    "half detached": (half_detached, "has another gradient than finite differences say"),
    "one cell detached": (one_cell_detached, "has another gradient than finite differences say"),
    "steep": (steep, "has a gradient with NaN or infinity"),
    "random": (random, "gave two values for the same features"),
    "writes": (writes, "writes to features.source"),
    "writes to generated": (writes_to_generated, "writes to features.generated"),
    "raises": (lambda features: features.generated[7], "raised IndexError on random float64 features"),
    "no reference": (lambda features: features.reference.sum(), "raised AttributeError"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_energies_are_named(case: str) -> None:
    function, said = WRONG[case]
    with pytest.raises(AssertionError, match=r"^the energy term 'glow' ") as caught:
        check(function)
    assert re.search(re.escape(said), str(caught.value))
    assert "\n" not in str(caught.value)


def test_an_error_of_the_term_is_the_cause() -> None:
    with pytest.raises(AssertionError) as caught:
        check(lambda features: 1 / 0)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
