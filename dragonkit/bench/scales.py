"""`dragonkit bench scale`: does one `energy_scale` serve every model, though their gradients differ by orders of magnitude?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median

import torch

from dragonkit.bench.measures.measure import measure
from dragonkit.bench.outcomes import FIRST_SEED
from dragonkit.bench.reports.statistics import Interval, interval
from dragonkit.bench.tasks.catalogue import move_task
from dragonkit.diffusion.guidance import energy_gradient
from dragonkit.diffusion.source import Source
from dragonkit.editing.editor import Editor
from dragonkit.editing.layout import Layout
from dragonkit.editing.planning import plan_edits
from dragonkit.edits.settings import Settings
from dragonkit.modes.move import Move

__all__ = ["SCALES", "ModelScale", "shared_scale", "try_scales"]

SCALES = (0.0, 0.003, 0.01, 0.02, 0.03, 0.05, 0.1, 0.3)
LEVELS = (1.0, 0.8, 0.6)
"""Where raw gradients are looked at, as fractions of the noise levels."""


@dataclass(frozen=True)
class ModelScale:
    """What a model's gradients are like, and what becomes of moves by energy scale.

    Attributes:
        raw: RMS of the energies' gradient before it is scaled, relative to the noise prediction's; the median over scenes and levels.
        factor: what a raw gradient would have to be multiplied by to be as large as `energy_scale=1` makes it.
        psnr: dB where the answer differs from the source, by energy scale.
        residual: how much of the object is still where it was, by energy scale.
    """

    raw: float
    factor: float
    psnr: Mapping[float, Interval]
    residual: Mapping[float, Interval]

    @property
    def best(self) -> float:
        """The energy scale with the highest PSNR."""
        return max(self.psnr, key=lambda scale: self.psnr[scale].mean)


def try_scales(model: str, n: int, progress: Callable[[int, int], None] | None = None) -> ModelScale:
    """Moves at every scale of `SCALES` by the preset "paper" without classifier-free guidance: as nothing is held, the energies decide."""
    editor = Editor.from_pretrained(model)
    found: dict[float, list[tuple[float, float]]] = {scale: [] for scale in SCALES}
    gradients = list[tuple[float, float]]()
    for number in range(n):
        task = move_task(FIRST_SEED + number, editor.backbone.model_size)
        settings = Settings.preset("paper", guidance_scale=1.0)
        source = editor.invert(task.scene.image, task.scene.caption, settings, check=False)
        edit = Move(**task.edits[0][1])
        gradients += _raw(editor, source, edit)
        for scale in SCALES:
            result = editor.edit(source, edit, Settings.preset("paper", guidance_scale=1.0, energy_scale=scale))
            measures = measure(task, result.image)
            found[scale].append((measures.psnr_changed, measures.residual))
        if progress is not None:
            progress(number + 1, n)
    psnr, residual = ({scale: interval([pair[which] for pair in pairs]) for scale, pairs in found.items()} for which in (0, 1))
    return ModelScale(median(raw for raw, _ in gradients), median(factor for _, factor in gradients), psnr, residual)


def shared_scale(models: Sequence[ModelScale]) -> tuple[float, list[float]]:
    """The one energy scale at which the models together lose least against their own best, and what each loses there, in dB."""
    losses = {scale: [one.psnr[one.best].mean - one.psnr[scale].mean for one in models] for scale in SCALES}
    shared = min(losses, key=lambda scale: fmean(losses[scale]))
    return shared, losses[shared]


def _raw(editor: Editor, source: Source, edit: Move) -> Iterator[tuple[float, float]]:
    """At each of `LEVELS` of the source: gradient by noise prediction, and latents by gradient, as ratios of RMS."""
    backbone, settings = editor.backbone, editor.settings(Settings.preset("paper"))
    plan = plan_edits(editor.registry, backbone, source, Layout(editor.registry, edit, source.image_size), settings).sampling
    for fraction in LEVELS:
        level = max(1, round(fraction * len(source.schedule)))
        latents = source.latents_at(level).clone().requires_grad_()
        time = source.schedule.time(level)
        with torch.enable_grad():
            predicted = backbone.predict(latents, time, source.condition, features=settings.layers)
        with torch.no_grad():
            seen = backbone.predict(source.latents_at(level), time, source.condition, features=settings.layers)
        gradient = energy_gradient(plan.terms, predicted.features, seen.features, latents, plan.feature_size, 0).gradient
        sizes = [float(one.detach().float().square().mean().sqrt()) for one in (gradient, predicted.noise_pred, latents)]
        yield sizes[0] / sizes[1], sizes[2] / sizes[0]
