"""Several edits at once: masks combine, and contradictions are told."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest
from dragonkit.editing.combining import check_edits, combined_masks

from dragonkit.edits.edit import Edit
from dragonkit.edits.values import Mask
from dragonkit.errors import EditError
from dragonkit.imaging.masks import Grid, to_grid
from dragonkit.modes.move import Move
from dragonkit.plugins.answers import EditMasks, identity_correspondence
from dragonkit.plugins.registry import PluginRegistry
from dragonkit.plugins.specs import hookimpl

SIZE = (40, 30)


class Paint(Edit):
    """Changes what it is where it is."""

    mode: ClassVar[str] = "paint"
    mask: Mask


class Painter:
    @hookimpl
    def dragonkit_edits(self) -> list[type[Edit]]:
        return [Paint]

    @hookimpl
    def dragonkit_build_masks(self, edit: Paint, grid: Grid) -> EditMasks:
        cells = to_grid(edit.mask, grid)
        return EditMasks(grid, cells, cells, ~cells, np.zeros_like(cells), ~cells, identity_correspondence(grid))


@pytest.fixture
def registry() -> PluginRegistry:
    registry = PluginRegistry(builtin=("dragonkit.modes.move",), discover=False)
    registry.register(Painter())
    return registry


def box(left: int, top: int, side: int = 8) -> np.ndarray:
    mask = np.zeros((SIZE[1], SIZE[0]), dtype=bool)
    mask[top : top + side, left : left + side] = True
    return mask


def test_what_one_edit_changes_no_other_preserves(registry: PluginRegistry) -> None:
    edits = [Move(mask=box(2, 2), shift=(10, 0)), Paint(mask=box(30, 20))]
    for grid in (Grid(*SIZE, *SIZE), Grid(10, 6, *SIZE)):
        alone = [registry.build_masks(edit, grid).preserve for edit in edits]
        both = combined_masks(registry, edits, grid)
        assert all(np.array_equal(masks.preserve, alone[0] & alone[1]) for masks in both)
        assert not np.array_equal(*alone)


def test_a_place_that_another_edit_fills_is_not_vacated(registry: PluginRegistry) -> None:
    first, second = combined_masks(
        registry, [Move(mask=box(2, 2), shift=(20, 0)), Move(mask=box(22, 2), shift=(-20, 0))], Grid(*SIZE, *SIZE)
    )
    assert not first.vacated.any() and not second.vacated.any()


@pytest.mark.parametrize(
    ("edits", "said"),
    [
        (
            [Move(mask=box(0, 0), shift=(16, 0)), Move(mask=box(0, 20), shift=(20, -16))],
            r"edit 0 \(move\) and edit 1 \(move\) both want the same 16 pixels \(x 20 to 23, y 4 to 7\)",
        ),
        (
            [Move(mask=box(0, 0), shift=(16, 0)), Paint(mask=box(20, 4))],
            r"edit 0 \(move\) and edit 1 \(paint\) both want the same 16 pixels",
        ),
        (
            [Paint(mask=box(4, 0)), Move(mask=box(0, 0), shift=(16, 0))],
            r"edit 0 \(paint\) changes the same 32 pixels .* but edit 1 \(move\) takes",
        ),
        (
            [Move(mask=box(0, 0), shift=(16, 0)), Paint(mask=box(4, 0))],
            r"edit 1 \(paint\) changes the same 32 pixels .* but edit 0 \(move\) takes",
        ),
    ],
)
def test_contradictions_are_told(registry: PluginRegistry, edits: list[Edit], said: str) -> None:
    with pytest.raises(EditError, match=said):
        check_edits(registry, edits, SIZE)


def test_two_objects_may_change_places_and_one_may_be_doubled(registry: PluginRegistry) -> None:
    check_edits(registry, [Move(mask=box(0, 0), shift=(20, 20)), Move(mask=box(20, 20), shift=(-20, -20))], SIZE)
    check_edits(registry, [Move(mask=box(0, 0), shift=(20, 0)), Move(mask=box(0, 0), shift=(0, 20))], SIZE)
