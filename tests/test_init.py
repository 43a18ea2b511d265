"""`import dragonkit` costs next to nothing, and every public name is there when it is asked for."""

from __future__ import annotations

import subprocess
import sys

import pytest

import dragonkit


def loaded_after(code: str) -> set[str]:
    """The top-level packages in memory after running `code` in a fresh interpreter."""
    code += "\nimport sys; print(*{name.partition('.')[0] for name in sys.modules})"
    return set(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split())


HEAVY = {"torch", "diffusers", "transformers", "numpy", "PIL", "pydantic", "ipywidgets", "typer"}


@pytest.mark.processes
def test_importing_loads_nothing_heavy() -> None:
    assert not loaded_after("import dragonkit; dir(dragonkit); dragonkit.__version__") & HEAVY


@pytest.mark.processes
def test_edits_and_settings_need_no_torch() -> None:
    code = "import dragonkit as dk; dk.Move; dk.Settings; dk.EditFile; dk.EditMasks; dk.EnergyTerm; dk.errors; dk.images; dk.masks"
    assert not loaded_after(code) & {"torch", "diffusers", "transformers"}


@pytest.mark.parametrize("name", dragonkit.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(dragonkit, name) is not None


def test_names_are_listed_once_and_found_by_dir() -> None:
    assert len(set(dragonkit.__all__)) == len(dragonkit.__all__)
    assert set(dragonkit.__all__) <= set(dir(dragonkit))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"dragonkit has no 'Mvoe'\. Did you mean 'Move'\?"):
        dragonkit.Mvoe  # noqa: B018
    with pytest.raises(AttributeError, match="from dragonkit_rotate import Rotate"):
        dragonkit.Rotate  # noqa: B018
    assert not hasattr(dragonkit, "nothing")


def test_a_star_import_gives_the_public_names() -> None:
    names: dict[str, object] = {}
    exec("from dragonkit import *", names)
    assert set(dragonkit.__all__) <= names.keys()
