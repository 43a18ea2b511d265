"""Half precision makes the same picture as float32, on the CPU and, where there is one, on a GPU."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import pytest
import torch
from PIL import Image

import dragonkit as dk
from dragonkit.bench.cost import Case, measure_case
from dragonkit.bench.tasks.catalogue import move_task
from dragonkit.diffusion import attention
from dragonkit.diffusion.kernels import Kernel, xformers
from dragonkit.imaging.images import psnr

PRECISIONS = pytest.mark.parametrize(
    ("device", "dtype"),
    [
        ("cpu", torch.bfloat16),  # float16 on a CPU is so slow that nobody wants it
        pytest.param("cuda", torch.bfloat16, marks=pytest.mark.gpu),
        pytest.param("cuda", torch.float16, marks=pytest.mark.gpu),
    ],
    ids=str,
)


@lru_cache
def moved(device: str, dtype: torch.dtype, preset: str) -> Image.Image:
    task = move_task(10**12)
    editor, settings = (
        dk.Editor.from_pretrained(device=device, dtype=dtype),
        dk.Settings.preset(preset, steps=5 if preset == "default" else 25),
    )
    source = editor.invert(task.scene.image, task.scene.caption, settings)
    return editor.edit(source, dk.Move(**task.edits[0][1]), settings).image


@PRECISIONS
def test_the_models_own_settings(device: str, dtype: torch.dtype) -> None:
    assert psnr(moved(device, dtype, "default"), moved("cpu", torch.float32, "default")) > 50


@pytest.mark.slow
@PRECISIONS
def test_the_published_method(device: str, dtype: torch.dtype) -> None:
    """Guidance at every step, and nothing held: errors add up. In five steps the inversion's extrapolation would make more of them."""
    assert psnr(moved(device, dtype, "paper"), moved("cpu", torch.float32, "paper")) > 38


@pytest.mark.gpu
def test_a_gpu_makes_the_cpus_picture() -> None:
    assert psnr(moved("cuda", torch.float32, "paper"), moved("cpu", torch.float32, "paper")) > 35


@pytest.mark.gpu
def test_an_edit_does_not_depend_on_whose_attention_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    if xformers().attention is None:
        pytest.skip(f"xformers {xformers().problem or 'is not installed'}")
    ours = moved("cuda", torch.float16, "paper")
    monkeypatch.setattr(attention, "kernel_for", lambda *_: Kernel("torch", ""))
    assert psnr(moved.__wrapped__("cuda", torch.float16, "paper"), ours) > 25


@pytest.mark.gpu
@pytest.mark.slow
@pytest.mark.parametrize("memory", ["bank", "recompute"])
def test_stable_diffusions_shape_fits(memory: Any) -> None:
    found = measure_case(Case("sd15-shape", "float16", memory, "cuda", steps=10))
    assert found.image.shape == (512, 512, 3) and found.image.std() > 0
    assert found.peak < 16 * 1024
