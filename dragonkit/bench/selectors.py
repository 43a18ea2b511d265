"""`dragonkit bench selectors`: how much of an object one click selects.

Toybox scenes know every object's mask. Each object is clicked on once, in the middle of the pixel that lies deepest inside its mask, and
what is selected is compared with the mask: intersection over union (IoU), 1 for the same pixels. The rows are the magic wand, GrabCut (the
selector "object"), and the random walker (Grady 2006), where scikit-image is installed, as that which "object" was chosen over.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice, product
from typing import NamedTuple

import numpy as np
from PIL import Image

from dragonkit.bench.reports.statistics import Interval, interval
from dragonkit.plugins.selector import Click
from dragonkit.selecting import OBJECT, WAND
from dragonkit.selecting.wand import connected_to
from dragonkit.toybox.scenes import scene

__all__ = ["Case", "Row", "cases", "has_random_walker", "measure", "overlap", "rows"]

FIRST_SEED = 3_000_000_000_000
"""Scenes that neither the selectors' constants nor the embedded model have seen."""
SMALLEST = 0.003
"""Share of the picture that must show of an object; less is not clicked on."""

Select = Callable[[Image.Image, list[Click]], np.ndarray]


class Case(NamedTuple):
    """A picture, the mask of an object in it, bool (H, W), and a click on it."""

    image: Image.Image
    mask: np.ndarray
    clicks: list[Click]


@dataclass(frozen=True)
class Row:
    """IoU with its 95 % interval, the median, the share of objects above 0.8, and milliseconds for a click."""

    iou: Interval
    median: float
    good: float
    milliseconds: float


def cases(size: int, objects: int) -> list[Case]:
    """So many objects of scenes of so many pixels, the same ones each time."""

    def found() -> Iterator[Case]:
        for seed in range(FIRST_SEED, FIRST_SEED + 10 * objects):
            here = scene(seed, size)
            for one in here.objects:
                if one.mask.mean() >= SMALLEST:
                    yield Case(here.image, one.mask, [(*deepest(one.mask), True)])

    return list(islice(found(), objects))


def deepest(mask: np.ndarray) -> tuple[float, float]:
    """(x, y) of the centre of the pixel that is farthest from all outside the mask, the picture's border counted as outside."""
    import cv2

    depth = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    row, column = np.unravel_index(depth.argmax(), depth.shape)
    return float(column) + 0.5, float(row) + 0.5


def has_random_walker() -> bool:
    """Whether scikit-image is installed."""
    return importlib.util.find_spec("skimage") is not None


def rows() -> dict[str, Select]:
    """What is compared, by name."""
    named: dict[str, Select] = {f"wand, tolerance {tolerance}": partial(WAND.select, tolerance=tolerance) for tolerance in (32, 64)}
    named |= {f"object (GrabCut), reach {reach:g}": partial(OBJECT.select, reach=reach) for reach in (0.1, 0.15, 0.2, 0.25, 0.3, 0.4)}
    if has_random_walker():
        for beta, disc in product((100, 300), (0.02, 0.05)):
            named[f"random walker, beta {beta}, disc {disc:g}"] = partial(random_walker, beta=beta, disc=disc)
    return named


def random_walker(image: Image.Image, clicks: list[Click], *, beta: float, disc: float) -> np.ndarray:
    """The part around the click that a random walker reaches sooner than the picture's border; the seeds that did best of those tried.

    Args:
        beta: how much edges hold it back.
        disc: radius of what the click says for certain, as a share of the picture's shorter side.
    """
    from skimage.segmentation import random_walker as probabilities  # type: ignore[import-not-found]

    (x, y, _), (width, height) = clicks[0], image.size
    rows, columns = np.indices((height, width)) + 0.5
    distance = np.hypot(columns - x, rows - y) / min(width, height)
    seeds = np.where(distance > 0.3, 2, 0)
    seeds[[0, -1]] = seeds[:, [0, -1]] = 2
    seeds[distance <= max(disc, 1 / min(width, height))] = 1
    inside = probabilities(np.asarray(image) / 255, seeds, beta=beta, mode="cg_j", channel_axis=2, return_full_prob=True)[0] > 0.3
    return connected_to(inside, int(y), int(x))


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two bool masks, of which one is not empty."""
    return float((a & b).sum() / (a | b).sum())


def measure(select: Select, on: Iterable[Case]) -> Row:
    """One row."""
    started = time.perf_counter()
    found = [(case.mask, select(case.image, case.clicks)) for case in on]
    seconds = (time.perf_counter() - started) / len(found)
    values = np.array([overlap(mask, selected) for mask, selected in found])
    return Row(interval(values), float(np.median(values)), float((values > 0.8).mean()), 1000 * seconds)
