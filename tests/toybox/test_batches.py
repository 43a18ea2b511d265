"""Batches of scenes: sampling, rendering, captions."""

import itertools
from dataclasses import fields, replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dragonkit import toybox
from dragonkit.errors import EditError
from dragonkit.toybox.drawing.backgrounds import KIND_NAMES
from dragonkit.toybox.drawing.colors import BACKGROUND_COLOR_NAMES
from dragonkit.toybox.drawing.objects import BY_NUMBER, REACH

seeds = st.integers(0, 2**40)


def test_the_same_seed_gives_the_same_batch():
    a, b = toybox.sample(20, 3), toybox.sample(20, 3)
    assert all(torch.equal(getattr(a, f.name), getattr(b, f.name)) for f in fields(a))
    assert torch.equal(toybox.render(a, 32), toybox.render(b, 32))
    assert not torch.equal(a.place, toybox.sample(20, 4).place)


@given(seed=seeds, size=st.sampled_from([8, 40, 64]))
@settings(max_examples=8, deadline=None)
def test_pictures_are_pictures(seed, size):
    batch = toybox.sample(4, seed)
    images, coverage = toybox.render_with_masks(batch, size)
    assert images.shape == (4, 3, size, size) and images.dtype == torch.float32
    assert coverage.shape == (4, batch.most, size, size) and coverage.dtype == torch.float32
    assert torch.isfinite(images).all() and images.min() >= 0 and images.max() <= 1
    assert coverage.min() >= 0 and coverage.sum(1).max() <= 1 + 1e-5
    assert torch.equal(images, toybox.render(batch, size))
    for row, number in enumerate(batch.objects.tolist()):
        assert not coverage[row, number:].any()


def test_a_row_of_a_batch_is_a_scene():
    batch = toybox.sample(12, 8)
    images, coverage = toybox.render_with_masks(batch, 64)
    for row in range(12):
        scene = toybox.Scene(batch.rows(row), 64)
        assert torch.allclose(images[row], toybox.render(batch.rows(row), 64)[0], atol=1e-5)
        assert scene.caption == toybox.captions(batch)[row]
        for k, thing in enumerate(scene.objects):
            assert torch.allclose(coverage[row, k], torch.from_numpy(thing.coverage.copy()), atol=1e-4)
    single = toybox.scene(5, 64)
    assert torch.equal(single.batch.shape, toybox.sample(1, 5).shape)


def test_extreme_shapes_are_drawn_whole():
    corners = torch.tensor(list(itertools.product((0.0, 1.0), repeat=4)), dtype=torch.float64)
    for number in range(len(toybox.CATEGORIES)):
        batch = toybox.sample(16, number, objects=1)
        shape = batch.shape.clone()
        shape[:, 0] = corners
        category = torch.full_like(batch.category, number)
        images, coverage = toybox.render_with_masks(replace(batch, shape=shape, category=category), 40)
        assert torch.isfinite(images).all()
        assert (coverage[:, 0] > 0.5).sum((1, 2)).min() > 30


@pytest.mark.parametrize("number", range(len(toybox.CATEGORIES)), ids=toybox.CATEGORIES)
def test_objects_stay_inside_their_window(number):
    axis = torch.linspace(-2, 2, 161)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    shapes = torch.tensor([*itertools.product((0.0, 1.0), repeat=4), (0.5,) * 4]).view(-1, 4, 1, 1)
    drawing = BY_NUMBER[number].draw(x, y, *shapes.unbind(1))
    covered = torch.stack([layer.distance.expand(17, 161, 161).amin(0) for layer in drawing.layers]).amin(0) < 0
    assert torch.hypot(x, y)[covered].max() <= REACH + 0.01


@pytest.mark.parametrize("number", range(len(toybox.CATEGORIES)), ids=toybox.CATEGORIES)
def test_edges_are_about_a_pixel_wide(number):
    axis = torch.linspace(-1.2, 1.2, 481)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    for layer in BY_NUMBER[number].draw(x[None], y[None], *torch.full((4, 1, 1, 1), 0.5)).layers:
        d = layer.distance[0]
        slope = torch.hypot(d[1:-1, 2:] - d[1:-1, :-2], d[2:, 1:-1] - d[:-2, 1:-1]) / (2 * 2.4 / 480)
        near = slope[d[1:-1, 1:-1].abs() < 0.01]
        assert 0.75 < near.median() < 1.3
        assert near.quantile(0.99) < 1.6


def test_objects_are_inside_the_picture_and_visible():
    batch = toybox.sample(150, 1)
    assert ((batch.place.abs() + batch.scale[..., None])[torch.arange(3)[None] < batch.objects[:, None]] <= 1.03).all()
    _, coverage = toybox.render_with_masks(batch, 64)
    visible = (coverage > 0.5).sum((2, 3))
    used = torch.arange(3)[None] < batch.objects[:, None]
    assert (visible[used] > 25).float().mean() > 0.98


def test_every_name_turns_up():
    batch = toybox.sample(2000, 0)
    assert set(" ".join(toybox.captions(batch)).split()) == set(toybox.vocabulary())
    assert {*toybox.CATEGORIES, *toybox.COLORS, *KIND_NAMES, *BACKGROUND_COLOR_NAMES} <= set(toybox.vocabulary())
    assert toybox.vocabulary() == sorted(toybox.vocabulary())
    assert len(toybox.CATEGORIES) >= 14 and toybox.PATTERNS[0] == "plain"


@given(seed=seeds)
@settings(max_examples=20, deadline=None)
def test_captions_read_as_sentences(seed):
    batch = toybox.sample(4, seed)
    for number, caption in zip(batch.objects.tolist(), toybox.captions(batch), strict=True):
        assert caption.startswith(("a ", "an ")) and caption.endswith(" background") and "  " not in caption
        assert caption.count(" and ") == number - 1
        words = caption.split()
        assert all((word == "an") == (after[0] in "aeiou") for word, after in itertools.pairwise(words) if word in ("a", "an"))


@pytest.mark.parametrize("arguments", [(0, 1), (-3, 1), (2, -1), (2, 2**63), (2, 1, 0), (2, 1, 4)])
def test_bad_samples_are_refused(arguments):
    with pytest.raises(EditError):
        toybox.sample(*arguments)


def test_bad_sizes_are_refused():
    with pytest.raises(EditError, match="size=2"):
        toybox.render(toybox.sample(1, 1), 2)


def test_everything_is_drawn_on_the_device_asked_for():
    # The meta device computes nothing, but refuses to mix with tensors that were left on the CPU.
    images, coverage = toybox.render_with_masks(toybox.sample(40, 1), 32, "meta")
    assert images.is_meta and coverage.is_meta and coverage.shape == (40, 3, 32, 32)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_a_gpu_draws_the_same_picture():
    batch = toybox.sample(32, 2)
    here, there = toybox.render(batch, 96), toybox.render(batch, 96, "cuda")
    assert there.is_cuda and (here - there.cpu()).abs().mean() < 1e-4
    assert ((here - there.cpu()).abs() > 4 / 255).float().mean() < 1e-3
