"""`help` of an edit and of settings can be read: a short signature, and a line for every field."""

from __future__ import annotations

import inspect
import pydoc
from typing import ClassVar

import pytest
from pydantic import Field

import dragonkit as dk
from dragonkit.edits.edit import Edit
from dragonkit.plugins.registry import get_registry


def test_a_field_is_told_with_range_and_default() -> None:
    class Wobble(Edit):
        """Make it wobble."""

        mode: ClassVar[str] = "wobble"
        depth: float = Field(default=1.0, gt=0, le=9, description="how deep, in pixels")
        often: int = Field(ge=1, le=5, description="how many times")
        rest: float | None = Field(default=None, description="seconds between; as it comes when left out")

    assert str(inspect.signature(Wobble)) == "(*, often, depth=1.0, rest=None)"
    assert inspect.getdoc(Wobble) == (
        "Make it wobble.\n\nFields:\n    depth: how deep, in pixels; above 0 and at most 9; 1.0 when left out.\n"
        "    often: how many times; from 1 to 5; required.\n    rest: seconds between; as it comes when left out."
    )


@pytest.mark.parametrize(
    "model", [*get_registry().edit_types().values(), dk.Settings, dk.GuidanceSchedule], ids=lambda model: model.__name__
)
def test_help_says_every_field_and_no_validator(model: type) -> None:
    told, signature = inspect.getdoc(model) or "", str(inspect.signature(model))
    assert "0x" not in signature and "Validator" not in signature
    for name, info in model.model_fields.items():  # type: ignore[attr-defined]
        assert info.description and f"\n    {name}: {info.description.split()[0]}" in told
    assert max(map(len, told.splitlines())) <= 140
    whole = pydoc.plain(pydoc.render_doc(model))
    assert "pydantic.main" not in whole.partition("builtins.object")[2] and len(whole.splitlines()) < 160
    assert model.__name__ in pydoc.plain(pydoc.render_doc(model)).splitlines()[2]
