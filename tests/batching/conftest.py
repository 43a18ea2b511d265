"""Pictures, masks and jobs for a tiny model, in a folder of their own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

Lines = Callable[..., Path]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: photo.png of 32x32 pixels and mask.png for an object in it."""
    monkeypatch.chdir(tmp_path)
    write_picture(tmp_path / "photo.png", 0)
    mask = np.zeros((32, 32), bool)
    mask[8:18, 6:16] = True
    Image.fromarray(mask).save("mask.png")
    return tmp_path


def write_picture(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(path)


@pytest.fixture
def job(folder: Path) -> Callable[..., dict[str, Any]]:
    """The values of an edit file: a move of the object, in two steps."""

    def make(shift: tuple[float, float] = (8, 0), image: str = "photo.png", mask: str = "mask.png", **more: Any) -> dict[str, Any]:
        settings = {"steps": 2, "inversion_iterations": 1}
        edits = [{"mode": "move", "mask": mask, "shift": list(shift)}]
        return {"model": "toybox", "image": image, "prompt": "a fish", "settings": settings, "edits": edits, **more}

    return make


@pytest.fixture
def lines(folder: Path) -> Lines:
    """A file of jobs, a line each; texts are written as they are."""

    def write(*jobs: dict[str, Any] | str) -> Path:
        path = folder / "jobs.jsonl"
        path.write_text("".join(f"{one if isinstance(one, str) else json.dumps(one)}\n" for one in jobs), encoding="utf-8")
        return path

    return write
