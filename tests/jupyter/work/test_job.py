"""Slow work runs on its own thread: it reports no more often than allowed, stops within a step, and loses no error."""

from __future__ import annotations

import subprocess
import sys
import threading
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from dragonkit.errors import Cancelled, EditError
from dragonkit.jupyter.work.job import EditJob, Progress, Watch, in_words
from dragonkit.modes.move import Move
from dragonkit.testing import tiny_editor

SOON = 20.0


class Clock:
    """Seconds that pass only when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def step(index: int, steps: int, energies: dict[str, float] | None = None, preview: Any = lambda: torch.zeros(1, 3, 4, 4)) -> Any:
    return SimpleNamespace(done=index + 1, total=steps, energies=energies or {}, glimpse=preview)


def test_start_returns_at_once_and_the_result_is_there_in_the_end() -> None:
    go, done = threading.Event(), []
    job = EditJob(on_done=done.append)
    job.start(lambda watch: go.wait(SOON) and "picture")
    assert job.running and job.result is None and done == []
    assert not job.wait(0.01)
    go.set()
    assert job.wait(SOON)
    assert (job.running, job.result, job.error, done) == (False, "picture", None, [job])


def test_a_second_start_is_refused_and_the_first_goes_on() -> None:
    go = threading.Event()
    job = EditJob()
    job.start(lambda watch: go.wait(SOON) and 1)
    with pytest.raises(EditError, match=r"still going on.*press Cancel"):
        job.start(lambda watch: 2)
    go.set()
    assert job.wait(SOON) and job.result == 1
    job.start(lambda watch: 2)
    assert job.wait(SOON) and job.result == 2


def test_an_error_is_kept_and_the_next_run_forgets_it() -> None:
    error = RuntimeError("boom")

    def fail(watch: Watch) -> None:
        raise error

    job = EditJob()
    job.start(fail)
    assert job.wait(SOON) and job.error is error and job.result is None
    job.start(lambda watch: 1)
    assert job.wait(SOON) and job.error is None and job.result == 1


def test_cancel_takes_effect_at_the_next_step() -> None:
    reached, go, seen = threading.Event(), threading.Event(), []

    def work(watch: Watch) -> None:
        for index in range(5):
            watch.on_step(step(index, 5))
            seen.append(index)
            if index == 1:
                reached.set()
                go.wait(SOON)

    job = EditJob()
    job.start(work)
    assert reached.wait(SOON)
    job.cancel()
    go.set()
    assert job.wait(SOON)
    assert isinstance(job.error, Cancelled) and seen == [0, 1]


def test_a_cancel_of_nothing_does_not_hit_the_next_run() -> None:
    job = EditJob()
    job.cancel()
    job.start(lambda watch: watch.check())
    assert job.wait(SOON) and job.error is None


def test_progress_and_previews_come_no_more_often_than_allowed() -> None:
    clock, progress, previews, decoded = Clock(), [], [], []

    def preview() -> torch.Tensor:
        decoded.append(1)
        return torch.ones(1, 3, 6, 4)

    watch = Watch(threading.Event(), lambda one: progress.append((clock.now, one)), lambda one: previews.append((clock.now, one)), clock)
    for index in range(200):  # 5 seconds at 40 steps a second
        clock.now = 100 + index / 40
        watch.on_step(step(index, 200, preview=preview))
    for times, most in (([time for time, _ in progress], 10), ([time for time, _ in previews], 2)):
        assert 0.8 * most * 5 <= len(times) <= most * 5
        for start in times:
            assert sum(start <= time < start + 1 for time in times) <= most
    assert len(decoded) == len(previews), "what nobody looks at is not made"
    picture = previews[0][1]
    assert isinstance(picture, Image.Image) and picture.size == (4, 6)


def test_progress_says_how_far_and_how_long() -> None:
    clock, got = Clock(), []
    watch = Watch(threading.Event(), got.append, clock=clock)
    for index in range(3, 6):  # the first steps may be given by anchors
        watch.on_step(step(index, 10, {"move.edit": float(index)}))
        clock.now += 2
    assert got == [
        Progress(4, 10, None, {"move.edit": 3.0}),
        Progress(5, 10, 10.0, {"move.edit": 4.0}),
        Progress(6, 10, 8.0, {"move.edit": 5.0}),
    ]
    watch.on_progress(1, 4)  # another loop begins: its time is its own
    clock.now += 1
    watch.on_progress(2, 4)
    assert got[3:] == [Progress(1, 4), Progress(2, 4, 2.0)]


def test_waiting_ends_when_ready_or_cancelled() -> None:
    cancelled, looks = threading.Event(), iter([False, False, True])
    watch = Watch(cancelled, lambda progress: None)
    watch.wait_for(lambda: next(looks))
    cancelled.set()
    with pytest.raises(Cancelled):
        watch.wait_for(lambda: False)


def test_a_draft_is_a_preview_of_modest_size() -> None:
    clock, previews, cancelled = Clock(), [], threading.Event()
    watch = Watch(cancelled, lambda progress: None, previews.append, clock)
    large = Image.new("RGB", (4000, 3000))
    watch.on_draft(large)
    assert [one.size for one in previews] == [(512, 384)] and large.size == (4000, 3000)
    watch.on_step(step(0, 5, preview=lambda: pytest.fail("too soon")))
    cancelled.set()
    with pytest.raises(Cancelled):
        watch.on_draft(large)


def test_an_edit_reports_previews_and_can_be_cancelled() -> None:
    editor = tiny_editor("dragonkit.modes.move")
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8))
    mask = np.zeros((32, 32), bool)
    mask[8:16, 8:16] = True
    edit, progress, previews = Move(mask=mask, shift=(8, 4)), [], []
    job = EditJob(progress.append, previews.append)
    job.start(lambda watch: editor.edit(picture, edit, on_step=watch.on_step))
    assert job.wait(SOON) and job.error is None
    assert job.result.image.tobytes() == editor.edit(picture, edit).image.tobytes()
    assert progress[0].steps == 4 and previews[0].size == (32, 32)

    job = EditJob(lambda one: job.cancel())
    job.start(lambda watch: editor.edit(picture, edit, on_step=watch.on_step))
    assert job.wait(SOON) and isinstance(job.error, Cancelled) and job.result is None


@pytest.mark.processes
def test_the_end_of_the_program_stops_jobs_within_a_step() -> None:
    code = (
        "import time; from dragonkit.jupyter.work.job import EditJob; begun = []\n"
        "def work(watch):\n"
        "    for index in range(600):\n"
        "        begun.append(index); time.sleep(0.05); watch.on_progress(index, 600)\n"
        "job = EditJob(on_done=lambda job: print(type(job.error).__name__, flush=True)); job.start(work)\n"
        "while not begun: time.sleep(0.01)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=SOON)
    assert (done.returncode, done.stdout, done.stderr) == (0, "Cancelled\n", "")


def test_errors_become_sentences() -> None:
    assert in_words(EditError("the mask is empty; paint one")) == "the mask is empty; paint one"
    assert in_words(ZeroDivisionError("division by zero\nmore")) == "something unexpected happened: ZeroDivisionError: division by zero"
    assert in_words(ValueError()) == "something unexpected happened: ValueError"
