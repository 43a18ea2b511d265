"""A batch does what is missing and nothing else, whatever ended the runs before; one bad job is one failed line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from batching.conftest import Lines, write_picture
from filelock import FileLock
from PIL import Image

import dragonkit as dk
from dragonkit.batching import run as running
from dragonkit.batching.jobs import Job
from dragonkit.batching.manifest import Record
from dragonkit.batching.run import LOCK, MANIFEST, Summary
from dragonkit.batching.worker import Worker
from dragonkit.errors import EditError, EditFileError

Make = Callable[..., dict[str, Any]]
Run = Callable[..., Summary]


@pytest.fixture
def run(tiny_model_folder: str) -> Run:
    return partial(dk.batch, model=tiny_model_folder)


def counts(summary: Summary) -> tuple[int, int, int, int]:
    return summary.done, summary.kept, summary.skipped, summary.failed


def told(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / MANIFEST).read_text(encoding="utf-8").splitlines()]


def pixels(path: Path) -> bytes:
    return np.asarray(Image.open(path)).tobytes()


def test_results_are_those_of_single_edits_and_are_made_once(
    lines: Lines, job: Make, folder: Path, run: Run, tiny_model_folder: str
) -> None:
    jobs = lines(job(name="a"), job((0, 4), name="deep/b"), job((4, 4)))
    assert counts(run(jobs, folder / "out")) == (3, 0, 0, 0)
    editor = dk.Editor.from_pretrained(tiny_model_folder)
    alone = editor.run(dk.EditFile.loads(json.dumps(job((0, 4))), "here", str(folder)))
    assert np.array_equal(np.asarray(Image.open("out/deep/b.png")), np.asarray(alone.image))
    assert [record["status"] for record in told(folder / "out")] == ["done"] * 3
    before = {path: path.stat().st_mtime_ns for path in (folder / "out").rglob("*.png")}
    assert sorted(path.name for path in before) == ["a.png", "b.png", "jobs-3.png"]
    assert counts(run(jobs, folder / "out")) == (0, 0, 3, 0)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert len(told(folder / "out")) == 3


def test_changed_and_lost_results_are_done_again(lines: Lines, job: Make, folder: Path, run: Run) -> None:
    run(lines(job(name="a"), job((0, 4), name="b"), job((4, 4), name="c")), folder / "out")
    old = pixels(folder / "out/a.png")
    (folder / "out/c.png").unlink()
    assert counts(run(lines(job((-4, 0), name="a"), job((0, 4), name="b"), job((4, 4), name="c")), folder / "out")) == (2, 0, 1, 0)
    assert pixels(folder / "out/a.png") != old
    write_picture(folder / "photo.png", 9)
    assert counts(run(lines(job((0, 4), name="b")), folder / "out")) == (1, 0, 0, 0)


def test_bad_jobs_are_lines_and_not_the_end(lines: Lines, job: Make, folder: Path, run: Run) -> None:
    (folder / "broken.png").write_bytes(b"no picture")
    bad = ["{", job(image="broken.png"), job(image="missing.png"), job((500, 0)), job(edits=[{"mode": "mvoe"}]), job(name="../up")]
    jobs = lines(job(name="a"), *bad, job((4, 0), name="a"), job((0, 4), name="z"))
    heard: list[Record] = []
    assert counts(run(jobs, folder / "out", on_record=heard.append)) == (2, 0, 0, 7)
    errors = {record.job: record.error for record in heard if record.status == "failed"}
    assert "not JSON" in errors["jobs-2"] and "broken.png" in errors["jobs-3"] and "does not exist" in errors["jobs-4"]
    assert "Did you mean 'move'" in errors["jobs-6"] and "must be a file's name" in errors["jobs-7"]
    assert "has the name 'a' as well" in errors["a (again, jobs.jsonl, line 8)"] and not any("a bug" in error for error in errors.values())
    assert sorted(path.name for path in (folder / "out").rglob("*.png")) == ["a.png", "z.png"] and not (folder / "up.png").exists()
    assert counts(run(jobs, folder / "out")) == (0, 0, 2, 7)
    assert len(told(folder / "out")) == 9
    write_picture(folder / "missing.png", 3)
    write_picture(folder / "broken.png", 4)
    assert counts(run(jobs, folder / "out")) == (2, 0, 2, 5)  # they have changed
    assert counts(run(jobs, folder / "out", retry_failed=True)) == (0, 0, 4, 5)
    stopped = run(jobs, folder / "out", retry_failed=True, max_errors=2)
    assert stopped.stopped == "2 jobs failed" and stopped.failed == 2


def test_a_bug_is_told_as_one(lines: Lines, job: Make, folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_once(self: Any, job: Job, known: bool, own: Any = Worker._done) -> Any:
        if job.name == "a":
            raise ZeroDivisionError("oh")
        return own(self, job, known)

    monkeypatch.setattr(Worker, "_done", break_once)
    assert counts(run(lines(job(name="a"), job(name="b")), folder / "out")) == (1, 0, 0, 1)
    assert told(folder / "out")[0]["error"] == "a bug: ZeroDivisionError: oh"


def test_what_somebody_else_put_there_stays(lines: Lines, job: Make, folder: Path, run: Run) -> None:
    write_picture(folder / "out/a.png", 1)
    there = (folder / "out/a.png").read_bytes()
    assert counts(run(lines(job(name="a")), folder / "out")) == (0, 0, 0, 1)
    assert (folder / "out/a.png").read_bytes() == there and "not by this batch" in told(folder / "out")[0]["error"]


def test_a_result_that_could_not_be_told_of_is_kept(lines: Lines, job: Make, folder: Path, run: Run) -> None:
    jobs = lines(job(name="a"), job((0, 4), name="b"))
    run(jobs, folder / "out")
    (folder / "out" / MANIFEST).unlink()  # as after a kill between the two
    made = (folder / "out/a.png").stat().st_mtime_ns
    assert counts(run(jobs, folder / "out")) == (0, 2, 0, 0)
    assert (folder / "out/a.png").stat().st_mtime_ns == made
    assert counts(run(lines(job((-4, 0), name="a")), folder / "out", retry_failed=True)) == (1, 0, 0, 0)  # it is known by now


def test_two_batches_do_not_share_a_folder(lines: Lines, job: Make, folder: Path, run: Run) -> None:
    (folder / "out").mkdir()
    (folder / "out" / LOCK).write_text("left by a process that died", encoding="utf-8")
    assert counts(run(lines(job()), folder / "out")) == (1, 0, 0, 0)
    with FileLock(folder / "out" / LOCK), pytest.raises(EditFileError, match="another batch is running"):
        run(lines(job()), folder / "out")


def test_a_folder_that_cannot_be(lines: Lines, job: Make, folder: Path, run: Run) -> None:
    (folder / "file").write_text("", encoding="utf-8")
    with pytest.raises(EditFileError, match="cannot be written"):
        run(lines(job()), folder / "file" / "out")


@pytest.mark.parametrize("wrong", [{"engine": "rya"}, {"metadata": "al"}, {"workers": 0}, {"max_errors": 0}, {"gpus": -1}])
def test_wrong_arguments(lines: Lines, job: Make, folder: Path, run: Run, wrong: dict[str, Any]) -> None:
    with pytest.raises(EditError, match=next(iter(wrong))):
        run(lines(job()), folder / "out", **wrong)


def test_interrupted_it_ends_the_job_in_hand(lines: Lines, job: Make, folder: Path, run: Run) -> None:
    def stop(record: Record) -> None:
        if record.job == "jobs-2":
            os.kill(os.getpid(), signal.SIGINT)

    jobs = lines(*[job((shift, 0)) for shift in (2, 3, 4, 5)])
    summary = run(jobs, folder / "out", on_record=stop)
    assert summary.stopped == "interrupted" and counts(summary) == (2, 0, 0, 0)
    assert counts(run(jobs, folder / "out")) == (2, 0, 2, 0)


def test_seeds_are_the_jobs(lines: Lines, job: Make, folder: Path, run: Run) -> None:
    """The same job gives the same pixels wherever it stands."""
    one, two = job((4, 0), name="one"), job((0, 4), name="two")
    run(lines(one, two), folder / "a")
    run(lines(two, one), folder / "b")
    assert all(pixels(folder / f"a/{name}.png") == pixels(folder / f"b/{name}.png") for name in ("one", "two"))
    hashes = [{record["job"]: record["result"] for record in told(folder / out)} for out in ("a", "b")]
    assert hashes[0] == hashes[1] and all(hashes[0].values())


class _Quick:
    """A worker that makes nothing: what remains is the driver."""

    def __init__(self, *_: Any) -> None:
        pass

    def run(self, job: Job, digest: str, known: bool) -> Record:
        return Record(job.name, digest, "done")


def test_a_million_jobs_are_never_in_memory(folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "Worker", _Quick)
    monkeypatch.setattr("dragonkit.batching.manifest.os.fsync", lambda _: None)

    def jobs(count: int) -> Iterator[Job]:
        for number in range(count):
            yield Job(f"job-{number}", {"prompt": "x" * 10_000}, str(folder), "here")

    tracemalloc.start()
    try:
        assert run(jobs(2000), folder / "out").done == 2000
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2000 * 1000  # a tenth of what the jobs alone would take


@pytest.mark.processes
def test_killed_at_any_moment_nothing_is_lost_or_done_twice(
    lines: Lines, job: Make, folder: Path, run: Run, tiny_model_folder: str
) -> None:
    jobs = lines(*[job((shift, 0)) for shift in range(1, 9)])
    code = "import sys, dragonkit as dk; dk.batch(sys.argv[1], sys.argv[2], model=sys.argv[3])"
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(jobs), "out", tiny_model_folder], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    end = time.monotonic() + 120
    while not (folder / "out" / MANIFEST).exists() or (folder / "out" / MANIFEST).read_bytes().count(b"\n") < 2:
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.01)
    process.kill()
    process.wait()
    done = {record["job"] for record in told(folder / "out")}
    summary = run(jobs, folder / "out")
    assert summary.failed == 0 and summary.skipped == len(done) and summary.done + summary.kept + summary.skipped == 8
    assert sorted(record["job"] for record in told(folder / "out")) == sorted(f"jobs-{number}" for number in range(1, 9))
    assert len(list((folder / "out").glob("*.png"))) == 8
