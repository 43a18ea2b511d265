"""What a result is worth beside the known answer: how like it is in each region, where things are, what stayed behind, how it looks."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from PIL import Image

from dragonkit.bench.measures.appearance import color_distance, outline_overlap, pattern_distance
from dragonkit.bench.measures.placement import drag_distance, placement_error
from dragonkit.bench.tasks.figures import BEST_PSNR
from dragonkit.bench.tasks.parts import Task
from dragonkit.errors import ShapeError

__all__ = ["ABOUT", "About", "Measures", "Record", "fraction", "measure"]

_WINDOW = 7  # pixels; the usual 11 would see more of the surroundings than of objects in pictures of 64


@dataclass(frozen=True)
class About:
    """What a measure says.

    Attributes:
        title: for tables.
        unit: empty where it has none.
        text: what it is.
        higher: whether higher is better.
        way: whether an edit has a way to go in it, as the untouched source is worse than the answer.
        digits: as many of them after the point mean something.
    """

    title: str
    unit: str
    text: str
    higher: bool
    way: bool
    digits: int


def _about(title: str, unit: str, text: str, *, higher: bool = False, way: bool = True, digits: int = 1) -> Any:
    return field(metadata={"about": About(title, unit, text, higher, way, digits)})


def _psnr_of(region: str, text: str, way: bool = True) -> Any:
    return _about(f"PSNR {region}", "dB", text, higher=True, way=way)


def _ssim_of(region: str, way: bool = True) -> Any:
    text = f"structural similarity to the answer there ({_WINDOW} pixel windows), at most 1"
    return _about(f"SSIM {region}", "", text, higher=True, way=way, digits=2)


@dataclass(frozen=True)
class Measures:
    """A result against the known answer; nan where a measure does not apply. Regions are those of `Task`."""

    psnr_changed: float = _psnr_of("changed", "likeness to the answer where it differs visibly from the source; 99 stands for equal")
    psnr_target: float = _psnr_of("target", "likeness to the answer where it shows the object")
    psnr_vacated: float = _psnr_of("vacated", "likeness to the answer where the object was and no longer is")
    psnr_elsewhere: float = _psnr_of("elsewhere", "likeness to the answer where the object never is", way=False)
    ssim_changed: float = _ssim_of("changed")
    ssim_target: float = _ssim_of("target")
    ssim_vacated: float = _ssim_of("vacated")
    ssim_elsewhere: float = _ssim_of("elsewhere", way=False)
    placement: float = _about("placement", "px", "how far from its place what looks most like the answer's object is")
    residual: float = _about("residual", "", "how much of the object is still where it was: 1 all of it, 0 nothing", digits=2)
    tint: float = _about("tint", "", "how far the mean colour of the vacated place is from the answer's there, 0 to 255: seams")
    drag: float = _about("drag", "px", "how far from their goals the dragged points are")
    drag_before: float = _about("drag before", "px", "the same in the source", way=False)
    color: float = _about("colour", "", "distance of the object's colours to the reference's, 0 to 255; the answer's own is not 0")
    color_before: float = _about("colour before", "", "the same in the source", way=False)
    pattern: float = _about("pattern", "", "distance of the object's pattern to the reference's, 0 to 255; the answer's own is not 0")
    pattern_before: float = _about("pattern before", "", "the same in the source", way=False)
    outline: float = _about("outline", "", "overlap of the object's outline with the answer's, at most 1", higher=True, way=False, digits=2)


ABOUT: dict[str, About] = {one.name: one.metadata["about"] for one in fields(Measures)}
"""By the measure's name, in the order of `Measures`."""


@dataclass(frozen=True, eq=False)
class Record:
    """A task done in one way.

    Attributes:
        task: its name; with the seed it is the task.
        row: what did it, such as "default"; "untouched" and "ceiling" are where the way begins and ends.
        before, answer, after: pictures of one size.
        evaluations: UNet calls, each counted with its batch rows.
        wish: a picture of what was asked, of any size.
    """

    task: str
    seed: int
    row: str
    before: Image.Image
    answer: Image.Image
    after: Image.Image
    measures: Measures
    evaluations: int
    seconds: float
    wish: Image.Image | None = None


def measure(task: Task, result: Image.Image) -> Measures:
    """Everything that can be said about a result of the scene's size.

    Raises:
        ShapeError: it has another size.
        ImportError: torchmetrics is not installed; it comes with the extra "bench".
    """
    source, answer, ours = (np.asarray(picture.convert("RGB")) for picture in (task.scene.image, task.answer.image, result))
    if ours.shape != answer.shape:
        raise ShapeError(answer.shape, ours.shape, "the result", "Pass a picture of the scene's size.")
    values: dict[str, float] = {}
    for name in ("changed", "target", "vacated", "elsewhere"):
        region = getattr(task, name)
        values[f"psnr_{name}"], values[f"ssim_{name}"] = _psnr(ours, answer, region), _ssim(ours, answer, region)
    for name, distance in (("drag", drag_distance), ("color", color_distance), ("pattern", pattern_distance)):
        values[name], values[f"{name}_before"] = distance(task, ours), distance(task, source)
    return Measures(
        **values,
        placement=placement_error(task, ours),
        tint=_tint(ours, answer, task.vacated),
        residual=_residual(*(picture[task.vacated].astype(float) for picture in (ours, answer, source))),
        outline=outline_overlap(task, ours),
    )


def fraction(value: float, untouched: float, ceiling: float) -> float:
    """How much of the way from the untouched source (0) to the autoencoder's round trip of the answer (1) was gone.

    Below 0 when it got worse, above 1 when it is better than the autoencoder; nan where there is no way to go.
    """
    return (value - untouched) / (ceiling - untouched) if ceiling != untouched else math.nan


def _tint(ours: np.ndarray, answer: np.ndarray, region: np.ndarray) -> float:
    if not region.any():
        return math.nan
    return float(np.linalg.norm(ours[region].mean(axis=0) - answer[region].mean(axis=0)) / math.sqrt(3))


def _psnr(ours: np.ndarray, answer: np.ndarray, region: np.ndarray) -> float:
    import torch
    from torchmetrics.functional.image import peak_signal_noise_ratio

    if not region.any():
        return math.nan
    a, b = (torch.from_numpy(pixels[region].astype(np.float64)) for pixels in (ours, answer))
    return min(float(peak_signal_noise_ratio(a, b, data_range=255.0)), BEST_PSNR)


def _ssim(ours: np.ndarray, answer: np.ndarray, region: np.ndarray) -> float:
    """The mean over the region of the similarity around each pixel. Windows at its edge look beyond, and see the answer there: a region
    that is right counts as right, whatever became of its neighbour."""
    import torch
    from torchmetrics.functional.image import structural_similarity_index_measure

    if not region.any():
        return math.nan
    shown = np.where(region[..., None], ours, answer)
    a, b = (torch.from_numpy(pixels / 255).permute(2, 0, 1)[None] for pixels in (shown, answer))
    _, around = structural_similarity_index_measure(
        a, b, gaussian_kernel=False, kernel_size=_WINDOW, data_range=1.0, return_full_image=True
    )
    return float(around[0].mean(0)[torch.from_numpy(region)].mean())


def _residual(ours: np.ndarray, answer: np.ndarray, source: np.ndarray) -> float:
    """The share of the source in pixels (n, 3) that lie between answer and source, by projection.

    Clipped to 0..1: a hole filled with the opposite of the object is wrong as well, and must not make up for a ghost elsewhere.
    """
    way = source - answer
    length = (way**2).sum()
    return float(np.clip(((ours - answer) * way).sum() / length, 0, 1)) if length else math.nan
