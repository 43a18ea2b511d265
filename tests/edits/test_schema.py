"""Fields as plain values, whatever pydantic's JSON schema makes of their types."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import pytest
from pydantic import BaseModel, Field, WithJsonSchema

import dragonkit as dk
from dragonkit.edits.schema import Allowed, allowed_in, fields_of


class Side(Enum):
    LEFT = "left"
    RIGHT = "right"


class Inner(BaseModel):
    depth: int = Field(default=1, ge=1)


class Everything(BaseModel):
    whole: int = Field(ge=1, le=9, description="a number")
    part: float = Field(default=0.5, gt=0, lt=1)
    large: int = Field(default=0, ge=0, le=2**63 - 1)
    open_end: float | None = Field(default=None, ge=-2)
    word: str = Field(default="x", min_length=1)
    tick: bool = False
    side: Side = Side.LEFT
    kind: Literal["a", "b"] | None = None
    one: Literal[3] = 3
    pair: tuple[int, float] = (1, 2.0)
    spans: tuple[Annotated[float, Field(ge=0, le=1)], Annotated[float, Field(ge=0, le=1)]] = (0, 1)
    numbers: list[Annotated[int, Field(ge=0, le=3)]] = Field(default_factory=lambda: [1])
    either: float | tuple[float, float] = 1.0
    inner: Inner = Field(default_factory=Inner)
    anything: Any = None


def allowed(name: str) -> Allowed:
    return next(field.allowed for field in fields_of(Everything) if field.name == name)


@pytest.mark.parametrize(
    ("name", "kind", "words", "range_"),
    [
        ("whole", "integer", "an integer from 1 to 9", "from 1 to 9"),
        ("part", "number", "a number above 0 and below 1", "above 0 and below 1"),
        ("large", "integer", "an integer from 0 to 2**63 - 1", "from 0 to 2**63 - 1"),
        ("open_end", "number", "a number of at least -2 or None", "at least -2"),
        ("word", "text", "non-empty text", ""),
        ("tick", "flag", "true or false", ""),
        ("side", "choice", "'left' or 'right'", ""),
        ("kind", "choice", "'a' or 'b' or None", ""),
        ("one", "choice", "3", ""),
        ("pair", "tuple", "2 values: an integer, a number", ""),
        ("spans", "tuple", "2 values, each a number from 0 to 1", "each from 0 to 1"),
        ("numbers", "list", "a list, each an integer from 0 to 3", "each from 0 to 3"),
        ("either", "either", "a number or 2 values, each a number", ""),
        ("inner", "mapping", "a mapping", ""),
        ("anything", "", "", ""),
    ],
)
def test_a_field_of_every_kind(name: str, kind: str, words: str, range_: str) -> None:
    one = allowed(name)
    assert (one.kind, one.words, one.range) == (kind, words, range_)


def test_fields_say_what_they_are_when_left_out() -> None:
    fields = {field.name: field for field in fields_of(Everything)}
    assert list(fields) == list(Everything.model_fields)
    assert [name for name, field in fields.items() if field.required] == ["whole"]
    assert (fields["whole"].default, fields["whole"].description) == (None, "a number")
    assert (fields["side"].default, fields["numbers"].default, fields["pair"].default) == ("left", [1], (1, 2.0))
    assert fields["open_end"].title == "open end" and fields["open_end"].allowed.optional and not fields["part"].allowed.optional


def test_places_within_are_found() -> None:
    root = allowed_in(Everything)
    assert root.at("inner").at("depth").words == "an integer of at least 1"  # type: ignore[union-attr]
    assert (allowed("pair").at(1).kind, allowed("numbers").at(7).kind) == ("number", "integer")  # type: ignore[union-attr]
    assert root.at("nowhere") is allowed("pair").at(2) is allowed("part").at(0) is None


def test_gestures_and_masks_are_known_by_their_types_also_where_they_may_be_left_out() -> None:
    class Marked(dk.Edit):
        mode: ClassVar[str] = "marked"
        a: dk.Mask | None = None
        b: dk.Region | None = Field(default=None, description="where")
        c: dk.Points = Field(min_length=1)
        d: dk.Shift | None = None
        e: dk.Picture
        f: dk.ReferenceMask
        g: tuple[float, float] = (0, 0)

    assert [field.allowed.format for field in fields_of(Marked)] == ["mask", "region", "points", "shift", "picture", "reference-mask", ""]
    marks = {"a": np.eye(4, dtype=bool), "b": np.eye(4, dtype=bool), "f": np.eye(4, dtype=bool)}
    edit = Marked(**marks, c=[[[1, 2], [3, 4]]], d=[5, 6], e=np.zeros((4, 4, 3), np.uint8))
    assert (edit.c, edit.d) == ((((1.0, 2.0), (3.0, 4.0)),), (5.0, 6.0))
    assert edit.to_dict()["b"] == edit.to_dict()["a"] and edit.to_dict()["d"] == [5.0, 6.0]
    with pytest.raises(dk.EditError, match=r"^Marked\.c is \(\), but must be"):
        Marked(**marks, c=(), e=np.zeros((4, 4, 3), np.uint8))


def test_a_schema_written_by_hand_may_be_looser() -> None:
    class Loose(BaseModel):
        a: Annotated[Any, WithJsonSchema({"type": "array", "items": True})]
        b: Annotated[Any, WithJsonSchema({"type": ["string", "number"]})]
        c: Annotated[Any, WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "null"}]})]

    assert [(field.allowed.kind, field.allowed.words) for field in fields_of(Loose)] == [
        ("list", "a list"),
        ("", ""),
        ("text", "text or None"),
    ]


def test_a_type_that_holds_itself_and_one_without_a_schema() -> None:
    class Node(BaseModel):
        inside: list[Node] = []

    class Odd(BaseModel, arbitrary_types_allowed=True):
        grid: np.ndarray
        name: str = "x"

    Node.model_rebuild(_types_namespace={"Node": Node})
    assert allowed_in(Node).at("inside").kind == "list"  # type: ignore[union-attr]
    assert [(field.name, field.allowed, field.required) for field in fields_of(Odd)] == [
        ("grid", Allowed(), True),
        ("name", Allowed(), False),
    ]
