"""Several edits over one picture: every mode asked once, refused where they contradict each other, on any grid. Loads no torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any, TypeAlias

import numpy as np

from dragonkit.edits.edit import Edit
from dragonkit.edits.settings import Settings
from dragonkit.errors import EditError
from dragonkit.imaging.masks import Grid, bounding_box
from dragonkit.plugins.answers import EditMasks
from dragonkit.plugins.placement import Placement
from dragonkit.plugins.registry import PluginRegistry
from dragonkit.words import short

__all__ = ["EditLike", "Layout"]

EditLike: TypeAlias = Edit | Mapping[str, Any]


class Layout:
    """Where one or several edits act on a picture.

    It is made before anything slow, since modes refuse here what does not fit, and is all that the engine asks them about places.

    Args:
        registry: the plugins.
        edits: one or several; a dict with a "mode", as `Edit.to_dict` writes it, does as well.
        size: (width, height) of the picture in pixels.

    Attributes:
        edits, size: as given.
        placements: the answer of each edit's mode.
        references: the second picture of each edit, or None.

    Raises:
        EditError: there is no edit, one does not fit the picture, or two contradict each other.
        PluginHookError: a plugin's answer is of no use.

    Example:
        layout = Layout(get_registry(), [dk.Move(mask=mask, shift=(40, 0))], picture.size)
        editor.edit(picture, layout)
    """

    def __init__(self, registry: PluginRegistry, edits: EditLike | Sequence[EditLike], size: tuple[int, int]) -> None:
        self.edits, self.size, self._registry = _checked(registry, edits), size, registry
        self._owners = [registry.owner(edit.mode) for edit in self.edits]
        self.references = [registry.reference(edit) for edit in self.edits]
        self.placements = [registry.build_masks(edit, size) for edit in self.edits]
        _refuse_conflicts(self.edits, self.placements)
        self._on: dict[Grid, list[EditMasks]] = {}

    def settled(self, settings: Settings, picture: np.ndarray) -> Layout:
        """The layout of the edits as they run on a picture, uint8 (H, W, 3); this one where no mode leaves anything open."""
        edits = [edit.settled(settings, picture) for edit in self.edits]
        same = all(one is other for one, other in zip(edits, self.edits, strict=True))
        return self if same else Layout(self._registry, edits, self.size)

    def on(self, grid: Grid) -> list[EditMasks]:
        """Every edit's masks on one grid: nothing preserved that another edit changes, nothing vacated that another one fills.

        Worked out once for every grid.
        """
        if grid not in self._on:
            self._on[grid] = self._combined([self._masks(number, grid) for number in range(len(self.edits))])
        return self._on[grid]

    def _masks(self, number: int, grid: Grid) -> EditMasks:
        with self._owners[number].blamed("dragonkit_build_masks"):
            return self.placements[number].on(grid)

    def _combined(self, masks: list[EditMasks]) -> list[EditMasks]:
        if len(masks) == 1:
            return masks
        preserve = np.logical_and.reduce([one.preserve for one in masks])
        filled = np.logical_or.reduce([one.target for one in masks])
        return [replace(one, preserve=preserve, vacated=one.vacated & ~filled) for one in masks]


def _checked(registry: PluginRegistry, edits: Any) -> tuple[Edit, ...]:
    single = isinstance(edits, (Edit, Mapping, str)) or not isinstance(edits, Iterable)
    several = tuple(_edit(registry, edit) for edit in ((edits,) if single else edits))
    if not several:
        raise EditError("there is no edit to run, got an empty list; give one such as dk.Move(mask, shift=(40, 0))")
    return several


def _edit(registry: PluginRegistry, edit: object) -> Edit:
    if isinstance(edit, Edit):
        return edit
    if not isinstance(edit, Mapping):
        raise EditError(f"an edit must be a dragonkit.Edit such as dk.Move(...), got {short(edit)}; build one from its class")
    mode = edit.get("mode")
    if not isinstance(mode, str):
        raise EditError(f"an edit as a dict must name its mode, got {short(dict(edit))}; write {{'mode': 'move', ...}}, or dk.Move(...)")
    return registry.owner(mode).modes[mode].from_dict(edit)


def _refuse_conflicts(edits: Sequence[Edit], placements: Sequence[Placement]) -> None:
    names = [f"edit {number} ({edit.mode})" for number, edit in enumerate(edits)]
    for one, other in combinations(range(len(edits)), 2):
        both = placements[one].target & placements[other].target
        if both.any():
            raise EditError(
                f"{names[one]} and {names[other]} both want {_place(both)}; move one of them elsewhere, or edit the result of the first"
            )
        for stays, leaves in ((one, other), (other, one)):
            # what one edit changes where it is, the other takes away
            taken = placements[stays].target & placements[stays].source & placements[leaves].source & ~placements[leaves].target
            if taken.any():
                raise EditError(
                    f"{names[stays]} changes {_place(taken)} where it is, but {names[leaves]} takes it away; "
                    "do one after the other: edit the result of the first"
                )


def _place(mask: np.ndarray) -> str:
    left, top, right, bottom = bounding_box(mask)
    return f"the same {int(mask.sum())} pixels (x {left} to {right - 1}, y {top} to {bottom - 1})"
