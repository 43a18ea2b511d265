"""Training scenes: the same for the same seed, new ones for ever or drawn from a pool."""

from __future__ import annotations

import torch

from dragonkit.toybox.training.data import CHUNK, HELD_OUT, Scenes, draw

CPU = torch.device("cpu")


def test_drawing_is_repeatable_and_grows_at_the_end() -> None:
    images, texts = draw(CHUNK + 3, 5, 16)
    assert images.shape == (CHUNK + 3, 3, 16, 16) and images.dtype == torch.uint8
    assert len(texts) == CHUNK + 3 and all(texts)
    fewer, fewer_texts = draw(CHUNK, 5, 16)
    assert torch.equal(images[:CHUNK], fewer) and texts[:CHUNK] == fewer_texts
    assert not torch.equal(draw(1, 6, 16)[0], images[:1])


def test_fresh_scenes_never_repeat() -> None:
    scenes = Scenes(16, 0, 0, CPU)
    (first, texts), (second, _) = scenes.batch(4), scenes.batch(4)
    assert first.shape == (4, 3, 16, 16) and first.dtype == torch.float32
    assert first.min() >= -1 and first.max() <= 1 and len(texts) == 4
    assert not torch.equal(first, second)
    expected = draw(4, 4, 16)[0].float() / 127.5 - 1
    assert torch.equal(second, expected)


def test_a_pool_repeats_its_scenes_with_their_captions() -> None:
    scenes = Scenes(16, 6, 0, CPU)
    images, texts = scenes.batch(40)
    drawn, captions = draw(6, 0, 16)
    pool = [image.tobytes() for image in (drawn.float() / 127.5 - 1).numpy()]
    rows = [pool.index(image.tobytes()) for image in images.numpy()]
    assert len(set(rows)) == 6
    assert texts == [captions[row] for row in rows]


def test_two_streams_of_one_seed_agree() -> None:
    assert torch.equal(Scenes(16, 6, 3, CPU).batch(5)[0], Scenes(16, 6, 3, CPU).batch(5)[0])


def test_held_out_scenes_are_out_of_reach() -> None:
    assert HELD_OUT > 10**12  # no training run draws that many
