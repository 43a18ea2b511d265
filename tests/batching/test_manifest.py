"""The manifest is only appended to, whatever cuts it off, and knows whose result is there."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.faults import full_after

from dragonkit.batching.manifest import Before, Manifest, Record
from dragonkit.errors import EditFileError

A, B = "a" * 64, "b" * 64
DONE = Record("fish/1", "jobs.jsonl", "e" * 32, "f" * 32, "done", 1.5, warnings=("one", "two"), result=A)


def open_manifest(path: Path, batch: str = "jobs.jsonl") -> Manifest:
    return Manifest(path / "manifest.jsonl", batch)


def test_what_was_added_is_known_the_next_time(tmp_path: Path) -> None:
    with open_manifest(tmp_path / "out") as manifest:
        assert manifest.before("fish/1", DONE.edit, DONE.inputs) == Before()
        manifest.add(DONE)
    with open_manifest(tmp_path / "out") as manifest:
        assert manifest.before("fish/1", DONE.edit, DONE.inputs) == Before("done", A[:32])
        assert manifest.before("fish/1", "0" * 32, DONE.inputs) == Before("", A[:32])
        assert manifest.before("fish/1", DONE.edit, "0" * 32) == Before("", A[:32])
        assert manifest.before("fish/2", DONE.edit, DONE.inputs) == Before()
    assert Record.from_json((tmp_path / "out" / "manifest.jsonl").read_text()) == DONE


def test_a_failure_leaves_the_result_that_was_there(tmp_path: Path) -> None:
    with open_manifest(tmp_path) as manifest:
        manifest.add(DONE)
        manifest.add(Record("fish/1", "jobs.jsonl", "0" * 32, "f" * 32, "failed", error="no"))
        assert manifest.before("fish/1", "0" * 32, "f" * 32) == Before("failed", A[:32])


def test_another_batch_knows_nothing_of_it(tmp_path: Path) -> None:
    with open_manifest(tmp_path) as manifest:
        manifest.add(DONE)
    with open_manifest(tmp_path, "others.jsonl") as manifest:
        assert manifest.before("fish/1", DONE.edit, DONE.inputs) == Before()


def test_a_line_that_was_cut_off_anywhere_spoils_no_other(tmp_path: Path) -> None:
    line = (DONE.to_json() + "\n").encode()
    second = Record("fish/2", "jobs.jsonl", "c" * 32, "d" * 32, "done", result=B)
    for end in range(len(line)):
        path = tmp_path / str(end)
        path.mkdir()
        (path / "manifest.jsonl").write_bytes(line + line[:end])
        before = (path / "manifest.jsonl").read_bytes()
        with open_manifest(path) as manifest:
            assert manifest.before("fish/1", DONE.edit, DONE.inputs).status == "done"
            manifest.add(second)
        assert (path / "manifest.jsonl").read_bytes().startswith(before)
        with open_manifest(path) as manifest:
            assert manifest.before("fish/1", DONE.edit, DONE.inputs).status == "done"
            assert manifest.before("fish/2", second.edit, second.inputs).status == "done"


@pytest.mark.parametrize("line", [b"{}", b"[]", b"\xff\xfe", b"null", b'{"job": 1}', DONE.to_json().replace("done", "eaten").encode()])
def test_lines_of_others_are_passed_over(tmp_path: Path, line: bytes) -> None:
    (tmp_path / "manifest.jsonl").write_bytes(line + b"\n" + DONE.to_json().encode() + b"\n")
    with open_manifest(tmp_path) as manifest:
        assert manifest.before("fish/1", DONE.edit, DONE.inputs).status == "done"


@pytest.mark.parametrize("size", [0, 1, 100, 290, 400])
def test_a_full_disk_is_told_and_the_rest_goes_on_with_room(tmp_path: Path, size: int) -> None:
    with open_manifest(tmp_path) as manifest:
        with full_after(size), pytest.raises(EditFileError, match="Make room"):
            manifest.add(DONE)
            manifest.add(DONE)
        manifest.add(Record("fish/2", "jobs.jsonl", "c" * 32, "d" * 32, "done", result=B))
    with open_manifest(tmp_path) as manifest:
        assert manifest.before("fish/2", "c" * 32, "d" * 32).status == "done"


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "manifest.jsonl").mkdir()
    with pytest.raises(EditFileError, match="cannot be used"):
        open_manifest(tmp_path)
