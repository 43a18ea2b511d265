"""The error tree: as drawn, catchable at every level, picklable, and with the facts in the message."""

from __future__ import annotations

import pickle
import re

import pytest

from dragonkit import errors
from dragonkit.errors import (
    Cancelled,
    DragonkitError,
    DuplicateModeError,
    EditError,
    ImageError,
    MaskError,
    NonFiniteEnergyError,
    OutOfMemoryError,
    PluginHookError,
    PluginLoadError,
    ShapeError,
)

SAMPLES: list[DragonkitError] = [
    PluginLoadError("fancy", "dragonkit-fancy", "no module named 'fancy'. Install it."),
    PluginHookError("fancy", None, "returned None."),
    DuplicateModeError("a", message="mode 'move' is already offered by 'b'. Uninstall one."),
    MaskError("the mask is empty."),
    ShapeError((3, 4), (4, 3), "the mask", "Transpose it."),
    NonFiniteEnergyError("move.edit", 7, float("nan")),
    OutOfMemoryError("Use memory='recompute'."),
    Cancelled(),
]


def drawn_tree() -> dict[str, str]:
    """Class name to parent name, as read from the drawing in the module docstring."""
    assert errors.__doc__
    parents: dict[str, str] = {}
    stack: list[tuple[int, str]] = []
    for line in errors.__doc__.splitlines():
        match = re.match(r"^ {4}([│├└─ ]*)([A-Z]\w+)(?:\s|$)", line)
        if match:
            depth, name = len(match[1]), match[2]
            while stack and stack[-1][0] >= depth:
                stack.pop()
            parents[name] = stack[-1][1] if stack else "Exception"
            stack.append((depth, name))
    return parents


def test_the_drawn_tree_is_the_real_one() -> None:
    real = {
        name: next(base for base in value.__bases__ if base is not ValueError).__name__
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, Exception)
    }
    assert drawn_tree() == real
    assert sorted(real) == sorted(errors.__all__)


def test_every_class_has_a_docstring() -> None:
    assert all(getattr(errors, name).__doc__ for name in errors.__all__)


def test_errors_about_a_value_are_value_errors_and_others_are_not() -> None:
    about_a_value = (EditError, ImageError, ShapeError)
    for name in errors.__all__:
        assert issubclass(getattr(errors, name), ValueError) == issubclass(getattr(errors, name), about_a_value), name


@pytest.mark.parametrize("error", SAMPLES, ids=lambda error: type(error).__name__)
def test_survives_pickling(error: DragonkitError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert repr(copy.__dict__) == repr(error.__dict__)  # by repr: nan is not equal to itself


def test_plugin_error_names_plugin_and_distribution() -> None:
    error = PluginLoadError("fancy", "dragonkit-fancy", "it has no hooks. Remove it.")
    assert (error.plugin, error.distribution) == ("fancy", "dragonkit-fancy")
    assert str(error) == "plugin 'fancy' (from dragonkit-fancy): it has no hooks. Remove it."
    assert "from" not in str(PluginLoadError("fancy"))


def test_shape_error_tells_both_shapes() -> None:
    error = ShapeError((3, 4), (4, 3), "the mask", "Transpose it.")
    assert (error.expected, error.actual) == ((3, 4), (4, 3))
    assert str(error) == "the mask must have shape (3, 4), but has shape (4, 3). Transpose it."


def test_non_finite_energy_tells_term_step_and_value() -> None:
    error = NonFiniteEnergyError("drag.follow", 12, float("inf"))
    assert (error.term, error.step, error.value) == ("drag.follow", 12, float("inf"))
    assert "'drag.follow' became inf at step 12" in str(error)
    assert "NaN or infinite" in str(NonFiniteEnergyError("drag.follow", 12))


def test_out_of_memory_gives_advice() -> None:
    error = OutOfMemoryError("Use memory='recompute'.")
    assert error.advice == "Use memory='recompute'."
    assert str(error).endswith("Use memory='recompute'.")


def test_cancelled_needs_no_message() -> None:
    assert str(Cancelled())
    assert str(Cancelled("stop pressed")) == "stop pressed"
