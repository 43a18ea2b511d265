"""A batch does what is missing, once, whatever ended the call before, and never touches what is not its own."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock
from helpers.batches import FAST, pixels_in, records_in, write_jobs, write_pictures
from helpers.faults import state
from PIL import Image

import dragonkit as dk
from dragonkit.batching.guards import LOCK
from dragonkit.batching.manifest import Record
from dragonkit.batching.run import MANIFEST, Summary
from dragonkit.errors import EditError, EditFileError
from dragonkit.plugins.registry import PluginRegistry
from dragonkit.plugins.specs import hookimpl

Run = Callable[..., Summary]


def counts(summary: Summary) -> tuple[int, int, int, int]:
    return summary.done, summary.kept, summary.skipped, summary.failed


def change(jobs: Path, number: int, **values: Any) -> None:
    lines = jobs.read_text().splitlines()
    lines[number] = json.dumps({**json.loads(lines[number]), **values})
    jobs.write_text("\n".join(lines))


def test_a_second_call_does_what_is_missing_and_what_has_changed(run: Run, tmp_path: Path) -> None:
    jobs, out = write_jobs(tmp_path / "jobs", 4, 2), tmp_path / "out"
    seen: list[Record] = []
    assert counts(run(jobs, on_record=seen.append)) == (4, 0, 0, 0)
    assert [record.job for record in seen] == sorted(pixels_in(out)) == ["job-0", "job-1", "job-2", "job-3"]
    assert set(state(out)) == {*(f"job-{number}.png" for number in range(4)), MANIFEST, LOCK}
    before, lines = pixels_in(out), (out / MANIFEST).read_bytes()
    assert counts(run(jobs)) == (0, 0, 4, 0)
    assert (out / MANIFEST).read_bytes() == lines
    (out / "job-0.png").unlink()
    change(jobs, 1, edits=[{"mode": "move", "mask": "mask-0.png", "shift": [5, 5]}])
    Image.new("RGB", (32, 32), "blue").save(jobs.parent / "photo-1.png")
    assert counts(run(jobs)) == (4, 0, 0, 0)
    after = pixels_in(out)
    assert [before[name] == after[name] for name in sorted(after)] == [True, False, False, False]
    assert (out / MANIFEST).read_bytes().startswith(lines)


def test_a_result_is_what_the_editor_makes_of_the_edit_file(run_real: Run, model: str, tmp_path: Path) -> None:
    jobs = write_jobs(tmp_path / "jobs", 1)
    run_real(jobs)
    values = json.loads(jobs.read_text())
    del values["name"]
    file = dk.EditFile.loads(json.dumps({"model": "tiny", **values}), folder=jobs.parent)
    alone = dk.Editor.from_pretrained(model).run(file)
    with Image.open(tmp_path / "out" / "job-0.png") as result:
        assert list(result.getdata()) == list(alone.image.getdata())


def test_order_neighbours_and_restarts_change_no_pixel(run_real: Run, tmp_path: Path) -> None:
    jobs = write_jobs(tmp_path / "jobs", 3, 2, steps=1, hold=0)
    run_real(jobs)
    lines = jobs.read_text().splitlines()
    jobs.write_text("\n".join(reversed(lines)))
    run_real(jobs, tmp_path / "reversed")
    for line in lines[1:]:
        jobs.write_text(line)
        run_real(jobs, tmp_path / "single")
    assert pixels_in(tmp_path / "out") == pixels_in(tmp_path / "reversed")
    assert pixels_in(tmp_path / "single").items() < pixels_in(tmp_path / "out").items()


def test_settings_on_top_are_part_of_what_is_asked_for(run: Run, tmp_path: Path) -> None:
    jobs = write_jobs(tmp_path / "jobs", 1)
    run(jobs)
    assert counts(run(jobs, settings=dk.Settings(seed=3))) == (1, 0, 0, 0)
    assert dk.EditFile.load(tmp_path / "out" / "job-0.png").settings.seed == 3
    assert counts(run(jobs, settings=dk.Settings(seed=3))) == (0, 0, 1, 0)


def test_what_a_batchs_schedule_leaves_out_is_the_jobs(run: Run, tmp_path: Path) -> None:
    """As with an edit file's settings anywhere else."""
    jobs = write_jobs(tmp_path / "jobs", 1)
    run(jobs, settings=dk.Settings(schedule="every=2"))  # type: ignore[arg-type]
    schedule = dk.EditFile.load(tmp_path / "out" / "job-0.png").settings.schedule
    assert (schedule.every, schedule.span) == (2, (0, 0))


@pytest.mark.parametrize("metadata", ["edit", "none"])
def test_a_result_that_was_written_before_the_end_could_be_told_is_kept(run: Run, tmp_path: Path, metadata: str) -> None:
    jobs, out = write_jobs(tmp_path / "jobs", 2), tmp_path / "out"
    run(jobs, metadata=metadata)
    lines = (out / MANIFEST).read_bytes()
    (out / MANIFEST).write_bytes(lines[: lines.index(b"\n") + 20])
    before = {name: os.stat(out / name).st_mtime_ns for name in ("job-0.png", "job-1.png")}
    assert counts(run(jobs, metadata=metadata)) == (0, 1, 1, 0)
    assert {name: os.stat(out / name).st_mtime_ns for name in before} == before
    assert counts(run(jobs, metadata=metadata)) == (0, 0, 2, 0)


@pytest.mark.parametrize("metadata", ["edit", "none"])
def test_nothing_that_is_not_ours_is_written_over(run: Run, tmp_path: Path, metadata: str) -> None:
    jobs, out = write_jobs(tmp_path / "jobs", 3), tmp_path / "out"
    out.mkdir()
    Image.new("RGB", (3, 3)).save(out / "job-0.png")
    (out / "job-1.png").write_bytes(b"notes")
    theirs = state(out)
    assert counts(run(jobs, metadata=metadata)) == (1, 0, 0, 2)
    assert theirs.items() < state(out).items()
    assert ["is there already" in record.error for record in records_in(out)] == [True, True, False]
    Image.new("RGB", (3, 3)).save(out / "job-2.png")  # somebody else's now, where ours was
    change(jobs, 2, settings={**FAST, "seed": 7})
    theirs = state(out)
    assert counts(run(jobs, metadata=metadata)) == (0, 0, 0, 3)
    assert {name: state(out)[name] for name in theirs if name != MANIFEST} == {name: theirs[name] for name in theirs if name != MANIFEST}


def test_another_batch_into_the_folder_replaces_no_result_of_the_first(run: Run, tmp_path: Path) -> None:
    jobs = write_jobs(tmp_path / "jobs", 2)
    run(jobs)
    before, other = pixels_in(tmp_path / "out"), jobs.with_name("other.jsonl")
    other.write_text(jobs.read_text())
    change(other, 0, settings={**FAST, "seed": 7})
    change(other, 0, edits=[{"mode": "move", "mask": "mask-0.png", "shift": [6, 6]}])
    assert counts(run(other)) == (0, 1, 0, 1)
    assert pixels_in(tmp_path / "out") == before
    assert counts(run(jobs)) == (0, 0, 2, 0)


def test_a_bad_job_is_one_failed_line(run: Run, tmp_path: Path) -> None:
    jobs, out = write_jobs(tmp_path / "jobs", 6), tmp_path / "out"
    (jobs.parent / "photo-0.png").write_bytes(b"no picture")
    (jobs.parent / "mask-1.png").unlink()
    change(jobs, 2, edits=[{"mode": "fly"}])
    change(jobs, 3, settings={"steps": -1})
    change(jobs, 4, image="../../photo.png")
    assert counts(run(jobs)) == (1, 0, 0, 5)
    failed = [record for record in records_in(out) if record.status == "failed"]
    phrases = ["format", "no mask file", "mode 'fly'", "steps", "lies outside"]
    assert [record.job for record in failed] == [f"job-{number}" for number in range(5)]
    assert all(phrase in record.error for phrase, record in zip(phrases, failed, strict=True))
    lines = (out / MANIFEST).read_bytes()
    assert counts(run(jobs)) == (0, 0, 1, 5)
    assert (out / MANIFEST).read_bytes() == lines
    write_pictures(jobs.parent, 6)  # what changes is tried again by itself
    assert counts(run(jobs)) == (2, 0, 1, 3)
    assert counts(run(jobs, retry_failed=True)) == (0, 0, 3, 3)
    assert len(records_in(out)) == 6 + 2 + 3


def test_a_plugin_that_fails_costs_its_job_only(run_real: Run, registry: PluginRegistry, tmp_path: Path) -> None:
    class Broken:
        @hookimpl
        def dragonkit_step(self) -> None:
            raise RuntimeError("on purpose")

    jobs = write_jobs(tmp_path / "jobs", 2)
    registry.register(Broken(), "broken")
    assert counts(run_real(jobs)) == (0, 0, 0, 2)
    assert all("on purpose" in record.error for record in records_in(tmp_path / "out"))


def test_a_model_that_is_not_there_is_looked_for_once(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    load = dk.Editor.from_pretrained

    def counted(*args: Any, **more: Any) -> Any:
        calls.append(args)
        return load(*args, **more)

    monkeypatch.setattr("dragonkit.editing.editor.Editor.from_pretrained", counted)
    assert counts(run(write_jobs(tmp_path / "jobs", 3), model="toybix")) == (0, 0, 0, 3)
    assert len(calls) == 1


def test_max_errors_ends_the_run(run: Run, tmp_path: Path) -> None:
    jobs = write_jobs(tmp_path / "jobs", 4)
    for number in range(3):
        (jobs.parent / f"photo-{number}.png").write_bytes(b"no picture")
    summary = run(jobs, max_errors=2)
    assert counts(summary) == (0, 0, 0, 2)
    assert summary.stopped == "2 jobs failed"
    summary = run(jobs, max_errors=2)  # failures of before are none of this run's
    assert (counts(summary), summary.stopped) == ((1, 0, 0, 3), "")


def test_names_are_given_once(run: Run, tmp_path: Path) -> None:
    jobs = write_jobs(tmp_path / "jobs", 3)
    for number in range(3):
        change(jobs, number, name="twin")
    assert counts(run(jobs)) == (1, 0, 0, 2)
    assert [record.job for record in records_in(tmp_path / "out")] == [
        "twin",
        "twin (again, jobs.jsonl, line 2)",
        "twin (again, jobs.jsonl, line 3)",
    ]
    assert counts(run(jobs)) == (0, 0, 1, 2)


def test_a_link_leads_nothing_out_of_the_folder(run: Run, tmp_path: Path) -> None:
    jobs, out = write_jobs(tmp_path / "jobs", 2), tmp_path / "out"
    (tmp_path / "elsewhere").mkdir()
    out.mkdir()
    (out / "sub").symlink_to(tmp_path / "elsewhere")
    (out / "job-1.png").symlink_to(tmp_path / "elsewhere" / "job-1.png")
    change(jobs, 0, name="sub/job-0")
    assert counts(run(jobs)) == (0, 0, 0, 2)
    assert all("outside" in record.error for record in records_in(out))
    assert not list((tmp_path / "elsewhere").iterdir())


def test_two_batches_into_one_folder_are_refused_while_the_first_lives(run: Run, tmp_path: Path) -> None:
    jobs = write_jobs(tmp_path / "jobs", 1)
    (tmp_path / "out").mkdir()
    with FileLock(tmp_path / "out" / LOCK), pytest.raises(EditFileError, match="another batch"):
        run(jobs)
    assert counts(run(jobs)) == (1, 0, 0, 0)  # the lock's file is there still, and nobody holds it


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_finishes_the_job_in_hand(run_real: Run, registry: PluginRegistry, tmp_path: Path, number: int) -> None:
    jobs = write_jobs(tmp_path / "jobs", 3)
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)

    class Stops:
        @hookimpl
        def dragonkit_step(self) -> None:
            if not (tmp_path / "out" / "job-0.png").exists():
                signal.raise_signal(number)

    registry.register(Stops(), "stops")
    summary = run_real(jobs)
    assert (counts(summary), summary.stopped) == ((1, 0, 0, 0), "interrupted" if number == signal.SIGINT else "terminated")
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    assert counts(run_real(jobs)) == (2, 0, 1, 0)


def test_a_second_ctrl_c_ends_at_once(run_real: Run, registry: PluginRegistry, tmp_path: Path) -> None:
    class Stops:
        @hookimpl
        def dragonkit_step(self) -> None:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    registry.register(Stops(), "stops")
    with pytest.raises(KeyboardInterrupt):
        run_real(write_jobs(tmp_path / "jobs", 2))
    assert not pixels_in(tmp_path / "out")


def test_wrong_arguments_are_told(run: Run, tmp_path: Path) -> None:
    jobs = write_jobs(tmp_path / "jobs", 1)
    for options in ({"engine": "rai"}, {"metadata": "all"}, {"workers": 0}, {"max_errors": 0}, {"gpus": -1.0}, {"threads": 0}):
        with pytest.raises(EditError):
            run(jobs, **options)
    with pytest.raises(EditFileError, match="would be jobs the next time"):
        run(jobs.parent, jobs.parent / "out")
    with pytest.raises(EditFileError, match="cannot be written"):
        run(jobs, jobs / "out")
    with pytest.raises(EditFileError, match="--manifest"):
        run(jobs, "memory://out")
    assert not (tmp_path / "out").exists()


# --- several at a time ----------------------------------------------------------------------------------------------------


def test_together_gives_what_each_gives_alone(run_real: Run, tmp_path: Path) -> None:
    jobs, seen = write_jobs(tmp_path / "jobs", 5), list[Record]()
    assert counts(run_real(jobs)) == (5, 0, 0, 0)
    assert counts(run_real(jobs, tmp_path / "together", together=2, on_record=seen.append)) == (5, 0, 0, 0)
    assert [one.job for one in seen] == [f"job-{number}" for number in range(5)] and all(one.seconds > 0 for one in seen)
    alone, together = (
        {path.name: np.asarray(Image.open(path), int) for path in (tmp_path / name).glob("*.png")} for name in ("out", "together")
    )
    assert alone.keys() == together.keys() and all(np.abs(alone[name] - together[name]).max() <= 1 for name in alone)
    assert counts(run_real(jobs, tmp_path / "together", together=3)) == (0, 0, 5, 0)


def test_together_calls_the_editor_once_for_what_is_alike(run_real: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, edit = list[int](), dk.Editor.edit

    def watched(self: dk.Editor, source: Any, *args: Any, **more: Any) -> Any:
        asked.append(len(source) if isinstance(source, list) else 1)
        return edit(self, source, *args, **more)

    monkeypatch.setattr(dk.Editor, "edit", watched)
    jobs = write_jobs(tmp_path / "jobs", 5)
    change(jobs, 1, settings={"steps": 3})
    assert counts(run_real(jobs, together=4)) == (5, 0, 0, 0)
    assert sorted(asked) == [1, 1, 3], "three are alike, one has other steps, and one is left over"


def test_a_job_that_fails_among_others_fails_alone(run_real: Run, registry: PluginRegistry, tmp_path: Path) -> None:
    class Broken:
        @hookimpl
        def dragonkit_energy_terms(self, edit: Any) -> None:
            if edit.shift == (1, 1):
                raise RuntimeError("on purpose")

    jobs = write_jobs(tmp_path / "jobs", 4)
    registry.register(Broken(), "broken")
    change(jobs, 0, image="gone.png")
    change(jobs, 2, edits=[{**json.loads(jobs.read_text().splitlines()[2])["edits"][0], "shift": [1, 1]}])
    assert counts(run_real(jobs, together=4)) == (2, 0, 0, 2)
    failed = {record.job: record.error for record in records_in(tmp_path / "out") if record.status == "failed"}
    assert "gone.png" in failed["job-0"] and "on purpose" in failed["job-2"]


def test_together_is_for_one_process(run: Run, tmp_path: Path) -> None:
    with pytest.raises(EditError, match="edits one job at a time in each worker"):
        run(write_jobs(tmp_path / "jobs", 1), engine="ray", together=2)
    with pytest.raises(EditError, match="together and max_errors must be 1 or more"):
        run(write_jobs(tmp_path / "jobs", 1), together=0)
