"""Imports that import-linter cannot see run down as well: modules that are named in text and imported when the code runs."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
FACE = {"dragonkit", "dragonkit.energy", "dragonkit.jupyter", "dragonkit.plugin_api"}
"""Modules that load their public names when they are first used; the names' homes are checked by test_init."""
BUILT_IN = ("dragonkit.modes", "dragonkit.models", "dragonkit.diffusion.inversions", "dragonkit.selecting")
BY_NAME = {("dragonkit.plugins.collection", module) for module in BUILT_IN}
"""The built-in plugins: found by name like anybody's, and imported by nobody."""


def floors() -> dict[str, int]:
    """How high each package stands, from pyproject.toml."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
    layers = next(contract for contract in contracts if contract["type"] == "layers")["layers"]
    return {name: height for height, layer in enumerate(reversed(layers)) for name in re.findall(r"\w+", layer)}


def named_modules() -> Iterator[tuple[str, str]]:
    """(module, a module of dragonkit that is named in one of its texts, docstrings apart)."""
    for path in sorted((ROOT / "dragonkit").rglob("*.py")):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        tree = ast.parse(path.read_text(encoding="utf-8"))
        told = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in told:
                named = re.fullmatch(r"(dragonkit(?:\.\w+)+)", node.value)
                if named:
                    yield module, named[1]


def test_no_module_named_in_text_lies_above() -> None:
    height = floors()
    up = []
    for module, named in named_modules():
        home, other = module.split(".")[1:2], named.split(".")[1]
        if module in FACE or other not in height:
            continue
        by_name = any(module == asker and named.startswith(package) for asker, package in BY_NAME)
        if not by_name and height[other] >= height[home[0]] and other != home[0]:
            up.append((module, named))
    assert up == []


def test_every_package_has_a_floor() -> None:
    packages = {path.stem for path in (ROOT / "dragonkit").iterdir() if re.fullmatch(r"[a-z]\w*(\.py)?", path.name)}
    assert packages <= set(floors()), packages - set(floors())
