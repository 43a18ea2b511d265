"""Jobs: one edit file each, from JSON Lines, a table, a folder, or one edit file for many pictures; read one by one."""

from __future__ import annotations

import csv
import glob
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from dragonkit.edits.file import EditFile
from dragonkit.edits.pictures import texts_in
from dragonkit.errors import DragonkitError, EditFileError
from dragonkit.imaging.opening import open_file
from dragonkit.words import short

__all__ = ["Job", "read_jobs"]

_NUMBERS = re.compile(r"\s*-?[\d.]+(\s*[,:; ]\s*-?[\d.]+)+\s*")
_OF_FILES = ("model", "image", "prompt", "seed")  # columns that belong to the edit file, not to its edit


@dataclass(frozen=True)
class Job:
    """One edit file to run, as plain values, which any process can be sent.

    Attributes:
        name: its result is OUT/name.png; slashes make folders.
        values: those of the edit file.
        folder: what paths in it are relative to.
        origin: what messages call it, such as "jobs.jsonl, line 3".
        trust_paths: follow paths to anywhere, and not only to the folder and below.
        broken: why it cannot be run, where that is known already.
    """

    name: str
    values: Mapping[str, Any]
    folder: str
    origin: str
    trust_paths: bool = False
    broken: str = ""
    pictures: tuple[str, ...] = field(default=(), kw_only=True)  # files that the values name by the hashes of their pixels

    def edit_file(self) -> EditFile:
        """The edit file. EditFileError where the job is broken."""
        if self.broken:
            raise EditFileError(self.broken)
        file = EditFile.loads(json.dumps(self.values), self.origin, self.folder, self.trust_paths)
        return file.with_pictures(*self.pictures) if self.pictures else file

    def digest(self) -> str:
        """A hash of what the job asks for, the contents of the files that it names included."""
        digest = hashlib.sha256(json.dumps([self.values, self.broken], sort_keys=True).encode())
        for text in (*(text for _, text in texts_in(self.values)), *self.pictures):
            if len(text) < 4096 and not text.startswith("data:"):
                digest.update(_contents(Path(self.folder) / text))
        return digest.hexdigest()

    def to_json(self) -> str:
        """One line of text, of which `from_json` makes the job again."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Job:
        data = json.loads(text)
        return cls(**{**data, "pictures": tuple(data["pictures"])})


def read_jobs(source: Path, images: str | None = None, masks: str | None = None, trust_paths: bool = False) -> Iterator[Job]:
    """The jobs in a file or folder, one by one. One that cannot be read is a job that is broken, and stops no other.

    Args:
        source: JSON Lines (.jsonl) of edit files, each with a name if it likes; a table (.csv) whose columns are fields; a folder of edit
            files and of pictures that carry one; or, with `images`, one edit file or such a picture.
        images: pattern of the pictures that get the edits of `source`, such as "photos/*.jpg".
        masks: where a picture's mask lies, relative to the picture, such as "masks/{stem}.png"; the edit file's own when left out.
        trust_paths: follow paths in the jobs to anywhere.

    Raises:
        EditFileError: there is no such file or folder, it is of another kind, or nothing fits the pattern.
    """
    if images is not None:
        return _of_pictures(source, images, masks, trust_paths)
    if masks is not None:
        raise EditFileError("a pattern of masks says which mask belongs to a picture, so it needs a pattern of pictures; give --images.")
    if source.is_dir():
        return _of_folder(source, trust_paths)
    readers = {".jsonl": _of_lines, ".ndjson": _of_lines, ".csv": _of_table}
    if source.suffix.lower() not in readers:
        raise EditFileError(
            f"jobs are in a .jsonl or .csv file or in a folder, or one edit file goes with --images; got {short(str(source))}."
        )
    if not source.is_file():
        raise EditFileError(f"there is no file {short(str(source))} with jobs; check the path.")
    return readers[source.suffix.lower()](source, trust_paths)


def _of_lines(source: Path, trust_paths: bool) -> Iterator[Job]:
    with open(source, encoding="utf-8-sig", errors="surrogateescape") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            origin, values, broken = f"{source.name}, line {number}", {}, ""
            try:
                values = json.loads(line)
                if not isinstance(values, dict):
                    raise ValueError(f"it holds {short(values)} and no object")
            except (ValueError, RecursionError) as error:
                values, broken = {}, f"{origin} is not JSON: {error}. Was it cut off or edited by hand?"
            name = values.pop("name", None)
            yield _job(name, f"{source.stem}-{number}", values, source.parent, origin, trust_paths, broken)


def _of_table(source: Path, trust_paths: bool) -> Iterator[Job]:
    with open(source, encoding="utf-8-sig", errors="surrogateescape", newline="") as lines:
        table = csv.DictReader(lines)
        if "mode" not in (table.fieldnames or ()):
            raise EditFileError(f"{short(str(source))} has the columns {table.fieldnames}, but needs one called mode; add it.")
        for number, row in enumerate(table, 1):
            origin = f"{source.name}, row {number}"
            cells = {key: _value(key, text) for key, text in row.items() if key and text}
            broken = f"{origin} has more cells than there are columns; quote texts with commas." if None in row else ""
            values = {key: cells.pop(key) for key in _OF_FILES if key in cells}
            name, settings = cells.pop("name", None), {}
            for key in [key for key in cells if key.startswith("settings.")]:
                settings[key.removeprefix("settings.")] = cells.pop(key)
            values |= {"settings": settings, "edits": [cells]}
            yield _job(name, f"{source.stem}-{number}", values, source.parent, origin, trust_paths, broken)


def _of_folder(source: Path, trust_paths: bool) -> Iterator[Job]:
    for path in sorted(path for path in source.rglob("*.json") if path.is_file()):
        name = path.relative_to(source).with_suffix("").as_posix().removesuffix(".edit")
        try:
            with open_file(path) as file:
                values, broken = json.loads(file.read()), ""
            if not isinstance(values, dict):
                raise ValueError(f"it holds {short(values)} and no object")
        except (OSError, ValueError, RecursionError) as error:
            values, broken = {}, f"{str(path)!r} is no edit file: {error}."
        yield _job(name, name, values, path.parent, str(path), trust_paths, broken)


def _of_pictures(source: Path, images: str, masks: str | None, trust_paths: bool) -> Iterator[Job]:
    values = EditFile.load(source, trust_paths).model_dump(mode="json")
    values.pop("seed", None)
    found = [Path(path) for path in sorted(glob.glob(images, recursive=True)) if os.path.isfile(path)]
    if not found:
        raise EditFileError(f"no picture fits {images!r}; check the pattern, and quote it in a shell.")
    top = Path(os.path.commonpath([path.absolute().parent for path in found]))
    # the shell's own words name the pictures and masks, so they are trusted
    for picture in found:
        edits = [dict(edit) for edit in values["edits"]]
        if masks is not None:
            mask = picture.parent / _filled(masks, picture)
            edits = [{**edit, "mask": str(mask.absolute())} if "mask" in edit else edit for edit in edits]
        one = {**values, "image": str(picture.absolute()), "edits": edits}
        name = picture.absolute().relative_to(top).with_suffix("").as_posix()
        yield _job(name, name, one, source.parent, str(picture), True, "")


def _filled(masks: str, picture: Path) -> str:
    try:
        return masks.format(stem=picture.stem, name=picture.name)
    except (AttributeError, LookupError, ValueError) as error:
        raise EditFileError(
            f"the pattern of masks is {short(masks)}, where {{stem}} and {{name}} stand for the picture's; {error} does not."
        ) from None


def _job(name: Any, usual: str, values: Mapping[str, Any], folder: Path, origin: str, trust_paths: bool, broken: str) -> Job:
    try:
        name = _checked_name(usual if name is None else name, origin)
    except DragonkitError as error:
        name, broken = usual, broken or str(error)
    return Job(name, {"model": "toybox", **values}, str(folder.absolute()), origin, trust_paths, broken)


def _checked_name(name: Any, origin: str) -> str:
    """A name that leads to a file below OUT. EditFileError for any other."""
    parts = PurePosixPath(name).parts if isinstance(name, str) else ()
    if not parts or "\0" in name or "\\" in name or name.startswith("/") or any(part in ("..", ".") for part in name.split("/")):
        raise EditFileError(f"{origin}: name is {short(name)}, but must be a file's name, with folders before it at most, such as 'a/b'.")
    return str(PurePosixPath(*parts)).removesuffix(".png")


def _value(column: str, text: str) -> Any:
    """A cell: JSON, numbers as the command line takes them ("8,0", "1,2:3,4"), or plain text."""
    if column in ("prompt", "image", "mask", "name", "model"):
        return text
    if _NUMBERS.fullmatch(text):
        groups = [
            [[float(number) for number in place.split(",")] for place in pair.split(":")] for pair in re.split(r"[; ]+", text.strip())
        ]
        return groups if ":" in text else groups[0][0]
    try:
        return json.loads(text)
    except ValueError:
        return text


def _contents(path: Path) -> bytes:
    """A hash of a file; nothing where there is none."""
    try:
        with open_file(path) as file:
            digest = hashlib.sha256()
            while part := file.read(1 << 20):
                digest.update(part)
            return digest.digest()
    except OSError:
        return b""
