"""Pasting from a picture of another size: where the object lands, where each cell comes from, energies, words."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import dragonkit_paste
import numpy as np
import pytest
import torch
from dragonkit_paste import Paste
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image
from torch.nn import functional

import dragonkit as dk
from dragonkit.plugin_api import (
    EditFileError,
    EditMasks,
    Features,
    MaskError,
    affine_about,
    bounding_box,
    center_of,
    identity_correspondence,
    to_grid,
    warp,
    warp_mask,
)
from dragonkit.testing import check_gradient, check_plugin

WIDTH, HEIGHT = 48, 32
IMAGE = dk.Grid(WIDTH, HEIGHT, WIDTH, HEIGHT)
LATENTS = dk.Grid(WIDTH // 4, HEIGHT // 4, WIDTH, HEIGHT)
FEATURES = dk.Grid(WIDTH // 2, HEIGHT // 2, WIDTH, HEIGHT)
GRIDS = [IMAGE, LATENTS, FEATURES, dk.Grid(7, 5, WIDTH, HEIGHT)]
SIZES = [(20, 30), (WIDTH, HEIGHT), (100, 70), (60, 16)]


def box(left: int, top: int, width: int, height: int, size: tuple[int, int]) -> np.ndarray:
    mask = np.zeros(size[::-1], bool)
    mask[top : top + height, left : left + width] = True
    return mask


def chart(size: tuple[int, int]) -> np.ndarray:
    """A picture whose colours tell their place: red is x, green is y, in pixels; uint8 (H, W, 3)."""
    y, x = np.indices(size[::-1])
    return np.stack([x, y, np.zeros_like(x)], axis=-1).astype(np.uint8)


def paste(mask: np.ndarray, **fields: Any) -> Paste:
    return Paste(reference=chart(mask.shape[::-1]), reference_mask=mask, **fields)


def build(mask: np.ndarray, grid: dk.Grid = IMAGE, **fields: Any) -> EditMasks:
    return dragonkit_paste.dragonkit_build_masks(paste(mask, **fields), (WIDTH, HEIGHT)).on(grid)


@st.composite
def objects(draw: st.DrawFn) -> np.ndarray:
    """One or two boxes on a picture of another size."""
    size = draw(st.sampled_from(SIZES))
    mask = np.zeros(size[::-1], bool)
    for _ in range(draw(st.integers(1, 2))):
        left, top = draw(st.integers(0, size[0] - 1)), draw(st.integers(0, size[1] - 1))
        mask |= box(left, top, draw(st.integers(1, 30)), draw(st.integers(1, 30)), size)
    return mask


shifts = st.tuples(st.integers(-40, 40), st.integers(-30, 30))
repeatable = settings(deadline=None, derandomize=True, database=None, max_examples=50)


# --- masks --------------------------------------------------------------------------------------------------------------


@repeatable
@given(objects(), shifts)
def test_the_object_keeps_its_pixels_and_is_shifted(mask: np.ndarray, shift: tuple[int, int]) -> None:
    """Pixel by pixel: (x, y) of the picture is inside when (x, y) - shift of the reference is."""
    expected = np.zeros((HEIGHT, WIDTH), bool)
    for y, x in np.argwhere(mask) + shift[::-1]:
        if 0 <= x < WIDTH and 0 <= y < HEIGHT:
            expected[y, x] = True
    assume(expected.any())
    for grid in GRIDS:
        masks = build(mask, grid, shift=shift)
        assert np.array_equal(masks.target, to_grid(expected, grid))
        assert not masks.source.any() and not masks.vacated.any()  # nothing leaves
        assert not (masks.preserve & masks.target).any()
        if grid == IMAGE:
            assert np.array_equal(masks.preserve, ~expected) and np.array_equal(masks.surroundings, ~expected)


@repeatable
@given(objects(), shifts, st.sampled_from([0.5, 1.0, 1.5, 3.0]), st.sampled_from(GRIDS))
def test_every_cell_comes_from_the_object(mask: np.ndarray, shift: tuple[int, int], scale: float, grid: dk.Grid) -> None:
    try:
        masks = build(mask, grid, shift=shift, scale=scale)
    except dk.EditError:
        assume(False)
        raise
    here = identity_correspondence(grid)
    assert np.array_equal(masks.correspondence[~masks.target], here[~masks.target])
    # the inverse of "scale about the centre, then shift", in pixels
    cell, center = np.array([grid.cell_width, grid.cell_height]), np.array(center_of(mask))
    expected = center + (here[masks.target] * cell - center - shift) / scale
    places = masks.correspondence[masks.target] * cell
    assert np.allclose(places, expected, atol=1e-3)
    if grid == IMAGE:  # a pixel's centre may lie outside by half a pixel
        left, top, right, bottom = bounding_box(mask)
        assert (places >= np.array([left, top]) - 0.5).all() and (places <= np.array([right, bottom]) + 0.5).all()


@pytest.mark.parametrize("size", SIZES)
def test_pixels_looked_up_are_the_objects(size: tuple[int, int]) -> None:
    mask = box(4, 3, 10, 8, size)
    picture = torch.from_numpy(chart(size)).permute(2, 0, 1).float()
    masks = build(mask, shift=(9, 5))
    pasted = warp(picture, masks.correspondence).numpy()
    y, x = np.nonzero(masks.target)
    assert np.allclose(pasted[0, y, x], x - 9, atol=1e-3) and np.allclose(pasted[1, y, x], y - 5, atol=1e-3)


@pytest.mark.parametrize("grid", GRIDS)
def test_features_looked_up_are_the_objects(grid: dk.Grid) -> None:
    """On the reference's own raster, whose cells are of another size than the picture's."""
    size = (100, 70)
    reference_grid = dk.Grid(25, 14, *size)
    mask = box(20, 10, 40, 40, size)
    columns, rows = (np.arange(n) + 0.5 for n in (reference_grid.width, reference_grid.height))
    places = np.stack(np.meshgrid(columns * reference_grid.cell_width, rows * reference_grid.cell_height))  # pixels of the reference
    masks = build(mask, grid, shift=(-18, -12), scale=0.5)
    pasted = warp(torch.from_numpy(places).float(), masks.correspondence_on(reference_grid)).numpy()
    center, cell = np.array(center_of(mask)), (grid.cell_width, grid.cell_height)
    for row, column in np.argwhere(masks.target):
        here = np.array([(column + 0.5) * cell[0], (row + 0.5) * cell[1]])
        assert np.allclose(pasted[:, row, column], center + (here - center - (-18, -12)) / 0.5, atol=1e-3)


def test_scale_is_about_the_objects_centre() -> None:
    mask = box(10, 8, 12, 8, (WIDTH, HEIGHT))
    masks = build(mask, scale=2.0, shift=(3, 2))
    assert np.array_equal(masks.target, np.roll(warp_mask(mask, affine_about(center_of(mask), 2.0)), (2, 3), axis=(0, 1)))


def test_what_falls_outside_is_clipped() -> None:
    mask = box(70, 40, 20, 20, (100, 70))
    masks = build(mask, shift=(-30, -20))
    assert bounding_box(masks.target) == (40, 20, 48, 32)
    x, y = masks.correspondence[20, 40]
    assert (x, y) == (pytest.approx(70.5), pytest.approx(40.5))


def test_nothing_inside_is_refused() -> None:
    mask = box(70, 40, 20, 20, (100, 70))
    said = (
        "nothing of the pasted object is in the 48x32 picture: with shift (0.0, 0.0) and scale 1.0 "
        "it reaches from (70, 40) to (90, 60); use another shift or scale"
    )
    with pytest.raises(dk.EditError, match=re.escape(said)):
        build(mask)
    with pytest.raises(dk.EditError, match=r"from \(-21, 5\) to \(-1, 25\)"):
        build(mask, shift=(-91, -35))
    with pytest.raises(dk.EditError, match=r"scale 0\.001"):
        build(mask, shift=(-60, -35), scale=0.001)


def test_a_lone_pixel_in_a_large_cell_is_not_preserved() -> None:
    masks = build(box(20, 12, 8, 8, (100, 70)) | box(0, 0, 1, 1, (100, 70)), LATENTS)
    assert not masks.target[0, 0] and not masks.preserve[0, 0]


def test_a_mask_of_another_size_than_the_reference_is_refused() -> None:
    edit = Paste(reference=chart((100, 70)), reference_mask=np.ones((HEIGHT, WIDTH), bool))
    with pytest.raises(MaskError, match=r"^reference_mask, .*48x32 but the image is 100x70"):
        dragonkit_paste.dragonkit_build_masks(edit, (WIDTH, HEIGHT))


# --- fields -------------------------------------------------------------------------------------------------------------


def test_defaults_are_the_published_ones() -> None:
    edit = paste(np.ones((4, 6), bool))
    assert (edit.edit_weight, edit.preserve_weight, edit.shift, edit.scale, edit.reference_prompt) == (4.0, 6.0, (0, 0), 1.0, None)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"scale": 0}, "Paste.scale is 0"),
        ({"shift": (1, 2, 3)}, "Paste.shift"),
        ({"preserve_weight": -1}, "Paste.preserve_weight is -1"),
        ({"reference": None}, "Paste.reference is None: it must be"),
        ({"shfit": (1, 2)}, "Did you mean 'shift'"),
    ],
)
def test_bad_fields_are_refused_in_words(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(dk.EditError, match=re.escape(said)):
        Paste(**{"reference": chart((6, 4)), "reference_mask": np.ones((4, 6), bool), **fields})


def test_a_cut_out_needs_no_mask() -> None:
    cut, mask = Image.fromarray(chart((20, 12))).convert("RGBA"), box(3, 2, 9, 8, (20, 12))
    cut.putalpha(Image.fromarray(mask))
    edit = Paste(reference=cut, shift=(2, 3))
    masks, given = (
        dragonkit_paste.dragonkit_build_masks(one, (WIDTH, HEIGHT))
        for one in (edit, Paste(reference=cut, reference_mask=mask, shift=(2, 3)))
    )
    assert np.array_equal(masks.target, given.target) and np.array_equal(masks.reference_mask, mask)
    again = Paste.from_dict(json.loads(json.dumps(edit.to_dict())))
    assert np.array_equal(dragonkit_paste.dragonkit_build_masks(again, (WIDTH, HEIGHT)).reference_mask, mask)
    with pytest.raises(MaskError, match="no reference_mask, and no transparency"):
        dragonkit_paste.dragonkit_build_masks(Paste(reference=chart((20, 12))), (WIDTH, HEIGHT))


def test_it_survives_an_edit_file() -> None:
    edit = paste(box(1, 1, 3, 2, (6, 4)), shift=(3, -4), scale=1.5, reference_prompt="a chart")
    again = Paste.from_dict(json.loads(json.dumps(edit.to_dict())))
    assert np.array_equal(np.asarray(again.reference), chart((6, 4)))
    assert again.to_dict() == edit.to_dict() and (again.shift, again.scale, again.reference_prompt) == ((3, -4), 1.5, "a chart")


def test_an_edit_file_names_the_reference_beside_it(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    Image.fromarray(chart((20, 30))).save(tmp_path / "chart.png")
    Image.fromarray(box(4, 3, 10, 8, (20, 30))).save(tmp_path / "mask.png")
    data = {"mode": "paste", "reference": "chart.png", "reference_mask": "mask.png", "shift": [2, 3]}
    file = dk.EditFile.loads(dk.EditFile(model="toybox", seed=1, edits=[data]).dumps(), folder=tmp_path)
    (edit,) = file.edits_from({"paste": Paste})
    assert dragonkit_paste.dragonkit_build_masks(edit, (WIDTH, HEIGHT)).target.any()
    with pytest.raises(EditFileError, match=r"'chart\.png' relative to"):
        file.save(tmp_path / "other" / "edit.json")
    inside = json.loads(file.self_contained({"paste": Paste}).dumps())["edits"][0]
    assert str(inside["reference"]).startswith("data:image/png;base64,")
    (tmp_path / "chart.png").unlink()
    with pytest.raises(EditFileError, match=r"Paste\.reference: there is no picture file 'chart\.png'"):
        file.edits_from({"paste": Paste})


# --- reference, energies, attention -------------------------------------------------------------------------------------

REFERENCE_GRID = dk.Grid(10, 7, 100, 70)
OBJECT = box(10, 5, 30, 20, (100, 70))


def terms_of(grid: dk.Grid, **fields: Any) -> dict[str, Any]:
    edit = paste(OBJECT, shift=(4, 2), **fields)
    return {term.name: term for term in dragonkit_paste.dragonkit_energy_terms(edit, build(OBJECT, grid, shift=(4, 2))) or ()}


def test_the_reference_is_handed_on() -> None:
    reference = dragonkit_paste.dragonkit_reference(paste(OBJECT, reference_prompt="a chart"))
    assert np.array_equal(np.asarray(reference.image), chart((100, 70))) and reference.prompt == "a chart"


def test_terms_carry_weights_and_regions() -> None:
    terms = terms_of(FEATURES, edit_weight=1.5, preserve_weight=2.5)
    assert {name: (term.weight, term.region) for name, term in terms.items()} == {
        "edit": (1.5, "target"), "preserve": (2.5, "elsewhere"),
    }  # fmt: skip


def test_gradients() -> None:
    for term in terms_of(LATENTS).values():
        check_gradient(term, build(OBJECT, LATENTS, shift=(4, 2)), REFERENCE_GRID)


def test_equation_5() -> None:
    """1 / (1 + 4 S) with S the mean cosine of cells and their origins, looked up by hand on a raster where cells meet cells."""
    grid, reference_grid = dk.Grid(12, 8, WIDTH, HEIGHT), dk.Grid(25, 35, 100, 70)  # 4 x 4 and 4 x 2 pixels
    mask = box(8, 4, 16, 12, (100, 70))
    masks = build(mask, grid, shift=(4, 8))
    generated, source = torch.randn(2, 5, *grid.shape).unbind()
    reference = torch.randn(5, *reference_grid.shape)
    cosines = []
    for row, column in np.argwhere(masks.target):
        top = (4 * row - 8) // 2  # a cell of the picture is two cells of the reference high, and its centre lies between them
        origin = reference[:, top : top + 2, column - 1].mean(1)
        cosines.append(functional.cosine_similarity(generated[:, row, column], origin, dim=0).item())
    term = next(iter(dragonkit_paste.dragonkit_energy_terms(paste(mask, shift=(4, 8)), masks) or ()))
    energy = term.function(Features(generated, source, reference, "up.1", reference_grid)).item()
    assert energy == pytest.approx(1 / (1 + 4 * (np.mean(cosines) + 1) / 2), rel=1e-4)


def test_without_a_reference_the_energy_says_so() -> None:
    map_ = torch.randn(2, *FEATURES.shape)
    with pytest.raises(dk.EditError, match="this energy compares with a reference picture"):
        terms_of(FEATURES)["edit"].function(Features(map_, map_, None, "up.1"))


def test_terms_are_for_pastes_only() -> None:
    other: Any = dk.Move(mask=np.ones((HEIGHT, WIDTH), bool), shift=(5, 0))
    assert dragonkit_paste.dragonkit_energy_terms(other, build(OBJECT, LATENTS)) is None


def test_attention() -> None:
    masks = build(OBJECT, LATENTS)
    plan = dragonkit_paste.dragonkit_attention(masks)
    assert (plan.form, plan.start, plan.stop) == ("replace", 0.0, 0.72)
    assert np.array_equal(plan.source_mask, ~masks.target) and np.array_equal(plan.reference_mask, OBJECT)  # type: ignore[arg-type]


# --- the plugin ---------------------------------------------------------------------------------------------------------


@pytest.mark.processes
def test_it_keeps_the_rules_of_plugins() -> None:
    check_plugin("dragonkit_paste", [paste(box(5, 3, 9, 12, (20, 30)), shift=(12, 4), scale=1.3)], size=(WIDTH, HEIGHT))


@pytest.mark.processes
def test_it_imports_without_torch() -> None:
    code = "import sys, dragonkit_paste; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
