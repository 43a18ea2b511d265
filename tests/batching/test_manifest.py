"""The manifest is only appended to, and survives being cut off anywhere."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragonkit.batching.manifest import Manifest, Record
from dragonkit.errors import EditFileError

RECORDS = [
    Record("one", "d1", "done", 1.5, result="r"),
    Record("zwei ü", "d2", "failed", error="no\nmask", warnings=("a", "b")),
    Record("one", "d3", "done"),
]


def test_the_last_record_of_a_name_counts(tmp_path: Path) -> None:
    for record in RECORDS:
        with Manifest(tmp_path / "deep/m.jsonl") as manifest:
            manifest.add(record)
    with Manifest(tmp_path / "deep/m.jsonl") as manifest:
        assert manifest.status("one", "d3") == "done" and manifest.status("one", "d1") == "" and manifest.status("zwei ü", "d2") == "failed"
        assert "one" in manifest and "two" not in manifest
    lines = (tmp_path / "deep/m.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["job"] for line in lines] == ["one", "zwei ü", "one"]


@given(st.integers(min_value=0, max_value=400))
def test_cut_off_anywhere_it_goes_on(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    path = tmp_path_factory.mktemp("m") / "m.jsonl"
    with Manifest(path) as manifest:
        for record in RECORDS:
            manifest.add(record)
    whole = path.read_bytes()
    path.write_bytes(whole[:cut])
    complete = [json.loads(line) for line in whole[:cut].split(b"\n")[:-1]]
    with Manifest(path) as manifest:
        for data in complete[-1:]:
            assert manifest.status(data["job"], data["digest"]) == data["status"]
        manifest.add(Record("next", "d", "done"))
    with Manifest(path) as manifest:
        assert manifest.status("next", "d") == "done"
    assert path.read_bytes().startswith(whole[:cut])


def test_lines_of_another_kind_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "m.jsonl").write_text(
        '[1]\n3\nnull\n{"job": 1}\n\n{"job":"x","digest":"d","status":"done","warnings":[],"extra":1}\n', encoding="utf-8"
    )
    with Manifest(tmp_path / "m.jsonl") as manifest:
        assert "x" not in manifest


def test_where_it_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    for path in (tmp_path, tmp_path / "file/m.jsonl"):
        with pytest.raises(EditFileError, match="manifest"):
            Manifest(path)
