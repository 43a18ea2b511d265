"""Energies of one's own: what is taken for one, when it gets masks, what an edit file says of it."""

from __future__ import annotations

import functools
import json
import math
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from dragonkit.edits.edit import Edit
from dragonkit.edits.file import EditFile
from dragonkit.errors import EditError, EditFileError, MaskError
from dragonkit.imaging.masks import Grid, to_grid
from dragonkit.modes import custom
from dragonkit.modes.custom import CustomEdit
from dragonkit.plugins.answers import EditMasks, EnergyTerm, Features, identity_correspondence
from dragonkit.plugins.registry import PluginRegistry
from dragonkit.testing import check_plugin, tiny_editor

WIDTH, HEIGHT = 48, 32
IMAGE = Grid(WIDTH, HEIGHT, WIDTH, HEIGHT)
LATENTS = Grid(WIDTH // 4, HEIGHT // 4, WIDTH, HEIGHT)
MASK = np.zeros((HEIGHT, WIDTH), bool)
MASK[8:24, 12:36] = True


def calm(features: Features) -> torch.Tensor:
    return features.generated.square().mean()


def like_source(features: Features, masks: EditMasks) -> torch.Tensor:
    inside = torch.from_numpy(masks.target)
    return (features.generated - features.source)[:, inside].square().mean()


class Brightness:
    def __init__(self, level: float) -> None:
        self.level = level

    def __call__(self, features: Features) -> torch.Tensor:
        return (features.generated.mean() - self.level) ** 2


def features(grid: Grid = LATENTS) -> Features:
    return Features(torch.randn(3, *grid.shape, requires_grad=True), torch.randn(3, *grid.shape), None, "up.1")


def build(edit: CustomEdit, grid: Grid = LATENTS) -> EditMasks:
    return custom.dragonkit_build_masks(edit, (grid.image_width, grid.image_height)).on(grid)


def terms_of(energy: Any, **fields: Any) -> dict[str, EnergyTerm]:
    edit = CustomEdit(energy=energy, **fields)
    return {term.name: term for term in custom.dragonkit_energy_terms(edit, build(edit)) or ()}


# --- what an energy may be ----------------------------------------------------------------------------------------------


def test_a_function() -> None:
    (term,) = terms_of(calm, weight=2.5).values()
    assert (term.name, term.weight, term.region) == ("calm", 2.5, "target")
    seen = features()
    assert term.function(seen) == calm(seen)


def test_a_function_of_the_masks_as_well() -> None:
    terms, seen = terms_of(like_source, mask=MASK), features()
    (gradient,) = torch.autograd.grad(terms["like_source"].function(seen), seen.generated)
    assert np.array_equal(gradient.abs().sum(0).numpy() > 0, to_grid(MASK, LATENTS))


def with_default(features: Features, strength: float = 2.0) -> torch.Tensor:
    return strength * calm(features)


def with_optional_masks(features: Features, masks: EditMasks | None = None) -> torch.Tensor:
    assert masks is not None
    return calm(features)


def with_anything(*arguments: Any, **named: Any) -> torch.Tensor:
    assert len(arguments) == 1 and not named
    return calm(arguments[0])


class Module(torch.nn.Module):
    def forward(self, seen: Features) -> torch.Tensor:
        return calm(seen)


@pytest.mark.parametrize(
    ("energy", "name"),
    [
        (lambda seen: calm(seen), "energy"),
        (Brightness(0.3), "Brightness"),
        (Brightness(0.3).__call__, "__call__"),
        (functools.partial(with_default, strength=3.0), "with_default"),
        (with_default, "with_default"),
        (with_optional_masks, "with_optional_masks"),
        (with_anything, "with_anything"),
        (Module(), "Module"),
        (torch.sum, "sum"),  # written in C, without a signature: only its call can tell
    ],
)
def test_other_callables(energy: Any, name: str) -> None:
    terms = terms_of(energy)
    assert terms.keys() == {name}
    if name != "sum":
        assert math.isfinite(terms[name].function(features()).item())


def test_energy_terms_keep_their_weight_and_region() -> None:
    own = EnergyTerm("own", calm, weight=3.0, region="elsewhere")
    (term,) = terms_of(own, weight=2.0).values()
    assert (term.name, term.weight, term.region) == ("own", 6.0, "elsewhere")
    (term,) = terms_of(EnergyTerm("both", like_source)).values()  # type: ignore[arg-type]
    assert term.function(features()).ndim == 0


def test_several() -> None:
    assert terms_of([calm, like_source]).keys() == {"calm", "like_source"}
    assert terms_of((calm, calm, EnergyTerm("calm", calm))).keys() == {"calm", "calm-2", "calm-3"}
    assert terms_of({"flat": calm, "same": EnergyTerm("other", calm)}).keys() == {"flat", "same"}


def test_the_preserve_energy_keeps_its_name() -> None:
    terms = terms_of({"preserve": calm}, mask=MASK, preserve_weight=1.5)
    assert {name: term.weight for name, term in terms.items()} == {"preserve-2": 1.0, "preserve": 1.5}
    assert terms["preserve"].region == "elsewhere"


def test_lists_given_are_copied() -> None:
    energies = [calm]
    edit = CustomEdit(energy=energies)
    energies.append(like_source)  # type: ignore[arg-type]
    assert edit.energy == (calm,)


def no_argument() -> None: ...
def three(features: Features, masks: EditMasks, strength: float) -> None: ...
def keyword(features: Features, *, strength: float) -> None: ...


@pytest.mark.parametrize(
    ("energy", "said"),
    [
        (3, "CustomEdit.energy: the energy 'int' is 3, which cannot be called with features. Pass a function of Features"),
        ("lambda f: 0", "the energy 'str' is 'lambda f: 0'"),
        (None, "which cannot be called"),
        ([], "there is no energy, got ()"),
        ({}, "there is no energy, got {}"),
        ([calm, 3], "the energy 'int' is 3"),
        ({"mine": torch.zeros(3)}, "'mine' is Tensor of shape (3,)"),
        (Brightness, "It is a class: pass an instance."),
        (no_argument, "'no_argument' takes the arguments ()"),
        (three, "the energy 'three' takes the arguments (features"),
        (keyword, "bind them with functools.partial"),
        ({" ": calm}, "EnergyTerm.name must be a non-empty string"),
    ],
)
def test_what_is_no_energy_is_refused(energy: Any, said: str) -> None:
    with pytest.raises(EditError, match=re.escape(said)):
        CustomEdit(energy=energy)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"weight": -1}, "CustomEdit.weight is -1"),
        ({"attention": "perhaps"}, "CustomEdit.attention is 'perhaps'"),
        ({"masks": MASK}, "Did you mean 'mask'?"),
    ],
)
def test_bad_fields_are_refused_in_words(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(EditError, match=re.escape(said)):
        CustomEdit(energy=calm, **fields)


# --- masks and attention ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("grid", [IMAGE, LATENTS, Grid(7, 5, WIDTH, HEIGHT)])
def test_the_mask_is_where_the_picture_may_change(grid: Grid) -> None:
    masks = build(CustomEdit(energy=calm, mask=MASK), grid)
    assert np.array_equal(masks.target, to_grid(MASK, grid)) and np.array_equal(masks.source, masks.target)
    assert not masks.vacated.any() and not (masks.preserve & masks.target).any()
    assert np.array_equal(masks.correspondence, identity_correspondence(grid))
    everywhere = build(CustomEdit(energy=calm), grid)
    assert everywhere.target.all() and not everywhere.preserve.any()


def test_a_mask_of_another_size_is_refused() -> None:
    with pytest.raises(MaskError, match="48x32"):
        build(CustomEdit(energy=calm, mask=MASK[:16]))


def test_attention_can_be_left_out() -> None:
    plan = custom.dragonkit_attention(CustomEdit(energy=calm))
    assert plan is not None and (plan.form, plan.start, plan.stop) == ("concatenate", 0.1, 1.0)
    assert custom.dragonkit_attention(CustomEdit(energy=calm, attention=False)) is None


def test_terms_are_for_its_own_mode_only() -> None:
    assert custom.dragonkit_energy_terms(SimpleNamespace(mode="other"), build(CustomEdit(energy=calm))) is None  # type: ignore[arg-type]


# --- a value, but no edit file ------------------------------------------------------------------------------------------


def test_equality_hash_and_repr() -> None:
    for energy in (calm, [calm, Brightness(0.1)], {"mine": EnergyTerm("own", calm)}, Module()):
        one, other = CustomEdit(energy=energy, mask=MASK), CustomEdit(energy=energy, mask=MASK)
        assert one == other and hash(one) == hash(other)
        assert one != CustomEdit(energy=energy, mask=~MASK) and one != CustomEdit(energy=like_source, mask=MASK)
        assert "ndarray of shape (32, 48)" in repr(one)


def test_an_edit_file_names_the_code_and_cannot_be_run() -> None:
    assert Edit.scriptable and not CustomEdit.scriptable
    energies = {"calm": calm, "bright": Brightness(0.2), "own": EnergyTerm("own", functools.partial(with_default, strength=1.0))}
    written = json.loads(json.dumps(CustomEdit(energy=energies, mask=MASK).to_dict()))
    assert written["mode"] == "custom" and written["mask"].keys() == {"png"}
    assert written["energy"] == {
        "calm": f"{__name__}.calm", "bright": f"{__name__}.Brightness", "own": f"{__name__}.with_default",
    }  # fmt: skip
    with pytest.raises(EditFileError, match=r"^a custom edit holds Python code"):
        CustomEdit.from_dict(written)
    file = EditFile.loads(EditFile(model="toybox", seed=1, edits=[CustomEdit(energy=calm)]).dumps(), name="'a.json'")
    with pytest.raises(EditFileError, match=rf"^'a\.json': edits\[0\]: .*Python code.*{__name__}\.calm"):
        file.edits_from({"custom": CustomEdit})


def test_a_result_is_saved_but_not_replayed(tmp_path: Path) -> None:
    editor = tiny_editor(custom)
    picture = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    result = editor.edit(picture, CustomEdit(energy={"calm": calm}, weight=3.0))
    assert any("custom.calm" in name for step in result.report.steps for name in step.energies)
    path = result.save(tmp_path / "out.png")
    with pytest.raises(EditFileError, match="a custom edit holds Python code"):
        editor.run(EditFile.load(path))


# --- a plugin like any other --------------------------------------------------------------------------------------------


@pytest.mark.processes
def test_it_keeps_the_rules_of_plugins() -> None:
    check_plugin(custom, [CustomEdit(energy=like_source, mask=MASK)], size=(WIDTH, HEIGHT))


def test_it_registers_like_a_plugin_of_anyones() -> None:
    registry = PluginRegistry(builtin=(), discover=False)
    registry.register(custom)
    assert registry.edit_types() == {"custom": CustomEdit}


@pytest.mark.processes
def test_it_imports_without_torch() -> None:
    code = "import sys, dragonkit.modes.custom; sys.exit('torch' in sys.modules or 'diffusers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
