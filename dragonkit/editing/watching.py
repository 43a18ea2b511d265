"""A run as it is watched: every step noted, told to the plugins and to the caller, and what became of it as a report."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from dragonkit.diffusion.backbone import Backbone
from dragonkit.diffusion.inversion import Progress
from dragonkit.diffusion.sampling import Step
from dragonkit.diffusion.source import Source
from dragonkit.editing.layout import Layout
from dragonkit.editing.places import places_of
from dragonkit.editing.results import Report, StepReport
from dragonkit.edits.settings import Settings
from dragonkit.plugins.registry import PluginRegistry

__all__ = ["Watch"]


class Watch:
    """Called after every step; counts time and network evaluations from when it is made."""

    def __init__(
        self, backbone: Backbone, registry: PluginRegistry, on_step: Callable[[Step], None] | None, progress: Progress | None = None
    ) -> None:
        self._backbone, self._registry, self._on_step, self._progress = backbone, registry, on_step, progress
        self._begun, self._calls = time.perf_counter(), backbone.calls
        self._steps: list[StepReport] = []

    @contextmanager
    def apart(self) -> Iterator[None]:
        """What is done within this block is no part of the edit's cost."""
        begun, calls = time.perf_counter(), self._backbone.calls
        yield
        self._begun += time.perf_counter() - begun
        self._calls += self._backbone.calls - calls

    def __call__(self, step: Step) -> None:
        self._steps.append(StepReport(index=step.index, time=step.time, energies=step.energies))
        self._registry.step(step)
        if self._on_step is not None:
            self._on_step(step)
        if self._progress is not None:
            self._progress(step.done, step.total)

    def report(self, model: str, layout: Layout, source: Source, settings: Settings, warnings: Sequence[str]) -> Report:
        return Report(
            model=model,
            modes=tuple(edit.mode for edit in layout.edits),
            prompt=source.prompt,
            image_size=source.image_size,
            working_size=source.size,
            steps=tuple(self._steps),
            reconstruction_psnr=source.reconstruction_psnr if source.checked_under == settings.guidance_scale else None,
            autoencoder_psnr=source.autoencoder_psnr,
            network_evaluations=self._backbone.calls - self._calls,
            seconds=time.perf_counter() - self._begun,
            warnings=tuple(warnings),
            places=places_of(layout),
            attention=getattr(self._backbone, "attention_kernel", None),
        )
