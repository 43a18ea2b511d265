"""A plugin that keeps all rules, with a mode that moves an object; tests break one rule at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pytest
from pydantic import Field

from dragonkit.edits.edit import Edit
from dragonkit.edits.values import Mask
from dragonkit.energy.terms import resemble_source
from dragonkit.imaging.affine import affine_about
from dragonkit.imaging.masks import center_of, load_mask
from dragonkit.modes.geometry import moved_along
from dragonkit.plugins.answers import AttentionPlan, EditMasks, EnergyTerm, Reference
from dragonkit.plugins.placement import Placement
from dragonkit.plugins.specs import hookimpl
from dragonkit.testing import check_plugin

MASK = np.zeros((32, 48), bool)
MASK[8:20, 6:18] = True


class Slide(Edit):
    """Slide what is under `mask`."""

    mode: ClassVar[str] = "slide"

    mask: Mask = Field(description="what")
    shift: tuple[float, float] = Field(default=(10, 4), description="how far")


class SlidePlugin:
    """Implements every owner hook."""

    @hookimpl
    def dragonkit_edits(self) -> Any:
        return [Slide]

    @hookimpl
    def dragonkit_build_masks(self, edit: Slide, size: tuple[int, int]) -> Placement:
        mask = load_mask(edit.mask, size)
        return moved_along(mask, affine_about(center_of(mask), shift=edit.shift))

    @hookimpl
    def dragonkit_energy_terms(self, edit: Edit, masks: EditMasks) -> list[EnergyTerm] | None:
        return [resemble_source(masks, 4.0)] if isinstance(edit, Slide) else None

    @hookimpl
    def dragonkit_initial_latents(self, source: Any) -> Any:
        return source.latents_at(len(source.schedule)).clone()

    @hookimpl
    def dragonkit_attention(self) -> AttentionPlan:
        return AttentionPlan()

    @hookimpl
    def dragonkit_reference(self) -> Reference | None:
        return None

    @hookimpl
    def dragonkit_draft(self, picture: np.ndarray) -> np.ndarray | None:
        return None


EXAMPLE = Slide(mask=MASK)


def plugin_with(**hooks: Callable[..., Any]) -> Any:
    """A SlidePlugin with some hooks replaced by functions that take no self."""
    functions = {name: staticmethod(hookimpl(function)) for name, function in hooks.items()}
    return type("Slider", (SlidePlugin,), functions)()


def refused(plugin: object, examples: Any = (EXAMPLE,), **options: Any) -> str:
    """The one sentence that `check_plugin` refuses a plugin with."""
    with pytest.raises(AssertionError) as caught:
        check_plugin(plugin, examples, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)
