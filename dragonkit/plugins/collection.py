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
from dragonkit.errors import DuplicateModeError, PluginLoadError
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

    Raises:
        PluginLoadError: a built-in plugin cannot be loaded; with DRAGONKIT_STRICT=1 an installed one.
    """

    def __init__(self, builtin: Iterable[str] = BUILTIN, discover: bool = True) -> None:
        self._manager = pluggy.PluginManager("dragonkit")
        self._manager.add_hookspecs(specs)
        self._plugins: list[Plugin] = []
        self._owners: dict[str, list[Plugin]] = {}  # by mode
        for name in builtin:
            self._register_builtin(name)
        if discover:
            self._register_installed(wanted_plugins(), strict=flag("DRAGONKIT_STRICT"))

    def register(self, plugin: object, name: str | None = None) -> Plugin:
        """Add a plugin by hand: a module, or an object with methods marked `@hookimpl`.

        Args:
            plugin: the module or object.
            name: how messages and lists call it; default its own name.

        Raises:
            PluginLoadError: it breaks a rule, or the name is taken; it is not added then.
        """
        record = Plugin(name or getattr(plugin, "__name__", None) or type(plugin).__name__)
        record.attach(self._manager, plugin)
        self._add(record)
        return record

    def edit_types(self) -> dict[str, type[Edit]]:
        """All edit modes by name, without those that two plugins offer: `owner` of one of these is an error."""
        return {mode: owners[0].modes[mode] for mode, owners in self._owners.items() if len(owners) == 1}

    def owner(self, mode: str) -> Plugin:
        """The plugin that offers a mode.

        Raises:
            UnknownModeError: nobody does; the message lists the known modes.
            DuplicateModeError: two plugins do; the message names both.
            PluginLoadError: nobody does, but a broken plugin may; its original error is the cause.
        """
        owners = self._owners
        if mode in owners:
            first, *rivals = owners[mode]
            if rivals:
                raise DuplicateModeError(rivals[0].name, rivals[0].origin, _contested(mode, first))
            return first
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
        described = [plugin.describe() for plugin in self._plugins]
        for mode, (owner, *others) in self._owners.items():
            for plugin, rival in [(owner, others[0]), *((other, owner) for other in others)] if others else []:
                described[self._plugins.index(plugin)].update(status="broken", reason=_contested(mode, rival))
        return described

    def _broken(self) -> list[Plugin]:
        return [plugin for plugin in self._plugins if plugin.reason is not None]

    def _add(self, plugin: Plugin) -> None:
        self._plugins.append(plugin)
        for mode in plugin.modes:
            self._owners.setdefault(mode, []).append(plugin)

    def _register_builtin(self, module: str) -> None:
        plugin = Plugin(module.rpartition(".")[2], "dragonkit", _own_version())
        plugin.load(self._manager, functools.partial(importlib.import_module, module))
        self._add(plugin)

    def _register_installed(self, wanted: set[str] | None, strict: bool) -> None:
        points = entry_points()
        installed = sorted({point.name for point in points})
        for name in sorted((wanted or set()) - set(installed)):
            hint = f"{closest(name, installed)} Installed: {', '.join(installed) or 'none'}."
            self._add_broken(Plugin(name, reason=f"DRAGONKIT_PLUGINS names it, but it is not installed.{hint}"), strict)
        for point in points:
            if wanted is None or point.name in wanted:
                plugin = Plugin(point.name, *((point.dist.name, point.dist.version) if point.dist else ()))
                try:
                    plugin.load(self._manager, point.load)
                except PluginLoadError:
                    self._add_broken(plugin, strict)
                else:
                    self._add(plugin)

    def _add_broken(self, plugin: Plugin, strict: bool) -> None:
        if strict:
            raise plugin.load_error() from plugin.cause
        self._add(plugin)
        warnings.warn(f"skipped: {plugin.load_error()}", stacklevel=5)


def _contested(mode: str, rival: Plugin) -> str:
    return (
        f"it offers the edit mode {mode!r}, and so does plugin {rival.name!r} (from {rival.origin or 'this program'}). "
        "Uninstall one of them, or name those to load in DRAGONKIT_PLUGINS."
    )


def _own_version() -> str | None:
    try:
        return metadata.version("dragonkit")
    except metadata.PackageNotFoundError:  # run from a source tree that is not installed
        return None
