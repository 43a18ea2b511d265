"""Points that are dragged: where it acts, what it pastes, what it compares, the noise it starts from, and what it refuses."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from dragonkit.cli.options import build as build_from_options
from dragonkit.cli.options import options_of
from dragonkit.editing.pasting import Cutout, cut_and_paste
from dragonkit.edits.settings import Settings
from dragonkit.errors import EditError, MaskError, PointError
from dragonkit.imaging.deform import Deformation
from dragonkit.imaging.lookup import warp
from dragonkit.imaging.masks import Grid, cell_coverage, dilate, shift_mask, to_grid
from dragonkit.modes import drag
from dragonkit.modes.drag import Drag
from dragonkit.modes.move import Move
from dragonkit.plugins.answers import EditMasks, Features, identity_correspondence
from dragonkit.plugins.registry import PluginRegistry
from dragonkit.testing import check_gradient, check_plugin

WIDTH, HEIGHT = 48, 32
IMAGE = Grid(WIDTH, HEIGHT, WIDTH, HEIGHT)
FEATURES = Grid(WIDTH // 2, HEIGHT // 2, WIDTH, HEIGHT)
LATENTS = Grid(WIDTH // 4, HEIGHT // 4, WIDTH, HEIGHT)
GRIDS = [IMAGE, FEATURES, LATENTS, Grid(7, 5, WIDTH, HEIGHT)]

Point = tuple[float, float]


def box(left: int, top: int, width: int, height: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[top : top + height, left : left + width] = True
    return mask


MASK = box(6, 4, 36, 24)
PLAIN = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
ONE: list[Any] = [((20.5, 16.5), (28.5, 12.5))]
ALIKE: list[Any] = [((x, y), (x + 10, y + 4)) for x, y in ((14.5, 10.5), (22.5, 10.5), (18.5, 17.5))]


def build(points: Any, grid: Grid = IMAGE, **fields: Any) -> EditMasks:
    return drag.dragonkit_build_masks(Drag(points=points, **fields), (grid.image_width, grid.image_height)).on(grid)


inside = st.tuples(st.floats(7, 41), st.floats(5, 27))


@st.composite
def drags(draw: st.DrawFn) -> list[tuple[Point, Point]]:
    """One to three pairs within MASK, no two of which contradict each other."""
    pairs = draw(st.lists(st.tuples(inside, inside), min_size=1, max_size=3))
    assume(np.hypot(*(np.subtract(*pairs[0]))) > 1)
    for ends in zip(*pairs, strict=True):
        assume(all(np.hypot(*np.subtract(a, b)) > 2 for n, a in enumerate(ends) for b in ends[:n]))
    return pairs


# --- masks --------------------------------------------------------------------------------------------------------------


@given(drags(), st.booleans(), st.sampled_from(["warp", "patches"]), st.sampled_from(GRIDS))
def test_regions_do_not_contradict_each_other(points: list[Any], masked: bool, init: Any, grid: Grid) -> None:
    masks = build(points, grid, mask=MASK if masked else None, init=init)
    assert masks.grid == grid and masks.target.any() and masks.source.any()
    assert not (masks.preserve & (masks.source | masks.target | masks.vacated)).any()
    assert not (masks.vacated & masks.target).any()
    if grid == IMAGE and masks.preserve.any():  # a coarse cell may be half of each
        assert not (masks.surroundings & (masks.target | masks.vacated)).any()
    assert masks.source[masks.vacated].all() or grid != IMAGE  # or it would not be filled
    assert np.array_equal(masks.correspondence[~masks.target], identity_correspondence(grid)[~masks.target])
    if masked:
        assert masks.preserve[cell_coverage(MASK, grid) == 0].all()


@given(drags(), st.sampled_from(GRIDS))
def test_content_is_looked_up_along_the_deformation_on_every_grid(points: list[Any], grid: Grid) -> None:
    masks = build(points, grid, mask=MASK)
    cell = np.array([grid.cell_width, grid.cell_height])
    middles = identity_correspondence(grid) * cell
    expected = middles + Deformation(points, (WIDTH, HEIGHT), MASK).displacement(middles)
    assert np.allclose((masks.correspondence * cell)[masks.target], expected[masks.target], atol=1e-3)


@given(drags(), st.sampled_from(GRIDS[1:]))
def test_coarse_masks_are_the_pixels_masks(points: list[Any], grid: Grid) -> None:
    pixels, cells = build(points, mask=MASK), build(points, grid, mask=MASK)
    for part in ("source", "target"):
        assert np.array_equal(getattr(cells, part), to_grid(getattr(pixels, part), grid))
    changed = cell_coverage(~pixels.preserve, grid)
    assert not (cells.preserve & (changed >= 0.02)).any() and cells.preserve[changed == 0].all()


@given(drags())
def test_nothing_comes_from_beyond_the_mask(points: list[Any]) -> None:
    masks = build(points, mask=MASK)
    x, y = np.floor(masks.correspondence[masks.target]).astype(int).T
    assert MASK[y, x].all()


def test_what_would_come_from_beyond_the_mask_is_vacated() -> None:
    masks = build(ALIKE, mask=box(8, 6, 36, 22))
    assert masks.vacated[8, 10] and not masks.target[8, 10]  # 10 to the left and 4 above lies nothing that may be moved
    assert masks.target[18, 28] and masks.correspondence[18, 28] == pytest.approx((18.5, 14.5))


def test_what_would_come_from_beyond_the_picture_is_vacated() -> None:
    masks = build([((x, y), (x + 10, y)) for x, y in ((3, 10), (3, 20), (10, 15))])
    assert masks.vacated[15, 1] and not masks.vacated[15, 40]


@given(drags(), st.sampled_from(GRIDS))
def test_patches_move_nothing_in_pixels(points: list[Any], grid: Grid) -> None:
    masks = build(points, grid, mask=MASK, init="patches")
    assert np.array_equal(masks.correspondence, identity_correspondence(grid))
    assert np.array_equal(masks.target, to_grid(MASK, grid)) and np.array_equal(masks.source, masks.target)
    assert not masks.vacated.any()


def test_patches_without_a_mask_change_what_a_warp_would() -> None:
    assert np.array_equal(build(ONE, init="patches").preserve, build(ONE).preserve)
    assert not build(ONE).preserve[12:17, 20:29].any() and build(ONE).preserve[31, 0]


def picture(seed: int = 0) -> torch.Tensor:
    """Smooth noise, (1, 3, H, W) in [-1, 1]."""
    noise = torch.randn(1, 3, HEIGHT // 4, WIDTH // 4, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(noise, size=(HEIGHT, WIDTH), mode="bicubic").clamp(-1, 1)


def pasted(before: torch.Tensor, points: Any, **fields: Any) -> torch.Tensor:
    """What sampling starts from."""
    placement = drag.dragonkit_build_masks(Drag(points=points, **fields), (WIDTH, HEIGHT))
    return cut_and_paste(before, Cutout(placement.on(IMAGE), placement.back, with_ground=placement.with_ground))


@given(st.tuples(st.integers(10, 37), st.integers(8, 23)), st.tuples(st.integers(10, 37), st.integers(8, 23)))
def test_the_pasted_picture_shows_the_start_at_the_end(start: tuple[int, int], end: tuple[int, int]) -> None:
    assume(start != end)
    before = picture()
    points = [((start[0] + 0.5, start[1] + 0.5), (end[0] + 0.5, end[1] + 0.5))]
    after = pasted(before, points, mask=MASK)
    assert torch.allclose(after[..., end[1], end[0]], before[..., start[1], start[0]], atol=1e-4)
    outside = torch.from_numpy(~dilate(MASK, 1))
    assert torch.equal(after[..., outside], before[..., outside])


def test_ground_comes_along_whole() -> None:
    """Nothing of it is seen through: as if cut out, what comes from beyond the vacated part once was."""
    before, masks = picture(), build(ONE, mask=MASK)
    after = pasted(before, ONE, mask=MASK)
    expected = warp(before[0], masks.correspondence, mode="bicubic").clamp(-1, 1)
    target = torch.from_numpy(masks.target)
    assert torch.allclose(after[0][:, target], expected[:, target], atol=1e-5)


def test_points_moved_alike_move_what_is_between_by_whole_pixels() -> None:
    before, object_ = picture(), box(14, 10, 9, 6)
    after = pasted(before, ALIKE, mask=dilate(object_ | shift_mask(object_, 10, 4), 4))
    assert torch.allclose(after[..., 14:20, 24:33], before[..., 10:16, 14:23], atol=1e-4)


# --- what is refused ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("points", "said"),
    [
        ([((1, 2), (3, 4)), ((1, 2), (5, 6))], "cannot go both to (3.0, 4.0)"),
        ([((1, 2), (5, 6)), ((3, 4), (5, 6))], "cannot both go to (5.0, 6.0)"),
        ([((1, 2), (1, 2)), ((1, 2), (5, 6))], "cannot go both"),
        ([((1, 2), (1, 2)), ((5, 6), (5, 6))], "every point ends where it starts"),
    ],
)
def test_points_that_make_no_sense_are_refused_at_once(points: Any, said: str) -> None:
    with pytest.raises(PointError, match=re.escape(said)):
        Drag(points=points)


@pytest.mark.parametrize(
    ("points", "said"),
    [
        ([((10, 10), (48.5, 10))], r"^the end of points\[0\], \(48\.5, 10\), .*48x32"),
        ([((10, 10), (11, 10)), ((12, -1), (12, 4))], r"^the start of points\[1\], \(12, -1\), .*48x32"),
        ([((5, 5), (10, 10))], r"^the start of points\[0\], .*outside the mask"),
        ([((10, 10), (42, 10))], r"^the end of points\[0\], \(42, 10\), lies outside the mask; move it, or paint"),
    ],
)
def test_points_in_the_wrong_place_are_refused(points: Any, said: str) -> None:
    with pytest.raises(PointError, match=said):
        build(points, mask=MASK)


SWAPPED = "with x and y swapped all of them would lie inside"


def test_points_given_as_rows_and_columns_get_a_hint() -> None:
    wide = np.zeros((HEIGHT, WIDTH), bool)
    wide[4:10, 20:44] = True
    inside = [((22, 5), (30, 6)), ((40, 8), (42, 8))]
    swapped = [tuple((y, x) for x, y in pair) for pair in inside]
    build(inside, mask=wide)
    for points in (swapped, swapped[:1], [((8, 40), (8, 47))]):  # the last ends below the picture
        with pytest.raises(PointError, match=SWAPPED):
            build(points, mask=None if points[0][1] == (8, 47) else wide)
    for points in ([swapped[0], inside[1]], [((2, 2), (3, 3))]):
        with pytest.raises(PointError) as caught:
            build(points, mask=wide)
        assert SWAPPED not in str(caught.value)


def test_points_on_the_pictures_border_are_in_it() -> None:
    assert build([((WIDTH, HEIGHT), (40, 20)), ((0, 0), (4, 4))]).target.any()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"points": []}, "Drag.points is [], but must be"),
        ({"points": [((1, 2, 3), (4, 5))]}, "Drag.points[0][0]"),
        ({"points": [((1, float("nan")), (4, 5))]}, "Drag.points[0][0][1]"),
        ({"points": ONE, "radius": -1}, "Drag.radius is -1"),
        ({"points": ONE, "init": "wrap"}, "Did you mean 'warp'"),
        ({"points": ONE, "edit_weight": -1}, "Drag.edit_weight is -1"),
    ],
)
def test_bad_fields_are_refused_in_words(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(EditError, match=re.escape(said)):
        Drag(**fields)


def test_a_mask_of_another_size_is_refused() -> None:
    with pytest.raises(MaskError, match="48x32"):
        build(ONE, mask=np.ones((16, 16), bool))


def test_a_drag_survives_json() -> None:
    edit = Drag(points=[*ONE, ((9, 9), (9, 9))], mask=MASK, radius=2, init="patches", edit_weight=0.5)
    assert Drag.from_dict(edit.to_dict()) == edit
    assert Drag.from_dict(Drag(points=ONE).to_dict()) == Drag(points=ONE)


def test_a_point_said_twice_is_said_once() -> None:
    assert np.array_equal(build([*ONE, *ONE]).correspondence, build(ONE).correspondence)


def test_the_command_line_takes_one_pair_at_a_time() -> None:
    fields = options_of(Drag)
    points = fields[0]
    assert (points.option, points.type, points.repeated, points.required) == ("--points", "number,number:number,number", True, True)
    edit = build_from_options(Drag, fields, {"points": ["20.5,16.5:28.5,12.5", "3,4:3,4"], "init": "patches"})
    assert edit == Drag(points=[*ONE, ((3, 4), (3, 4))], init="patches")
    with pytest.raises(PointError, match="--points: every point ends where it starts"):
        build_from_options(Drag, fields, {"points": ["3,4:3,4"]})


# --- energies -----------------------------------------------------------------------------------------------------------


def terms_of(points: Any, grid: Grid = FEATURES, mask: np.ndarray | None = MASK, **fields: Any) -> dict[str, Any]:
    edit = Drag(points=points, mask=mask, **fields)
    return {term.name: term for term in drag.dragonkit_energy_terms(edit, drag.dragonkit_build_masks(edit, (WIDTH, HEIGHT)).on(grid)) or ()}


def test_terms_carry_weights_and_regions() -> None:
    for init in ("warp", "patches"):
        terms = terms_of(ONE, edit_weight=1.5, preserve_weight=2.5, init=init)
        found = {name: (term.weight, term.region) for name, term in terms.items()}
        assert found == {"edit": (1.5, "target"), "preserve": (2.5, "elsewhere")}


def test_where_it_is_weighed_starts_that_are_no_ends_shall_not_stay_as_they_were() -> None:
    points: list[Any] = [((13, 13), (21, 13)), ((31, 21), (31, 21)), ((17, 13), (25, 17))]  # columns 6, 15 and 8 in features
    assert terms_of(points).keys() == {"edit", "preserve"}
    term = terms_of(points, contrast_weight=0.2)["contrast"]
    assert (term.weight, term.region) == (0.2, "target")
    left = np.zeros(FEATURES.shape, bool)
    left[5:8, 5:10] = True
    left[5:8, 9:12] = False  # the first end's neighbourhood; the second point stays where it is
    generated, source = np.random.default_rng(0).normal(size=(2, 5, *FEATURES.shape))
    a, b = generated[:, left], source[:, left]
    cosines = (a * b).sum(0) / np.sqrt((a * a).sum(0) * (b * b).sum(0))
    energy = term.function(Features(torch.from_numpy(generated), torch.from_numpy(source), None, "up.1")).item()
    assert energy == pytest.approx((cosines.mean() + 1) / 2, abs=1e-10)
    assert "contrast" not in terms_of([((20, 16), (20, 17))], contrast_weight=0.2)  # both in one cell


def test_terms_without_a_cell_are_left_out() -> None:
    assert terms_of(ONE, mask=np.ones((HEIGHT, WIDTH), bool), init="patches").keys() == {"edit"}


def test_terms_are_for_drags_only() -> None:
    assert drag.dragonkit_energy_terms(Move(mask=MASK, shift=(3, 0)), build(ONE, FEATURES)) is None


def interpolated(features: np.ndarray, x: float, y: float) -> np.ndarray:
    """The feature vector (c,) at a position in cells, cell centres at integer + 0.5, by the four cells around it; clamped at the border."""
    height, width = features.shape[1:]
    x, y = np.clip(x - 0.5, 0, width - 1), np.clip(y - 0.5, 0, height - 1)
    total = np.zeros(len(features))
    for row in (int(y), int(y) + 1):
        for column in (int(x), int(x) + 1):
            share = max(0, 1 - abs(row - y)) * max(0, 1 - abs(column - x))
            if share:
                total += share * features[:, row, column]
    return total


def expected_energy(generated: np.ndarray, source: np.ndarray, points: Any, radius: int, grid: Grid) -> float:
    """Equation 5 with one similarity over the neighbourhoods of all points, one position after the other."""
    cosines = []
    for start, end in points:
        for dy in range(-radius, radius + 1):
            for dx in range(-radius, radius + 1):
                places = [(x / grid.cell_width + dx, y / grid.cell_height + dy) for x, y in (start, end)]
                if all(0 <= x <= grid.width and 0 <= y <= grid.height for x, y in places):
                    a, b = interpolated(source, *places[0]), interpolated(generated, *places[1])
                    cosines.append(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))
    return 1 / (1 + 4 * (np.mean(cosines) + 1) / 2)


@given(drags(), st.integers(0, 3), st.sampled_from(GRIDS[1:]), st.integers(0, 99))
def test_the_edit_energy_is_equation_5_over_all_neighbourhoods(points: list[Any], radius: int, grid: Grid, seed: int) -> None:
    points = [*points, ((47.0, 31.0), (1.0, 30.0))]  # this one's neighbourhoods leave the picture, each on its own side
    rng = np.random.default_rng(seed)
    generated, source = rng.normal(size=(2, 5, *grid.shape))
    term = terms_of(points, grid, None, radius=radius)["edit"]
    energy = term.function(Features(torch.from_numpy(generated), torch.from_numpy(source), None, "up.1")).item()
    assert energy == pytest.approx(expected_energy(generated, source, points, radius, grid), rel=1e-4)


def test_where_points_are_middles_of_cells_the_edit_energy_is_exact() -> None:
    grid = Grid(16, 8, 32, 16)
    generated, source = np.random.default_rng(0).normal(size=(2, 5, *grid.shape))
    points: list[Any] = [((5, 5), (21, 9)), ((1, 13), (9, 3)), ((17, 7), (17, 7))]
    edit = Drag(points=points)
    term = next(iter(drag.dragonkit_energy_terms(edit, drag.dragonkit_build_masks(edit, (32, 16)).on(grid)) or ()))
    energy = term.function(Features(torch.from_numpy(generated), torch.from_numpy(source), None, "up.1")).item()
    assert energy == pytest.approx(expected_energy(generated, source, points, 1, grid), abs=1e-10)


def test_many_points_weigh_no_more_than_one() -> None:
    """Or the energy that preserves would count for ever less."""
    source, generated = torch.randn(2, 4, *FEATURES.shape)
    one, many = (terms_of([((21, 17), (29, 13))] * count)["edit"].function(Features(generated, source, None, "up.1")) for count in (1, 5))
    assert one.item() == pytest.approx(many.item(), rel=1e-6)


def test_energies_have_the_right_gradients() -> None:
    for term in terms_of([*ONE, ((9.0, 9.0), (9.0, 9.0))], LATENTS).values():
        check_gradient(term, build(ONE, LATENTS, mask=MASK))


def test_the_edit_energy_is_least_where_the_content_has_arrived() -> None:
    source = torch.randn(4, *FEATURES.shape)
    term = terms_of([((20, 16), (28, 12))])["edit"]
    shifted = torch.roll(source, (-2, 4), (1, 2))  # by as many cells as the drag is long
    assert float(term.function(Features(shifted, source, None, "up.1"))) == pytest.approx(1 / 5)
    assert float(term.function(Features(source, source, None, "up.1"))) > 0.25


def test_the_edit_energy_pulls_at_the_ends_only() -> None:
    source, generated = torch.randn(4, *FEATURES.shape), torch.randn(4, *FEATURES.shape, requires_grad=True)
    term = terms_of([((21, 17), (29, 13))])["edit"]  # both on a cell's centre
    (gradient,) = torch.autograd.grad(term.function(Features(generated, source, None, "up.1")), generated)
    expected = np.zeros(FEATURES.shape, bool)
    expected[5:8, 13:16] = True
    assert np.array_equal(gradient.abs().sum(0).numpy() > 1e-6, expected)


# --- noise and attention ------------------------------------------------------------------------------------------------


def started(edit: Drag, noise: torch.Tensor) -> torch.Tensor | None:
    source: Any = SimpleNamespace(schedule=range(3), latents_at=lambda level: noise if level == 3 else None)
    grid = Grid(noise.shape[3], noise.shape[2], WIDTH, HEIGHT)
    return drag.dragonkit_initial_latents(edit, drag.dragonkit_build_masks(edit, (WIDTH, HEIGHT)).on(grid), source)


def test_patches_of_noise_are_copied_from_start_to_end() -> None:
    noise = torch.randn(1, 3, *LATENTS.shape)
    expected = noise.clone()
    expected[..., 1:4, 6:9] = noise[..., 4:7, 2:5]
    expected[..., 4:7, 2:5] = noise[..., 1:4, 6:9]  # and back: from the noise as it was
    points = [((14, 22), (29.9, 8.1)), ((30, 10), (13, 21))]
    found = started(Drag(points=points, init="patches"), noise)
    assert found is not None and torch.equal(found, expected) and not torch.equal(found, noise)


def test_patches_at_the_border_are_cut_alike_in_both_places() -> None:
    noise = torch.randn(1, 3, *LATENTS.shape)
    expected = noise.clone()
    # the start is in the first row, the end in the last column: of nine cells, four are left
    expected[..., 4:6, 10:12] = noise[..., 0:2, 3:5]
    assert torch.equal(started(Drag(points=[((18, 2), (47, 18))], init="patches"), noise), expected)


def test_cells_need_not_be_square() -> None:
    noise = torch.randn(1, 2, 16, 6)  # cells of 8 x 2 pixels
    expected = noise.clone()
    expected[..., 8, 4] = noise[..., 3, 1]
    assert torch.equal(started(Drag(points=[((12, 7), (36, 17))], init="patches", radius=0), noise), expected)


def test_the_radius_is_that_of_the_patches() -> None:
    noise = torch.randn(1, 1, *LATENTS.shape)
    for radius in (0, 1, 2):
        changed = started(Drag(points=[((10, 10), (34, 18))], init="patches", radius=radius), noise) != noise
        assert changed.sum() == (2 * radius + 1) ** 2


def test_a_warp_starts_as_all_that_moves_does() -> None:
    assert started(Drag(points=ONE), torch.randn(1, 1, *LATENTS.shape)) is None


def test_the_settings_decide_what_an_edit_that_leaves_it_to_them_starts_from() -> None:
    left, warp, patches = Drag(points=ONE), Drag(points=ONE, init="warp"), Drag(points=ONE, init="patches")
    assert all(edit.settled(Settings(), PLAIN) is edit for edit in (left, warp, patches))
    for name in ("paper", "reference"):
        settings = Settings.preset(name)
        assert (left.settled(settings, PLAIN).init, warp.settled(settings, PLAIN).init, patches.settled(settings, PLAIN)) == (
            "patches",
            "warp",
            patches,
        )
    noise = torch.randn(1, 1, *LATENTS.shape)
    assert started(left, noise) is None and started(left.settled(settings, PLAIN), noise) is not None


def test_attention_reads_both_from_the_tenth_on() -> None:
    plan = drag.dragonkit_attention(Drag(points=ONE), build(ONE, LATENTS))
    assert (plan.form, plan.start, plan.stop) == ("concatenate", 0.1, 1.0)


# --- a plugin like any other --------------------------------------------------------------------------------------------


@pytest.mark.processes
def test_it_keeps_the_rules_of_plugins() -> None:
    check_plugin(drag, [Drag(points=ONE, mask=MASK)])


def test_it_registers_like_a_plugin_of_anyones() -> None:
    registry = PluginRegistry(builtin=(), discover=False)
    registry.register(drag)
    assert registry.edit_types() == {"drag": Drag}


def test_it_uses_public_names_only() -> None:
    code = Path(drag.__file__).read_text()
    assert re.findall(r"(?:import|from)[^\n]*[ .]_\w+", code.replace("from __future__ import annotations", "")) == []
    assert re.findall(r"(?<!self)\._[a-z]\w*", code) == []
    assert "dragonkit.diffusion" not in code


@pytest.mark.processes
def test_it_imports_without_torch() -> None:
    code = "import sys, dragonkit.modes.drag; sys.exit('torch' in sys.modules or 'diffusers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def scattered(count: int, size: int) -> list[tuple[Point, Point]]:
    starts = np.random.default_rng(0).uniform(50, size - 50, (count, 2))
    ends = starts + np.random.default_rng(1).uniform(-20, 20, (count, 2))
    return [((a, b), (c, d)) for (a, b), (c, d) in zip(starts.tolist(), ends.tolist(), strict=True)]


@pytest.mark.slow
def test_hundreds_of_points_take_seconds() -> None:
    """Of this process alone, which leaves a busy machine aside: 25 before, 3 now."""
    edit, begun = Drag(points=scattered(500, 1024)), time.process_time()
    placement = drag.dragonkit_build_masks(edit, (1024, 1024))
    assert time.process_time() - begun < 12
    assert placement.target.mean() > 0.5


def test_too_many_points_are_refused() -> None:
    assert len(Drag(points=scattered(1000, 1024)).points) == 1000
    with pytest.raises(PointError, match="at most 1000 points, got 1001"):
        Drag(points=scattered(1001, 1024))


# --- an object on its ground ---------------------------------------------------------------------------------------------


SHAPE = np.hypot(np.indices((HEIGHT, WIDTH))[1] + 0.5 - 20, np.indices((HEIGHT, WIDTH))[0] + 0.5 - 16) < 7
PULL: list[Any] = [((26.5, 16.5), (32.5, 16.5))]


def shown(shape: np.ndarray) -> np.ndarray:
    return np.where(shape[..., None], np.uint8([220, 40, 40]), np.uint8([90, 140, 180]))


def test_a_warp_finds_the_object_that_its_mask_goes_around() -> None:
    edit = Drag(points=PULL, mask=MASK)
    assert np.array_equal(edit.settled(Settings(), shown(SHAPE)).object, SHAPE)
    told = Drag(points=PULL, mask=MASK, object=SHAPE & False | box(10, 10, 8, 8))
    for left in (told, Drag(points=PULL), Drag(points=PULL, mask=MASK, init="patches")):
        assert left.settled(Settings(), shown(SHAPE)) is left
    across = box(0, 10, 48, 9)  # goes on beyond the mask on both sides
    assert edit.settled(Settings(), shown(across)) is edit


def test_an_object_is_pulled_off_ground_that_stays() -> None:
    before = torch.from_numpy(shown(SHAPE)).permute(2, 0, 1)[None].float() / 127.5 - 1
    after = pasted(before, PULL, mask=MASK, object=SHAPE)
    red = (after[0, 0] > 0.3).numpy()
    assert red[16, 20:32].all() and not red[16, 34:].any()  # it reaches the end now
    assert np.array_equal(red[:, :16], SHAPE[:, :16])  # its far side is where it was
    ground = torch.from_numpy(~dilate(SHAPE, 3) & ~dilate(red, 3))
    assert torch.allclose(after[..., ground], before[..., ground], atol=1e-5)


def test_pushed_in_an_object_leaves_its_ground() -> None:
    before = torch.from_numpy(shown(SHAPE)).permute(2, 0, 1)[None].float() / 127.5 - 1
    after = pasted(before, [((26.5, 16.5), (20.5, 16.5))], mask=MASK, object=SHAPE)
    assert (after[0, 0, 14:19, 23:] < 0).all() and after[0, 0, 16, 15] > 0.3


@given(drags(), st.sampled_from(GRIDS))
def test_an_objects_regions_stay_under_the_mask(points: list[Any], grid: Grid) -> None:
    masks = build(points, grid, mask=MASK, object=SHAPE)
    assert not (masks.preserve & (masks.source | masks.target | masks.vacated)).any()
    if grid == IMAGE:
        assert not ((masks.source | masks.target) & ~MASK).any()


def test_an_object_beside_the_mask_is_refused() -> None:
    with pytest.raises(MaskError, match="no part of the drag's object lies under its mask"):
        build(ONE, mask=MASK, object=box(0, 0, 4, 2))
