"""`python -m helpers.batch_faults` does to batches what can go wrong, for real, and prints what was lost and what was done twice.

The quick tests do the same on a smaller scale.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from helpers.batches import pixels_in, records_in, write_jobs, write_tiny_model

from dragonkit.batching.manifest import Record
from dragonkit.batching.run import MANIFEST, Summary, batch
from dragonkit.errors import EditFileError

__all__ = ["Row", "bad_pictures", "full_disk", "killed_driver", "killed_ray_driver", "killed_ray_worker", "many_jobs", "twins"]

ROOM = 11 * 1024
"""Bytes for each job on the disk that fills, which is room enough in the end."""

PAGE = 4096

FLAT = 64
"""MB that a process may grow by, however many jobs it does."""


@dataclass(frozen=True)
class Row:
    """What was done to batches and what came of it.

    Attributes:
        injected: how often.
        survived: after how many of them the next call found everything whole and went on.
        lost: jobs without their result, or with another one, in the end.
        twice: results that were written again.
    """

    fault: str
    injected: int
    survived: int
    lost: int
    twice: int
    note: str = ""


class Watched:
    """A folder of results that is looked at between faults: what is there must be right, and must never be written again."""

    def __init__(self, out: Path, wanted: dict[str, str]) -> None:
        self.out, self.wanted, self.twice = out, wanted, 0
        self._seen: dict[str, tuple[int, int]] = {}
        self._lines = b""

    def whole(self) -> bool:
        """Whether all that is there is right: pictures are whole and as wanted, and the manifest was only appended to."""
        there = pixels_in(self.out)
        for name in there:
            known = os.stat(self.out / f"{name}.png")
            self.twice += self._seen.setdefault(name, (known.st_ino, known.st_mtime_ns)) != (known.st_ino, known.st_mtime_ns)
        lines = (self.out / MANIFEST).read_bytes() if (self.out / MANIFEST).exists() else b""
        appended, self._lines = lines.startswith(self._lines), lines
        return appended and there.items() <= self.wanted.items()

    def lost(self) -> int:
        return len(self.wanted.items() - pixels_in(self.out).items())

    def done_twice(self) -> int:
        """Results written again, or told as done more than once."""
        done = [record.job for record in records_in(self.out) if record.status == "done"]
        return self.twice + len(done) - len(set(done))


def killed_driver(folder: Path, model: str, kills: int, jobs: int = 12) -> Row:
    """kill -9 of the process that runs a plain batch, at random moments, until it was killed so often."""
    source = write_jobs(folder / "jobs", jobs, max(1, jobs // 4))
    start = time.monotonic()
    batch(source, folder / "wanted", model=model)
    whole, wanted, rng = time.monotonic() - start, pixels_in(folder / "wanted"), random.Random(0)
    injected = survived = lost = twice = rounds = 0
    while injected < kills:
        rounds += 1
        watched = Watched(folder / f"out-{rounds}", wanted)
        while not watched.out.exists() or watched.lost():
            limit = rng.uniform(0, whole) if injected < kills else None
            if _killed(partial(batch, source, watched.out, model=model), limit):
                injected += 1
                survived += watched.whole()
        watched.whole()
        lost, twice = lost + watched.lost(), twice + watched.done_twice()
    return Row("kill -9 of the driver, plain", injected, survived, lost, twice, f"{rounds} batches of {jobs} jobs")


def _killed(work: Callable[[], object], seconds: float | None) -> bool:
    """Do it in a process that is killed after so long; whether it was."""
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(0)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def killed_ray_worker(folder: Path, model: str, kills: int, jobs: int = 50) -> Row:
    """kill -9 of a worker of Ray's in the middle of a job, each time some jobs have ended."""
    source = write_jobs(folder / "jobs", jobs, jobs // 2)
    batch(source, folder / "wanted", model=model)
    watched, ended, killed = Watched(folder / "out", pixels_in(folder / "wanted")), 0, list[int]()

    def note(record: Record) -> None:
        nonlocal ended
        ended += 1
        if len(killed) < kills and ended > (len(killed) + 1) * jobs // (kills + 2):
            killed.append(random.Random(ended).choice(_descendants(b"ray::MapWorker")))
            os.kill(killed[-1], signal.SIGKILL)

    summary = batch(source, watched.out, model=model, engine="ray", workers=2, batch_size=2, on_record=note)
    survived = len(killed) if watched.whole() and not summary.failed else 0
    return Row("kill -9 of a worker of Ray's", len(killed), survived, watched.lost(), watched.done_twice(), f"a batch of {jobs} jobs")


def killed_ray_driver(folder: Path, model: str, kills: int, jobs: int = 50) -> Row:
    """kill -9 of the driver of a batch on Ray, while results come; its workers go with it."""
    source = write_jobs(folder / "jobs", jobs, jobs // 2)
    batch(source, folder / "wanted", model=model)
    watched, survived = Watched(folder / "out", pixels_in(folder / "wanted")), 0
    words = [sys.executable, "-m", "dragonkit", "batch", str(source), "--out", str(watched.out), "--model", model]
    words += ["--engine", "ray", "--workers", "2", "--batch-size", "2", "--quiet"]
    for number in range(kills):
        driver = subprocess.Popen(words)
        while driver.poll() is None and len(list(watched.out.glob("*.png"))) < (number + 1) * jobs // (kills + 1):
            time.sleep(0.02)
        driver.kill()
        driver.wait()
        time.sleep(5)  # until Ray has seen it
        survived += watched.whole()
    subprocess.run(words, check=True)
    watched.whole()
    return Row("kill -9 of the driver, Ray", kills, survived, watched.lost(), watched.done_twice(), f"a batch of {jobs} jobs")


def _descendants(name: bytes) -> list[int]:
    """Processes that this one started, or that those started, whose command begins so."""
    parents, commands = {}, {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(path.name)] = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            commands[int(path.name)] = (path / "cmdline").read_bytes()
        except OSError:  # it has ended
            continue

    def ours(number: int) -> bool:
        return number == os.getpid() or (number in parents and ours(parents[number]))

    return sorted(number for number, command in commands.items() if command.startswith(name) and ours(number))


def full_disk(folder: Path, model: str, times: int, jobs: int = 12) -> Row:
    """A small disk (tmpfs) that fills up, each time with a bit more room. Needs the right to mount one: OSError."""
    source = write_jobs(folder / "jobs", jobs)
    batch(source, folder / "wanted", model=model)
    disk = folder / "disk"
    disk.mkdir()
    watched, injected, survived = Watched(disk / "out", pixels_in(folder / "wanted")), 0, 0
    with ExitStack() as stack:
        _mount("-t", "tmpfs", "-o", f"size={jobs * ROOM}", "tmpfs", str(disk))
        stack.callback(lambda: subprocess.run(["umount", str(disk)], check=True))
        blocks = [disk / f"block-{number}" for number in range(times)]
        free = shutil.disk_usage(disk).free
        for block in blocks:
            block.write_bytes(b"\0" * ((free - ROOM) // times // PAGE * PAGE))
        for block in blocks:
            try:
                batch(source, watched.out, model=model)
            except EditFileError:
                injected, survived = injected + 1, survived + watched.whole()
            block.unlink()
        batch(source, watched.out, model=model)
        watched.whole()
        return Row("a disk that fills", injected, survived, watched.lost(), watched.done_twice(), f"a batch of {jobs} jobs")


def _mount(*words: str) -> None:
    done = subprocess.run(["mount", *words], capture_output=True, text=True)
    if done.returncode:
        raise OSError(done.stderr.strip() or "mount failed")


def bad_pictures(folder: Path, model: str, jobs: int) -> Row:
    """Every third picture is damaged in some way: not there, cut off, no picture, a folder, a pipe."""
    source = write_jobs(folder / "jobs", jobs)
    batch(source, folder / "wanted", model=model)
    wanted = pixels_in(folder / "wanted")
    damages: list[Callable[[Path], object]] = [
        lambda path: None,
        lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n"),
        lambda path: path.write_bytes(b"%!PS"),
        Path.mkdir,
        os.mkfifo,
    ]
    bad = [f"job-{number}" for number in range(0, jobs, 3)]
    for count, name in enumerate(bad):
        path = source.parent / name.replace("job", "photo").join(["", ".png"])
        path.unlink()
        damages[count % len(damages)](path)
    watched = Watched(folder / "out", {name: pixels for name, pixels in wanted.items() if name not in bad})
    summary = batch(source, watched.out, model=model)
    survived = summary.failed if watched.whole() else 0
    return Row("unreadable pictures among good ones", len(bad), survived, watched.lost(), watched.done_twice(), f"a batch of {jobs} jobs")


def twins(folder: Path, model: str, jobs: int) -> Row:
    """All jobs have the name of another one."""
    source = write_jobs(folder / "jobs", jobs)
    text = source.read_text()
    batch(source, folder / "wanted", model=model)
    source.write_text(text + text)
    watched = Watched(folder / "out", pixels_in(folder / "wanted"))
    summary = batch(source, watched.out, model=model)
    survived = summary.failed if watched.whole() else 0
    return Row("names that a job before has", jobs, survived, watched.lost(), watched.done_twice(), f"a batch of {2 * jobs} jobs")


def many_jobs(folder: Path, model: str, jobs: int) -> Row:
    """Many small jobs: the process is no larger at the end than after the first tenth."""
    source, sizes = write_jobs(folder / "jobs", jobs, 8), list[int]()

    def note(record: Record) -> None:
        sizes.append(_resident())

    summary: Summary = batch(source, folder / "out", model=model, on_record=note)
    grown = (sizes[-1] - sizes[jobs // 10]) / 2**20
    done = [record.job for record in records_in(folder / "out") if record.status == "done"]
    note_ = f"{sizes[-1] / 2**20:.0f} MB in the end, {grown:+.0f} MB since a tenth of them{summary.stopped and f', {summary.stopped}'}"
    lost, survived = jobs - len(pixels_in(folder / "out")), summary.done == jobs and grown < FLAT
    return Row(f"{jobs:,} small jobs", 1, int(survived), lost, len(done) - len(set(done)), note_)


def _resident() -> int:
    """Bytes of memory that this process has now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000, help="how many small jobs; 0 leaves them out")
    parser.add_argument("--no-ray", action="store_true")
    chosen = parser.parse_args()
    plain: list[tuple[Callable[..., Row], int]] = [(killed_driver, 20), (full_disk, 5), (bad_pictures, 30), (twins, 10)]
    on_ray: list[tuple[Callable[..., Row], int]] = [] if chosen.no_ray else [(killed_ray_worker, 3), (killed_ray_driver, 3)]
    rows = []
    with tempfile.TemporaryDirectory(prefix="dragonkit-faults-") as root:
        model = write_tiny_model(Path(root) / "model")
        print("| fault | injected | survived | lost | done twice | |\n|---|---|---|---|---|---|")
        for work, times in (*plain, *on_ray, *([(many_jobs, chosen.jobs)] if chosen.jobs else [])):
            row = work(Path(root) / work.__name__, model, times)
            print(f"| {row.fault} | {row.injected} | {row.survived} | {row.lost} | {row.twice} | {row.note} |", flush=True)
            rows.append(row)
    return int(any(row.lost or row.twice or row.survived < row.injected for row in rows))


if __name__ == "__main__":
    sys.exit(main())
