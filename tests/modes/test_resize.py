"""Where a change of size acts, up and down, at the picture's edge and on coarse grids; its terms, its noise and its attention."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from dragonkit.errors import EditError, MaskError
from dragonkit.imaging.affine import affine_about, warp_mask
from dragonkit.imaging.masks import Grid, bounding_box, center_of, to_grid
from dragonkit.modes import resize
from dragonkit.modes.move import Move
from dragonkit.modes.move import dragonkit_build_masks as build_move
from dragonkit.modes.resize import Resize
from dragonkit.plugins.answers import EditMasks, Features, identity_correspondence
from dragonkit.plugins.registry import PluginRegistry

WIDTH, HEIGHT = 48, 32
SIZE = (WIDTH, HEIGHT)
IMAGE = Grid(WIDTH, HEIGHT, WIDTH, HEIGHT)
FEATURES = Grid(WIDTH // 2, HEIGHT // 2, WIDTH, HEIGHT)
LATENTS = Grid(WIDTH // 4, HEIGHT // 4, WIDTH, HEIGHT)
GRIDS = [IMAGE, FEATURES, LATENTS, Grid(7, 5, WIDTH, HEIGHT)]


def box(left: int, top: int, width: int, height: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[top : top + height, left : left + width] = True
    return mask


def scaled(mask: np.ndarray, scale: float) -> np.ndarray:
    return warp_mask(mask, affine_about(center_of(mask), scale))


def build(mask: np.ndarray, scale: float, grid: Grid = IMAGE, **fields: Any) -> EditMasks:
    return resize.dragonkit_build_masks(Resize(mask=mask, scale=scale, **fields), SIZE).on(grid)


boxes = st.builds(box, st.integers(0, WIDTH - 4), st.integers(0, HEIGHT - 4), st.integers(2, 20), st.integers(2, 16))
scales = st.sampled_from([0.4, 0.5, 0.9, 1.1, 1.5, 2.0, 3.0, 10.0])


# --- masks --------------------------------------------------------------------------------------------------------------


def test_up_is_about_the_objects_centre() -> None:
    masks = build(box(20, 10, 6, 4), 2.0)
    assert bounding_box(masks.target) == (17, 8, 29, 16)
    assert not masks.vacated.any()
    assert masks.correspondence[8, 17] == pytest.approx((20.25, 10.25))  # the first pixel shows the first quarter of the source's
    assert np.array_equal(masks.preserve, ~masks.target)


def test_down_leaves_a_rim() -> None:
    masks = build(box(20, 10, 8, 4), 0.5)
    assert np.array_equal(masks.target, box(22, 11, 4, 2))
    assert np.array_equal(masks.vacated, box(20, 10, 8, 4) & ~box(22, 11, 4, 2))
    assert masks.correspondence[11, 22] == pytest.approx((21, 11))  # the middle of the four pixels that become this one


@given(boxes, scales)
def test_the_target_is_the_mask_scaled(mask: np.ndarray, scale: float) -> None:
    expected = scaled(mask, scale)
    assume(expected.any())
    for grid in GRIDS:
        assert np.array_equal(build(mask, scale, grid).target, to_grid(expected, grid))


@given(boxes, scales)
def test_a_resize_is_a_move_that_stays(mask: np.ndarray, scale: float) -> None:
    assume(scaled(mask, scale).any())
    for grid in GRIDS:
        one, other = build(mask, scale, grid), build_move(Move(mask=mask, scale=scale), SIZE).on(grid)
        for part in ("source", "target", "preserve", "vacated", "surroundings", "correspondence"):
            assert np.array_equal(getattr(one, part), getattr(other, part)), part


@given(boxes, st.sampled_from([0.5, 1.5, 2.0, 3.0]))
def test_content_comes_from_nearer_to_the_centre_as_it_grows(mask: np.ndarray, scale: float) -> None:
    assume(scaled(mask, scale).any())
    for grid in GRIDS[:3]:
        masks = build(mask, scale, grid)
        center = np.array(center_of(mask)) / (grid.cell_width, grid.cell_height)
        here = identity_correspondence(grid)[masks.target] - center
        assert np.allclose((masks.correspondence[masks.target] - center) * scale, here, atol=1e-3)
        assert np.array_equal(masks.correspondence[~masks.target], identity_correspondence(grid)[~masks.target])


@pytest.mark.parametrize("grid", GRIDS)
def test_what_leaves_the_picture_is_cut_off(grid: Grid) -> None:
    masks = build(box(40, 26, 8, 6), 6.0, grid)
    assert np.array_equal(masks.target, to_grid(box(20, 11, 28, 21), grid))
    assert build(np.ones((HEIGHT, WIDTH), bool), 10.0, grid).target.all()


def test_a_ring_enlarged_beyond_the_picture_is_refused() -> None:
    ring = box(14, 6, 20, 20) & ~box(16, 8, 16, 16)
    assert build(ring, 1.5).target.any()
    with pytest.raises(EditError, match=r"the scale 5\.0 leaves nothing of an object of 144 pixels; use a scale closer to 1"):
        build(ring, 5.0)


def test_what_shrinks_to_nothing_is_refused() -> None:
    with pytest.raises(EditError, match=r"scale 0\.1 leaves nothing .* 4 pixels"):
        build(box(10, 10, 2, 2), 0.1)


def test_a_mask_of_another_size_is_refused() -> None:
    with pytest.raises(MaskError, match="48x32"):
        build(np.ones((16, 16), bool), 2)


@pytest.mark.parametrize("grid", GRIDS)
def test_the_fill_mask_says_what_the_rim_shall_resemble(grid: Grid) -> None:
    fill = box(0, 0, 48, 6)
    assert np.array_equal(build(box(20, 12, 8, 8), 0.5, grid, fill=fill).surroundings, to_grid(fill, grid))


# --- fields -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"scale": 1}, "Resize.scale is 1: nothing would change"),
        ({}, "Resize.scale is missing"),
        ({"scale": 0}, "Resize.scale is 0"),
        ({"scale": 11}, "Resize.scale is 11"),
        ({"scale": float("nan")}, "Resize.scale"),
        ({"scale": 2, "inpaint_weight": -1}, "Resize.inpaint_weight is -1"),
        ({"scale": 2, "shift": (1, 2)}, "Resize has no field 'shift'"),
    ],
)
def test_bad_fields_are_refused_in_words(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(EditError, match=re.escape(said)):
        Resize(mask=box(0, 0, 4, 4), **fields)


def test_a_resize_survives_json() -> None:
    edit = Resize(mask=box(3, 4, 5, 6), scale=1.5, fill=box(0, 0, 3, 3), contrast_weight=0.3)
    assert Resize.from_dict(edit.to_dict()) == edit


# --- energies, noise, attention -----------------------------------------------------------------------------------------


def test_terms_carry_the_weights() -> None:
    edit = Resize(mask=box(20, 10, 8, 8), scale=0.5, edit_weight=1.5, preserve_weight=2.5, contrast_weight=3.5, inpaint_weight=4.5)
    terms = resize.dragonkit_energy_terms(edit, build(edit.mask, 0.5, FEATURES))
    assert {term.name: term.weight for term in terms or ()} == {"edit": 1.5, "preserve": 2.5, "contrast": 3.5, "inpaint": 4.5}
    larger = resize.dragonkit_energy_terms(edit, build(edit.mask, 2.0, FEATURES))
    assert [term.name for term in larger or ()] == ["edit", "preserve"]  # nothing is vacated


def test_terms_are_for_resizes_only() -> None:
    masks = build(box(20, 10, 8, 8), 2.0, FEATURES)
    assert resize.dragonkit_energy_terms(Move(mask=box(20, 10, 8, 8), scale=2), masks) is None


def test_the_edit_energy_is_least_for_the_object_at_its_new_size() -> None:
    edit = Resize(mask=box(16, 8, 12, 8), scale=2)
    source = torch.randn(4, *IMAGE.shape)
    masks = build(edit.mask, 2.0)
    (term, *_) = resize.dragonkit_energy_terms(edit, masks) or ()
    enlarged = source.repeat_interleave(2, 1).repeat_interleave(2, 2)[:, 12:44, 22:70]  # twice as large about (22, 12)
    values = [float(term.function(Features(picture, source, None, "up.1"))) for picture in (enlarged, source)]
    assert 0.2 < values[0] < 0.22 < 0.3 < values[1]  # one fifth is the least there is; the correspondence interpolates, repeating does not


def test_attention_reads_the_source_from_the_tenth_on() -> None:
    plan = resize.dragonkit_attention()
    assert (plan.form, plan.start, plan.stop) == ("replace", 0.1, 1.0)


# --- a plugin like any other --------------------------------------------------------------------------------------------


def test_it_registers_like_a_plugin_of_anyones() -> None:
    registry = PluginRegistry(builtin=(), discover=False)
    registry.register(resize)
    assert registry.edit_types() == {"resize": Resize}


def test_it_uses_public_names_only() -> None:
    for module in (resize.__file__, Path(resize.__file__).with_name("moving.py")):
        code = Path(module).read_text()
        assert re.findall(r"(?:import|from)[^\n]*[ .]_\w+", code.replace("from __future__ import annotations", "")) == []
        assert re.findall(r"(?<!self)\._[a-z]\w*", code) == []
        assert "dragonkit.diffusion" not in code


@pytest.mark.processes
def test_it_imports_without_torch() -> None:
    code = "import sys, dragonkit.modes.resize; sys.exit('torch' in sys.modules or 'diffusers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
