"""What goes wrong in each hook, made to happen: docs/hooks and docs/composition.md quote these errors word for word, in this order."""

from __future__ import annotations

import math
import types
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from pydantic import Field
from typer.testing import CliRunner

import dragonkit as dk
from dragonkit.cli.app import app
from dragonkit.energy.terms import contrast
from dragonkit.imaging.masks import to_grid
from dragonkit.plugins import registry as plugins
from dragonkit.plugins.answers import identity_correspondence
from dragonkit.plugins.placement import Placement
from dragonkit.plugins.registry import PluginRegistry
from dragonkit.plugins.selector import Selector
from dragonkit.testing import check_gradient, check_plugin, isolated_registry, tiny_editor
from dragonkit.testing.results import noisy_picture

WIDTH, HEIGHT = 48, 32
MASK = np.zeros((HEIGHT, WIDTH), bool)
MASK[8:20, 6:18] = True
PICTURE = noisy_picture((WIDTH, HEIGHT))
SIZE = (WIDTH, HEIGHT)
PIXELS = dk.Grid(*SIZE, *SIZE)

Provoke = Callable[[], Any]

MISTAKES: dict[str, list[Provoke]] = {}
"""By the page's name. Each raises, or returns the line that is printed."""


def mistake(page: str) -> Callable[[Provoke], Provoke]:
    def keep(provoke: Provoke) -> Provoke:
        MISTAKES.setdefault(page, []).append(provoke)
        return provoke

    return keep


def told(provoke: Provoke) -> str:
    """What the page must say: "`Class`: message" of the error, or the line printed."""
    try:
        return str(provoke())
    except Exception as error:
        text = str(error).replace("..", ".")  # an error told within another one brings its own full stop
        return f"`{type(error).__name__}`: {text}"


class Mine(dk.Edit):
    """Change the look of what is under `mask`."""

    mode: ClassVar[str] = "mine"
    mask: dk.Mask = Field(description="where")


EDIT = Mine(mask=MASK)


def masks_on(grid: dk.Grid, mask: np.ndarray = MASK, **changed: np.ndarray) -> dk.EditMasks:
    cells = to_grid(mask, grid)
    parts = {"source": cells, "target": cells, "preserve": ~cells, "vacated": np.zeros_like(cells), "surroundings": ~cells}
    return dk.EditMasks(grid=grid, **{**parts, "correspondence": identity_correspondence(grid), **changed})


def plugin(**hooks: Callable[..., Any]) -> types.ModuleType:
    """The plugin `mine` with the mode `mine`, and these hooks instead of or beside its own; named without "dragonkit_"."""
    module = types.ModuleType("mine")
    for name, function in {"edits": lambda: [Mine], "build_masks": lambda edit: Placement(edit.mask, edit.mask), **hooks}.items():
        function.__name__ = f"dragonkit_{name}"
        setattr(module, function.__name__, dk.hookimpl(function))
    return module


def registry(**hooks: Callable[..., Any]) -> PluginRegistry:
    return isolated_registry(plugin(**hooks))


def edited(**hooks: Callable[..., Any]) -> dk.EditResult:
    """The whole way with a tiny model."""
    return tiny_editor(plugin(**hooks)).edit(PICTURE, EDIT)


def energy(function: Callable[[dk.Features], Any]) -> dict[str, Callable[..., Any]]:
    """The hook that adds one term called "look" to the mode."""
    return {"energy_terms": lambda edit: [dk.EnergyTerm("look", function)] if edit.mode == "mine" else None}


def command_line(monkey: pytest.MonkeyPatch, **hooks: Callable[..., Any]) -> str:
    """The first line that `dragonkit --help` prints to stderr."""
    monkey.setattr(plugins, "get_registry", lambda: registry(**hooks))
    return CliRunner().invoke(app, ["--help"], prog_name="dragonkit", env={"NO_COLOR": "1"}).stderr.splitlines()[0]


# --- any hook -----------------------------------------------------------------------------------------------------------


@mistake("index")
def misspelt() -> None:
    registry(enery_terms=lambda edit: None)


@mistake("index")
def not_marked() -> None:
    module = plugin()
    module.dragonkit_attention = lambda edit: None  # type: ignore[attr-defined]
    isolated_registry(module)


@mistake("index")
def unknown_argument() -> None:
    registry(attention=lambda edit, mask: None)


@mistake("index")
def a_default() -> None:
    registry(attention=lambda edit, masks=None: None)


@mistake("index")
def raises() -> None:
    registry(attention=lambda edit: edit.angle).attention(EDIT, masks_on(PIXELS))


# --- dragonkit_edits ----------------------------------------------------------------------------------------------------


@mistake("dragonkit_edits")
def no_class() -> None:
    registry(edits=lambda: [EDIT])


@mistake("dragonkit_edits")
def no_mode() -> None:
    class Nameless(dk.Edit):
        """Has no mode."""

    registry(edits=lambda: [Nameless])


@mistake("dragonkit_edits")
def a_mode_that_is_taken() -> None:
    both = isolated_registry(builtin=False)
    both.register(plugin(), "yours")
    both.register(plugin(), "mine")
    both.owner("mine")


@mistake("dragonkit_edits")
def a_wrong_value() -> None:
    dk.Move(mask=MASK, scale=-1)


# --- dragonkit_build_masks ----------------------------------------------------------------------------------------------


@mistake("dragonkit_build_masks")
def no_masks() -> None:
    registry(build_masks=lambda size: None).build_masks(EDIT, SIZE)


@mistake("dragonkit_build_masks")
def masks_of_two_sizes() -> None:
    registry(build_masks=lambda size: Placement(MASK, MASK[::4, ::4])).build_masks(EDIT, SIZE)


@mistake("dragonkit_build_masks")
def fractions() -> None:
    registry(build_masks=lambda size: Placement(MASK, MASK * 0.5)).build_masks(EDIT, SIZE)


@mistake("dragonkit_build_masks")
def another_size() -> None:
    edited(build_masks=lambda: Placement(MASK.T, MASK.T))


@mistake("dragonkit_build_masks")
def one_place_for_many() -> None:
    edited(build_masks=lambda: Placement(MASK, MASK, back=lambda places: places[0]))


@mistake("dragonkit_build_masks")
def nothing_to_change() -> None:
    check_plugin(plugin(build_masks=lambda: Placement(MASK & False, MASK & False)), [EDIT])


# --- dragonkit_reference ------------------------------------------------------------------------------------------------


@mistake("dragonkit_reference")
def a_bare_picture() -> None:
    registry(reference=lambda edit: PICTURE).reference(EDIT)


@mistake("dragonkit_reference")
def no_such_file() -> None:
    edited(reference=lambda edit: dk.Reference("/hat.png"))


@mistake("dragonkit_reference")
def no_reference_after_all() -> None:
    edited(**energy(lambda features: features.reference.mean()))


# --- dragonkit_draft ----------------------------------------------------------------------------------------------------


@mistake("dragonkit_draft")
def the_cutout_only() -> None:
    edited(draft=lambda picture: picture[8:20, 6:18])


@mistake("dragonkit_draft")
def a_tensor() -> None:
    edited(draft=lambda picture: torch.from_numpy(picture))


@mistake("dragonkit_draft")
def colors_to_255() -> None:
    registry(draft=lambda picture: picture * 255).draft(EDIT, masks_on(PIXELS), np.ones((HEIGHT, WIDTH, 3), np.float32), None)


# --- dragonkit_energy_terms ---------------------------------------------------------------------------------------------


@mistake("dragonkit_energy_terms")
def an_empty_list() -> None:
    registry(energy_terms=lambda edit: []).energy_terms(EDIT, masks_on(PIXELS))


@mistake("dragonkit_energy_terms")
def one_name_twice() -> None:
    term = dk.EnergyTerm("look", lambda features: features.generated.mean())
    registry(energy_terms=lambda edit: [term, term]).energy_terms(EDIT, masks_on(PIXELS))


@mistake("dragonkit_energy_terms")
def a_weight_of_nan() -> None:
    dk.EnergyTerm("look", lambda features: features.generated.mean(), weight=math.nan)


@mistake("dragonkit_energy_terms")
def a_term_that_raises() -> None:
    edited(**energy(lambda features: features.result.mean()))


@mistake("dragonkit_energy_terms")
def a_map() -> None:
    edited(**energy(lambda features: (features.generated - features.source).square()))


@mistake("dragonkit_energy_terms")
def an_empty_mean() -> None:
    edited(**energy(lambda features: features.generated[:, :0].mean()))


@mistake("dragonkit_energy_terms")
def a_standard_term_over_nothing() -> None:
    contrast(masks_on(PIXELS), 0.2)


@mistake("dragonkit_energy_terms")
def a_constant() -> None:
    check_gradient(dk.EnergyTerm("look", lambda features: features.source.mean()), masks_on(dk.Grid(12, 8, WIDTH, HEIGHT)))


# --- dragonkit_initial_latents ------------------------------------------------------------------------------------------


@mistake("dragonkit_initial_latents")
def an_array() -> None:
    edited(initial_latents=lambda source: source.latents_at(5).numpy())


@mistake("dragonkit_initial_latents")
def no_batch_axis() -> None:
    edited(initial_latents=lambda source: source.latents_at(5)[0])


@mistake("dragonkit_initial_latents")
def in_place() -> None:
    check_plugin(plugin(initial_latents=lambda source: source.latents_at(5).mul_(2)), [EDIT])


# --- dragonkit_attention ------------------------------------------------------------------------------------------------


@mistake("dragonkit_attention")
def a_word() -> None:
    registry(attention=lambda edit: "replace").attention(EDIT, masks_on(PIXELS))


@mistake("dragonkit_attention")
def another_form() -> None:
    dk.AttentionPlan(form="both")  # type: ignore[arg-type]


@mistake("dragonkit_attention")
def steps_instead_of_fractions() -> None:
    dk.AttentionPlan(start=5, stop=35)


@mistake("dragonkit_attention")
def a_mask_of_floats() -> None:
    dk.AttentionPlan(source_mask=np.ones((8, 12)))


# --- dragonkit_models ---------------------------------------------------------------------------------------------------


@mistake("dragonkit_models")
def a_folder() -> None:
    registry(models=lambda: ["models/anime"]).models()


@mistake("dragonkit_models")
def a_name_that_is_taken() -> None:
    registry(models=lambda: [dk.ModelCard("toybox", "models/anime")]).models()


@mistake("dragonkit_models")
def percent() -> None:
    editor = tiny_editor(plugin())
    editor.card = dk.ModelCard("anime", "models/anime", settings={"hold": 40})
    editor.edit(PICTURE, EDIT)


@mistake("dragonkit_models")
def a_loader_that_is_not_there() -> None:
    card = dk.ModelCard("anime", "models/anime", load="animelib:load")
    dk.Editor.from_pretrained("anime", "cpu", registry=registry(models=lambda: [card]))


@mistake("dragonkit_models")
def a_loader_that_gives_something_else() -> None:
    card = dk.ModelCard("anime", "models/anime", load="itertools:chain")
    dk.Editor.from_pretrained("anime", "cpu", registry=registry(models=lambda: [card]))


# --- dragonkit_inversions -----------------------------------------------------------------------------------------------


def way(name: str = "mine", function: Callable[..., Any] = lambda backbone, clean, *_: clean, **fields: Any) -> dk.Inversion:
    return dk.Inversion(name, "a way of mine", function, **fields)


def inverted_by(function: Callable[..., Any]) -> None:
    tiny_editor(plugin(inversions=lambda: [way(function=function)])).invert(PICTURE, settings=dk.Settings(inversion="mine"))


@mistake("dragonkit_inversions")
def a_function_only() -> None:
    registry(inversions=lambda: ["damped"]).inversions()


@mistake("dragonkit_inversions")
def an_inversion_that_is_taken() -> None:
    registry(inversions=lambda: [way("ddim")]).inversions()


@mistake("dragonkit_inversions")
def options_of_another_kind() -> None:
    registry(inversions=lambda: [way(options=dict)]).inversions()


@mistake("dragonkit_inversions")
def too_short() -> None:
    inverted_by(lambda backbone, clean, condition, schedule, *_: clean.expand(len(schedule), -1, -1, -1))


@mistake("dragonkit_inversions")
def an_inversion_that_raises() -> None:
    inverted_by(lambda backbone, clean, *_: backbone.invert(clean))


@mistake("dragonkit_inversions")
def an_inversion_that_does_not_exist() -> None:
    tiny_editor().invert(PICTURE, settings=dk.Settings(inversion="dim"))


@mistake("dragonkit_inversions")
def an_option_that_it_lacks() -> None:
    tiny_editor().invert(PICTURE, settings=dk.Settings(inversion_options={"damping": 0.5}))


# --- dragonkit_selectors ------------------------------------------------------------------------------------------------


def bright(gesture: str = "clicks", function: Callable[..., Any] = lambda image, clicks: MASK, name: str = "bright") -> Any:
    return Selector(name, "what is bright", gesture, function)


@mistake("dragonkit_selectors")
def a_name_only() -> None:
    registry(selectors=lambda: ["bright"]).selectors()


@mistake("dragonkit_selectors")
def a_selector_that_is_taken() -> None:
    registry(selectors=lambda: [bright(name="wand")]).selectors()


@mistake("dragonkit_selectors")
def another_gesture() -> None:
    registry(selectors=lambda: [bright("click")]).selectors()


@mistake("dragonkit_selectors")
def a_mask_of_numbers() -> None:
    registry(selectors=lambda: [bright(function=lambda image, clicks: MASK * 1.0)]).selectors()["bright"].select(PICTURE, [(3, 4, True)])


@mistake("dragonkit_selectors")
def beside_the_picture() -> None:
    registry(selectors=lambda: [bright()]).selectors()["bright"].select(PICTURE, [(50, 3, True)])


@mistake("dragonkit_selectors")
def an_option_out_of_range() -> None:
    registry().selectors()["wand"].select(PICTURE, [(3, 4, True)], tolerance=300)


# --- dragonkit_step -----------------------------------------------------------------------------------------------------


@mistake("dragonkit_step")
def an_observer_that_raises() -> None:
    edited(step=lambda step: step.number)


@mistake("dragonkit_step")
def enough() -> None:
    def stop(step: Any) -> None:
        raise dk.Cancelled

    edited(step=stop)


# --- dragonkit_commands -------------------------------------------------------------------------------------------------


@mistake("dragonkit_commands")
def a_command_that_is_taken() -> str:
    with pytest.MonkeyPatch.context() as monkey:
        return command_line(monkey, commands=lambda cli: cli.command("run")(lambda: None))


@mistake("dragonkit_commands")
def commands_that_raise() -> str:
    with pytest.MonkeyPatch.context() as monkey:
        return command_line(monkey, commands=lambda cli: cli.add("hello"))


# --- several edits ------------------------------------------------------------------------------------------------------


def box(left: int, top: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[top : top + 8, left : left + 8] = True
    return mask


@mistake("composition")
def one_place_for_two() -> None:
    tiny_editor().edit(PICTURE, [dk.Move(mask=box(0, 0), shift=(16, 0)), dk.Move(mask=box(0, 20), shift=(20, -16))])


@mistake("composition")
def changed_and_taken_away() -> None:
    edits = [Mine(mask=box(4, 0)), dk.Move(mask=box(0, 0), shift=(16, 0))]
    tiny_editor(plugin()).edit(PICTURE, edits)
