"""Custom: guide an edit by an energy of one's own, written as a Python function, without writing a plugin."""

from __future__ import annotations

import functools
import inspect
import itertools
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

from dragonkit.edits.edit import Edit
from dragonkit.edits.paths import PathRule
from dragonkit.edits.values import Mask
from dragonkit.energy import terms
from dragonkit.errors import EditError, EditFileError
from dragonkit.imaging.masks import load_mask
from dragonkit.plugins.answers import AttentionPlan, EditMasks, EnergyTerm, Features
from dragonkit.plugins.placement import Placement
from dragonkit.plugins.specs import hookimpl
from dragonkit.words import short

if TYPE_CHECKING:
    from typing import Self

    from torch import Tensor

__all__ = ["CustomEdit"]

_FORMS = "a function of Features (and EditMasks, if it takes two arguments), an EnergyTerm, or a list or dict of these"


def _check_energies(value: Any) -> Any:
    """Refuse what cannot be called with features. Lists and dicts are copied, so that the edit stays what it is."""
    value = dict(value) if isinstance(value, Mapping) else tuple(value) if isinstance(value, (list, tuple)) else value
    energies = _named(value)
    if not energies:
        raise EditError(f"there is no energy, got {short(value)}. Pass {_FORMS}.")
    for name, energy in energies.items():
        if isinstance(energy, EnergyTerm):
            energy = energy.function
        if not callable(energy) or isinstance(energy, type):
            hint = " It is a class: pass an instance." if isinstance(energy, type) else ""
            raise EditError(f"the energy {name!r} is {short(energy)}, which cannot be called with features.{hint} Pass {_FORMS}.")
        EnergyTerm(name, energy)  # refuses an empty name
        _wants_masks(name, energy)
    return value


def _names_of_energies(value: Any) -> dict[str, str]:
    """What an edit file says of the energies: where their code is. It is for people, and cannot be read back."""
    return {name: _qualified_name(energy) for name, energy in _named(value).items()}


Energies = Annotated[
    Any,
    BeforeValidator(_check_energies),
    PlainSerializer(_names_of_energies, when_used="json"),
    WithJsonSchema({"type": "object", "additionalProperties": {"type": "string"}, "accepts": _FORMS}),
]


class CustomEdit(Edit):
    """Change the picture under `mask`, or all of it, such that an energy written in Python becomes small.

    An energy is a function of `dragonkit.Features` that returns a scalar tensor, lower is better, differentiable in
    `features.generated`. If it takes a second argument, it gets the `EditMasks` on the same grid: `target` is where the picture
    may change, `preserve` where it must not. A list or a dict of such functions, or `EnergyTerm`s with weights of their own, do as well.

    Code does not go into an edit file: the file of a custom edit names its energies, but cannot be run again.

    Example:
        from dragonkit.plugin_api import gather, inverse_energy, local_similarity

        def like_the_background(features, masks):
            inside = gather(features.generated, masks.target)
            ground = gather(features.source, masks.preserve).mean(1, keepdim=True)
            return inverse_energy(local_similarity(inside, ground.expand_as(inside)))

        edit = dk.CustomEdit(energy=like_the_background, mask=mask)
        editor.edit(source, edit, dk.Settings(energy_scale=0.25))
    """

    mode: ClassVar[str] = "custom"
    scriptable: ClassVar[bool] = False

    energy: Energies = Field(description="the energy: a Python function of the features, or several")
    mask: Mask | None = Field(
        default=None, description="where the picture may change, white on black, of its size; everywhere when left out"
    )
    weight: float = Field(default=1.0, ge=0, description="factor of all energies; EnergyTerms keep their own weights beside it")
    preserve_weight: float = Field(default=6.0, ge=0, description="weight of what must not change outside the mask (eq. 5)")
    attention: bool = Field(default=True, description="whether the decoder also reads the source's keys and values, to stay like it")

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], folder: str | os.PathLike[str] | PathRule | None = None) -> Self:
        """Always EditFileError: an edit file holds no code."""
        raise EditFileError(
            "a custom edit holds Python code, which an edit file does not carry: run it from Python, "
            f"with dk.CustomEdit and the energies that the file names, {short(data.get('energy'))}."
        )


@hookimpl
def dragonkit_edits() -> list[type[Edit]]:
    return [CustomEdit]


@hookimpl
def dragonkit_build_masks(edit: Edit, size: tuple[int, int]) -> Placement:
    """The mask in its place, or the whole picture. MaskError when the mask has another size or is empty."""
    assert isinstance(edit, CustomEdit)
    mask = np.ones(size[::-1], bool) if edit.mask is None else load_mask(edit.mask, size)
    return Placement(source=mask, target=mask)


@hookimpl
def dragonkit_energy_terms(edit: Edit, masks: EditMasks) -> Iterable[EnergyTerm] | None:
    """The user's energies, and preserve (eq. 5) where there is a mask."""
    if not isinstance(edit, CustomEdit):
        return None
    own = [_term(name, energy, masks, edit.weight) for name, energy in _named(edit.energy).items()]
    return [*own, terms.preserve(masks, edit.preserve_weight)] if masks.preserve.any() else own


@hookimpl
def dragonkit_attention(edit: Edit) -> AttentionPlan | None:
    """The source's keys and values beside the decoder's own, so that the look may change; as the released code does for dragging."""
    assert isinstance(edit, CustomEdit)
    return AttentionPlan(form="concatenate", start=0.1) if edit.attention else None


def _term(name: str, energy: Any, masks: EditMasks, weight: float) -> EnergyTerm:
    term = energy if isinstance(energy, EnergyTerm) else EnergyTerm(name, energy, region="target")
    function: Callable[[Features], Tensor] = term.function
    if _wants_masks(name, function):
        function = functools.partial(_with_masks, function, masks)
    return replace(term, name=name, function=function, weight=weight * term.weight)


def _with_masks(function: Callable[..., Tensor], masks: EditMasks, features: Features) -> Tensor:
    return function(features, masks)


def _wants_masks(name: str, function: Callable[..., Any]) -> bool:
    """Whether a second argument must be given, or is called `masks`. EditError when features, or features and masks, do not do."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # written in C: it will say itself what it does not like
        return False
    positional = [part for part in signature.parameters.values() if part.kind in (part.POSITIONAL_ONLY, part.POSITIONAL_OR_KEYWORD)]
    wanted = len(positional) >= 2 and (positional[1].default is positional[1].empty or positional[1].name == "masks")
    try:
        signature.bind(*(None, None)[: 1 + wanted])
    except TypeError:
        raise EditError(
            f"the energy {name!r} takes the arguments {signature}, but an energy is called with (features) or (features, masks). "
            "Give defaults to the others, or bind them with functools.partial."
        ) from None
    return wanted


def _named(value: Any) -> dict[str, Any]:
    """The energies by their names in reports: their keys, or else their own names, numbered where one is taken."""
    if isinstance(value, Mapping):
        pairs = [(str(name), energy) for name, energy in value.items()]
    else:
        pairs = [(_own_name(energy), energy) for energy in (value if isinstance(value, tuple) else (value,))]
    energies: dict[str, Any] = {}
    for name, energy in pairs:
        numbers = (f"{name}-{number}" for number in itertools.count(2))
        energies[next(free for free in itertools.chain([name], numbers) if free not in energies and free != "preserve")] = energy
    return energies


def _own_name(energy: Any) -> str:
    if isinstance(energy, EnergyTerm):
        return energy.name
    name = str(getattr(_unbound(energy), "__name__", type(energy).__name__))
    return "energy" if name == "<lambda>" else name


def _qualified_name(energy: Any) -> str:
    function = _unbound(energy.function if isinstance(energy, EnergyTerm) else energy)
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{named.__module__}.{named.__qualname__}"


def _unbound(function: Any) -> Any:
    while isinstance(function, functools.partial):
        function = function.func
    return function
