"""Jobs, pictures and results at addresses of fsspec's: memory:// and file:// stand for all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from helpers.batches import pixels_in, records_in, write_jobs
from PIL import Image

from dragonkit.batching.addresses import below, stamp, tidy
from dragonkit.batching.run import Summary

Run = Callable[..., Summary]


@pytest.fixture
def memory() -> Iterator[Any]:
    there = fsspec.filesystem("memory")
    yield there
    there.store.clear()


def copied(memory: Any, folder: Path, to: str) -> None:
    for path in folder.iterdir():
        memory.pipe_file(f"{to}/{path.name}", path.read_bytes())


@pytest.fixture
def here(run: Run, tmp_path: Path) -> dict[str, str]:
    """Pixels of two jobs, done with everything on this machine."""
    run(write_jobs(tmp_path / "jobs", 2))
    return pixels_in(tmp_path / "out")


def fetched(memory: Any, folder: str, to: Path) -> dict[str, str]:
    memory.get(folder, str(to), recursive=True)
    return pixels_in(to)


def test_elsewhere_is_as_good_as_here(run: Run, memory: Any, here: dict[str, str], tmp_path: Path) -> None:
    copied(memory, tmp_path / "jobs", "/bucket/in")
    options = {"out": "memory://bucket/out", "manifest": tmp_path / "notes"}
    assert run("memory://bucket/in/jobs.jsonl", **options).done == 2
    assert run("memory://bucket/in/jobs.jsonl", **options).skipped == 2
    assert fetched(memory, "/bucket/out", tmp_path / "fetched") == here
    assert not [path for path in memory.find("/bucket/out") if not path.endswith(".png")]
    (tmp_path / "notes" / "manifest.jsonl").unlink()
    assert run("memory://bucket/in/jobs.jsonl", **options).kept == 2
    memory.pipe_file("/bucket/in/photo-1.png", memory.cat_file("/bucket/in/photo-0.png"))
    assert (lambda one: (one.done, one.skipped))(run("memory://bucket/in/jobs.jsonl", **options)) == (1, 1)
    memory.pipe_file("/bucket/out/job-0.png", b"theirs")
    (tmp_path / "notes" / "manifest.jsonl").unlink()
    assert run("memory://bucket/in/jobs.jsonl", **options).failed == 1
    assert memory.cat_file("/bucket/out/job-0.png") == b"theirs"


def test_a_job_elsewhere_reads_its_own_folder_only(run: Run, memory: Any, tmp_path: Path) -> None:
    jobs = write_jobs(tmp_path / "jobs", 1)
    jobs.write_text(jobs.read_text().replace("photo-0", "../photo-0"))
    copied(memory, tmp_path / "jobs", "/bucket/in")
    memory.pipe_file("/bucket/photo-0.png", (tmp_path / "jobs" / "photo-0.png").read_bytes())
    assert run("memory://bucket/in/jobs.jsonl").failed == 1
    (record,) = records_in(tmp_path / "out")
    assert "photo-0.png" in record.error


def test_pictures_by_a_pattern_elsewhere(run: Run, memory: Any, tmp_path: Path) -> None:
    jobs = write_jobs(tmp_path / "jobs", 2)
    copied(memory, tmp_path / "jobs", "/bucket")
    edit = tmp_path / "edit.json"
    edit.write_text('{"model": "toybox", "seed": 1, "settings": {"steps": 1}, "edits": [{"mode": "remove", "mask": "none.png"}]}')
    assert run(edit, images="memory://bucket/photo-*.png", masks="mask-0.png").done == 2
    assert set(pixels_in(tmp_path / "out")) == {"photo-0", "photo-1"}
    assert run(edit, tmp_path / "here", images=f"file://{jobs.parent}/photo-*.png", masks="mask-0.png").done == 2
    assert pixels_in(tmp_path / "out") == pixels_in(tmp_path / "here")


def test_file_addresses_are_paths(run: Run, here: dict[str, str], tmp_path: Path) -> None:
    assert run(f"file://{tmp_path}/jobs/jobs.jsonl", f"file://{tmp_path}/again").done == 2
    assert pixels_in(tmp_path / "again") == here
    assert tidy(f"file://{tmp_path}/a b") == str(tmp_path / "a b")


def test_addresses_in_jobs_need_trust(run: Run, memory: Any, here: dict[str, str], tmp_path: Path) -> None:
    copied(memory, tmp_path / "jobs", "/bucket")
    jobs = tmp_path / "jobs" / "jobs.jsonl"
    jobs.write_text(jobs.read_text().replace('"photo-', '"memory://bucket/photo-'))
    assert run(jobs, tmp_path / "strict").failed == 2
    assert run(jobs, tmp_path / "trusting", trust_paths=True).done == 2
    assert pixels_in(tmp_path / "trusting") == here


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("a.png", "s3://bucket/in/a.png"),
        ("b/../a.png", "s3://bucket/in/a.png"),
        ("../a.png", None),
        ("/a.png", None),
        ("b/../../inner/a.png", None),
    ],
)
def test_names_below_a_folder_elsewhere(name: str, place: str | None) -> None:
    assert below("s3://bucket/in", name) == place


def test_what_is_not_there_has_no_stamp(memory: Any, tmp_path: Path) -> None:
    Image.new("L", (1, 1)).save(tmp_path / "a.png")
    memory.pipe_file("/a.png", b"1")
    assert stamp(str(tmp_path / "a.png")) and stamp("memory://a.png")
    assert [stamp(str(tmp_path / "b.png")), stamp("memory://b.png"), stamp("s3:///"), stamp(str(tmp_path))] == [""] * 4
