"""Batches to try things on: pictures with an object in each, jobs for them, and a model of a few thousand weights in a folder."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from dragonkit.batching.manifest import Record
from dragonkit.batching.run import MANIFEST
from dragonkit.testing import tiny_pipeline
from dragonkit.toybox.training.export import write_model

__all__ = ["FAST", "pixels_in", "records_in", "write_jobs", "write_pictures", "write_tiny_model"]

FAST = {"steps": 1, "hold": 0, "schedule": {"span": [0, 0]}}
"""The least that is an edit: one step, without a gradient."""


def write_tiny_model(folder: Path) -> str:
    write_model(tiny_pipeline(), folder)
    return str(folder)


def write_pictures(folder: Path, count: int) -> None:
    """photo-0.png with its mask mask-0.png, and so on: noise of 32x32 with a red square in it."""
    folder.mkdir(parents=True, exist_ok=True)
    mask = np.zeros((32, 32), bool)
    mask[8:20, 6:18] = True
    for number in range(count):
        pixels = np.random.default_rng(number).integers(0, 255, (32, 32, 3), dtype=np.uint8)
        pixels[mask] = (200, 30, 30)
        Image.fromarray(pixels).save(folder / f"photo-{number}.png")
        Image.fromarray(mask).save(folder / f"mask-{number}.png")


def write_jobs(folder: Path, count: int, pictures: int | None = None, **settings: Any) -> Path:
    """jobs.jsonl with moves of the pictures, jobs of one picture one after the other, and the pictures beside it."""
    pictures = pictures or count
    write_pictures(folder, pictures)
    lines = []
    for number in range(count):
        which = number * pictures // count
        edit = {"mode": "move", "mask": f"mask-{which}.png", "shift": [number % 7 - 3, 3]}
        file = {"image": f"photo-{which}.png", "settings": settings or FAST, "edits": [edit]}
        lines.append(json.dumps({"name": f"job-{number}", **file}))
    (folder / "jobs.jsonl").write_text("\n".join(lines) + "\n")
    return folder / "jobs.jsonl"


def records_in(out: Path) -> list[Record]:
    """All whole lines of a manifest."""
    lines = (out / MANIFEST).read_bytes().split(b"\n")[:-1]
    return [Record.from_json(line) for line in lines if line.startswith(b"{") and line.endswith(b"}")]


def pixels_in(out: Path) -> dict[str, str]:
    """Hashes of all results by name."""
    found = {}
    for path in sorted(out.rglob("*.png")):
        with Image.open(path) as image:
            found[path.relative_to(out).with_suffix("").as_posix()] = hashlib.sha256(np.asarray(image).tobytes()).hexdigest()
    return found
