"""The manifest of a batch: one line of JSON for each job that ended, only ever appended to, so that a run can be killed at any moment."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

from dragonkit.errors import EditFileError

__all__ = ["Before", "Manifest", "Record"]

_STATES = ("done", "kept", "failed")


@dataclass(frozen=True)
class Record:
    """How a job ended.

    Attributes:
        job: its name.
        batch: what the batch was called.
        edit, inputs: hashes of what it asks for and of the files that it names, `Job.hashes`.
        status: "done"; "kept" where its result was there already, of a run that ended before it could say so; or "failed".
        seconds: what it took, inversion included.
        error: why it failed.
        warnings: what the report of the edit says.
        unsure: why a selector's mask is worth a look; "" where it is not.
        result: hash of the result's pixels.
    """

    job: str
    batch: str
    edit: str
    inputs: str
    status: str
    seconds: float = 0.0
    error: str = ""
    warnings: tuple[str, ...] = ()
    unsure: str = ""
    result: str = ""

    def to_json(self) -> str:
        """One line of text, of which `from_json` makes the record again."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str | bytes) -> Record:
        data = json.loads(text)
        return cls(**{**data, "warnings": tuple(data["warnings"])})


class Before(NamedTuple):
    """What the manifest knows of a job: how it ended when it asked for the same, "" if it never did; and whose result is there.

    Attributes:
        status: "done", "kept", "failed" or "".
        ours: hash of the pixels of the result that this batch wrote; "" where there is none.
    """

    status: str = ""
    ours: str = ""


class Manifest:
    """Records on disk. Use it in a with block.

    Args:
        batch: what this batch is called; results of others are not this one's to replace.

    Raises:
        EditFileError: the file cannot be read or written.
    """

    def __init__(self, path: Path, batch: str) -> None:
        self.path, self.batch = path, batch
        self._known: dict[bytes, bytes] = {}  # of names and of what is known, hashes in few bytes: a million of them find room
        self._torn = False
        try:
            for record in self._read():
                if record.batch == batch:
                    self._note(record)
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o666)
        except OSError as error:
            raise EditFileError(f"the manifest {str(path)!r} cannot be used: {error.strerror or error}. Choose another place.") from error

    def __enter__(self) -> Manifest:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)

    def before(self, name: str, edit: str, inputs: str) -> Before:
        """What is known of the job of this name, now that it asks for this."""
        known = self._known.get(_short(name))
        if known is None:
            return Before()
        return Before(_STATES[known[0]] if known[1:17] == _short(edit + inputs) else "", known[17:].hex())

    def add(self, record: Record) -> None:
        """Append a record. It is on the disk when this returns."""
        line = (("\n" if self._torn else "") + record.to_json() + "\n").encode()
        try:
            self._torn = True
            if os.write(self._file, line) < len(line):  # in one piece, so that a kill can only cut off the end
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(self._file)
        except OSError as error:
            raise EditFileError(
                f"the manifest {str(self.path)!r} cannot be written: {error.strerror or error}. Make room, and call again."
            ) from error
        self._torn = False
        self._note(record)

    def _note(self, record: Record) -> None:
        name, ours = _short(record.job), bytes.fromhex(record.result[:32])
        if record.status == "failed":  # it left the result that was there
            ours = self._known.get(name, b"")[17:]
        self._known[name] = bytes([_STATES.index(record.status)]) + _short(record.edit + record.inputs) + ours

    def _read(self) -> Iterator[Record]:
        """All records; a line that a kill or a full disk cut off is none."""
        if not self.path.exists():
            return
        with open(self.path, "rb") as lines:
            for line in lines:
                self._torn = not line.endswith(b"\n")
                try:
                    record = Record.from_json(line)
                    bytes.fromhex(record.result)
                    _STATES.index(record.status)
                except (AttributeError, KeyError, TypeError, ValueError):
                    continue
                yield record


def _short(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:16]
