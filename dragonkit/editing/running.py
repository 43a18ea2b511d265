"""One edit of one picture under way: its source opened and all of it planned, then sampled and finished."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace

from PIL import Image

from dragonkit.diffusion.backbone import Backbone, frugal
from dragonkit.diffusion.inversion import Progress
from dragonkit.diffusion.sampling import Step, guided_sampling
from dragonkit.diffusion.source import Source
from dragonkit.editing.advice import advice_before, advice_on_guidance, advice_on_plan, carries, settings_for
from dragonkit.editing.energies import idle_terms
from dragonkit.editing.finishing import finish
from dragonkit.editing.layout import Layout
from dragonkit.editing.memory import with_less_memory
from dragonkit.editing.planning import plan_edits
from dragonkit.editing.results import EditResult
from dragonkit.editing.sources import Sources
from dragonkit.editing.watching import Watch
from dragonkit.edits.file import EditFile
from dragonkit.edits.prompts import checked_prompt
from dragonkit.edits.settings import Settings
from dragonkit.imaging.images import to_image
from dragonkit.imaging.photo_files import open_photo
from dragonkit.imaging.photos import Photo
from dragonkit.plugins.answers import Reference
from dragonkit.plugins.card import ModelCard
from dragonkit.plugins.registry import PluginRegistry

__all__ = ["Engine", "Job", "Run", "edited"]


@dataclass(frozen=True, eq=False)
class Engine:
    """What edits run on."""

    backbone: Backbone
    card: ModelCard
    registry: PluginRegistry
    sources: Sources

    def on(self, backbone: Backbone) -> Engine:
        """The same on another backbone of the same network."""
        return replace(self, backbone=backbone, sources=self.sources.on(backbone))


@dataclass(frozen=True, eq=False)
class Job:
    """What is asked for: edits of a picture in one pass, checked as far as nobody has to wait for it.

    Attributes:
        picture: a source, or a photo that has to be inverted with `prompt`.
        settings: all of them.
        given: what the user set of them.
        on_step, progress, on_draft: as in `Editor.edit`.
    """

    picture: Source | Photo
    layout: Layout
    prompt: str
    settings: Settings
    given: Settings | None = None
    on_step: Callable[[Step], None] | None = None
    progress: Progress | None = None
    on_draft: Callable[[Image.Image], None] | None = None


class Run:
    """A job under way: made, its source is opened and all of it planned, with as much of the way to noise as that reads.

    Args:
        engine: what it runs on.
        job: what is asked for.
        settings: the job's, or such as need less memory.
        notes: what the report is to say besides.
    """

    def __init__(self, engine: Engine, job: Job, settings: Settings, notes: Sequence[str] = ()):
        self._engine, self._job, self._notes = engine, job, notes
        picture, sources = job.picture, engine.sources
        self._source = picture if isinstance(picture, Source) else sources.open(picture, job.prompt, settings, job.progress)
        self._settings = settings = settings_for(self._source, settings, engine.card, job.given)
        self._references = [None if one is None else self._inverted(one) for one in job.layout.references]
        self._watch = Watch(engine.backbone, engine.registry, job.on_step, job.progress)
        misses = sources.misses(settings)
        self._plan = plan_edits(engine.registry, engine.backbone, self._source, job.layout, settings, self._references, misses, self._reach)

    def show_draft(self) -> None:
        """To whoever wants to see it."""
        if self._job.on_draft is not None:
            self._job.on_draft(to_image(self._plan.pasted))

    def result(self) -> EditResult:
        """Sample it."""
        engine, job, source, settings, plan = self._engine, self._job, self._source, self._settings, self._plan
        guide = engine.sources.guides(source, [one for one in self._references if one is not None], settings)
        with frugal(engine.backbone) if settings.memory == "recompute" else nullcontext():
            latents = guided_sampling(engine.backbone, source.schedule, plan.sampling, guide, self._watch)
        photo = finish(engine.backbone, latents, plan, source, settings.keep == "pixels")
        # where the autoencoder fails all is held for that reason, which the advice names
        on_plan = advice_on_plan(plan.sampling, len(source.schedule)) if carries(source, engine.card) else ()
        before = advice_before(engine.backbone, engine.card, source, job.layout)
        warnings = [*before, *advice_on_guidance(source, settings), *on_plan, *self._notes, *idle_terms(plan.sampling.terms)]
        report = self._watch.report(engine.card.name, job.layout, source, settings, warnings)
        picture = source.photo if source.seed is None else source.seed
        file = EditFile.of(engine.card.name, picture, source.prompt, settings, job.layout.edits, source.guidance_scale)
        return EditResult(photo.image, report, file, plan.region, photo)

    def _reach(self, source: Source, level: int) -> None:
        """An inversion is no part of the edit's cost."""
        with self._watch.apart():
            source.way.upto(level, self._job.progress)

    def _inverted(self, reference: Reference) -> Source:
        prompt = self._source.prompt if reference.prompt is None else checked_prompt(reference.prompt)
        return self._engine.sources.open(open_photo(reference.image), prompt, self._settings, self._job.progress)


def edited(engine: Engine, job: Job, notes: Sequence[str] = (), planned: Callable[[], None] = lambda: None) -> EditResult:
    """The result of a job; with less memory where it runs out. `planned` is called before it is sampled."""

    def attempt(settings: Settings, *more: str) -> EditResult:
        run = Run(engine, job, settings, (*notes, *more))
        run.show_draft()
        planned()
        return run.result()

    return with_less_memory(attempt, job.settings, engine.sources, engine.backbone)
