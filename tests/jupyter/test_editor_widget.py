"""The whole editor without a browser: mark, run, watch, cancel, go back, export; errors in words and nothing lost."""

from __future__ import annotations

import base64
import io
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar
from weakref import WeakValueDictionary

import ipywidgets as W
import numpy as np
import pytest
import torch
from helpers.editors import HEIGHT, PICTURE, SOON, STEPS, WIDTH, Gate, Troublemaker, alert_of, at, blob, canvas, named, ran, status_of
from helpers.headless import Browser, drag, emit, key, layer_id
from PIL import Image

import dragonkit as dk
from dragonkit.diffusion.turns import turn_on
from dragonkit.editing import editor as editor_module
from dragonkit.errors import Cancelled, EditError, ImageError, MaskError, ModelNotFoundError, UnknownModeError
from dragonkit.imaging.images import load_image
from dragonkit.jupyter.canvas.door import Door
from dragonkit.jupyter.marks.state import MarkState
from dragonkit.plugins.selector import Selector
from dragonkit.testing import tiny_editor

# --- to mark and to run -------------------------------------------------------------------------------------------------


def test_paint_run_and_see_the_result(open_editor: Any, model: dk.Editor) -> None:
    editor = open_editor()
    editor.marks.set_mask(blob())
    result = ran(editor, shift=(12, 4))
    expected = model.edit(PICTURE, dk.Move(mask=blob(), shift=(12, 4)), STEPS, prompt="a fish")
    assert result.image.tobytes() == expected.image.tobytes()
    assert editor.result is result and editor.error is None and len(editor.history) == 1
    assert np.array_equal(editor.mask, blob()) and editor.edits == [dk.Move(mask=blob(), shift=(12, 4))]
    assert editor.status.startswith("move: done in")
    assert not editor._panel._run.disabled and editor._panel._cancel.disabled


def test_the_picture_is_inverted_once_in_the_background_and_checked(
    open_editor: Any, model: dk.Editor, monkeypatch: Any, gate: Gate
) -> None:
    begun, go, calls = threading.Event(), threading.Event(), []
    invert = model.invert

    def slowly(*values: Any, **options: Any) -> Any:
        calls.append(values)
        begun.set()
        assert go.wait(SOON)
        return invert(*values, **options)

    monkeypatch.setattr(model, "invert", slowly)
    editor = open_editor(mask=blob())
    assert begun.wait(SOON), "it begins without being asked"
    assert "inverting" in editor.status
    editor.form.update({"shift": (8, 0)})
    editor.run()
    assert "waits" in editor.status
    gate.open.clear()
    go.set()
    assert gate.reached.wait(SOON)
    assert "waits" not in status_of(editor) and "move: running" in status_of(editor)
    gate.open.set()
    editor.wait(SOON)
    ran(editor, shift=(4, 0))
    assert len(calls) == 1
    source = invert(PICTURE, "a fish", STEPS)
    [advice] = model.advice(source)  # of a tiny model of random weights: said before the edit, and no success
    assert f"the picture is inverted; careful: {advice}" in editor._messages.all


def test_progress_energies_and_previews_are_shown(open_editor: Any, gate: Gate) -> None:
    editor = open_editor(mask=blob())
    editor.wait(SOON)
    gate.open.clear()
    gate.reached.clear()
    seen: list[tuple[str, bool]] = []
    editor._panel._words.observe(lambda change: seen.append((change["new"], editor._panel._bar.value > 0)), names="value")
    previews: list[bytes] = []
    editor._panel._preview.observe(lambda change: previews.append(change["new"]), names="value")
    editor.form.update({"shift": (8, 0)})
    editor.run()
    assert gate.reached.wait(SOON)
    assert editor._panel._run.disabled and not editor._panel._cancel.disabled
    gate.open.set()
    editor.wait(SOON)
    assert seen[0][0].startswith("editing: step ") and "; move.edit" in seen[0][0] and seen[0][1]
    layout = editor._panel._preview.layout
    assert Image.open(io.BytesIO(previews[0])).size == (40, 32), "what the edit starts from, before any step,"
    assert (layout.width, layout.height) == ("160px", "128px"), "in the picture's own proportions"
    assert editor._panel._words.value == "" and editor._panel._preview.layout.display == "none", "all quiet in the end"


def test_run_and_cancel_are_buttons_and_a_second_run_is_refused(open_editor: Any, gate: Gate) -> None:
    editor = open_editor(mask=blob())
    first = ran(editor, shift=(8, 0))
    gate.open.clear()
    gate.reached.clear()
    gate.steps = 0
    named(editor, "Run").click()
    assert gate.reached.wait(SOON)
    with pytest.raises(EditError, match="still going on"):
        editor.run()
    named(editor, "Cancel").click()
    gate.open.set()
    with pytest.raises(Cancelled):
        editor.wait(SOON)
    assert gate.steps == 1, "within one step"
    assert editor.status.startswith("cancelled") and alert_of(editor) == "" and editor.error is None
    assert editor.result is first and len(editor.history) == 1 and np.array_equal(editor.mask, blob())
    assert ran(editor).image.tobytes() == first.image.tobytes()


def test_what_is_missing_is_said_in_words(open_editor: Any) -> None:
    editor = open_editor()
    named(editor, "Run").click()
    assert "move cannot run yet: mark what to edit" in alert_of(editor) and "mark what to edit" in editor._messages._hint.value
    with pytest.raises(EditError, match="cannot run yet"):
        editor.edits  # noqa: B018
    editor.mask = blob()
    assert "draw an arrow" in editor._messages._hint.value
    named(editor, "Run").click()
    with pytest.raises(EditError, match="nothing would change"):
        editor.wait(SOON)
    assert "nothing would change" in alert_of(editor) and np.array_equal(editor.mask, blob())
    ran(editor, shift=(8, 0))
    assert alert_of(editor) == ""


def test_a_mode_greets_with_what_to_do_and_not_with_an_error(open_editor: Any) -> None:
    editor = open_editor(mask=blob())
    editor.mode = "resize"
    assert editor.form._errors["scale"].value == "" and editor._messages._hint.value == "Next: set scale."
    named(editor, "Run").click()
    with pytest.raises(EditError, match="nothing would change"):
        editor.edits  # noqa: B018
    assert "nothing would change" in alert_of(editor) and "nothing would change" in editor.form._errors["scale"].value
    editor.form.update({"scale": 1.5})
    assert alert_of(editor) == "" == editor.form._errors["scale"].value == editor._messages._hint.value, "it is no longer true"
    editor.form.update({"edit_weight": -1.0})
    assert "edit weight is -1.0" in editor.form._errors["edit_weight"].value, "who has touched a field is told of it"


def test_a_plugin_that_fails_is_named_and_the_next_run_works(open_editor: Any, trouble: Troublemaker) -> None:
    editor = open_editor(mask=blob())
    first = ran(editor, shift=(8, 0))
    trouble.bad = True
    named(editor, "Run").click()
    with pytest.raises(dk.errors.PluginHookError):
        editor.wait(SOON)
    words = editor._messages._error.value
    assert "Troublemaker" in words and "&lt;b&gt;weights&lt;/b&gt;" in words and "Traceback" not in words
    assert isinstance(editor.error, dk.errors.PluginHookError) and editor.status in {str(editor.error)}
    assert editor.result is first and np.array_equal(editor.mask, blob()) and editor.form.values()["shift"] == (8, 0)
    trouble.bad = False
    assert ran(editor).image.tobytes() == first.image.tobytes() and editor.error is None


def test_an_inversion_that_failed_is_tried_again_by_the_next_run(open_editor: Any, model: dk.Editor, monkeypatch: Any) -> None:
    invert = model.invert
    monkeypatch.setattr(model, "invert", lambda *values, **options: 1 / 0)
    editor = open_editor(mask=blob())
    assert editor._session.wait(SOON)
    assert "ZeroDivisionError" in alert_of(editor) and isinstance(editor.error, ZeroDivisionError)
    monkeypatch.setattr(model, "invert", invert)
    ran(editor, shift=(8, 0))
    assert alert_of(editor) == ""


# --- the mouse ----------------------------------------------------------------------------------------------------------


def test_an_arrow_says_how_far_and_the_object_follows_the_pointer_at_once(open_editor: Any, gate: Gate, model: dk.Editor) -> None:
    editor = open_editor()
    editor.wait(SOON)
    editor.view.set_tool("box")
    drag(canvas(editor), *at(editor, (6, 8), (10, 12), (16, 17)))
    assert np.array_equal(editor.mask, blob())
    calls, shown = model.backbone.calls, []
    show = editor.view.show_ghosts
    editor.view.show_ghosts = lambda ghosts: (shown.append((*ghosts, (None,))[-2 if ghosts else 0]), show(ghosts))  # type: ignore[method-assign]
    editor.view.set_tool("drag")
    (x0, y0), (x1, y1), (x2, y2) = at(editor, (10, 12), (14, 12), (22, 16))
    emit(canvas(editor), "mouse_down", x0, y0)
    emit(canvas(editor), "mouse_move", x1, y1)
    image, x, y, _ = shown[-1]
    assert (image.size, x, y) == ((10, 9), 10, 8), "the cut-out is four pixels further right"
    emit(canvas(editor), "mouse_move", x2, y2)
    assert shown[-1][1:3] == (18, 12) and shown[-1][0] is image, "the browser has the cut-out already"
    assert np.array_equal(np.asarray(image)[..., :3], np.asarray(PICTURE)[8:17, 6:16]) and (np.asarray(image)[..., 3] == 255).all()
    emit(canvas(editor), "mouse_up", x2, y2)
    assert editor._easel.stage.wait(SOON)
    assert shown[-1][1:3] == (18, 12), "and stays where it was let go"
    assert editor.form.values()["shift"] == (12.0, 4.0) and editor.edits[0].shift == (12.0, 4.0)
    assert model.backbone.calls == calls, "no diffusion"

    drag(canvas(editor), *at(editor, (22, 16), (20, 14)), release=False)
    assert shown[-1][1:3] == (16, 10), "whoever takes the arrow's end goes on from where the object is shown"
    emit(canvas(editor), "mouse_up", x2, y2)
    assert editor.marks.drags == [((10.0, 12.0), (22.0, 16.0))]

    drag(canvas(editor), *at(editor, (30, 20), (33, 22)))
    assert editor.marks.drags == [((30.0, 20.0), (33.0, 22.0))] and editor.edits[0].shift == (3.0, 2.0), "a move has one arrow"
    key(canvas(editor), "z", ctrl=True)
    assert editor.edits[0].shift == (12.0, 4.0)
    named(editor, "clear").click()
    assert editor.form.values()["shift"] == (0.0, 0.0) and not editor.mask.any()
    named(editor, "undo").click()
    assert np.array_equal(editor.mask, blob()) and editor.form.values()["shift"] == (12.0, 4.0)


def test_what_is_selected_is_taken_and_moved_with_the_tool_that_selected_it(open_editor: Any) -> None:
    editor = open_editor(mask=blob())
    editor.wait(SOON)
    editor.mode = "resize"  # which no arrow moves
    editor.view.set_tool("pick")
    (x0, y0), (x1, y1), (x2, y2) = at(editor, (10, 12), (14, 12), (22, 16))
    emit(canvas(editor), "mouse_down", x0, y0)
    assert editor.view._ghosts == (), "a press may become a click"
    emit(canvas(editor), "mouse_move", x1, y1)
    hole, (image, x, y, _) = editor.view._ghosts
    assert (x, y, image.size) == (10, 8, (10, 9)) and hole[1:3] == (6, 8), "it is gone where it was"
    emit(canvas(editor), "mouse_move", x2, y2)
    emit(canvas(editor), "mouse_up", x2, y2)
    assert (editor.mode, editor.form.values()["shift"]) == ("move", (12.0, 4.0))
    assert editor.marks.drags == [((10.0, 12.0), (22.0, 16.0))] and editor.marks.points == []
    assert editor._easel.stage.wait(SOON)
    assert [ghost[1:] for ghost in editor.view._ghosts][-1] == (18, 12, 1)
    key(canvas(editor), "z", ctrl=True)
    assert editor.marks.drags == [] and np.array_equal(editor.mask, blob())


def test_what_is_lit_up_is_taken_at_once_and_undo_lets_go_of_it(open_editor: Any) -> None:
    editor = open_editor()
    editor.view.set_tool("pick")
    picks = editor._easel.picks
    picks._hover._known = [blob()]
    (x0, y0), (x1, y1) = at(editor, (10, 12), (22, 16))
    emit(canvas(editor), "mouse_down", x0, y0)
    emit(canvas(editor), "mouse_move", (x0 + x1) / 2, (y0 + y1) / 2)
    assert np.array_equal(editor.mask, blob()) and editor.view._ghosts != ()
    emit(canvas(editor), "mouse_move", x1, y1)
    emit(canvas(editor), "mouse_up", x1, y1)
    assert (editor.mode, editor.form.values()["shift"]) == ("move", (12.0, 4.0)) and len(editor.marks.points) == 1
    assert "has selected 90 pixels" in status_of(editor) and alert_of(editor) == ""
    for _ in range(2):
        key(canvas(editor), "z", ctrl=True)
    assert not editor.mask.any() and editor.marks.drags == [] and editor.marks.points == []

    picks._hover._known = [~blob()]
    drag(canvas(editor), *at(editor, (30, 20), (20, 20)))
    assert not editor.mask.any(), "most of the picture is ground"


def slow_picker(editor: Any, monkeypatch: pytest.MonkeyPatch, finds: Callable[[], np.ndarray]) -> threading.Event:
    """The tool pick with a selector that waits for the event."""
    editor.view.set_tool("pick")
    picks, go, pick = editor._easel.picks, threading.Event(), editor.view.tools["pick"]
    slow = Selector("slow", "waits", "clicks", lambda image, clicks: finds() if go.wait(SOON) else np.zeros_like(blob()))
    monkeypatch.setattr(picks, "_given", dict)
    pick.selector, pick.awaits = (lambda clicks: picks._ask(slow, clicks)), (lambda clicks: picks._awaits(slow, clicks))
    return go


@pytest.mark.parametrize("clicked", [False, True])
@pytest.mark.parametrize("released", [False, True])
def test_what_is_not_selected_yet_is_taken_all_the_same(
    open_editor: Any, monkeypatch: pytest.MonkeyPatch, clicked: bool, released: bool
) -> None:
    editor = open_editor(mask=np.eye(HEIGHT, WIDTH, dtype=bool) if not clicked else None)
    editor.mode = "remove"
    go, picks = slow_picker(editor, monkeypatch, blob), editor._easel.picks
    (x0, y0), (x1, y1) = at(editor, (10, 12), (22, 16))
    if clicked:
        drag(canvas(editor), (x0, y0), (x0, y0))
    emit(canvas(editor), "mouse_down", x0, y0)
    emit(canvas(editor), "mouse_move", (x0 + x1) / 2, (y0 + y1) / 2)
    if not released:
        go.set()
        assert picks.wait(SOON)
        emit(canvas(editor), "mouse_move", x1, y1)
        assert editor._easel.stage.lifted, "it follows the hand"
    emit(canvas(editor), "mouse_up", x1, y1)
    go.set()
    assert picks.wait(SOON)
    assert np.array_equal(editor.mask, blob()), "what was selected before gives way"
    assert (editor.mode, editor.form.values()["shift"]) == ("move", (12.0, 4.0)) and len(editor.marks.points) == 1
    assert editor._easel.stage.wait(SOON)
    assert [ghost[1:3] for ghost in editor.view._ghosts][-1] == (18, 12)
    for _ in range(2):
        key(canvas(editor), "z", ctrl=True)
    assert editor.marks.points == [] and editor.marks.drags == [] and not np.array_equal(editor.mask, blob())


def test_ground_and_nothing_are_not_taken_and_what_was_selected_stays(open_editor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing() -> np.ndarray:
        raise MaskError("there is nothing")

    editor = open_editor(mask=blob())
    for finds, said in ((lambda: np.ones_like(blob()), "most of the picture"), (nothing, "there is nothing")):
        go = slow_picker(editor, monkeypatch, finds)
        drag(canvas(editor), *at(editor, (30, 20), (20, 20)))
        go.set()
        assert editor._easel.picks.wait(SOON)
        assert np.array_equal(editor.mask, blob()) and editor.marks.drags == [] and editor.marks.points == []
        assert said in status_of(editor) + alert_of(editor)


def test_closing_an_editor_that_does_nothing_starts_no_thread(open_editor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    editor = open_editor()
    editor.wait(SOON)
    monkeypatch.setattr(threading.Thread, "start", lambda thread: pytest.fail(f"{thread} is started"))
    editor.close()  # as ipywidgets does for whatever is left when the interpreter ends


def test_a_click_and_its_mask_are_one_step_of_undo(open_editor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    editor = open_editor()
    go = slow_picker(editor, monkeypatch, blob)
    drag(canvas(editor), *at(editor, (10, 12), (10, 12)))
    go.set()
    assert editor._easel.picks.wait(SOON) and editor.mask.any()
    key(canvas(editor), "z", ctrl=True)
    assert not editor.mask.any() and editor.marks.points == []
    key(canvas(editor), "z", ctrl=True, shift=True)
    assert np.array_equal(editor.mask, blob()) and len(editor.marks.points) == 1


def test_run_waits_until_what_was_clicked_on_is_selected(open_editor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    editor = open_editor()
    editor.wait(SOON)
    editor.view.set_tool("pick")
    picks, go = editor._easel.picks, threading.Event()
    slow = Selector("slow", "waits", "clicks", lambda image, clicks: blob() if go.wait(SOON) else ~blob())
    monkeypatch.setattr(picks, "_given", dict)
    editor.view.tools["pick"].selector = lambda clicks: picks._ask(slow, clicks)
    drag(canvas(editor), *at(editor, (10, 12), (10, 12)))
    editor.form.update({"shift": (12, 4)})
    named(editor, "Run").click()
    assert "Run waits until the selection is there" in status_of(editor) and alert_of(editor) == "" and editor.result is None
    go.set()
    assert picks.wait(SOON)
    result = editor.wait(SOON)
    assert result is not None and editor.edits[0].shift == (12.0, 4.0) and np.array_equal(editor.mask, blob())


def test_undo_takes_back_what_was_done_last_whatever_it_was(open_editor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dragonkit.jupyter.work.timeline.TOGETHER", 0.0)
    editor = open_editor()
    editor.view.apply(lambda state: state.set_mask(blob()))
    drag(canvas(editor), *at(editor, (30, 20), (30, 20)))  # the brush
    painted = editor.mask.copy()
    editor.form.update({"scale": 2.0})
    editor.mode = "resize"
    editor.form.update({"scale": 3.0})
    editor._easel.tools.size.value = 9

    def now() -> tuple[Any, ...]:
        return editor.mode, editor.form.values().get("scale"), editor.view.tools["brush"].size

    ways = [(("resize", 3.0, 9)), ("resize", 3.0, 2)]
    assert now() == ways[0]
    key(canvas(editor), "z", ctrl=True)
    assert now() == ways[1]
    key(canvas(editor), "z", ctrl=True)
    assert now()[0] == "resize" and now()[1] != 3.0
    key(canvas(editor), "z", ctrl=True)
    assert now() == ("move", 2.0, 2)
    key(canvas(editor), "z", ctrl=True)
    assert now() == ("move", 1.0, 2) and np.array_equal(editor.mask, painted), "the mask is as it was"
    key(canvas(editor), "z", ctrl=True)
    assert np.array_equal(editor.mask, blob())
    named(editor, "undo").click()
    assert not editor.mask.any()
    named(editor, "undo").click()
    for _ in range(6):
        named(editor, "redo").click()
    assert now() == ways[0] and np.array_equal(editor.mask, painted)
    key(canvas(editor), "z", ctrl=True)
    editor.view.apply(lambda state: state.set_mask(blob()))
    named(editor, "redo").click()
    assert now() == ways[1], "what was done since cannot be redone over"


def test_a_slider_that_is_drawn_is_one_step(open_editor: Any) -> None:
    editor = open_editor(mask=blob())
    for scale in (1.1, 1.2, 1.3, 1.4):
        editor.form.update({"scale": scale})
    named(editor, "undo").click()
    assert editor.form.values().get("scale", 1.0) == 1.0


def test_arrow_keys_nudge_what_is_moved(open_editor: Any) -> None:
    editor = open_editor(mask=blob())
    editor.view.set_tool("pick")
    for _ in range(2):
        key(canvas(editor), "ArrowRight")
    key(canvas(editor), "ArrowDown", shift=True)
    key(canvas(editor), "ArrowUp")
    assert editor.form.values()["shift"] == (2.0, 9.0)
    for _ in range(4):
        key(canvas(editor), "z", ctrl=True)
    assert editor.marks.drags == [] and editor.form.values()["shift"] == (0.0, 0.0)
    editor.view.set_zoom(20)
    offset = editor.view.viewport.offset
    key(canvas(editor), "ArrowRight")
    assert editor.view.viewport.offset != offset and editor.marks.drags == [], "where there is more to see they push the picture"


def test_a_shift_that_is_typed_turns_the_arrow(open_editor: Any) -> None:
    editor = open_editor(mask=blob())
    editor.form.update({"shift": (3, 3)})
    assert editor.marks.drags == [] and editor.edits[0].shift == (3, 3)
    editor.view.apply(lambda state: state.change(drags=[((10, 12), (14, 12))]))
    assert editor.edits[0].shift == (4, 0)
    editor.form.update({"shift": (-2.5, 6)})
    assert editor.marks.drags == [((10.0, 12.0), (7.5, 18.0))] and editor.edits[0].shift == (-2.5, 6)
    editor.form.update({"shift": (35, 0)})
    assert editor.marks.drags == [] and editor.edits[0].shift == (35, 0), "such an arrow would leave the picture"


def test_the_preview_follows_the_fields_in_any_mode(open_editor: Any, model: dk.Editor) -> None:
    editor = open_editor(mask=blob())
    editor.mode = "resize"
    assert editor.view._ghosts == ()
    editor.form.update({"scale": 2.0})
    assert editor._easel.stage.wait(SOON)
    image, x, y, _ = editor.view._ghosts[-1]
    masks = model.registry.build_masks(editor.edits[0], (WIDTH, HEIGHT))
    left, top, right, bottom = dk.masks.bounding_box(masks.target)
    assert (x, y, image.size) == (left, top, (right - left, bottom - top))
    editor.form.update({"scale": 1.0})
    assert editor._easel.stage.wait(SOON)
    assert editor.view._ghosts == (), "nothing would change"


def test_a_reload_finds_everything(open_editor: Any, browser: Browser) -> None:
    editor = open_editor(mask=blob())
    editor.view.apply(lambda state: state.change(drags=[((10, 12), (22, 16))]))
    emit(canvas(editor), "client_ready")
    before, fields = browser.layers[layer_id(canvas(editor), 1)].copy(), editor.form.values()
    assert before.any()
    browser.reload()
    emit(canvas(editor), "client_ready")
    assert np.array_equal(browser.layers[layer_id(canvas(editor), 1)], before), "the mask is drawn again"
    assert {"strokeLines", "drawImage"} <= set(browser.names), "so are the arrow and the picture"
    assert np.array_equal(editor.mask, blob()) and editor.form.values() == fields
    key(canvas(editor), "z", ctrl=True)
    assert editor.marks.drags == [], "undo goes on"


def test_marks_outlive_modes_tools_and_errors(open_editor: Any) -> None:
    editor = open_editor(mask=blob())
    editor.view.apply(lambda state: state.change(drags=[((10, 12), (22, 16))]))
    for mode in ("drag", "appearance", "resize", "move"):
        editor.mode = mode
        assert editor.mode == mode and np.array_equal(editor.mask, blob()) and len(editor.marks.drags) == 1
    with pytest.raises(MaskError):
        editor.mask = np.ones((3, 3), bool)
    with pytest.raises(UnknownModeError, match=r"no edit mode 'mvoe'.*'move'"):
        editor.mode = "mvoe"
    assert np.array_equal(editor.mask, blob()) and editor.mode == "move"
    editor.marks.undo()
    editor.marks.undo()
    assert not editor.mask.any()


def test_errors_of_the_canvas_are_shown(open_editor: Any, monkeypatch: Any) -> None:
    editor = open_editor()
    monkeypatch.setattr(editor.view.tool, "up", lambda state, x, y: 1 / 0)
    drag(canvas(editor), (5, 5), (9, 9))
    assert "ZeroDivisionError" in alert_of(editor)


# --- modes --------------------------------------------------------------------------------------------------------------


class Nudge(dk.Edit):
    """Nudge the object a little."""

    mode: ClassVar[str] = "nudge"

    mask: dk.Mask
    by: int = 3


class NudgePlugin:
    @dk.hookimpl
    def dragonkit_edits(self) -> list[type[dk.Edit]]:
        return [Nudge]

    @dk.hookimpl
    def dragonkit_build_masks(self, edit: Any, size: tuple[int, int]) -> dk.Placement:
        return dk.Move(mask=edit.mask, shift=(edit.by, 0)).placement(size)


def test_modes_appear_by_themselves(open_editor: Any, model: dk.Editor) -> None:
    editor = open_editor(mask=blob())
    offered = editor._easel.modes._choice.options
    assert set(offered) == {name for name, edit_type in model.registry.edit_types().items() if edit_type.scriptable}
    assert editor.mode == "move" and "custom" not in offered, "what holds code cannot be clicked"
    editor.form.update({"scale": 1.5})
    model.registry.register(NudgePlugin(), "nudge")
    editor._repr_mimebundle_()
    assert "nudge" in editor._easel.modes._choice.options and editor.mode == "move" and editor.form.values()["scale"] == 1.5
    editor.mode = "nudge"
    assert named(editor, "by") is not None and "Nudge the object a little" in editor._easel.modes._about.value
    result = ran(editor, by=7)
    assert result.report.modes == ("nudge",)
    assert result.image.tobytes() == model.edit(PICTURE, Nudge(mask=blob(), by=7), STEPS, prompt="a fish").image.tobytes()


class Slide(dk.Edit):
    """Slide the object along an arrow."""

    mode: ClassVar[str] = "slide"

    mask: dk.Mask
    way: dk.Shift


class Drift(dk.Edit):
    """Slide the object along an arrow, if there is one."""

    mode: ClassVar[str] = "drift"

    mask: dk.Mask
    way: dk.Shift | None = None


@pytest.mark.parametrize("edit_type", [Slide, Drift])
def test_an_arrow_sets_the_shift_whatever_it_is_called_and_whether_it_must_be_given(
    open_editor: Any, model: dk.Editor, edit_type: type[dk.Edit]
) -> None:
    class Sliding:
        @dk.hookimpl
        def dragonkit_edits(self) -> list[type[dk.Edit]]:
            return [edit_type]

        @dk.hookimpl
        def dragonkit_build_masks(self, edit: Any, size: tuple[int, int]) -> dk.Placement:
            return dk.Move(mask=edit.mask, shift=edit.way or (1, 1)).placement(size)

    model.registry.register(Sliding(), edit_type.mode)
    editor = open_editor(mask=blob())
    editor.mode = edit_type.mode
    before = editor.form.values()
    editor.view.apply(lambda state: state.change(drags=[((10, 12), (14, 12))]))
    assert editor.edits[0].way == (4, 0)
    editor.form.update({"way": (-2.5, 6)})
    assert editor.marks.drags == [((10.0, 12.0), (7.5, 18.0))] and editor.edits[0].way == (-2.5, 6)
    editor.view.apply(lambda state: state.change(drags=[]))
    assert editor.form.values() == before and alert_of(editor) == ""


def test_arrows_are_points_for_a_drag(open_editor: Any) -> None:
    editor = open_editor()
    editor.mode = "drag"
    assert "draw an arrow" in editor._messages._hint.value
    editor.view.set_tool("drag")
    drag(canvas(editor), *at(editor, (10, 12), (16, 12)))
    drag(canvas(editor), *at(editor, (30, 20), (30, 20)))
    assert editor.edits[0].points == (((10.0, 12.0), (16.0, 12.0)), ((30.0, 20.0), (30.0, 20.0)))
    assert editor.edits[0].mask is None
    ran(editor)


def test_a_second_picture(open_editor: Any, model: dk.Editor) -> None:
    other, lent = PICTURE.crop((0, 0, 32, 32)), np.zeros((32, 32), bool)
    lent[4:20, 6:18] = True
    editor = open_editor(mask=blob())
    editor.mode = "appearance"
    assert "choose the second picture, then mark the object in the second picture" in editor._messages._hint.value
    editor.form.update({"reference": other, "reference_mask": lent, "init": "colors"})
    assert editor._messages._hint.value == ""
    result = ran(editor)
    expected = dk.Appearance(mask=blob(), reference=other, reference_mask=lent, init="colors")
    assert result.image.tobytes() == model.edit(PICTURE, expected, STEPS, prompt="a fish").image.tobytes()


def test_errors_at_a_field_are_in_words(open_editor: Any) -> None:
    editor = open_editor(mask=blob())
    named(editor, "edit weight").value = -1.0
    assert "edit weight is -1.0, but must be" in editor.form._errors["edit_weight"].value
    named(editor, "Run").click()
    assert "edit weight is -1.0" in alert_of(editor)


# --- after a run --------------------------------------------------------------------------------------------------------


def shown(editor: dk.EditorWidget) -> np.ndarray:
    picture, comparison = np.asarray(editor.view._image), editor.view.comparison
    if not comparison.shown:
        return picture
    seen = np.arange(picture.shape[1])[None, :, None] >= (1 - comparison.share) * picture.shape[1]
    return np.where(seen, np.asarray(comparison.after), picture)


def test_before_and_after(open_editor: Any) -> None:
    editor = open_editor(mask=blob())
    slider = named(editor, "before/after")
    assert slider.disabled
    result = np.asarray(ran(editor, shift=(12, 4)).image)
    assert slider.value == 1 and not slider.disabled and np.array_equal(shown(editor), result)
    assert not editor.view.marked, "the mask would hide what became of the picture"
    slider.value = 0.5
    assert np.array_equal(shown(editor)[:, 20:], result[:, 20:]) and np.array_equal(shown(editor)[:, :20], np.asarray(PICTURE)[:, :20])
    edge = editor.view.viewport.canvas_size[0]
    before = editor.marks.version
    drag(canvas(editor), (edge / 2 + 3, 9), (edge / 4, 9))
    assert slider.value == pytest.approx(0.75) and editor.marks.version == before, "the line is pushed, and nothing is painted"
    drag(canvas(editor), (edge / 4, 9), (edge + 50, 9))
    assert slider.value == 0.01, "it stays in reach"
    told = editor.view.front.comparing
    assert told["line"] == pytest.approx(0.99 * edge, abs=1) and told["before"]["width"] == told["after"]["width"] == edge
    editor.view.front._told(None, {"action": "slid", "x": edge / 4}, [])
    assert slider.value == pytest.approx(0.75) and editor.view.front.comparing["line"] == pytest.approx(edge / 4)
    slider.value = 0
    assert editor.view.front.comparing == {}
    assert np.array_equal(shown(editor), np.asarray(PICTURE)) and editor.view.marked
    slider.value = 1
    editor.view.apply(lambda state: state.invert())
    assert slider.value == 0 and not slider.disabled, "whoever marks sees the picture that the marks belong to"


def test_revert_brings_everything_back_and_loses_nothing(open_editor: Any, model: dk.Editor) -> None:
    editor = open_editor(mask=blob())
    editor.view.apply(lambda state: state.change(drags=[((10, 12), (22, 16))]))
    first = ran(editor)
    named(editor._shelf.widget, "continue from here").click()
    assert editor._session.photo is first.photo and np.array_equal(shown(editor), np.asarray(first.image))
    assert np.array_equal(editor.mask, blob(18, 12)) and editor.result is first, "what was moved is selected where it is now"
    assert editor.marks.drags == [] and editor.form.values()["shift"] == (0, 0)
    editor.mode = "resize"
    editor.mask = blob(20, 14)
    second = ran(editor, scale=0.5)
    expected = model.edit(first.image, dk.Resize(mask=blob(20, 14), scale=0.5), STEPS, prompt="a fish")
    assert second.image.tobytes() == expected.image.tobytes()
    assert [len(editor._shelf.widget.children), len(editor.history)] == [2, 2]

    named(editor._shelf.widget.children[0], "revert").click()
    assert editor.result is first and len(editor.history) == 2 and alert_of(editor) == ""
    assert editor._session.picture is PICTURE or np.array_equal(np.asarray(editor._session.picture), np.asarray(PICTURE))
    assert editor.mode == "move" and np.array_equal(editor.mask, blob()) and editor.marks.drags == [((10.0, 12.0), (22.0, 16.0))]
    assert editor.edits == list(editor.history[0].edits) and np.array_equal(shown(editor), np.asarray(first.image))
    assert ran(editor).image.tobytes() == first.image.tobytes()
    editor.revert(1)
    assert editor.edits == list(editor.history[1].edits) and editor.mode == "resize"
    with pytest.raises(EditError, match="no run number 9"):
        editor.revert(9)


def test_a_run_that_ends_after_going_on_is_kept(open_editor: Any, gate: Gate) -> None:
    editor = open_editor(mask=blob())
    ran(editor, shift=(8, 0))
    gate.open.clear()
    gate.reached.clear()
    editor.run()
    assert gate.reached.wait(SOON)
    editor.continue_from(0)
    gate.open.set()
    editor.wait(SOON)
    assert len(editor.history) == 2 and not editor._easel.stage.comparing


def test_another_prompt_is_another_inversion(open_editor: Any, model: dk.Editor) -> None:
    editor = open_editor(mask=blob())
    editor.wait(SOON)
    named(editor, "prompt").value = "a blue boat"
    result = ran(editor, shift=(8, 0))
    assert result.report.prompt == "a blue boat"
    assert result.image.tobytes() == model.edit(PICTURE, dk.Move(mask=blob(), shift=(8, 0)), STEPS, prompt="a blue boat").image.tobytes()
    editor.revert(0)
    assert named(editor, "prompt").value == "a blue boat"


def test_a_result_opens_the_editor(open_editor: Any, model: dk.Editor) -> None:
    result = model.edit(PICTURE, dk.Move(mask=blob(), shift=(8, 0)), STEPS, prompt="a fish")
    editor = dk.EditorWidget(result, editor=model)
    try:
        assert isinstance(editor, dk.EditorWidget) and editor._session.prompt == "a fish"
        editor.mask = blob(14)
        again = ran(editor, shift=(-8, 0))
        expected = model.edit(result.image, dk.Move(mask=blob(14), shift=(-8, 0)), STEPS, prompt="a fish")
        assert again.image.tobytes() == expected.image.tobytes()
    finally:
        editor.close()


# --- exports ------------------------------------------------------------------------------------------------------------


def test_exports_give_the_same_pixels(open_editor: Any, model: dk.Editor, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    editor = open_editor(mask=blob())
    named(editor, "Save PNG").click()
    assert "no result yet" in alert_of(editor)
    expected = ran(editor, shift=(12, 4)).image.tobytes()

    for label in ("Export edit file", "Export edit file", "Save PNG"):
        named(editor, label).click()
        assert "written: " in editor.status
    assert sorted(path.name for path in tmp_path.iterdir()) == ["edit-1.json", "edit-2.json", "edited-1.png"]
    for file in (dk.EditFile.load("edit-1.json"), dk.EditFile.load("edited-1.png").with_pictures(PICTURE)):
        assert tiny_editor().run(file).image.tobytes() == expected
    assert load_image("edited-1.png").tobytes() == expected
    assert "--image PICTURE gives it again" in editor.status
    again = dk.EditFile.load(editor.exports.save(metadata="full"))
    assert "your picture is in it" in editor.status and np.array_equal(np.asarray(again.load_image()), np.asarray(PICTURE))

    named(editor, "Copy as Python").click()
    script = editor.exports.text.value
    assert script == editor.script() and editor.exports.text.layout.display is None
    monkeypatch.setattr(dk.Editor, "from_pretrained", classmethod(lambda _, name: tiny_editor()))
    exec(compile(script, "script.py", "exec"), {"__name__": "script"})
    assert load_image("edited.png").tobytes() == expected


def test_a_picture_keeps_its_kind(open_editor: Any, tmp_path: Path, monkeypatch: Any) -> None:
    """A file with transparency, edited, gone on from, and gone back to."""
    monkeypatch.chdir(tmp_path)
    PICTURE.convert("RGBA").save("in.png", dpi=(300, 300))
    editor = open_editor("in.png", mask=blob())
    first = ran(editor, shift=(12, 4))
    assert first.image.mode == "RGBA"
    editor.continue_from(0)
    editor.mask = blob(18)
    second = ran(editor, shift=(-4, 0))
    assert second.image.mode == "RGBA" and second.edit_file.image == first.photo.hash
    editor.revert(0)
    third = ran(editor, shift=(12, 4))
    assert third.image.tobytes() == first.image.tobytes()
    with Image.open(editor.exports.save()) as saved:
        assert saved.mode == "RGBA" and saved.info["dpi"] == pytest.approx((300, 300), abs=0.02)
    reopened = open_editor(first, mask=blob(18))
    assert ran(reopened, shift=(-4, 0)).image.mode == "RGBA"


def test_a_file_is_named_in_the_script(open_editor: Any, tmp_path: Path) -> None:
    path = tmp_path / "in.png"
    PICTURE.save(path)
    editor = open_editor(path, mask=blob())
    editor.form.update({"shift": (8, 0)})
    assert f'picture = "{path}"' in editor.script()


# --- without a browser, without a chance --------------------------------------------------------------------------------


def still_of(editor: dk.EditorWidget) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(editor._still.data()["image/png"]))))


def test_a_still_picture_for_places_without_widgets(open_editor: Any) -> None:
    editor = open_editor()
    plain = still_of(editor)
    factor = plain.shape[1] // WIDTH
    assert plain.shape == (HEIGHT * factor, WIDTH * factor, 3) and factor > 1
    assert np.array_equal(plain[::factor, ::factor], np.asarray(PICTURE))
    editor.mask = blob()
    marked = (still_of(editor) != plain).any(axis=2)[factor // 2 :: factor, factor // 2 :: factor]
    assert np.array_equal(marked, blob()), "the mask shows"
    editor.view.apply(lambda state: state.change(drags=[((30, 20), (36, 28))]))
    assert (still_of(editor) != plain).any(axis=2)[28 * factor - 2, 36 * factor - 2], "so does the arrow"
    result = np.asarray(ran(editor, shift=(12, 4)).image)
    assert np.array_equal(still_of(editor)[::factor, ::factor], result)


@pytest.mark.parametrize(
    "options, error",
    [
        ({"image": "nowhere.png"}, ImageError),
        ({"mask": np.ones((3, 3), bool)}, MaskError),
        ({"editor": None, "model": "no-such-model"}, ModelNotFoundError),
    ],
)
def test_what_cannot_be_opened_is_refused_at_once(open_editor: Any, options: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        open_editor(**options)


def test_models_are_loaded_in_the_background_and_shared(model: dk.Editor, browser: Browser, monkeypatch: Any) -> None:
    monkeypatch.setattr("dragonkit.jupyter.work.session._editors", WeakValueDictionary())
    begun, go, loads = threading.Event(), threading.Event(), []

    def from_pretrained(_: type, name: str, registry: Any = None, progress: Any = None) -> dk.Editor:
        loads.append(name)
        progress(5 * 10**6, 20 * 10**6)  # bytes of a download
        begun.set()
        assert go.wait(SOON)
        return dk.Editor(model.backbone, model.card, registry)

    monkeypatch.setattr(dk.Editor, "from_pretrained", classmethod(from_pretrained))
    editors = [dk.EditorWidget(PICTURE, mask=blob(), settings=STEPS) for _ in range(2)]
    assert begun.wait(SOON)
    assert {editor._panel._words.value for editor in editors} == {"", "fetching the model: 5 of 20 MB"}
    assert {(editor._panel._bar.value, editor._panel._bar.max) for editor in editors} == {(0, 1), (5, 20)}
    editors[0].form.update({"shift": (8, 0)})
    with pytest.raises(EditError, match="'toybox' is still being loaded"):
        editors[0].edit_file()
    editors[0].exports._guarded(editors[0].exports.export)
    assert "still being loaded" in alert_of(editors[0])
    go.set()
    for editor in editors:
        ran(editor, shift=(8, 0))
        editor.close()
    assert loads == ["toybox"] and editors[0]._session.editor is editors[1]._session.editor


def test_editors_that_share_a_model_take_turns(open_editor: Any, model: dk.Editor, gate: Gate, monkeypatch: Any) -> None:
    inside, most = [], []

    def one_at_a_time(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*values: Any, **options: Any) -> Any:
            inside.append(function)
            most.append(len(inside))
            try:
                return function(*values, **options)
            finally:
                inside.remove(function)

        return call

    first = open_editor(mask=blob())
    first.wait(SOON)
    for owner, name in ((model._sources, "invert"), (editor_module, "edited")):
        monkeypatch.setattr(owner, name, one_at_a_time(getattr(owner, name)))
    gate.open.clear()
    gate.reached.clear()
    first.form.update({"shift": (8, 0)})
    first.run()
    assert gate.reached.wait(SOON)
    second = open_editor(PICTURE.transpose(Image.Transpose.FLIP_LEFT_RIGHT), mask=blob())
    second.form.update({"shift": (8, 0)})
    second.run()
    assert not second._session.wait(0.2), "it waits for the model"
    gate.open.set()
    assert first.wait(SOON) is not None and second.wait(SOON) is not None
    assert max(most) == 1 and len(most) == 3


@pytest.mark.slow
def test_a_cell_may_edit_while_the_widget_inverts(open_editor: Any, model: dk.Editor) -> None:
    """The picture is inverted in the background, and both it and the cell's edit come out as if each had been alone."""
    edit, other = dk.Move(mask=blob(), shift=(8, 0)), PICTURE.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    expected = model.edit(other, edit, STEPS, prompt="a bird").image.tobytes()
    alone = model.invert(PICTURE, "a fish", STEPS).trajectory
    for _ in range(6):
        model.forget()
        model._sources._inversions.clear()
        editor = open_editor()
        assert model.edit(other, edit, STEPS, prompt="a bird").image.tobytes() == expected
        assert editor._session.wait(SOON)
        assert torch.equal(model.invert(PICTURE, "a fish", STEPS).trajectory, alone), "what is remembered is right, too"


def test_cancel_names_the_plugin_that_does_not_return(open_editor: Any, gate: Gate, monkeypatch: Any) -> None:
    monkeypatch.setattr("dragonkit.jupyter.panels.runs.PATIENCE", 0.05)
    editor = open_editor(mask=blob())
    editor._session.wait(SOON)
    gate.open.clear()
    gate.reached.clear()
    editor.form.update({"shift": (8, 0)})
    editor.run()
    assert gate.reached.wait(SOON)
    editor.cancel()
    end = time.monotonic() + SOON
    while "Cancel waits for plugin 'Gate' (registered by hand) in dragonkit_step" not in editor.status:
        assert time.monotonic() < end, editor.status
        time.sleep(0.01)
    gate.open.set()
    with pytest.raises(Cancelled):
        editor.wait(SOON)
    assert "cancelled" in editor.status


def test_waiting_for_the_model_can_be_cancelled(open_editor: Any, model: dk.Editor) -> None:
    editor = open_editor(mask=blob())
    editor._session.wait(SOON)
    editor.form.update({"shift": (8, 0)})
    with turn_on(model.backbone):
        editor.run()
        words = editor._panel._words
        end = time.monotonic() + SOON
        while "waits: something else runs on this model" not in words.value:
            assert time.monotonic() < end, words.value
            time.sleep(0.01)
        editor.cancel()
        with pytest.raises(Cancelled):
            editor.wait(SOON)
    assert ran(editor) is not None


@pytest.mark.parametrize("index", [None, 99, -1, "move", 1.5])
def test_a_front_end_cannot_choose_what_is_not_there(open_editor: Any, index: Any) -> None:
    editor = open_editor()
    choice, before = editor._easel.modes._choice, editor.mode
    choice.set_state({"index": index})
    assert (editor.mode, choice.index) == (before, 0)
    choice.set_state({"index": 1})
    assert editor.mode != before


def test_an_inversion_that_is_no_longer_wanted_is_stopped(open_editor: Any, model: dk.Editor, monkeypatch: Any) -> None:
    begun, go, ended = threading.Event(), threading.Event(), []
    invert = model.invert

    def slowly(picture: Any, prompt: str, *values: Any, **options: Any) -> Any:
        begun.set()
        assert go.wait(SOON)
        try:
            return invert(picture, prompt, *values, **options)
        finally:
            ended.append((prompt, sys.exc_info()[0]))

    monkeypatch.setattr(model, "invert", slowly)
    editor = open_editor(prompt="a fish", mask=blob())
    assert begun.wait(SOON)
    named(editor, "prompt").value = "a boat"
    editor.form.update({"shift": (8, 0)})
    editor.run()
    go.set()
    result = editor.wait(SOON)
    assert ended == [("a fish", Cancelled), ("a boat", None)] and alert_of(editor) == ""
    assert result is not None and result.report.prompt == "a boat"


def test_closing_stops_what_is_going_on(open_editor: Any, gate: Gate) -> None:
    editor = open_editor(mask=blob())
    editor.wait(SOON)
    gate.open.clear()
    gate.reached.clear()
    editor.form.update({"shift": (8, 0)})
    editor.run()
    assert gate.reached.wait(SOON)
    with pytest.raises(TimeoutError, match=r"not done after 0\.01 s; .*move: running"):
        editor.wait(0.01)
    editor.close()
    gate.open.set()
    with pytest.raises(Cancelled):
        editor.wait(SOON)


def test_marks_may_come_from_python(open_editor: Any) -> None:
    editor = open_editor()
    assert isinstance(editor.marks, MarkState)
    editor.mask = Image.fromarray(blob())
    assert np.array_equal(editor.mask, blob()) and editor.mask.flags.writeable is False


def test_everything_can_be_done_with_buttons_of_some_name(open_editor: Any) -> None:
    """Keyboards reach buttons, sliders and lists; each of them says what it is."""
    editor = open_editor()
    todo: list[W.Widget] = [editor]
    while todo:
        widget = todo.pop()
        todo += getattr(widget, "children", ())
        if isinstance(widget, (W.Button, W.IntSlider, W.FloatSlider, W.Dropdown, W.Text, Door, W.FloatText, W.Checkbox)):
            assert widget.description and widget.tooltip, widget
        if isinstance(widget, (W.Button, Door)):
            assert widget.icon, widget
        if isinstance(widget, W.ToggleButtons):
            assert len(widget.options) == len(widget.tooltips) == len(widget.icons) and all([*widget.tooltips, *widget.icons]), widget
    for words in ("undo", "redo", "clear", "invert", "Run", "Cancel", "Export edit file", "Copy as Python", "Save PNG"):
        assert isinstance(named(editor, words), W.Button)
    assert set(editor._easel.tools.tools.options) >= {"brush", "eraser", "lasso", "polygon", "box", "drag"}
