"""Where a dragged region goes, on several grids of a picture that is no square; its energies, its noise, its words."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from typing import Any

import dragonkit_region
import numpy as np
import pytest
import torch
from dragonkit_region import RegionDrag
from torch.autograd import gradcheck

import dragonkit as dk
from dragonkit.plugin_api import EditMasks, Features, PluginRegistry, affine_about, identity_correspondence, shift_mask, to_grid, warp_mask
from dragonkit.testing import check_plugin

WIDTH, HEIGHT = 48, 32
IMAGE = dk.Grid(WIDTH, HEIGHT, WIDTH, HEIGHT)
FEATURES = dk.Grid(WIDTH // 2, HEIGHT // 2, WIDTH, HEIGHT)
LATENTS = dk.Grid(WIDTH // 4, HEIGHT // 4, WIDTH, HEIGHT)
GRIDS = [IMAGE, FEATURES, LATENTS, dk.Grid(7, 5, WIDTH, HEIGHT)]

Pairs = list[tuple[tuple[float, float], tuple[float, float]]]

SHIFT: Pairs = [((10, 10), (17, 14))]
TURN: Pairs = [((16, 12), (16, 12)), ((28, 12), (25, 20))]  # about its first corner
SHEAR: Pairs = [((14, 8), (20, 11)), ((28, 8), (40, 13)), ((14, 20), (24, 25))]
MIRROR: Pairs = [((12, 10), (24, 10)), ((24, 10), (12, 10)), ((12, 20), (24, 20))]


def box(left: int, top: int, width: int, height: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[top : top + height, left : left + width] = True
    return mask


def build(mask: np.ndarray, points: Pairs, grid: dk.Grid = IMAGE, **fields: Any) -> EditMasks:
    return dragonkit_region.dragonkit_build_masks(RegionDrag(mask=mask, points=points, **fields), (WIDTH, HEIGHT)).on(grid)


# --- masks --------------------------------------------------------------------------------------------------------------


def frame(points: Pairs) -> np.ndarray:
    """Where the picture's origin, (1, 0) and (0, 1) go: solved from three pairs by barycentric coordinates, (3, 2)."""
    if len(points) == 1:
        points = [((x + dx, y + dy), (u + dx, v + dy)) for ((x, y), (u, v)) in points for dx, dy in ((0, 0), (1, 0), (0, 1))]
    if len(points) == 2:  # the third corner of a square stays the corner of a square
        ((ax, ay), (au, av)), ((bx, by), (bu, bv)) = points
        points = [*points, ((ax - (by - ay), ay + (bx - ax)), (au - (bv - av), av + (bu - au)))]
    starts, ends = np.array(points, dtype=float).transpose(1, 0, 2)
    weights = np.linalg.solve(np.vstack([starts.T, np.ones(3)]), np.array([[0, 1, 0], [0, 0, 1], [1, 1, 1]]))
    return weights.T @ ends


def covered(left: int, top: int, width: int, height: int, points: Pairs) -> np.ndarray:
    """How much of every pixel the mapped box covers, counted on 10 x 10 points of each."""
    origin, right, down = frame(points)
    fine = 10
    y, x = (np.indices((HEIGHT * fine, WIDTH * fine)) + 0.5) / fine
    across = np.stack([right - origin, down - origin], axis=-1)
    u, v = np.linalg.solve(across, np.stack([x.ravel(), y.ravel()]) - origin[:, None])
    inside = (left <= u) & (u <= left + width) & (top <= v) & (v <= top + height)
    return inside.reshape(HEIGHT, fine, WIDTH, fine).mean(axis=(1, 3))


@pytest.mark.parametrize("points", [SHIFT, TURN, SHEAR, MIRROR], ids=["shift", "turn", "shear", "mirror"])
@pytest.mark.parametrize("place", [(16, 12, 12, 6), (0, 3, 13, 12), (30, 8, 10, 18)])
def test_the_target_is_the_mapped_box(points: Pairs, place: tuple[int, int, int, int]) -> None:
    mask = box(*place)
    target = build(mask, points).target
    share = covered(*place, points)
    clear = np.abs(share - 0.5) > 0.14
    assert np.array_equal(target[clear], share[clear] > 0.5)
    for grid in GRIDS:
        masks = build(mask, points, grid)
        assert np.array_equal(masks.source, to_grid(mask, grid))
        assert np.array_equal(masks.target, to_grid(target, grid))
        assert np.array_equal(masks.vacated, masks.source & ~masks.target)
        assert not (masks.preserve & (masks.source | masks.target)).any()


@pytest.mark.parametrize("points", [SHIFT, TURN, SHEAR, MIRROR], ids=["shift", "turn", "shear", "mirror"])
@pytest.mark.parametrize("grid", GRIDS)
def test_content_comes_from_where_the_pairs_say(points: Pairs, grid: dk.Grid) -> None:
    masks = build(box(12, 8, 18, 14), points, grid)
    here = identity_correspondence(grid)
    assert np.array_equal(masks.correspondence[~masks.target], here[~masks.target])
    cell = (grid.cell_width, grid.cell_height)
    x, y = (masks.correspondence[masks.target] * cell).T
    origin, right, down = frame(points)
    there = origin + x[:, None] * (right - origin) + y[:, None] * (down - origin)
    assert np.allclose(there, here[masks.target] * cell, atol=1e-2)


def test_one_pair_by_whole_pixels_is_a_move() -> None:
    mask = box(6, 5, 12, 9)
    assert np.array_equal(build(mask, SHIFT).target, shift_mask(mask, 7, 4))


def test_two_pairs_that_only_scale_are_exact() -> None:
    mask = box(16, 12, 12, 6)
    assert np.array_equal(build(mask, [((16, 12), (16, 12)), ((28, 18), (34, 21))]).target, warp_mask(mask, affine_about((16, 12), 1.5)))


def test_mirroring_is_exact() -> None:
    corner = box(12, 10, 12, 3) | box(12, 10, 3, 10)
    assert np.array_equal(build(corner, MIRROR).target, box(12, 10, 12, 3) | box(21, 10, 3, 10))


def test_more_pairs_are_met_as_nearly_as_can_be() -> None:
    """Four corners of a square, of which one is dragged: all four miss by a quarter of that, in turns."""
    corners = [(10, 10), (20, 10), (20, 20), (10, 20)]
    points: Pairs = [(corner, corner) for corner in corners[:3]] + [((10, 20), (6, 24))]
    masks = build(box(10, 10, 10, 10), points)
    quarter = np.array([-1, 1])  # of (-4, 4)
    expected = [np.add(corner, quarter * sign) for corner, sign in zip(corners, (1, -1, 1, 3), strict=True)]
    share = covered(10, 10, 10, 10, list(zip(corners[:3], [tuple(end) for end in expected[:3]], strict=True)))
    clear = np.abs(share - 0.5) > 0.14
    assert np.array_equal(masks.target[clear], share[clear] > 0.5)


def test_what_leaves_the_picture_is_cut_off() -> None:
    assert np.array_equal(build(box(30, 10, 10, 8), [((30, 10), (42, 10))]).target, box(42, 10, 6, 8))


@pytest.mark.parametrize("grid", GRIDS)
def test_the_fill_mask_says_what_the_hole_shall_resemble(grid: dk.Grid) -> None:
    fill = box(0, 0, WIDTH, 6)
    assert np.array_equal(build(box(14, 12, 20, 8), SHIFT, grid, fill=fill).surroundings, to_grid(fill, grid))


# --- fields -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("points", "said"),
    [
        ([((5, 5), (1, 1)), ((5, 5), (9, 9))], "RegionDrag.points: both pairs start at (5, 5)"),
        ([((1, 1), (5, 5)), ((9, 9), (5, 5))], "RegionDrag.points: the pairs end at one point"),
        ([((0, 0), (0, 0)), ((9, 9), (4, 4)), ((20, 20), (1, 9))], "RegionDrag.points: the 3 pairs start on"),
        ([((0, 0), (0, 0)), ((9, 0), (5, 5)), ((0, 9), (7, 7))], "RegionDrag.points: the pairs end on one line"),
        ([((4, 4), (4, 4))], "RegionDrag.points: the pairs leave everything"),
        ([((4, 4), (4, 4)), ((9, 4), (9, 4)), ((4, 9), (4, 9))], "RegionDrag.points: the pairs leave everything"),
    ],
)
def test_pairs_that_fix_no_map_are_refused(points: Pairs, said: str) -> None:
    with pytest.raises(dk.errors.PointError, match=re.escape(said)):
        RegionDrag(mask=box(0, 0, 4, 4), points=points)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "RegionDrag.points is missing"),
        ({"points": []}, "RegionDrag.points is []"),
        ({"points": [((1, 2), (3,))]}, "RegionDrag.points[0]"),
        ({"points": [((1, 2), (3, math.nan))]}, "RegionDrag.points[0]"),
        ({"points": SHIFT, "preserve_weight": -1}, "RegionDrag.preserve_weight is -1"),
    ],
)
def test_bad_fields_are_refused_in_words(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(dk.EditError, match=re.escape(said)):
        RegionDrag(mask=box(0, 0, 4, 4), **fields)


@pytest.mark.parametrize("start", [(49, 5), (-1, 5), (5, 33)])
def test_starts_outside_the_picture_are_refused(start: tuple[float, float]) -> None:
    points: Pairs = [((5, 5), (6, 6)), (start, (9, 9))]
    said = f"points[1] starts at ({start[0]}, {start[1]}), outside"
    with pytest.raises(dk.errors.PointError, match=re.escape(said)):
        build(box(0, 0, 4, 4), points)


def test_starts_on_the_border_and_ends_outside_are_fine() -> None:
    assert build(box(40, 24, 8, 8), [((48, 32), (52, 36))]).target.sum() == 16


def test_nothing_left_in_the_picture_is_refused() -> None:
    with pytest.raises(dk.EditError, match="nothing of the 32 pixels"):
        build(box(0, 12, 4, 8), [((2, 14), (-20, 14))])


def test_it_survives_an_edit_file() -> None:
    edit = RegionDrag(mask=box(3, 4, 5, 6), points=SHEAR, fill=box(0, 0, 3, 3), inpaint_weight=0.3)
    assert RegionDrag.from_dict(edit.to_dict()) == edit
    file = dk.EditFile.loads(dk.EditFile(model="toybox", seed=1, edits=[edit]).dumps())
    assert file.edits_from({"region": RegionDrag}) == [edit]


# --- energies, noise, attention -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("grid", [LATENTS, FEATURES])
@pytest.mark.parametrize("points", [TURN, SHEAR], ids=["turn", "shear"])
def test_energies_are_finite_and_differentiable(grid: dk.Grid, points: Pairs) -> None:
    edit = RegionDrag(mask=box(12, 8, 16, 8), points=points)
    terms = dragonkit_region.dragonkit_energy_terms(edit, build(edit.mask, points, grid))
    assert {term.name: term.weight for term in terms or ()} == {"edit": 4, "preserve": 6, "contrast": 0.2, "inpaint": 0.8}
    generator = torch.Generator().manual_seed(0)
    generated, source = (torch.randn(2, *grid.shape, dtype=torch.float64, generator=generator) for _ in range(2))
    generated.requires_grad_()
    for term in terms or ():
        assert 0 < term.function(Features(generated, source, None, "up.1")).item() <= 1
        if grid == LATENTS:
            assert gradcheck(lambda picture, term=term: term.function(Features(picture, source, None, "up.1")), generated, fast_mode=True)


def test_terms_are_for_regions_only() -> None:
    other: Any = dk.Move(mask=box(12, 10, 16, 8), shift=(5, 0))
    assert dragonkit_region.dragonkit_energy_terms(other, build(box(12, 10, 16, 8), SHIFT, LATENTS)) is None


def test_attention_reads_the_source() -> None:
    assert dragonkit_region.dragonkit_attention() == dk.AttentionPlan("replace", start=0.1)


# --- the plugin ---------------------------------------------------------------------------------------------------------


def test_it_registers() -> None:
    registry = PluginRegistry(builtin=(), discover=False)
    registry.register(dragonkit_region)
    assert registry.edit_types() == {"region": RegionDrag}


@pytest.mark.processes
def test_it_imports_without_torch() -> None:
    code = "import sys, dragonkit_region; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.processes
def test_it_keeps_dragonkits_rules() -> None:
    check_plugin(
        "dragonkit_region", [RegionDrag(mask=box(8, 6, 20, 14), points=[((10.0, 8.0), (16.0, 9.0)), ((24.0, 10.0), (28.0, 14.0))])]
    )
