"""How to run an edit, as opposed to what to edit: steps, scales, schedule, memory. The same for every mode."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal, TypeAlias, get_args

from pydantic import Field, JsonValue, field_validator

from dragonkit.edits.schedules import Fraction, GuidanceSchedule
from dragonkit.edits.validation import Model
from dragonkit.errors import EditError
from dragonkit.words import closest

__all__ = ["MEMORIES", "PRESETS", "Memory", "Settings"]

LayerName = Annotated[str, Field(min_length=1)]
Memory: TypeAlias = Literal["bank", "offload", "recompute"]
MEMORIES: tuple[Memory, ...] = get_args(Memory)
"""The ways to use memory, each with less on the device than the one before."""


class Settings(Model):
    """Everything the engine may be told. The defaults are a starting point; models and modes may suggest others.

    Raises:
        EditError: a value out of range; the message names the field, the value and the range.

    Example:
        Settings(steps=30, schedule=GuidanceSchedule(span=(0.0, 0.5)), keep="latents")
        Settings.preset("paper", seed=3)
    """

    steps: int = Field(default=50, ge=1, le=1000, description="denoising steps")
    guidance_scale: float = Field(default=1.0, ge=0, le=100, description="classifier-free guidance; at 1 and below there is none")
    energy_scale: float = Field(default=0.03, ge=0, le=10, description="RMS of the energy gradient, as a fraction of the latents' RMS")
    seed: int = Field(default=0, ge=0, le=2**63 - 1, description="seed of the new noise that vacated places get")
    schedule: GuidanceSchedule = Field(
        default_factory=GuidanceSchedule,
        description="when energies guide, noise is added and steps repeat, such as span=0:0.6,every=2",
    )
    attention: bool = Field(default=True, description="let the decoder read the source's keys and values, as the modes ask (eq. 11)")
    memory: Memory = Field(
        default="bank",
        description="keep what the network sees of pictures for later edits, on the device while there is room, then on the host; on the "
        "host from the start; or compute it again, and what gradients need as well; an edit that runs out of memory goes over to the next",
    )
    working_size: int | None = Field(
        default=None, ge=8, le=8192, description="shorter side in pixels at which the model works on the picture; its own when left out"
    )
    keep: Literal["pixels", "latents", "energy"] = Field(
        default="pixels", description="how the untouched part is kept: bit for bit, in the latents, or by the preserve energy only"
    )
    start: Literal["picture", "noise"] = Field(
        default="picture",
        description="what edits start from: a picture of them, made without the model, or noise copied as in the released code",
    )
    hold: Fraction = Field(default=0.6, description="fraction of the steps during which a moved object's latents are held at its target")
    hold_guess: Fraction = Field(
        default=0.3, description="the same where what was pasted is a first guess: what a drag stretches, which the model shall redraw"
    )
    hold_vacated: Fraction = Field(
        default=0.2, description="fraction of the steps during which the vacated place is held at a smooth fill from its rim"
    )
    image_prompt: float = Field(
        default=0.0,
        ge=0,
        le=2,
        description="scale at which the source picture prompts beside the words, for a pipeline with an IP-Adapter; 0 for not at all",
    )
    layers: tuple[LayerName, ...] = Field(
        default=("up.1", "up.2"), min_length=1, description="layers whose features the energies compare; a plain number N means up.N"
    )
    inversion: str = Field(
        default="extrapolated", min_length=1, description="how the noise behind the picture is found: see dragonkit inversions"
    )
    inversion_iterations: int = Field(default=1, ge=1, le=50, description="network calls per inversion step")
    inversion_options: dict[str, JsonValue] = Field(
        default_factory=dict, description="what else the inversion may be told, by its options' names"
    )

    def __hash__(self) -> int:  # the options are a dict
        return hash(tuple(value for name, value in self if name != "inversion_options"))

    @field_validator("layers", mode="before")
    @classmethod
    def _by_name(cls, layers: Any) -> Any:
        if not isinstance(layers, (list, tuple, set, frozenset)):
            return layers
        parts = [part for layer in layers for part in (layer.split(",") if isinstance(layer, str) else [layer])]  # as on a command line
        return [f"up.{part}" if _is_count(part) else part.strip() if isinstance(part, str) else part for part in parts]

    @field_validator("layers")
    @classmethod
    def _each_once(cls, layers: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(layers)) < len(layers):
            raise ValueError("each layer may be named only once")
        return tuple(sorted(layers))

    @classmethod
    def preset(cls, name: str, **changes: Any) -> Settings:
        """Named settings, with changes on top: "default" (the model's own), "paper", "reference" or "fast". EditError for another name.

        Example:
            >>> settings = Settings.preset("paper", steps=20)
            >>> settings.steps, settings.hold, settings.keep
            (20, 0.0, 'energy')
        """
        if name not in PRESETS:
            raise EditError(f"there is no preset {name!r}.{closest(name, list(PRESETS))} Presets: {', '.join(PRESETS)}.")
        return cls(**changes).over(cls(**PRESETS[name]))

    def over(self, base: Settings) -> Settings:
        """These settings, with what they leave out taken from other ones; so is what their schedule leaves out."""
        below, own = ({name: getattr(one, name) for name in one.model_fields_set} for one in (base, self))
        if {"schedule"} <= below.keys() & own.keys():
            own["schedule"] = own["schedule"].over(below["schedule"])
        return Settings(**{**below, **own})


def _is_count(value: Any) -> bool:
    return value.strip().isdecimal() if isinstance(value, str) else isinstance(value, int) and not isinstance(value, bool) and value >= 0


# the published scales are for raw gradients, which say nothing about other models; ours does: `dragonkit bench scale`
_PAPER = {
    "steps": 50,
    "guidance_scale": 4.0,
    "energy_scale": 0.03,
    "keep": "energy",
    "start": "noise",
    "hold": 0.0,
    "hold_guess": 0.0,
    "hold_vacated": 0.0,
    "inversion_iterations": 1,
}

PRESETS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "default": {},
        # DragonDiffusion as written: guidance at each of the first 30 of 50 steps, nothing held; z_T, of which it
        # says little, as in the released code; classifier-free guidance stops early, which costs less and looks no worse
        "paper": {**_PAPER, "schedule": GuidanceSchedule(span=(0.0, 0.6), every=1, guidance=(0.0, 0.4))},
        # the numbers in the released code, with DiffEditor's refinements
        "reference": {
            **_PAPER,
            "inversion": "ddim",
            "schedule": GuidanceSchedule(span=(0.0, 0.6), every=2, dense=0.2, regional=True, noise=0.4, rounds=3),
        },
        "fast": {"steps": 20, "inversion_iterations": 1, "schedule": GuidanceSchedule(every=2)},
    }
)
"""What `Settings.preset` sets, by name; whatever a preset leaves out is the model's own."""
