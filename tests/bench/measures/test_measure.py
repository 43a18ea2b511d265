"""Measures against formulas written by hand, and against results whose fault is known."""

from __future__ import annotations

import math
from dataclasses import asdict, fields
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

pytest.importorskip("torchmetrics")

from torchmetrics.functional.image import structural_similarity_index_measure

from dragonkit.bench.measures import measure as measures
from dragonkit.bench.measures.measure import ABOUT, Measures, fraction, measure
from dragonkit.bench.tasks.catalogue import TASKS, move_task
from dragonkit.bench.tasks.parts import Task
from dragonkit.errors import ShapeError

REGIONS = ("changed", "target", "vacated", "elsewhere")
APPLY = {  # beside PSNR and SSIM
    "move": {"placement", "residual", "tint"},
    "move-resize": {"placement", "residual", "tint"},
    "resize": {"placement", "residual", "tint"},
    "appearance": {"color", "pattern", "outline"},
    "drag": {"placement", "residual", "tint", "drag"},
    "drag-rigid": {"placement", "residual", "tint", "drag"},
    "paste": {"placement"},
    "remove": {"residual", "tint"},
    "rotate": {"placement", "residual", "tint"},
    "region": {"placement", "residual", "tint", "drag"},
    "three": {"placement", "residual", "tint", "color", "pattern", "outline"},
}


@cache
def made(name: str, seed: int = 3, size: int = 64) -> Task:
    return TASKS[name](seed, size)


@pytest.fixture(params=TASKS)
def task(request: pytest.FixtureRequest) -> Task:
    return made(request.param)


def pixels(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture).astype(float)


def noisy(task: Task) -> Image.Image:
    noise = np.random.default_rng(0).normal(0, 12, (64, 64, 3))
    return Image.fromarray((pixels(task.answer.image) + noise).clip(0, 255).astype(np.uint8))


def replaced(task: Task, region: np.ndarray) -> Image.Image:
    """The answer with the source's pixels in a region."""
    return Image.fromarray(np.where(region[..., None], np.asarray(task.scene.image), np.asarray(task.answer.image)))


def test_the_answer_is_perfect(task: Task) -> None:
    found = measure(task, task.answer.image)
    for region in REGIONS:
        if getattr(task, region).any():
            assert getattr(found, f"psnr_{region}") == 99 and getattr(found, f"ssim_{region}") == pytest.approx(1)
    for name, right in (("placement", 0), ("residual", 0), ("tint", 0), ("drag", 0), ("outline", 1)):
        if not math.isnan(getattr(found, name)):
            assert getattr(found, name) == right


def test_a_measure_that_does_not_apply_is_nan(task: Task) -> None:
    found = asdict(measure(task, task.scene.image))
    some_vacated = bool((task.vacated & task.changed).any())
    expected = APPLY[task.name] - (set() if some_vacated else {"residual", "tint"})
    expected |= {f"{name}_before" for name in ("drag", "color", "pattern") if name in expected}
    assert {name for name, value in found.items() if not name.startswith(("psnr", "ssim")) and not math.isnan(value)} == expected
    for region in REGIONS:
        for kind in ("psnr", "ssim"):
            assert math.isnan(found[f"{kind}_{region}"]) == (not getattr(task, region).any())


def test_the_untouched_source_is_what_it_is_compared_with(task: Task) -> None:
    found = measure(task, task.scene.image)
    for name in ("drag", "color", "pattern"):
        assert getattr(found, name) == pytest.approx(getattr(found, f"{name}_before"), nan_ok=True)
    assert found.psnr_elsewhere == 99 and found.ssim_elsewhere == pytest.approx(1)  # though windows at its edge look into the edit
    assert found.psnr_changed < 25 and found.ssim_changed < 0.9


def test_psnr_by_hand(task: Task) -> None:
    result = noisy(task)
    found = measure(task, result)
    for name in REGIONS:
        region = getattr(task, name)
        if region.any():
            error = ((pixels(result) - pixels(task.answer.image))[region] ** 2).mean()
            assert getattr(found, f"psnr_{name}") == pytest.approx(10 * math.log10(255**2 / error), abs=1e-4)  # torchmetrics rounds


def test_the_whole_picture_has_the_ssim_of_torchmetrics() -> None:
    task = made("move")
    a, b = (pixels(picture) / 255 for picture in (noisy(task), task.answer.image))
    whole = np.ones((64, 64), bool)
    ours = measures._ssim(np.asarray(noisy(task)), np.asarray(task.answer.image), whole)
    stacked = (torch.tensor(values).permute(2, 0, 1)[None] for values in (a, b))
    theirs = structural_similarity_index_measure(*stacked, gaussian_kernel=False, kernel_size=7, data_range=1.0)
    assert ours == pytest.approx(float(theirs), abs=1e-6) and 0 < ours < 1


def test_ssim_by_hand_at_one_pixel() -> None:
    """Wang et al. 2004, equation 13, with uniform weights; around the pixel all is the result, beyond the answer."""
    task = made("move")
    ours, answer = np.asarray(noisy(task)), np.asarray(task.answer.image)
    region = np.zeros((64, 64), bool)
    region[20, 30] = True
    expected = []
    for channel in range(3):
        b = answer[17:24, 27:34, channel] / 255
        a = b.copy()
        a[3, 3] = ours[20, 30, channel] / 255
        covariance = ((a - a.mean()) * (b - b.mean())).mean()
        luminance = (2 * a.mean() * b.mean() + 1e-4) / (a.mean() ** 2 + b.mean() ** 2 + 1e-4)
        expected.append(luminance * (2 * covariance + 9e-4) / (a.var() + b.var() + 9e-4))
    assert measures._ssim(ours, answer, region) == pytest.approx(np.mean(expected), abs=1e-9)


@pytest.mark.parametrize("name", ["move", "drag", "rotate", "three"])
def test_residual_is_how_much_of_the_source_is_left(name: str) -> None:
    task = made(name)
    assert measure(task, task.scene.image).residual == 1
    assert measure(task, replaced(task, ~task.vacated)).residual == 0
    half = Image.fromarray(((pixels(task.scene.image) + pixels(task.answer.image)) / 2).round().astype(np.uint8))
    assert measure(task, half).residual == pytest.approx(0.5, abs=0.01)


def test_tint_is_how_far_the_mean_colour_of_the_vacated_place_is_off() -> None:
    task = move_task(3, 64)
    tinted = np.asarray(task.answer.image).astype(int)
    room = tinted[task.vacated].max() <= 240
    tinted[task.vacated] += 12 if room else -12
    assert measure(task, Image.fromarray(tinted.clip(0, 255).astype(np.uint8))).tint == pytest.approx(12, abs=0.5)
    swapped = np.asarray(task.answer.image).copy()
    swapped[task.vacated] = swapped[task.vacated][::-1]  # other pixels, the same mean
    assert measure(task, Image.fromarray(swapped)).tint == pytest.approx(0, abs=1e-9)


def test_residual_is_never_less_than_nothing() -> None:
    """Pixels on the other side of the answer are wrong, but they are not the object."""
    task = made("move")
    beyond = 2 * pixels(task.answer.image) - pixels(task.scene.image)
    assert measure(task, Image.fromarray(beyond.clip(0, 255).astype(np.uint8))).residual == 0
    assert measure(task, Image.fromarray(255 - np.asarray(task.answer.image))).residual <= 1


def test_another_size_is_refused() -> None:
    with pytest.raises(ShapeError, match="the result"):
        measure(made("move"), Image.new("RGB", (32, 32)))


def test_every_measure_is_described() -> None:
    assert list(ABOUT) == [one.name for one in fields(Measures)]
    assert len({one.title for one in ABOUT.values()}) == len(ABOUT)
    better = measure(made("three"), made("three").answer.image)
    worse = measure(made("three"), made("three").scene.image)
    for name, about in ABOUT.items():
        if about.way and not math.isnan(getattr(better, name)):
            assert (getattr(better, name) > getattr(worse, name)) == about.higher


@given(st.floats(-99, 99), st.floats(-99, 99), st.floats(-1, 2))
def test_fraction_of_the_way(untouched: float, ceiling: float, part: float) -> None:
    if abs(ceiling - untouched) > 1e-3:
        assert fraction(untouched + part * (ceiling - untouched), untouched, ceiling) == pytest.approx(part, abs=1e-9)
    assert math.isnan(fraction(part, untouched, untouched))
