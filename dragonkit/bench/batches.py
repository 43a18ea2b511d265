"""`dragonkit bench batch`: jobs per second by each engine and number of workers, and what an engine adds to a job."""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from dragonkit import toybox
from dragonkit.batching.manifest import Manifest, Record
from dragonkit.batching.reading import read_jobs
from dragonkit.batching.run import Engine, batch
from dragonkit.editing.editor import Editor
from dragonkit.edits.file import EditFile
from dragonkit.edits.settings import Settings
from dragonkit.models.devices import torch_threads

__all__ = ["Scaling", "measure_batches", "measure_driver"]


EMPTY = 200


@dataclass(frozen=True)
class Scaling:
    """How fast jobs went one way.

    Attributes:
        engine: "none" is the editor in a loop, nothing written.
        start: seconds until the first job ended, the model's loading included.
        rate: jobs per second after that.
        inside: seconds of a job inside of its worker, where that is known.
        overhead: seconds that the engine adds to that for each job, handed over singly; of jobs that fail at once, lest noise hide it.
    """

    engine: Engine | str
    workers: int
    start: float
    rate: float
    inside: float
    overhead: float


def measure_batches(
    jobs: int,
    ways: list[tuple[Engine, int]],
    model: str = "toybox",
    settings: Settings | None = None,
    device: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Scaling]:
    """The editor in a loop, then the same jobs each way, after `EMPTY` that fail at once: a move of a toybox scene each, one thread each.

    Args:
        ways: engines with their numbers of workers.
        progress: called with (jobs done, jobs in all).
    """
    done = 0

    def note(*_: object) -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, jobs * (1 + len(ways)))

    with tempfile.TemporaryDirectory(prefix="dragonkit-bench-") as folder:
        source = _write_jobs(Path(folder), jobs)
        found = [_loop(source, model, settings, device, note)]
        empty = json.dumps({"image": "none.png", "edits": []}) + "\n"
        source.write_text(empty * EMPTY + source.read_text())
        for engine, workers in ways:
            ended: list[float] = []
            records: list[Record] = []

            def keep(record: Record, ended: list[float] = ended, records: list[Record] = records) -> None:
                ended.append(time.perf_counter())
                records.append(record)
                if record.status == "done":
                    note()

            start = time.perf_counter()
            batch(
                source,
                Path(folder) / f"{engine}-{workers}",
                engine=engine,
                workers=workers,
                batch_size=1,
                model=model,
                settings=settings,
                device=device,
                on_record=keep,
            )
            failed = [moment for moment, record in zip(ended, records, strict=True) if record.status == "failed"]
            whole = [moment for moment, record in zip(ended, records, strict=True) if record.status == "done"]
            inside = {status: statistics.fmean(one.seconds for one in records if one.status == status) for status in ("done", "failed")}
            added = workers / _rate(failed) - inside["failed"]
            found.append(Scaling(engine, workers, ended[0] - start, _rate(whole, workers), inside["done"], added))
    return found


def measure_driver(jobs: int = 1000) -> float:
    """Seconds that the driver needs for a job, whoever does it: to read it, hash it and its picture, and append its record."""
    with tempfile.TemporaryDirectory(prefix="dragonkit-bench-") as folder:
        source = _write_jobs(Path(folder), 1)
        source.write_text(source.read_text() * jobs)
        start = time.perf_counter()
        with Manifest(Path(folder) / "manifest.jsonl", source.name) as manifest:
            for job in read_jobs(source):
                edit, inputs = job.hashes()
                manifest.before(job.name, edit, inputs)
                manifest.add(Record(job.name, source.name, edit, inputs, "done", 1.0, result=edit))
        return (time.perf_counter() - start) / jobs


def _loop(source: Path, model: str, settings: Settings | None, device: str | None, note: Callable[[], None]) -> Scaling:
    with torch_threads(1):
        start, ended = time.perf_counter(), list[float]()
        editor = Editor.from_pretrained(model, device)
        for line in source.read_text().splitlines():
            file = EditFile.loads(line, folder=source.parent)
            editor.run(file.model_copy(update={"settings": settings or Settings()}))
            ended.append(time.perf_counter())
            note()
    return Scaling("none", 1, ended[0] - start, _rate(ended), 1 / _rate(ended), 0.0)


def _rate(ended: list[float], workers: int = 1) -> float:
    """Jobs per second after the first one of each worker."""
    return (len(ended) - workers) / (ended[-1] - ended[workers - 1])


def _write_jobs(folder: Path, jobs: int) -> Path:
    lines = []
    for number in range(jobs):
        scene = toybox.scene(seed=number)
        scene.image.save(folder / f"{number}.png")
        Image.fromarray(scene.objects[0].mask).save(folder / f"mask-{number}.png")
        edit = {"mode": "move", "mask": f"mask-{number}.png", "shift": [6, 6]}
        lines.append(json.dumps({"model": "toybox", "image": f"{number}.png", "prompt": scene.caption, "edits": [edit]}) + "\n")
    (folder / "jobs.jsonl").write_text("".join(lines))
    return folder / "jobs.jsonl"
