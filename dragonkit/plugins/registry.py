"""Finding, calling and listing plugins.

    registry = get_registry()
    registry.edit_types()["move"]
    registry.build_masks(edit, grid)

Built-in modes, models and selectors are plugins as well, imported by name; others come from the entry-point group `dragonkit`. Every plugin
is called on its own, so that an error names it. Environment:

    DRAGONKIT_PLUGINS=a,b   load only these installed plugins (built-in ones stay)
    DRAGONKIT_STRICT=1      a plugin that cannot be loaded is an error at once, not a warning
"""

from __future__ import annotations

import functools
import importlib
import sys
import warnings
from collections.abc import Callable, Iterable
from importlib import metadata
from typing import TYPE_CHECKING, Any

import numpy as np
import pluggy

from dragonkit.edits.edit import Edit, unknown_mode
from dragonkit.edits.file import EditFile
from dragonkit.errors import DuplicateModeError, PluginHookError, PluginLoadError
from dragonkit.imaging.masks import Grid
from dragonkit.plugins import specs
from dragonkit.plugins.answers import AttentionPlan, EditMasks, EnergyTerm, Reference
from dragonkit.plugins.card import ModelCard
from dragonkit.plugins.loading import Plugin, entry_points, flag, wanted_plugins
from dragonkit.plugins.selector import Selector
from dragonkit.words import closest

if TYPE_CHECKING:
    from torch import Tensor


__all__ = ["BUILTIN", "PluginRegistry", "get_registry", "register"]

BUILTIN = (
    "dragonkit.modes.move",
    "dragonkit.modes.resize",
    "dragonkit.modes.appearance",
    "dragonkit.modes.drag",
    "dragonkit.modes.custom",
    "dragonkit.models.embedded",
    "dragonkit.selecting",
)


_ROUNDING = 1e-3  # how far a draft may leave 0..1 by interpolation


class PluginRegistry:
    """All plugins of a process, and the only way to ask them something.

    Args:
        builtin: modules that must load; an error in one of them is raised.
        discover: look for installed plugins. One that fails is skipped with a warning and listed as broken.

    Raises:
        PluginLoadError: a built-in plugin cannot be loaded; with DRAGONKIT_STRICT=1 an installed one.

    Example:
        PluginRegistry(builtin=(), discover=False)   # an empty one, for a test that registers its own plugins
    """

    def __init__(self, builtin: Iterable[str] = BUILTIN, discover: bool = True) -> None:
        self._manager = pluggy.PluginManager("dragonkit")
        self._manager.add_hookspecs(specs)
        self._plugins: list[Plugin] = []
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
        self._plugins.append(record)
        return record

    def edit_types(self) -> dict[str, type[Edit]]:
        """All edit modes by name, without those that two plugins offer: `owner` of one of these is an error."""
        return {mode: owners[0].modes[mode] for mode, owners in self._owners().items() if len(owners) == 1}

    def edits_from(self, file: EditFile) -> list[Edit]:
        """The edits of a file, as `EditFile.edits_from`; a mode that a broken plugin may own is a PluginLoadError instead."""
        if any(plugin["status"] != "ok" for plugin in self.describe()):  # owner() blames them for a mode that is not there
            for data in file.edits:
                self.owner(str(data["mode"]))
        return file.edits_from(self.edit_types())

    def owner(self, mode: str) -> Plugin:
        """The plugin that offers a mode.

        Raises:
            UnknownModeError: nobody does; the message lists the known modes.
            DuplicateModeError: two plugins do; the message names both.
            PluginLoadError: nobody does, but a broken plugin may; its original error is the cause.
        """
        owners = self._owners()
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

    def build_masks(self, edit: Edit, grid: Grid) -> EditMasks:
        """Where the edit acts, from the owner of its mode. PluginHookError when it does not say."""
        owner = self.owner(edit.mode)
        masks = owner.call("dragonkit_build_masks", edit=edit, grid=grid)
        if not isinstance(masks, EditMasks):
            raise owner.wrong_answer("dragonkit_build_masks", f"the EditMasks of the mode {edit.mode!r}", masks)
        return masks

    def reference(self, edit: Edit) -> Reference | None:
        """The second picture of an edit, from the owner of its mode."""
        owner = self.owner(edit.mode)
        reference = owner.call("dragonkit_reference", edit=edit)
        if reference is not None and not isinstance(reference, Reference):
            raise owner.wrong_answer("dragonkit_reference", "a Reference or None", reference)
        return reference

    def draft(self, edit: Edit, masks: EditMasks, picture: np.ndarray, reference: np.ndarray | None) -> np.ndarray | None:
        """The edit done in pixels by the owner of its mode: float32 (H, W, 3), or None."""
        owner = self.owner(edit.mode)
        draft = owner.call("dragonkit_draft", edit=edit, masks=masks, picture=picture, reference=reference)
        if draft is None:
            return None
        if not isinstance(draft, np.ndarray) or draft.shape != picture.shape or not np.isfinite(draft).all():
            raise owner.wrong_answer("dragonkit_draft", f"a finite array of shape {picture.shape} or None", draft)
        if draft.min() < -_ROUNDING or draft.max() > 1 + _ROUNDING:
            raise owner.wrong_answer("dragonkit_draft", f"values from 0 to 1, not {draft.min():g} to {draft.max():g}", draft)
        return draft.astype(np.float32)

    def energy_terms(self, edit: Edit, masks: EditMasks) -> list[tuple[Plugin, EnergyTerm]]:
        """(plugin, term) of all plugins, sorted by plugin and term name: a sum in this order can be repeated exactly."""
        hook, terms = "dragonkit_energy_terms", []
        for plugin in self._plugins:
            own = plugin.call_for_list(hook, lambda item: isinstance(item, EnergyTerm), "EnergyTerms or None", edit=edit, masks=masks)
            names = [term.name for term in own]
            if len(set(names)) < len(names):
                raise plugin.wrong_answer(hook, "EnergyTerms of different names", names)
            terms += [(plugin, term) for term in own]
        return sorted(terms, key=lambda pair: (pair[0].name, pair[1].name))

    def initial_latents(self, edit: Edit, masks: EditMasks, source: Any) -> Tensor | None:
        """z_T of the generation branch from the mode's owner, or None to start from the source's own."""
        owner = self.owner(edit.mode)
        latents = owner.call("dragonkit_initial_latents", edit=edit, masks=masks, source=source)
        if latents is not None and not _is_a(latents, "torch", "Tensor"):
            raise owner.wrong_answer("dragonkit_initial_latents", "a torch.Tensor or None", latents)
        return latents

    def attention(self, edit: Edit, masks: EditMasks) -> AttentionPlan | None:
        """The attention plan from the mode's owner, or None to leave the decoder its own."""
        owner = self.owner(edit.mode)
        plan = owner.call("dragonkit_attention", edit=edit, masks=masks)
        if plan is not None and not isinstance(plan, AttentionPlan):
            raise owner.wrong_answer("dragonkit_attention", "an AttentionPlan or None", plan)
        return plan

    def models(self) -> dict[str, ModelCard]:
        """Model cards by name. PluginHookError when two plugins name one alike."""

        return self._by_name("model", lambda item: isinstance(item, ModelCard), "ModelCards")

    def selectors(self) -> dict[str, Selector]:
        """Selectors by name. PluginHookError when two plugins name one alike."""
        return self._by_name("selector", lambda item: isinstance(item, Selector), "Selectors")

    def step(self, step: Any) -> None:
        """Tell every observer about a denoising step. `Cancelled` raised by one of them passes through."""
        for plugin in self._plugins:
            plugin.call("dragonkit_step", step=step)

    def commands(self, cli: Any) -> None:
        """Let every plugin add its commands to the command line."""
        for plugin in self._plugins:
            plugin.call("dragonkit_commands", cli=cli)

    def describe(self) -> list[dict[str, Any]]:
        """Every plugin, broken ones too: name, distribution, version, hooks, modes, status ("ok" or "broken") and reason."""
        described = [plugin.describe() for plugin in self._plugins]
        for mode, (owner, *others) in self._owners().items():
            for plugin, rival in [(owner, others[0]), *((other, owner) for other in others)] if others else []:
                described[self._plugins.index(plugin)].update(status="broken", reason=_contested(mode, rival))
        return described

    def _by_name(self, what: str, check: Callable[[object], bool], expected: str) -> dict[str, Any]:
        """What all plugins give when asked for models or selectors, which have names of their own."""
        hook = f"dragonkit_{what}s"
        items: dict[str, Any] = {}
        owners: dict[str, str] = {}
        for plugin in self._plugins:
            for item in plugin.call_for_list(hook, check, expected):
                if item.name in items:
                    message = f"{hook} names the {what} {item.name!r}, which plugin {owners[item.name]!r} has named. Rename one."
                    raise PluginHookError(plugin.name, plugin.origin, message)
                items[item.name], owners[item.name] = item, plugin.name
        return items

    def _broken(self) -> list[Plugin]:
        return [plugin for plugin in self._plugins if plugin.reason is not None]

    def _owners(self) -> dict[str, list[Plugin]]:
        owners: dict[str, list[Plugin]] = {}
        for plugin in self._plugins:
            for mode in plugin.modes:
                owners.setdefault(mode, []).append(plugin)
        return owners

    def _register_builtin(self, module: str) -> None:
        plugin = Plugin(module.rpartition(".")[2], "dragonkit", _own_version())
        plugin.load(self._manager, functools.partial(importlib.import_module, module))
        self._plugins.append(plugin)

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
                    self._plugins.append(plugin)

    def _add_broken(self, plugin: Plugin, strict: bool) -> None:
        if strict:
            raise plugin.load_error() from plugin.cause
        self._plugins.append(plugin)
        warnings.warn(f"skipped: {plugin.load_error()}", stacklevel=5)


def register(plugin: object, name: str | None = None) -> Plugin:
    """Add a plugin to this process by hand: `PluginRegistry.register` of the registry that every Editor uses."""
    return get_registry().register(plugin, name)


@functools.cache
def get_registry() -> PluginRegistry:
    """The registry of this process, made on first use. `get_registry.cache_clear()` forgets it."""
    return PluginRegistry()


def _contested(mode: str, rival: Plugin) -> str:
    return (
        f"it offers the edit mode {mode!r}, and so does plugin {rival.name!r} (from {rival.origin or 'this program'}). "
        "Uninstall one of them, or name those to load in DRAGONKIT_PLUGINS."
    )


def _is_a(value: object, module: str, name: str) -> bool:
    """isinstance without importing the class's module: where it is not loaded, nothing can be an instance of it."""
    kind = getattr(sys.modules.get(module), name, None)
    return kind is not None and isinstance(value, kind)


def _own_version() -> str | None:
    try:
        return metadata.version("dragonkit")
    except metadata.PackageNotFoundError:  # run from a source tree that is not installed
        return None
