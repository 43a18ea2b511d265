"""An inversion is a plain value that is checked where it is made, and reads its options from the settings."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import pytest
from pydantic import Field

from dragonkit.edits.settings import Settings
from dragonkit.errors import EditError
from dragonkit.plugins.inversion import Inversion, InversionOptions


class Damping(InversionOptions):
    damping: float = Field(default=0.5, ge=0, lt=1, description="how much is kept")


DAMPED = Inversion("damped", "smaller steps", print, Damping)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("name", "Fixed Point", "Inversion.name is 'Fixed Point'"),
        ("name", 3, "Inversion.name is 3"),
        ("description", " ", "Inversion 'mine': description is ' '"),
        ("function", "ddim", "function must be callable, got 'ddim'"),
        ("options", InversionOptions(), "derived from dragonkit.plugin_api.InversionOptions"),
    ],
)
def test_what_is_unusable_is_refused_when_it_is_made(field: str, value: object, said: str) -> None:
    fields: dict[str, Any] = {"name": "mine", "description": "a way", "function": print, field: value}
    with pytest.raises(EditError, match=re.escape(said)):
        Inversion(**fields)


def test_options_come_from_the_settings() -> None:
    assert DAMPED.options_of(Settings(inversion_iterations=4)) == Damping(iterations=4, damping=0.5)
    assert DAMPED.options_of(Settings(inversion_options={"damping": 0.25})).damping == 0.25  # type: ignore[attr-defined]
    assert Inversion("mine", "a way", print).options_of(Settings()) == InversionOptions(iterations=1)


@pytest.mark.parametrize(
    ("options", "said"),
    [({"damping": 1.0}, "Damping.damping is 1.0, but must be"), ({"dampin": 0.1}, "no field 'dampin'")],
)
def test_options_are_checked(options: dict[str, Any], said: str) -> None:
    with pytest.raises(EditError, match=re.escape(said)):
        DAMPED.options_of(Settings(inversion_options=options))


@pytest.mark.processes
def test_the_built_in_ones_are_offered_without_torch() -> None:
    code = (
        "import sys; from dragonkit.plugins.registry import get_registry; known = get_registry().inversions(); "
        "sys.exit(list(known)[:1] != ['ddim'] or bool({'torch', 'diffusers'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
