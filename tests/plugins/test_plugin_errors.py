"""Whatever a plugin does wrong, the error names plugin, distribution and hook, and the other plugins keep working."""

from __future__ import annotations

import inspect
import itertools
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import typer

from dragonkit.cli.scaffold import write_plugin
from dragonkit.diffusion.source import Source
from dragonkit.diffusion.stable_diffusion import StableDiffusion
from dragonkit.editing.editor import Editor
from dragonkit.errors import DragonkitError, ModelNotFoundError, PluginLoadError
from dragonkit.plugins import specs
from dragonkit.plugins.card import ModelCard
from dragonkit.plugins.loading import entry_points
from dragonkit.plugins.registry import PluginRegistry

CARD = ModelCard("tiny", "nowhere", settings={"steps": 3, "inversion_iterations": 1})

GOOD = """
from typing import ClassVar
import numpy as np
import torch
from dragonkit.edits.edit import Edit
from dragonkit.imaging.masks import Grid
from dragonkit.plugins.card import ModelCard
from dragonkit.plugins.answers import AttentionPlan, EnergyTerm, Reference
from dragonkit.plugins.placement import Placement
from dragonkit.plugins.specs import hookimpl
from dragonkit.imaging.affine import affine_about
from dragonkit.modes.geometry import moved_along

class Spin(Edit):
    mode: ClassVar[str] = "{mode}"

def placed(size):
    mask = np.zeros(size[::-1], bool)
    mask[8:20, 6:18] = True
    return moved_along(mask, affine_about((12.0, 14.0), shift=(10, 4)))

def change(placement, **parts):
    return Placement(**{**vars(placement), **parts})

def look(features):
    return (features.generated - features.source).square().mean()

class Backwards(torch.autograd.Function):
    @staticmethod
    def forward(context, x):
        return x.sum()

    @staticmethod
    def backward(context, gradient):
        raise KeyError("backwards")

@hookimpl
def dragonkit_edits():
    return [Spin]

@hookimpl
def dragonkit_build_masks(edit, size):
    return placed(size)

@hookimpl
def dragonkit_energy_terms(edit, masks):
    return [EnergyTerm("look", look)] if edit.mode == "{mode}" else None
"""
"""A plugin that works. What a test adds below takes the place of what is above."""

Install = Callable[..., None]
_numbers = itertools.count()


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Put a distribution with one entry point on sys.path, as an installer would; other installed plugins are not seen."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delenv("DRAGONKIT_PLUGINS", raising=False)
    monkeypatch.delenv("DRAGONKIT_STRICT", raising=False)
    installed: set[str] = set()
    monkeypatch.setattr("dragonkit.plugins.collection.entry_points", lambda: [point for point in entry_points() if point.name in installed])

    def install(name: str, wrong: str = "", mode: str | None = None) -> None:
        installed.add(name)
        module = f"faulty_{name}_{next(_numbers)}"  # a new name each time: Python caches modules by name
        (tmp_path / f"{module}.py").write_text(GOOD.replace("{mode}", mode or name) + wrong)
        described(tmp_path, name, module)

    return install


def described(folder: Path, name: str, module: str) -> None:
    """What an installer writes about the distribution dk-NAME 1.2 and its entry point."""
    info = folder / f"dk_{name.replace('-', '_')}-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: dk-{name}\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(f"[dragonkit]\n{name} = {module}\n")


@pytest.fixture(scope="module")
def source(tiny_pipeline: Any) -> Source:
    picture = np.random.default_rng(0).integers(0, 256, (32, 48, 3), dtype=np.uint8)
    return Editor(StableDiffusion(tiny_pipeline), CARD, PluginRegistry(discover=False)).invert(picture, check=False)


@pytest.fixture
def run(tiny_pipeline: Any, source: Source) -> Callable[[PluginRegistry, str], np.ndarray]:
    """Run the edit of a mode, and give its picture."""

    def run(registry: PluginRegistry, mode: str) -> np.ndarray:
        return np.asarray(Editor(StableDiffusion(tiny_pipeline), CARD, registry).edit(source, registry.edit_types()[mode]()).image)

    return run


def told(error: BaseException) -> str:
    """The message with its notes, as a traceback shows them."""
    return " ".join([str(error), *getattr(error, "__notes__", ())])


# -- while it is loaded ------------------------------------------------------------------------------------------------------------------

UNLOADABLE = {
    "fails to import": ("import libspin", "importing it raised ModuleNotFoundError: No module named 'libspin'"),
    "raises on import": ("raise RuntimeError('no licence')", "importing it raised RuntimeError: no licence"),
    "does not parse": ("def (", "importing it raised SyntaxError"),
    "raises": ("@hookimpl\ndef dragonkit_edits(): return 1 / 0", "dragonkit_edits raised ZeroDivisionError"),
    "no list": ("@hookimpl\ndef dragonkit_edits(): return Spin", "classes derived from dragonkit.Edit"),
    "no edits": ("@hookimpl\ndef dragonkit_edits(): return [int]", "classes derived from dragonkit.Edit"),
    "instances": ("@hookimpl\ndef dragonkit_edits(): return [Spin()]", "dragonkit_edits must return classes derived from dragonkit.Edit"),
    "an empty list": ("@hookimpl\ndef dragonkit_edits(): return []", "dragonkit_edits must return at least one of classes derived from"),
    "one mode twice": ("@hookimpl\ndef dragonkit_edits(): return [Spin, Spin]", "have the same mode 'spin'"),
    "no mode": ("@hookimpl\ndef dragonkit_edits(): return [Edit]", "the edit Edit has the mode None"),
    "misspelled hook": ("@hookimpl\ndef dragonkit_draught(edit): ...", "no hook 'dragonkit_draught'. Did you mean 'dragonkit_draft'?"),
    "unmarked hook": ("def dragonkit_draft(edit): ...", "dragonkit_draft is not marked"),
    "misspelled argument": ("@hookimpl\ndef dragonkit_draft(edit, image): ...", "Argument(s) {'image'}"),
    "default argument": ("@hookimpl\ndef dragonkit_draft(edit=None): ...", "dragonkit_draft gives 'edit' a default value"),
}


@pytest.mark.parametrize("case", UNLOADABLE)
def test_a_plugin_that_does_not_load(case: str, install: Install, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong, reason = UNLOADABLE[case]
    install("spin", wrong)
    install("good")
    with pytest.warns(UserWarning, match=r"skipped: plugin 'spin' \(from dk-spin 1\.2\): "):
        registry = PluginRegistry(builtin=())
    (entry,) = [plugin for plugin in registry.describe() if plugin["name"] == "spin"]
    assert (entry["status"], entry["distribution"], entry["version"]) == ("broken", "dk-spin", "1.2")
    assert reason in entry["reason"]
    with pytest.raises(PluginLoadError) as caught:
        registry.owner("spin")
    assert "plugin 'spin' (from dk-spin 1.2): " in str(caught.value) and reason in str(caught.value)
    run(registry, "good")

    monkeypatch.setenv("DRAGONKIT_STRICT", "1")
    with pytest.raises(PluginLoadError) as caught:
        PluginRegistry(builtin=())
    assert "plugin 'spin' (from dk-spin 1.2): " in str(caught.value) and reason in str(caught.value)


# -- while it is asked -------------------------------------------------------------------------------------------------------------------


class Fault(NamedTuple):
    """Something wrong in a hook: its body (the loop's variables are the hook's arguments), and what the error says of it."""

    hook: str
    body: str
    said: str


OWNER = ("build_masks", "reference", "draft", "initial_latents", "attention")
RAISES = [
    Fault(hook, "raise KeyError('angle')", "raised KeyError: 'angle'") for hook in (*OWNER, "models", "inversions", "selectors", "commands")
]
RAISES += [
    Fault("energy_terms", "if edit.mode == 'spin': raise KeyError('angle')", "raised KeyError: 'angle'"),
    Fault("step", "if any('spin' in name for name in step.energies): raise KeyError('angle')", "raised KeyError: 'angle'"),
    Fault("energy", "raise KeyError('angle')", "KeyError: 'angle'"),
    Fault(
        "build_masks",
        "return change(placed(size), back=lambda places: {}['angle'])",
        "Placement.back of its hook dragonkit_build_masks raised",
    ),
]
EXITS = [
    Fault(fault.hook, fault.body.replace("KeyError('angle')", "SystemExit('angle')"), "raised SystemExit: angle") for fault in RAISES[:-1]
]
REFUSES = [
    Fault(hook, f"from dragonkit.errors import MaskError\n    {guard}raise MaskError('not this one')", "not this one")
    for hook, guard in [*((hook, "") for hook in (*OWNER, "energy")), ("energy_terms", "if edit.mode == 'spin': ")]
]
WRONG_TYPES = [
    Fault("build_masks", "return np.ones(size[::-1], bool)", "Placement of the mode 'spin', but returned ndarray"),
    Fault("build_masks", "return None", "Placement of the mode 'spin', but returned None"),
    Fault("build_masks", "return change(placed(size), target=np.ones(size[::-1]))", "Placement.target must be a bool array"),
    Fault("reference", "return 'other.png'", "Reference or None, but returned 'other.png'"),
    Fault("draft", "return 'dark'", "or None, but returned 'dark'"),
    Fault("initial_latents", "return np.zeros(3)", "torch.Tensor or None, but returned ndarray"),
    Fault("attention", "return 'replace'", "AttentionPlan or None, but returned 'replace'"),
    Fault("energy_terms", "return 7 if edit.mode == 'spin' else None", "EnergyTerms or None, but returned 7"),
    Fault("energy_terms", "return [look] if edit.mode == 'spin' else None", "but returned an item that is <function look"),
    Fault("energy", "return 0.5", "a scalar tensor"),
    Fault("energy", "return features.generated.sum() * 1j", "must give a real number, but gave a tensor torch.complex64"),
    Fault("energy", "return features.generated.sum().to('meta')", "on the meta device"),
    Fault("energy", "return features.generated.to_sparse().sum().to_sparse()", "torch.sparse_coo"),
    Fault("energy", "x = features.generated.exp(); y = x.sum(); x.mul_(2); return y", "raised RuntimeError: one of the variables"),
    Fault("energy", "return Backwards.apply(features.generated)", "raised KeyError: 'backwards'"),
    Fault("draft", "return picture.astype(object)", "or None, but returned ndarray"),
    Fault("draft", "return picture.astype(complex)", "or None, but returned ndarray"),
    Fault("models", "return ['anime']", "ModelCards, but returned an item that is 'anime'"),
    Fault("models", "return 7", "ModelCards, but returned 7"),
    Fault("inversions", "return ['ddim']", "Inversions, but returned an item that is 'ddim'"),
    Fault("selectors", "return ['wand']", "Selectors, but returned an item that is 'wand'"),
]
WRONG_SHAPES = [
    Fault("build_masks", "return change(placed(size), target=np.ones((2, 3), bool))", "Placement.target must have shape"),
    Fault("build_masks", "return placed((50, 70))", "answered for 50x70 pixels when asked for 48x32"),
    Fault("draft", "return picture[1:]", "of shape (32, 48, 3) or None, but returned ndarray of shape (31, 48, 3)"),
    Fault("draft", "return picture.mean(2)", "of shape (32, 48, 3) or None, but returned ndarray of shape (32, 48)"),
    Fault("initial_latents", "return source.trajectory", "gave latents of shape (4, 4, 8, 16), not (1, 4, 8, 16)"),
    Fault("attention", "return AttentionPlan(source_mask=np.ones(3, bool))", "AttentionPlan.source_mask must be a bool array"),
    Fault("energy", "return features.generated", "must have shape a scalar tensor"),
]
NOT_NUMBERS = [
    Fault("build_masks", "return change(placed(size), back=lambda places: places * np.nan)", "NaN or infinite"),
    Fault("draft", "return picture * np.nan", "must return a finite array of shape (32, 48, 3)"),
    Fault("initial_latents", "return source.latents_at(3) * np.nan", "NaN or infinite"),
    Fault("energy", "return features.generated.sum() * np.nan", "became nan at step"),
    Fault("energy", "return features.generated.square().sum() / 0", "became inf at step"),
    Fault("energy", "return (0 * features.generated).square().sum().sqrt()", "NaN or infinite"),  # the value is 0, the gradient is not
]
EMPTY = [
    Fault("energy_terms", "return [] if edit.mode == 'spin' else None", "at least one of EnergyTerms"),
    Fault("models", "return []", "at least one of ModelCards"),
    Fault("inversions", "return []", "at least one of Inversions"),
]
DUPLICATES = [
    Fault("energy_terms", "return [EnergyTerm('look', look)] * 2 if edit.mode == 'spin' else None", "EnergyTerms of different names"),
    Fault("models", "return [ModelCard('anime', 'here'), ModelCard('anime', 'there')]", "names the model 'anime', which plugin 'spin'"),
]
FAULTS = [*RAISES, *EXITS, *REFUSES, *WRONG_TYPES, *WRONG_SHAPES, *NOT_NUMBERS, *EMPTY, *DUPLICATES]


def written(fault: Fault) -> str:
    """The code of the faulty hook."""
    if fault.hook == "energy":
        return f"\ndef look(features):\n    {fault.body}\n"
    arguments = ", ".join(inspect.signature(getattr(specs, f"dragonkit_{fault.hook}")).parameters)
    return f"\n@hookimpl\ndef dragonkit_{fault.hook}({arguments}):\n    {fault.body}\n"


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.hook}-{fault.body.splitlines()[-1].strip()[:60]}")
def test_a_faulty_hook(fault: Fault, install: Install, run: Any) -> None:
    install("spin", written(fault))
    install("good")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        registry = PluginRegistry(builtin=())

    with pytest.raises(Exception) as caught, warnings.catch_warnings():
        warnings.simplefilter("error")  # a plugin that fails to give a list is skipped with one, see below
        {
            "models": registry.models,
            "inversions": registry.inversions,
            "selectors": registry.selectors,
            "commands": lambda: registry.commands(typer.Typer()),
        }.get(fault.hook, lambda: run(registry, "spin"))()
    text = told(caught.value)
    assert fault.said in text
    hook = "dragonkit_energy_terms" if fault.hook == "energy" else f"dragonkit_{fault.hook}"
    for part in ("plugin 'spin'", "dk-spin 1.2", hook):
        assert part in text
    run(registry, "good")


def test_every_hook_is_made_to_fail() -> None:
    hooks = {name.removeprefix("dragonkit_") for name in vars(specs) if name.startswith("dragonkit_")}
    assert {fault.hook for fault in FAULTS} == (hooks - {"edits"}) | {"energy"}
    assert {fault.hook for fault in RAISES} == (hooks - {"edits"}) | {"energy"}


# -- beside others -----------------------------------------------------------------------------------------------------------------------


def test_two_plugins_with_one_mode_do_not_stop_a_third(install: Install, run: Any) -> None:
    install("spin")
    install("twirl", mode="spin")
    install("good")
    with pytest.warns(UserWarning, match=r"'twirl' \(from dk-twirl 1\.2\): .*'spin' \(from dk-spin 1\.2\)"):
        registry = PluginRegistry(builtin=())
    assert (registry.owner("spin").name, registry.owner("good").name) == ("spin", "good")
    run(registry, "spin")
    (entry,) = [plugin for plugin in registry.describe() if plugin["name"] == "twirl"]
    assert entry["status"] == "broken" and "which came first and keeps it" in entry["reason"]


def test_a_mode_called_move_leaves_the_built_in_one_alone(install: Install) -> None:
    install("mover", mode="move")
    with pytest.warns(UserWarning, match=r"skipped: plugin 'mover' .*'move', and so does plugin 'move' \(from dragonkit"):
        registry = PluginRegistry()
    assert registry.owner("move").distribution == "dragonkit"
    assert registry.edit_types()["move"].__module__ == "dragonkit.modes.move"
    assert [plugin["status"] for plugin in registry.describe() if plugin["name"] == "mover"] == ["broken"]


LISTS = {
    "raises": "raise KeyError('angle')",
    "exits": "raise SystemExit(3)",
    "refuses": "raise EditFileError('no such card')",
    "no cards": "return ['anime']",
    "a bad card": "return [ModelCard(['anime'], 'here')]",
    "a taken name": "return [ModelCard('toybox', 'elsewhere'), ModelCard('mine', 'here')]",
}


@pytest.mark.parametrize("case", LISTS)
def test_a_plugin_with_bad_models_stops_nobody_from_loading_others(case: str, install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    install("spin", "\nfrom dragonkit.errors import EditFileError\n" + written(Fault("models", LISTS[case], "")))
    registry = PluginRegistry()
    with pytest.warns(UserWarning, match=r"skipped: plugin 'spin' \(from dk-spin 1\.2\): dragonkit_models ") as caught:
        editor = Editor.from_pretrained("toybox", registry=registry)
    assert len(caught) == 1
    assert editor.card.source.endswith("toybox") and "elsewhere" not in editor.card.source
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # it is said once
        registry.models()
        (entry,) = [plugin for plugin in registry.describe() if plugin["name"] == "spin"]
    assert entry["status"] == "broken" and entry["reason"].startswith("dragonkit_models ") and entry["modes"] == ["spin"]
    assert ("mine" in registry.models()) == (case == "a taken name")
    with pytest.raises(ModelNotFoundError, match=r"'anime'.* Plugin 'spin' may offer more, but is broken: dragonkit_models "):
        Editor.from_pretrained("anime", registry=registry)

    monkeypatch.setenv("DRAGONKIT_STRICT", "1")
    with pytest.raises(DragonkitError, match=r"dragonkit_models|no such card|ModelCard.name"):
        PluginRegistry().models()


def test_two_plugins_with_one_model_are_both_named(install: Install) -> None:
    for name in ("spin", "twirl"):
        install(name, "\n@hookimpl\ndef dragonkit_models():\n    return [ModelCard('anime', 'here')]\n")
    registry = PluginRegistry(builtin=())
    with pytest.warns(UserWarning, match=r"plugin 'twirl' \(from dk-twirl 1\.2\): dragonkit_models .*plugin 'spin'"):
        assert registry.models() == {"anime": ModelCard("anime", "here")}


def test_a_generator_may_have_nothing_for_an_edit(install: Install, run: Any) -> None:
    """It cannot return None; for edits of other modes it ends without a term."""
    body = "if edit.mode == 'spin':\n        yield EnergyTerm('look', look)"
    install("spin", written(Fault("energy_terms", body, "")))
    install("good")
    registry = PluginRegistry(builtin=())
    run(registry, "spin")
    run(registry, "good")


@pytest.mark.parametrize("hook", ["models", "commands"])
def test_a_faulty_plugin_can_be_left_out(hook: str, install: Install, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the message advises, where its fault is in everybody's way."""
    install("spin", written(Fault(hook, "raise KeyError('angle')", "")))
    install("good", "\n@hookimpl\ndef dragonkit_models(): return [ModelCard('anime', 'here')]\n")

    def ask(registry: PluginRegistry) -> None:
        registry.models()
        registry.commands(typer.Typer())

    with pytest.warns(UserWarning, match=rf"'spin' .*dragonkit_{hook} .*load only others with DRAGONKIT_PLUGINS"):
        ask(PluginRegistry(builtin=()))
    monkeypatch.setenv("DRAGONKIT_PLUGINS", "good")
    registry = PluginRegistry(builtin=())
    ask(registry)
    assert set(registry.models()) == {"anime"}
    run(registry, "good")


@pytest.mark.processes
def test_ten_plugins_cost_no_torch(tmp_path: Path) -> None:
    names = [f"made-{number}" for number in range(10)]
    for name in names:
        module = f"dragonkit_{name.replace('-', '_')}"
        write_plugin(name, tmp_path / name)
        (tmp_path / name / f"{module}.py").rename(tmp_path / f"{module}.py")
        described(tmp_path, name, module)
    code = """
import sys
from dragonkit.cli import main
sys.argv = ["dragonkit", "modes", "--json"]
try:
    main()
finally:
    heavy = {"torch", "diffusers", "transformers"} & set(sys.modules)
    print(*sorted(heavy), file=sys.stderr)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path]), "DRAGONKIT_PLUGINS": ",".join(names)}
    process = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert process.stderr.strip() == ""
    modes = {mode["mode"]: mode["plugin"] for mode in json.loads(process.stdout)}
    assert modes.items() >= {name: name for name in names}.items()
