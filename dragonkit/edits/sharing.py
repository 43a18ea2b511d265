"""What of an edit file may be handed on: no pictures, no paths of this machine."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from dragonkit.edits.pictures import replaced

__all__ = ["model_name", "shareable", "without_masks", "without_path"]

_SAMPLE = 65536  # bytes at either end of a file: those of other weights differ


def shareable(data: dict[str, Any], hash_of: Callable[[str], str]) -> dict[str, Any]:
    """The values of an edit file without pictures and paths; `hash_of` gives the hash of the picture in "data:image/..." text."""

    def brief(text: str) -> str:
        return hash_of(text) if text.startswith("data:image/") else without_path(text)

    settings, edits = replaced(data["settings"], without_path), replaced(data["edits"], brief)
    return {**data, "model": model_name(data["model"]), "settings": settings, "edits": edits}


def without_masks(value: Any) -> Any:
    """A JSON value with hashes in the place of masks; where they are already, they stay."""
    if isinstance(value, dict):
        if set(value) == {"png"} and isinstance(value["png"], str):
            if value["png"].startswith("sha256:"):
                return value
            return {"png": f"sha256:{hashlib.sha256(value['png'].encode()).hexdigest()}"}
        return {key: without_masks(inner) for key, inner in value.items()}
    return [without_masks(inner) for inner in value] if isinstance(value, list) else value


def model_name(model: str) -> str:
    """What a model is called elsewhere: its name or hub id; of a folder or file here the last part of the path, "@" and a hash of it.

    The hash is of the files' names, sizes, beginnings and ends, so that two models in folders of one name are told apart.
    """
    path = _path(model)
    if not _is_path(model, path):
        return model
    digest = hashlib.sha256()
    for part in _samples(path):
        digest.update(part)
    return f"{path.resolve().name}@{digest.hexdigest()[:12]}" if os.path.exists(path) else path.name


def without_path(text: str) -> str:
    """The text itself; of the path of something here, or that was in a folder here, the last part."""
    path = _path(text)
    if path.is_absolute():  # a sentence may begin with a slash, too
        known = any(os.path.exists(folder) for folder in (path, *path.parents[:-1]))
    else:
        known = _has_separator(text) and os.path.exists(path)
    return (path.name if known else "") or text


def _path(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError:  # "~somebody" who is not known here
        return Path(text)


def _is_path(model: str, path: Path) -> bool:
    """Whether the name of a model is a path: a hub id looks like one, but has one slash and is not here."""
    if not _has_separator(model) and not model.startswith("~"):
        return False
    return os.path.exists(path) or model.count("/") != 1 or model.startswith((".", "/", "~")) or model.endswith(".safetensors")


def _has_separator(text: str) -> bool:
    return "/" in text or os.sep in text


def _samples(path: Path) -> Iterator[bytes]:
    for file in sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path] if path.is_file() else []:
        size = file.stat().st_size
        yield f"{file.relative_to(path).as_posix()} {size}\n".encode()
        with file.open("rb") as stream:
            yield stream.read(_SAMPLE)
            stream.seek(max(0, size - _SAMPLE))
            yield stream.read(_SAMPLE)
