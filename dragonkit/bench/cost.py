"""`dragonkit bench cost`: what one edit takes of time and memory, by precision and by `Settings.memory`.

Each case runs in a process of its own, so that its peak memory is its own. Besides models by name there are shapes with random weights.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import product
from multiprocessing import get_context
from typing import Any

import numpy as np
import torch

from dragonkit.bench.outcomes import FIRST_SEED
from dragonkit.bench.shapes import SHAPES
from dragonkit.bench.tasks.catalogue import move_task
from dragonkit.editing.editor import Editor
from dragonkit.edits.settings import Memory, Settings
from dragonkit.imaging.images import psnr
from dragonkit.modes.move import Move

__all__ = ["DTYPES", "Case", "Cost", "cases", "measure_case", "measure_costs", "timed"]

DTYPES: Mapping[str, torch.dtype] = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class Case:
    """One edit to be measured: `model` is a name, a folder, or one of `SHAPES`."""

    model: str
    dtype: str
    memory: Memory
    device: str
    steps: int | None = None
    preset: str = "default"


@dataclass(frozen=True)
class Cost:
    """What a case took.

    Attributes:
        attention: whose kernel computed it, as `Report.attention` says.
        inversion, edit: seconds.
        generations: the edit in plain generations: the same model, steps and guidance scale in the same process.
        evaluations: UNet calls of the edit.
        peak: MiB, of the GPU's memory in use by tensors, or of the process on a CPU; nan where the system does not tell.
        image: what came out, uint8 (h, w, 3).
    """

    case: Case
    attention: str
    inversion: float
    edit: float
    generations: float
    evaluations: int
    peak: float
    image: np.ndarray

    def likeness(self, other: Cost) -> float:
        """PSNR in dB of the two pictures; infinite when they are equal."""
        return psnr(self.image, other.image)


def cases(
    model: str, device: str, dtypes: Sequence[str], memories: Sequence[Memory], steps: int | None, preset: str = "default"
) -> list[Case]:
    """Every precision in every way to use memory."""
    return [Case(model, dtype, memory, device, steps, preset) for dtype, memory in product(dtypes, memories)]


def measure_costs(wanted: Sequence[Case], progress: Callable[[int, int], None] | None = None) -> Iterator[Cost]:
    """Measure one case after the other, each in a fresh process."""
    for number, case in enumerate(wanted):
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            yield pool.submit(measure_case, case).result()
        if progress is not None:
            progress(number + 1, len(wanted))


def measure_case(case: Case) -> Cost:
    """Measure a move of a toybox scene's object, in this process."""
    dtype = DTYPES[case.dtype]
    make = SHAPES.get(case.model)
    editor = make(case.device, dtype) if make else Editor.from_pretrained(case.model, case.device, dtype)
    task = move_task(FIRST_SEED, editor.backbone.model_size)
    values: dict[str, Any] = {"memory": case.memory} | ({} if case.steps is None else {"steps": case.steps})
    settings = Settings.preset(case.preset, **values)

    source, inversion = timed(lambda: editor.invert(task.scene.image, task.scene.caption, settings, check=False))
    _, generation = timed(lambda: editor.generate(task.scene.caption, settings=settings.model_copy(update={"memory": "recompute"})))
    if case.device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats()
    result, edit = timed(lambda: editor.edit(source, Move(**task.edits[0][1]), settings))
    return Cost(
        case,
        result.report.attention or "the model's own",
        inversion,
        edit,
        edit / generation,
        result.report.network_evaluations,
        _peak(case.device),
        np.asarray(result.image),
    )


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """What it gives, and how many seconds it took."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    begun = time.perf_counter()
    result = work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return result, time.perf_counter() - begun


def _peak(device: str) -> float:
    """MiB: the most that tensors took on a GPU, or the process on a CPU; nan where the system does not tell."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated() / 2**20
    try:
        import resource
    except ImportError:  # Windows
        return math.nan
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used / (2**20 if sys.platform == "darwin" else 2**10)  # bytes there, KiB elsewhere
