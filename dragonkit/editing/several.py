"""Edits of several pictures at a time: each runs as if it were alone, and their calls of the network are made together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
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
from dragonkit.errors import DragonkitError
from dragonkit.plugins.blame import is_out_of_memory

__all__ = ["AT_ONCE", "all_edited", "numbered"]

AT_ONCE = 8
"""Pictures at a time, at most: as many as have their inversions remembered."""
Outcome = TypeVar("Outcome")


def all_edited(engine: Engine, jobs: Sequence[Job]) -> list[EditResult]:
    """The results of all jobs, in their order; fewer at a time where memory runs out."""
    results = list[EditResult]()
    for start in range(0, len(jobs), AT_ONCE):
        results += _edited(engine, {number: jobs[number] for number in range(len(jobs))[start : start + AT_ONCE]}, len(jobs))
    return results


@contextmanager
def numbered(number: int, of: int) -> Iterator[None]:
    """Within this block errors say which picture they are about, counted from 0."""
    try:
        yield
    except DragonkitError as error:
        error.add_note(f"This is about picture {number + 1} of {of}.")
        raise


def _edited(engine: Engine, jobs: dict[int, Job], of: int, notes: Sequence[str] = ()) -> list[EditResult]:
    if len(jobs) == 1:
        ((number, job),) = jobs.items()
        with numbered(number, of):
            return [edited(engine, job, notes)]
    try:
        return _met(engine, jobs, of, notes)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
    engine.sources.forget()
    numbers, half = list(jobs), -(-len(jobs) // 2)
    notes = [f"memory ran out for {len(jobs)} pictures at a time, so they were edited in parts, at most {half} at a time"]
    return [result for some in (numbers[:half], numbers[half:]) for result in _edited(engine, {one: jobs[one] for one in some}, of, notes)]


def _met(engine: Engine, jobs: dict[int, Job], of: int, notes: Sequence[str]) -> list[EditResult]:
    """All jobs at once."""
    meeting, runs, steps = Meeting(engine.backbone, jobs), dict[int, Run](), _Steps(len(jobs))
    engines = {number: engine.on(backbone) for number, backbone in meeting.backbones.items()}
    jobs = {number: replace(job, progress=steps.of(number, job.progress)) for number, job in jobs.items()}

    def begin(number: int) -> None:
        runs[number] = Run(engines[number], job := jobs[number], job.settings, notes)

    saving = any(job.settings.memory == "recompute" for job in jobs.values())
    with frugal(engine.backbone) if saving else nullcontext():  # else the first that ends would take it from the others
        try:
            for wave in _waves(jobs):
                meeting.run({number: _named(partial(begin, number), number, of) for number in wave}, downwards=False)
            steps.begin()
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
    """Steps of all pictures, added up; those of a picture that has not told yet are taken to be as many as another's."""

    def __init__(self, count: int):
        self._count, self._told = count, dict[int, tuple[int, int]]()

    def of(self, number: int, progress: Progress | None) -> Progress | None:
        """What one picture's steps are reported to."""
        if progress is None:
            return None

        def report(done: int, of: int) -> None:
            self._told[number] = done, of
            silent = self._count - len(self._told)
            progress(sum(done for done, _ in self._told.values()), sum(of for _, of in self._told.values()) + silent * of)

        return report

    def begin(self) -> None:
        """Something else is counted now."""
        self._told.clear()
