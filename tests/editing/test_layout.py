"""Several edits at once: masks combine, and contradictions are told."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pytest

from dragonkit.editing.layout import Layout
from dragonkit.edits.edit import Edit
from dragonkit.edits.settings import Settings
from dragonkit.edits.values import Mask
from dragonkit.errors import EditError
from dragonkit.imaging import affine, mask_files, rasters
from dragonkit.imaging.masks import Grid
from dragonkit.modes.appearance import Appearance
from dragonkit.modes.drag import Drag
from dragonkit.modes.move import Move
from dragonkit.plugins.placement import Placement
from dragonkit.plugins.registry import PluginRegistry
from dragonkit.plugins.specs import hookimpl
from dragonkit.testing import tiny_editor

SIZE = (40, 30)
GROUND = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
PIXELS = Grid(*SIZE, *SIZE)


class Paint(Edit):
    """Changes what it is where it is."""

    mode: ClassVar[str] = "paint"
    mask: Mask


class Painter:
    def __init__(self) -> None:
        self.asked = 0

    @hookimpl
    def dragonkit_edits(self) -> list[type[Edit]]:
        return [Paint]

    @hookimpl
    def dragonkit_build_masks(self, edit: Paint) -> Placement:
        self.asked += 1
        return Placement(source=edit.mask, target=edit.mask)


@pytest.fixture
def registry() -> PluginRegistry:
    registry = PluginRegistry(builtin=("dragonkit.modes.move",), discover=False)
    registry.register(Painter())
    return registry


def box(left: int, top: int, side: int = 8) -> np.ndarray:
    mask = np.zeros((SIZE[1], SIZE[0]), dtype=bool)
    mask[top : top + side, left : left + side] = True
    return mask


def test_what_one_edit_changes_no_other_preserves(registry: PluginRegistry) -> None:
    edits = [Move(mask=box(2, 2), shift=(10, 0)), Paint(mask=box(30, 20))]
    for grid in (Grid(*SIZE, *SIZE), Grid(10, 6, *SIZE)):
        alone = [registry.build_masks(edit, SIZE).on(grid).preserve for edit in edits]
        both = Layout(registry, edits, SIZE).on(grid)
        assert all(np.array_equal(masks.preserve, alone[0] & alone[1]) for masks in both)
        assert not np.array_equal(*alone)


def test_a_place_that_another_edit_fills_is_not_vacated(registry: PluginRegistry) -> None:
    first, second = Layout(registry, [Move(mask=box(2, 2), shift=(20, 0)), Move(mask=box(22, 2), shift=(-20, 0))], SIZE).on(PIXELS)
    assert not first.vacated.any() and not second.vacated.any()


@pytest.mark.parametrize(
    ("edits", "said"),
    [
        (
            [Move(mask=box(0, 0), shift=(16, 0)), Move(mask=box(0, 20), shift=(20, -16))],
            r"edit 0 \(move\) and edit 1 \(move\) both want the same 16 pixels \(x 20 to 23, y 4 to 7\)",
        ),
        (
            [Move(mask=box(0, 0), shift=(16, 0)), Paint(mask=box(20, 4))],
            r"edit 1 \(paint\) both want the same",
        ),
        (
            [Paint(mask=box(4, 0)), Move(mask=box(0, 0), shift=(16, 0))],
            r"edit 0 \(paint\) changes the same 32",
        ),
        (
            [Move(mask=box(0, 0), shift=(16, 0)), Paint(mask=box(4, 0))],
            r"edit 1 \(paint\) changes .* \(move\) takes",
        ),
    ],
)
def test_contradictions_are_told(registry: PluginRegistry, edits: list[Edit], said: str) -> None:
    with pytest.raises(EditError, match=said):
        Layout(registry, edits, SIZE)


def test_two_objects_may_change_places_and_one_may_be_doubled(registry: PluginRegistry) -> None:
    Layout(registry, [Move(mask=box(0, 0), shift=(20, 20)), Move(mask=box(20, 20), shift=(-20, -20))], SIZE)
    Layout(registry, [Move(mask=box(0, 0), shift=(20, 0)), Move(mask=box(0, 0), shift=(0, 20))], SIZE)


def test_every_mode_is_asked_once(registry: PluginRegistry) -> None:
    painter = Painter()
    registry = PluginRegistry(builtin=(), discover=False)
    registry.register(painter)
    layout = Layout(registry, Paint(mask=box(3, 3)), SIZE)
    coarse = Grid(10, 6, *SIZE)
    assert layout.on(coarse) is layout.on(Grid(10, 6, *SIZE)) and layout.on(PIXELS) is not layout.on(coarse)
    assert painter.asked == 1


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each of some functions is called, by name."""
    counts: Counter[str] = Counter()
    modules = [module for name, module in sys.modules.items() if name.startswith("dragonkit")]
    for function in (mask_files.load_mask, affine.warp_mask, rasters.area_average):

        def counted(*given: Any, _function: Callable[..., Any] = function, **named: Any) -> Any:
            counts[_function.__name__] += 1
            return _function(*given, **named)

        for module in modules:
            if vars(module).get(function.__name__) is function:
                monkeypatch.setattr(module, function.__name__, counted)
    return counts


def test_an_edit_reads_its_mask_once(calls: Counter[str]) -> None:
    """From the picture to the result, with a layout made before the inversion as the shell does."""
    editor, picture = tiny_editor(), np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    layout = Layout(editor.registry, Move(mask=box(2, 2), shift=(10, 0)), SIZE)
    editor.edit(picture, layout)
    assert calls["load_mask"] == 2  # and once more for the result's edit file
    assert calls["warp_mask"] == 1
    assert calls["area_average"] == 14  # source, target, touched, around on two coarse grids; what is known, guessed, kept and held

    reference = np.zeros((24, 20, 3), np.uint8)
    lent = np.ones((24, 20), bool)
    editor.edit(picture, Appearance(mask=box(2, 2), reference=reference, reference_mask=lent, init="colors"))
    assert calls["load_mask"] == 2 + 4  # its own, and the reference's


def test_a_layout_of_another_picture_is_refused(registry: PluginRegistry) -> None:
    editor = tiny_editor()
    layout = Layout(editor.registry, Move(mask=box(2, 2), shift=(10, 0)), SIZE)
    with pytest.raises(EditError, match="40x30, but this one has 30x40"):
        editor.edit(np.zeros((40, 30, 3), np.uint8), layout)


def test_a_way_back_that_leads_nowhere_is_the_plugins_fault(registry: PluginRegistry) -> None:
    class Lost(Painter):
        @hookimpl
        def dragonkit_build_masks(self, edit: Paint) -> Placement:
            return Placement(edit.mask, edit.mask, back=lambda places: places / 0)

    registry = PluginRegistry(builtin=(), discover=False)
    registry.register(Lost(), "lost")
    layout = Layout(registry, Paint(mask=box(3, 3)), SIZE)
    with np.errstate(divide="ignore"), pytest.raises(EditError, match=r"finite place.*got NaN or infinite places") as caught:
        layout.on(PIXELS)
    (note,) = caught.value.__notes__
    assert "plugin 'lost'" in note and "dragonkit_build_masks" in note


def test_there_must_be_edits(registry: PluginRegistry) -> None:
    with pytest.raises(EditError, match="no edit to run"):
        Layout(registry, [], SIZE)
    with pytest.raises(EditError, match=r"must be a dragonkit\.Edit .* got 'move'"):
        Layout(registry, ["move"], SIZE)  # type: ignore[list-item]


# --- what is left to the settings ---------------------------------------------------------------------------------------


def test_edits_that_leave_the_settings_nothing_are_not_asked_again(registry: PluginRegistry) -> None:
    layout = Layout(registry, [Paint(mask=box(2, 2)), Move(mask=box(12, 12), shift=(10, 0))], SIZE)
    assert layout.settled(Settings.preset("paper"), GROUND) is layout


def test_a_drag_is_laid_out_as_the_settings_have_it() -> None:
    drag = Drag(points=[((10, 10), (16, 10))], mask=box(4, 4, 18))
    layout = Layout(PluginRegistry(discover=False), drag, SIZE)
    assert layout.settled(Settings(), GROUND) is layout and layout.placements[0].back is not None
    settled = layout.settled(Settings(start="noise"), GROUND)
    assert settled.placements[0].back is None and np.array_equal(settled.placements[0].target, box(4, 4, 18))
