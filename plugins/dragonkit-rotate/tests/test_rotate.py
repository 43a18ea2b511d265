"""Where a turn acts, on several grids of a picture that is no square; its energies, its noise, its words."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from typing import Any

import dragonkit_rotate
import numpy as np
import pytest
import torch
from dragonkit_rotate import Rotate
from torch.autograd import gradcheck

import dragonkit as dk
from dragonkit.plugin_api import EditMasks, Features, PluginRegistry, bounding_box, identity_correspondence, to_grid
from dragonkit.testing import check_plugin

WIDTH, HEIGHT = 48, 32
IMAGE = dk.Grid(WIDTH, HEIGHT, WIDTH, HEIGHT)
FEATURES = dk.Grid(WIDTH // 2, HEIGHT // 2, WIDTH, HEIGHT)
LATENTS = dk.Grid(WIDTH // 4, HEIGHT // 4, WIDTH, HEIGHT)
GRIDS = [IMAGE, FEATURES, LATENTS, dk.Grid(7, 5, WIDTH, HEIGHT)]


def box(left: int, top: int, width: int, height: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[top : top + height, left : left + width] = True
    return mask


def build(mask: np.ndarray, degrees: float, grid: dk.Grid = IMAGE, **fields: Any) -> EditMasks:
    return dragonkit_rotate.dragonkit_build_masks(Rotate(mask=mask, degrees=degrees, **fields), (WIDTH, HEIGHT)).on(grid)


# --- masks --------------------------------------------------------------------------------------------------------------


def covered(center: tuple[float, float], width: float, height: float, degrees: float) -> np.ndarray:
    """How much of every pixel a turned rectangle covers, counted on 10 x 10 points of each."""
    fine = 10
    y, x = (np.indices((HEIGHT * fine, WIDTH * fine)) + 0.5) / fine
    turn = math.radians(degrees)
    along = (x - center[0]) * math.cos(turn) + (y - center[1]) * math.sin(turn)
    across = (y - center[1]) * math.cos(turn) - (x - center[0]) * math.sin(turn)
    inside = (np.abs(along) <= width / 2) & (np.abs(across) <= height / 2)
    return inside.reshape(HEIGHT, fine, WIDTH, fine).mean(axis=(1, 3))


@pytest.mark.parametrize("degrees", [-300, -37.5, 15, 30, 45, 90, 137, 180])
@pytest.mark.parametrize(("left", "top", "width", "height"), [(14, 12, 20, 8), (0, 3, 9, 12), (30, 20, 18, 12)])
def test_the_target_is_the_turned_rectangle(degrees: float, left: int, top: int, width: int, height: int) -> None:
    mask = box(left, top, width, height)
    target = build(mask, degrees).target
    share = covered((left + width / 2, top + height / 2), width, height, degrees)
    clear = np.abs(share - 0.5) > 0.13
    assert np.array_equal(target[clear], share[clear] > 0.5)
    for grid in GRIDS:
        masks = build(mask, degrees, grid)
        assert np.array_equal(masks.source, to_grid(mask, grid))
        assert np.array_equal(masks.target, to_grid(target, grid))
        assert np.array_equal(masks.vacated, masks.source & ~masks.target)
        assert not (masks.preserve & (masks.source | masks.target)).any()


def test_quarter_turns_are_exact() -> None:
    mask = box(12, 12, 16, 8)
    assert np.array_equal(build(mask, 90).target, box(16, 8, 8, 16))
    assert np.array_equal(build(mask, -270).target, box(16, 8, 8, 16))
    assert np.array_equal(build(mask, 180).target, mask)


def test_positive_is_clockwise() -> None:
    pan = box(16, 12, 8, 8) | box(24, 15, 8, 2)  # its handle points to the right
    target = build(pan, 90).target
    _, top, _, bottom = bounding_box(target)
    assert target[bottom - 3].sum() <= 3 and target[top + 3].sum() >= 8  # and now down


@pytest.mark.parametrize("grid", GRIDS)
def test_content_comes_from_where_it_was_before_the_turn(grid: dk.Grid) -> None:
    masks = build(box(12, 10, 16, 8), 30, grid)
    here = identity_correspondence(grid)
    assert np.array_equal(masks.correspondence[~masks.target], here[~masks.target])
    cell = (grid.cell_width, grid.cell_height)
    before, after = (complex(20, 14) - part[masks.target] * cell @ [1, 1j] for part in (masks.correspondence, here))
    assert np.allclose(before * np.exp(1j * math.radians(30)), after, atol=1e-3)


def test_what_leaves_the_picture_is_cut_off() -> None:
    assert build(box(0, 12, WIDTH, 8), 90).target.sum() == 8 * HEIGHT


def test_nothing_left_in_the_picture_is_refused() -> None:
    with pytest.raises(dk.EditError, match="nothing of the 64 pixels"):
        build(box(0, 12, 4, 8) | box(WIDTH - 4, 12, 4, 8), 90)


@pytest.mark.parametrize("grid", GRIDS)
def test_the_fill_mask_says_what_the_hole_shall_resemble(grid: dk.Grid) -> None:
    fill = box(0, 0, WIDTH, 6)
    assert np.array_equal(build(box(14, 12, 20, 8), 60, grid, fill=fill).surroundings, to_grid(fill, grid))


# --- fields -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"degrees": 360}, "Rotate.degrees is 360: nothing would change"),
        ({"degrees": 0.0}, "Rotate.degrees is 0.0: nothing would change"),
        ({"degrees": 361}, "Rotate.degrees is 361, but must be"),
        ({"degrees": math.nan}, "Rotate.degrees is nan"),
        ({}, "Rotate.degrees is missing"),
        ({"degrees": 10, "edit_weight": -1}, "Rotate.edit_weight is -1"),
    ],
)
def test_bad_fields_are_refused_in_words(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(dk.EditError, match=re.escape(said)):
        Rotate(mask=box(0, 0, 4, 4), **fields)


def test_it_survives_an_edit_file() -> None:
    edit = Rotate(mask=box(3, 4, 5, 6), degrees=-12.5, fill=box(0, 0, 3, 3), inpaint_weight=0.3)
    assert Rotate.from_dict(edit.to_dict()) == edit
    file = dk.EditFile.loads(dk.EditFile(model="toybox", seed=1, edits=[edit]).dumps())
    assert file.edits_from({"rotate": Rotate}) == [edit]


# --- energies, noise, attention -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("grid", [LATENTS, FEATURES])
@pytest.mark.parametrize("degrees", [25, -90])
def test_energies_are_finite_and_differentiable(grid: dk.Grid, degrees: float) -> None:
    edit = Rotate(mask=box(12, 10, 16, 8), degrees=degrees)
    terms = dragonkit_rotate.dragonkit_energy_terms(edit, build(edit.mask, degrees, grid))
    assert {term.name: term.weight for term in terms or ()} == {"edit": 4, "preserve": 6, "contrast": 0.2, "inpaint": 0.8}
    generator = torch.Generator().manual_seed(0)
    generated, source = (torch.randn(2, *grid.shape, dtype=torch.float64, generator=generator) for _ in range(2))
    generated.requires_grad_()
    for term in terms or ():
        assert 0 < term.function(Features(generated, source, None, "up.1")).item() <= 1
        if grid == LATENTS:
            assert gradcheck(lambda picture, term=term: term.function(Features(picture, source, None, "up.1")), generated, fast_mode=True)


def test_the_edit_energy_is_least_for_the_turned_object() -> None:
    square = dk.Grid(32, 32, 32, 32)
    mask = np.zeros((32, 32), bool)
    mask[12:20, 8:24] = True
    edit = Rotate(mask=mask, degrees=90)
    term, *_ = dragonkit_rotate.dragonkit_energy_terms(edit, edit.placement((32, 32)).on(square)) or ()
    source = torch.randn(4, 32, 32, generator=torch.Generator().manual_seed(0))
    right, wrong = (
        float(term.function(Features(torch.rot90(source, turns, (1, 2)), source, None, "up.1"))) for turns in (-1, 1)
    )  # torch turns the other way round
    assert right == pytest.approx(0.2, abs=1e-5) and wrong > 0.3


def test_terms_are_for_turns_only() -> None:
    other: Any = dk.Move(mask=box(12, 10, 16, 8), shift=(5, 0))
    assert dragonkit_rotate.dragonkit_energy_terms(other, build(box(12, 10, 16, 8), 25, LATENTS)) is None


def test_attention_reads_the_source() -> None:
    assert dragonkit_rotate.dragonkit_attention() == dk.AttentionPlan("replace", start=0.1)


# --- the plugin ---------------------------------------------------------------------------------------------------------


def test_it_registers() -> None:
    registry = PluginRegistry(builtin=(), discover=False)
    registry.register(dragonkit_rotate)
    assert registry.edit_types() == {"rotate": Rotate}


@pytest.mark.processes
def test_it_imports_without_torch() -> None:
    code = "import sys, dragonkit_rotate; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.processes
def test_it_keeps_dragonkits_rules() -> None:
    check_plugin("dragonkit_rotate", [Rotate(mask=box(8, 6, 20, 14), degrees=30)])
