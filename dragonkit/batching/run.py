"""The driver of a batch: what is still to be done goes to an engine, and what comes back goes into the manifest."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from filelock import FileLock, Timeout

from dragonkit.batching.jobs import Job, read_jobs
from dragonkit.batching.manifest import Manifest, Record
from dragonkit.batching.worker import Worker
from dragonkit.editing.storing import METADATA, Metadata
from dragonkit.edits.settings import Settings
from dragonkit.errors import EditError, EditFileError
from dragonkit.words import closest

__all__ = ["ENGINES", "MANIFEST", "Engine", "Summary", "Task", "batch"]

Engine = Literal["local", "ray"]
ENGINES: tuple[str, ...] = get_args(Engine)
MANIFEST = "manifest.jsonl"
LOCK = ".dragonkit-batch.lock"


class Task(NamedTuple):
    """A job to be done, with what `Worker.run` needs to know."""

    job: Job
    digest: str
    known: bool


@dataclass(frozen=True)
class Summary:
    """How many jobs ended how.

    Attributes:
        done: by this run; kept: their results were there; skipped: done by an earlier run; failed: by this run or, unless they were to be
            tried again, by an earlier one.
        stopped: why the run ended before all jobs did; "" where it did not.
        manifest: the file that tells of each.
    """

    done: int
    kept: int
    skipped: int
    failed: int
    stopped: str
    manifest: Path


def batch(
    jobs: str | os.PathLike[str] | Iterable[Job],
    out: str | os.PathLike[str],
    *,
    images: str | None = None,
    masks: str | None = None,
    engine: Engine = "local",
    address: str | None = None,
    workers: int = 1,
    gpus: float = 0.0,
    batch_size: int = 8,
    model: str | None = None,
    device: str | None = None,
    settings: Settings | None = None,
    metadata: Metadata = "edit",
    trust_paths: bool = False,
    retry_failed: bool = False,
    max_errors: int | None = None,
    on_record: Callable[[Record], None] | None = None,
) -> Summary:
    """Run many edits. What an earlier call has done is not done again, unless the job has changed; so a call that was ended goes on.

    Args:
        jobs: what `read_jobs` takes, or jobs.
        out: the folder for results; nothing is written outside of it, and nothing in it is replaced but this batch's own results.
        images, masks: as in `read_jobs`.
        engine: "local" runs one job after the other in this process; "ray" runs `workers` of them at once by Ray Data.
        address: of a Ray cluster; a new one on this machine when left out.
        gpus: for each worker of Ray; may be a fraction.
        batch_size: how many jobs a worker of Ray gets at once.
        model: in place of those that the jobs name.
        settings: on top of the jobs' own.
        retry_failed: try again what failed before and has not changed.
        max_errors: stop after so many failures.
        on_record: called with the record of every job that ends, and those that ended before.

    Raises:
        EditFileError: the jobs cannot be read at all, or the folder is used by another batch or cannot be used.
        EditError: an argument is wrong, or the engine is not installed.
    """
    if engine not in ENGINES:
        raise EditError(f"engine is {engine!r}, but must be {' or '.join(map(repr, ENGINES))}.{closest(str(engine), ENGINES)}")
    if metadata not in METADATA:
        raise EditError(f"metadata is {metadata!r}, but must be {' or '.join(map(repr, METADATA))}.{closest(str(metadata), METADATA)}")
    if min(workers, batch_size) < 1 or gpus < 0 or (max_errors is not None and max_errors < 1):
        raise EditError("workers, batch_size and max_errors must be 1 or more, and gpus 0 or more; leave out what you do not need.")
    if isinstance(jobs, (str, os.PathLike)):
        jobs = read_jobs(Path(jobs), images, masks, trust_paths)
    folder = Path(out)
    make_worker = partial(Worker, folder.absolute(), model, device, settings, metadata)
    with _locked(folder), Manifest(folder / MANIFEST) as manifest, _interrupts_counted() as interrupted:
        counts, stopped = {"done": 0, "kept": 0, "skipped": 0, "failed": 0}, ""

        def told(record: Record, status: str) -> None:
            counts[status] += 1
            if on_record is not None:
                on_record(record)

        def to_do() -> Iterator[Task]:
            names: set[int] = set()
            for job in jobs:
                if interrupted() or stopped:
                    return
                task = _task(job, names, manifest)
                job = task.job
                before = manifest.status(job.name, task.digest)
                if before == "failed" and not retry_failed:
                    told(Record(job.name, task.digest, "failed", error="as before"), "failed")
                elif before in ("done", "kept") and os.path.lexists(folder / f"{job.name}.png"):
                    told(Record(job.name, task.digest, before), "skipped")
                else:
                    yield task

        for record in _engine(engine, folder, address, workers, gpus, batch_size)(to_do(), make_worker):
            manifest.add(record)
            told(record, record.status)
            if max_errors is not None and counts["failed"] >= max_errors:
                stopped = f"{counts['failed']} jobs failed"
                break
        if interrupted():
            stopped = "interrupted"
    return Summary(**counts, stopped=stopped, manifest=manifest.path)


def _task(job: Job, names: set[int], manifest: Manifest) -> Task:
    """A second job of a name would replace the result of the first: it is broken. Names are kept as hashes, as there may be millions."""
    name = hash(os.path.normcase(job.name))
    if name in names:
        broken = f"{job.origin}: a job before has the name {job.name!r} as well; give each its own."
        job = Job(f"{job.name} (again, {job.origin})", {}, job.folder, job.origin, job.trust_paths, broken)
    names.add(name)
    return Task(job, job.digest(), job.name in manifest)


def _engine(name: str, folder: Path, address: str | None, workers: int, gpus: float, batch_size: int) -> Callable[..., Iterator[Record]]:
    if name == "local":
        return _run_here
    from dragonkit.batching.on_ray import run_on_ray

    return partial(run_on_ray, folder=folder.absolute(), address=address, workers=workers, gpus=gpus, batch_size=batch_size)


def _run_here(tasks: Iterable[Task], make_worker: Callable[[], Worker]) -> Iterator[Record]:
    worker = make_worker()
    for task in tasks:
        yield worker.run(*task)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """The folder is this batch's alone; the lock of a process that died holds nobody up."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK, timeout=0)
        lock.acquire()
    except Timeout:
        raise EditFileError(f"another batch is running into {str(folder)!r}; wait for it, or give another --out.") from None
    except OSError as error:
        raise EditFileError(f"results cannot be written to {str(folder)!r}: {error.strerror or error}. Choose another --out.") from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _interrupts_counted() -> Iterator[Callable[[], bool]]:
    """The first Ctrl-C, or SIGTERM, is remembered, so that jobs in hand are finished; the second ends the run at once."""
    asked: list[int] = []

    def ask(number: int, _frame: Any) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)

    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
