"""How to run an edit, as opposed to what to edit: steps, scales, schedule, memory. The same for every mode."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from dragonkit.validation import Model

__all__ = ["Settings"]

Fraction = Annotated[float, Field(ge=0, le=1)]
UpBlock = Annotated[int, Field(ge=0, le=3)]


class Settings(Model):
    """Everything the engine may be told. The defaults are a starting point; models and modes may suggest others.

    Raises:
        EditError: a value out of range; the message names the field, the value and the range.

    Example:
        Settings(steps=30, guided=(0.0, 0.5), keep="latents")
    """

    steps: int = Field(default=50, ge=1, le=1000, description="denoising steps")
    guidance_scale: float = Field(default=1.0, ge=0, le=100, description="classifier-free guidance; 1 switches it off")
    energy_scale: float = Field(default=0.03, ge=0, le=10, description="RMS of the energy gradient, as a fraction of the latents' RMS")
    seed: int = Field(default=0, ge=0, le=2**63 - 1, description="seed of the new noise that vacated places get")
    guided: tuple[Fraction, Fraction] = Field(default=(0.0, 0.6), description="the fractions of the steps between which energies guide")
    every: int = Field(default=1, ge=1, le=1000, description="guide every n-th step of these")
    memory: Literal["bank", "recompute"] = Field(
        default="bank", description="keep the source's features, keys and values after the first edit, or compute them again in every edit"
    )
    keep: Literal["pixels", "latents", "energy"] = Field(
        default="pixels", description="how the untouched part is kept: bit for bit, in the latents, or by the preserve energy only"
    )
    hold: Fraction = Field(default=0.6, description="fraction of the steps during which a moved object's latents are held at its target")
    hold_vacated: Fraction = Field(
        default=0.2, description="fraction of the steps during which the vacated place is held at a smooth fill from its rim"
    )
    layers: tuple[UpBlock, ...] = Field(default=(1, 2), min_length=1, description="up blocks of the UNet that the energies compare")
    inversion_iterations: int = Field(default=3, ge=1, le=50, description="network calls per inversion step; 1 is plain DDIM inversion")

    @field_validator("guided")
    @classmethod
    def _in_order(cls, guided: tuple[float, float]) -> tuple[float, float]:
        if guided[0] > guided[1]:
            raise ValueError("the start must not be after the stop; give (start, stop) with 0 <= start <= stop <= 1")
        return guided

    @field_validator("layers")
    @classmethod
    def _each_once(cls, layers: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(layers)) < len(layers):
            raise ValueError("each layer may be named only once")
        return tuple(sorted(layers))
