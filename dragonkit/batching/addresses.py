"""Files here and elsewhere: paths of this machine, and addresses such as s3://bucket/photo.jpg, which fsspec reads and writes."""

from __future__ import annotations

import hashlib
import os
import posixpath
import re
import shutil
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import IO, Any

from dragonkit.errors import EditFileError
from dragonkit.imaging.opening import open_file
from dragonkit.words import short

__all__ = ["below", "fetch", "filesystem", "is_remote", "open_any", "stamp", "tidy"]

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://")


def tidy(path: str | os.PathLike[str]) -> str:
    """An absolute path of this machine, also of a file:// address; any other address as it is."""
    text = os.fspath(path)
    if text.startswith(("file://", "local://")):
        text = text.partition("://")[2]
    return text if is_remote(text) else os.path.abspath(text)


def is_remote(path: str) -> bool:
    """Whether it is an address, and not a path of this machine."""
    return _ADDRESS.match(path) is not None


def filesystem(path: str) -> tuple[Any, str]:
    """fsspec's file system of an address or path, and what that calls it. EditFileError where there is none."""
    import fsspec

    try:
        return fsspec.core.url_to_fs(path)  # type: ignore[no-any-return]
    except (ImportError, OSError, ValueError) as error:
        raise EditFileError(f"{short(path)} cannot be reached: {error}. Check the address, or install what it needs.") from error


def open_any(path: str) -> IO[bytes]:
    """A file here or elsewhere, open for reading. OSError for anything but an ordinary file."""
    if not is_remote(path):
        return open_file(path)
    there, name = filesystem(path)
    return there.open(name, "rb")  # type: ignore[no-any-return]


def fetch(path: str, to: Path) -> Path:
    """A copy of a file in a folder of this machine; a path of this machine is given back as it is. OSError if it cannot be had."""
    if not is_remote(path):
        return Path(path)
    number = len(list(to.iterdir()))
    place = to / f"{number}{PurePosixPath(path).suffix}"
    with open_any(path) as file, open(place, "xb") as copy:
        shutil.copyfileobj(file, copy)
    return place


def below(folder: str, name: str) -> str | None:
    """The address of a name relative to a folder elsewhere; None where that is not in the folder or below it."""
    scheme, _, root = folder.partition("://")
    place = posixpath.normpath(posixpath.join(root or ".", name))
    return f"{scheme}://{place}" if not name.startswith("/") and f"{place}/".startswith(f"{root.rstrip('/')}/") else None


def stamp(path: str) -> str:
    """What changes when a file does: a hash of its contents, or elsewhere what its keeper says of it; "" where there is none."""
    try:
        if is_remote(path):
            there, name = filesystem(path)
            return str(there.checksum(name))
        known = os.stat(path)
        return _hash_of(path, known.st_mtime_ns, known.st_size)
    except (OSError, ValueError):
        return ""


@lru_cache(maxsize=4096)
def _hash_of(path: str, _changed: int, _size: int) -> str:
    """Read once, though many jobs may name one picture."""
    with open_file(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]  # any file that reads bytes will do
