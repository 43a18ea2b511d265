"""The manifest of a batch: one line of JSON for each job that ended, only ever appended to, so that a run can be killed at any moment."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from dragonkit.errors import EditFileError

__all__ = ["Manifest", "Record"]


@dataclass(frozen=True)
class Record:
    """How a job ended.

    Attributes:
        job: its name.
        digest: hash of what it asks for, `Job.digest`.
        status: "done"; "kept" where its result was there already, of a run that ended before it could say so; or "failed".
        seconds: what it took, inversion included.
        error: why it failed.
        warnings: what the report of the edit says.
        result: hash of the result's pixels.
    """

    job: str
    digest: str
    status: str
    seconds: float = 0.0
    error: str = ""
    warnings: tuple[str, ...] = ()
    result: str = ""


class Manifest:
    """Records on disk. Use it in a with block.

    Raises:
        EditFileError: the file cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._last: dict[str, tuple[str, str]] = {}  # name: digest and status; what a million jobs have room for
        self._torn = False
        try:
            for record in self._read():
                self._last[record.job] = (record.digest, record.status)
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        except OSError as error:
            raise EditFileError(f"the manifest {str(path)!r} cannot be used: {error.strerror or error}. Choose another --out.") from error

    def __enter__(self) -> Manifest:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)

    def __contains__(self, name: str) -> bool:
        """Whether a job of this name ended before."""
        return name in self._last

    def status(self, name: str, digest: str) -> str:
        """How the job of this name that asked for just this ended; "" where none did."""
        last, status = self._last.get(name, ("", ""))
        return status if last == digest else ""

    def add(self, record: Record) -> None:
        """Append a record. It is on the disk when this returns."""
        line = json.dumps(asdict(record)) + "\n"
        try:
            os.write(self._file, (("\n" if self._torn else "") + line).encode())  # in one piece, so that no two lines mix
            os.fsync(self._file)
        except OSError as error:
            raise EditFileError(f"the manifest {str(self.path)!r} cannot be written: {error.strerror or error}. Make room.") from error
        self._torn = False
        self._last[record.job] = (record.digest, record.status)

    def _read(self) -> Iterator[Record]:
        """All records; a line that a kill cut off is none."""
        if not self.path.exists():
            return
        with open(self.path, "rb") as lines:
            for line in lines:
                self._torn = not line.endswith(b"\n")
                try:
                    data = json.loads(line)
                    yield Record(**{**data, "warnings": tuple(data["warnings"])})
                except (KeyError, TypeError, ValueError):
                    continue
