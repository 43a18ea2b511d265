"""Where edits act, in numbers and in words: what a mask covers, what cuts a target, and masks that are probably inverted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

from dragonkit.editing.layout import Layout
from dragonkit.editing.places import advice_on_places, places_of
from dragonkit.edits.edit import Edit
from dragonkit.modes.appearance import Appearance
from dragonkit.modes.custom import CustomEdit
from dragonkit.modes.drag import Drag
from dragonkit.modes.move import Move
from dragonkit.modes.resize import Resize
from dragonkit.plugins.registry import PluginRegistry

SIZE = (40, 20)
REGISTRY = PluginRegistry(discover=False)


def box(left: int, top: int, right: int, bottom: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    mask = np.zeros(size[::-1], bool)
    mask[top:bottom, left:right] = True
    return mask


OBJECT = box(10, 5, 20, 13)


def told(*edits: Edit) -> list[str]:
    return list(advice_on_places(Layout(REGISTRY, edits, SIZE)))


@pytest.mark.parametrize(
    ("shift", "cut"),
    [
        ((4, 2), ()),
        ((-10, 0), ()),  # right at the border
        ((-11, 0), ("left",)),
        ((0, -6), ("top",)),
        ((25, 0), ("right",)),
        ((0, 8), ("bottom",)),
        ((25, 10), ("right", "bottom")),
        ((-15, -9), ("left", "top")),
    ],
)
def test_borders_that_cut_a_target(shift: tuple[int, int], cut: tuple[str, ...]) -> None:
    [place] = places_of(Layout(REGISTRY, Move(mask=OBJECT, shift=shift), SIZE))
    assert (place.mode, place.covers, place.cut) == ("move", 0.1, cut)


def test_a_resize_may_be_cut_by_all_borders() -> None:
    assert places_of(Layout(REGISTRY, Resize(mask=OBJECT, scale=9), SIZE))[0].cut == ("left", "top", "right", "bottom")
    assert places_of(Layout(REGISTRY, Resize(mask=OBJECT, scale=1.1), SIZE))[0].cut == ()


def test_what_may_change_is_a_share_of_the_picture() -> None:
    first, second = places_of(Layout(REGISTRY, [Move(mask=OBJECT, shift=(10, 0)), Appearance(**look(mask=box(0, 15, 8, 20)))], SIZE))
    assert (first.covers, first.changes) == (0.1, 0.2)
    assert (second.covers, second.changes, second.cut) == (0.05, 0.05, ())


def test_a_drag_is_cut_where_it_pushes_something_out() -> None:
    [inside] = places_of(Layout(REGISTRY, Drag(points=[((20, 10), (22, 10))]), SIZE))
    [out] = places_of(Layout(REGISTRY, Drag(points=[((10, 10), (1, 10))]), SIZE))
    assert inside.cut == () and out.cut == ("left",)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1)])
def test_pictures_of_one_pixel_a_side(size: tuple[int, int]) -> None:
    layout = Layout(REGISTRY, Appearance(**look(mask=np.ones(size[::-1], bool))), size)
    assert places_of(layout)[0].covers == 1
    if size != (1, 1):
        assert places_of(Layout(REGISTRY, Move(mask=box(0, 0, 1, 1, size), shift=tuple(side - 1 for side in size)), size))[0].cut == ()


# ---- inverted masks


def look(**fields: Any) -> dict[str, Any]:
    return {"mask": OBJECT, "reference": Image.new("RGB", SIZE), "reference_mask": OBJECT, **fields}


@pytest.mark.parametrize(
    "edit",
    [Move(mask=~OBJECT, shift=(1, 0)), Resize(mask=~OBJECT, scale=0.9), Appearance(**look(mask=~OBJECT))],
    ids=lambda edit: edit.mode,
)
def test_an_inverted_mask_is_asked_about_with_the_way_back(edit: Edit) -> None:
    [sentence] = told(edit)
    assert sentence.startswith(f"the mask of the {edit.mode} covers 90% of the picture and touches all its borders; if it is inverted")
    assert "~dk.masks.load_mask(mask, image.size)" in sentence and "--invert-mask" in sentence


def test_most_of_the_picture_or_all_borders_are_worth_a_question() -> None:
    frame = ~box(1, 1, 39, 19)
    assert "covers 14% of the picture and touches all its borders" in told(Move(mask=frame, shift=(1, 0)))[0]
    assert "covers 52% of the picture; if" in told(Move(mask=box(0, 0, 21, 20), shift=(1, 0)))[0]
    assert told(Move(mask=box(0, 0, 20, 20), shift=(1, 0))) == []
    assert told(Move(mask=OBJECT, shift=(1, 0))) == []


def test_a_mask_that_says_where_something_may_change_may_be_large() -> None:
    large = ~box(0, 0, 2, 2)
    assert told(Drag(points=[((20, 10), (22, 10))], mask=large)) == told(CustomEdit(energy=lambda features: 0, mask=large)) == []
    assert told(CustomEdit(energy=lambda features: 0)) == []


def test_an_inverted_mask_of_the_reference_is_asked_about() -> None:
    [sentence] = told(Appearance(**look(reference_mask=~OBJECT)))
    assert sentence.startswith("the reference_mask of the appearance covers 90% of the reference picture with all its corners")
    assert told(Appearance(**look(reference_mask=box(1, 0, 39, 20)))) == []  # a cut-out that was cropped
