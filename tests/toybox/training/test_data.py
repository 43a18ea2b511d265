"""Training scenes: the same for the same seed, renewed bit by bit; latents stay with their captions."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch

from dragonkit.toybox.training.autoencoder import encode_mean
from dragonkit.toybox.training.data import CHUNK, HELD_OUT, Captioned, Scenes, as_input, draw
from dragonkit.toybox.training.text import token_ids

CPU = torch.device("cpu")


def test_drawing_is_repeatable_and_grows_at_the_end() -> None:
    chunk = CHUNK["cpu"]
    images, texts = draw(chunk + 3, 5, 16)
    assert images.shape == (chunk + 3, 3, 16, 16) and images.dtype == torch.uint8
    assert len(texts) == chunk + 3 and all(texts)
    fewer, fewer_texts = draw(chunk, 5, 16)
    assert torch.equal(images[:chunk], fewer) and texts[:chunk] == fewer_texts
    assert not torch.equal(draw(1, 6, 16)[0], images[:1])


def seeds_seen(images: torch.Tensor, known: dict[bytes, int]) -> set[int]:
    return {known[image.tobytes()] for image in images.numpy()}


def test_pictures_come_from_a_pool_as_they_are_or_mirrored() -> None:
    drawn = as_input(draw(6, 9, 16)[0])
    plain = {image.tobytes(): number for number, image in enumerate(drawn.numpy())}
    mirrored = {image.tobytes(): number for number, image in enumerate(drawn.flip(3).contiguous().numpy())}
    images = Scenes(16, 6, 9, CPU).batch(60)
    assert images.shape == (60, 3, 16, 16) and images.dtype == torch.float32
    assert images.min() >= -1 and images.max() <= 1
    assert seeds_seen(images, plain | mirrored) == set(range(6))
    share = sum(image.tobytes() in mirrored for image in images.numpy()) / 60
    assert 0.25 < share < 0.75


def test_a_pool_is_renewed_once_it_was_seen_twice() -> None:
    scenes = Scenes(16, 20, 0, CPU)
    for _ in range(2):
        scenes.batch(20)
    assert torch.equal(scenes.images, draw(20, 0, 16)[0])
    scenes.batch(20)
    assert torch.equal(scenes.images, torch.cat([draw(2, 20, 16)[0], draw(20, 0, 16)[0][2:]]))
    for _ in range(20):  # ten times more: the oldest always go first
        scenes.batch(20)
    assert scenes.next_seed == 20 + 11 * 2
    assert torch.equal(scenes.images[2:4], draw(2, 22, 16)[0]) and torch.equal(scenes.images[:2], draw(2, 40, 16)[0])


@pytest.fixture
def captioned(tiny_pipeline: Any) -> Captioned:
    return Captioned(32, 10, 3, 7, partial(token_ids, tiny_pipeline.tokenizer), CPU)


def test_latents_stay_with_their_captions(captioned: Captioned, tiny_pipeline: Any) -> None:
    captioned.draw_while(lambda: True)
    parts = [draw(3, seed, 32) for seed in (7, 10, 13)]  # a fourth has no room
    ids = token_ids(tiny_pipeline.tokenizer, [text for _, texts in parts for text in texts])
    latents = torch.cat([encode_mean(tiny_pipeline.vae, as_input(images)) for images, _ in parts])
    assert torch.equal(captioned.ids, ids)

    seen = set[int]()
    for part in range(1, 5):
        found, found_ids = captioned.batch(40, partial(encode_mean, tiny_pipeline.vae))
        rows = [int((latents - one).abs().amax((1, 2, 3)).argmin()) for one in found]
        assert torch.allclose(latents[rows], found, atol=1e-5) and torch.equal(ids[rows], found_ids)
        seen |= set(rows)
        assert seen == set(range(min(3 * part, 9)))  # one more part with every batch
    assert not captioned.images


def test_drawing_ends_with_its_time_but_draws_one_part_anyway(captioned: Captioned) -> None:
    time = iter([True, False])
    captioned.draw_while(lambda: next(time))
    assert len(captioned.ids) == 6 and len(captioned.images) == 2
    captioned.images.clear()
    captioned.draw_while(lambda: False)
    assert len(captioned.ids) == 3


def test_held_out_scenes_are_out_of_reach() -> None:
    assert HELD_OUT > 10**12  # no training run draws that many


def test_where_compiling_took_all_the_time_a_quarter_is_drawn_anyway(tiny_pipeline: Any) -> None:
    scenes = Captioned(16, 42, 2, 7, partial(token_ids, tiny_pipeline.tokenizer), CPU)
    scenes.draw_while(lambda: False)
    assert len(scenes.ids) == 12
