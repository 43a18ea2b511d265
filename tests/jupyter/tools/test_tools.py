"""Tools by themselves: strokes to marks, with the accidents that pointers have."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragonkit.errors import EditError, MaskError
from dragonkit.imaging.strokes import Point, Rect, polygon, stroke
from dragonkit.jupyter.marks.shapes import Arrow, Handle, Outline, Ring, Spot, Trail
from dragonkit.jupyter.marks.state import MarkState
from dragonkit.jupyter.marks.undo import Click
from dragonkit.jupyter.tools.areas import Box, Brush, Eraser, Lasso, Polygon
from dragonkit.jupyter.tools.arrows import DragArrows
from dragonkit.jupyter.tools.base import Tool
from dragonkit.jupyter.tools.catalogue import TOOLS
from dragonkit.jupyter.tools.pick import Pick

SIZE = (40, 30)
POINTS = st.tuples(st.floats(-10, 50), st.floats(-10, 40))
WAYS = st.lists(POINTS, min_size=1, max_size=6)


def draw(tool: Tool, state: MarkState, *points: Point, end: str = "up") -> Rect | None:
    """A press at the first point, moves to the others, and a release or a leave at the last."""
    tool.down(state, *points[0])
    for point in points[1:]:
        assert tool.move(state, *point) is None
    return getattr(tool, end)(state, *points[-1])


def made(tool: str, selector: object = None) -> Tool:
    return Pick(lambda clicks: np.ones((30, 40), bool)) if tool == "pick" else TOOLS[tool]()


@given(WAYS, st.floats(1, 12))
def test_brush_and_eraser_paint_the_way_of_the_pointer(way: list[Point], size: float) -> None:
    state = MarkState(SIZE)
    region = stroke(way, size, SIZE)
    expected = np.zeros((30, 40), bool)
    if region is not None:
        (left, top, right, bottom), bits = region
        expected[top:bottom, left:right] = bits
    dirty = draw(Brush(size), state, *way)
    assert np.array_equal(state.mask, expected)
    assert dirty == (region and region[0])
    state.set_mask(np.ones((30, 40), bool))
    draw(Eraser(size), state, *way, end="leave")
    assert np.array_equal(state.mask, ~expected)


def test_one_stroke_is_one_step_and_survives_a_change_of_tool() -> None:
    state = MarkState(SIZE)
    draw(Brush(5), state, (5, 5), (30, 5), (30, 20))
    draw(Lasso(), state, (5, 15), (15, 15), (15, 25), (5, 25))
    assert state.mask[20, 10] and state.mask[5, 20]
    state.undo()
    assert not state.mask[20, 10] and state.mask[5, 20]
    state.undo()
    assert not state.mask.any() and not state.can_undo


@pytest.mark.parametrize("name", TOOLS)
def test_a_press_without_a_release_breaks_nothing(name: str) -> None:
    """A right click: pressed, never released; the next press is a new beginning."""
    state, expected = MarkState(SIZE), MarkState(SIZE)
    tool, other = made(name), made(name)
    tool.down(state, 2, 2)
    tool.move(state, 38, 28)
    assert state.version == 0
    for marks, one in ((state, tool), (expected, other)):
        draw(one, marks, (20, 20), (25, 20), (25, 24))
        draw(one, marks, (20, 20))
    assert np.array_equal(state.mask, expected.mask)
    assert (state.boxes, state.drags, state.points) == (expected.boxes, expected.drags, expected.points)


@pytest.mark.parametrize("name", TOOLS)
def test_moves_and_releases_without_a_press_do_nothing(name: str) -> None:
    state, tool = MarkState(SIZE), made(name)
    for event in ("move", "up", "move", "leave", "up", "leave"):
        assert getattr(tool, event)(state, 12, 9) is None
    assert state.version == 0 and not tool.busy


@pytest.mark.parametrize("name", ["brush", "eraser", "lasso", "box", "drag"])
def test_leaving_the_canvas_ends_the_stroke(name: str) -> None:
    state, tool = MarkState(SIZE), made(name)
    state.set_mask(np.tile([True, False], (30, 20)))
    version = state.version
    draw(tool, state, (3, 3), (20, 4), (20, 20), (-5, 20), end="leave")
    assert state.version == version + 1 and not tool.busy
    marks = state.mask.tobytes(), state.boxes, state.drags
    tool.move(state, 30, 25)  # back on the canvas, the button was released outside
    tool.up(state, 31, 25)
    assert (state.mask.tobytes(), state.boxes, state.drags) == marks


@pytest.mark.parametrize("name", ["brush", "eraser", "lasso", "box", "drag", "polygon"])
@pytest.mark.parametrize("key", ["Escape", "Backspace"])
def test_escape_calls_off_what_was_begun(name: str, key: str) -> None:
    state, tool = MarkState(SIZE), made(name)
    tool.down(state, 5, 5)
    tool.move(state, 20, 20)
    if name == "polygon":
        tool.up(state, 20, 20)
    assert tool.busy and tool.preview(state)
    tool.key(state, key)
    tool.up(state, 25, 20)
    assert not tool.busy and state.version == 0


@given(st.lists(POINTS, min_size=1, max_size=7))
def test_lasso_and_polygon_fill_the_same_outline(corners: list[Point]) -> None:
    circled, clicked = MarkState(SIZE), MarkState(SIZE)
    draw(Lasso(), circled, *corners)
    tool = Polygon()
    tool.reach = -1.0  # no corner is on another
    for corner in corners:
        draw(tool, clicked, corner)
    tool.key(clicked, "Enter")
    region = polygon(corners, SIZE)
    assert circled.mask.sum() == (0 if region is None else region[1].sum())
    if len(corners) > 2:
        assert np.array_equal(clicked.mask, circled.mask)


@pytest.mark.parametrize("last", [(5.0, 6.0), (18.0, 19.5)])
def test_a_polygon_is_closed_on_its_first_corner_or_by_a_double_click(last: Point) -> None:
    state, tool = MarkState(SIZE), Polygon()
    tool.reach = 3
    for corner in ((5, 5), (20, 5), (18, 20)):
        draw(tool, state, corner)
        tool.leave(state, -1, -1)  # leaving between clicks is fine
        assert tool.busy
    draw(tool, state, last)
    region = polygon([(5, 5), (20, 5), (18, 20)], SIZE)
    assert region is not None and state.mask.sum() == region[1].sum() and not tool.busy


def test_a_polygon_takes_back_corners_and_needs_three() -> None:
    state, tool = MarkState(SIZE), Polygon()
    for corner in ((5, 5), (20, 5), (35, 28)):
        draw(tool, state, corner)
    tool.key(state, "Backspace")
    assert tool.preview(state) == [Outline(((5, 5), (20, 5))), Spot((5, 5))]
    tool.key(state, "Enter")
    draw(tool, state, (5, 5))
    assert tool.busy and state.version == 0
    tool.move(state, 7, 8)
    assert tool.preview(state)[0] == Outline(((5, 5), (20, 5), (7, 8)))
    draw(tool, state, (20, 20))
    tool.key(state, "Enter")
    assert state.mask[8, 18]


@given(POINTS, POINTS, st.booleans())
def test_a_box_holds_all_pixels_it_touches(a: Point, b: Point, fill: bool) -> None:
    state, tool = MarkState(SIZE), Box(fill)
    draw(tool, state, a, (1, 1), b)
    touched = [
        (x, y)
        for y in range(30)
        for x in range(40)
        if x < max(a[0], b[0]) and x + 1 > min(a[0], b[0]) and y < max(a[1], b[1]) and y + 1 > min(a[1], b[1])
    ]
    if not state.boxes:
        assert not touched or np.hypot(a[0] - b[0], a[1] - b[1]) < tool.reach / 2
        assert state.version == 0
        return
    ((left, top, right, bottom),) = state.boxes
    assert [(x, y) for y in range(top, bottom) for x in range(left, right)] == touched
    assert state.mask.sum() == (len(touched) if fill else 0)
    state.undo()
    assert not state.boxes and not state.mask.any()


@pytest.fixture
def arrows() -> DragArrows:
    tool = DragArrows()
    tool.reach = 2.0
    return tool


def test_arrows_and_pins(arrows: DragArrows) -> None:
    state = MarkState(SIZE)
    draw(arrows, state, (5, 5), (9, 9), (20, 5))
    draw(arrows, state, (10, 20), (10.5, 20.5))  # hardly moved: a pin
    assert state.drags == [((5, 5), (20, 5)), ((10, 20), (10, 20))]
    draw(arrows, state, (10, 21), (10, 28))  # a pin becomes an arrow
    assert state.drags == [((5, 5), (20, 5)), ((10, 20), (10, 28))]
    draw(arrows, state, (20, 20), (60, -9), end="leave")
    assert state.drags[2] == ((20, 20), (40, 0))  # cut at the border
    arrows.key(state, "Delete")
    arrows.key(state, "Backspace")
    assert len(state.drags) == 1
    arrows.key(state, "Delete")
    arrows.key(state, "Delete")
    assert not state.drags
    state.undo()
    assert state.drags == [((5, 5), (20, 5))]


def test_an_arrow_may_start_where_another_ends(arrows: DragArrows) -> None:
    state = MarkState(SIZE)
    draw(arrows, state, (5, 5), (20, 5))
    draw(arrows, state, (20, 5), (20, 25))
    draw(arrows, state, (21, 24), (5, 25))
    assert state.drags == [((5, 5), (20, 5)), ((20, 5), (20, 25)), ((21, 24), (5, 25))]


def test_from_its_start_an_arrow_is_drawn_anew(arrows: DragArrows) -> None:
    state = MarkState(SIZE)
    draw(arrows, state, (5, 5), (20, 5))
    draw(arrows, state, (30, 5), (30, 20))
    arrows.down(state, 6, 6)
    arrows.move(state, 9, 15)
    assert arrows.start == (5, 5) and arrows.preview(state) == [Arrow((5, 5), (9, 15))]
    arrows.up(state, 10, 25)
    assert state.drags == [((5, 5), (10, 25)), ((30, 5), (30, 20))]


def test_a_chosen_arrow_has_handles(arrows: DragArrows) -> None:
    state = MarkState(SIZE)
    first, second = ((5, 5), (20, 5)), ((5, 20), (20, 20))
    for drag in (first, second):
        draw(arrows, state, *drag)
    version = state.version
    assert arrows.preview(state) == []
    draw(arrows, state, (21, 5))
    assert state.version == version, "a click on an end is no pin"
    assert arrows.preview(state) == [Handle((20, 5)), Handle((5, 5))]
    draw(arrows, state, (21, 5), (30, 10))
    draw(arrows, state, (5, 6), (3, 3))
    assert state.drags == [((3, 3), (30, 10)), second]
    assert arrows.preview(state) == [Handle((30, 10)), Handle((3, 3))], "it stays chosen"
    draw(arrows, state, (30, 10))
    assert arrows.preview(state) == [], "another click lets it go"
    draw(arrows, state, (30, 10))
    arrows.key(state, "Delete")
    assert state.drags == [second] and arrows.preview(state) == []
    draw(arrows, state, (20, 20))
    arrows.key(state, "Escape")
    assert state.drags == [second] and arrows.preview(state) == []
    draw(arrows, state, (20, 20))
    for _ in range(4):
        state.undo()
    assert [len(state.drags), arrows.preview(state)] == [1, []], "handles of what is no longer there are not shown"


def test_of_several_ends_the_nearest_is_meant() -> None:
    state, tool = MarkState(SIZE), DragArrows()
    tool.reach = 6.0  # a finger
    near, far = ((10, 10), (10, 25)), ((14, 10), (30, 25))
    state.change(drags=[near, far])
    draw(tool, state, (13, 10), (25, 5))
    assert state.drags == [near, ((14, 10), (25, 5))]
    draw(tool, state, (13, 9))
    assert tool.preview(state) == [Handle((25, 5)), Handle((14, 10))]
    state.change(drags=[((10, 10), (13, 10))])
    draw(tool, state, (10, 10))
    draw(tool, state, (9, 10), (2, 10))
    assert state.drags == [((2, 10), (13, 10))], "the start, although the end is within reach"


def test_where_one_arrow_makes_sense_one_is_left() -> None:
    state, tool = MarkState(SIZE), DragArrows(single=True)
    state.change(drags=[((5, 5), (15, 5)), ((30, 20), (35, 20))])
    draw(tool, state, (30, 20), (20, 20))
    assert state.drags == [((30, 20), (20, 20))]


def test_a_single_arrow_replaces_the_one_before() -> None:
    state, tool = MarkState(SIZE), DragArrows(single=True)
    draw(tool, state, (5, 5), (15, 5))
    draw(tool, state, (25, 5), (35, 5))
    assert state.drags == [((25, 5), (35, 5))]
    state.undo()
    assert state.drags == [((5, 5), (15, 5))]


def test_a_single_arrow_has_a_handle_at_its_end_and_is_drawn_anew_from_its_start() -> None:
    state, tool = MarkState(SIZE), DragArrows(single=True)
    draw(tool, state, (5, 5), (15, 5))
    assert tool.preview(state) == [Handle((15, 5))]
    draw(tool, state, (15, 5), (15, 20))
    assert state.drags == [((5, 5), (15, 20))]
    draw(tool, state, (5, 6), (30, 20))
    assert state.drags == [((5, 5), (30, 20))]
    state.change(drags=[((5, 5), (9, 9))])  # typed, say
    draw(tool, state, (9, 9), (20, 9))
    assert state.drags == [((5, 5), (20, 9))]


def test_a_stray_click_changes_no_single_arrow() -> None:
    state, tool = MarkState(SIZE), DragArrows(single=True)
    tool.reach = 2.0
    draw(tool, state, (25, 20))
    assert state.drags == [], "nothing is moved nowhere"
    draw(tool, state, (5, 5), (15, 5))
    for way in ([(30, 20)], [(30, 20), (30.6, 20.4)], [(10, 5.5)]):
        draw(tool, state, *way)  # type: ignore[arg-type]
        assert state.drags == [((5, 5), (15, 5))]


def test_a_click_on_an_arrows_shaft_chooses_it(arrows: DragArrows) -> None:
    state = MarkState(SIZE)
    draw(arrows, state, (5, 5), (25, 5))
    draw(arrows, state, (5, 20), (25, 20))
    draw(arrows, state, (15, 6))
    assert arrows.preview(state) == [Handle((25, 5)), Handle((5, 5))] and len(state.drags) == 2
    arrows.key(state, "Delete")
    assert state.drags == [((5, 20), (25, 20))]


def test_an_arrow_that_vanished_while_its_end_was_held_is_drawn_anew() -> None:
    state, tool = MarkState(SIZE), DragArrows()
    draw(tool, state, (5, 5), (15, 5))
    tool.down(state, 15, 5)
    state.undo()
    tool.up(state, 25, 9)
    assert state.drags == [((15, 5), (25, 9))]


def square(clicks: Sequence[Click]) -> np.ndarray:
    """A selector: 5 x 5 pixels about each click on the object, less those about the others."""
    mask = np.zeros((30, 40), bool)
    for x, y, positive in clicks:
        mask[max(int(y) - 2, 0) : int(y) + 3, max(int(x) - 2, 0) : int(x) + 3] = positive
    return mask


def test_clicks_become_a_mask_that_further_clicks_correct() -> None:
    state, pick = MarkState(SIZE), Pick(square)
    by_hand = np.zeros((30, 40), bool)
    by_hand[28:, :] = True
    state.set_mask(by_hand)
    assert draw(pick, state, (10, 10)) == (8, 8, 13, 13)
    assert np.array_equal(state.mask, by_hand | square([(10, 10, True)]))
    draw(pick, state, (20, 10))
    pick.positive = False
    draw(pick, state, (12, 12))
    assert state.points == [(10, 10, True), (20, 10, True), (12, 12, False)]
    assert np.array_equal(state.mask, by_hand | square(state.points))
    assert not state.mask[11, 11]
    state.undo()
    assert np.array_equal(state.mask, by_hand | square(state.points)) and len(state.points) == 2
    draw(pick, state, (22, 12))  # goes on from what undo left
    assert np.array_equal(state.mask, by_hand | square(state.points)) and len(state.points) == 3


def test_escape_goes_on_to_another_object_and_another_selector_does_it_again() -> None:
    state, pick = MarkState(SIZE), Pick(square)
    draw(pick, state, (10, 10))
    first = state.mask
    pick.key(state, "Escape")
    assert not state.points and np.array_equal(state.mask, first)
    draw(pick, state, (30, 20))
    assert state.points == [(30, 20, True)]
    assert np.array_equal(state.mask, first | square(state.points))
    pick.selector = lambda clicks: np.roll(square(clicks), 9, axis=0)
    draw(pick, state, (36, 20))
    assert state.points == [(30, 20, True), (36, 20, True)]
    assert np.array_equal(state.mask, first | np.roll(square(state.points), 9, axis=0))


def test_a_selector_may_answer_later_or_fail() -> None:
    state = MarkState(SIZE)
    draw(Pick(lambda clicks: None), state, (10, 10))
    assert state.points == [(10, 10, True)] and not state.mask.any()
    draw(Pick(), state, (12, 10))
    assert len(state.points) == 2
    version = state.version

    def fail(clicks: list[Click]) -> np.ndarray:
        raise RuntimeError("out of luck")

    with pytest.raises(RuntimeError, match="out of luck"):
        draw(Pick(fail), state, (14, 10))
    with pytest.raises(MaskError, match=r"the selector gave float64 \(3, 3\)"):
        draw(Pick(lambda clicks: np.ones((3, 3))), state, (14, 10))
    assert state.version == version


@pytest.mark.parametrize("way", [[(10, 10), (30, 10)], [(-3, 10)], [(10, 31)]])
def test_a_drag_or_a_click_beside_the_picture_picks_nothing(way: list[Point]) -> None:
    state = MarkState(SIZE)
    draw(Pick(square), state, *way)
    draw(Pick(square), state, (10, 10), end="leave")
    assert state.version == 0


def test_previews_say_what_is_under_way() -> None:
    state = MarkState(SIZE)
    brush, eraser, lasso, box, arrows = Brush(7), Eraser(9), Lasso(), Box(), DragArrows()
    for tool in (brush, eraser, lasso, box, arrows):
        assert tool.preview(state) == []
        tool.move(state, 4, 5)
    assert brush.preview(state) == [Ring((4, 5), 7)] and eraser.preview(state) == [Ring((4, 5), 9)]
    assert lasso.preview(state) == box.preview(state) == arrows.preview(state) == []
    for tool in (brush, eraser, lasso, box, arrows):
        tool.down(state, 4.5, 5)
        tool.move(state, 10, 9)
        tool.move(state, 10, 9)  # a pointer that stands still adds nothing
    assert brush.preview(state) == [Trail(((4.5, 5), (10, 9)), 7)] and eraser.preview(state) == [Trail(((4.5, 5), (10, 9)), 9, erases=True)]
    assert lasso.preview(state) == [Outline(((4.5, 5), (10, 9)))]
    assert box.preview(state) == [Outline(((4, 5), (10, 5), (10, 9), (4, 9)), closed=True)]
    assert arrows.preview(state) == [Arrow((4.5, 5), (10, 9))]
    for tool in (brush, eraser, lasso, box, arrows):
        tool.leave(state, 10, 9)
        assert tool.preview(state) == []


def test_brackets_change_the_brush() -> None:
    state, brush = MarkState(SIZE), Brush(10)
    brush.key(state, "]")
    assert brush.size == 12
    brush.key(state, "[")
    assert brush.size == 10
    sizes = []
    for key in "[" * 12 + "]" * 30:
        brush.key(state, key)
        sizes.append(brush.size)
    assert min(sizes) == 1 and max(sizes) == 40  # the picture's longest side
    assert all(a != b for a, b in pairwise(sizes[12:21]))
    brush.size = 90  # set from outside: not cut by the next key
    brush.key(state, "]")
    assert brush.size == 90
    with pytest.raises(EditError, match=r"a brush's size is 0\.5"):
        brush.size = 0.5


def test_every_tool_has_a_name_and_a_key_of_its_own() -> None:
    assert list(TOOLS) == ["brush", "eraser", "lasso", "polygon", "box", "drag", "pick"]
    assert [tool.shortcut for tool in TOOLS.values()] == list("belprdk")


def test_what_is_selected_can_be_taken_and_moved() -> None:
    state, pick = MarkState(SIZE), Pick(square)
    pick.reach = 2.0
    draw(pick, state, (10, 10))
    pick.down(state, 11, 11)
    pick.move(state, 12, 11)
    assert not pick.busy and pick.start is None, "it may still be a click"
    pick.move(state, 20, 15)
    assert pick.busy and pick.start == (11, 11) and pick.preview(state) == [Arrow((11, 11), (20, 15))]
    pick.cancel()
    assert not pick.busy and state.drags == []
    draw(pick, state, (11, 11), (20, 15))
    draw(pick, state, (10, 10), (50, 99), end="leave")
    assert state.drags == [((10, 10), (40, 30))] and len(state.points) == 1, "another way replaces it, cut at the border"
    draw(pick, state, (25, 25), (30, 25))  # from beside the mask
    assert len(state.drags) == 1 and len(state.points) == 1
    draw(pick, state, (10, 11))
    assert len(state.points) == 2, "a click inside corrects, as ever"
