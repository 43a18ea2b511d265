"""Modules whose public names are loaded when they are first used, so that importing them costs next to nothing."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any

from dragonkit.words import closest

__all__ = ["loader"]


def loader(module: str, homes: Mapping[str, str], elsewhere: Callable[[str], str] = lambda name: "") -> Callable[[str], Any]:
    """The `__getattr__` of a module.

    Args:
        module: its name, for the error.
        homes: for every public name the module that has it, below dragonkit; where that ends in the name itself, it is a module.
        elsewhere: a name that is not there -> a sentence that says where one is, or "".
    """

    def load(name: str) -> Any:
        if name not in homes:
            advice = elsewhere(name) or closest(name, list(homes))
            raise AttributeError(f"{module} has no {name!r}.{advice} See {module}.__all__ for what it has.")
        home = importlib.import_module(f"dragonkit.{homes[name]}")
        return home if homes[name].rpartition(".")[2] == name else getattr(home, name)

    return load
