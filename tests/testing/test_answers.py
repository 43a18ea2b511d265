"""What `check_plugin` says of masks, answers and results that do not fit."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from helpers.sliding import EXAMPLE, MASK, Slide, SlidePlugin, plugin_with, refused
from PIL import Image

from dragonkit.edits.edit import Edit
from dragonkit.energy.terms import resemble_source
from dragonkit.imaging.masks import load_mask, shift_mask
from dragonkit.modes.move import Move
from dragonkit.plugins.answers import AttentionPlan, EditMasks, EnergyTerm, Reference
from dragonkit.plugins.placement import Placement
from dragonkit.testing import tiny_editor
from dragonkit.testing.results import check_result, noisy_picture

# -- answers -----------------------------------------------------------------------------------------------------------------------------


class Wandering:
    """Another place every time."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, edit: Slide) -> Placement:
        self.asked += 1
        return Placement(MASK, shift_mask(MASK, self.asked, 0))


SLID = shift_mask(MASK, 10, 4)
MASKS: dict[str, tuple[Callable[..., Any], str]] = {
    "no answer": (lambda edit: None, "Placement of the mode 'slide', but returned None"),
    "raises": (lambda edit: 1 / 0, "dragonkit_build_masks raised ZeroDivisionError"),
    "refuses": (lambda edit, size: load_mask(edit.mask, size[::-1]), "32x48"),
    "another size": (lambda: Placement(MASK.T, MASK.T), "answered for 32x48 pixels when asked for 48x32"),
    "nothing at all": (lambda: Placement(MASK & False, MASK & False), "the target is empty"),
    "out of the picture": (lambda: Placement(MASK, MASK & False, back=lambda places: places - 99), "the target is empty"),
    "forwards": (lambda: Placement(MASK, SLID, back=lambda places: places + np.array([30, 4])), "comes from outside the 48x32 picture"),
    "no places": (lambda: Placement(MASK, SLID, back=lambda places: places[:, :1]), "Placement.back must give a finite place"),
    "state": (lambda edit: wandering(edit), "target is another one when it is asked for again; keep no state"),
}
wandering = Wandering()


@pytest.mark.parametrize("case", MASKS)
def test_masks_must_make_sense(case: str) -> None:
    build, expected = MASKS[case]
    said = refused(plugin_with(dragonkit_build_masks=build))
    assert "plugin 'Slider'" in said and "dragonkit_build_masks" in said and expected in said


def write_to(picture: np.ndarray) -> None:
    picture[0] = 0


def write_to_trajectory(source: Any) -> None:
    source.trajectory[-1] = 0


ANSWERS: dict[str, tuple[str, Callable[..., Any], str]] = {
    "draft of another size": ("draft", lambda picture: picture[1:], "must return a finite array of shape (32, 48, 3) or None"),
    "dark draft": ("draft", lambda picture: picture - 2, "must return values from 0 to 1, not -2 to"),
    "bright draft": ("draft", lambda picture: picture * 255, "must return values from 0 to 1, not 0 to 255"),
    "draft in place": ("draft", write_to, "dragonkit_draft raised ValueError: assignment destination is read-only"),
    "reference": ("reference", lambda edit: "other.png", "Reference or None, but returned 'other.png'"),
    "missing reference": ("reference", lambda edit: Reference("nowhere.png"), "the picture 'nowhere.png' does not exist"),
    "latents of another size": ("initial_latents", lambda source: source.trajectory, "it gave a tensor (6, 4, 8, 16) torch.float32"),
    "latents of another type": ("initial_latents", lambda source: source.latents_at(5).double(), "torch.float64"),
    "latents of NaN": ("initial_latents", lambda source: source.latents_at(5) * torch.nan, "it gave NaN or infinite latents"),
    "latents in place": ("initial_latents", write_to_trajectory, "it writes to source.trajectory"),
    "attention": ("attention", lambda masks: True, "AttentionPlan or None, but returned True"),
    "attention of nonsense": ("attention", lambda masks: AttentionPlan(start=2), "AttentionPlan needs 0 <= start"),
    "no term": ("energy_terms", lambda edit: [], "at least one of EnergyTerms"),
    "no list": ("energy_terms", lambda edit: EnergyTerm("a", torch.sum), "must return EnergyTerms or None"),
    "names": ("energy_terms", lambda edit: [EnergyTerm("a", torch.sum)] * 2, "EnergyTerms of different names"),
    "NaN": ("energy_terms", lambda edit: [EnergyTerm("a", lambda f: f.generated.sum() * torch.nan)], "the energy term 'a' gave nan"),
    "gradient": ("energy_terms", lambda edit: [EnergyTerm("a", lambda f: f.source.sum())], "the energy term 'a' does not depend on"),
    "reference missing": ("energy_terms", lambda edit: [EnergyTerm("a", lambda f: f.reference.sum())], "the energy term 'a' raised"),
    "models": ("models", lambda: ["toybox"], "ModelCards, but returned an item that is 'toybox'"),
    "commands": ("commands", lambda cli: cli.no_such_thing, "dragonkit_commands raised AttributeError"),
    "observer": ("step", lambda step: step.no_such_thing, "dragonkit_step raised AttributeError"),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_answers_must_fit(case: str) -> None:
    hook, answer, expected = ANSWERS[case]
    said = refused(plugin_with(**{f"dragonkit_{hook}": answer}))
    assert "'Slider'" in said and expected in said
    assert f"dragonkit_{hook}" in said


def test_edits_of_other_modes_must_run_beside_it() -> None:
    def forgetful(edit: Any, masks: EditMasks) -> list[EnergyTerm]:
        return [resemble_source(masks, edit.no_field_of_move if edit.mode == "move" else 1.0)]

    said = refused(plugin_with(dragonkit_energy_terms=forgetful))
    assert said.startswith("plugin 'Slider': dragonkit_energy_terms raised AttributeError: 'Move' object has no attribute")


def test_only_the_plugins_own_energies_are_its_fault() -> None:
    """A term for every mode is asked for on the example's mode, and Move's own terms are not checked again."""

    def look(edit: Edit) -> list[EnergyTerm]:
        return [EnergyTerm("own", lambda features: features.source.mean())]

    said = refused(plugin_with(dragonkit_energy_terms=look), [EXAMPLE, Move(mask=MASK, shift=(3, 3))])
    assert said.startswith("plugin 'Slider', dragonkit_energy_terms: for Slide(") and "'own'" in said


# -- results -----------------------------------------------------------------------------------------------------------------------------


def test_the_same_edit_gives_the_same_picture() -> None:
    calls = iter(range(100))

    def wander(edit: Edit) -> list[EnergyTerm] | None:
        weight = next(calls)
        return [EnergyTerm("edit", lambda features: (weight * features.generated).sin().sum())] if isinstance(edit, Slide) else None

    assert "gives another picture the second time" in refused(plugin_with(dragonkit_energy_terms=wander))


@pytest.mark.parametrize(
    ("inside", "outside", "said"), [(1, 0, None), (0, 0, "changes no pixel of its target"), (1, 1, "changes 576 pixels outside")]
)
def test_what_a_result_must_change(inside: int, outside: int, said: str | None) -> None:
    editor = tiny_editor(SlidePlugin())
    source = editor.invert(noisy_picture((48, 32)), check=False)
    masks = editor.registry.build_masks(EXAMPLE, (48, 32))
    region = np.ones((32, 48), np.float32)
    region[20:] = 0
    picture = source.pixels.copy()
    picture[masks.target & (region > 0)] += np.uint8(inside)
    picture[region == 0] += np.uint8(outside)
    result = SimpleNamespace(image=Image.fromarray(picture), region=region)
    stub: Any = SimpleNamespace(edit=lambda *_: result, registry=editor.registry)
    if said is None:
        check_result("slider", [stub, stub], EXAMPLE, source)
    else:
        with pytest.raises(AssertionError, match=said):
            check_result("slider", [stub, stub], EXAMPLE, source)
