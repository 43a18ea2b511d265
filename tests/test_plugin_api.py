"""The one import for plugin packages: its names are a promise, it loads no torch by itself, and what comes along uses nothing else."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from dragonkit import plugin_api

ROOT = Path(__file__).parents[1]

NAMES = [
    "AttentionPlan", "Backbone", "Box", "Cancelled", "Cells", "Click", "ContrastWeight", "DragonkitError", "Edit", "EditError", "EditFile",
    "EditFileError", "EditMasks", "EditWeight", "EnergyTerm", "Features", "Fill", "Grid", "ImageError", "InpaintWeight", "Inversion",
    "InversionOptions", "Mask", "MaskError", "ModelCard", "ModelError", "ModelNotFoundError", "MovingEdit", "ObjectMask", "Options",
    "Picture", "Placement", "PluginRegistry", "PointError", "Points", "Prediction", "PreserveWeight", "Reference", "ReferenceMask",
    "ReferencePicture", "ReferencePrompt", "ReferringEdit", "Region", "Replay", "Schedule", "Selector", "ShapeError", "Shift",
    "UnsupportedModelError",
    "affine_about", "affine_through", "bounding_box", "cell_coverage", "center_of", "contrast", "dilate", "erode", "feather", "gather",
    "get_registry", "global_similarity", "hookimpl", "identity_correspondence", "inpaint", "inverse_affine", "inverse_energy",
    "load_image", "load_mask", "load_reference_mask", "local_similarity", "map_points", "moved_along", "moving_terms", "preserve",
    "reference_attention", "reference_features", "register", "resemble_source", "shift_mask", "source_attention", "to_grid",
    "vacating_terms", "warp", "warp_mask",
]  # fmt: skip

LOAD_TORCH = {"Backbone", "Prediction", "Replay", "Schedule", "gather", "global_similarity", "inverse_energy", "local_similarity", "warp"}


def test_its_names_are_a_promise() -> None:
    assert plugin_api.__all__ == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_there(name: str) -> None:
    assert getattr(plugin_api, name) is not None


@pytest.mark.processes
def test_only_energies_and_models_load_torch() -> None:
    names = ", ".join(sorted(set(NAMES) - LOAD_TORCH))
    code = f"from dragonkit.plugin_api import {names}\nimport sys\nprint([name for name in ('torch', 'diffusers') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip() == "[]"


def imported(code: str) -> set[str]:
    """The modules of dragonkit that some code imports."""
    nodes = list(ast.walk(ast.parse(code)))
    names = {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    names |= {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return {name for name in names if name.split(".")[0] == "dragonkit"}


PATTERNS = ("plugins/*/*.py", "plugins/*/tests/*.py", "dragonkit/cli/templates/*/*.py.txt")
PLUGINS = [file for pattern in PATTERNS for file in sorted(ROOT.glob(pattern))]


@pytest.mark.parametrize("file", PLUGINS, ids=lambda path: path.name)
def test_what_comes_along_imports_nothing_else(file: Path) -> None:
    code = file.read_text(encoding="utf-8").replace("$module", "some_plugin").replace("$class_name", "Some").replace("$name", "some")
    assert imported(code) <= {"dragonkit", "dragonkit.plugin_api", "dragonkit.testing"}
