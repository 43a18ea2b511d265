"""A mode's schema makes its form: every kind of field, its tooltip, its errors in words, and what is left to the hand."""

from __future__ import annotations

import io
from typing import Any, ClassVar, Literal

import ipywidgets as W
import numpy as np
import pytest
from helpers.editors import send_through
from PIL import Image
from pydantic import Field, field_validator

import dragonkit as dk
from dragonkit.edits.values import Picture
from dragonkit.errors import EditError, MaskError
from dragonkit.jupyter.canvas.door import Door
from dragonkit.jupyter.elements import Choice
from dragonkit.jupyter.forms.controls import LEFT_OUT
from dragonkit.jupyter.forms.form import Form
from dragonkit.jupyter.forms.gestures import arrow_of, missing, suggested, taken_from
from dragonkit.jupyter.forms.roles import form_fields
from dragonkit.plugins.registry import PluginRegistry

PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8))


class Everything(dk.Edit):
    """A mode with a field of every kind."""

    mode: ClassVar[str] = "everything"

    mask: dk.Mask = Field(description="the object")
    points: dk.Points = Field(min_length=1)
    shift: dk.Shift = (0.0, 0.0)
    scale: float = Field(gt=0, le=10, description="how much larger")
    turn: float = Field(default=0.0, ge=-360, le=360, description="how far it turns")
    count: int = Field(default=2, ge=0, le=8)
    many: int = 5
    offset: float = Field(default=-1.5, le=0)
    kind: Literal["warm", "cold"] = "cold"
    maybe_kind: Literal["a", "b"] | None = None
    soft: bool = True
    name: str = "none"
    note: str | None = None
    limit: float | None = Field(default=None, gt=0)
    names: tuple[str, ...] = ()
    reference: Picture
    reference_mask: dk.ReferenceMask
    fill: dk.Region | None = None
    edit_weight: float = Field(default=4.0, ge=0)

    @field_validator("turn")
    @classmethod
    def _not_too_odd(cls, turn: float) -> float:
        if turn == 13:
            raise ValueError("thirteen brings bad luck; use 14")
        return turn


def widgets_of(form: Form) -> dict[str, W.Widget]:
    """All labelled widgets of a form by their labels."""
    found: dict[str, W.Widget] = {}
    todo: list[W.Widget] = [form.widget]
    while todo:
        widget = todo.pop()
        todo += getattr(widget, "children", ())
        if getattr(widget, "description", ""):
            found[widget.description] = widget
    return found


def words_of(form: Form) -> dict[str, str]:
    """The errors that stand at fields."""
    return {name: line.value for name, line in form._errors.items() if line.value}


def blob(height: int = 12, width: int = 16) -> np.ndarray:
    mask = np.zeros((height, width), bool)
    mask[3:7, 4:9] = True
    return mask


@pytest.fixture
def form() -> Form:
    return Form(Everything, lambda: PICTURE, blob)


def test_every_field_has_a_role() -> None:
    roles = {field.name: field.role for field in form_fields(Everything)}
    assert {name: role for name, role in roles.items() if role != "value"} == {
        "mask": "mask",
        "points": "points",
        "shift": "arrow",
        "reference": "picture",
        "reference_mask": "picture mask",
        "fill": "region",
    }
    assert list(roles) == list(Everything.model_fields)


@pytest.mark.parametrize(
    "label, kind",
    [
        ("scale", W.FloatSlider),
        ("turn", W.FloatSlider),
        ("count", W.IntSlider),
        ("many", W.IntText),
        ("offset", W.FloatText),
        ("kind", Choice),
        ("maybe kind", Choice),
        ("soft", W.Checkbox),
        ("name", W.Text),
        ("note", W.Text),
        ("limit", W.Text),
        ("names", W.Text),
        ("edit weight", W.FloatText),
        ("choose a picture", Door),
        ("take the painted mask", W.Button),
    ],
)
def test_the_type_makes_the_widget(form: Form, label: str, kind: type[W.Widget]) -> None:
    assert isinstance(widgets_of(form)[label], kind)


def test_marks_are_no_fields_of_the_form(form: Form) -> None:
    assert not {"mask", "points"} & widgets_of(form).keys()


def test_sliders_have_the_schemas_ranges(form: Form) -> None:
    widgets = widgets_of(form)
    assert (widgets["turn"].min, widgets["turn"].max, widgets["turn"].step) == (-360, 360, 1)
    assert (widgets["scale"].min, widgets["scale"].max, widgets["scale"].step) == (0, 10, 0.1)
    assert (widgets["count"].min, widgets["count"].max) == (0, 8)
    assert widgets["kind"].options == (("warm", "warm"), ("cold", "cold"))


def test_descriptions_are_tooltips(form: Form) -> None:
    widgets = widgets_of(form)
    assert widgets["scale"].tooltip == "how much larger" and widgets["turn"].tooltip == "how far it turns"


def test_it_begins_with_the_defaults(form: Form) -> None:
    assert form.values() == {
        "shift": (0.0, 0.0), "scale": 1.0, "turn": 0.0, "count": 2, "many": 5, "offset": -1.5, "kind": "cold", "soft": True,
        "name": "none", "edit_weight": 4.0, "names": [],
    }  # fmt: skip


def test_values_come_back_as_they_were_set(form: Form) -> None:
    reference = Image.new("RGB", (10, 8), "red")
    values = {
        "shift": (3.5, -2.0), "scale": 0.013, "turn": 12.3456, "count": 7, "many": -3, "offset": -2.25, "kind": "warm",
        "maybe_kind": "b", "soft": False, "name": "ünï", "note": "hello", "limit": "2.5", "names": ["a", "b"], "edit_weight": 0.125,
        "reference": reference, "reference_mask": np.eye(8, 10, dtype=bool), "fill": blob(),
    }  # fmt: skip
    form.set(values)
    got = form.values()
    assert got.keys() == values.keys()
    for name in ("reference_mask", "fill"):
        assert np.array_equal(got.pop(name), values.pop(name))
    assert got.pop("reference").tobytes() == values.pop("reference").tobytes()
    assert got == values

    edit = form.edit({"mask": blob(), "points": (((1, 2), (3, 4)),)})
    assert isinstance(edit, Everything) and (edit.limit, edit.names, edit.scale) == (2.5, ("a", "b"), 0.013)

    form.update({"turn": 1.0})
    assert form.values()["turn"] == 1.0 and form.values()["many"] == -3
    form.set({})
    assert "reference" not in form.values() and "limit" not in form.values() and form.values()["many"] == 5


def test_an_edit_can_be_shown_again(form: Form) -> None:
    edit = Everything(mask=blob(), points=(((1, 2), (3, 4)),), scale=2, reference=PICTURE, reference_mask=blob(), limit=3, note=None)
    form.set(dict(edit))
    again = form.edit({"mask": blob(), "points": edit.points})
    assert again.model_dump(exclude={"reference", "mask", "reference_mask"}) == edit.model_dump(
        exclude={"reference", "mask", "reference_mask"}
    )


def test_errors_stand_at_their_fields_in_words(form: Form) -> None:
    form.set({"offset": 7.0, "limit": "lots", "turn": 13.0, "edit_weight": -1.0, "reference": PICTURE, "reference_mask": blob()})
    marked = {"mask": blob(), "points": (((1, 2), (3, 4)),)}
    with pytest.raises(EditError) as caught:
        form.edit(marked)
    words = words_of(form)
    assert set(words) == {"offset", "limit", "turn", "edit_weight"}
    assert "offset is 7.0, but must be" in words["offset"]
    assert "limit is &#x27;lots&#x27;, but must be" in words["limit"]
    assert "turn is 13.0: thirteen brings bad luck" in words["turn"]
    assert "edit weight is -1.0" in words["edit_weight"]
    assert "offset is 7.0" in str(caught.value) and "\0" not in str(caught.value) and "Everything." not in str(caught.value)
    assert form._weights is not None and form._weights.selected_index == 0, "words in a closed box would not be seen"

    form.update({"offset": -7.0, "limit": "4", "turn": 14.0, "edit_weight": 1.0})
    form.edit(marked)
    assert words_of(form) == {}


def test_what_cannot_be_read_is_said(form: Form) -> None:
    widgets_of(form)["names"].value = "[1, 2"
    with pytest.raises(EditError, match=r"names is '\[1, 2', but must"):
        form.values()


def test_changes_are_told_once(form: Form) -> None:
    told: list[int] = []
    form.on_change(lambda: told.append(1))
    widgets_of(form)["turn"].value = 30.0
    assert len(told) == 1
    form.set({"turn": 10.0, "many": 9, "reference": PICTURE})
    assert len(told) == 2
    form._controls["fill"].widget.children[1].click()  # take the painted mask
    assert len(told) == 3 and np.array_equal(form.values()["fill"], blob())
    form._controls["fill"].widget.children[2].click()
    assert "fill" not in form.values()


def upload(form: Form, name: str, content: bytes) -> None:
    """What the browser sends when somebody has chosen a file."""
    send_through(widgets_of(form)["choose a picture"], name, content)


def test_a_picture_is_uploaded_and_marked(form: Form) -> None:
    buffer = io.BytesIO()
    PICTURE.save(buffer, format="PNG")
    upload(form, "other.png", buffer.getvalue())
    second = form._controls["reference"].get.__self__
    assert form.values()["reference"].tobytes() == PICTURE.tobytes() and "reference_mask" not in form.values()
    second.view.apply(lambda state: state.set_mask(blob()))
    assert np.array_equal(form.values()["reference_mask"], blob())
    with pytest.raises(MaskError):
        form.update({"reference_mask": np.ones((3, 3), bool)})
    assert np.array_equal(form.values()["reference_mask"], blob()), "a mask is never lost on an error"


def test_what_is_opaque_in_an_uploaded_cut_out_is_marked(form: Form) -> None:
    buffer, cut = io.BytesIO(), PICTURE.convert("RGBA")
    mask = np.zeros(PICTURE.size[::-1], bool)
    mask[2:5, 3:9] = True
    cut.putalpha(Image.fromarray(mask))
    cut.save(buffer, format="PNG")
    upload(form, "cut.png", buffer.getvalue())
    assert np.array_equal(form.values()["reference_mask"], mask) and form.values()["reference"].mode == "RGB"


def test_an_upload_that_is_no_photo_runs_nothing(form: Form, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("subprocess.Popen", None)
    upload(form, "photo.png", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 6 4\nshowpage\n")
    assert "is not in a format" in form._controls["reference"].get.__self__._error.value


def test_a_file_that_is_no_picture_is_said_at_the_field(form: Form) -> None:
    upload(form, "notes.txt", b"hello")
    second = form._controls["reference"].get.__self__
    assert "notes.txt" in second._error.value and "Save it as PNG" in second._error.value and "Traceback" not in second._error.value
    assert "reference" not in form.values()


def test_the_picture_itself_may_be_the_second_one(form: Form) -> None:
    widgets_of(form)["use this picture"].click()
    assert form.values()["reference"].tobytes() == PICTURE.tobytes()


def test_an_optional_mask_can_be_left_out_although_one_is_painted() -> None:
    form = Form(dk.Drag)
    assert form.use_mask
    widgets_of(form)["only inside the mask"].value = False
    drags = [((1.0, 2.0), (3.0, 4.0))]
    assert not form.use_mask and "mask" not in form.values()
    assert taken_from(form.fields, blob(), drags, form.use_mask) == {"points": tuple(drags)}
    assert taken_from(form.fields, blob(), drags)["mask"].sum() == blob().sum()


@pytest.mark.parametrize("mode", PluginRegistry().edit_types())
def test_every_installed_mode_has_a_form(mode: str) -> None:
    edit_type = PluginRegistry().edit_types()[mode]
    if edit_type.scriptable:
        form = Form(edit_type, lambda: PICTURE, blob)
        values = form.values()
        for name, field in edit_type.model_fields.items():
            if name in values and not field.is_required():
                assert values[name] == field.default


# --- gestures -----------------------------------------------------------------------------------------------------------


def test_what_a_mode_still_asks_for() -> None:
    empty, fields = np.zeros((12, 16), bool), form_fields(Everything)
    assert missing(fields, taken_from(fields, empty, [])) == [
        "mark what to edit: paint it, circle it, or click it",
        "draw an arrow from where something is to where it shall be",
        "choose the second picture",
        "mark the object in the second picture",
    ]
    values = {**taken_from(fields, blob(), [((1, 2), (3, 4))]), "reference": PICTURE, "reference_mask": blob()}
    assert missing(fields, values) == []
    move = form_fields(dk.Move)
    assert missing(move, {"mask": blob()}) == [] and suggested(move, {"mask": blob()}) == ["draw an arrow to where it shall go"]
    assert suggested(move, {"shift": (1.0, 0.0)}) == [] == suggested(move, {"scale": 2.0})
    assert suggested(form_fields(dk.Resize), {}) == []


def test_masks_are_copied_and_arrows_are_short() -> None:
    mask, fields = blob(), form_fields(Everything)
    taken = taken_from(fields, mask, [((1.2345, 2), (3, 4.99))])
    mask[:] = False
    assert taken["mask"].any() and taken["points"] == (((1.2, 2.0), (3.0, 5.0)),)
    assert arrow_of([]) is None
    assert arrow_of([((1.25, 2), (3, 4.99)), ((0, 0), (9, 9))]) == (1.8, 3.0)


def test_left_out_is_not_a_value() -> None:
    assert Form(Everything)._controls["note"].get() is LEFT_OUT


def test_the_type_and_not_the_name_says_what_is_marked() -> None:
    class Named(dk.Edit):
        """All names are its own."""

        mode: ClassVar[str] = "named"
        thing: dk.Mask
        sky: dk.Mask
        sea: dk.Region | None = None
        arrows: dk.Points
        way: dk.Shift | None = None
        hat: dk.Picture
        its_place: dk.ReferenceMask
        coat: dk.Picture
        coat_place: dk.ReferenceMask
        shift: tuple[float, float] = (0.0, 0.0)

    fields = form_fields(Named)
    assert [field.role for field in fields] == [
        "mask", "region", "region", "points", "arrow", "picture", "picture mask", "picture", "picture mask", "value",
    ]  # fmt: skip
    assert [field.picture for field in fields if field.picture] == ["hat", "coat"]
    assert taken_from(fields, blob(), [((1, 2), (3, 4))]).keys() == {"thing", "arrows"}


def test_points_of_another_shape_are_written() -> None:
    class Spots(dk.Edit):
        """A plugin's own idea of points."""

        mode: ClassVar[str] = "spots"
        points: tuple[float, ...] = ()

    assert [field.role for field in form_fields(Spots)] == ["value"]
    form = Form(Spots)
    widgets_of(form)["points"].value = "[1, 2.5]"
    edit: Any = form.edit({})
    assert edit.points == (1.0, 2.5)
