"""A job's hashes change when the job does, or a file that it names, and only then."""

from __future__ import annotations

import os
from pathlib import Path

from dragonkit.batching.jobs import Job, Select

VALUES = {"image": "a.png", "prompt": "b.png", "edits": [{"mode": "move", "mask": "m.png", "shift": [1, 2]}]}


def test_what_is_asked_for_and_what_is_read_have_a_hash_each(tmp_path: Path) -> None:
    for name in ("a.png", "m.png"):
        (tmp_path / name).write_bytes(name.encode())
    job = Job("j", VALUES, str(tmp_path))
    edit, inputs = job.hashes()
    assert job.hashes() == (edit, inputs)
    assert Job("another name", VALUES, str(tmp_path)).hashes() == (edit, inputs)
    assert job.hashes("other settings")[0] != edit
    assert Job("j", {**VALUES, "prompt": "c"}, str(tmp_path)).hashes()[0] != edit
    assert Job("j", VALUES, str(tmp_path), select=Select("object")).hashes()[0] != edit
    (tmp_path / "m.png").write_bytes(b"m.pnG")
    os.utime(tmp_path / "m.png", ns=(1, 1))
    assert job.hashes()[0] == edit
    assert job.hashes()[1] != inputs
    (tmp_path / "a.png").unlink()
    assert len({inputs, job.hashes()[1]}) == 2


def test_pictures_from_outside_count(tmp_path: Path) -> None:
    picture, mask = tmp_path / "p.jpg", tmp_path / "k.png"
    job = Job("j", VALUES, str(tmp_path / "edits"), picture=str(picture), mask=str(mask))
    seen = {job.hashes()[1]}
    for path in (picture, mask):
        path.write_bytes(b"1")
        seen.add(job.hashes()[1])
    assert len(seen) == 3


def test_files_that_may_not_be_followed_are_not_read(tmp_path: Path) -> None:
    inside = tmp_path / "jobs"
    inside.mkdir()
    (tmp_path / "secret.png").write_bytes(b"1")
    (inside / "a.png").symlink_to("../secret.png")
    values = {**VALUES, "image": "../secret.png"}
    strict, trusting = (Job("j", values, str(inside), trust_paths=trust) for trust in (False, True))
    before = strict.hashes(), Job("j", VALUES, str(inside)).hashes(), trusting.hashes()
    (tmp_path / "secret.png").write_bytes(b"23")
    assert (strict.hashes(), Job("j", VALUES, str(inside)).hashes()) == before[:2]
    assert trusting.hashes() != before[2]


def test_texts_that_are_no_paths_are_nothing_to_read() -> None:
    texts = ["/dev/zero", "a\0b", "x" * 5000, "two\nlines", "s3://bucket/a.png", "data:image/png;base64,AAAA", "sha256:" + "0" * 64]
    edit, inputs = Job("j", {"edits": [{"mode": text} for text in texts]}, "/").hashes()
    assert len(edit) == len(inputs) == 32
