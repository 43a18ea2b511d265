"""A job: one edit file to run, as plain values, and what tells that it, or a file that it names, has changed."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from dragonkit.batching.addresses import below, is_remote, stamp
from dragonkit.edits.paths import PathRule
from dragonkit.edits.pictures import texts_in
from dragonkit.errors import EditFileError
from dragonkit.words import short

__all__ = ["Job", "Select", "checked_name"]

_LONGEST = 4096
"""Longer texts are no paths."""


@dataclass(frozen=True)
class Select:
    """Have each picture's mask made by a selector that takes clicks.

    Attributes:
        selector: its name.
        at: where to click, as shares of the picture's width and height.
    """

    selector: str
    at: tuple[float, float] = (0.5, 0.5)


@dataclass(frozen=True)
class Job:
    """One edit file to run, as plain values, which any process can be sent.

    Attributes:
        name: its result is OUT/name.png; slashes make folders.
        values: those of the edit file.
        folder: path or address that paths in it are relative to.
        origin: what messages call it, such as "jobs.jsonl, line 3".
        trust_paths: follow paths in it to anywhere, and not only to the folder and below.
        broken: why it cannot be run, where that is known already.
        picture: path or address of what is edited in place of what the values name; wherever it lies.
        mask: that of the mask of every edit that has one, likewise.
        select: how to make that mask instead.
    """

    name: str
    values: Mapping[str, Any]
    folder: str = "."
    origin: str = "the job"
    trust_paths: bool = False
    broken: str = ""
    picture: str = ""
    mask: str = ""
    select: Select | None = None

    def hashes(self, also: str = "") -> tuple[str, str]:
        """(of what is asked for, of the contents of all files that are named).

        Args:
            also: what else decides on the result, such as settings on top of the job's own.
        """
        asked = hashlib.sha256(json.dumps([self.values, self.broken, self.select and asdict(self.select), also], sort_keys=True).encode())
        read = hashlib.sha256()
        for path in (self.picture, self.mask, *(self._place(text) for _, text in texts_in(self.values))):
            read.update(stamp(path).encode() + b"\n" if path else b"\n")
        return asked.hexdigest()[:32], read.hexdigest()[:32]

    def _place(self, text: str) -> str:
        """Where a text leads, if it is a path that may be followed; "" where not."""
        if len(text) > _LONGEST or "\n" in text or text.startswith(("data:", "sha256:")):
            return ""
        if is_remote(text):
            return text if self.trust_paths else ""
        if is_remote(self.folder):  # asking for every word is dear; files have an ending
            return below(self.folder, text) or "" if PurePosixPath(text).suffix else ""
        try:
            rule = PathRule(Path(self.folder), "anywhere" if self.trust_paths else "below")
            return os.fspath(rule.follow(text, "file", EditFileError))
        except (EditFileError, OSError):
            return ""

    def to_json(self) -> str:
        """One line of text, of which `from_json` makes the job again."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Job:
        data = json.loads(text)
        select = data.pop("select")
        return cls(**data, select=select and Select(select["selector"], tuple(select["at"])))


def checked_name(name: Any, origin: str) -> str:
    """A name that leads to a file below OUT. EditFileError for any other."""
    parts = PurePosixPath(name).parts if isinstance(name, str) else ()
    odd = not parts or name.startswith("/") or any(letter in name for letter in "\0\\\n:")
    if odd or any(part in ("..", ".") or len(part.encode("utf-8", "surrogatepass")) > 240 for part in name.split("/")):
        raise EditFileError(
            f"{origin}: name is {short(name)}, but must be a file's name of at most 240 bytes, after folders at most, such as 'a/b'."
        )
    return str(PurePosixPath(*parts)).removesuffix(".png")
