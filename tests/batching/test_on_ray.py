"""Ray makes the same pixels as one process; a worker that dies takes no result with it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from batching.conftest import Lines, write_picture
from PIL import Image

import dragonkit as dk
from dragonkit.errors import EditError

Make = Callable[..., dict[str, Any]]


def test_without_ray_it_is_said_how_to_get_it(
    lines: Lines, job: Make, folder: Path, monkeypatch: pytest.MonkeyPatch, tiny_model_folder: str
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(EditError, match=r"dragonkit\[ray\]"):
        dk.batch(lines(job()), folder / "out", engine="ray", model=tiny_model_folder)


@pytest.mark.e2e
def test_fifty_jobs_give_the_same_pixels_in_either_engine(lines: Lines, job: Make, folder: Path, tiny_model_folder: str) -> None:
    pytest.importorskip("ray.data", reason="the engine ray needs Ray")
    for number in range(5):
        write_picture(folder / f"photo-{number}.png", number)
    jobs = [job((number // 5 - 4, 1), image=f"photo-{number % 5}.png", name=f"{number % 5}/{number}") for number in range(49)]
    path = lines(*jobs, job(image="missing.png"))
    summaries = {}
    for engine, workers in (("local", 1), ("ray", 2)):
        summaries[engine] = dk.batch(path, folder / engine, engine=engine, workers=workers, model=tiny_model_folder)  # type: ignore[arg-type]
        assert (summaries[engine].done, summaries[engine].failed) == (49, 1)
    manifests = [(folder / engine / "manifest.jsonl").read_text(encoding="utf-8").splitlines() for engine in summaries]
    results = [{record["job"]: record["result"] for record in map(json.loads, lines)} for lines in manifests]
    assert results[0] == results[1]
    for number in range(49):
        one, other = (np.asarray(Image.open(folder / engine / f"{number % 5}/{number}.png")) for engine in summaries)
        assert np.array_equal(one, other)
    again = dk.batch(path, folder / "ray", engine="ray", workers=1, model=tiny_model_folder)
    assert (again.done, again.skipped, again.failed) == (0, 49, 1)
    assert not list((folder / "ray").glob(".dragonkit-batch-*/"))
