"""A change of look: where it acts, what it starts from, its energies, its attention."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch.nn import functional

from dragonkit.edits.file import EditFile
from dragonkit.errors import EditError, EditFileError, ImageError, MaskError
from dragonkit.imaging.masks import Grid, to_grid
from dragonkit.modes import appearance
from dragonkit.modes.appearance import Appearance
from dragonkit.plugins.answers import EditMasks, Features, Reference, identity_correspondence
from dragonkit.plugins.registry import PluginRegistry
from dragonkit.testing import check_gradient, check_plugin

WIDTH, HEIGHT = 48, 32
IMAGE = Grid(WIDTH, HEIGHT, WIDTH, HEIGHT)
LATENTS = Grid(WIDTH // 4, HEIGHT // 4, WIDTH, HEIGHT)
FEATURES = Grid(WIDTH // 2, HEIGHT // 2, WIDTH, HEIGHT)
ODD = Grid(7, 5, WIDTH, HEIGHT)
OTHER_FEATURES = Grid(10, 15, 20, 30)  # of a reference of 20 x 30 pixels

BLUE = Image.new("RGB", (20, 30), (40, 70, 220))


def box(left: int, top: int, width: int, height: int, size: tuple[int, int] = (WIDTH, HEIGHT)) -> np.ndarray:
    mask = np.zeros(size[::-1], bool)
    mask[top : top + height, left : left + width] = True
    return mask


OTHER_MASK = box(4, 6, 12, 16, BLUE.size)


def edit(mask: np.ndarray, **fields: Any) -> Appearance:
    return Appearance(**{"mask": mask, "reference": BLUE, "reference_mask": OTHER_MASK, **fields})


def build(mask: np.ndarray, grid: Grid = IMAGE) -> EditMasks:
    return appearance.dragonkit_build_masks(edit(mask), (WIDTH, HEIGHT)).on(grid)


# --- masks --------------------------------------------------------------------------------------------------------------


@given(
    st.builds(box, st.integers(0, WIDTH - 1), st.integers(0, HEIGHT - 1), st.integers(1, WIDTH), st.integers(1, HEIGHT)),
    st.sampled_from([IMAGE, LATENTS, FEATURES, ODD]),
)
def test_the_object_keeps_its_place(mask: np.ndarray, grid: Grid) -> None:
    masks = build(mask, grid)
    assert np.array_equal(masks.target, to_grid(mask, grid)) and np.array_equal(masks.source, masks.target)
    assert not masks.vacated.any() and not (masks.preserve & masks.target).any()
    assert np.array_equal(masks.correspondence, identity_correspondence(grid))
    if grid == IMAGE:
        assert np.array_equal(masks.preserve, ~mask)


def test_a_lone_pixel_in_a_large_cell_is_not_preserved() -> None:
    masks = build(box(20, 12, 8, 8) | box(0, 0, 1, 1), LATENTS)
    assert not masks.target[0, 0] and not masks.preserve[0, 0]


def test_masks_that_do_not_fit_are_refused() -> None:
    with pytest.raises(MaskError, match=r"^the mask is 30x20 but"):
        build(box(0, 0, 4, 4, (30, 20)))
    for wrong, said in ((box(0, 0, 4, 4), "48x32 but the image is 20x30"), (OTHER_MASK & False, "empty")):
        with pytest.raises(MaskError, match=rf"^reference_mask, .*{said}"):
            appearance.dragonkit_build_masks(edit(box(0, 0, 4, 4), reference_mask=wrong), (WIDTH, HEIGHT))
    with pytest.raises(MaskError, match=r"^the mask is empty"):
        build(box(0, 0, 0, 0))


# --- fields -------------------------------------------------------------------------------------------------------------


def test_defaults_are_those_of_the_paper() -> None:
    made = edit(box(0, 0, 4, 4))
    assert (made.edit_weight, made.preserve_weight, made.init, made.reference_prompt) == (3.5, 5.0, "texture", None)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"init": "colour"}, "Appearance.init is 'colour'"),
        ({"edit_weight": -1}, "Appearance.edit_weight is -1"),
        ({"reference": 3}, "Appearance.reference is 3: it must be"),
        ({"reference_mask": 3}, "Appearance.reference_mask is 3: it must be"),
        ({"reference_prompt": 3}, "Appearance.reference_prompt is 3, but must be"),
    ],
)
def test_bad_fields_are_refused_in_words(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(EditError, match=re.escape(said)):
        edit(box(0, 0, 4, 4), **fields)


def test_it_survives_an_edit_file() -> None:
    made = edit(box(3, 4, 5, 6), reference_prompt="a blue wall", init="colors", edit_weight=2.0)
    again = Appearance.from_dict(made.to_dict())
    assert again == made
    file = EditFile.loads(EditFile(model="toybox", seed=1, edits=[made]).dumps())
    assert file.edits_from({"appearance": Appearance}) == [made]


def test_an_edit_file_names_pictures_beside_it(tmp_path: Path) -> None:
    BLUE.save(tmp_path / "blue.png")
    for name, mask in (("mask.png", box(3, 4, 5, 6)), ("other.png", OTHER_MASK)):
        Image.fromarray(mask).save(tmp_path / name)
    data = {"mode": "appearance", "mask": "mask.png", "reference": "blue.png", "reference_mask": "other.png"}
    file = EditFile.loads(EditFile(model="toybox", seed=1, edits=[data]).dumps(), folder=tmp_path)
    (made,) = file.edits_from({"appearance": Appearance})
    assert made.reference == tmp_path / "blue.png"  # type: ignore[attr-defined]
    assert appearance.dragonkit_build_masks(made, (WIDTH, HEIGHT)).target.any()
    (tmp_path / "blue.png").unlink()
    with pytest.raises(EditFileError, match=r"edits\[0\]: Appearance\.reference: .* file 'blue\.png'"):
        file.edits_from({"appearance": Appearance})
    with pytest.raises(ImageError, match=r"blue\.png"):
        made.to_dict()


# --- reference and draft ------------------------------------------------------------------------------------------------


def test_the_reference_is_handed_on() -> None:
    made = appearance.dragonkit_reference(edit(box(0, 0, 4, 4), reference_prompt="a wall"))
    assert isinstance(made, Reference) and made.image == BLUE and made.prompt == "a wall"


@pytest.mark.parametrize("init", ["texture", "colors"])
def test_the_draft_is_the_object_in_the_references_colour(init: str) -> None:
    mask = box(10, 8, 20, 16)
    picture = np.full((HEIGHT, WIDTH, 3), (0.9, 0.8, 0.7), np.float32)
    picture[mask] = (0.8, 0.1, 0.1)
    picture.flags.writeable = False
    reference = np.asarray(BLUE, dtype=np.float32) / 255
    draft = appearance.dragonkit_draft(edit(mask, init=init), build(mask), picture, reference)
    assert draft is not None
    assert np.abs(draft[mask] - reference[0, 0]).mean() < 0.02
    assert np.abs(draft[~mask] - picture[~mask]).max() < 0.02


def test_no_draft_for_who_wants_none() -> None:
    mask, picture = box(0, 0, 4, 4), np.zeros((HEIGHT, WIDTH, 3), np.float32)
    assert appearance.dragonkit_draft(edit(mask, init="none"), build(mask), picture, picture) is None


# --- energies and attention ---------------------------------------------------------------------------------------------


def terms_of(mask: np.ndarray, grid: Grid = FEATURES, **fields: Any) -> dict[str, Any]:
    return {term.name: term for term in appearance.dragonkit_energy_terms(edit(mask, **fields), build(mask, grid)) or ()}


def test_terms_carry_weights_and_regions() -> None:
    terms = terms_of(box(10, 8, 20, 16), edit_weight=1.5, preserve_weight=2.5)
    assert {name: (term.weight, term.region) for name, term in terms.items()} == {
        "edit": (1.5, "target"), "preserve": (2.5, "elsewhere"),
    }  # fmt: skip
    assert terms_of(np.ones((HEIGHT, WIDTH), bool)).keys() == {"edit"}  # nothing to preserve


def test_equation_10() -> None:
    """1 / (1 + 4 S), S = (cos(mean F_gen[target], mean F_ref[reference mask]) + 1) / 2, written down again."""
    mask = box(10, 8, 20, 16)
    generated, source = torch.randn(2, 5, *FEATURES.shape, dtype=torch.float64).unbind()
    reference = torch.randn(5, *OTHER_FEATURES.shape, dtype=torch.float64)
    target, lending = (torch.from_numpy(part) for part in (mask[::2, ::2], OTHER_MASK[::2, ::2]))  # both lie on whole cells
    cosine = functional.cosine_similarity(generated[:, target].mean(1), reference[:, lending].mean(1), dim=0)
    energy = terms_of(mask)["edit"].function(Features(generated, source, reference, 1, OTHER_FEATURES))
    assert energy.item() == pytest.approx(1 / (1 + 4 * (cosine.item() + 1) / 2), abs=1e-10)


def test_energies_see_every_cell_of_their_region_and_no_other() -> None:
    mask = box(10, 8, 20, 16)
    masks = build(mask, LATENTS)
    source, reference = torch.randn(5, *LATENTS.shape), torch.randn(5, *OTHER_FEATURES.shape)
    for name, region in {"edit": masks.target, "preserve": masks.preserve}.items():
        generated = torch.randn(5, *LATENTS.shape, requires_grad=True)
        term = terms_of(mask, LATENTS)[name]
        (gradient,) = torch.autograd.grad(term.function(Features(generated, source, reference, 1, OTHER_FEATURES)), generated)
        assert np.array_equal(gradient.abs().sum(0).numpy() > 0, region), name


def test_gradients() -> None:
    for term in terms_of(box(10, 8, 20, 16), LATENTS).values():
        check_gradient(term, build(box(10, 8, 20, 16), LATENTS), Grid(5, 6, 20, 30))


def test_without_a_reference_the_energy_says_so() -> None:
    map_ = torch.randn(2, *FEATURES.shape)
    with pytest.raises(EditError, match="this energy compares with a reference picture"):
        terms_of(box(10, 8, 20, 16))["edit"].function(Features(map_, map_, None, "up.1"))


def test_terms_are_for_its_own_mode_only() -> None:
    assert appearance.dragonkit_energy_terms(object(), build(box(10, 8, 20, 16), LATENTS)) is None  # type: ignore[arg-type]


def test_attention() -> None:
    mask = box(8, 8, 12, 12)
    plan = appearance.dragonkit_attention(build(mask, LATENTS))
    assert (plan.form, plan.start, plan.stop) == ("replace", 0.0, 0.72)
    assert np.array_equal(plan.source_mask, ~to_grid(mask, LATENTS)) and np.array_equal(plan.reference_mask, OTHER_MASK)  # type: ignore[arg-type]


# --- a plugin like any other --------------------------------------------------------------------------------------------


@pytest.mark.processes
def test_it_keeps_the_rules_of_plugins() -> None:
    check_plugin(appearance, [edit(box(10, 8, 20, 16))])


def test_it_registers_like_a_plugin_of_anyones() -> None:
    registry = PluginRegistry(builtin=(), discover=False)
    registry.register(appearance)
    assert registry.edit_types() == {"appearance": Appearance}


@pytest.mark.processes
def test_it_imports_without_torch() -> None:
    code = "import sys, dragonkit.modes.appearance; sys.exit('torch' in sys.modules or 'diffusers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
