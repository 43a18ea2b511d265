"""Every kind of job file is read to the same jobs, and what is broken in it stops no other job."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from dragonkit.batching.jobs import Job, Select
from dragonkit.batching.opening import opened
from dragonkit.batching.reading import read_jobs
from dragonkit.errors import EditFileError
from dragonkit.plugins.registry import PluginRegistry

MOVE = {"image": "a.png", "edits": [{"mode": "move", "mask": "m.png", "shift": [8.0, -2.0]}]}


def test_lines_are_jobs_with_names_of_their_own_or_numbers(tmp_path: Path) -> None:
    file = tmp_path / "jobs.jsonl"
    file.write_text(json.dumps(MOVE) + "\n\n" + json.dumps({"name": "fish/7", "model": "m", **MOVE}), "utf-8-sig")
    first, second = read_jobs(file)
    assert (first.name, first.folder, first.values) == ("jobs-1", str(tmp_path), {"model": "toybox", **MOVE})
    assert (second.name, second.origin, second.values) == ("fish/7", "jobs.jsonl, line 3", {"model": "m", **MOVE})


@pytest.mark.parametrize("line", ["{", "[1]", "7", '"text"', "[" * 100_000, "\udcff", '{"name": 7}', '{"name": "../a"}', "NaN"])
def test_a_broken_line_is_a_broken_job_and_no_other_is(tmp_path: Path, line: str) -> None:
    file = tmp_path / "jobs.jsonl"
    file.write_text(f"{json.dumps(MOVE)}\n{line}\n{json.dumps(MOVE)}\n", errors="surrogateescape")
    jobs = list(read_jobs(file))
    assert [bool(job.broken) for job in jobs] == [False, True, False]
    assert [job.name for job in jobs] == ["jobs-1", "jobs-2", "jobs-3"]
    assert "jobs.jsonl, line 2" in jobs[1].broken


@pytest.mark.parametrize("name", ["", "/etc/x", "..", "a/../b", "a/./b", "a\\b", "a\0b", "C:x", "x" * 250, "a\nb", 3, None, ["a"]])
def test_no_name_leads_out_of_the_folder(tmp_path: Path, name: object) -> None:
    file = tmp_path / "jobs.jsonl"
    file.write_text(json.dumps({"name": name, **MOVE}))
    (job,) = read_jobs(file)
    assert job.name == "jobs-1"
    assert "name is" in job.broken


def test_a_table_has_a_row_for_each_job(tmp_path: Path) -> None:
    file = tmp_path / "jobs.csv"
    file.write_text(
        "name,image,prompt,mode,mask,shift,points,settings.steps,settings.keep\n"
        'one,a.png,"a fish, red",move,m.png,"8,-2",,5,energy\n'
        'two,a.png,,drag,m.png,,"1,2:3,4;5,6:7,8",,\n'
        "three,a.png,1,2,3,4,5,6,7,8,9\n"
    )
    one, two, three = read_jobs(file)
    assert one.values == {
        "model": "toybox",
        "image": "a.png",
        "prompt": "a fish, red",
        "settings": {"steps": 5, "keep": "energy"},
        "edits": [{"mode": "move", "mask": "m.png", "shift": [8.0, -2.0]}],
    }
    assert two.values["edits"] == [{"mode": "drag", "mask": "m.png", "points": [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]}]
    assert [one.name, two.name, bool(one.broken), bool(two.broken)] == ["one", "two", False, False]
    assert "more cells" in three.broken


def test_a_table_without_modes_is_refused(tmp_path: Path) -> None:
    (tmp_path / "jobs.csv").write_text("image,shift\na.png,3\n")
    with pytest.raises(EditFileError, match="one called mode"):
        read_jobs(tmp_path / "jobs.csv")


def test_a_folder_of_edit_files(tmp_path: Path) -> None:
    for name in ("b.json", "deep/a.edit.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(json.dumps(MOVE))
    (tmp_path / "c.json").write_text("{")
    (tmp_path / "notes.txt").write_text("no job")
    jobs = list(read_jobs(tmp_path))
    assert [(job.name, job.folder, bool(job.broken)) for job in jobs] == [
        ("b", str(tmp_path), False),
        ("c", str(tmp_path), True),
        ("deep/a", str(tmp_path / "deep"), False),
    ]


def test_one_edit_file_for_many_pictures(tmp_path: Path) -> None:
    (tmp_path / "edit.json").write_text(json.dumps({"model": "toybox", **MOVE}))
    for name in ("photos/b.jpg", "photos/deep/a.jpg", "photos/c.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_bytes(b"")
    photos = tmp_path / "photos"
    jobs = list(read_jobs(tmp_path / "edit.json", f"{photos}/**/*.jpg", "masks/{stem}-{name}.png"))
    assert [(job.name, job.picture, job.mask) for job in jobs] == [
        ("b", f"{photos}/b.jpg", f"{photos}/masks/b-b.jpg.png"),
        ("deep/a", f"{photos}/deep/a.jpg", f"{photos}/deep/masks/a-a.jpg.png"),
    ]
    (job, *_) = read_jobs(tmp_path / "edit.json", f"{photos}/*.jpg", select=Select("object", (0.2, 0.3)))
    assert (job.select, job.mask, job.trust_paths) == (Select("object", (0.2, 0.3)), "", False)


def test_paths_in_the_metadata_of_a_picture_are_never_followed(tmp_path: Path) -> None:
    for name in ("a.png", "m.png", "p.jpg"):
        Image.new("L", (8, 8), 255).save(tmp_path / name)
    for trust in (False, True):
        for mask in ("m.png", str(tmp_path / "m.png"), "../m.png"):
            edit = {"mode": "move", "mask": mask, "shift": [1, 1]}
            info = PngInfo()
            info.add_itxt("dragonkit", json.dumps({"model": "toybox", "image": "a.png", "edits": [edit]}))
            Image.new("L", (8, 8)).save(tmp_path / "result.png", pnginfo=info)
            (job,) = read_jobs(tmp_path / "result.png", f"{tmp_path}/p.jpg", trust_paths=trust)
            registry = PluginRegistry(discover=False)
            with opened(job, registry) as (file, _), pytest.raises(EditFileError, match=r"outside|no mask file"):
                registry.edits_from(file)


def test_what_is_no_jobs_is_refused(tmp_path: Path) -> None:
    (tmp_path / "edit.json").write_text(json.dumps({"model": "toybox", **MOVE}))
    with pytest.raises(EditFileError, match=r"no file .*with jobs"):
        read_jobs(tmp_path / "no.jsonl")
    with pytest.raises(EditFileError, match=r"\.jsonl or \.csv file or a folder"):
        read_jobs(tmp_path / "edit.json")
    with pytest.raises(EditFileError, match="no picture fits"):
        read_jobs(tmp_path / "edit.json", f"{tmp_path}/*.jpg")
    with pytest.raises(EditFileError, match="give --images"):
        read_jobs(tmp_path / "edit.json", masks="{stem}.png")
    with pytest.raises(EditFileError, match="--masks or --select"):
        read_jobs(tmp_path / "edit.json", "*.jpg", "{stem}.png", Select("object"))
    with pytest.raises(EditFileError, match="cannot be reached"):
        read_jobs("nowhere://jobs.jsonl")


def test_jobs_are_read_as_they_are_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "jobs.jsonl"
    file.write_text((json.dumps(MOVE) + "\n") * 100_000)
    assert [job.name for job in islice(read_jobs(file), 2)] == ["jobs-1", "jobs-2"]


def test_a_job_goes_anywhere_as_text() -> None:
    job = Job("a", MOVE, "/x", "jobs.jsonl, line 1", True, "", "p.png", "", Select("object", (0.1, 0.2)))
    assert Job.from_json(job.to_json()) == job
    assert Job.from_json(Job("b", MOVE).to_json()) == Job("b", MOVE)
