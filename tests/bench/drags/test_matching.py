"""Points are found where DragBench's algorithm, written out, finds them; on toybox scenes that is where the things are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from helpers.drag_folders import picture
from PIL import Image
from torch.nn.functional import cosine_similarity, interpolate

from dragonkit import Editor
from dragonkit.bench.drags.matching import Matcher
from dragonkit.bench.outcomes import FIRST_SEED
from dragonkit.bench.tasks.catalogue import TASKS
from dragonkit.diffusion.stable_diffusion import StableDiffusion
from dragonkit.errors import ShapeError


@pytest.fixture(scope="module")
def toybox_matcher() -> Matcher:
    return Matcher(Editor.from_pretrained().backbone)


def written_out(
    pipeline: Any, layer: int, before: Image.Image, after: Image.Image, places: list[list[int]], prompt: str
) -> list[list[int]]:
    """Features of the whole picture at every pixel, and the pixel of the highest cosine: as run_eval_point_matching.py goes about it."""
    kept: list[torch.Tensor] = []
    hook = pipeline.unet.up_blocks[layer].register_forward_hook(lambda _module, _inputs, out: kept.append(out))
    generator, features = torch.Generator().manual_seed(42), []
    ids = pipeline.tokenizer(prompt, padding="max_length", max_length=16, return_tensors="pt").input_ids
    with torch.no_grad():
        embeds = pipeline.text_encoder(ids).last_hidden_state.repeat(8, 1, 1)
        for one in (before, after):
            pixels = torch.from_numpy(np.asarray(one, dtype=np.float32) / 127.5 - 1).permute(2, 0, 1)[None]
            latents = pipeline.vae.encode(pixels).latent_dist.mean * pipeline.vae.config.scaling_factor
            noise = torch.randn(8, *latents.shape[1:], generator=generator)
            t = torch.tensor(261)
            pipeline.unet(pipeline.scheduler.add_noise(latents.repeat(8, 1, 1, 1), noise, t), t, encoder_hidden_states=embeds)
            features.append(interpolate(kept.pop().mean(0, keepdim=True), one.size[::-1], mode="bilinear"))
    hook.remove()
    found = []
    for x, y in places:
        likeness = cosine_similarity(features[0][:, :, y, x][..., None, None], features[1], dim=1)[0]
        row, column = np.unravel_index(int(likeness.argmax()), likeness.shape)
        found.append([int(column), int(row)])
    return found


@pytest.mark.parametrize("size", [(64, 32), (32, 96)])
def test_the_definition(tiny_pipeline: Any, size: tuple[int, int]) -> None:
    before, after = (picture(seed).resize(size) for seed in (1, 2))
    places = [[3, 5], [31, 30], [0, 0], [size[0] - 1, size[1] - 1], [17, 8]]
    matcher = Matcher(StableDiffusion(tiny_pipeline))
    found = matcher.find(before, after, [(x + 0.5, y + 0.5) for x, y in places], "a fish")
    expected = written_out(tiny_pipeline, int(matcher.layer[-1]), before, after, places, "a fish")
    assert (np.ptp(expected, axis=0) > 4).any(), "the pictures are too alike for this test"
    assert (found - 0.5).tolist() == expected


def test_the_same_pictures_give_the_same_places(tiny_pipeline: Any) -> None:
    matcher, points = Matcher(StableDiffusion(tiny_pipeline)), [(3.0, 5.0), (47.9, 31.9)]
    state = torch.get_rng_state()
    first, second = (matcher.find(picture(1), picture(2), points) for _ in range(2))
    assert np.array_equal(first, second) and torch.equal(torch.get_rng_state(), state)


def test_pictures_of_two_sizes(tiny_pipeline: Any) -> None:
    with pytest.raises(ShapeError, match="the second picture"):
        Matcher(StableDiffusion(tiny_pipeline)).find(picture(), picture().resize((32, 32)), [(1, 1)])


def test_the_block_follows_the_model(tiny_pipeline: Any, toybox_matcher: Matcher) -> None:
    """Block 1, as DragBench's, where its features have at least 32 cells a side, and else the first that has, or the last."""
    backbone = toybox_matcher.backbone
    assert toybox_matcher.layer == "up.2" and "layer up.2" in toybox_matcher.protocol
    assert Matcher(StableDiffusion(tiny_pipeline)).layer == "up.3"
    with torch.no_grad():
        for matcher in (toybox_matcher, Matcher(StableDiffusion(tiny_pipeline))):
            backbone = matcher.backbone
            cells = backbone.model_size // backbone.pixels_per_latent
            latents = torch.zeros(1, backbone.latent_channels, cells, cells, dtype=backbone.dtype)
            shown = backbone.predict(latents, 261.0, backbone.condition([""], (32, 32)), features=backbone.feature_layers).features
            large = [layer for layer in backbone.feature_layers[1:] if shown[layer].shape[-1] >= 32]
            assert matcher.layer == (large[0] if large else "up.3")


@pytest.mark.slow
def test_a_moved_thing_is_found_and_one_that_stayed_is_not_far(toybox_matcher: Matcher) -> None:
    """Six scenes: in the answer 2.2 px from the goals in the mean, in the source 12.4 px; the drags are 12.5 px long."""
    moved, stayed, same, lengths = [], [], [], []
    for number in range(6):
        task = TASKS["drag-rigid"](FIRST_SEED + number, 128)
        starts, ends = np.array(task.edits[0][1]["points"]).transpose(1, 0, 2)
        places = [(float(x), float(y)) for x, y in starts]
        in_answer, in_source = (
            toybox_matcher.find(task.scene.image, one.image, places, task.scene.caption) for one in (task.answer, task.scene)
        )
        moved.append(np.hypot(*(in_answer - ends).T).mean())
        stayed.append(np.hypot(*(in_source - ends).T).mean())
        same.append(np.hypot(*(in_source - starts).T).max())
        lengths.append(np.hypot(*(ends - starts).T).mean())
    assert max(same) < 1.5
    assert np.abs(np.subtract(stayed, lengths)).max() < 1.5
    assert np.mean(moved) < np.mean(lengths) / 3 and np.max(moved) < np.mean(lengths) / 2
