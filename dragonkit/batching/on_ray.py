"""The engine "ray": jobs through Ray Data, with a pool of workers that load a model once each, on this machine or a cluster."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dragonkit.batching.jobs import Job
from dragonkit.batching.manifest import Record
from dragonkit.errors import EditError, EditFileError

if TYPE_CHECKING:
    from dragonkit.batching.run import Task
    from dragonkit.batching.worker import Worker

__all__ = ["run_on_ray"]

PART = 1000
"""Jobs in one file of those that Ray reads, one after the other, so that they never are in memory all at once."""


class _Actor:
    """A worker in a process of Ray's."""

    def __init__(self, make_worker: Callable[[], Worker]) -> None:
        import torch

        torch.set_num_threads(1)  # workers beside each other would only get in each other's way
        self.worker = make_worker()

    def __call__(self, rows: dict[str, Any]) -> dict[str, Any]:
        records = []
        for text in rows["task"]:
            job, digest, known = json.loads(text)
            record = self.worker.run(Job.from_json(job), digest, known)
            records.append(json.dumps({**vars(record), "warnings": list(record.warnings)}))
        return {"record": records}


def run_on_ray(
    tasks: Iterable[Task],
    make_worker: Callable[[], Worker],
    *,
    folder: Path,
    address: str | None,
    workers: int,
    gpus: float,
    batch_size: int,
) -> Iterator[Record]:
    """Records of all tasks, in the order in which they end.

    Args:
        folder: that of the results, which every machine of a cluster must reach under this path.
        address: of a cluster; None for a new one here.
        gpus: for each worker.

    Raises:
        EditError: Ray is not installed.
        EditFileError: the cluster cannot be reached.
    """
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise EditError(f"the engine 'ray' needs Ray, which cannot be imported ({error}): pip install 'dragonkit[ray]'") from error

    with tempfile.TemporaryDirectory(prefix=".dragonkit-batch-", dir=folder) as parts_folder:
        if parts := _written(tasks, Path(parts_folder)):  # a cluster takes seconds to start
            with _cluster(ray, address, workers):
                rows = ray.data.read_text(parts, override_num_blocks=max(len(parts), 2 * workers)).rename_columns({"text": "task"})
                records = rows.map_batches(
                    _Actor,
                    fn_constructor_args=(make_worker,),
                    batch_size=batch_size,
                    concurrency=workers,
                    num_gpus=gpus or None,
                    num_cpus=1,
                )
                for row in records.iter_rows():
                    data = json.loads(row["record"])
                    yield Record(**{**data, "warnings": tuple(data["warnings"])})


def _written(tasks: Iterable[Task], folder: Path) -> list[str]:
    """The tasks as files of text that Ray reads one after the other."""
    parts: list[str] = []
    part = None
    try:
        for number, (job, digest, known) in enumerate(tasks):
            if number % PART == 0:
                if part is not None:
                    part.close()
                parts.append(str(folder / f"{number // PART:06}.txt"))
                part = open(parts[-1], "w", encoding="utf-8")  # noqa: SIM115
            assert part is not None
            part.write(json.dumps([job.to_json(), digest, known]) + "\n")
    finally:
        if part is not None:
            part.close()
    return parts


@contextmanager
def _cluster(ray: Any, address: str | None, workers: int) -> Iterator[None]:
    """A cluster that is ours to end, or the one at the address. No dashboard, and nothing listens to other machines."""
    ours = not ray.is_initialized()
    if ours:
        try:
            if address is None:
                ray.init(num_cpus=workers + 1, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
            else:
                ray.init(address=address, log_to_driver=False, logging_level="ERROR")
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise EditFileError(f"the Ray cluster at {address!r} cannot be used: {error}. Check --address.") from error
    context = ray.data.DataContext.get_current()
    before, context.enable_progress_bars = context.enable_progress_bars, False
    try:
        yield
    finally:
        context.enable_progress_bars = before
        if ours:
            ray.shutdown()
