"""The built-in inversions, offered as a plugin's are."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from pydantic import Field

from dragonkit.plugins.inversion import Inversion, InversionOptions
from dragonkit.plugins.specs import hookimpl

__all__ = ["Bidirectional", "NoiseSpace", "NullText"]

_SCALE = "classifier-free guidance that edits will have; Settings.guidance_scale when left out"


class NoiseSpace(InversionOptions):
    """Of `edit-friendly`."""

    seed: int = Field(default=0, ge=0, le=2**63 - 1, description="of the noise that each level gets")


class Bidirectional(InversionOptions):
    """Of `bdia`."""

    guidance_scale: float = Field(default=1.0, ge=0, le=100, description=_SCALE)
    gamma: float = Field(default=1.0, gt=0, le=1, description="how far each step looks back; below 1 errors grow on the way up")


class NullText(InversionOptions):
    """Of `null-text`."""

    guidance_scale: float = Field(default=1.0, ge=0, le=100, description=_SCALE)
    updates: int = Field(default=10, ge=1, le=1000, description="most updates of the words at each step")
    learning_rate: float = Field(default=0.01, gt=0, le=1, description="of Adam's first step; it falls to the half")


@hookimpl
def dragonkit_inversions() -> list[Inversion]:
    return [
        Inversion(
            "ddim",
            "denoising step by step in reverse; with more iterations each step is retraced more exactly",
            _later("inversion", "ddim"),
            stepwise=True,
        ),
        Inversion(
            "extrapolated",
            "ddim, and the noise at a step's upper end extrapolated from the levels below: as exact as two iterations, for one call",
            _later("inversion", "extrapolated"),
            stepwise=True,
        ),
        Inversion(
            "direct",
            "ddim, and what each step back misses is added to it: exact under any guidance",
            _later("retracing", "direct"),
            stepwise=True,
        ),
        Inversion(
            "negative-prompt",
            "ddim, and guidance leads away from the picture's own prompt: as no edit changes it, there is none",
            _later("negatives", "negative_prompt"),
        ),
        Inversion(
            "null-text",
            "ddim, and words to lead away from are optimised at each step, for one guidance scale",
            _later("negatives", "null_text"),
            NullText,
        ),
        Inversion(
            "bdia",
            "steps over two levels that can be undone exactly, for one guidance scale",
            _later("bidirectional", "bdia"),
            Bidirectional,
        ),
        Inversion(
            "edit-friendly",
            "each level under noise of its own, random steps whose noise is kept: exact, and no network call",
            _later("retracing", "edit_friendly"),
            NoiseSpace,
        ),
    ]


def _later(module: str, name: str) -> Callable[..., Any]:
    """The function of that name, loaded when it is called: it loads torch."""
    return lambda *arguments: getattr(import_module(f"dragonkit.diffusion.{module}"), name)(*arguments)
