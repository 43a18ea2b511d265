"""Folders of pictures with wishes: DragBench, GoodDrag's data set, or edit files of one's own. Each sample is read as an edit file.

    <category>/<sample>/original_image.png, meta_data.pkl         DragBench (Shi et al. 2023, "DragDiffusion")
    <sample>/original.jpg, mask.png, points.json                  GoodDrag (Zhang et al. 2024)
    any.json, any.png                                             edit files, and results, which carry theirs

The first two list points flat, start, end, start, end, as (x, y) of a pixel counted from 0; an edit's points are positions, so that the
middle of that pixel is 0.5 further. A mask is nonzero where the picture may change, as it is in `Drag`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from dragonkit.bench.drags.unpickling import load_plain
from dragonkit.edits.file import PNG_KEY, EditFile
from dragonkit.edits.settings import Settings
from dragonkit.errors import EditFileError, ImageError, MaskError, PointError
from dragonkit.imaging.images import load_image, open_image
from dragonkit.imaging.opening import EMBEDDED, opened
from dragonkit.imaging.photo_files import open_photo
from dragonkit.imaging.photos import pixel_hash
from dragonkit.imaging.strokes import stroke
from dragonkit.modes.drag import Drag

__all__ = ["DragSet", "Reading", "Sample", "open_set"]

_WIDENED = 1 / 16  # of the shorter side: the breadth of the way that a mask is widened by
_FAR = 1e6  # pixels; more, infinite or not a number is no place


class Reading(NamedTuple):
    """A sample as an edit file, and a remark on what was made of it, "" when there is none."""

    file: EditFile
    note: str = ""


@dataclass(frozen=True)
class Sample:
    """One picture and what is wished of it.

    Attributes:
        name: its path in the folder, with "/", without a file's ending; the result goes to a folder of that name.
        read: called with the model's name. Raises DragonkitError when something is wrong with it.
    """

    name: str
    read: Callable[[str], Reading]


@dataclass(frozen=True)
class DragSet:
    """What a folder holds: the format's name, and the samples in the order of their names."""

    format: str
    samples: Sequence[Sample]


def open_set(folder: Path) -> DragSet:
    """Find out which format a folder is in, and list its samples; nothing is read yet.

    Raises:
        EditFileError: there is no such folder, or it holds none or several of the formats.
    """
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise EditFileError(f"the folder {str(folder)!r} {what}; give the folder that holds the samples.")
    files = sorted(path for path in folder.rglob("*") if not any(part.startswith(".") for part in path.relative_to(folder).parts))
    found = {name: marks for name, marks in _MARKS.items() if any(path.name == marks[0] for path in files)}
    if len(found) > 1:
        raise EditFileError(f"the folder {str(folder)!r} holds both {' and '.join(found)} samples; give a folder of one kind.")
    for name, marks in found.items():
        # a sample that lost one of its files is one all the same, and is told of
        places = sorted({path.parent.relative_to(folder) for path in files if path.name in marks})
        return DragSet(name, [Sample(place.as_posix(), partial(_READERS[name], folder / place)) for place in places])
    edit_files = {path: path.relative_to(folder).with_suffix("").as_posix() for path in files if _is_edit_file(path)}
    for name, count in Counter(edit_files.values()).items():
        if count > 1:
            raise EditFileError(f"the folder {str(folder)!r} has {count} edit files called {name!r}, .json and .png; remove one of them.")
    near = _Pictures(files)
    samples = [Sample(name, partial(_edit_file, path, near)) for name, path in sorted((name, path) for path, name in edit_files.items())]
    if not samples:
        raise EditFileError(
            f"the folder {str(folder)!r} holds no samples: no meta_data.pkl (DragBench), no points.json (GoodDrag), and no edit file "
            "(.json, or a .png that dragonkit wrote)."
        )
    return DragSet("edit files", samples)


def _drag_bench(folder: Path, model: str) -> Reading:
    picture = load_image(folder / "original_image.png")
    meta = load_plain(folder / "meta_data.pkl")
    where = repr(str(folder / "meta_data.pkl"))
    missing = [key for key in ("prompt", "points", "mask") if not isinstance(meta, dict) or key not in meta]
    if missing:
        raise EditFileError(f"{where} has no {', '.join(missing)}; DragBench's is a dict with prompt, points and mask.")
    prompt, mask = meta["prompt"], meta["mask"]
    if not isinstance(prompt, str):
        raise EditFileError(f"{where}: prompt is of type {type(prompt).__name__}, but must be text.")
    if not isinstance(mask, np.ndarray):
        raise MaskError(f"{where}: mask is of type {type(mask).__name__}, but must be a numpy array.")
    return _reading(picture, prompt, meta["points"], mask, model, where)


def _good_drag(folder: Path, model: str) -> Reading:
    picture = load_image(folder / "original.jpg")
    where = repr(str(folder / "points.json"))
    try:
        data = json.loads((folder / "points.json").read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise EditFileError(f"{where} cannot be read: {error.strerror or error}. Check the path.") from error
    except (ValueError, RecursionError) as error:
        raise EditFileError(f"{where} is not JSON: {error}. Was it cut off or edited by hand?") from error
    if not isinstance(data, dict) or "points" not in data:
        raise EditFileError(f"{where} has no points; GoodDrag's is an object with points.")
    mask = np.asarray(open_image(folder / "mask.png"))
    return _reading(picture, "", data["points"], mask, model, where)


def _reading(picture: Image.Image, prompt: str, points: Any, mask: np.ndarray, model: str, where: str) -> Reading:
    pairs = _pairs(points, picture.size, where)
    mask = mask[..., 0] if mask.ndim == 3 else mask
    if mask.shape != picture.size[::-1]:
        got = f"{mask.shape[1]}x{mask.shape[0]}" if mask.ndim == 2 else f"an array of shape {mask.shape}"
        raise MaskError(f"{where}: the mask is {got}, but the picture is {picture.width}x{picture.height} (width x height).")
    editable = mask != 0
    if not editable.any():
        raise MaskError(f"{where}: the mask is 0 everywhere, so nothing may change.")
    numbers = [number for number, pair in enumerate(pairs) if not all(editable[int(y), int(x)] for x, y in pair)]
    for number in numbers:
        region = stroke(pairs[number], _WIDENED * min(picture.size), picture.size)
        assert region is not None  # both ends lie in the picture
        (left, top, right, bottom), inside = region
        editable[top:bottom, left:right] |= inside
    note = f"the mask was widened along the way of points[{numbers[0]}], which leaves it" if numbers else ""
    if len(numbers) > 1:
        note = f"the mask was widened along the ways of {len(numbers)} points, which leave it"
    drag = Drag(points=pairs, mask=editable)
    return Reading(EditFile.of(model, open_photo(picture), prompt, Settings(), [drag]), note)


def _pairs(points: Any, size: tuple[int, int], where: str) -> tuple[Any, ...]:
    """(start, end) in positions, from a flat list of pixels."""
    points = points.tolist() if isinstance(points, np.ndarray) else points
    if not isinstance(points, (list, tuple)) or not points or len(points) % 2:
        got = f"{len(points)} of them" if isinstance(points, (list, tuple)) else f"one {type(points).__name__}"
        raise PointError(f"{where}: points must be a list of start, end, start, end, got {got}.")
    places = []
    for number, point in enumerate(points):
        point = point.tolist() if isinstance(point, np.ndarray) else point
        known = isinstance(point, (list, tuple)) and len(point) == 2
        if not known or not all(type(part) in (int, float) and abs(part) < _FAR for part in point):
            raise PointError(f"{where}: points[{number}] is no pair of numbers x, y.")
        x, y = point
        if not (0 <= x <= size[0] - 1 and 0 <= y <= size[1] - 1):
            raise PointError(f"{where}: points[{number}] is ({x:g}, {y:g}), outside of the {size[0]}x{size[1]} picture.")
        places.append((x + 0.5, y + 0.5))
    return tuple(zip(places[::2], places[1::2], strict=True))


def _is_edit_file(path: Path) -> bool:
    """JSON, and those pictures that carry an edit file; others are what edit files speak of."""
    if path.suffix.lower() == ".json":
        return path.is_file()
    if path.suffix.lower() != ".png":
        return False
    try:
        with opened(path, f"the picture {str(path)!r}", EMBEDDED) as image:
            return PNG_KEY in image.info
    except ImageError:
        return False


def _edit_file(path: Path, near: _Pictures, model: str) -> Reading:
    file = EditFile.load(path)
    found = [near.by_hash[name] for name in file.missing().values() if name in near.by_hash]
    return Reading(file.with_pictures(*found))


class _Pictures:
    """The pictures of a folder by the hash of their pixels, for results, which name theirs so; read when one is asked for."""

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = files

    @cached_property
    def by_hash(self) -> dict[str, Path]:
        found = {}
        for path in self._files:
            if path.suffix.lower() in _PICTURES:
                with suppress(ImageError):  # what cannot be read is not what is looked for
                    found[pixel_hash(load_image(path))] = path
        return found


_PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp")
_MARKS = {"DragBench": ("meta_data.pkl", "original_image.png"), "GoodDrag": ("points.json", "original.jpg")}
"""By format: the file that tells it, and the one that is a sample's as well."""
_READERS = {"DragBench": _drag_bench, "GoodDrag": _good_drag}
