"""The engine "ray": jobs through Ray Data, with a pool of workers that load a model once each, on this machine or a cluster."""

from __future__ import annotations

import json
import logging
import os
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice
from typing import Any

import torch

from dragonkit.batching.addresses import filesystem, is_remote
from dragonkit.batching.jobs import Job
from dragonkit.batching.manifest import Record
from dragonkit.batching.worker import NoRoomError, Task, Worker
from dragonkit.errors import EditError, EditFileError
from dragonkit.words import first_line

__all__ = ["run_on_ray"]

PART = 1000
"""Jobs in one file of those that Ray reads, one after the other, so that they never are in memory all at once."""
TRIES = 3
"""How often a job is begun whose worker died with it."""
GIVEN_UP = f"its worker died {TRIES} times: killed, out of memory, or a crash of a library; run it alone"


class _Desk:
    """Where workers say which job they begin: an actor of Ray's. It counts, and closes when there is to be a stop."""

    def __init__(self) -> None:
        self.closed, self.begun = False, dict[str, int]()

    def close(self) -> None:
        self.closed = True

    def begin(self, job: str) -> int:
        """How often it was begun and not ended; 0 where no more are given out."""
        if self.closed:
            return 0
        self.begun[job] = self.begun.get(job, 0) + 1
        return self.begun[job]

    def end(self, job: str) -> None:
        del self.begun[job]


class _Actor:
    """A worker in a process of Ray's. Of each task comes a row: a record, or why there is none."""

    def __init__(self, make_worker: Callable[[], Worker], desk: Any) -> None:
        self.worker, self.desk, self.name = make_worker(), desk, uuid.uuid4().hex

    def __call__(self, rows: dict[str, Any]) -> dict[str, Any]:
        return {"told": [json.dumps(self._told(*json.loads(text))) for text in rows["text"]]}

    def _told(self, text: str, *rest: str) -> dict[str, str]:
        import ray

        task = Task(Job.from_json(text), *rest)
        tries = ray.get(self.desk.begin.remote(task.job.name))
        if not tries:
            return {"idle": self.name}
        try:
            (record,) = self.worker.run(task) if tries <= TRIES else [task.record("failed", error=GIVEN_UP)]
        except NoRoomError as error:
            return {"no room": str(error)}
        self.desk.end.remote(task.job.name)
        return {"record": record.to_json()}


def run_on_ray(
    tasks: Iterator[Task],
    make_worker: Callable[[], Worker],
    stopping: Callable[[], bool],
    *,
    out: str,
    address: str | None,
    workers: int,
    threads: int,
    gpus: float | None,
    batch_size: int,
) -> Iterator[Record]:
    """Records of all tasks, in the order in which they end.

    Args:
        out: where results go, which all machines of a cluster reach; the tasks lie there, too, while it runs.
        address: of a cluster; None for a new one here, which nobody else can reach.
        threads, gpus: for each worker; one GPU, where this machine has any, when left out.

    Raises:
        EditError: Ray is not installed.
        EditFileError: the cluster cannot be used.
        NoRoomError: results cannot be written any more.
    """
    ray, gpus = _ray(address), float(torch.cuda.is_available()) if gpus is None else gpus
    with ExitStack() as stack:
        near = stack.enter_context(tempfile.TemporaryDirectory(prefix="dragonkit-batch-"))
        there, parts = stack.enter_context(_written(tasks, near if address is None else out))
        if not parts or stopping():
            return
        stack.enter_context(_cluster(ray, address, workers * threads + 1))
        desk = ray.remote(num_cpus=0)(_Desk).remote()
        rows = ray.data.read_text(parts, filesystem=there).repartition(target_num_rows_per_block=batch_size)
        told = rows.map_batches(
            _Actor,
            fn_constructor_args=(make_worker, desk),
            batch_size=batch_size,
            compute=ray.data.ActorPoolStrategy(size=workers),
            num_cpus=threads,
            num_gpus=gpus or None,
        )
        idle = set()
        with _closed_when(stopping, desk), _told(ray):
            for rows in told.iter_batches(batch_size=None, prefetch_batches=0):
                for one in map(json.loads, rows["told"]):
                    if "no room" in one:
                        raise NoRoomError(one["no room"])
                    if "record" in one:
                        yield Record.from_json(one["record"])
                    else:
                        idle.add(one["idle"])
                if len(idle) == workers:  # nobody has a job in hand any more
                    return


@contextmanager
def _told(ray: Any) -> Iterator[None]:
    """Within this block it is one sentence when Ray gives up."""
    try:
        yield
    except ray.exceptions.RayError as error:
        raise EditFileError(f"Ray gave up: {first_line(error)}. The same command goes on; what is done is done.") from error


def _ray(address: str | None) -> Any:
    if address is None:  # read when ray is imported: everything listens to this machine only, and nothing is sent to its makers
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
        os.environ.setdefault("RAY_worker_niceness", "0")  # they are this very batch: no reason to stand behind all else here
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise EditError(f"the engine 'ray' needs Ray, which cannot be imported ({error}). Run pip install 'dragonkit[ray]'.") from error
    return ray


@contextmanager
def _written(tasks: Iterator[Task], out: str) -> Iterator[tuple[Any, list[str]]]:
    """The tasks as files of text, which Ray reads one after the other, with their file system; gone when the block ends."""
    there, root = filesystem(out)
    folder, parts = f"{root}/.dragonkit-tasks-{uuid.uuid4().hex}", list[str]()
    there.makedirs(folder)
    try:
        while lines := [json.dumps([job.to_json(), *rest]) + "\n" for job, *rest in islice(tasks, PART)]:
            parts.append(f"{folder}/{len(parts):06}.txt")
            with there.open(parts[-1], "w", encoding="utf-8") as file:
                file.writelines(lines)
        yield (there if is_remote(out) else None), parts
    finally:
        there.rm(folder, recursive=True)


@contextmanager
def _closed_when(stopping: Callable[[], bool], desk: Any) -> Iterator[None]:
    """Within this block the desk closes as soon as there is to be a stop."""
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.2):
            if stopping():
                desk.close.remote()
                return

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


@contextmanager
def _cluster(ray: Any, address: str | None, cpus: int) -> Iterator[None]:
    """A cluster that is ours to end, or the one at the address. Its dashboard is off."""
    ours = not ray.is_initialized()
    if ours:
        try:
            if address is None:
                ray.init(num_cpus=cpus, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
            else:
                ray.init(address=address, log_to_driver=False, logging_level="ERROR")
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise EditFileError(f"the Ray cluster at {address!r} cannot be used: {error}. Check --address.") from error
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = ray.data.DataContext.get_current()
    before, context.enable_progress_bars = context.enable_progress_bars, False
    try:
        yield
    finally:
        context.enable_progress_bars = before
        if ours:
            ray.shutdown()
