"""Noise along the correspondence: what moves takes its own noise along, from the source or from a reference, and leaves new noise."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dragonkit.diffusion.source import Levels, Source, Way, latent_grid
from dragonkit.editing.anchors import moved_noise
from dragonkit.edits.edit import Edit
from dragonkit.imaging.masks import Grid, to_grid
from dragonkit.modes.custom import CustomEdit
from dragonkit.modes.drag import Drag
from dragonkit.modes.move import Move
from dragonkit.modes.remove import Remove
from dragonkit.modes.resize import Resize
from dragonkit.plugins.placement import Placement
from dragonkit.plugins.registry import PluginRegistry
from dragonkit.testing import tiny_editor

SIZE = WIDTH, HEIGHT = 48, 32
SCHEDULE = tiny_editor().backbone.schedule(1, SIZE)
LATENTS = Grid(WIDTH // 4, HEIGHT // 4, WIDTH, HEIGHT)


def box(left: int, top: int, width: int, height: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[top : top + height, left : left + width] = True
    return mask


def source_with(noise: torch.Tensor) -> Source:
    """A source of 4 pixels a latent cell, of which only z_T is of interest."""
    height, width = noise.shape[2:]
    pixels, words = np.zeros((4 * height, 4 * width, 3), np.uint8), torch.zeros(1, 1, 1)
    trajectory = torch.cat([torch.full_like(noise, torch.nan), noise])
    return Source(Way(Levels(trajectory)), SCHEDULE, "", words, words, pixels, (4 * width, 4 * height))


def started(edit: Edit, noise: torch.Tensor, seed: int = 0) -> torch.Tensor:
    registry = PluginRegistry(discover=False)
    return moved_noise(registry.build_masks(edit, SIZE).on(LATENTS), source_with(noise), seed=seed)


@pytest.mark.parametrize("by", [(0, 1), (3, -2), (-3, 4), (7, 5)])
def test_noise_moves_exactly_by_whole_cells(by: tuple[int, int]) -> None:
    edit = Move(mask=box(8, 8, 12, 12), shift=(4 * by[0], 4 * by[1]))
    noise = torch.randn(1, 4, *LATENTS.shape)
    masks = edit.placement(SIZE).on(LATENTS)
    rolled = torch.roll(noise, (by[1], by[0]), (2, 3))  # what is rolled round lies outside the clipped target
    stays = torch.from_numpy(~masks.vacated)
    assert torch.equal(started(edit, noise)[..., stays], torch.where(torch.from_numpy(masks.target), rolled, noise)[..., stays])


@pytest.mark.parametrize("edit", [Remove(mask=box(8, 8, 12, 12)), Move(mask=box(8, 8, 12, 12), shift=(20, 0))])
def test_what_is_left_gets_new_noise_by_the_seed(edit: Edit) -> None:
    noise = torch.randn(1, 4, *LATENTS.shape)
    vacated = torch.zeros(LATENTS.shape, dtype=torch.bool)
    vacated[2:5, 2:5] = True
    one, again, other = (started(edit, noise, seed) for seed in (1, 1, 2))
    assert torch.equal(one, again) and torch.equal(one[..., ~vacated], other[..., ~vacated])
    for found in (one, other):
        assert not torch.isclose(found[..., vacated], noise[..., vacated]).any()
    assert not torch.isclose(one[..., vacated], other[..., vacated]).any()


def test_all_but_what_is_taken_away_keeps_its_noise() -> None:
    noise = torch.randn(1, 4, *LATENTS.shape)
    stays = torch.from_numpy(~to_grid(box(8, 8, 12, 12), LATENTS))
    assert torch.equal(started(Remove(mask=box(8, 8, 12, 12)), noise)[..., stays], noise[..., stays])


def test_noise_grows_by_being_repeated() -> None:
    noise = torch.randn(1, 3, *LATENTS.shape)
    expected = noise.clone()  # 4 x 2 latent cells about the corner of four
    expected[..., 1:5, 2:10] = noise[..., 2:4, 4:8].repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert torch.equal(started(Resize(mask=box(16, 8, 16, 8), scale=2), noise), expected)


@pytest.mark.parametrize(
    "edit",
    [
        Move(mask=box(7, 9, 11, 10), shift=(13, 3), scale=1.7),
        Drag(points=[((x, y), (x + 8, y + 4)) for x, y in ((10, 8), (22, 8), (10, 20), (22, 20))]),
    ],
)
def test_noise_is_copied_never_mixed(edit: Edit) -> None:
    noise = torch.randn(1, 1, *LATENTS.shape)
    found = started(edit, noise)
    target = torch.from_numpy(PluginRegistry(discover=False).build_masks(edit, SIZE).on(LATENTS).target)
    assert set(found[..., target].tolist()[0][0]) <= set(noise.flatten().tolist())
    assert not torch.equal(found[..., target], noise[..., target])


def test_what_changes_in_its_place_keeps_its_noise() -> None:
    noise = torch.randn(1, 1, *LATENTS.shape)
    assert started(CustomEdit(energy=lambda features: features.generated.mean(), mask=box(8, 8, 12, 12)), noise).equal(noise)


def test_noise_of_a_reference_comes_from_its_own_cells() -> None:
    noise, other = torch.randn(1, 2, *LATENTS.shape), torch.randn(1, 2, 5, 20)
    target = box(8, 8, 12, 8)
    masks = Placement(source=target & False, target=target, back=lambda places: places + np.array([40, -4])).on(LATENTS)
    reference = source_with(other)
    assert latent_grid(reference) == Grid(20, 5, 80, 20)
    expected = noise.clone()
    expected[..., 2:4, 2:5] = other[..., 1:3, 12:15]
    assert torch.equal(moved_noise(masks, source_with(noise), reference), expected)


def test_noise_is_taken_from_a_reference_even_at_the_same_place() -> None:
    noise, other = torch.randn(2, 1, 2, *LATENTS.shape)
    target = box(8, 8, 12, 8)
    masks = Placement(source=target & False, target=target, back=lambda places: places).on(LATENTS)
    expected = torch.where(torch.from_numpy(masks.target), other, noise)
    assert torch.equal(moved_noise(masks, source_with(noise), source_with(other)), expected)
