"""Every error dragonkit raises on purpose.

    DragonkitError
    ├── PluginError               a plugin did something wrong; knows .plugin and .distribution
    │   ├── PluginLoadError       it could not be imported or registered
    │   │   └── DuplicateModeError    it offers a mode that another plugin has
    │   └── PluginHookError       one of its hooks raised or returned the wrong thing
    ├── EditError (ValueError)    what was asked for makes no sense
    │   ├── UnknownModeError      no plugin offers this mode
    │   ├── MaskError             a mask is unreadable, empty or of another size than the image
    │   ├── PointError            a drag point is outside the image or otherwise unusable
    │   └── EditFileError         an edit file is broken
    ├── ImageError (ValueError)   a picture cannot be read or used
    ├── ModelError                a diffusion model cannot be used
    │   ├── ModelNotFoundError    there is no such model
    │   └── UnsupportedModelError it exists, but dragonkit cannot edit with it
    ├── ShapeError (ValueError)   an array has another shape than promised; .expected, .actual
    ├── NonFiniteEnergyError      an energy became NaN or infinite; .term, .step
    ├── OutOfMemoryError          the device ran out of memory; .advice
    └── Cancelled                 somebody asked a running edit to stop

Every message says what was wrong, which value was received, and what to do about it.
All of them survive pickling, so they cross process borders with their attributes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = [
    "Cancelled",
    "DragonkitError",
    "DuplicateModeError",
    "EditError",
    "EditFileError",
    "ImageError",
    "MaskError",
    "ModelError",
    "ModelNotFoundError",
    "NonFiniteEnergyError",
    "OutOfMemoryError",
    "PluginError",
    "PluginHookError",
    "PluginLoadError",
    "PointError",
    "ShapeError",
    "UnknownModeError",
    "UnsupportedModelError",
]


def _rebuild(cls: type[DragonkitError], args: tuple[Any, ...], attributes: dict[str, Any]) -> DragonkitError:
    """Recreate a pickled error without calling its constructor, whose arguments are not its `args`."""
    error = cls.__new__(cls, *args)
    error.__dict__.update(attributes)
    return error


class DragonkitError(Exception):
    """The root: `except DragonkitError` catches everything dragonkit raises on purpose."""

    def __reduce__(self) -> tuple[Callable[..., DragonkitError], tuple[Any, ...]]:
        return _rebuild, (type(self), self.args, self.__dict__.copy())


class PluginError(DragonkitError):
    """A plugin is at fault, not the caller.

    Args:
        plugin: the plugin's registered name.
        distribution: the installed package it comes from, or None when it was registered by hand.
        message: what went wrong and what to do; the plugin's name and origin are put in front.
    """

    def __init__(self, plugin: str, distribution: str | None = None, message: str = "it failed.") -> None:
        self.plugin = plugin
        self.distribution = distribution
        origin = f" (from {distribution})" if distribution else ""
        super().__init__(f"plugin {plugin!r}{origin}: {message}")


class PluginLoadError(PluginError):
    """A plugin could not be imported or registered; the cause is chained."""


class DuplicateModeError(PluginLoadError):
    """A plugin offers an edit mode that another one has, and is not loaded; the message names both."""


class PluginHookError(PluginError):
    """A hook of a plugin raised, or returned something the hook does not allow; a cause is chained."""


class EditError(DragonkitError, ValueError):
    """The requested edit makes no sense. Also a ValueError, so pydantic reports it by field."""


class UnknownModeError(EditError):
    """No loaded plugin offers the requested edit mode."""


class MaskError(EditError):
    """A mask is unreadable, empty, or of another size than its image."""


class PointError(EditError):
    """A point lies outside the image, or is otherwise unusable."""


class EditFileError(EditError):
    """An edit file is not JSON, from another version, or has a wrong or missing field."""


class ImageError(DragonkitError, ValueError):
    """A picture cannot be found, read or used. Also a ValueError, so pydantic reports it by field."""


class ModelError(DragonkitError):
    """A diffusion model cannot be used."""


class ModelNotFoundError(ModelError):
    """There is no model of that name, at that path or on the hub."""


class UnsupportedModelError(ModelError):
    """The model exists, but has no part that dragonkit needs."""


class ShapeError(DragonkitError, ValueError):
    """An array or tensor has another shape than promised. Also a ValueError, so pydantic reports it by field.

    Args:
        expected: the promised shape, as a tuple or in words such as "(batch, 4, height, width)".
        actual: the shape received.
        what: the name of the array, used in the message.
        advice: one more sentence on what to do.
    """

    def __init__(self, expected: object, actual: object, what: str = "the array", advice: str = "") -> None:
        self.expected = expected
        self.actual = actual
        # torch.Size and tuples shall read alike
        got = tuple(actual) if isinstance(actual, tuple) else actual
        super().__init__(f"{what} must have shape {expected}, but has shape {got}. {advice or 'Pass it with the expected shape.'}")


class NonFiniteEnergyError(DragonkitError):
    """An energy term became NaN or infinite.

    Args:
        term: the term's name.
        step: the denoising step, counted from 0.
        value: the value, when it is known.
        origin: whose term it is, such as "plugin 'rotate' (from dragonkit-rotate 0.1.0), hook dragonkit_energy_terms".
    """

    def __init__(self, term: str, step: int, value: float | None = None, origin: str = "") -> None:
        self.term = term
        self.step = step
        self.value = value
        self.origin = origin
        became = "NaN or infinite" if value is None else str(value)
        super().__init__(
            f"{origin}{': ' if origin else ''}the energy {term!r} became {became} at step {step}. "
            "Lower energy_scale or the term's weight, or run in float32 instead of float16."
        )


class OutOfMemoryError(DragonkitError):
    """The device ran out of memory. `advice` says what to change."""

    def __init__(self, advice: str) -> None:
        self.advice = advice
        super().__init__(f"the device ran out of memory; {advice}")


class Cancelled(DragonkitError):
    """A running edit was asked to stop; raise it in `on_step` to stop at once."""

    def __init__(self, message: str = "the edit was cancelled.") -> None:
        super().__init__(message)
