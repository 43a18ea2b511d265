"""Figures of an edit against its known answer, and the rows it is compared with."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image

from dragonkit.bench.tasks.parts import Task
from dragonkit.imaging.images import psnr

__all__ = ["Figures", "copy_and_inpaint", "judge"]

CLOSE = 0.25
"""An edit has arrived (or the old place is empty) when its squared error there is at most this fraction of the untouched source's."""
BEST_PSNR = 99.0
"""Stands for "equal" where an infinite figure would spoil an average."""


@dataclass(frozen=True)
class Figures:
    """PSNR in dB to the known answer, per region, and two judgements.

    Attributes:
        changed, target, vacated, elsewhere: dB in the regions of `Task`; 99 stands for equal, nan for a region that is empty.
        found: the edit has arrived: where the answer changes the target, the squared error is at most a quarter of the untouched source's;
            True where nothing shall be.
        gone: the object is no longer where it was, judged alike in `vacated`; True where nothing is vacated.
    """

    changed: float
    target: float
    vacated: float
    elsewhere: float
    found: bool
    gone: bool


def judge(task: Task, result: Image.Image) -> Figures:
    """Compare a result, of the scene's size, with the answer of a task."""
    answer, source = task.answer.image, task.scene.image
    regions = {name: getattr(task, name) for name in ("changed", "target", "vacated", "elsewhere")}
    decibels = {name: min(psnr(result, answer, region), BEST_PSNR) if region.any() else math.nan for name, region in regions.items()}

    def close(region: np.ndarray) -> bool:
        return _squared_error(result, answer, region) <= CLOSE * _squared_error(source, answer, region)

    return Figures(**decibels, found=close(regions["target"] & regions["changed"]), gone=close(regions["vacated"]))


def copy_and_inpaint(task: Task, method: Literal["telea", "navier-stokes"] = "telea") -> Image.Image | None:
    """What one could do without a diffusion model: copy the object's pixels, fill the old place with `cv2.inpaint` (radius 3).

    None for tasks that do more than to move an object by whole pixels, or to remove it.

    Raises:
        ImportError: opencv is not installed.
    """
    if task.shift is None and task.target.any():
        return None
    import cv2

    pixels = np.asarray(task.scene.image)
    hole = cv2.dilate(task.source.astype(np.uint8), np.ones((3, 3), np.uint8))  # with the rim, which is half the object's colour
    filled = cv2.inpaint(pixels, hole, 3, cv2.INPAINT_TELEA if method == "telea" else cv2.INPAINT_NS)
    if task.shift is not None:
        rows, columns = np.nonzero(task.target)
        dx, dy = task.shift
        filled[rows, columns] = pixels[rows - dy, columns - dx]
    return Image.fromarray(filled)


def _squared_error(a: Image.Image, b: Image.Image, region: np.ndarray) -> float:
    difference = np.asarray(a, dtype=np.float64)[region] - np.asarray(b, dtype=np.float64)[region]
    return float((difference**2).mean()) if difference.size else 0.0
