"""`dragonkit bench paper`: the claims of DragonDiffusion's figures 2, 3, 4 and 7 as numbers on toybox scenes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image

from dragonkit.bench.measures.measure import measure
from dragonkit.bench.outcomes import FIRST_SEED
from dragonkit.bench.reports.statistics import Interval, interval, paired
from dragonkit.bench.tasks.catalogue import TASKS, move_task
from dragonkit.diffusion.backbone import Prediction
from dragonkit.diffusion.guidance import PlannedTerm, on_grid
from dragonkit.diffusion.sampling import SamplingPlan, guided_sampling
from dragonkit.editing.editor import Editor
from dragonkit.edits.schedules import GuidanceSchedule
from dragonkit.edits.settings import Settings
from dragonkit.energy.similarity import inverse_energy, local_similarity
from dragonkit.imaging.images import psnr, to_image
from dragonkit.modes.drag import Drag
from dragonkit.modes.move import Move
from dragonkit.plugins.answers import EnergyTerm, Features
from dragonkit.toybox.scenes import Scene, scene

__all__ = ["FIGURES", "Claim", "Figure", "run_figure"]

ROUNDS = 5
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Claim:
    """A sentence of the paper, and what the difference that decides it was: it holds when the interval lies on the right side of 0."""

    text: str
    difference: Interval
    better: str
    """ "above" or "below": where the difference must lie."""

    @property
    def verdict(self) -> str:
        low, high = self.difference.low, self.difference.high
        if low <= 0 <= high:
            return "not decided"
        return "holds" if (low > 0) == (self.better == "above") else "does not hold"


@dataclass(frozen=True)
class Figure:
    """A figure as a table: by row and column a mean with its interval, and the claims it decides."""

    title: str
    values: Mapping[str, Mapping[str, Interval]]
    claims: Sequence[Claim]


Samples = dict[str, dict[str, list[float]]]  # by row and column, one value per scene


def run_figure(name: str, n: int, model: str = "toybox", progress: Progress | None = None) -> Figure:
    """One of `FIGURES` over `n` scenes."""
    editor = Editor.from_pretrained(model)
    samples: Samples = {}
    title, measured, claims = FIGURES[name]
    for number in range(n):
        for row, values in measured(editor, FIRST_SEED + number).items():
            for column, value in values.items():
                samples.setdefault(row, {}).setdefault(column, []).append(value)
        if progress is not None:
            progress(number + 1, n)
    table = {row: {column: interval(values) for column, values in columns.items()} for row, columns in samples.items()}
    return Figure(
        title, table, [Claim(text, paired(samples[a][column], samples[b][column]), better) for text, a, b, column, better in claims]
    )


Row = dict[str, dict[str, float]]


def _levels(editor: Editor, seed: int) -> Row:
    """Figure 2: from noise, guided by nothing but the preserve energy over the whole picture, from one layer or two."""
    picture, backbone = scene(seed, editor.backbone.model_size), editor.backbone
    settings = editor.settings()
    source = editor.invert(picture.image, "", settings, check=False)
    every = backbone.feature_layers

    @torch.no_grad()
    def seen(latents: torch.Tensor, level: int) -> Prediction:
        return backbone.predict(latents, source.schedule.time(level), source.condition, features=every, record=True)

    noise = torch.randn(source.latents_at(0).shape, generator=torch.Generator().manual_seed(seed % 2**31)).to(source.trajectory)
    guides = {level: seen(source.latents_at(level), level) for level in range(1, settings.steps + 1)}
    size = (2 * noise.shape[2], 2 * noise.shape[3])

    def resemble(features: Features) -> torch.Tensor:
        return inverse_energy(local_similarity(features.generated.flatten(1), features.source.flatten(1)))

    rows = {}
    for layers in [None, *((layer,) for layer in every), every[1:3]]:
        plan = SamplingPlan(
            noise,
            source.condition,
            source.negative_condition,
            terms=[PlannedTerm("preserve", EnergyTerm("preserve", resemble))] if layers else [],
            layers=layers or (),
            feature_size=size,
            guided=GuidanceSchedule().guided(settings.steps),
            energy_scale=0.05,
        )
        latents = guided_sampling(backbone, source.schedule, plan, lambda level, _: [guides[level]])
        result = to_image(backbone.decode(latents))
        made, asked = (seen(source.schedule.add_noise(clean, noise, 5), 5).features for clean in (latents, source.latents_at(0)))
        likeness = [
            float(local_similarity(on_grid(made[layer], size).flatten(1), on_grid(asked[layer], size).flatten(1))) for layer in every
        ]
        name = "no guidance" if layers is None else " + ".join(layers)
        rows[name] = {"PSNR": psnr(result, picture.image), "feature similarity": float(np.mean(likeness))}
    return rows


def _energies(editor: Editor, seed: int) -> Row:
    """Figure 3: a move with ever more of its energies; nothing is held, so that they decide."""
    task, rows = move_task(seed, editor.backbone.model_size), Row()
    source = editor.invert(task.scene.image, task.scene.caption, Settings.preset("paper"), check=False)
    off: dict[str, Any] = {"contrast_weight": 0.0, "inpaint_weight": 0.0}
    for name, weights in {"edit + preserve": off, "+ contrast": {"inpaint_weight": 0.0}, "+ contrast + inpaint": {}}.items():
        for keep in ("energy", "latents"):
            settings = Settings.preset("paper", keep=keep, guidance_scale=1.0, energy_scale=0.05)
            result = editor.edit(source, Move(**task.edits[0][1], **weights), settings)
            measures = measure(task, result.image)
            rows[f"{name} (keep {keep})"] = {"residual": measures.residual, "vacated PSNR": measures.psnr_vacated}
    return rows


def _attention(editor: Editor, seed: int) -> Row:
    """Figure 4: with and without the source's keys and values."""
    task, rows = move_task(seed, editor.backbone.model_size), Row()
    source = editor.invert(task.scene.image, task.scene.caption, Settings.preset("paper"), check=False)
    for name, attention in (("own keys", False), ("the source's keys", True)):
        settings = Settings.preset("paper", attention=attention, guidance_scale=1.0, energy_scale=0.05)
        measures = measure(task, editor.edit(source, Move(**task.edits[0][1]), settings).image)
        rows[name] = {"preserved PSNR": measures.psnr_elsewhere, "target PSNR": measures.psnr_target}
    return rows


def _continued(editor: Editor, seed: int) -> Row:
    """Figure 7: five drags, each of the last one's result; the object goes a fifth of the way in every round."""
    task = TASKS["drag-rigid"](seed, editor.backbone.model_size)
    fields, index, rows = task.edits[0][1], task.index, {}
    image, now = task.scene.image, task.scene
    for round_ in range(1, ROUNDS + 1):
        before, now = now, _along(task.scene, index, task.answer, round_)
        (bx, by), (x, y) = before.objects[index].center, now.objects[index].center
        points = [
            ((sx + bx - cx, sy + by - cy), (sx + x - cx, sy + y - cy))
            for (sx, sy), _ in fields["points"]
            for cx, cy in [task.scene.objects[index].center]
        ]
        image = editor.edit(image, Drag(points=tuple(points), mask=fields["mask"]), prompt=task.scene.caption).image
        rows[f"round {round_}"] = {
            "object PSNR": psnr(image, now.image, now.objects[index].mask),
            "elsewhere PSNR": min(psnr(image, now.image, ~fields["mask"]), 99.0),
            "sharpness": _sharpness(image, now.objects[index].mask) / _sharpness(now.image, now.objects[index].mask),
        }
    return rows


def _along(start: Scene, index: int, end: Scene, round_: int) -> Scene:
    (x0, y0), (x1, y1) = start.objects[index].center, end.objects[index].center
    return start.moved(index, ((x1 - x0) * round_ / ROUNDS, (y1 - y0) * round_ / ROUNDS))


def _sharpness(image: Image.Image, mask: np.ndarray) -> float:
    """Mean size of the differences to the pixels to the right and below, within the mask."""
    pixels = np.asarray(image, dtype=float)
    return float(
        np.abs(np.diff(pixels, axis=0))[:, :-1][mask[:-1, :-1]].mean() + np.abs(np.diff(pixels, axis=1))[:-1][mask[:-1, :-1]].mean()
    )


FIGURES: Mapping[str, tuple[str, Callable[[Editor, int], Row], Sequence[tuple[str, str, str, str, str]]]] = {
    "2": (
        "Figure 2: what each layer's features carry (from noise, preserve energy only)",
        _levels,
        [
            ("up.1 and up.2 together beat up.0 alone", "up.1 + up.2", "up.0", "PSNR", "above"),
            ("up.1 and up.2 together beat up.1 alone", "up.1 + up.2", "up.1", "PSNR", "above"),
            ("up.1 and up.2 together beat up.2 alone", "up.1 + up.2", "up.2", "PSNR", "above"),
            ("up.1 and up.2 together beat up.3 alone", "up.1 + up.2", "up.3", "PSNR", "above"),
        ],
    ),
    "3": (
        "Figure 3: what contrast and inpaint do to the place that the object left (1: it is still there)",
        _energies,
        [
            ("contrast removes the second object", "+ contrast (keep energy)", "edit + preserve (keep energy)", "residual", "below"),
            ("inpaint fills the hole better", "+ contrast + inpaint (keep energy)", "+ contrast (keep energy)", "vacated PSNR", "above"),
            (
                "contrast removes it where latents are kept",
                "+ contrast (keep latents)",
                "edit + preserve (keep latents)",
                "residual",
                "below",
            ),
        ],
    ),
    "4": (
        "Figure 4: what the source's keys and values do",
        _attention,
        [
            ("they keep the rest like the source", "the source's keys", "own keys", "preserved PSNR", "above"),
            ("they keep the object like the source's", "the source's keys", "own keys", "target PSNR", "above"),
        ],
    ),
    "7": (
        f"Figure 7: {ROUNDS} drags one after the other (sharpness: of the object, relative to the known answer)",
        _continued,
        [],
    ),
}
"""By number: title, what is measured on the scene of a seed, and the claims: (text, row, row it is compared with, column, side of 0)."""
