"""An inversion by name, as a plugin offers it; what its function is asked stands in `dragonkit.diffusion.inversion`."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from dragonkit.edits.settings import Settings
from dragonkit.edits.validation import Model
from dragonkit.errors import EditError
from dragonkit.words import short

__all__ = ["Inversion", "InversionOptions"]

_NAME = re.compile(r"[a-z][a-z0-9_-]*")


class InversionOptions(Model):
    """The base of an inversion's options, and those of one that has no others.

    `iterations` is `Settings.inversion_iterations`; further fields are what `Settings.inversion_options` may set, and carry a default.
    One named `guidance_scale` is `Settings.guidance_scale` where those leave it out, and binds later edits of the source to it.
    """

    iterations: int = Field(default=1, ge=1, description="network calls per step")


@dataclass(frozen=True)
class Inversion:
    """A way from the latents of a picture to the noise it may have come from.

    Attributes:
        name: what `Settings.inversion` says: lower-case letters, digits, "-" and "_".
        description: one line for people.
        function: `function(backbone, clean, condition, schedule, options, progress)` gives the trajectory, a tensor (n + 1, c, h, w);
            `dragonkit.diffusion.inversion.InversionFunction` has the types, shapes and meanings, and what it may give besides. It imports
            torch when it is called.
        options: the class of its options.
        stepwise: whether it climbs level by level, so that it may be asked for the lower part of the way: it gets a schedule of that part.
            Asked for more later, it begins again, and calls of the network that it made before are answered from memory. What is replayed
            must not depend on the part.

    Raises:
        EditError: a field is unusable.

    Example:
        Inversion("ddim", "what denoises back to the picture, step by step", invert)
    """

    name: str
    description: str
    function: Callable[..., Any]
    options: type[InversionOptions] = InversionOptions
    stepwise: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise EditError(f"Inversion.name is {short(self.name)}, but must be lower-case letters, digits, '-' and '_'. Rename it.")
        if not isinstance(self.description, str) or not self.description.strip():
            raise EditError(f"Inversion {self.name!r}: description is {short(self.description)}. Say in one line how it works.")
        if not callable(self.function):
            raise EditError(f"Inversion {self.name!r}: function must be callable, got {short(self.function)}. Pass a function.")
        if not (isinstance(self.options, type) and issubclass(self.options, InversionOptions)):
            raise EditError(
                f"Inversion {self.name!r}: options must be a class derived from dragonkit.plugin_api.InversionOptions, "
                f"got {short(self.options)}. Derive it."
            )

    @property
    def bound(self) -> bool:
        """Whether what it gives holds for one guidance scale only."""
        return "guidance_scale" in self.options.model_fields

    def options_of(self, settings: Settings) -> InversionOptions:
        """What the settings tell it. EditError for an option that it lacks, or a value out of range."""
        given: dict[str, Any] = {"iterations": settings.inversion_iterations}
        if self.bound:
            given["guidance_scale"] = settings.guidance_scale
        return self.options(**{**given, **settings.inversion_options})
