"""Marks and their undo: whatever was done is undone to the last bit, and done again."""

from __future__ import annotations

import json
import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dragonkit.errors import EditError, MaskError, PointError
from dragonkit.imaging.strokes import Rect
from dragonkit.jupyter.marks.state import MarkState

SIZE = (13, 9)
MASKS = arrays(bool, (9, 13))
SPOTS = st.tuples(st.floats(0, 13), st.floats(0, 9))
BOXES = st.tuples(st.integers(0, 12), st.integers(0, 8), st.integers(1, 13), st.integers(1, 9)).map(
    lambda edges: (min(edges[0], edges[2] - 1), min(edges[1], edges[3] - 1), max(edges[2], edges[0] + 1), max(edges[3], edges[1] + 1))
)
CHANGES = st.one_of(
    st.tuples(st.just("paint"), MASKS, st.booleans()),
    st.tuples(st.just("set_mask"), MASKS),
    st.tuples(st.just("boxes"), BOXES),
    st.tuples(st.just("drags"), st.tuples(SPOTS, SPOTS)),
    st.tuples(st.just("points"), st.tuples(SPOTS.map(lambda spot: spot[0]), st.floats(0, 9), st.booleans())),
    st.tuples(st.just("invert")),
    st.tuples(st.just("clear")),
)


def do(state: MarkState, name: str, *values: Any) -> Rect | None:
    """One of CHANGES."""
    if name in ("boxes", "drags", "points"):
        return state.change(**{name: [*getattr(state, name), *values]})
    return getattr(state, name)(*values)


def content(state: MarkState) -> tuple[Any, ...]:
    return state.mask.tobytes(), state.boxes, state.drags, state.points


def changed(before: np.ndarray, after: np.ndarray) -> Rect | None:
    """The rectangle of all pixels that differ, found pixel by pixel."""
    places = [(x, y) for y in range(9) for x in range(13) if before[y, x] != after[y, x]]
    if not places:
        return None
    xs, ys = zip(*places, strict=True)
    return min(xs), min(ys), max(xs) + 1, max(ys) + 1


@given(st.lists(CHANGES, max_size=8))
def test_undo_goes_all_the_way_back_and_redo_all_the_way_forth(changes: list[tuple[Any, ...]]) -> None:
    state = MarkState(SIZE)
    seen, versions = [content(state)], [state.version]
    for name, *values in changes:
        before = state.mask
        dirty = do(state, name, *values)
        assert dirty == changed(before, state.mask)
        if content(state) == seen[-1]:
            assert state.version == versions[-1]  # no change, no step
        else:
            seen.append(content(state))
            versions.append(state.version)
    for walk, order in ((state.undo, seen[-2::-1]), (state.redo, seen[1:])):
        for expected in order:
            before = state.mask
            assert walk() == changed(before, state.mask)
            assert content(state) == expected
            versions.append(state.version)
    assert state.can_undo == (len(seen) > 1) and not state.can_redo
    assert versions == sorted(set(versions))


@given(st.lists(st.one_of(CHANGES, st.just(("undo",)), st.just(("redo",))), max_size=25))
def test_any_order_of_do_undo_and_redo_follows_a_list_of_copies(changes: list[tuple[Any, ...]]) -> None:
    state = MarkState(SIZE)
    history, now = [content(state)], 0
    for name, *values in changes:
        do(state, name, *values)
        if name == "undo":
            now = max(now - 1, 0)
        elif name == "redo":
            now = min(now + 1, len(history) - 1)
        elif content(state) != history[now]:
            history[now + 1 :] = [content(state)]
            now += 1
        assert content(state) == history[now]
        assert (state.can_undo, state.can_redo) == (now > 0, now < len(history) - 1)


@given(MASKS, MASKS)
def test_painting_is_or_and_erasing_is_and_not(first: np.ndarray, second: np.ndarray) -> None:
    state = MarkState(SIZE)
    state.paint(first, True)
    state.paint(second, True)
    assert np.array_equal(state.mask, first | second)
    state.paint(first, False)
    assert np.array_equal(state.mask, second & ~first)
    state.invert()
    assert np.array_equal(state.mask, ~(second & ~first))


def test_a_region_is_painted_where_its_rectangle_is() -> None:
    state = MarkState(SIZE)
    assert state.paint(((3, 2, 6, 4), np.array([[True, False, True], [False, False, False]])), True) == (3, 2, 6, 3)
    assert [tuple(map(int, place)) for place in np.argwhere(state.mask)] == [(2, 3), (2, 5)]
    with pytest.raises(MaskError, match="does not fit its rectangle"):
        state.paint(((3, 2, 6, 4), np.ones((2, 2), bool)), True)


def test_what_was_handed_out_does_not_change() -> None:
    state = MarkState(SIZE)
    mask, boxes = state.mask, state.boxes
    state.change(boxes=[(1, 1, 3, 3)])
    state.invert()
    assert not mask.any() and boxes == []
    with pytest.raises(ValueError, match="read-only"):
        state.mask[0, 0] = False
    state.boxes.clear()
    assert state.boxes == [(1, 1, 3, 3)]


def test_a_mask_that_was_handed_in_may_change_afterwards() -> None:
    state, mask = MarkState(SIZE), np.ones((9, 13), bool)
    state.set_mask(mask)
    mask[:] = False
    assert state.mask.all()


def test_clearing() -> None:
    state = MarkState(SIZE)
    state.change(boxes=[(2, 0, 3, 1), (3, 0, 4, 1)], drags=[((1, 1), (1, 2)), ((3, 1), (3, 2))], points=[(1, 5, True), (2, 5, False)])
    assert state.drags == [((1.0, 1.0), (1.0, 2.0)), ((3.0, 1.0), (3.0, 2.0))]
    assert state.boxes == [(2, 0, 3, 1), (3, 0, 4, 1)]
    assert state.points == [(1.0, 5.0, True), (2.0, 5.0, False)]
    version = state.version
    state.clear()
    assert (state.drags, state.boxes, state.points, state.version) == ([], [], [], version + 1)
    state.undo()
    assert len(state.drags) == 2


def test_one_change_of_several_things_is_one_step() -> None:
    state = MarkState(SIZE)
    state.change(np.ones((9, 13), bool), boxes=[(0, 0, 13, 9)], points=[(1, 1, True)])
    state.undo()
    assert not state.can_undo and not state.mask.any() and not state.boxes and not state.points


def test_undo_forgets_the_oldest_when_it_takes_too_much_memory() -> None:
    state = MarkState((800, 800), undo_bytes=200_000)  # a step that flips all pixels takes 80,000 bytes and a little
    for _ in range(5):
        state.invert()
    state.undo()
    state.undo()
    assert not state.can_undo and state.mask.all()
    state.redo()
    assert not state.mask.any()
    state.redo()
    for x in range(50):  # small steps are cheap
        state.paint(((x, 0, x + 1, 1), np.ones((1, 1), bool)), False)
    for _ in range(51):
        state.undo()
    assert not state.mask.any() and state.can_redo
    for _ in range(5):
        state.invert()
        state.undo()
        state.redo()
    state.undo()
    state.undo()
    assert not state.can_undo
    tiny = MarkState((800, 800), undo_bytes=0)
    tiny.invert()
    tiny.invert()
    tiny.undo()
    assert tiny.mask.all() and not tiny.can_undo  # the last step can always be taken back


@given(MASKS, st.lists(BOXES, max_size=3), st.lists(st.tuples(SPOTS, SPOTS), max_size=3), st.lists(st.booleans(), max_size=3))
def test_json_keeps_everything(mask: np.ndarray, boxes: list[Any], drags: list[Any], signs: list[bool]) -> None:
    state = MarkState(SIZE)
    state.change(mask, boxes=boxes, drags=drags, points=[(0.1 * number, 8.9, sign) for number, sign in enumerate(signs)])
    again = MarkState.from_json(json.loads(json.dumps(state.to_json())))
    assert content(again) == content(state) and again.size == SIZE and not again.can_undo


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ({"size": [3]}, "these are no marks"),
        ({"size": [4, 4]}, "but the image is 4x4"),
        ({"mask": {"png": "nonsense"}}, "no base64 PNG mask"),
    ],
)
def test_broken_json_says_so(broken: dict[str, Any], words: str) -> None:
    with pytest.raises(EditError, match=words):
        MarkState.from_json({**MarkState(SIZE).to_json(), **broken})
    with pytest.raises(EditError, match=r"these are no marks .*'mask'"):
        MarkState.from_json({"size": [2, 2]})


def test_what_makes_no_sense_is_refused_and_changes_nothing() -> None:
    state = MarkState(SIZE)
    for error, act in (
        (MaskError, lambda: state.set_mask(np.ones((13, 9), bool))),
        (MaskError, lambda: state.set_mask(np.ones((9, 13)))),
        (MaskError, lambda: state.paint("all", True)),  # type: ignore[arg-type]
        (EditError, lambda: state.change(boxes=[(4, 4, 4, 6)])),
        (EditError, lambda: state.change(boxes=[(4, 4, 14, 6)])),
        (PointError, lambda: state.change(drags=[((1, 1), (1, 9.1))])),
        (PointError, lambda: state.change(points=[(float("nan"), 1, True)])),
        (EditError, lambda: MarkState((0, 4))),
    ):
        with pytest.raises(error):
            act()
    assert state.version == 0 and not state.can_undo


def test_threads_may_change_marks_at_the_same_time() -> None:
    state = MarkState((64, 64))

    def work(row: int) -> None:
        for x in range(64):
            state.paint(((x, row, x + 1, row + 1), np.ones((1, 1), bool)), True)

    threads = [threading.Thread(target=work, args=(row,)) for row in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert state.mask[:4].all() and state.version == 256
    while state.can_undo:
        state.undo()
    assert not state.mask.any()
