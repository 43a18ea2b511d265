"""Files written whole or not at all, and names that are free: what was there before is only ever replaced by something finished."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["check_writable", "free_name", "replacing", "replacing_folder", "write_picture", "write_text"]

PART = ".dragonkit-{}.part"
"""What a file is called while it is written; short, as the name that it will get may be as long as the disk allows."""


@contextmanager
def replacing(path: str | os.PathLike[str], overwrite: bool = True) -> Iterator[IO[bytes]]:
    """A new file, open for writing, that takes the place of `path` when the block ends without an error.

    It lies in the same folder until then, and is on the disk before it gets its name. After an error or Ctrl-C it is gone, and what was at
    `path` is as it was. A link stays a link: what it leads to is replaced. Missing folders are made.

    Raises:
        FileExistsError: `overwrite` is False, and there is something, or has come to be meanwhile.
        OSError: it cannot be written.
    """
    target = _checked_target(Path(path), overwrite)
    _make_folder(target.parent)
    part = target.parent / PART.format(secrets.token_hex(6))
    # open with O_EXCL and not tempfile, which lets only the owner read
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        with os.fdopen(descriptor, "wb") as file:
            with suppress(FileNotFoundError):
                os.chmod(part, stat.S_IMODE(target.stat().st_mode))
            yield file
            file.flush()
            os.fsync(file.fileno())
        _take_place(part, target, overwrite)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)


def write_text(path: str | os.PathLike[str], text: str, overwrite: bool = True) -> None:
    """Write UTF-8 text as `replacing` does."""
    data = text.encode()  # before anything is opened: a lone surrogate cannot be written
    with replacing(path, overwrite) as file:
        file.write(data)


@contextmanager
def replacing_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A new folder whose files join the folder `path`, or take the place of those there, when the block ends without an error.

    The old folder stays whole until the new one is, and then makes room in one step. OSError if that cannot be done.
    """
    target = Path(os.path.realpath(path))
    _make_folder(target.parent)
    part, old = (target.parent / PART.format(secrets.token_hex(6)) for _ in range(2))
    part.mkdir()
    try:
        yield part
        if target.exists():
            _bring_along(target, part)
        for file in part.rglob("*"):
            _sync(file)
        if target.exists():
            target.rename(old)
        part.rename(target)
    except BaseException:
        if old.exists() and not target.exists():
            old.rename(target)
        shutil.rmtree(part, ignore_errors=True)
        raise
    _sync_folder(target.parent)
    shutil.rmtree(old, ignore_errors=True)


def write_picture(path: str | os.PathLike[str], image: Image.Image) -> None:
    """Write a PNG as `replacing` does."""
    with replacing(path) as file:
        image.save(file, format="PNG")


def free_name(path: str | os.PathLike[str], siblings: Sequence[str] = (), first: int | None = None) -> Path:
    """The first of photo.png, photo-2.png, photo-3.png, ... that does not exist.

    Args:
        siblings: endings, in place of the name's own, that must be free as well.
        first: begin with this number instead of the plain name.
    """
    path, number = Path(path), 1 if first is None else first
    while True:
        stem = path.stem if number == 1 and first is None else f"{path.stem}-{number}"
        if not any(os.path.lexists(path.with_name(stem + ending)) for ending in (path.suffix, *siblings)):
            return path.with_name(stem + path.suffix)
        number += 1


def check_writable(path: str | os.PathLike[str]) -> None:
    """OSError if a file cannot be written at `path`: a name too long, a link to nowhere, a folder in which nothing can be made.

    Nothing stays behind. Folders that are missing could be made.
    """
    target = _checked_target(Path(path), overwrite=True)
    folder = target.absolute().parent
    missing = [target.name]
    while not os.path.lexists(folder):
        missing.append(folder.name)
        folder = folder.parent
    if not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))
    # asking for permissions is not enough: a disk may be full or read-only, and may not take the name
    for name in missing:
        if os.path.lexists(folder / name):
            continue
        trial = folder / name
        os.close(os.open(trial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        trial.unlink()
    part = folder / PART.format(secrets.token_hex(6))
    os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
    part.unlink()


def _checked_target(path: Path, overwrite: bool) -> Path:
    """Where a file called `path` is written in truth; OSError if that is no place for a file."""
    try:
        if b"\0" in os.fsencode(path):
            raise ValueError
    except ValueError:
        raise OSError(errno.EINVAL, "no file can have this name", str(path)) from None
    if path.is_symlink() and overwrite:
        target = Path(os.path.realpath(path))
        if not os.path.lexists(target):
            raise FileNotFoundError(errno.ENOENT, "it is a link that leads nowhere", str(path))
        path = target
    try:
        there = path.lstat()
    except (FileNotFoundError, NotADirectoryError):  # nothing is there; whether it can be is seen when it is made
        return path
    if not overwrite:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
    if stat.S_ISDIR(there.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(there.st_mode):  # to replace a device or a pipe would take it away
        raise OSError(errno.EINVAL, "it is no ordinary file", str(path))
    if not os.access(path, os.W_OK):  # replacing would not ask
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    return path


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder)) from error


def _take_place(part: Path, target: Path, overwrite: bool) -> None:
    if overwrite:
        part.replace(target)
        return
    try:
        os.link(part, target)  # unlike a renaming it fails where something has come to be
    except OSError:  # or a disk without links
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from None
        part.replace(target)
    else:
        part.unlink()


def _bring_along(old: Path, new: Path) -> None:
    """Copy what only the old folder has."""
    for path in old.rglob("*"):
        place = new / path.relative_to(old)
        if path.is_file() and not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, place)


def _sync(path: Path) -> None:
    if path.is_file():
        with path.open("rb+") as file:
            os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Have the new name on the disk, too; where folders cannot be opened, the system sees to it."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
