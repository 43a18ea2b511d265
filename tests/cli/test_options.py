"""Fields of pydantic models become options, and what is written there becomes values."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import numpy as np
import pytest
from helpers.nudging import Nudge
from pydantic import ConfigDict
from pydantic import Field as PydanticField

from dragonkit.cli.options import Option, build, options_of, written
from dragonkit.edits.edit import Edit
from dragonkit.edits.settings import Settings
from dragonkit.errors import EditError, PointError
from dragonkit.modes.appearance import Appearance
from dragonkit.modes.drag import Drag
from dragonkit.modes.move import Move


def field(name: str, model: Any = Nudge) -> Option:
    return next(one for one in options_of(model) if one.name == name)


def built(**values: Any) -> Nudge:
    return build(Nudge, options_of(Nudge), {"mask": "mask.png", **values})


def test_options_follow_the_fields_and_their_order() -> None:
    assert [one.option for one in options_of(Move)][:5] == ["--mask", "--shift", "--scale", "--fill", "--edit-weight"]
    assert [one.name for one in options_of(Settings)] == list(Settings.model_fields)


def test_a_taken_option_gets_the_prefix() -> None:
    options = {one.name: one.option for one in options_of(Nudge, {"--seed", "--out"}, "nudge")}
    assert (options["seed"], options["how"]) == ("--nudge-seed", "--how")


@pytest.mark.parametrize(
    ("name", "type_", "range_", "default", "repeated"),
    [
        ("mask", "mask", "", "", False),
        ("points", "number,number:number,number", "", "", True),
        ("box", "number,number:number,number", "", "0,0:1,1", False),
        ("amounts", "integer,...", "", "1,2", False),
        ("tags", "text", "", "", True),
        ("how", "soft|hard", "", "soft", False),
        ("strong", "boolean", "", "off", False),
        ("extra", "json", "", "{}", False),
        ("size", "number or number,number", "", "1", False),
        ("seed", "integer", "from 0 to 9", "", False),
    ],
)
def test_a_field_of_every_kind(name: str, type_: str, range_: str, default: str, repeated: bool) -> None:
    one = field(name)
    assert (one.type, one.allowed.range, one.default_text, one.repeated) == (type_, range_, default, repeated)
    assert one.required == (name == "mask")


@pytest.mark.parametrize(
    ("name", "range_"),
    [
        ("steps", "from 1 to 1000"),
        ("seed", "from 0 to 2**63 - 1"),
        ("hold", "from 0 to 1"),
        ("layers", ""),
        ("keep", ""),
    ],
)
def test_ranges_of_settings(name: str, range_: str) -> None:
    assert field(name, Settings).allowed.range == range_


def test_an_open_range() -> None:
    assert field("scale", Move).allowed.range == "above 0 and at most 10"


def test_choices() -> None:
    assert field("how").choices == ("soft", "hard")
    assert field("how").metavar == "soft|hard"
    assert field("mask").metavar == field("fill", Move).metavar == field("reference_mask", Appearance).metavar == "PATH"
    assert (field("shift", Move).metavar, field("points", Drag).metavar) == ("DX,DY", "X0,Y0:X1,Y1")


@pytest.mark.parametrize(
    ("name", "given", "value"),
    [
        ("points", ["10,20:30,40", "-1,2.5:3,-4"], [((10, 20), (30, 40)), ((-1, 2.5), (3, -4))]),
        ("box", "-8,0:4,4", ((-8, 0), (4, 4))),
        ("amounts", "3", (3,)),
        ("amounts", "3,-4,5", (3, -4, 5)),
        ("tags", ["a,b", "c"], ["a,b", "c"]),
        ("how", "hard", "hard"),
        ("strong", True, True),
        ("extra", '{"a": 1}', {"a": 1.0}),
        ("size", "2.5", 2.5),
        ("size", "2,3", (2, 3)),
        ("seed", "4", 4),
        ("seed", None, None),
    ],
)
def test_values(name: str, given: Any, value: Any) -> None:
    assert getattr(built(**{name: given}), name) == value


def test_what_is_not_given_keeps_its_default_and_counts_as_unset() -> None:
    settings = build(Settings, options_of(Settings), {"steps": "7", "seed": None})
    assert settings == Settings(steps=7)
    assert settings.model_fields_set == {"steps"}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"box": "1,2"}, "--box is '1,2', but must have the form NUMBER,NUMBER:NUMBER,NUMBER."),
        ({"box": "1,2:3"}, "--box is '1,2:3', but must have"),
        ({"points": ["1,2:3,x"]}, "--points[0][1][1] is 'x', but must be"),
        ({"points": ["1,2"]}, "--points is '1,2', but must have"),
        ({"amounts": "1,,2"}, "--amounts[1] is '', but must be"),
        ({"how": "sofft"}, "--how is 'sofft', but must be 'soft'"),
        ({"seed": "10"}, "--seed is '10', but must be"),
        ({"extra": "{"}, "--extra is '{', but must be JSON: "),
    ],
)
def test_a_wrong_value_is_told_by_its_option(values: dict[str, Any], message: str) -> None:
    with pytest.raises(EditError) as caught:
        built(**values)
    assert str(caught.value).startswith(message)


def test_a_gesture_is_asked_for_by_its_parts() -> None:
    with pytest.raises(EditError, match=r"^--shift is '5', but .* DX,DY\.$"):
        build(Move, options_of(Move), {"mask": "mask.png", "shift": "5"})
    assert build(Drag, options_of(Drag), {"points": ["1,2:3,4"]}).points == (((1.0, 2.0), (3.0, 4.0)),)


def test_options_have_dashes_in_messages() -> None:
    with pytest.raises(EditError, match=r"^--guidance-scale is '-1', but must be"):
        build(Settings, options_of(Settings), {"guidance_scale": "-1"})


def test_the_class_of_an_error_is_kept() -> None:
    class Pin(Edit):
        mode: ClassVar[str] = "pin"
        at: Annotated[tuple[float, float], PydanticField(description="where")]

        def model_post_init(self, context: Any) -> None:
            raise PointError("the point is nowhere")

    with pytest.raises(PointError, match="nowhere"):
        build(Pin, options_of(Pin), {"at": "1,2"})


def test_a_type_without_a_schema_takes_text() -> None:
    class Odd(Edit):
        model_config = ConfigDict(arbitrary_types_allowed=True)
        mode: ClassVar[str] = "odd"
        raster: np.ndarray | None = None
        name: str = "x"

    odd = options_of(Odd)
    assert [(one.option, one.type, one.required) for one in odd] == [("--raster", "value", False), ("--name", "value", False)]
    assert build(Odd, odd, {"name": "y"}).name == "y"


@pytest.mark.parametrize(
    ("value", "text"), [(0.5, "0.5"), (40.0, "40"), (True, "on"), ([1, 2], "1,2"), ([[1.0, 2.0], [3.0, 4.0]], "1,2:3,4"), ("a", "a")]
)
def test_written(value: Any, text: str) -> None:
    assert written(value) == text
