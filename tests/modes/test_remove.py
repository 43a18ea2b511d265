"""What a removal takes away, what it says to the engine, and that a place is empty afterwards, wherever it is and however large."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image

from dragonkit.edits.settings import Settings
from dragonkit.errors import EditError, MaskError
from dragonkit.imaging.masks import Grid, to_grid
from dragonkit.modes import remove
from dragonkit.modes.move import Move
from dragonkit.modes.remove import Remove
from dragonkit.plugins.answers import EditMasks, identity_correspondence
from dragonkit.plugins.registry import PluginRegistry
from dragonkit.testing import check_plugin, tiny_editor

WIDTH, HEIGHT = 48, 32
SIZE = (WIDTH, HEIGHT)
IMAGE = Grid(WIDTH, HEIGHT, WIDTH, HEIGHT)
FEATURES = Grid(WIDTH // 2, HEIGHT // 2, WIDTH, HEIGHT)
GRIDS = [IMAGE, FEATURES, Grid(WIDTH // 4, HEIGHT // 4, WIDTH, HEIGHT), Grid(7, 5, WIDTH, HEIGHT)]


def box(left: int, top: int, width: int, height: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[top : top + height, left : left + width] = True
    return mask


OBJECT = box(20, 10, 12, 8)


def build(mask: np.ndarray, grid: Grid = IMAGE, **fields: Any) -> EditMasks:
    return remove.dragonkit_build_masks(Remove(mask=mask, **fields), SIZE).on(grid)


boxes = st.builds(box, st.integers(0, WIDTH - 4), st.integers(0, HEIGHT - 4), st.integers(1, WIDTH), st.integers(1, HEIGHT))


# --- masks --------------------------------------------------------------------------------------------------------------


@given(boxes)
def test_the_object_goes_nowhere_and_the_rest_stays(mask: np.ndarray) -> None:
    assume(not mask.all())
    for grid in GRIDS:
        masks = build(mask, grid)
        assert np.array_equal(masks.source, to_grid(mask, grid)) and np.array_equal(masks.vacated, masks.source)
        assert not masks.target.any() and not (masks.preserve & masks.source).any()
        assert np.array_equal(masks.correspondence, identity_correspondence(grid))
    assert np.array_equal(build(mask).preserve, ~mask)


@pytest.mark.parametrize("grid", GRIDS)
def test_the_fill_mask_says_what_the_place_shall_resemble(grid: Grid) -> None:
    fill = box(0, 0, 48, 6)
    assert np.array_equal(build(OBJECT, grid, fill=fill).surroundings, to_grid(fill, grid))
    assert np.array_equal(build(OBJECT, grid).surroundings, to_grid(~OBJECT, grid))


def test_a_mask_of_all_is_refused() -> None:
    with pytest.raises(EditError, match="covers the whole 48x32 picture"):
        build(np.ones((HEIGHT, WIDTH), bool))


@pytest.mark.parametrize(("mask", "said"), [(np.ones((16, 16), bool), "48x32"), (np.zeros((HEIGHT, WIDTH), bool), "empty")])
def test_a_mask_that_does_not_fit_is_refused(mask: np.ndarray, said: str) -> None:
    with pytest.raises(MaskError, match=said):
        build(mask)


# --- fields -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "said"),
    [({}, "Remove.mask is missing"), ({"mask": OBJECT, "contrast_weight": -1}, "Remove.contrast_weight is -1")],
)
def test_bad_fields_are_refused_in_words(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(EditError, match=re.escape(said)):
        Remove(**fields)


def test_a_removal_survives_json() -> None:
    edit = Remove(mask=OBJECT, fill=box(0, 0, 3, 3), inpaint_weight=0.3)
    assert Remove.from_dict(edit.to_dict()) == edit


# --- energies and attention ---------------------------------------------------------------------------------------------


def test_terms_carry_the_weights() -> None:
    edit = Remove(mask=OBJECT, preserve_weight=2.5, contrast_weight=3.5, inpaint_weight=4.5)
    terms = remove.dragonkit_energy_terms(edit, build(OBJECT, FEATURES))
    assert {term.name: term.weight for term in terms or ()} == {"preserve": 2.5, "contrast": 3.5, "inpaint": 4.5}


def test_terms_are_for_removals_only() -> None:
    assert remove.dragonkit_energy_terms(Move(mask=OBJECT, scale=2), build(OBJECT, FEATURES)) is None


def test_attention_reads_everything_but_the_object() -> None:
    masks = build(OBJECT, FEATURES)
    plan = remove.dragonkit_attention(masks)
    assert (plan.form, plan.start, plan.stop) == ("replace", 0.1, 1.0)
    assert np.array_equal(plan.source_mask, ~masks.source)


# --- the whole way ------------------------------------------------------------------------------------------------------


def picture() -> np.ndarray:
    """A red object on a grey ramp."""
    pixels = np.repeat(np.linspace(90, 170, WIDTH, dtype=np.uint8)[None, :, None], HEIGHT, 0).repeat(3, 2)
    pixels[OBJECT] = (230, 20, 20)
    return pixels


def test_held_to_the_end_the_place_is_a_smooth_fill_and_the_rest_is_untouched() -> None:
    result = tiny_editor().edit(picture(), Remove(mask=OBJECT), Settings(hold=1.0, hold_vacated=1.0))
    found, ramp = np.asarray(result.image).astype(int), np.linspace(90, 170, WIDTH)[None, :, None]
    assert np.abs(found - ramp)[OBJECT].max() < 12
    assert np.array_equal(found[result.region == 0], picture()[result.region == 0])


@pytest.mark.parametrize("settings", [Settings(), Settings.preset("paper", steps=5), Settings.preset("reference", steps=5)])
@pytest.mark.parametrize("mask", [OBJECT, box(0, 0, 1, 1), box(0, 0, WIDTH - 1, HEIGHT), ~box(47, 31, 1, 1)])
def test_every_size_runs_with_every_preset(mask: np.ndarray, settings: Settings) -> None:
    result = tiny_editor().edit(picture(), Remove(mask=mask), settings)
    assert not np.array_equal(np.asarray(result.image)[mask], picture()[mask])


def test_one_object_goes_while_another_takes_its_place() -> None:
    other = box(2, 10, 12, 8)
    pixels = picture()
    pixels[other] = (20, 20, 230)
    edits = [Remove(mask=OBJECT), Move(mask=other, shift=(18, 0))]
    result = tiny_editor().edit(pixels, edits, Settings(hold=1.0, hold_vacated=1.0))
    found = np.asarray(result.image)
    assert (found[12:16, 22:30, 2] > 200).all() and (found[12:16, 22:30, 0] < 60).all()
    assert (np.ptp(found[10:18, 4:12].reshape(-1, 3).astype(int), axis=1) < 60).all()  # grey where the other one came from


def test_an_object_cannot_be_changed_and_removed_at_once() -> None:
    grow = Move(mask=OBJECT, scale=1.5)
    with pytest.raises(EditError, match="takes it away"):
        tiny_editor().edit(Image.fromarray(picture()), [Remove(mask=OBJECT), grow])


# --- a plugin like any other --------------------------------------------------------------------------------------------


@pytest.mark.processes
def test_it_keeps_the_rules_of_plugins() -> None:
    check_plugin(remove, [Remove(mask=OBJECT), Remove(mask=box(3, 4, 5, 6), fill=box(0, 0, 48, 3))])


def test_it_registers_like_a_plugin_of_anyones() -> None:
    registry = PluginRegistry(builtin=(), discover=False)
    registry.register(remove)
    assert registry.edit_types() == {"remove": Remove}


def test_it_uses_public_names_only() -> None:
    code = Path(remove.__file__).read_text().replace("from __future__ import annotations", "")
    assert re.findall(r"(?:import|from)[^\n]*[ .]_\w+", code) == []
    assert "dragonkit.diffusion" not in code


@pytest.mark.processes
def test_it_imports_without_torch() -> None:
    code = "import sys, dragonkit.modes.remove; sys.exit('torch' in sys.modules or 'diffusers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
