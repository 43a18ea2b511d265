"""The values that plugins hand over are checked where they are made."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import FrozenInstanceError
from typing import Any

import numpy as np
import pytest
import torch

from dragonkit.errors import EditError, ShapeError
from dragonkit.imaging.masks import Grid
from dragonkit.plugins.answers import AttentionPlan, EditMasks, EnergyTerm, Features, identity_correspondence

GRID = Grid(4, 3, 32, 24)


def edit_masks(**changes: Any) -> EditMasks:
    names = ("source", "target", "preserve", "vacated", "surroundings")
    values: dict[str, Any] = {name: np.zeros((3, 4), bool) for name in names}
    return EditMasks(**{"grid": GRID, **values, "correspondence": identity_correspondence(GRID), **changes})


def energy(features: Features) -> torch.Tensor:
    return (features.generated - features.source).square().mean()


def test_masks_on_one_grid_are_accepted() -> None:
    masks = edit_masks()
    assert masks.source.shape == masks.grid.shape
    with pytest.raises(FrozenInstanceError):
        masks.source = masks.target  # type: ignore[misc]


@pytest.mark.parametrize("name", ["source", "target", "preserve", "vacated", "surroundings"])
def test_masks_off_the_grid_are_refused_by_name(name: str) -> None:
    with pytest.raises(ShapeError, match=rf"EditMasks\.{name} must have shape \(3, 4\)"):
        edit_masks(**{name: np.zeros((4, 3), bool)})
    with pytest.raises(EditError, match=rf"EditMasks\.{name} must have dtype bool, got float32"):
        edit_masks(**{name: np.zeros((3, 4), np.float32)})
    with pytest.raises(EditError, match=rf"EditMasks\.{name} must be .* got Tensor"):
        edit_masks(**{name: torch.zeros(3, 4, dtype=torch.bool)})


def test_correspondence_is_checked() -> None:
    with pytest.raises(ShapeError, match="correspondence"):
        edit_masks(correspondence=np.zeros((2, 3, 4), np.float32))
    with pytest.raises(EditError, match="must have dtype float32, got float64"):
        edit_masks(correspondence=np.zeros((3, 4, 2)))
    with pytest.raises(EditError, match="NaN"):
        edit_masks(correspondence=np.full((3, 4, 2), math.nan, np.float32))


def test_identity_correspondence_holds_cell_centres() -> None:
    identity = identity_correspondence(GRID)
    assert (identity.shape, identity.dtype) == ((3, 4, 2), np.float32)
    assert identity[0, 0].tolist() == [0.5, 0.5]
    assert identity[2, 3].tolist() == [3.5, 2.5]


def test_features_of_one_shape_are_accepted() -> None:
    features = Features(torch.ones(2, 3, 4), torch.zeros(2, 3, 4), torch.zeros(2, 5, 5), layer="up.1")
    assert energy(features).item() == 1.0


@pytest.mark.parametrize(
    ("generated", "source", "reference", "name"),
    [
        ((1, 2, 3, 4), (1, 2, 3, 4), None, "generated"),
        ((2, 3, 4), (2, 4, 3), None, "source"),
        ((2, 3, 4), (2, 3, 4), (1, 3, 4), "reference"),
        ((2, 3, 4), (2, 3, 4), (2, 12), "reference"),
    ],
)
def test_features_of_other_shapes_are_refused(
    generated: tuple[int, ...], source: tuple[int, ...], reference: tuple[int, ...] | None, name: str
) -> None:
    with pytest.raises(ShapeError, match=rf"Features\.{name}"):
        Features(torch.ones(generated), torch.ones(source), None if reference is None else torch.ones(reference), layer="up.1")


def test_energy_term_defaults() -> None:
    term = EnergyTerm("follow", energy)
    assert term.weight == 1.0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": " "}, "must be a non-empty string, got ' '"),
        ({"name": None}, "must be a non-empty string, got None"),
        ({"function": 3}, "function must be callable, got 3"),
        ({"weight": math.nan}, "weight must be finite, got nan"),
    ],
)
def test_unusable_energy_terms_are_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(EditError, match=said):
        EnergyTerm(**{"name": "follow", "function": energy, **changes})


def test_attention_plan_defaults() -> None:
    assert AttentionPlan() == AttentionPlan("replace", start=0.1, stop=1.0)
    assert AttentionPlan(start=0.5, stop=0.5).start == 0.5


def test_an_attention_plan_holds_from_step_to_step_whatever_the_rounding() -> None:
    for steps in range(1, 101):
        for first in range(steps + 1):
            early, late = AttentionPlan(start=0.0, stop=first / steps), AttentionPlan(start=first / steps)
            held = [(early.holds(index, steps), late.holds(index, steps)) for index in range(steps)]
            assert held == [(index < first, index >= first) for index in range(steps)]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"form": "mix"}, "one of replace, concatenate, got 'mix'"),
        ({"start": 0.6, "stop": 0.5}, "start=0.6, stop=0.5"),
        ({"start": -0.1}, "start=-0.1"),
        ({"stop": 1.1}, "stop=1.1"),
        ({"start": math.nan}, "start=nan"),
    ],
)
def test_unusable_attention_plans_are_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(EditError, match=said):
        AttentionPlan(**changes)


@pytest.mark.processes
def test_nothing_here_loads_torch() -> None:
    code = "import sys, dragonkit.plugins.answers, dragonkit.imaging.masks, dragonkit.imaging.images; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_whether_places_alone_say_what_an_edit_asks_for() -> None:
    here, there = np.zeros((3, 4), bool), np.zeros((3, 4), bool)
    here[1, 1] = there[1, 2] = True
    moved = identity_correspondence(GRID)
    moved[1, 2] -= (1, 0)
    assert edit_masks(source=here, target=there, correspondence=moved).places_content()
    assert edit_masks(source=here).places_content()  # it is taken away
    assert not edit_masks().places_content()
    in_place = edit_masks(source=here, target=here)
    assert not in_place.places_content() and not in_place.places_content(from_reference=True)
    from_elsewhere = edit_masks(target=here)
    assert from_elsewhere.places_content(from_reference=True) and not from_elsewhere.places_content()


def test_a_correspondence_in_the_cells_of_another_raster() -> None:
    masks, other = edit_masks(), Grid(16, 6, 64, 48)  # over a picture twice as large: cells half as wide, and as high
    found = masks.correspondence_on(other)
    assert found.dtype == np.float32 and np.allclose(found, masks.correspondence * (8 / 4, 8 / 8))
