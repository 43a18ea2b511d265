"""Which plugins there are, built-in ones by name and installed ones by their entry points, and who owns which mode."""

from __future__ import annotations

import functools
import importlib
import warnings
from collections.abc import Iterable
from importlib import metadata
from typing import Any

import pluggy

from dragonkit.edits.edit import Edit, unknown_mode
from dragonkit.errors import PluginLoadError
from dragonkit.plugins import specs
from dragonkit.plugins.loading import Plugin, entry_points, flag, wanted_plugins
from dragonkit.words import closest

__all__ = ["BUILTIN", "PluginCollection"]

BUILTIN = (
    "dragonkit.modes.move",
    "dragonkit.modes.resize",
    "dragonkit.modes.remove",
    "dragonkit.modes.appearance",
    "dragonkit.modes.drag",
    "dragonkit.modes.custom",
    "dragonkit.models.embedded",
    "dragonkit.diffusion.inversions",
    "dragonkit.selecting",
)


class PluginCollection:
    """The plugins of a process, and which modes they own.

    Args:
        builtin: modules that must load; an error in one of them is raised.
        discover: look for installed plugins. One that fails is skipped with a warning and listed as broken.
        strict: raise instead; when left out, if DRAGONKIT_STRICT says so.

    Raises:
        PluginLoadError: a built-in plugin cannot be loaded; where it is strict, an installed one.
    """

    def __init__(self, builtin: Iterable[str] = BUILTIN, discover: bool = True, strict: bool | None = None) -> None:
        self._manager = pluggy.PluginManager("dragonkit")
        self._manager.add_hookspecs(specs)
        self._plugins: list[Plugin] = []
        self._owners: dict[str, Plugin] = {}  # by mode
        self._strict = flag("DRAGONKIT_STRICT") if strict is None else strict
        for name in builtin:
            self._register_builtin(name)
        if discover:
            self._register_installed(wanted_plugins())

    def register(self, plugin: object, name: str | None = None) -> Plugin:
        """Add a plugin by hand: a module, or an object with methods marked `@hookimpl`.

        Args:
            plugin: the module or object.
            name: how messages and lists call it; default its own name.

        Raises:
            PluginLoadError: it breaks a rule, or its name or a mode's is taken; it is not added then.
        """
        record = Plugin(name or getattr(plugin, "__name__", None) or type(plugin).__name__)
        record.attach(self._manager, plugin, self._owners)
        self._add(record)
        return record

    def edit_types(self) -> dict[str, type[Edit]]:
        """All edit modes by name."""
        return {mode: owner.modes[mode] for mode, owner in self._owners.items()}

    def owner(self, mode: str) -> Plugin:
        """The plugin that offers a mode: the first one that did.

        Raises:
            UnknownModeError: nobody does; the message lists the known modes.
            PluginLoadError: nobody does, but a broken plugin may; its original error is the cause.
        """
        owners = self._owners
        if mode in owners:
            return owners[mode]
        broken = self._broken()
        if not broken:
            raise unknown_mode(mode, owners)
        suspect = max(broken, key=lambda plugin: mode in plugin.name)  # otherwise the first
        others = [plugin.name for plugin in broken if plugin is not suspect]
        raise PluginLoadError(
            suspect.name,
            suspect.origin,
            f"it may offer the edit mode {mode!r}, which no loaded plugin has, but it is broken: {suspect.reason}"
            f"{closest(mode, list(owners))} Known modes: {', '.join(sorted(owners)) or 'none'}."
            + (f" Other broken plugins: {', '.join(others)}." if others else ""),
        ) from suspect.cause

    def describe(self) -> list[dict[str, Any]]:
        """Every plugin, broken ones too: name, distribution, version, hooks, modes, status ("ok" or "broken") and reason."""
        return [plugin.describe() for plugin in self._plugins]

    def _broken(self) -> list[Plugin]:
        return [plugin for plugin in self._plugins if plugin.reason is not None]

    def _add(self, plugin: Plugin) -> None:
        self._plugins.append(plugin)
        for mode in plugin.modes:
            self._owners[mode] = plugin

    def _register_builtin(self, module: str) -> None:
        plugin = Plugin(module.rpartition(".")[2], "dragonkit", _own_version())
        plugin.load(self._manager, functools.partial(importlib.import_module, module), self._owners)
        self._add(plugin)

    def _register_installed(self, wanted: set[str] | None) -> None:
        points = entry_points()
        installed = sorted({point.name for point in points})
        for name in sorted((wanted or set()) - set(installed)):
            hint = f"{closest(name, installed)} Installed: {', '.join(installed) or 'none'}."
            self._add_broken(Plugin(name, reason=f"DRAGONKIT_PLUGINS names it, but it is not installed.{hint}"))
        for point in points:
            if wanted is None or point.name in wanted:
                plugin = Plugin(point.name, *((point.dist.name, point.dist.version) if point.dist else ()))
                try:
                    plugin.load(self._manager, point.load, self._owners)
                except PluginLoadError:
                    self._add_broken(plugin)
                else:
                    self._add(plugin)

    def _add_broken(self, plugin: Plugin) -> None:
        if self._strict:
            raise plugin.load_error() from plugin.cause
        self._add(plugin)
        warnings.warn(f"skipped: {plugin.load_error()}", stacklevel=5)


def _own_version() -> str | None:
    try:
        return metadata.version("dragonkit")
    except metadata.PackageNotFoundError:  # run from a source tree that is not installed
        return None
