"""`dragonkit bench model`: what a toybox model is worth by itself, before anything is edited with it, on scenes it was never trained on."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from dragonkit.bench.drags.matching import Matcher
from dragonkit.bench.measures.recognition import plain_scenes, train_recognizer
from dragonkit.bench.outcomes import FIRST_SEED
from dragonkit.bench.reports.statistics import Interval, interval
from dragonkit.diffusion.backbone import Backbone
from dragonkit.diffusion.inversion import ddim, extrapolated, sample
from dragonkit.editing.editor import Editor
from dragonkit.imaging.images import psnr, to_image, to_tensor
from dragonkit.plugins.inversion import InversionOptions
from dragonkit.toybox.drawing.rendering import render
from dragonkit.toybox.scenes import Scene, scene
from dragonkit.toybox.sentences import captions

__all__ = ["STEPS", "ModelFigures", "Recognized", "judge_model", "match_keypoints", "reconstructions", "samples_of", "turned_up_elsewhere"]

STEPS = 50
TIMES = 8
"""So many scenes for every one that is inverted, where a scene costs little."""
_BATCH = 16
_BACKGROUND = ("background", "background_color", "background_paint", "knobs")

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Recognized:
    """Shares of pictures in which the caption's category, its colour, and both are recognized, in [0, 1]."""

    category: Interval
    color: Interval
    both: Interval


@dataclass(frozen=True)
class ModelFigures:
    """What `judge_model` found.

    Attributes:
        psnr: dB to the scene's picture by way: the autoencoder alone, and `STEPS` steps of DDIM inversion and sampling without guidance or
            any injection, by inversion.
        recognized: by what was looked at: the samples, and the true pictures of the same captions after the autoencoder.
        spread: how different the samples are from one another: per pixel and channel the deviation over the samples, on average, as a share
            of that over the true pictures of the same captions.
        matching: by layer, how many pixels from its place in another picture a keypoint is found, on average over a scene's keypoints;
            "middle" is the answer that needs no features: the middle of the object.
        samples: pictures (n, 3, h, w) in [-1, 1].
    """

    psnr: Mapping[str, Interval]
    recognized: Mapping[str, Recognized]
    spread: float
    matching: Mapping[str, Interval]
    samples: Tensor


def judge_model(model: str, n: int, samples: int, guidance_scale: float, progress: Callable[[str], Progress]) -> ModelFigures:
    """Judge a model of toybox scenes.

    Args:
        model: as for `Editor.from_pretrained`.
        n: scenes that are inverted, and objects whose keypoints are looked for; eight times as many go through the autoencoder.
        samples: how many pictures are made from captions of one plain object, `STEPS` steps each.
        guidance_scale: of the samples.
        progress: called with what is done next, gives the function that is told how far it is.
    """
    editor = Editor.from_pretrained(model)
    backbone, size = editor.backbone, editor.backbone.model_size
    recognizer = train_recognizer(progress=progress("recognizer"))
    scenes = plain_scenes(samples, FIRST_SEED)
    truth = render(scenes, size) * 2 - 1
    made = samples_of(backbone, captions(scenes), guidance_scale, progress("samples"))
    seen = torch.cat([backbone.decode(backbone.encode(part)).cpu() for part in truth.split(_BATCH)])
    return ModelFigures(
        reconstructions(editor, n, progress("inversion")),
        {
            "samples": _recognized(recognizer.right(made, scenes)),
            "true pictures after the autoencoder": _recognized(recognizer.right(seen, scenes)),
        },
        float(made.std(dim=0).mean() / truth.std(dim=0).mean()),
        match_keypoints(backbone, n, progress("matching")),
        made,
    )


def reconstructions(editor: Editor, n: int, progress: Progress) -> dict[str, Interval]:
    """PSNR in dB of pictures that went through the autoencoder, and of those that went to noise and back."""
    backbone = editor.backbone
    found: dict[str, list[float]] = {"autoencoder": []}
    ways = {
        "inversion and back": (extrapolated, editor.settings().inversion_iterations),
        "inversion and back, plain DDIM": (ddim, 1),
    }
    size = (backbone.model_size, backbone.model_size)
    schedule = backbone.schedule(STEPS, size)
    for number in range(TIMES * n):
        picture = scene(FIRST_SEED + number, backbone.model_size)
        clean = backbone.encode(to_tensor(picture.image))
        results = {"autoencoder": clean}
        if number < n:
            condition = backbone.condition([picture.caption], size)
            for way, (invert, iterations) in ways.items():
                noise = invert(backbone, clean, condition, schedule, InversionOptions(iterations=iterations))[-1:]
                results[way] = sample(backbone, noise, condition, condition, schedule)[:1]
            progress(number + 1, n)
        for way, latents in results.items():
            found.setdefault(way, []).append(psnr(to_image(backbone.decode(latents)), picture.image))
    return {way: interval(values) for way, values in found.items()}


def samples_of(backbone: Backbone, prompts: list[str], guidance_scale: float, progress: Progress) -> Tensor:
    """One picture of each prompt, (n, 3, h, w) in [-1, 1] on the CPU; the same ones each time."""
    generator, made = torch.Generator().manual_seed(FIRST_SEED % 2**31), list[Tensor]()
    size, cells = (backbone.model_size, backbone.model_size), backbone.model_size // backbone.pixels_per_latent
    for start in range(0, len(prompts), _BATCH):
        part = prompts[start : start + _BATCH]
        noise = torch.randn(len(part), backbone.latent_channels, cells, cells, generator=generator).to(backbone.device, backbone.dtype)
        condition, empty = (backbone.condition(words, size) for words in (part, [""] * len(part)))
        latents = sample(backbone, noise, condition, empty, backbone.schedule(STEPS, size), guidance_scale)[: len(part)]
        made.append(backbone.decode(latents).cpu())
        progress(start + len(part), len(prompts))
    return torch.cat(made)


def match_keypoints(backbone: Backbone, n: int, progress: Progress) -> dict[str, Interval]:
    """How far off each layer's features find the keypoints of `n` objects again, in pixels; the mean over an object is one value."""
    matchers = {layer: Matcher(backbone, layer) for layer in backbone.feature_layers}
    found: dict[str, list[float]] = {name: [] for name in [*matchers, "middle"]}
    for number, (before, after) in enumerate(turned_up_elsewhere(backbone.model_size, n)):
        pairs = [(before.objects[0].keypoints[name], place) for name, place in after.objects[0].keypoints.items()]
        pairs = [pair for pair in pairs if all(0 <= value < before.size for place in pair for value in place)]
        if pairs:
            known, wanted = (np.array(places) for places in zip(*pairs, strict=True))
            for name, matcher in matchers.items():
                places = matcher.find(before.image, after.image, [(x, y) for x, y in known], before.caption)
                found[name].append(_distance(places, wanted))
            found["middle"].append(_distance(np.array([after.objects[0].center]), wanted))
        progress(number + 1, n)
    return {name: interval(values) for name, values in found.items()}


def turned_up_elsewhere(size: int, n: int) -> Iterator[tuple[Scene, Scene]]:
    """`n` pairs of pictures of one object.

    In the second it is elsewhere, turned by up to 25 degrees, 0.8 to 1.25 times as large, and before another background.
    """
    for number in range(n):
        rng = np.random.default_rng([number, FIRST_SEED])
        before, other = scene(FIRST_SEED + number, size, objects=1), scene(FIRST_SEED + n + number, size, objects=1)
        ground = {name: getattr(other.batch, name) for name in _BACKGROUND}
        after = replace(before, batch=replace(before.batch, **ground)).resized(0, math.exp(rng.uniform(-1, 1) * math.log(1.25)))
        after = after.rotated(0, rng.uniform(-25, 25))
        here, radius = np.array(after.objects[0].center), min(after.objects[0].params["half_size"], size / 2)
        dx, dy = rng.uniform(radius, size - radius, 2) - here
        yield before, after.moved(0, (dx, dy))


def _recognized(right: tuple[Tensor, Tensor]) -> Recognized:
    category, color = right
    return Recognized(*(interval(which.numpy().astype(float)) for which in (category, color, category & color)))


def _distance(places: np.ndarray, wanted: np.ndarray) -> float:
    return float(np.linalg.norm(places - wanted, axis=1).mean())
