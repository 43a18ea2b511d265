"""The driver of a batch: what is still to be done goes to an engine, and what comes back goes into the manifest."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any, Literal, get_args

from dragonkit.batching.addresses import is_remote, tidy
from dragonkit.batching.guards import interrupts_counted, locked
from dragonkit.batching.jobs import Job, Select
from dragonkit.batching.manifest import Manifest, Record
from dragonkit.batching.outbox import outbox
from dragonkit.batching.reading import read_jobs
from dragonkit.batching.worker import Task, Worker
from dragonkit.editing.storing import METADATA, Metadata
from dragonkit.edits.settings import Settings
from dragonkit.errors import EditError, EditFileError
from dragonkit.words import closest

__all__ = ["ENGINES", "MANIFEST", "Engine", "Summary", "batch"]

Engine = Literal["plain", "ray"]
ENGINES: tuple[str, ...] = get_args(Engine)
MANIFEST = "manifest.jsonl"

EngineRun = Callable[[Iterator[Task], Callable[[], Worker], Callable[[], bool]], Iterator[Record]]
"""(tasks, what makes a worker, whether to stop) -> records in the order in which jobs end. After a stop, jobs in hand are finished."""


@dataclass(frozen=True)
class Summary:
    """How many jobs ended how.

    Attributes:
        done: by this run.
        kept: their results were there, of a run that was ended before it could say so.
        skipped: done by an earlier run.
        failed: by this run or, unless they were to be tried again, by an earlier one.
        unsure: of those done by this run, how many have a selector's mask that is worth a look.
        stopped: why the run ended before all jobs did; "" where it did not.
        manifest: the file that tells of each.
    """

    done: int
    kept: int
    skipped: int
    failed: int
    unsure: int
    stopped: str
    manifest: Path


def batch(
    jobs: str | os.PathLike[str] | Iterable[Job],
    out: str | os.PathLike[str],
    *,
    images: str | None = None,
    masks: str | None = None,
    select: Select | str | None = None,
    engine: Engine = "plain",
    address: str | None = None,
    workers: int = 1,
    threads: int = 1,
    gpus: float | None = None,
    batch_size: int = 8,
    together: int = 1,
    model: str | None = None,
    device: str | None = None,
    settings: Settings | None = None,
    metadata: Metadata = "edit",
    manifest: str | os.PathLike[str] | None = None,
    trust_paths: bool = False,
    retry_failed: bool = False,
    max_errors: int | None = None,
    on_record: Callable[[Record], None] | None = None,
    on_interrupt: Callable[[], object] | None = None,
) -> Summary:
    """Run many edits. What an earlier call has done is not done again, unless the job has changed; so a call that was ended goes on.

    Args:
        jobs: what `read_jobs` takes, or jobs.
        out: the folder for results, here or at an address of fsspec's; nothing is written outside of it, and nothing in it is replaced but
            this batch's own results.
        images, masks, select: as in `read_jobs`; the name of a selector clicks in the middle.
        engine: "plain" runs one job after the other in this process; "ray" runs `workers` of them at once by Ray Data.
        address: of a Ray cluster; a new one on this machine when left out.
        threads: of PyTorch, of each worker, where it computes on a CPU; results differ by it in their last bits.
        gpus: for each worker of Ray; may be a fraction. One, where this machine has any, when left out.
        batch_size: how many jobs a worker of Ray gets at once.
        together: how many jobs the engine "plain" edits at a time, where they have one model and the same settings: quicker, and of the
            same pixels but for the rounding of larger matrix products, which depends on what else is edited.
        model: in place of those that the jobs name.
        settings: on top of the jobs' own.
        metadata: as in `EditResult.save`.
        manifest: a folder of this machine for the manifest and its lock; `out` when left out.
        retry_failed: try again what failed before and has not changed.
        max_errors: stop after so many failures of this run.
        on_record: called with the record of every job that ends, and of those that ended before, which took 0 seconds.
        on_interrupt: called at the first Ctrl-C or SIGTERM, from the signal's handler: jobs in hand are finished, a second one ends all.

    Raises:
        EditFileError: the jobs cannot be read at all, or the folder is used by another batch, is full or cannot be used.
        EditError: an argument is wrong, or the engine is not installed.
    """
    if engine not in ENGINES:
        raise EditError(f"engine is {engine!r}, but must be {' or '.join(map(repr, ENGINES))}.{closest(str(engine), ENGINES)}")
    if metadata not in METADATA:
        raise EditError(f"metadata is {metadata!r}, but must be {' or '.join(map(repr, METADATA))}.{closest(str(metadata), METADATA)}")
    if min(workers, threads, batch_size, together) < 1 or (gpus or 0) < 0 or (max_errors is not None and max_errors < 1):
        counted = "workers, threads, batch_size, together and max_errors"
        raise EditError(f"{counted} must be 1 or more, and gpus 0 or more; leave them out otherwise.")
    if together > 1 and engine != "plain":
        raise EditError(f"together is {together}, but the engine {engine!r} edits one job at a time in each worker; take more workers.")
    select, name, box = Select(select) if isinstance(select, str) else select, "", outbox(out)
    folder = _folder(box.root, manifest)
    if isinstance(jobs, (str, os.PathLike)):
        name = PurePosixPath(tidy(jobs)).name
        if images is None and os.path.isdir(jobs) and f"{box.root}/".startswith(f"{tidy(jobs)}/"):
            raise EditFileError(f"results in {box.root!r} would be jobs the next time; give an --out outside of {os.fspath(jobs)!r}.")
        jobs = read_jobs(jobs, images, masks, select, trust_paths)
    also = f"{model}{settings.model_dump_json(exclude_unset=True) if settings else ''}"
    with locked(folder), Manifest(folder / MANIFEST, name) as records, interrupts_counted(on_interrupt) as interrupted:
        counts = {"done": 0, "kept": 0, "skipped": 0, "failed": 0, "unsure": 0}
        new, reasons = 0, list[str]()  # to stop

        def told(record: Record, status: str) -> None:
            counts[status] += 1
            counts["unsure"] += bool(record.unsure)
            if on_record is not None:
                on_record(record)

        def stopping() -> bool:
            return bool(reasons or interrupted())

        def to_do() -> Iterator[Task]:
            names: set[bytes] = set()
            for job in jobs:
                if stopping():
                    return
                job = _once(job, names)
                edit, inputs = job.hashes(also)
                before = records.before(job.name, edit, inputs)
                task = Task(job, name, edit, inputs, before.ours)
                if before.status == "failed" and not retry_failed:
                    told(task.record("failed", error="failed before; --retry-failed tries again"), "failed")
                elif before.status in ("done", "kept") and box.has(job.name):
                    told(task.record(before.status), "skipped")
                else:
                    yield task

        make_worker = partial(Worker, box.root, model, device, settings, metadata, threads)
        options = {"address": address, "workers": workers, "threads": threads, "gpus": gpus, "batch_size": batch_size}
        run = partial(_run_here, together=together) if engine == "plain" else _on_ray(out=box.root, **options)
        for record in run(to_do(), make_worker, stopping):
            records.add(record)
            told(record, record.status)
            new += record.status == "failed"
            if max_errors is not None and new >= max_errors:
                reasons[:] = [f"{new} jobs failed"]
        stopped = interrupted() or "".join(reasons)
    return Summary(**counts, stopped=stopped, manifest=records.path)


def _once(job: Job, names: set[bytes]) -> Job:
    """A second job of a name would replace the result of the first: it is broken. Names are kept as hashes, as there may be millions."""
    name = sha256(os.path.normcase(job.name).encode("utf-8", "surrogatepass")).digest()[:12]
    if name in names:
        broken = f"{job.origin}: a job before it has the name {job.name!r} as well; give each its own."
        return Job(f"{job.name} (again, {job.origin})", {}, job.folder, job.origin, job.trust_paths, broken)
    names.add(name)
    return job


def _on_ray(**options: Any) -> EngineRun:
    from dragonkit.batching.on_ray import run_on_ray  # it imports Ray, which not everybody has

    return partial(run_on_ray, **options)


def _run_here(tasks: Iterator[Task], make_worker: Callable[[], Worker], stopping: Callable[[], bool], *, together: int) -> Iterator[Record]:
    worker = make_worker()
    while several := tuple(islice(tasks, together)):  # which end at a stop
        yield from worker.run(*several)


def _folder(root: str, manifest: str | os.PathLike[str] | None) -> Path:
    if manifest is None and is_remote(root):
        raise EditFileError(f"results go to {root!r}, but the manifest needs a disk to be appended to; give a folder here by --manifest.")
    return Path(root if manifest is None else manifest)
