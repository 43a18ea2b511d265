"""`dragonkit bench toybox`: many tasks with known answers, done in every way that is compared, in one call."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import as_completed

from dragonkit.bench.measures.measure import Record, measure
from dragonkit.bench.outcomes import FIRST_SEED, inverted, missing_modes
from dragonkit.bench.reports.sheet import wish
from dragonkit.bench.rows import ROWS, Attempt
from dragonkit.bench.tasks.catalogue import TASKS
from dragonkit.bench.workers import fresh_editor, loaded, workers
from dragonkit.errors import EditError
from dragonkit.words import closest

__all__ = ["run_tasks"]

Job = tuple[str, int, tuple[str, ...], str]
"""Task, seed, rows and model."""


def run_tasks(
    tasks: Sequence[str],
    rows: Sequence[str],
    n: int,
    seed_offset: int = 0,
    model: str = "toybox",
    jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> list[Record]:
    """Every row on `n` tasks of each kind; public seeds, always the same ones.

    Args:
        tasks, rows: names; all of them when empty.
        seed_offset: added to the seeds, for fresh tasks.
        jobs: processes; the outcome does not depend on it, bar the seconds.

    Returns:
        Records in the order of tasks, seeds and rows; a row that cannot do a task is left out, as is a task whose mode is not installed.

    Raises:
        EditError: there is no such task or row.
    """
    tasks, rows = tuple(tasks or TASKS), tuple(rows or ROWS)
    for name, known in (*((task, TASKS) for task in tasks), *((row, ROWS) for row in rows)):
        if name not in known:
            raise EditError(f"the benchmark has no {name!r}.{closest(name, list(known))} There are: {', '.join(known)}.")
    todo: list[Job] = [(task, FIRST_SEED + seed_offset + number, rows, model) for task in tasks for number in range(n)]
    found: dict[Job, list[Record]] = {}
    for job, records in _records_of(todo, jobs):
        found[job] = records
        if progress is not None:
            progress(len(found), len(todo))
    return [record for job in todo for record in found[job]]


def _records_of(todo: Sequence[Job], jobs: int) -> Iterator[tuple[Job, list[Record]]]:
    with workers(jobs) as pool:
        if pool is None:
            yield from ((job, _records(job)) for job in todo)
            return
        futures = {pool.submit(_records, job): job for job in todo}
        for future in as_completed(futures):
            yield futures[future], future.result()


def _records(job: Job) -> list[Record]:
    name, seed, rows, model = job
    shared = loaded(model)
    task = TASKS[name](seed, shared.backbone.model_size)
    if missing_modes(shared, task):
        return []
    records, attempt = [], Attempt(fresh_editor(model), task)
    for row in rows:
        settings = ROWS[row].settings
        if settings is not None:
            inverted(attempt.editor, task, settings)
        attempt.editor.forget()
        calls, begun = shared.backbone.calls, time.perf_counter()
        after = ROWS[row].picture(attempt)
        if after is not None:
            seconds, evaluations = time.perf_counter() - begun, shared.backbone.calls - calls
            records.append(
                Record(name, seed, row, task.scene.image, task.answer.image, after, measure(task, after), evaluations, seconds, wish(task))
            )
    return records
