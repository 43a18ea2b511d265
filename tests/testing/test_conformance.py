"""`check_plugin` accepts plugins that keep the rules, and names plugin, hook and rule when one is broken."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, ClassVar

import numpy as np
import pytest
import torch
from helpers.sliding import EXAMPLE, MASK, Slide, SlidePlugin, plugin_with, refused
from PIL import Image
from pydantic import BeforeValidator, Field, PlainSerializer

from dragonkit.edits.edit import Edit
from dragonkit.edits.values import Mask, Picture
from dragonkit.errors import EditError
from dragonkit.imaging.masks import load_mask
from dragonkit.modes.geometry import moved_along
from dragonkit.modes.move import Move
from dragonkit.plugins.answers import EditMasks, EnergyTerm, Reference
from dragonkit.plugins.placement import Placement
from dragonkit.plugins.specs import hookimpl
from dragonkit.testing import check_plugin
from dragonkit.testing.results import noisy_picture

# -- plugins that keep the rules ---------------------------------------------------------------------------------------------------------


def test_a_plugin_that_keeps_the_rules_passes() -> None:
    check_plugin(SlidePlugin(), [EXAMPLE, Slide(mask=MASK[:, :32], shift=(-3, 9)), Slide(mask=Image.fromarray(MASK.T))])


@pytest.mark.processes
def test_dragonkits_own_mode_passes() -> None:
    edits = [Move(mask=MASK.T, shift=(-4, 12), scale=1.5), Move(mask=MASK, shift=(-9, -12), fill=~MASK)]
    check_plugin("dragonkit.modes.move", edits)


class Stay:
    """Has no mode, but an energy for every edit, an observer and a command."""

    def __init__(self) -> None:
        self.steps: list[Any] = []
        self.commands: list[Any] = []

    @hookimpl
    def dragonkit_energy_terms(self, edit: Edit) -> list[EnergyTerm]:
        return [EnergyTerm("stay", lambda features: (features.generated - features.source).square().mean())]

    @hookimpl
    def dragonkit_step(self, step: Any) -> None:
        self.steps.append(step)

    @hookimpl
    def dragonkit_commands(self, cli: Any) -> None:
        self.commands.append(cli)


def test_a_plugin_without_a_mode_is_checked_on_others() -> None:
    plugin = Stay()
    check_plugin(plugin, [Move(mask=MASK, shift=(10, 4))])
    assert plugin.commands and any("Stay.stay" in step.energies for step in plugin.steps)
    assert "plugin 'Stay', dragonkit_energy_terms: there is no example" in refused(plugin, [])


class Paint(Edit):
    """Give the place under `mask` the colours of another picture."""

    mode: ClassVar[str] = "paint"

    mask: Mask = Field(description="where")
    colors: Picture = Field(description="the other picture")


def paint_masks(edit: Paint, size: tuple[int, int]) -> Placement:
    mask = load_mask(edit.mask, size)
    return Placement(source=mask, target=mask)


def paint_terms(edit: Edit, masks: EditMasks) -> list[EnergyTerm] | None:
    def look(features: Any) -> torch.Tensor:
        place = torch.from_numpy(masks.target)
        return (features.generated[:, place].mean(1) - features.reference.mean((1, 2))).square().sum()

    return [EnergyTerm("look", look)] if isinstance(edit, Paint) else None


PAINT: dict[str, Callable[..., Any]] = {
    "dragonkit_edits": lambda: [Paint],
    "dragonkit_build_masks": paint_masks,
    "dragonkit_energy_terms": paint_terms,
    "dragonkit_reference": lambda edit: Reference(edit.colors),
    "dragonkit_draft": lambda picture, reference: np.broadcast_to(reference.mean((0, 1)), picture.shape).astype(np.float32),
}
PAINTED = Paint(mask=MASK, colors=noisy_picture((40, 64)))


def test_a_mode_with_a_reference_and_a_draft_passes(tmp_path: Path) -> None:
    check_plugin(plugin_with(**PAINT), [PAINTED])
    Image.fromarray(MASK).save(tmp_path / "mask.png")
    Image.fromarray(noisy_picture((40, 64))).save(tmp_path / "colors.png")
    check_plugin(plugin_with(**PAINT), [Paint(mask=tmp_path / "mask.png", colors=tmp_path / "colors.png")])


class Whole(Edit):
    """Turn the picture upside down."""

    mode: ClassVar[str] = "whole"


def whole_masks(size: tuple[int, int]) -> Placement:
    return moved_along(np.ones(size[::-1], bool), np.array([[1, 0, 0], [0, -1, size[1]]]))


@pytest.mark.parametrize("size", [None, (64, 40)])
def test_a_mode_without_a_mask_gets_a_size(size: tuple[int, int] | None) -> None:
    seen = []

    def build(size: tuple[int, int]) -> Placement:
        seen.append(size)
        return whole_masks(size)

    hooks = {"dragonkit_edits": lambda: [Whole], "dragonkit_build_masks": build, "dragonkit_energy_terms": lambda: None}
    check_plugin(plugin_with(**hooks), [Whole()], size=size)
    assert set(seen) == {size or (48, 32)}


# -- modules -----------------------------------------------------------------------------------------------------------------------------

Write = Callable[[str], str]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Write a module that any test may import, and give its name."""
    monkeypatch.syspath_prepend(str(tmp_path))
    number = iter(range(100))

    def write(text: str) -> str:
        name = f"written_{tmp_path.name}_{next(number)}"
        (tmp_path / f"{name}.py").write_text(text)
        return name

    return write


HOOKS = "from dragonkit.plugins.specs import hookimpl\n@hookimpl\ndef dragonkit_commands(cli): pass\n"


@pytest.mark.processes
def test_a_module_may_load_torch_in_functions_only(write: Write, tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("nn = None\n")  # found first in new processes, and quick
    check_plugin(write(HOOKS + "def later():\n    import torch\n"))
    check_plugin(write(HOOKS + "import importlib.util\nTHERE = importlib.util.find_spec('torch') is not None\n"))
    name = write(HOOKS + "try:\n    from torch import nn\nexcept Exception:\n    pass\n")
    assert re.fullmatch(rf"plugin '{name}': importing it loads torch \(.*{name}.py, line 5\); import .* inside the .*\.", refused(name))
    name = write(HOOKS + "import torch\n")
    module = __import__(name)
    assert "loads torch" in refused(module)


@pytest.mark.processes
def test_a_module_that_fails_or_overlooks_a_hook_is_named(write: Write) -> None:
    name = write("import no_such_library\n")
    said = refused(name)
    assert "importing it in a new process raised ModuleNotFoundError: No module named 'no_such_library'" in said
    assert f"{name}.py, line 1)" in said, "the place to mend"
    name = write(HOOKS + "def dragonkit_edit(): return []\n")
    assert refused(name).startswith(f"plugin '{name}', dragonkit_edit: this function is no hook of dragonkit and not marked")
    name = write(HOOKS + "@hookimpl\ndef dragonkit_edit(): return []\n")
    assert "there is no hook 'dragonkit_edit'. Did you mean 'dragonkit_edits'?" in refused(name)
    name = write(HOOKS + "@hookimpl\ndef dragonkit_attention(edit, mask): return None\n")
    assert "Argument(s) {'mask'}" in refused(name)
    name = write(HOOKS + "@hookimpl(optionalhook=True)\ndef dragonkit_of_tomorrow(): return []\n")
    check_plugin(name)


def test_a_module_made_at_run_time_has_no_file_to_import() -> None:
    module = ModuleType("made_at_run_time")
    module.dragonkit_commands = hookimpl(lambda cli: None)  # type: ignore[attr-defined]
    check_plugin(module)


# -- classes and examples ----------------------------------------------------------------------------------------------------------------


def mode(**namespace: Any) -> type[Edit]:
    """A class like Slide with other fields."""
    annotations = {"mode": ClassVar[str], "mask": Mask, **namespace.pop("__annotations__", {})}
    defaults = {"mode": "slide", "mask": Field(description="what"), "__doc__": "Slide.", "__module__": __name__}
    return type("Other", (Slide,), {**defaults, **namespace, "__annotations__": annotations})  # type: ignore[return-value]


def refused_class(edit_type: type[Edit]) -> str:
    return refused(plugin_with(dragonkit_edits=lambda: [edit_type]), [edit_type(mask=MASK)])


class Opaque:
    """A type that pydantic cannot describe."""


def test_classes_must_describe_themselves() -> None:
    assert refused_class(mode(__doc__=None)).startswith("plugin 'Slider', dragonkit_edits: the class Other has no docstring")
    assert "dragonkit_edits: the field Other.mask has no description" in refused_class(mode(mask=Field()))
    fields = {"thing": Annotated[Any, BeforeValidator(lambda value: value)], "call": Callable[[], int]}
    edit_type = mode(__annotations__={"call": fields["call"]}, call=Field(default=int, description="a function"))
    assert "dragonkit_edits: the class Other has no JSON schema: " in refused_class(edit_type)


def test_edits_must_survive_an_edit_file() -> None:
    rounded = Annotated[float, PlainSerializer(lambda value: round(value), when_used="json")]
    lossy = mode(__annotations__={"turn": rounded}, turn=Field(default=0.4, description="how far"))
    assert "dragonkit_edits: Other.turn does not survive an edit file" in refused_class(lossy)
    hidden = mode(__annotations__={"turn": float}, turn=Field(default=0.4, description="how far", exclude=True))
    assert "lacks turn; do not exclude fields" in refused_class(hidden)

    def fail(value: float) -> float:
        raise EditError("no way to write it")

    unwritable = mode(__annotations__={"turn": Annotated[float, PlainSerializer(fail, when_used="json")]}, turn=Field(0.4, description="x"))
    said = refused_class(unwritable)
    assert said.startswith("plugin 'Slider', dragonkit_edits: Other(") and "no way to write it" in said


def test_a_mode_may_say_that_it_is_not_for_files() -> None:
    rounded = Annotated[float, PlainSerializer(lambda value: round(value), when_used="json")]
    lossy = mode(__annotations__={"turn": rounded, "scriptable": ClassVar[bool]}, turn=Field(0.4, description="x"), scriptable=False)
    check_plugin(plugin_with(dragonkit_edits=lambda: [lossy]), [lossy(mask=MASK)], size=(48, 32))


def test_there_must_be_examples_that_show_something() -> None:
    plugin = SlidePlugin()
    assert "dragonkit_energy_terms: there is no example" in refused(plugin, [])
    assert "dragonkit_edits: the mode 'slide' has no example" in refused(plugin, [Move(mask=MASK, shift=(1, 1))])
    assert "every example of 'slide' is square" in refused(plugin, [Slide(mask=MASK[:, :32])])
    assert "every example of 'slide' is square" in refused(plugin, [EXAMPLE], size=(64, 64))
    assert "dragonkit_edits: the example 7 is no edit" in refused(plugin, [7])
    assert "there is no edit mode 'whole'" in refused(plugin, [EXAMPLE, Whole()])


def test_a_mode_of_dragonkits_own_may_not_be_offered_again() -> None:
    said = refused(plugin_with(dragonkit_edits=lambda: [Move], dragonkit_energy_terms=lambda: None), [Move(mask=MASK, shift=(1, 1))])
    assert "plugin 'Slider': it offers the edit mode 'move', and so does plugin 'move'" in said
