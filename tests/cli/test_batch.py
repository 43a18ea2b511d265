"""`dragonkit batch`: what it prints, what it exits with."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.strict import read_json
from typer.testing import Result

Invoke = Callable[..., Result]


@pytest.fixture
def jobs(folder: Path) -> Path:
    edits = [{"mode": "move", "mask": "mask.png", "shift": [8, 0]}]
    job = {"model": "toybox", "image": "photo.png", "settings": {"steps": 2, "inversion_iterations": 1}, "edits": edits}
    (folder / "jobs.jsonl").write_text(f"{json.dumps(job)}\n{json.dumps({**job, 'image': 'none.png'})}\n", encoding="utf-8")
    return folder / "jobs.jsonl"


def test_a_batch_and_again(invoke: Invoke, jobs: Path, tiny_model_folder: str) -> None:
    call = ["batch", str(jobs), "-o", "out", "--model", tiny_model_folder]
    result = invoke(call)
    assert result.exit_code == 2  # a job failed
    assert "1 done, 0 kept, 0 done before, 1 failed" in result.stdout and "none.png" in result.stderr
    assert Path("out/jobs-1.png").is_file() and Path("out/manifest.jsonl").is_file()
    again = read_json(invoke(call, "--json").stdout)
    assert (again["done"], again["skipped"], again["failed"]) == (0, 1, 1)
    jobs.write_text(jobs.read_text(encoding="utf-8").splitlines()[0], encoding="utf-8")
    quiet = invoke(call, "--quiet")
    assert (quiet.exit_code, quiet.stdout, quiet.stderr) == (0, "", "")


def test_pictures_by_a_pattern(invoke: Invoke, jobs: Path, tiny_model_folder: str) -> None:
    first = invoke(
        "move", "photo.png", "--mask", "mask.png", "--shift", "8,0", "--steps", "2", "--model", tiny_model_folder, "-o", "first.png"
    )
    assert first.exit_code == 0, first.stderr
    result = invoke("batch", "first.png", "--images", "ph*.png", "-o", "out", "--model", tiny_model_folder)
    assert result.exit_code == 0, result.stderr
    assert Path("out/photo.png").is_file()


def test_what_is_refused(refuse: Callable[..., str], jobs: Path) -> None:
    assert "no file" in refuse("batch", "none.jsonl", "-o", "out")
    assert "engine is 'rya'" in refuse("batch", str(jobs), "-o", "out", "--engine", "rya")
