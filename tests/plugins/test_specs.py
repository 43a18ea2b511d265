"""Every hook is documented, typed, callable through the registry, and costs no torch to know."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pluggy
import pytest

from dragonkit.plugins import specs
from dragonkit.plugins.specs import hookimpl

HOOKS = {name: function for name, function in vars(specs).items() if name.startswith("dragonkit_")}
OWNER = {"dragonkit_build_masks", "dragonkit_reference", "dragonkit_draft", "dragonkit_initial_latents", "dragonkit_attention"}


def test_these_hooks_ship() -> None:
    assert set(HOOKS) == {
        "dragonkit_edits",
        "dragonkit_build_masks",
        "dragonkit_reference",
        "dragonkit_draft",
        "dragonkit_energy_terms",
        "dragonkit_initial_latents",
        "dragonkit_attention",
        "dragonkit_models",
        "dragonkit_inversions",
        "dragonkit_selectors",
        "dragonkit_step",
        "dragonkit_commands",
    }


def test_pluggy_knows_them_all() -> None:
    manager = pluggy.PluginManager("dragonkit")
    manager.add_hookspecs(specs)
    assert {name for name in vars(manager.hook) if not name.startswith("_")} == set(HOOKS)


@pytest.mark.parametrize("name", HOOKS)
def test_a_hook_is_documented(name: str) -> None:
    function = HOOKS[name]
    text = inspect.getdoc(function) or ""
    signature = inspect.signature(function)
    kind = "Owner" if name in OWNER else "Collecting"
    assert f" {kind}" in text.split("\n\n")[0], "the first paragraph says who is asked"
    assert "Example:" in text
    assert f"def {name}(" in text
    assert "@hookimpl" in text
    assert ("Returns:" in text) == (signature.return_annotation != "None")
    assert signature.return_annotation is not inspect.Signature.empty
    for parameter in signature.parameters.values():
        assert f"    {parameter.name}: " in text, "every argument is described"
        assert parameter.default is inspect.Parameter.empty
        assert parameter.annotation is not inspect.Parameter.empty


@pytest.mark.parametrize("name", HOOKS)
def test_a_hook_is_tested_through_the_registry(name: str) -> None:
    assert f"def {name}(" in Path(__file__).with_name("test_registry.py").read_text(encoding="utf-8")


def test_hookimpl_leaves_the_function_callable() -> None:
    @hookimpl
    def dragonkit_edits() -> list[type]:
        return []

    assert dragonkit_edits() == []


@pytest.mark.processes
def test_importing_hookspecs_loads_no_torch() -> None:
    code = "import sys, dragonkit.plugins.specs; sys.exit(bool({'torch', 'diffusers', 'dragonkit.models'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
