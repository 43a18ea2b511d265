"""Similarities and energies against the paper's formulas, written out again in numpy; the warp against slicing."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.autograd import gradcheck

from dragonkit.energy.similarity import gather, global_similarity, inverse_energy, local_similarity
from dragonkit.imaging.lookup import warp
from dragonkit.imaging.masks import Grid
from dragonkit.plugins.answers import identity_correspondence

seeds = st.integers(0, 2**32 - 1)
sizes = st.integers(1, 9)


def cos(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Cosine over axis 0."""
    return (a * b).sum(0) / np.sqrt((a * a).sum(0) * (b * b).sum(0))


def features(seed: int, channels: int, positions: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.3, 1, (channels, positions))


def identity(height: int, width: int) -> np.ndarray:
    return identity_correspondence(Grid(width, height, width, height))


# --- equation 4 ---------------------------------------------------------------------------------------------------------


@given(seeds, sizes, sizes)
def test_local_similarity_is_equation_4(seed: int, channels: int, positions: int) -> None:
    generated, source = features(seed, channels, positions), features(seed + 1, channels, positions)
    expected = (cos(generated, source).mean() + 1) / 2
    assert local_similarity(torch.from_numpy(generated), torch.from_numpy(source)).item() == pytest.approx(expected, abs=1e-9)


def test_local_similarity_pairs_positions_in_order() -> None:
    first = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert local_similarity(first, first).item() == pytest.approx(1)
    assert local_similarity(first, first.flip(1)).item() == pytest.approx(0.5)  # every pair is orthogonal


@pytest.mark.parametrize("similarity", [local_similarity, global_similarity])
def test_similarity_at_its_extremes(similarity) -> None:
    one, other = torch.tensor([[2.0], [0.0]]), torch.tensor([[0.0], [3.0]])
    assert similarity(one, 5 * one).item() == pytest.approx(1)  # length does not count
    assert similarity(one, other).item() == pytest.approx(0.5)
    assert similarity(one, -one).item() == pytest.approx(0)


@given(seeds, sizes, sizes)
def test_similarities_lie_between_0_and_1(seed: int, channels: int, positions: int) -> None:
    generated, source = (torch.from_numpy(features(seed + n, channels, positions)).float() for n in (0, 1))
    for similarity in (local_similarity, global_similarity):
        assert -1e-6 <= similarity(generated, source).item() <= 1 + 1e-6


# --- equations 8 and 10 -------------------------------------------------------------------------------------------------


@given(seeds, sizes, sizes, sizes)
def test_global_similarity_is_equation_8(seed: int, channels: int, here: int, there: int) -> None:
    generated, source = features(seed, channels, here), features(seed + 1, channels, there)
    expected = (cos(generated.mean(1), source.mean(1)) + 1) / 2
    assert global_similarity(torch.from_numpy(generated), torch.from_numpy(source)).item() == pytest.approx(expected, abs=1e-9)


def test_global_similarity_compares_means_not_positions() -> None:
    stripes = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert global_similarity(stripes, stripes.flip(1)).item() == pytest.approx(1)


# --- equation 5 ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("similarity", "alpha", "beta", "expected"),
    [(0.0, 1.0, 4.0, 1.0), (1.0, 1.0, 4.0, 0.2), (0.5, 1.0, 4.0, 1 / 3), (0.5, 2.0, 6.0, 1 / 5), (0.25, 1.0, 4.0, 0.5)],
)
def test_inverse_energy_is_equation_5(similarity: float, alpha: float, beta: float, expected: float) -> None:
    assert inverse_energy(torch.tensor(similarity), alpha, beta).item() == pytest.approx(expected)


def test_inverse_energy_defaults_to_the_released_code() -> None:
    assert inverse_energy(torch.tensor(1.0)).item() == pytest.approx(1 / (1 + 4))


def test_inverse_energy_falls_as_similarity_grows() -> None:
    energies = [inverse_energy(similarity).item() for similarity in torch.linspace(0, 1, 11)]
    assert all(a > b for a, b in pairwise(energies))


# --- gradients ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("similarity", [local_similarity, global_similarity])
def test_the_source_gets_no_gradient(similarity) -> None:
    generated, source = torch.randn(3, 5, requires_grad=True), torch.randn(3, 5, requires_grad=True)
    inverse_energy(similarity(generated, source)).backward()
    assert source.grad is None
    assert generated.grad is not None and generated.grad.abs().sum() > 0


@pytest.mark.parametrize("similarity", [local_similarity, global_similarity])
def test_gradients_of_the_energies(similarity) -> None:
    generated, source = torch.randn(3, 4, dtype=torch.float64, requires_grad=True), torch.randn(3, 4, dtype=torch.float64)
    assert gradcheck(lambda generated: inverse_energy(similarity(generated, source)), generated)


def test_gradients_of_the_warp() -> None:
    correspondence = identity(3, 4) + np.float32(0.3)
    assert gradcheck(lambda features: warp(features, correspondence), torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True))


# --- gather -------------------------------------------------------------------------------------------------------------


@given(seeds)
def test_gather_lists_features_in_row_order(seed: int) -> None:
    random = np.random.default_rng(seed)
    picture, mask = random.normal(size=(3, 4, 5)), random.random((4, 5)) < 0.5
    gathered = gather(torch.from_numpy(picture), mask)
    expected = [picture[:, y, x] for y in range(4) for x in range(5) if mask[y, x]]
    assert gathered.shape == (3, len(expected))
    assert np.array_equal(gathered.numpy().T, np.array(expected).reshape(-1, 3))


# --- warp ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
def test_the_identity_map_changes_nothing(mode: str) -> None:
    picture = torch.randn(3, 5, 7)
    assert torch.allclose(warp(picture, identity(5, 7), mode), picture, atol=1e-5)
    if mode == "nearest":
        assert torch.equal(warp(picture, identity(5, 7), mode), picture)


@given(st.integers(-8, 8), st.integers(-8, 8), seeds)
def test_whole_shifts_are_slices_with_repeated_borders(dx: int, dy: int, seed: int) -> None:
    picture = torch.from_numpy(np.random.default_rng(seed).normal(size=(2, 5, 7)))
    rows, columns = np.clip(np.arange(5) - dy, 0, 4), np.clip(np.arange(7) - dx, 0, 6)
    expected = picture.numpy()[:, rows][:, :, columns]
    correspondence = identity(5, 7) - np.array([dx, dy], np.float32)
    assert np.allclose(warp(picture, correspondence).numpy(), expected, atol=1e-5)
    assert np.array_equal(warp(picture, correspondence, "nearest").numpy(), expected)


def test_half_a_cell_averages_neighbours() -> None:
    picture = torch.randn(1, 4, 6)
    across = warp(picture, identity(4, 6) + np.array([0.5, 0], np.float32))
    assert torch.allclose(across[..., :-1], (picture[..., :-1] + picture[..., 1:]) / 2, atol=1e-5)
    down = warp(picture, identity(4, 6) + np.array([0, 0.5], np.float32))
    assert torch.allclose(down[:, :-1], (picture[:, :-1] + picture[:, 1:]) / 2, atol=1e-5)


@given(seeds)
def test_nearest_invents_no_values(seed: int) -> None:
    random = np.random.default_rng(seed)
    picture = torch.from_numpy(random.normal(size=(1, 4, 5)))
    correspondence = random.uniform(-2, 8, (6, 3, 2)).astype(np.float32)
    assert set(warp(picture, correspondence, "nearest").flatten().tolist()) <= set(picture.flatten().tolist())


def test_the_map_decides_the_size_of_the_result() -> None:
    picture = torch.arange(12.0).reshape(1, 3, 4)
    correspondence = np.array([[[3.5, 2.5], [0.5, 0.5]]], np.float32)  # (x, y): the last cell, then the first
    assert warp(picture, correspondence).tolist() == [[[pytest.approx(11, abs=1e-4), pytest.approx(0, abs=1e-4)]]]
