"""Edits of several pictures at a time: each runs as if it were alone, and their calls of the network are made together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from typing import TypeVar

from dragonkit.diffusion.backbone import frugal
from dragonkit.diffusion.inversion import Progress
from dragonkit.diffusion.source import Source
from dragonkit.diffusion.together import Meeting
from dragonkit.editing.results import EditResult
from dragonkit.editing.running import Engine, Job, Run, edited
from dragonkit.errors import Cancelled, DragonkitError
from dragonkit.plugins.blame import is_out_of_memory

__all__ = ["AT_ONCE", "all_edited", "numbered"]

AT_ONCE = 8
"""Pictures at a time, at most: as many as have their inversions remembered."""
Outcome = TypeVar("Outcome")


def all_edited(engine: Engine, jobs: Sequence[Job]) -> list[EditResult]:
    """The results of all jobs, in their order; fewer at a time where memory runs out."""
    steps, results = _Steps(len(jobs)), list[EditResult]()
    watched = {number: _watched(job, number, steps) for number, job in enumerate(jobs)}
    for start in range(0, len(jobs), AT_ONCE):
        some = {number: watched[number] for number in range(len(jobs))[start : start + AT_ONCE]}
        results += _edited(engine, some, len(jobs), steps)
    return results


def _watched(job: Job, number: int, steps: _Steps) -> Job:
    """The same, told apart from the others."""
    on_step, progress = job.on_step, job.progress
    named = None if on_step is None else lambda step: on_step(replace(step, picture=number))
    return replace(job, on_step=named, progress=None if progress is None else steps.of(number, job.settings.steps, progress))


@contextmanager
def numbered(number: int, of: int) -> Iterator[None]:
    """Within this block errors say which picture they are about, counted from 0."""
    try:
        yield
    except Cancelled:
        raise
    except DragonkitError as error:
        error.add_note(f"This is about picture {number + 1} of {of}.")
        raise


def _edited(engine: Engine, jobs: dict[int, Job], of: int, steps: _Steps, notes: Sequence[str] = ()) -> list[EditResult]:
    if len(jobs) == 1:
        ((number, job),) = jobs.items()
        with numbered(number, of):
            return [edited(engine, job, notes, lambda: steps.sampling([number]))]
    try:
        return _met(engine, jobs, of, steps, notes)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
    engine.sources.forget()
    numbers, half = list(jobs), -(-len(jobs) // 2)
    notes = [f"memory ran out for {len(jobs)} pictures at a time, so they were edited in parts, at most {half} at a time"]
    return [
        result
        for some in (numbers[:half], numbers[half:])
        for result in _edited(engine, {one: jobs[one] for one in some}, of, steps, notes)
    ]


def _met(engine: Engine, jobs: dict[int, Job], of: int, steps: _Steps, notes: Sequence[str]) -> list[EditResult]:
    """All jobs at once."""
    meeting, runs = Meeting(engine.backbone, jobs), dict[int, Run]()
    engines = {number: engine.on(backbone) for number, backbone in meeting.backbones.items()}

    def begin(number: int) -> None:
        runs[number] = Run(engines[number], jobs[number], jobs[number].settings, notes)

    saving = any(job.settings.memory == "recompute" for job in jobs.values())
    with frugal(engine.backbone) if saving else nullcontext():  # else the first that ends would take it from the others
        try:
            for wave in _waves(jobs):
                meeting.run({number: _named(partial(begin, number), number, of) for number in wave}, downwards=False)
            for number in jobs:
                runs[number].show_draft()
            steps.sampling(jobs)
            done = meeting.run({number: _named(run.result, number, of) for number, run in runs.items()})
        finally:
            meeting.close()
    return [done[number] for number in jobs]


def _waves(jobs: dict[int, Job]) -> Iterator[list[int]]:
    """Those whose pictures differ may be inverted at the same time; the next edit of a picture finds it inverted."""
    by_picture = defaultdict[object, list[int]](list)
    for number, job in jobs.items():
        picture = job.picture
        by_picture[picture.way if isinstance(picture, Source) else (picture.hash, job.prompt)].append(number)
    while by_picture:
        yield [numbers.pop(0) for numbers in by_picture.values()]
        by_picture = defaultdict(list, {picture: numbers for picture, numbers in by_picture.items() if numbers})


def _named(work: Callable[[], Outcome], number: int, of: int) -> Callable[[], Outcome]:
    def named() -> Outcome:
        with numbered(number, of):
            return work()

    return named


class _Steps:
    """How far all pictures are: each as many steps for what goes before its sampling as for that, however few of them are done."""

    def __init__(self, count: int):
        self._count, self._told, self._sampling = count, dict[int, int](), set[int]()

    def of(self, number: int, steps: int, progress: Progress) -> Progress:
        """What one picture's steps are reported to."""

        def report(done: int, of: int) -> None:
            share = steps * done // of + (steps if number in self._sampling else 0)
            self._told[number] = max(share, self._told.get(number, 0))  # a second picture of its edit may be inverted after the first
            progress(sum(self._told.values()), 2 * steps * self._count)

        return report

    def sampling(self, numbers: Iterable[int]) -> None:
        """These are sampled from now on."""
        self._sampling.update(numbers)
