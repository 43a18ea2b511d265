"""Docstrings tell the truth: examples run, and every public name says what it is, of which shape arrays are, and what it raises."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from helpers.pages import ROOT

import dragonkit as dk
from dragonkit import plugin_api
from dragonkit.plugins import specs

SOURCES = sorted((ROOT / "dragonkit").rglob("*.py"))
WITH_EXAMPLES = [path for path in SOURCES if ">>> " in path.read_text("utf-8")]
BARE = re.compile(r"\b(np\.ndarray|torch\.Tensor)")
SHAPE = re.compile(r"\([^()]+,[^()]*\)|of (the|its|the same) size|same shape|size of")
"""(H, W), or in words."""


class Public(NamedTuple):
    """A name that users see, and the class it belongs to."""

    name: str
    thing: Any
    owner: Any = None

    @property
    def doc(self) -> str:
        """Its docstring; that of its class stands for what `__init__` takes."""
        return inspect.getdoc(self.thing) or ""


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def public() -> Iterator[Public]:
    """Of `dragonkit`, `dragonkit.plugin_api` and the modules that they offer, with methods and properties; of all hooks."""
    things: dict[str, Any] = {name: getattr(plugin_api, name) for name in plugin_api.__all__}
    things |= {name: getattr(dk, name) for name in dk.__all__ if name != "__version__"}
    for module in (dk.energy, dk.images, dk.masks, dk.toybox, dk.errors):
        things |= {name: getattr(module, name) for name in module.__all__}
    things |= {name: hook for name, hook in vars(specs).items() if name.startswith("dragonkit_")}
    for name, thing in things.items():
        if isinstance(thing, (tuple, str, int, float, dict)) or not getattr(thing, "__module__", thing.__class__.__module__).startswith(
            "dragonkit"
        ):
            continue  # a constant, a type alias, or what somebody else wrote
        yield Public(name, thing)
        for attribute, found in vars(thing).items() if inspect.isclass(thing) else ():
            member = found.fget if isinstance(found, property) else getattr(found, "__func__", found)
            if not attribute.startswith("_") and inspect.isfunction(member) and member.__module__.startswith("dragonkit"):
                yield Public(f"{name}.{attribute}", member, thing)


PUBLIC = list(public())


@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=dotted)
def test_examples_run(path: Path) -> None:
    found = doctest.testmod(importlib.import_module(dotted(path)))
    assert found.attempted and not found.failed


def test_public_names_are_found() -> None:
    names = {one.name for one in PUBLIC}
    assert {"Editor.edit", "Move", "psnr", "to_grid", "dragonkit_step", "affine_about", "EditError", "EditResult.save"} <= names


FUNCTIONS = [one for one in PUBLIC if inspect.isfunction(one.thing)]


def test_every_one_has_a_docstring() -> None:
    assert [one.name for one in PUBLIC if len(one.doc.split()) < 2] == []


def raised_by(function: Any) -> set[str]:
    """Errors of dragonkit that its own lines raise; what it calls may raise more."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(function))).body
    calls = [node.exc for node in ast.walk(tree) if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call)]
    return {call.func.id for call in calls if isinstance(call.func, ast.Name) and call.func.id in dk.errors.__all__}


def test_what_they_raise_is_said() -> None:
    said = {one.name: f"{one.doc} {inspect.getdoc(one.owner) if one.owner else ''}" for one in FUNCTIONS}
    assert {(one.name, error) for one in FUNCTIONS for error in raised_by(one.thing) if error not in said[one.name]} == set()


def test_shapes_are_said() -> None:
    """In the annotation, as jaxtyping does, or in words."""
    bare = {one.name: [name for name, kind in one.thing.__annotations__.items() if BARE.search(str(kind))] for one in FUNCTIONS}
    assert [
        one.name
        for one in FUNCTIONS
        if bare[one.name] not in ([], ["mask"], ["mask", "return"]) and not SHAPE.search(one.doc.partition("Example:")[0])
    ] == []
