"""Errors of models read like sentences: field, value, what is allowed."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from pydantic import BaseModel, Field, ValidationError, field_validator

from dragonkit.edits.validation import Model, explain
from dragonkit.errors import DragonkitError, EditError, PointError
from dragonkit.words import closest, short


class Example(Model):
    count: int = Field(default=1, ge=1, le=9)
    ratio: float = Field(default=0.5, gt=0)
    kind: Literal["left", "right"] = "left"
    pair: tuple[int, float] = (1, 1.0)
    names: tuple[str, ...] = ()
    maybe: bool | None = None
    label: str = Field(default="x", min_length=1)

    @field_validator("names")
    @classmethod
    def _no_shouting(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if any(name.isupper() for name in names):
            raise PointError("names are not written in capitals. Use small letters.")
        return names


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"count": 0}, "Example.count is 0, but must be an integer from 1 to 9."),
        ({"kind": "lfet"}, "Example.kind is 'lfet', but must be 'left' or 'right'. Did you mean 'left'?"),
        (
            {"coutn": 2},
            "Example has no field 'coutn' (received 2). Did you mean 'count'? Its fields: count, ratio, kind, pair, names, maybe, label.",
        ),
        (
            {"count": 0, "label": 7},
            "Example.count is 0, but must be an integer from 1 to 9. Example.label is 7, but must be non-empty text.",
        ),
    ],
)
def test_a_bad_value_is_explained(values: dict[str, object], message: str) -> None:
    with pytest.raises(EditError) as caught:
        Example(**values)
    assert str(caught.value) == message
    assert isinstance(caught.value.__cause__, ValidationError)
    assert isinstance(caught.value, DragonkitError)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"ratio": "x"}, "Example.ratio is 'x', but must be"),
        ({"ratio": float("nan")}, "Example.ratio is nan, but must be"),
        ({"pair": (1,)}, "Example.pair[1] is missing: give a number."),
        ({"pair": 3}, "Example.pair is 3, but must be"),
        ({"names": ("a", 5)}, "Example.names[1] is 5, but must be"),
        ({"maybe": "perhaps"}, "Example.maybe is 'perhaps', but must be"),
        ({"label": ""}, "Example.label is '', but must be"),
    ],
)
def test_field_and_value_come_first(values: dict[str, object], said: str) -> None:
    with pytest.raises(EditError) as caught:
        Example(**values)
    assert str(caught.value).startswith(said)


def test_a_validators_own_error_decides_the_class() -> None:
    with pytest.raises(PointError, match=r"^Example\.names: names are not written in capitals"):
        Example(names=("A",))
    with pytest.raises(EditError) as caught:
        Example(names=("A",), count=0)
    assert type(caught.value) is EditError


def test_the_command_line_uses_its_own_words() -> None:
    class Plain(BaseModel):
        steps: int = Field(ge=1)

    with pytest.raises(ValidationError) as caught:
        Plain(steps=0)
    assert explain(caught.value, Plain, prefix="--").startswith("--steps is 0, but must be")


def test_fields_without_a_json_schema_are_explained_in_pydantics_words() -> None:
    class Odd(BaseModel, arbitrary_types_allowed=True):
        grid: np.ndarray

    with pytest.raises(ValidationError) as caught:
        Odd(grid=3)
    assert explain(caught.value, Odd).startswith("Odd.grid is 3: Input should be")


def test_models_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Example().count = 3  # type: ignore[misc]


def test_long_values_are_shortened() -> None:
    assert short("a" * 500).startswith("'aaa")
    assert len(short("a" * 500)) < 90
    assert short(np.zeros((3, 4))) == "ndarray of shape (3, 4)"


def test_closest() -> None:
    assert closest("mvoe", ["move", "drag"]) == " Did you mean 'move'?"
    assert closest("zebra", ["move", "drag"]) == ""
