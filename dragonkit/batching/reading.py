"""Jobs from JSON Lines, a table, a folder, or one edit file for many pictures. Read one by one, as there may be millions."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

from dragonkit.batching.addresses import fetch, filesystem, is_remote, open_any, tidy
from dragonkit.batching.jobs import Job, Select, checked_name
from dragonkit.edits.file import PNG_KEY, EditFile
from dragonkit.edits.limits import MAX_BYTES
from dragonkit.errors import DragonkitError, EditFileError
from dragonkit.imaging.opening import text_in_png
from dragonkit.words import short

__all__ = ["read_jobs"]

_PAIRS = re.compile(r"\s*-?[\d.]+(\s*[,:;]\s*-?[\d.]+)+\s*")
_OF_FILES = ("model", "image", "prompt", "seed")  # columns that belong to the edit file, not to its edit


def read_jobs(
    source: str | os.PathLike[str],
    images: str | None = None,
    masks: str | None = None,
    select: Select | None = None,
    trust_paths: bool = False,
) -> Iterator[Job]:
    """The jobs in a file or folder, here or at an address of fsspec's, one by one. One that cannot be read is broken, and stops no other.

    Args:
        source: JSON Lines (.jsonl) of edit files, each with a name if it likes; a table (.csv) whose columns are fields; a folder of edit
            files (.json); or, with `images`, one edit file or a result's PNG.
        images: pattern of the pictures that get the edits of `source`, such as "photos/*.jpg".
        masks: where a picture's mask lies, relative to the picture, such as "masks/{stem}.png"; the edit file's own when left out.
        select: how to make the mask of each picture instead.
        trust_paths: follow paths in the jobs to anywhere.

    Raises:
        EditFileError: there is no such file or folder, it is of another kind, or nothing fits the pattern.
    """
    place, ending = tidy(source), PurePosixPath(os.fspath(source)).suffix.lower()
    there, name = filesystem(place)
    readers = {".jsonl": _of_lines, ".ndjson": _of_lines, ".csv": _of_table}
    if images is not None:
        if masks is not None and select is not None:
            raise EditFileError(f"masks are to lie at {masks!r} and to be made by {select.selector!r}; give --masks or --select.")
        return _of_pictures(place, images, masks, select, trust_paths)
    if masks is not None or select is not None:
        raise EditFileError("a pattern of masks, or a selector, belongs to pictures that a pattern names; give --images.")
    if there.isdir(name):
        return _of_folder(place, trust_paths)
    if ending not in readers:
        raise EditFileError(f"jobs are in a .jsonl or .csv file or a folder, or an edit file goes with --images; got {short(str(source))}.")
    if not there.exists(name):
        raise EditFileError(f"there is no file {short(str(source))} with jobs; check the path.")
    return readers[ending](place, trust_paths)


def _of_lines(source: str, trust_paths: bool) -> Iterator[Job]:
    path, folder = PurePosixPath(source), _folder(source)
    with open_any(source) as lines:
        for number, line in enumerate(lines, 1):
            if line.strip(b"\xef\xbb\xbf \t\r\n"):
                origin = f"{path.name}, line {number}"
                yield _job(f"{path.stem}-{number}", *_values(line, origin), folder, origin, trust_paths)


def _of_table(source: str, trust_paths: bool) -> Iterator[Job]:
    with open_any(source) as file, io.TextIOWrapper(file, "utf-8-sig", "surrogateescape", newline="") as lines:
        columns = csv.DictReader(lines).fieldnames or ()
    if "mode" not in columns:
        raise EditFileError(f"{short(source)} has the columns {', '.join(columns)[:80]!r}, but needs one called mode; add it.")
    return _of_rows(source, trust_paths)


def _of_rows(source: str, trust_paths: bool) -> Iterator[Job]:
    path, folder = PurePosixPath(source), _folder(source)
    with open_any(source) as file, io.TextIOWrapper(file, "utf-8-sig", "surrogateescape", newline="") as lines:
        for number, row in enumerate(csv.DictReader(lines), 1):
            origin = f"{path.name}, row {number}"
            broken = f"{origin} has more cells than there are columns; quote texts with commas." if None in row else ""
            cells = {key: _cell(key, text) for key, text in row.items() if key and text}
            values = {key: cells.pop(key) for key in _OF_FILES if key in cells}
            if "name" in cells:
                values["name"] = cells.pop("name")
            settings = {key: cells.pop(key) for key in list(cells) if key.startswith("settings.")}
            values["settings"] = {key.removeprefix("settings."): value for key, value in settings.items()}
            yield _job(f"{path.stem}-{number}", {**values, "edits": [cells]}, broken, folder, origin, trust_paths)


def _of_folder(source: str, trust_paths: bool) -> Iterator[Job]:
    there, root = filesystem(source)
    for path in sorted(path for path in there.find(root) if path.endswith(".json")):
        inside = path[len(root.rstrip("/")) + 1 :]
        place = there.unstrip_protocol(path) if is_remote(source) else path
        try:
            with open_any(place) as file:
                line = file.read(MAX_BYTES + 1)
            values, broken = _values(line, inside)
        except OSError as error:
            values, broken = {}, f"{inside} cannot be read: {error.strerror or error}."
        yield _job(inside.removesuffix(".json").removesuffix(".edit"), values, broken, _folder(place), inside, trust_paths, named=False)


def _of_pictures(source: str, images: str, masks: str | None, select: Select | None, trust_paths: bool) -> Iterator[Job]:
    with TemporaryDirectory(prefix="dragonkit-batch-") as near:
        copy = fetch(source, Path(near))
        values = EditFile.load(copy, trust_paths).model_dump(mode="json", exclude={"image", "seed", "seed_guidance_scale"})
        in_picture = text_in_png(copy, PNG_KEY) is not None
    # paths in a picture are never followed: they are relative to the picture, in which nothing lies
    folder, trust_paths = (source, False) if in_picture else (_folder(source), trust_paths)
    there, pattern = filesystem(tidy(images))
    found = sorted(path for path in there.glob(pattern) if there.isfile(path))
    if not found:
        raise EditFileError(f"no picture fits {images!r}; check the pattern, and quote it in a shell.")
    return (_of_picture(path, there, pattern, values, folder, masks, select, trust_paths) for path in found)


def _of_picture(
    path: str, there: Any, pattern: str, values: Mapping[str, Any], folder: str, masks: str | None, select: Select | None, trust_paths: bool
) -> Job:
    """The job of one picture, called like it and the folders below those that the pattern spells out."""
    root, place = re.split(r"[*?\[]", pattern)[0].rpartition("/")[0] + "/", there.unstrip_protocol(path)
    place = place if is_remote(tidy(place)) else path
    picture = PurePosixPath(path)
    mask = (masks or "").replace("{stem}", picture.stem).replace("{name}", picture.name)
    if mask and not is_remote(mask):
        mask = f"{_folder(place)}/{mask}" if is_remote(place) else os.path.join(_folder(place), mask)
    job = _job(str(PurePosixPath(path.removeprefix(root)).with_suffix("")), values, "", folder, path, trust_paths, named=False)
    return replace(job, picture=place, mask=mask, select=select)


def _job(usual: str, values: Mapping[str, Any], broken: str, folder: str, origin: str, trust_paths: bool, named: bool = True) -> Job:
    """A job; where `named`, the values may say its name."""
    name, values = usual, dict(values)
    try:
        name = checked_name(values.pop("name", usual) if named else usual, origin)
    except DragonkitError as error:
        broken = broken or str(error)
    return Job(name, {"model": "toybox", **values}, folder, origin, trust_paths, broken)


def _values(line: bytes, origin: str) -> tuple[dict[str, Any], str]:
    """The JSON object in a line, and what is wrong with it."""
    try:
        if len(line) > MAX_BYTES:
            raise ValueError(f"it has more than {MAX_BYTES:,} bytes")
        values = json.loads(line.decode("utf-8-sig"))
        if not isinstance(values, dict):
            raise ValueError(f"it holds {short(values)} and no object")
    except (ValueError, RecursionError) as error:
        return {}, f"{origin} is no edit file in JSON: {error}. Was it cut off or edited by hand?"
    return values, ""


def _cell(column: str, text: str) -> Any:
    """A cell: JSON, numbers as the command line takes them ("8,0"; pairs of points "1,2:3,4;5,6:7,8"), or plain text."""
    if column in ("prompt", "image", "mask", "name", "model", "mode"):
        return text
    if _PAIRS.fullmatch(text):
        try:
            pairs = [[[float(part) for part in point.split(",")] for point in pair.split(":")] for pair in text.split(";")]
        except ValueError:
            return text
        return pairs if ":" in text else pairs[0][0]
    try:
        return json.loads(text)
    except ValueError:
        return text


def _folder(place: str) -> str:
    return place.rpartition("/")[0] if is_remote(place) else os.path.dirname(place)
