"""Jobs come from lines, tables, folders and patterns; what is wrong with one of them is told, and stops no other."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from batching.conftest import Lines, write_picture
from hypothesis import given
from hypothesis import strategies as st

from dragonkit.batching.jobs import Job, read_jobs
from dragonkit.errors import EditError, EditFileError
from dragonkit.plugins.registry import get_registry

Make = Callable[..., dict[str, Any]]


def test_lines_are_edit_files(lines: Lines, job: Make) -> None:
    first, second = read_jobs(lines(job(name="far/away.png"), "", job((0, 4))))
    assert (first.name, second.name) == ("far/away", "jobs-3")
    assert first.edit_file().prompt == "a fish" and second.origin == "jobs.jsonl, line 3"
    (edit,) = second.edit_file().edits_from(get_registry().edit_types())
    assert edit.shift == (0, 4)  # type: ignore[attr-defined]


@pytest.mark.parametrize("line", ["{", "[1]", "3", "\udcff", '{"edits": 3}', "[" * 100_000])
def test_a_bad_line_is_a_broken_job(lines: Lines, job: Make, folder: Path, line: str) -> None:
    path = lines(job())
    path.write_bytes(line.encode(errors="surrogateescape") + b"\n" + path.read_bytes())
    bad, good = read_jobs(path)
    with pytest.raises(EditError):
        bad.edit_file().edits_from(get_registry().edit_types())
    assert good.edit_file().prompt == "a fish"


@pytest.mark.parametrize("name", ["", "../up", "/etc/x", "a/../../b", "c\\d", "a\0b", ".", 3, ["x"], "..", "a/./b"])
def test_no_name_leads_out_of_the_folder(lines: Lines, job: Make, name: Any) -> None:
    (one,) = read_jobs(lines(job(name=name)))
    assert one.name == "jobs-1"
    with pytest.raises(EditFileError, match="must be a file's name"):
        one.edit_file()


@given(st.text(max_size=30))
def test_any_name_stays_below(name: str) -> None:
    from dragonkit.batching.jobs import _checked_name

    try:
        checked = _checked_name(name, "here")
    except EditFileError:
        return
    top = Path("/top")
    assert (top / f"{checked}.png").resolve().is_relative_to(top) and checked != "."


def test_a_table_has_fields_for_columns(folder: Path, tiny_model_folder: str) -> None:
    table = folder / "jobs.csv"
    rows = ["name,image,prompt,mode,mask,shift,points,settings.steps,model"]
    rows += [
        f'one,photo.png,"a red, fish",move,mask.png,"8,0",,2,{tiny_model_folder}',
        ',photo.png,,drag,mask.png,,"8,9:12,9 4,4:4,8",,',
        "a,b,c,d,e,f,g,h,i,j",
    ]
    table.write_text("\n".join(rows), encoding="utf-8")
    one, two, bad = read_jobs(table)
    types = get_registry().edit_types()
    (move,), (drag,) = one.edit_file().edits_from(types), two.edit_file().edits_from(types)
    assert (one.name, two.name) == ("one", "jobs-2") and one.edit_file().settings.steps == 2
    assert move.shift == (8, 0) and one.edit_file().prompt == "a red, fish"  # type: ignore[attr-defined]
    assert drag.points == (((8, 9), (12, 9)), ((4, 4), (4, 8)))  # type: ignore[attr-defined]
    with pytest.raises(EditFileError, match="row 3 has more cells"):
        bad.edit_file()
    table.write_text("image,mask\n", encoding="utf-8")
    with pytest.raises(EditFileError, match="needs one called mode"):
        list(read_jobs(table))


def test_a_folder_of_edit_files(folder: Path, job: Make) -> None:
    (folder / "edits/deep").mkdir(parents=True)
    (folder / "edits/b.edit.json").write_text(json.dumps(job(image="../photo.png")), encoding="utf-8")
    (folder / "edits/deep/a.json").write_text("nothing", encoding="utf-8")
    b, a = read_jobs(folder / "edits", trust_paths=True)
    assert (a.name, b.name) == ("deep/a", "b") and b.edit_file().prompt == "a fish"
    with pytest.raises(EditFileError, match="no edit file"):
        a.edit_file()
    (untrusted, _) = read_jobs(folder / "edits")
    with pytest.raises(EditError):  # it names a picture above its own folder
        untrusted.edit_file().photo()


def test_one_edit_for_many_pictures(folder: Path, job: Make) -> None:
    for place in ("in/one", "in/two", "in/deep/one"):
        write_picture(folder / f"photos/{place}.png", len(place))
        (folder / f"photos/{place}.mask").parent.mkdir(exist_ok=True)
    (folder / "edit.json").write_text(json.dumps(job()), encoding="utf-8")
    jobs = list(read_jobs(folder / "edit.json", "photos/**/*.png"))
    assert [one.name for one in jobs] == ["deep/one", "one", "two"]
    assert len({one.digest() for one in jobs}) == 3
    masked = list(read_jobs(folder / "edit.json", "photos/in/*.png", "../../{stem}-mask.png"))
    assert masked[0].values["edits"][0]["mask"] == str(folder / "photos/in/../../one-mask.png")
    for pattern in ("{stem", "{other}", "{stem.x}"):
        with pytest.raises(EditFileError, match="stand for"):
            list(read_jobs(folder / "edit.json", "photos/in/*.png", pattern))


@pytest.mark.parametrize(
    ("source", "images", "masks", "match"),
    [
        ("missing.jsonl", None, None, "no file"),
        ("photo.png", None, None, r"\.jsonl or \.csv"),
        ("photo.png", None, "{stem}", "give --images"),
        ("edit.json", "none/*.jpg", None, "no picture fits"),
    ],
)
def test_what_is_refused(folder: Path, job: Make, source: str, images: str | None, masks: str | None, match: str) -> None:
    (folder / "edit.json").write_text(json.dumps(job()), encoding="utf-8")
    with pytest.raises(EditFileError, match=match):
        list(read_jobs(folder / source, images, masks))


def test_a_digest_follows_what_is_asked_for(lines: Lines, job: Make, folder: Path) -> None:
    def digest(*jobs: Any) -> list[str]:
        return [one.digest() for one in read_jobs(lines(*jobs))]

    plain, named, other = digest(job(), job(name="x"), job((4, 0)))
    assert plain == named != other
    write_picture(folder / "photo.png", 5)
    assert digest(job())[0] != plain


def test_a_job_survives_being_sent(lines: Lines, job: Make) -> None:
    (one,) = read_jobs(lines(job(name="x")))
    assert Job.from_json(one.to_json()) == one
    assert np.array_equal(np.asarray(Job.from_json(one.to_json()).edit_file().photo().rgb), np.asarray(one.edit_file().photo().rgb))
