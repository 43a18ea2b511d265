"""The registry calls each plugin on its own, checks what it says and names it when it is wrong."""

from __future__ import annotations

import subprocess
import sys
import types
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from dragonkit.edits.edit import Edit
from dragonkit.edits.file import EditFile
from dragonkit.errors import (
    Cancelled,
    DuplicateModeError,
    EditError,
    ImageError,
    MaskError,
    PluginHookError,
    PluginLoadError,
    ShapeError,
    UnknownModeError,
)
from dragonkit.imaging.masks import Grid
from dragonkit.plugins.answers import AttentionPlan, EditMasks, EnergyTerm, Reference, identity_correspondence
from dragonkit.plugins.blame import is_out_of_memory
from dragonkit.plugins.card import ModelCard
from dragonkit.plugins.inversion import Inversion
from dragonkit.plugins.placement import Placement
from dragonkit.plugins.registry import BUILTIN, PluginRegistry, get_registry
from dragonkit.plugins.selector import Selector
from dragonkit.plugins.specs import hookimpl

SIZE = (32, 24)
GRID = Grid(4, 3, *SIZE)


class Nudge(Edit):
    mode: ClassVar[str] = "nudge"
    amount: int = 1


class Poke(Edit):
    mode: ClassVar[str] = "poke"


def placement() -> Placement:
    nowhere = np.zeros(SIZE[::-1], bool)
    return Placement(nowhere, nowhere)


def edit_masks() -> EditMasks:
    names = ("source", "target", "preserve", "vacated", "surroundings")
    return EditMasks(grid=GRID, correspondence=identity_correspondence(GRID), **{name: np.zeros((3, 4), bool) for name in names})


def term(name: str) -> EnergyTerm:
    return EnergyTerm(name, lambda features: features.generated.sum())


class NudgePlugin:
    """Owns the mode nudge and implements every owner hook."""

    @hookimpl
    def dragonkit_edits(self) -> list[type[Edit]]:
        return [Nudge]

    @hookimpl
    def dragonkit_build_masks(self, edit: Edit, size: tuple[int, int]) -> Placement:
        assert isinstance(edit, Nudge)
        assert size is SIZE
        return placement()

    @hookimpl
    def dragonkit_energy_terms(self, edit: Edit) -> list[EnergyTerm] | None:
        return [term("second"), term("first")] if edit.mode == "nudge" else None

    @hookimpl
    def dragonkit_reference(self, edit: Edit) -> Reference:
        return Reference(f"{edit.mode}.png", prompt="another fish")

    @hookimpl
    def dragonkit_draft(self, masks: EditMasks, picture: np.ndarray, reference: np.ndarray | None) -> np.ndarray:
        assert reference is not None
        return picture * 0.5 + reference.mean()

    @hookimpl
    def dragonkit_initial_latents(self, source: Any) -> torch.Tensor:
        return source + 1

    @hookimpl
    def dragonkit_attention(self, masks: EditMasks) -> AttentionPlan:
        return AttentionPlan(form="concatenate")


class PokePlugin:
    """Owns the mode poke, says no more than it must, and adds a term to everything."""

    @hookimpl
    def dragonkit_edits(self) -> Any:
        yield Poke

    @hookimpl
    def dragonkit_build_masks(self) -> Placement:
        return placement()

    @hookimpl
    def dragonkit_energy_terms(self) -> Any:
        yield term("extra")


def registry_of(*plugins: object, **named: object) -> PluginRegistry:
    registry = PluginRegistry(builtin=(), discover=False)
    for plugin in plugins:
        registry.register(plugin)
    for name, plugin in named.items():
        registry.register(plugin, name)
    return registry


def plugin_with(hook: Any) -> object:
    """A new plugin that implements one hook by a function of that name."""
    plugin = types.ModuleType("plugin")
    setattr(plugin, hook.__name__, hookimpl(hook))
    return plugin


@pytest.fixture
def registry() -> PluginRegistry:
    return registry_of(poke=PokePlugin(), nudge=NudgePlugin())


def test_modes_and_their_owners(registry: PluginRegistry) -> None:
    assert registry.edit_types() == {"poke": Poke, "nudge": Nudge}
    assert registry.owner("nudge").name == "nudge"
    assert registry.owner("poke").name == "poke"


def test_owner_hooks_ask_the_owner_only(registry: PluginRegistry) -> None:
    masks = registry.build_masks(Nudge(), SIZE).on(GRID)
    source = torch.zeros(2)
    latents = registry.initial_latents(Nudge(), masks, source)
    assert latents is not None
    assert latents.tolist() == [1, 1]
    assert registry.attention(Nudge(), masks) == AttentionPlan(form="concatenate")
    assert registry.initial_latents(Poke(), masks, source) is None
    assert registry.attention(Poke(), masks) is None
    reference = registry.reference(Nudge())
    assert reference is not None and (reference.image, reference.prompt) == ("nudge.png", "another fish")
    draft = registry.draft(Nudge(), masks, np.ones((2, 2, 3), np.float32), np.full((1, 1, 3), 0.25, np.float32))
    assert draft is not None and draft.dtype == np.float32 and (draft == 0.75).all()
    assert registry.reference(Poke()) is None
    assert registry.draft(Poke(), masks, np.ones((2, 2, 3), np.float32), None) is None


@pytest.mark.parametrize("answer", [np.zeros((2, 3, 3)), np.full((2, 2, 3), np.nan), [1, 2]], ids=["shape", "NaN", "type"])
def test_a_draft_of_no_use_is_the_plugins_fault(answer: Any) -> None:
    class Drafts(NudgePlugin):
        @hookimpl
        def dragonkit_draft(self) -> Any:
            return answer

    with pytest.raises(PluginHookError, match=r"'drafts'.*dragonkit_draft.*of shape \(2, 2, 3\)"):
        registry_of(drafts=Drafts()).draft(Nudge(), edit_masks(), np.ones((2, 2, 3), np.float32), None)


def test_an_empty_list_is_refused_where_none_says_it() -> None:
    def dragonkit_energy_terms() -> list[EnergyTerm]:
        return []

    registry = registry_of(NudgePlugin(), silent=plugin_with(dragonkit_energy_terms))
    with pytest.raises(PluginHookError, match=r"'silent'.*dragonkit_energy_terms.*at least one of EnergyTerms"):
        registry.energy_terms(Nudge(), edit_masks())


def test_energy_terms_come_from_all_plugins_in_a_fixed_order() -> None:
    expected = [("nudge", "first"), ("nudge", "second"), ("poke", "extra")]
    for registry in (registry_of(poke=PokePlugin(), nudge=NudgePlugin()), registry_of(nudge=NudgePlugin(), poke=PokePlugin())):
        terms = registry.energy_terms(Nudge(), edit_masks())
        assert [(plugin.name, energy.name) for plugin, energy in terms] == expected
        assert [plugin.name for plugin, _ in registry.energy_terms(Poke(), edit_masks())] == ["poke"]


def test_models() -> None:
    def dragonkit_models() -> list[ModelCard]:
        return [ModelCard("tiny", "models/tiny")]

    registry = registry_of(first=plugin_with(dragonkit_models))
    assert registry.models() == {"tiny": ModelCard("tiny", "models/tiny")}
    registry.register(plugin_with(dragonkit_models), "second")
    with pytest.warns(UserWarning, match=r"skipped: plugin 'second'.*the model 'tiny', which plugin 'first'"):
        assert registry.models() == {"tiny": ModelCard("tiny", "models/tiny")}


def test_inversions() -> None:
    damped = Inversion("damped", "smaller steps", print)

    def dragonkit_inversions() -> list[Inversion]:
        return [damped]

    registry = registry_of(first=plugin_with(dragonkit_inversions))
    assert registry.inversions() == {"damped": damped}
    plugin, inversion = registry.inversion("damped")
    assert (plugin.name, inversion) == ("first", damped)
    with pytest.raises(EditError, match=r"^there is no inversion 'dampd'\. Did you mean 'damped'\? Known inversions: damped\.$"):
        registry.inversion("dampd")
    registry.register(plugin_with(dragonkit_inversions), "second")
    with pytest.warns(UserWarning, match=r"'second': .* 'damped', which plugin 'first' has"):
        assert registry.inversion("damped")[0].name == "first"


def test_nobody_offers_an_inversion() -> None:
    with pytest.raises(EditError, match=r"no inversion 'ddim'\. Known inversions: none\."):
        registry_of().inversion("ddim")


def test_inversions_must_be_inversions() -> None:
    def dragonkit_inversions() -> list[str]:
        return ["ddim"]

    registry = registry_of(plugin_with(dragonkit_inversions))
    with pytest.warns(UserWarning, match=r"return Inversions, but returned .* 'ddim' \(str\)"):
        assert registry.inversions() == {}
    with pytest.raises(
        EditError, match=r"no inversion 'ddim'\. .* Plugin 'plugin' may offer more, but is broken: dragonkit_inversions must"
    ):
        registry.inversion("ddim")


def test_models_must_be_cards() -> None:
    def dragonkit_models() -> list[str]:
        return ["tiny"]

    with pytest.warns(UserWarning, match=r"dragonkit_models.*ModelCards, but.*'tiny'"):
        assert registry_of(plugin_with(dragonkit_models)).models() == {}


def test_selectors() -> None:
    bright = Selector("bright", "what is bright", "clicks", lambda image, clicks: np.asarray(image.convert("L")) > 127)

    def dragonkit_selectors() -> Any:
        yield bright

    registry = registry_of(first=plugin_with(dragonkit_selectors))
    picture = np.zeros((4, 6, 3), np.uint8)
    picture[1:3, 2:4] = 255
    assert registry.selectors()["bright"].select(picture, [(2.5, 1.5, True)]).sum() == 4
    registry.register(plugin_with(dragonkit_selectors), "second")
    with pytest.warns(UserWarning, match=r"'second'.*the selector 'bright', which plugin 'first'"):
        assert list(registry.selectors()) == ["bright"]


@pytest.mark.parametrize("error", [KeyError("clicks"), SystemExit(3)])
def test_what_a_selector_raises_names_its_plugin(error: BaseException) -> None:
    def fail(image: Any, clicks: Any) -> np.ndarray:
        raise error

    def dragonkit_selectors() -> list[Selector]:
        return [Selector("bright", "what is bright", "clicks", fail)]

    (selector,) = registry_of(sharp=plugin_with(dragonkit_selectors)).selectors().values()
    with pytest.raises(PluginHookError, match=rf"plugin 'sharp': the selector 'bright' .* raised {type(error).__name__}"):
        selector.select(np.zeros((4, 6, 3), np.uint8), [(2.5, 1.5, True)])


def test_selectors_must_be_selectors() -> None:
    def dragonkit_selectors() -> list[str]:
        return ["bright"]

    with pytest.warns(UserWarning, match=r"Selectors, but.*'bright'"):
        assert registry_of(plugin_with(dragonkit_selectors)).selectors() == {}


def test_every_observer_hears_of_a_step() -> None:
    heard = []

    def dragonkit_step(step: int) -> None:
        heard.append(step)

    registry_of(a=plugin_with(dragonkit_step), b=plugin_with(dragonkit_step)).step(3)
    assert heard == [3, 3]


def test_commands_are_added_to_the_command_line() -> None:
    def dragonkit_commands(cli: list[str]) -> None:
        cli.append("hello")

    cli: list[str] = []
    registry_of(plugin_with(dragonkit_commands)).commands(cli)
    assert cli == ["hello"]


def test_an_error_in_a_hook_names_plugin_hook_and_cause(registry: PluginRegistry) -> None:
    def dragonkit_energy_terms(edit: Edit) -> list[EnergyTerm]:
        raise ZeroDivisionError("no energy left")

    registry.register(plugin_with(dragonkit_energy_terms), "loud")
    with pytest.raises(PluginHookError, match=r"'loud': dragonkit_energy_terms raised ZeroDivisionError: no energy left") as caught:
        registry.energy_terms(Nudge(), edit_masks())
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert (caught.value.plugin, caught.value.distribution) == ("loud", None)


def test_an_error_in_a_generator_names_its_plugin_as_well() -> None:
    def dragonkit_energy_terms() -> Any:
        yield term("one")
        raise ZeroDivisionError

    with pytest.raises(PluginHookError, match="dragonkit_energy_terms raised ZeroDivisionError"):
        registry_of(plugin_with(dragonkit_energy_terms)).energy_terms(Nudge(), edit_masks())


@pytest.mark.parametrize("error", [Cancelled("enough"), MaskError("empty"), ImageError("torn")])
def test_errors_for_the_user_pass_with_a_note(error: Exception) -> None:
    def dragonkit_step(step: int) -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        registry_of(loud=plugin_with(dragonkit_step)).step(0)
    assert caught.value is error
    assert caught.value.__notes__ == ["raised by plugin 'loud' (registered by hand) in dragonkit_step"]


def test_errors_for_the_programmer_do_not_pass() -> None:
    def dragonkit_step(step: int) -> None:
        raise ShapeError((1, 2), (2, 1))

    with pytest.raises(PluginHookError, match="ShapeError"):
        registry_of(plugin_with(dragonkit_step)).step(0)


class OneAnswer:
    """Owns nudge and gives every hook the same answer."""

    def __init__(self, answer: object) -> None:
        self.answer = answer

    @hookimpl
    def dragonkit_edits(self) -> list[type[Edit]]:
        return [Nudge]

    @hookimpl
    def dragonkit_build_masks(self) -> object:
        return self.answer

    @hookimpl
    def dragonkit_energy_terms(self) -> object:
        return self.answer

    @hookimpl
    def dragonkit_initial_latents(self) -> object:
        return self.answer

    @hookimpl
    def dragonkit_attention(self) -> object:
        return self.answer


@pytest.mark.parametrize(
    ("method", "answer", "expected", "received"),
    [
        ("build_masks", None, "the Placement of the mode 'nudge'", "None (NoneType)"),
        ("build_masks", np.zeros((3, 4)), "the Placement", "ndarray of shape (3, 4) (ndarray)"),
        ("energy_terms", 7, "EnergyTerms or None", "7 (int)"),
        ("energy_terms", [7], "EnergyTerms or None", "an item that is 7 (int)"),
        ("energy_terms", [term("a"), term("a")], "EnergyTerms of different names", "['a', 'a'] (list)"),
        ("initial_latents", np.zeros(2), "a torch.Tensor or None", "ndarray of shape (2,) (ndarray)"),
        ("attention", "replace", "an AttentionPlan or None", "'replace' (str)"),
    ],
)
def test_a_wrong_answer_is_refused(method: str, answer: object, expected: str, received: str) -> None:
    arguments: tuple[Any, ...] = {"build_masks": (SIZE,), "initial_latents": (edit_masks(), None)}.get(method, (edit_masks(),))
    with pytest.raises(PluginHookError) as caught:
        getattr(registry_of(wrong=OneAnswer(answer)), method)(Nudge(), *arguments)
    assert f"dragonkit_{method} must return {expected}" in str(caught.value)
    assert f"but returned {received}" in str(caught.value)
    assert "'wrong'" in str(caught.value)


def test_a_mode_without_masks_is_an_error() -> None:
    def dragonkit_edits() -> list[type[Edit]]:
        return [Nudge]

    with pytest.raises(PluginHookError, match=r"dragonkit_build_masks.* mode 'nudge', but returned None"):
        registry_of(plugin_with(dragonkit_edits)).build_masks(Nudge(), SIZE)


def test_the_first_owner_of_a_mode_keeps_it_and_both_are_named() -> None:
    registry = registry_of(one=NudgePlugin())
    with pytest.raises(DuplicateModeError, match=r"'two'.* 'nudge', and so does plugin 'one'.*keeps it"):
        registry.register(NudgePlugin(), "two")
    assert registry.edit_types() == {"nudge": Nudge} and registry.owner("nudge").name == "one"
    assert [plugin["name"] for plugin in registry.describe()] == ["one"]
    assert registry.edits_from(EditFile(model="m", image="a.png", edits=[Nudge()])) == [Nudge()]


def test_an_unknown_mode_lists_the_known_ones(registry: PluginRegistry) -> None:
    with pytest.raises(UnknownModeError, match=r"'nugde'\. Did you mean 'nudge'.*nudge, poke"):
        registry.owner("nugde")
    file = EditFile(model="m", image="a.png", edits=[Poke(), {"mode": "nugde"}])
    with pytest.raises(UnknownModeError, match=r"edits\[1\]"):
        registry.edits_from(file)


def test_edits_of_a_file(registry: PluginRegistry) -> None:
    file = EditFile(model="m", image="a.png", edits=[Nudge(amount=3), Poke()])
    assert registry.edits_from(file) == [Nudge(amount=3), Poke()]


def test_describe(registry: PluginRegistry) -> None:
    assert registry.describe()[0] == {
        "name": "poke",
        "distribution": None,
        "version": None,
        "hooks": ["dragonkit_build_masks", "dragonkit_edits", "dragonkit_energy_terms"],
        "modes": ["poke"],
        "status": "ok",
        "reason": None,
    }


def test_builtin_plugins_are_imported_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("some.builtin")
    module.dragonkit_edits = hookimpl(lambda: [Poke])  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "some.builtin", module)
    registry = PluginRegistry(builtin=["some.builtin"], discover=False)
    assert registry.owner("poke").name == "builtin"
    assert registry.describe()[0]["distribution"] == "dragonkit"


def test_a_missing_builtin_plugin_is_an_error() -> None:
    with pytest.raises(PluginLoadError, match=r"'nowhere' \(from dragonkit.*\): importing it raised ModuleNotFoundError") as caught:
        PluginRegistry(builtin=["dragonkit.nowhere"], discover=False)
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


def test_the_registry_of_the_process_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []
    monkeypatch.setattr("dragonkit.plugins.registry.PluginRegistry", lambda: made.append(1) or object())
    get_registry.cache_clear()
    try:
        assert get_registry() is get_registry()
        assert made == [1]
    finally:
        get_registry.cache_clear()


def test_the_builtin_plugins_are_these() -> None:
    assert (
        *(f"dragonkit.modes.{mode}" for mode in ("move", "resize", "remove", "appearance", "drag", "custom")),
        "dragonkit.models.embedded",
        "dragonkit.diffusion.inversions",
        "dragonkit.selecting",
    ) == BUILTIN


@pytest.mark.processes
def test_importing_plugins_loads_no_torch() -> None:
    code = (
        "import sys; from dragonkit.plugins.registry import PluginRegistry; "
        "from dragonkit.plugins.specs import hookimpl; PluginRegistry(builtin=()); "
        "sys.exit(bool({'torch', 'diffusers', 'dragonkit.models'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("low", "high", "fits"), [(0, 1, True), (-1e-4, 1 + 1e-4, True), (-0.1, 0.5, False), (0.5, 1.1, False), (-2, 3, False)]
)
def test_a_drafts_values_lie_between_black_and_white(low: float, high: float, fits: bool) -> None:
    class Drafts(NudgePlugin):
        @hookimpl
        def dragonkit_draft(self) -> Any:
            return np.array([low, high, 0.5] * 4).reshape(2, 2, 3)

    registry = registry_of(drafts=Drafts())
    if fits:
        assert registry.draft(Nudge(), edit_masks(), np.ones((2, 2, 3), np.float32), None) is not None
    else:
        with pytest.raises(PluginHookError, match="values from 0 to 1, not"):
            registry.draft(Nudge(), edit_masks(), np.ones((2, 2, 3), np.float32), None)


class OutOfMemoryError(RuntimeError):
    """As torch calls it on a GPU."""


@pytest.mark.parametrize("error", [MemoryError(), OutOfMemoryError("CUDA"), RuntimeError("DefaultCPUAllocator: can't allocate memory: 9")])
def test_out_of_memory_is_known_by_each_of_its_names(error: BaseException) -> None:
    assert is_out_of_memory(error)
    for other in (RuntimeError("no"), ValueError("can't allocate memory"), KeyboardInterrupt()):
        assert not is_out_of_memory(other)
