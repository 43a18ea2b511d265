"""Whatever goes wrong while something is written, what was there is as it was, and nothing half is left."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.faults import full_after, interrupt, state

from dragonkit.files import check_writable, free_name, replacing, replacing_folder, write_text

OLD, NEW = b"old " * 1000, b"new " * 2000


def write(path: Path, overwrite: bool = True) -> None:
    with replacing(path, overwrite) as file:
        file.write(NEW[:5000])
        file.write(NEW[5000:])


def test_a_file_gets_its_name_when_it_is_whole(tmp_path: Path) -> None:
    place = tmp_path / "a" / "b.txt"
    with replacing(place) as file:
        file.write(NEW)
        assert not place.exists()
    assert state(tmp_path) == {"a": None, "a/b.txt": NEW}
    write_text(place, "ünlikely 魚")
    assert place.read_text("utf-8") == "ünlikely 魚"


@pytest.mark.parametrize("size", [0, 1, 4095, 4096, 5000, len(NEW) - 1])
@pytest.mark.parametrize("there", [True, False])
def test_a_full_disk_leaves_the_old_file(tmp_path: Path, size: int, there: bool) -> None:
    if there:
        (tmp_path / "file").write_bytes(OLD)
    before = state(tmp_path)
    with pytest.raises(OSError), full_after(size):
        write(tmp_path / "file")
    assert state(tmp_path) == before
    with full_after(len(NEW)):
        write(tmp_path / "file")
    assert state(tmp_path) == {"file": NEW}


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(), MemoryError(), OSError(errno.ENOSPC, "No space left on device")])
@pytest.mark.parametrize("where", ["body", "fsync", "replace"])
def test_what_ends_the_writing_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, where: str
) -> None:
    (tmp_path / "file").write_bytes(OLD)
    before = state(tmp_path)
    if where != "body":
        interrupt(monkeypatch, where, error)
    with pytest.raises(type(error)), replacing(tmp_path / "file") as file:
        file.write(NEW)
        if where == "body":
            raise error
    assert state(tmp_path) == before


KILLED = """
import sys
from dragonkit.files import replacing
for number in range(10**9):
    with replacing(sys.argv[1]) as file:
        for _ in range(50):
            file.write(bytes([number % 2 + 65]) * 20_000)
"""


@pytest.mark.processes
@pytest.mark.skipif(os.name == "nt", reason="kills")
def test_a_process_that_is_killed_leaves_a_whole_file(tmp_path: Path) -> None:
    """Twelve times, at moments that nobody chose."""
    place = tmp_path / "file"
    for number in range(12):
        process = subprocess.Popen([sys.executable, "-c", KILLED, str(place)])
        while not place.exists():
            time.sleep(0.005)
        time.sleep(0.01 * number)
        process.kill()
        process.wait()
        assert place.read_bytes() in (b"A" * 1_000_000, b"B" * 1_000_000)


def test_what_is_there_may_be_spared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(OLD)
    (tmp_path / "link").symlink_to("nowhere")
    before = state(tmp_path)
    for name in ("file", "link"):
        with pytest.raises(FileExistsError):
            write(tmp_path / name, overwrite=False)
    with pytest.raises(FileExistsError), replacing(tmp_path / "late", overwrite=False) as file:
        file.write(NEW)
        (tmp_path / "late").write_bytes(OLD)  # somebody else was quicker
    assert state(tmp_path) == {**before, "late": OLD}
    interrupt(monkeypatch, "link", OSError(errno.EPERM, "no links on this disk"))
    with pytest.raises(FileExistsError), replacing(tmp_path / "later", overwrite=False) as file:
        (tmp_path / "later").write_bytes(OLD)
    write(tmp_path / "new", overwrite=False)
    assert state(tmp_path) == {**before, "late": OLD, "later": OLD, "new": NEW}


def test_rights_stay_and_new_files_have_the_usual_ones(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    (tmp_path / "old").touch(mode=0o640)
    (tmp_path / "old").chmod(0o640)
    for name in ("old", "new"):
        write(tmp_path / name)
    assert stat.S_IMODE((tmp_path / "old").stat().st_mode) == 0o640
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "file").write_bytes(OLD)
    (tmp_path / "link").symlink_to("far/file")
    write(tmp_path / "link")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "far" / "file").read_bytes() == NEW
    assert sorted(state(tmp_path)) == ["far", "far/file", "link"]


def dangling(folder: Path) -> Path:
    (folder / "link").symlink_to("nowhere")
    return folder / "link"


def pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe")
    return folder / "pipe"


def below_a_file(folder: Path) -> Path:
    (folder / "file").write_bytes(OLD)
    return folder / "file" / "x"


def loop(folder: Path) -> Path:
    (folder / "loop").symlink_to("loop")
    return folder / "loop"


def folder_itself(folder: Path) -> Path:
    (folder / "folder").mkdir()
    return folder / "folder"


@pytest.mark.parametrize(
    "make",
    [
        dangling,
        loop,
        pipe,
        below_a_file,
        folder_itself,
        lambda folder: folder / ("x" * 300),
        lambda folder: folder / "missing" / ("ü" * 200) / "x",
        lambda folder: folder / "missing" / ("x" * 256),
        lambda folder: folder / "nu\0ll",
        lambda folder: folder / "sur\ud800rogate",
        lambda folder: Path("/proc/x"),
        lambda folder: Path("/dev/null"),
    ],
    ids=["dangling", "loop", "pipe", "below a file", "folder", "long", "long folder", "long below", "null", "surrogate", "proc", "device"],
)
@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs /proc, where even root cannot make files")
def test_names_that_cannot_be_written_are_known_before(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    place = make(tmp_path)
    before = {name: None for name in map(str, tmp_path.rglob("*"))}
    for attempt in (check_writable, write, lambda place: write(place, overwrite=False)):
        with pytest.raises(OSError) as caught:
            attempt(place)
        assert not isinstance(caught.value, FileExistsError) or os.path.lexists(place)
    assert {name: None for name in map(str, tmp_path.rglob("*"))} in (before, {**before, str(tmp_path / "missing"): None})


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_what_is_not_ours_to_write(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir()
    for name in ("closed/old", "read-only"):
        (tmp_path / name).write_bytes(OLD)
    (tmp_path / "read-only").chmod(0o400)
    (tmp_path / "closed").chmod(0o500)
    for name in ("closed/old", "closed/new", "read-only"):
        with pytest.raises(PermissionError):
            check_writable(tmp_path / name)
        with pytest.raises(PermissionError):
            write(tmp_path / name)
    assert (tmp_path / "read-only").read_bytes() == OLD


@pytest.mark.parametrize("name", ["new", "a/b/new", "old", "x" * 255, "ü" * 127], ids=lambda name: name[:8])
def test_what_can_be_written_is_left_alone_by_the_check(tmp_path: Path, name: str) -> None:
    (tmp_path / "old").write_bytes(OLD)
    before = state(tmp_path)
    check_writable(tmp_path / name)
    assert state(tmp_path) == before
    write(tmp_path / name)
    assert (tmp_path / name).read_bytes() == NEW


def test_free_names(tmp_path: Path) -> None:
    (tmp_path / "x.png").touch()
    (tmp_path / "x-2.json").touch()
    (tmp_path / "x-3.png").symlink_to("nowhere")
    assert free_name(tmp_path / "y.png") == tmp_path / "y.png"
    assert free_name(tmp_path / "x.png") == tmp_path / "x-2.png"
    assert free_name(tmp_path / "x.png", [".json"]) == tmp_path / "x-4.png"
    assert free_name(tmp_path / "y.png", first=1) == tmp_path / "y-1.png"
    assert free_name(tmp_path / ("x" * 300)).name == "x" * 300


def test_a_folder_comes_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "model"
    for number in (1, 2):
        with replacing_folder(place) as folder:
            (folder / "part").mkdir()
            (folder / "part" / "weights").write_bytes(b"%d" % number)
            assert number == 2 or not place.exists()
    (place / "card.md").write_text("mine")
    before = state(tmp_path)
    for error in (KeyboardInterrupt, OSError):
        with pytest.raises(error), replacing_folder(place) as folder:
            (folder / "part").mkdir()
            raise error
    renames: list[Path] = []
    rename = Path.rename

    def fail_second(self: Path, other: Path) -> Path:
        renames.append(other)
        if len(renames) == 2:
            raise KeyboardInterrupt
        return rename(self, other)

    monkeypatch.setattr(Path, "rename", fail_second)
    with pytest.raises(KeyboardInterrupt), replacing_folder(place) as folder:
        (folder / "part").mkdir()
    assert len(renames) == 3 and state(tmp_path) == before
    with replacing_folder(place) as folder:
        (folder / "part").mkdir()
        (folder / "part" / "weights").write_bytes(b"3")
    assert state(tmp_path) == {**before, "model/part/weights": b"3"}
