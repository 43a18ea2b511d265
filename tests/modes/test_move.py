"""Where a move acts, on the picture's own pixels and on coarse grids; its terms, its noise and its attention."""

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
from dragonkit.imaging.masks import Grid, bounding_box, center_of, shift_mask, to_grid
from dragonkit.modes import move
from dragonkit.modes.move import Move
from dragonkit.plugins.answers import EditMasks, Features, identity_correspondence
from dragonkit.plugins.registry import PluginRegistry

WIDTH, HEIGHT = 48, 32
SIZE = (WIDTH, HEIGHT)
IMAGE = Grid(WIDTH, HEIGHT, WIDTH, HEIGHT)
LATENTS = Grid(WIDTH // 4, HEIGHT // 4, WIDTH, HEIGHT)
FEATURES = Grid(WIDTH // 2, HEIGHT // 2, WIDTH, HEIGHT)
ODD = Grid(7, 5, WIDTH, HEIGHT)

grids = st.sampled_from([IMAGE, LATENTS, FEATURES, ODD])
shifts = st.tuples(st.integers(-WIDTH, WIDTH), st.integers(-HEIGHT, HEIGHT))
scales = st.sampled_from([1.0, 0.3, 0.5, 0.999, 1.5, 2.0, 3.0])


def box(left: int, top: int, width: int, height: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[top : top + height, left : left + width] = True
    return mask


@st.composite
def objects(draw: st.DrawFn) -> np.ndarray:
    """A few boxes or a few lone pixels."""
    mask = np.zeros((HEIGHT, WIDTH), bool)
    for _ in range(draw(st.integers(1, 3))):
        left, top = draw(st.integers(0, WIDTH - 1)), draw(st.integers(0, HEIGHT - 1))
        mask |= box(left, top, draw(st.integers(1, 14)), draw(st.integers(1, 14)))
    return mask


def build(mask: np.ndarray, grid: Grid = IMAGE, **fields: Any) -> EditMasks:
    return move.dragonkit_build_masks(Move(mask=mask, **fields), SIZE).on(grid)


def build_or_skip(mask: np.ndarray, grid: Grid, **fields: Any) -> EditMasks:
    try:
        return build(mask, grid, **fields)
    except EditError:
        assume(False)
        raise


# --- masks --------------------------------------------------------------------------------------------------------------


@given(objects(), shifts, grids)
def test_the_target_is_the_source_shifted(mask: np.ndarray, shift: tuple[int, int], grid: Grid) -> None:
    masks = build_or_skip(mask, grid, shift=shift)
    moved = shift_mask(mask, *shift)
    assert np.array_equal(masks.source, to_grid(mask, grid))
    assert np.array_equal(masks.target, to_grid(moved, grid))
    assert np.array_equal(masks.vacated, masks.source & ~masks.target)


@given(objects(), shifts, scales, grids)
def test_regions_do_not_contradict_each_other(mask: np.ndarray, shift: tuple[int, int], scale: float, grid: Grid) -> None:
    masks = build_or_skip(mask, grid, shift=shift, scale=scale)
    assert masks.grid == grid
    assert masks.source.any() and masks.target.any()
    assert not (masks.preserve & (masks.source | masks.target)).any()
    assert not (masks.vacated & masks.target).any()
    if grid == IMAGE:
        assert np.array_equal(masks.preserve, ~(masks.source | masks.target))
        assert np.array_equal(masks.surroundings, masks.preserve) or not masks.preserve.any()


@given(objects(), shifts, scales, grids)
def test_the_target_looks_its_content_up_in_the_source(mask: np.ndarray, shift: tuple[int, int], scale: float, grid: Grid) -> None:
    masks = build_or_skip(mask, grid, shift=shift, scale=scale)
    elsewhere = ~masks.target
    assert np.array_equal(masks.correspondence[elsewhere], identity_correspondence(grid)[elsewhere])
    if grid != IMAGE:
        return  # a cell may be inside by half
    x, y = np.floor(masks.correspondence[masks.target]).astype(int).T
    if scale == 1:
        assert mask[y, x].all()
    elif scale > 1:  # target pixels at least half covered: their centre can miss the source by less than half a pixel
        assert (np.abs(x - np.clip(x, 0, WIDTH - 1)) <= 1).all() and (np.abs(y - np.clip(y, 0, HEIGHT - 1)) <= 1).all()
        near = np.pad(mask, 1)
        near = sum(near[1 + dy : HEIGHT + 1 + dy, 1 + dx : WIDTH + 1 + dx] for dx in (-1, 0, 1) for dy in (-1, 0, 1)) > 0
        assert near[y.clip(0, HEIGHT - 1), x.clip(0, WIDTH - 1)].all()


@given(objects(), st.tuples(st.integers(-20, 20), st.integers(-20, 20)))
def test_content_comes_from_as_far_as_it_moves(mask: np.ndarray, shift: tuple[int, int]) -> None:
    for grid in (IMAGE, FEATURES):
        masks = build_or_skip(mask, grid, shift=shift)
        way = identity_correspondence(grid) - masks.correspondence
        expected = np.array(shift) / [grid.cell_width, grid.cell_height]
        assert np.allclose(way[masks.target], expected, atol=1e-4)


def test_a_lone_pixel_in_a_large_cell_is_not_preserved() -> None:
    masks = build(box(2, 2, 1, 1), Grid(4, 4, WIDTH, HEIGHT), shift=(24, 16), scale=2.0)  # a hundredth of its cell, its target four
    assert masks.source[0, 0] and masks.target[2, 2]
    assert not masks.preserve[0, 0] and not masks.preserve[2, 2]


def test_scale_is_about_the_centre() -> None:
    masks = build(box(20, 10, 6, 4), scale=2.0)
    assert bounding_box(masks.target) == (17, 8, 29, 16)
    assert center_of(masks.target) == center_of(masks.source)
    x, y = masks.correspondence[8, 17]  # the target's first pixel shows the first quarter of the source's
    assert (x, y) == (pytest.approx(20.25), pytest.approx(10.25))
    assert bounding_box(build(box(20, 10, 8, 4), scale=0.5).target) == (22, 11, 26, 13)


def test_scale_and_shift_together() -> None:
    masks = build(box(20, 10, 6, 4), scale=2.0, shift=(10, 3))
    assert bounding_box(masks.target) == (27, 11, 39, 19)


def test_an_object_enlarged_beyond_the_border_is_whole_again_when_it_moves_inward() -> None:
    masks = build(box(0, 12, 10, 8), scale=2.0, shift=(20, 0))
    assert bounding_box(masks.target) == (15, 8, 35, 24)


def test_what_leaves_the_picture_is_clipped() -> None:
    masks = build(box(30, 10, 10, 8), shift=(12, 0))
    assert bounding_box(masks.target) == (42, 10, 48, 18)
    assert masks.vacated.sum() == 10 * 8


@pytest.mark.parametrize("shift", [(48, 0), (-40, 0), (0, 40)])
def test_what_leaves_altogether_is_refused(shift: tuple[int, int]) -> None:
    by = f"({shift[0]:.1f}, {shift[1]:.1f})"
    said = f"the shift {by} takes the whole object out of the 48x32 picture; its centre is at (35, 14)"
    with pytest.raises(EditError, match=re.escape(said)):
        build(box(30, 10, 10, 8), shift=shift)


def test_what_shrinks_to_nothing_is_refused() -> None:
    with pytest.raises(EditError, match=r"scale 0\.1 leaves nothing .* 4 pixels"):
        build(box(10, 10, 2, 2), scale=0.1, shift=(5, 0))


@pytest.mark.parametrize("fields", [{}, {"shift": (0.4, -0.4)}, {"shift": (0, 0), "scale": 1.0}])
def test_nothing_to_do_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(EditError, match="nothing would change"):
        build(box(30, 10, 10, 8), **fields)


def test_fractions_of_a_pixel_are_rounded() -> None:
    assert np.array_equal(build(box(10, 10, 8, 8), shift=(5.6, -2.4)).target, box(16, 8, 8, 8))


def test_a_mask_of_another_size_is_refused() -> None:
    with pytest.raises(MaskError, match="48x32"):
        build(np.ones((16, 16), bool), shift=(3, 0))


@pytest.mark.parametrize("grid", [IMAGE, FEATURES])
def test_the_fill_mask_says_what_the_hole_shall_resemble(grid: Grid) -> None:
    fill = box(0, 0, 48, 6)
    masks = build(box(20, 12, 8, 8), grid, shift=(10, 0), fill=fill)
    assert np.array_equal(masks.surroundings, to_grid(fill, grid))
    assert np.array_equal(build(box(20, 12, 8, 8), shift=(10, 0)).surroundings, ~(box(20, 12, 8, 8) | box(30, 12, 8, 8)))


def test_a_mask_over_everything_has_no_surroundings() -> None:
    masks = build(np.ones((HEIGHT, WIDTH), bool), FEATURES, shift=(8, 0))
    assert not masks.preserve.any() and not masks.surroundings.any()
    assert masks.vacated.sum() == 4 * FEATURES.height


# --- fields -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"scale": 0}, "Move.scale is 0"),
        ({"scale": 11}, "Move.scale is 11"),
        ({"shift": (1, 2, 3)}, "Move.shift"),
        ({"edit_weight": -1}, "Move.edit_weight is -1"),
        ({"shfit": (1, 2)}, "Did you mean 'shift'"),
        ({"shift": (float("nan"), 0)}, "Move.shift"),
    ],
)
def test_bad_fields_are_refused_in_words(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(EditError, match=re.escape(said)):
        Move(mask=box(0, 0, 4, 4), **fields)


def test_a_move_survives_json() -> None:
    edit = Move(mask=box(3, 4, 5, 6), shift=(7, 8), scale=1.5, fill=box(0, 0, 3, 3), inpaint_weight=0.3)
    assert Move.from_dict(edit.to_dict()) == edit


# --- energies -----------------------------------------------------------------------------------------------------------


def terms_of(masks: EditMasks, **fields: Any) -> dict[str, Any]:
    edit = Move(mask=np.ones((HEIGHT, WIDTH), bool), **fields)
    return {term.name: term for term in move.dragonkit_energy_terms(edit, masks) or ()}


def cells(height: int, width: int, *marked: tuple[int, int]) -> np.ndarray:
    mask = np.zeros((height, width), bool)
    for x, y in marked:
        mask[y, x] = True
    return mask


def test_terms_carry_the_weights() -> None:
    masks = build(box(20, 10, 8, 8), FEATURES, shift=(10, 0))
    weights = {"edit_weight": 1.5, "preserve_weight": 2.5, "contrast_weight": 3.5, "inpaint_weight": 4.5}
    assert {name: term.weight for name, term in terms_of(masks, **weights).items()} == {
        "edit": 1.5, "preserve": 2.5, "contrast": 3.5, "inpaint": 4.5,
    }  # fmt: skip


def test_terms_without_a_cell_are_left_out() -> None:
    enlarged = build(box(20, 10, 8, 8), FEATURES, scale=2.0)
    assert terms_of(enlarged).keys() == {"edit", "preserve"}  # nothing is vacated
    everything = build(np.ones((HEIGHT, WIDTH), bool), FEATURES, shift=(8, 0))
    assert terms_of(everything).keys() == {"edit", "contrast"}  # nothing to preserve, nothing to resemble


def test_terms_are_for_moves_only() -> None:
    masks = build(box(20, 10, 8, 8), FEATURES, shift=(10, 0))
    assert move.dragonkit_energy_terms(object(), masks) is None


def value(term: Any, generated: np.ndarray, source: np.ndarray) -> float:
    return term.function(Features(torch.from_numpy(generated), torch.from_numpy(source), None, "up.1")).item()


def test_energies_by_hand() -> None:
    """One row of cells with two channels; the object, "a", moves from cell 0 to cell 2 over a background "b", orthogonal to it."""
    grid = Grid(4, 1, 4, 1)
    mask = np.array([[True, False, False, False]])
    masks = move.dragonkit_build_masks(Move(mask=mask, shift=(2, 0)), (4, 1)).on(grid)
    terms = {term.name: term for term in move.dragonkit_energy_terms(Move(mask=mask, shift=(2, 0)), masks) or ()}
    look = {"a": [1.0, 0.0], "b": [0.0, 1.0]}

    def picture(text: str) -> np.ndarray:
        return np.array([look[letter] for letter in text]).T[:, None, :].astype(np.float32)

    source = picture("abbb")
    energy = lambda name, text: value(terms[name], picture(text), source)  # noqa: E731
    worst, best = 1 / (1 + 4 * 0.5), 1 / (1 + 4 * 1.0)  # orthogonal is a similarity of one half
    assert energy("edit", "bbab") == pytest.approx(best) and energy("edit", "abbb") == pytest.approx(worst)
    assert energy("contrast", "abab") == pytest.approx(1) and energy("contrast", "bbab") == pytest.approx(0.5)
    assert energy("inpaint", "bbab") == pytest.approx(best) and energy("inpaint", "abab") == pytest.approx(worst)
    assert energy("preserve", "bbab") == pytest.approx(best)
    assert energy("preserve", "baaa") == pytest.approx(worst)


def test_energies_see_every_cell_of_their_region_and_no_other() -> None:
    masks = build(box(8, 8, 12, 12), LATENTS, shift=(16, 4))
    source = torch.randn(5, *LATENTS.shape)
    regions = {"edit": masks.target, "preserve": masks.preserve, "contrast": masks.vacated, "inpaint": masks.vacated}
    for name, term in terms_of(masks).items():
        generated = torch.randn(5, *LATENTS.shape, requires_grad=True)
        (gradient,) = torch.autograd.grad(term.function(Features(generated, source, None, "up.1")), generated)
        assert np.array_equal(gradient.abs().sum(0).numpy() > 0, regions[name]), name


# --- attention ----------------------------------------------------------------------------------------------------------


def test_attention_reads_the_source_from_the_tenth_on() -> None:
    plan = move.dragonkit_attention()
    assert (plan.form, plan.start, plan.stop) == ("replace", 0.1, 1.0)


# --- a plugin like any other --------------------------------------------------------------------------------------------


def test_it_registers_like_a_plugin_of_anyones() -> None:
    registry = PluginRegistry(builtin=(), discover=False)
    registry.register(move)
    assert registry.edit_types() == {"move": Move}


def test_it_uses_public_names_only() -> None:
    code = Path(move.__file__).read_text()
    assert re.findall(r"(?:import|from)[^\n]*[ .]_\w+", code.replace("from __future__ import annotations", "")) == []
    assert re.findall(r"(?<!self)\._[a-z]\w*", code) == []
    assert "dragonkit.diffusion" not in code


@pytest.mark.processes
def test_it_imports_without_torch() -> None:
    code = "import sys, dragonkit.modes.move; sys.exit('torch' in sys.modules or 'diffusers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
