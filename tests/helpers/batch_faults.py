"""`python -m helpers.batch_faults` ends batches in bad ways, goes on, and prints what was lost (0) and what was done twice (0)."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from dragonkit.batching.run import MANIFEST, batch
from dragonkit.testing import tiny_pipeline
from dragonkit.toybox.training.export import write_model

JOBS, BAD = 120, 6
_RUN = "import sys, dragonkit as dk; dk.batch(sys.argv[1], sys.argv[2], model=sys.argv[3], engine=sys.argv[4], workers=2)"


class Row(NamedTuple):
    fault: str
    injected: int
    survived: int
    lost: int
    twice: int


def _jobs(folder: Path) -> Path:
    """Good jobs, and among them pictures that are none, and names that are taken."""
    mask = np.zeros((32, 32), bool)
    mask[8:18, 6:16] = True
    Image.fromarray(mask).save(folder / "mask.png")
    rng = np.random.default_rng(0)
    for number in range(4):
        Image.fromarray(rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(folder / f"{number}.png")
    (folder / "bad.png").write_bytes(b"no picture")
    settings = {"steps": 4, "inversion_iterations": 1}

    def line(number: int, image: str, name: str) -> str:
        edit = {"mode": "move", "mask": "mask.png", "shift": [number % 9 - 4, 1]}
        return json.dumps({"name": name, "model": "toybox", "image": image, "settings": settings, "edits": [edit]})

    good = [line(number, f"{number % 4}.png", f"job-{number}") for number in range(JOBS)]
    bad = [line(0, "bad.png", f"bad-{number}") for number in range(BAD // 2)] + [line(1, "0.png", "job-0") for _ in range(BAD // 2)]
    (folder / "jobs.jsonl").write_text("\n".join([*good[: JOBS // 2], *bad, *good[JOBS // 2 :]]), encoding="utf-8")
    return folder / "jobs.jsonl"


def _ended(fault: str, injected: int, survived: int, jobs: Path, out: Path, model: str, broken: bool = False) -> Row:
    """What is there once a last run went through."""
    batch(jobs, out, model=model)
    records = [json.loads(line) for line in (out / MANIFEST).read_bytes().splitlines() if line.endswith(b"}") and line.startswith(b"{")]
    done = Counter(record["job"] for record in records if record["status"] == "done")
    for name in (f"job-{number}" for number in range(JOBS)):
        with Image.open(out / f"{name}.png") as image:
            image.load()
    there = {path.stem for path in out.glob("*.png")}
    assert len({record["job"] for record in records if record["status"] == "failed"}) == BAD or broken, "bad jobs are told of"
    return Row(fault, injected, survived, JOBS - len(there & {f"job-{number}" for number in range(JOBS)}), sum(done.values()) - len(done))


def _started(jobs: Path, out: Path, model: str, engine: str = "local") -> subprocess.Popen[bytes]:
    words = [sys.executable, "-c", _RUN, str(jobs), str(out), model, engine]
    return subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)


def _lines(out: Path) -> int:
    return (out / MANIFEST).read_bytes().count(b"\n") if (out / MANIFEST).exists() else 0


def killed_drivers(jobs: Path, out: Path, model: str, times: int) -> Row:
    """kill -9 of the process, at random moments once it has begun to work."""
    rng, survived = random.Random(0), 0
    for _ in range(times):
        before, process = _lines(out), _started(jobs, out, model)
        while _lines(out) == before and process.poll() is None:
            time.sleep(0.005)
        time.sleep(rng.uniform(0, 0.3))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        survived += _lines(out) >= before
    return _ended("the process is killed (kill -9) at a random moment", times, survived, jobs, out, model)


def killed_workers(jobs: Path, out: Path, model: str) -> Row:
    """A worker of Ray is killed while it works."""
    process = _started(jobs, out, model, "ray")
    while not (workers := _ray_workers(process.pid)) and process.poll() is None:
        time.sleep(0.2)
    while _lines(out) < 1 and process.poll() is None:
        time.sleep(0.05)
    for worker in workers[:1]:
        os.kill(worker, signal.SIGKILL)
    return _ended("a worker of Ray is killed while it works", len(workers[:1]), int(process.wait() == 0), jobs, out, model)


def _ray_workers(session: int) -> list[int]:
    found = subprocess.run(["pgrep", "-f", "ray::.*_Actor|ray::MapWorker"], capture_output=True, text=True, check=False)
    return [int(pid) for pid in found.stdout.split()]


@contextmanager
def _small_disk(folder: Path) -> Iterator[Path | None]:
    """A disk with room for a few results; None where it may not be mounted."""
    place = folder / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(place)], capture_output=True, check=False)
    try:
        yield place if mounted.returncode == 0 else None
    finally:
        if mounted.returncode == 0:
            subprocess.run(["umount", str(place)], check=True)


def full_disks(jobs: Path, folder: Path, model: str) -> Row | None:
    """The disk fills; then there is room, as the results so far are taken to a larger one."""
    with _small_disk(folder) as disk:
        if disk is None:
            return None
        stopped = _started(jobs, disk / "out", model).wait() != 0
        whole = [path for path in (disk / "out").glob("*.png") if Image.open(path).load()]
        assert 0 < len(whole) < JOBS and len(whole) == len(list((disk / "out").glob("*.png"))), "no half result"
        shutil.copytree(disk / "out", folder / "larger")
    batch(jobs, folder / "larger", model=model, retry_failed=True)
    return _ended("the disk is full", 1, int(stopped), jobs, folder / "larger", model, broken=True)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_model(tiny_pipeline(), folder / "model")
        jobs, model = _jobs(folder), str(folder / "model")
        rows = [killed_drivers(jobs, folder / "driver", model, 20), full_disks(jobs, folder, model)]
        try:
            import ray.data  # noqa: F401
        except ImportError:
            print("Ray is not installed, so no worker of its own was killed")
        else:
            rows.append(killed_workers(jobs, folder / "workers", model))
        print(f"{JOBS} jobs that can be done, and {BAD} that cannot: pictures that are none, names that are taken\n")
        print(f"{'injected':>8}{'survived':>9}{'lost':>6}{'done twice':>12}  fault")
        for row in rows:
            if row is not None:
                print(f"{row.injected:>8}{row.survived:>9}{row.lost:>6}{row.twice:>12}  {row.fault}")


if __name__ == "__main__":
    main()
