"""The standard energies against the paper's formulas in numpy, their regions, their gradients, and equation 9 as the paper writes it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch.autograd import gradcheck

from dragonkit.energy.terms import contrast, inpaint, moving_terms, preserve, resemble_source, vacating_terms
from dragonkit.errors import EditError
from dragonkit.imaging.affine import affine_about
from dragonkit.imaging.masks import Grid
from dragonkit.modes.geometry import moved_along
from dragonkit.plugins.answers import EditMasks, EnergyTerm, Features

GRID = Grid(16, 8, 16, 8)  # powers of two, as places are float32: what is looked up is exact
TERMS = {"edit": resemble_source, "preserve": preserve, "contrast": contrast, "inpaint": inpaint}


def box(left: int, top: int, width: int, height: int, grid: Grid = GRID) -> np.ndarray:
    mask = np.zeros((grid.image_height, grid.image_width), bool)
    mask[top : top + height, left : left + width] = True
    return mask


MASKS = moved_along(box(1, 2, 4, 4), affine_about((3, 4), shift=(3, 1))).on(GRID)


def features(seed: int, grid: Grid = GRID, channels: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Two random maps (c, h, w), float64."""
    generated, source = np.random.default_rng(seed).normal(0.3, 1, (2, channels, *grid.shape))
    return generated, source


def value(term: EnergyTerm, generated: np.ndarray, source: np.ndarray) -> float:
    return float(term.function(Features(torch.from_numpy(generated), torch.from_numpy(source), None, "up.1")))


def cos(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Cosine over the last axis."""
    return (a * b).sum(-1) / np.sqrt((a * a).sum(-1) * (b * b).sum(-1))


def local(generated: np.ndarray, here: list, source: np.ndarray, there: list) -> float:
    """Equation 4 over two lists of cells (row, column)."""
    return (np.mean([cos(generated[:, *g], source[:, *s]) for g, s in zip(here, there, strict=True)]) + 1) / 2


def cells(mask: np.ndarray) -> list[tuple[int, int]]:
    return [(int(row), int(column)) for row, column in np.argwhere(mask)]


@given(st.integers(0, 2**32 - 1))
def test_energies_are_equations_5_7_and_8(seed: int) -> None:
    generated, source = features(seed)
    target, kept, hole = (cells(mask) for mask in (MASKS.target, MASKS.preserve, MASKS.vacated))
    come_from = [(row - 1, column - 3) for row, column in target]  # the object went 3 to the right and 1 down
    around = cells(MASKS.surroundings)
    mean = [np.mean([map_[:, *cell] for cell in region], axis=0) for map_, region in ((generated, hole), (source, around))]
    expected = {
        "edit": 1 / (1 + 4 * local(generated, target, source, come_from)),
        "preserve": 1 / (1 + 4 * local(generated, kept, source, kept)),
        "contrast": local(generated, hole, source, hole),
        "inpaint": 1 / (1 + 4 * (cos(*mean) + 1) / 2),
    }
    for name, term in TERMS.items():
        assert value(term(MASKS, 1.0), generated, source) == pytest.approx(expected[name], abs=1e-10), name


@pytest.mark.parametrize("name", TERMS)
def test_names_weights_and_regions(name: str) -> None:
    term = TERMS[name](MASKS, 2.5)
    assert (term.name, term.weight) == (name, 2.5)
    assert term.region == ("target" if name == "edit" else "elsewhere")


def test_regional_gradients_lose_nothing() -> None:
    """Where a term's gradient may act covers all cells in which it has one."""
    generated, source = (torch.from_numpy(map_).float() for map_ in features(1))
    generated.requires_grad_()
    for term in moving_terms(MASKS, 1, 1, 1, 1):
        (gradient,) = torch.autograd.grad(term.function(Features(generated, source, None, "up.1")), generated)
        touched = gradient.abs().sum(0).numpy() > 0
        assert touched.any()
        assert not touched[~MASKS.target if term.region == "target" else MASKS.target].any()


@pytest.mark.parametrize("name", TERMS)
def test_gradients(name: str) -> None:
    generated, source = (torch.from_numpy(map_) for map_ in features(2, channels=3))
    function = TERMS[name](MASKS, 1.0).function
    assert gradcheck(lambda map_: function(Features(map_, source, None, "up.1")), generated.requires_grad_())


def test_moving_terms_are_all_four_with_their_weights() -> None:
    assert [(term.name, term.weight) for term in moving_terms(MASKS, 4, 6, 0.2, 0.8)] == [
        ("edit", 4), ("preserve", 6), ("contrast", 0.2), ("inpaint", 0.8),
    ]  # fmt: skip


def test_vacating_terms_are_those_without_a_target() -> None:
    masks = replace(MASKS, target=np.zeros(GRID.shape, bool))
    assert [(term.name, term.weight) for term in vacating_terms(masks, 6, 0.2, 0.8)] == [
        ("preserve", 6),
        ("contrast", 0.2),
        ("inpaint", 0.8),
    ]


@pytest.mark.parametrize(
    ("without", "left"),
    [
        ("preserve", ["edit", "contrast", "inpaint"]),
        ("vacated", ["edit", "preserve"]),
        ("surroundings", ["edit", "preserve", "contrast"]),
    ],
)
def test_moving_terms_without_a_cell_are_left_out(without: str, left: list[str]) -> None:
    masks = replace(MASKS, **{without: np.zeros(GRID.shape, bool)})
    assert [term.name for term in moving_terms(masks, 1, 1, 1, 1)] == left
    assert [term.name for term in vacating_terms(masks, 1, 1, 1)] == left[1:]


@pytest.mark.parametrize(
    ("term", "without"),
    [(resemble_source, "target"), (preserve, "preserve"), (contrast, "vacated"), (inpaint, "vacated"), (inpaint, "surroundings")],
)
def test_a_term_with_nothing_to_act_on_is_refused(term: Callable[[EditMasks, float], EnergyTerm], without: str) -> None:
    with pytest.raises(EditError, match=re.escape(f"EditMasks.{without} has no cell inside")):
        term(replace(MASKS, **{without: np.zeros(GRID.shape, bool)}), 1.0)


# --- equation 9 ---------------------------------------------------------------------------------------------------------


def equation_9(generated: np.ndarray, source: np.ndarray, mask: np.ndarray, scale: float, offset: tuple[int, int]) -> float:
    """R interpolates the source's features and mask, C crops or pads to the grid from `offset` (x, y) on: 1 / (1 + 4 S)."""
    height, width = mask.shape
    resized = F.interpolate(torch.from_numpy(source)[None], scale_factor=scale, mode="bilinear", align_corners=False)[0]
    resized_mask = F.interpolate(torch.from_numpy(mask).double()[None, None], scale_factor=scale, mode="area")[0, 0] >= 0.5
    x, y = offset
    margins = (-x, width + x - resized.shape[2], -y, height + y - resized.shape[1])  # negative margins crop
    cropped = F.pad(resized, margins).numpy()
    cropped_mask = F.pad(resized_mask, margins).numpy()
    region = cells(cropped_mask)
    return 1 / (1 + 4 * local(generated, region, cropped, region))


@pytest.mark.parametrize(
    ("grid", "mask", "scale", "offset"),
    [
        (GRID, box(6, 2, 4, 4), 2.0, (8, 4)),  # about the grid's centre, as the paper draws it
        (GRID, box(0, 1, 4, 4), 2.0, (2, 3)),  # about an object's own, which leaves the picture on two sides
        (GRID, box(3, 2, 3, 3), 3.0, (9, 7)),
        (GRID, box(4, 2, 4, 4), 1.5, (3, 2)),
        (GRID, box(4, 2, 4, 4), 0.5, (-3, -2)),
        (Grid(16, 12, 16, 12), box(2, 4, 8, 8, Grid(16, 12, 16, 12)), 0.5, (-3, -4)),
    ],
)
def test_a_change_of_size_is_equation_9(grid: Grid, mask: np.ndarray, scale: float, offset: tuple[int, int]) -> None:
    rows, columns = np.nonzero(mask)
    center = (columns.mean() + 0.5, rows.mean() + 0.5)
    assert offset == pytest.approx(tuple((scale - 1) * middle for middle in center))  # the object's centre stays where it is
    masks = moved_along(mask, affine_about(center, scale)).on(grid)
    generated, source = features(3, grid)
    expected = equation_9(generated, source, mask, scale, offset)
    exact = grid is GRID and scale in (0.5, 2.0)  # else places are rounded to float32
    assert value(resemble_source(masks, 1.0), generated, source) == pytest.approx(expected, abs=1e-10 if exact else 1e-6)


def test_the_papers_crop_about_the_pictures_centre_would_move_an_object_that_is_not_there() -> None:
    """Cropped about the picture's middle (offset 8, 4), an object on the left is enlarged about that: its own centre goes from 3 to -2."""
    mask = box(1, 2, 4, 4)
    generated, source = features(3)
    about_itself = value(resemble_source(moved_along(mask, affine_about((3, 4), 2.0)).on(GRID), 1.0), generated, source)
    about_the_middle = value(resemble_source(moved_along(mask, affine_about((8, 4), 2.0)).on(GRID), 1.0), generated, source)
    assert about_itself == pytest.approx(equation_9(generated, source, mask, 2.0, (3, 4)), abs=1e-10)
    assert about_the_middle == pytest.approx(equation_9(generated, source, mask, 2.0, (8, 4)), abs=1e-10)
    assert abs(about_itself - about_the_middle) > 1e-3


def test_other_sizes_are_equation_9_but_for_half_a_cell() -> None:
    """At 1.4 times the size the crop begins between two cells: the paper has to round, the correspondence has not."""
    grid = Grid(24, 24, 24, 24)
    mask = box(7, 7, 10, 10, grid)
    rows, columns = np.indices(grid.shape) / 24
    smooth = np.stack([np.sin(3 * columns) - 0.5, np.cos(4 * rows), columns * rows - 0.3])
    generated = np.roll(smooth, 3, axis=2)
    ours = value(resemble_source(moved_along(mask, affine_about((12, 12), 1.4)).on(grid), 1.0), generated, smooth)
    assert ours == pytest.approx(equation_9(generated, smooth, mask, 1.4, (5, 5)), abs=0.004)  # it begins at 4.8; measured: 0.003
    for beside in (2, 8):
        assert abs(ours - equation_9(generated, smooth, mask, 1.4, (beside, 5))) > 0.006


@pytest.mark.processes
def test_it_imports_without_torch() -> None:
    code = "import sys, dragonkit.energy.terms; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
