"""When, during a run, energies guide, noise is added and steps are repeated: a value, so that the loop holds no step numbers."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field, field_validator, model_validator

from dragonkit.edits.validation import Model

__all__ = ["Fraction", "GuidanceSchedule", "Span"]

Fraction = Annotated[float, Field(ge=0, le=1)]
Span = tuple[Fraction, Fraction]


class GuidanceSchedule(Model):
    """What happens when, in fractions of the steps. `every` comes from DragonDiffusion, the others from DiffEditor (arXiv 2402.02583).

    Raises:
        EditError: a value out of range; the message names the field, the value and the range.

    Example:
        >>> schedule = GuidanceSchedule(span=(0, 0.6), every=2, dense=0.2)  # every second from a fifth on
        >>> sorted(schedule.guided(steps=10))
        [0, 1, 2, 4]
        >>> schedule == GuidanceSchedule.model_validate("span=0:0.6, every=2, dense=0.2")
        True
    """

    model_config = ConfigDict(json_schema_extra={"format": "schedule"})  # may be written as text

    span: Span = Field(default=(0.0, 0.6), description="between which the energies guide")
    every: int = Field(default=1, ge=1, le=1000, description="guide every n-th step of these")
    dense: Fraction = Field(default=0.0, description="until when each step of the span is guided, whatever `every` says")
    regional: bool = Field(
        default=False, description="let each energy's gradient act in its own region only: the edit's in the target, the others' outside"
    )
    guidance: Span = Field(
        default=(0.0, 1.0), description="between which classifier-free guidance acts; a step without needs half the network calls"
    )
    attention: Span | None = Field(
        default=None, description="between which the decoder reads the source's keys and values; as the mode asks when left out"
    )
    noise: Fraction = Field(default=0.0, description="eta of the steps inside the edited region: 0 is DDIM, 1 as random as DDPM")
    noise_span: Span = Field(default=(0.22, 0.4), description="between which that noise is added")
    image_prompt: Span = Field(default=(0.2, 0.4), description="between which the source picture prompts, where the settings ask for it")
    rounds: int = Field(
        default=1, ge=1, le=10, description="how often a guided step is done: from 2 on it is undone and done again (time travel)"
    )
    rounds_span: Span = Field(default=(0.42, 0.6), description="between which steps are repeated")
    rounds_every: int = Field(default=2, ge=1, le=1000, description="repeat every n-th step, counted from the first one of the run")

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        parts = [part.partition("=") for part in value.split(",") if part.strip()]
        if not parts or not all(equals for _, equals, _ in parts):
            raise ValueError("as text it is a list such as 'span=0:0.6, every=2'")
        return {name.strip(): text.split(":") if ":" in text else text.strip() for name, _, text in parts}

    @field_validator("span", "guidance", "attention", "noise_span", "image_prompt", "rounds_span")
    @classmethod
    def _in_order(cls, span: Span | None) -> Span | None:
        if span is not None and span[0] > span[1]:
            raise ValueError("the start must not be after the stop; give (start, stop) with 0 <= start <= stop <= 1")
        return span

    def __str__(self) -> str:
        """The text form, without what is left at its default; "span=0:0.6" when all is."""
        named = {name: getattr(self, name) for name, field in type(self).model_fields.items() if getattr(self, name) != field.default}
        named = named or {"span": self.span}
        return ",".join(f"{name}={_text(value)}" for name, value in named.items())

    def over(self, base: GuidanceSchedule) -> GuidanceSchedule:
        """This schedule, with what it leaves out taken from another one."""
        return base.model_copy(update={name: getattr(self, name) for name in self.model_fields_set})

    def guided(self, steps: int) -> frozenset[int]:
        """The steps, counted from 0, at which energies guide."""
        start, stop = _within(self.span, steps)
        dense = round(self.dense * steps)
        return frozenset(index for index in range(start, stop) if index < dense or (index - start) % self.every == 0)

    def noise_at(self, steps: int) -> dict[int, float]:
        """eta by step, where it is not 0."""
        return {index: self.noise for index in range(*_within(self.noise_span, steps))} if self.noise else {}

    def led(self, steps: int) -> frozenset[int]:
        """The steps at which classifier-free guidance acts (Kynkäänniemi et al., 2024, "limited interval" guidance)."""
        return frozenset(range(*_within(self.guidance, steps)))

    def pictured(self, steps: int) -> frozenset[int]:
        """The steps at which the source picture prompts beside the words."""
        return frozenset(range(*_within(self.image_prompt, steps)))

    def rounds_at(self, steps: int) -> dict[int, int]:
        """How often a step is done, where it is more than once: where energies guide, else it is for nothing."""
        start, stop = _within(self.rounds_span, steps)
        repeated = (index for index in sorted(self.guided(steps)) if start <= index < stop and index % self.rounds_every == 0)
        return dict.fromkeys(repeated, self.rounds) if self.rounds > 1 else {}


def _text(value: Any) -> str:
    """As short as it can be read back to the very same number."""
    return ":".join(map(_text, value)) if isinstance(value, tuple) else str(value).removesuffix(".0")


def _within(span: Span, steps: int) -> tuple[int, int]:
    return round(span[0] * steps), round(span[1] * steps)
