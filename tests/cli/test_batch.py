"""`dragonkit batch`: one command for ten thousand pictures, with exit codes, quiet logs and a way to go on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.batches import FAST, pixels_in, records_in, write_jobs, write_pictures
from typer.testing import Result

Invoke = Callable[..., Result]
EDIT = {"model": "toybox", "seed": 1, "settings": FAST, "edits": [{"mode": "move", "mask": "none.png", "shift": [4, 2]}]}


def test_jobs_are_done_and_counted(invoke: Invoke, tiny_model_folder: str, tmp_path: Path) -> None:
    jobs, out = write_jobs(tmp_path / "jobs", 2), tmp_path / "out"
    words = ["batch", str(jobs), "-o", str(out), "--model", tiny_model_folder]
    result = invoke(words)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "2 done, 0 kept, 0 done before, 0 failed" in result.stdout
    result = invoke(words, "--json")
    assert {key: json.loads(result.stdout)[key] for key in ("done", "skipped", "failed", "stopped")} == {
        "done": 0,
        "skipped": 2,
        "failed": 0,
        "stopped": "",
    }


def test_failures_are_told_and_in_the_exit_code_also_when_quiet(invoke: Invoke, tiny_model_folder: str, tmp_path: Path) -> None:
    jobs, out = write_jobs(tmp_path / "jobs", 3), tmp_path / "out"
    for number in (0, 1):
        (jobs.parent / f"photo-{number}.png").write_bytes(b"no picture")
    words = ["batch", str(jobs), "-o", str(out), "--model", tiny_model_folder, "--quiet"]
    result = invoke(words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert [line.split(":")[1] for line in result.stderr.splitlines()] == [" job-0", " job-1"]
    assert "failed before" in invoke(words).stderr
    result = invoke(words, "--retry-failed", "--max-errors", "1")
    assert result.exit_code == 2
    assert "the same command goes on" in result.stderr


def test_one_edit_for_many_pictures_with_masks_by_name(
    invoke: Invoke, tiny_model_folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_pictures(tmp_path / "photos", 3)
    (tmp_path / "photos" / "masks").mkdir()
    for number in range(2):
        (tmp_path / "photos" / f"mask-{number}.png").rename(tmp_path / "photos" / "masks" / f"photo-{number}.png")
    (tmp_path / "edit.json").write_text(json.dumps(EDIT))
    monkeypatch.chdir(tmp_path)
    words = ["batch", "edit.json", "--images", "photos/photo-*.png", "-o", "out", "--model", tiny_model_folder]
    result = invoke(words, "--masks", "masks/{stem}.png")
    assert result.exit_code == 2  # the third has no mask
    assert set(pixels_in(tmp_path / "out")) == {"photo-0", "photo-1"}
    assert "photo-2" in result.stderr


def test_a_selector_makes_the_masks_and_the_unsure_ones_are_listed(invoke: Invoke, tiny_model_folder: str, tmp_path: Path) -> None:
    pytest.importorskip("cv2")
    write_pictures(tmp_path / "photos", 2)
    (tmp_path / "edit.json").write_text(json.dumps(EDIT))
    words = ["batch", str(tmp_path / "edit.json"), "--images", f"{tmp_path}/photos/photo-*.png", "-o", str(tmp_path / "out")]
    result = invoke(words, "--model", tiny_model_folder, "--select", "wand", "--at", "0.7,0.8")
    assert result.exit_code == 0, result.stderr
    assert all(f"photo-{number}: look at the mask" in result.stderr for number in range(2))
    assert "2 with a mask to look at" in result.stdout
    assert all(record.unsure for record in records_in(tmp_path / "out"))
    result = invoke(words, "--model", tiny_model_folder, "--select", "wand", "--at", "0.38,0.44")  # in the red square
    assert (result.exit_code, result.stderr) == (0, "")
    assert invoke(words, "--select", "wand", "--at", "middle").exit_code == 2


@pytest.mark.parametrize(
    ("words", "phrase"),
    [
        (["no.jsonl"], "there is no file"),
        (["photo.png"], "jobs are in"),
        (["photo.png", "--images", "*.png"], "carries no edit file"),
        (["no.jsonl", "--device", "cuda:x"], "--device"),
        (["no.jsonl", "--at", "1"], "there is no file"),
        (["no.jsonl", "--select", "object", "--at", "7,7"], "--at is '7,7'"),
        (["no.jsonl", "--engine", "rai"], "Did you mean 'ray'"),
        (["no.jsonl", "--preset", "papr"], "papr"),
    ],
)
def test_what_makes_no_sense_is_refused_at_once(refuse: Callable[..., str], words: list[str], phrase: str) -> None:
    assert phrase in refuse("batch", words, "--out", "out")


@pytest.mark.slow
def test_ctrl_c_ends_with_how_to_go_on(tiny_model_folder: str, tmp_path: Path) -> None:
    jobs, out = write_jobs(tmp_path / "jobs", 500, 1), tmp_path / "out"
    words = ["batch", str(jobs), "-o", str(out), "--model", tiny_model_folder]
    process = subprocess.Popen(
        [sys.executable, "-m", "dragonkit", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ}
    )
    while not (out / "job-0.png").exists() and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    said, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the same command goes on where it was" in told
    assert 1 <= len(records_in(out)) < 500
    assert f"{len(records_in(out))} done" in said
    assert len(pixels_in(out)) == len(records_in(out))
