"""Finding, calling and listing plugins.

    registry = get_registry()
    registry.edit_types()["move"]
    registry.build_masks(edit, size=(640, 480))

Built-in modes, models and selectors are plugins as well, imported by name; others come from the entry-point group `dragonkit`. Every plugin
is called on its own, so that an error names it. Environment:

    DRAGONKIT_PLUGINS=a,b   load only these installed plugins (built-in ones stay)
    DRAGONKIT_STRICT=1      a plugin that cannot be loaded, or fails when models and the like are listed, is an error, not a warning
"""

from __future__ import annotations

import functools
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from dragonkit.edits.edit import Edit
from dragonkit.edits.file import EditFile
from dragonkit.errors import Cancelled, DragonkitError, EditError, PluginHookError
from dragonkit.plugins.answers import AttentionPlan, EditMasks, EnergyTerm, Reference
from dragonkit.plugins.card import ModelCard
from dragonkit.plugins.collection import BUILTIN, PluginCollection
from dragonkit.plugins.inversion import Inversion
from dragonkit.plugins.loading import Plugin
from dragonkit.plugins.placement import Placement
from dragonkit.plugins.selector import Selector
from dragonkit.words import closest

if TYPE_CHECKING:
    from torch import Tensor


__all__ = ["BUILTIN", "PluginRegistry", "get_registry", "register"]

_ROUNDING = 1e-3  # how far a draft may leave 0..1 by interpolation


class PluginRegistry(PluginCollection):
    """All plugins of a process, and the only way to ask them something.

    Args:
        builtin: modules that must load; an error in one of them is raised.
        discover: look for installed plugins. One that fails is skipped with a warning and listed as broken.
        strict: raise instead; when left out, if DRAGONKIT_STRICT says so.

    Raises:
        PluginLoadError: a built-in plugin cannot be loaded; where it is strict, an installed one.

    Example:
        >>> PluginRegistry(builtin=(), discover=False).edit_types()  # for a test with its own plugins
        {}
    """

    def edits_from(self, file: EditFile) -> list[Edit]:
        """The edits of a file, as `EditFile.edits_from`; a mode that a broken plugin may own is a PluginLoadError instead."""
        if self._broken():  # owner() blames them for a mode that is not there
            for data in file.edits:
                self.owner(str(data["mode"]))
        return file.edits_from(self.edit_types())

    def implements(self, edit: Edit, hook: str) -> bool:
        """Whether the owner of the edit's mode has an owner hook, named without "dragonkit_"."""
        return f"dragonkit_{hook}" in self.owner(edit.mode).hooks

    def build_masks(self, edit: Edit, size: tuple[int, int]) -> Placement:
        """Where the edit acts on a picture of `size` (width, height). PluginHookError when the mode's owner does not say."""
        placement: Placement = self._ask("build_masks", _is(Placement), f"the Placement of the mode {edit.mode!r}", edit, size=size)
        owner, (width, height) = self.owner(edit.mode), placement.size
        if placement.size != size:
            message = f"dragonkit_build_masks answered for {width}x{height} pixels when asked for {size[0]}x{size[1]}."
            raise PluginHookError(owner.name, owner.origin, message)
        if placement.back is None:
            return placement
        return replace(placement, back=owner.guarded(placement.back, "Placement.back of its hook dragonkit_build_masks"))

    def reference(self, edit: Edit) -> Reference | None:
        """The second picture of an edit."""
        return self._ask("reference", _is(Reference, None), "a Reference or None", edit)

    def draft(self, edit: Edit, masks: EditMasks, picture: np.ndarray, reference: np.ndarray | None) -> np.ndarray | None:
        """The edit done in pixels: float32 (H, W, 3), or None."""

        def check(draft: Any) -> bool:
            fits = isinstance(draft, np.ndarray) and draft.shape == picture.shape and draft.dtype.kind in "fiub"
            return draft is None or (fits and bool(np.isfinite(draft).all()))

        expected = f"a finite array of shape {picture.shape} or None"
        draft = self._ask("draft", check, expected, edit, masks=masks, picture=picture, reference=reference)
        if draft is None:
            return None
        if draft.min() < -_ROUNDING or draft.max() > 1 + _ROUNDING:
            between = f"values from 0 to 1, not {draft.min():g} to {draft.max():g}"
            raise self.owner(edit.mode).wrong_answer("dragonkit_draft", between, draft)
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

    def initial_latents(self, edit: Edit, masks: EditMasks, source: Any, reference: Any = None) -> Tensor | None:
        """z_T of the generation branch, or None to start as the engine does."""

        def check(latents: object) -> bool:
            return latents is None or _is_a(latents, "torch", "Tensor")

        return self._ask("initial_latents", check, "a torch.Tensor or None", edit, masks=masks, source=source, reference=reference)

    def attention(self, edit: Edit, masks: EditMasks) -> AttentionPlan | None:
        """The attention plan, or None to leave the decoder its own."""
        return self._ask("attention", _is(AttentionPlan, None), "an AttentionPlan or None", edit, masks=masks)

    def models(self) -> dict[str, ModelCard]:
        """Model cards by name. A plugin that fails to give its own is left out with a warning, and listed as broken."""
        return _named(self._by_name("model", ModelCard))

    def inversions(self) -> dict[str, Inversion]:
        """Inversions by name; as `models` where a plugin fails."""
        return _named(self._by_name("inversion", Inversion))

    def inversion(self, name: str) -> tuple[Plugin, Inversion]:
        """The inversion of that name, and whose it is. EditError when nobody offers it; the message lists the known ones."""
        known = self._by_name("inversion", Inversion)
        if name not in known:
            raise EditError(
                f"there is no inversion {name!r}.{closest(name, list(known))} Known inversions: {', '.join(sorted(known)) or 'none'}."
                f"{self.suspects('inversion')}"
            )
        return known[name]

    def selectors(self) -> dict[str, Selector]:
        """Selectors by name; as `models` where a plugin fails. What one of them raises names its plugin."""
        known = self._by_name("selector", Selector)
        return {
            name: replace(one, function=plugin.guarded(one.function, f"the selector {name!r} of its hook dragonkit_selectors"))
            for name, (plugin, one) in known.items()
        }

    def suspects(self, what: str) -> str:
        """For messages: the plugins that may have offered a "model", "inversion" or "selector" that is not there, and why they do not."""
        hook = f"dragonkit_{what}s"
        reasons = [
            (plugin.name, reason) for plugin in self._plugins for reason in plugin.reasons if plugin.reason or reason.startswith(hook)
        ]
        return "".join(f" Plugin {name!r} may offer more, but is broken: {reason}" for name, reason in reasons)

    def describe(self) -> list[dict[str, Any]]:
        for what, kind in (("model", ModelCard), ("inversion", Inversion), ("selector", Selector)):
            self._by_name(what, kind)  # what is wrong there is found only when somebody asks
        return super().describe()

    def step(self, step: Any) -> None:
        """Tell every observer about a denoising step. `Cancelled` raised by one of them passes through."""
        for plugin in self._plugins:
            plugin.call("dragonkit_step", step=step)

    def commands(self, cli: Any) -> None:
        """Let every plugin add its commands to the command line; as `models` where one fails."""
        for plugin in self._plugins:
            with self._left_out(plugin, "dragonkit_commands"):
                plugin.call("dragonkit_commands", cli=cli)

    def _ask(self, hook: str, check: Callable[[Any], bool], expected: str, edit: Edit, **arguments: Any) -> Any:
        """The answer of the plugin that owns the edit's mode. PluginHookError when it does not pass the check."""
        owner, hook = self.owner(edit.mode), f"dragonkit_{hook}"
        answer = owner.call(hook, edit=edit, **arguments)
        if not check(answer):
            raise owner.wrong_answer(hook, expected, answer)
        return answer

    def _by_name(self, what: str, kind: type) -> dict[str, tuple[Plugin, Any]]:
        """What all plugins give when asked for models, inversions or selectors, which have names of their own: the first one keeps it."""
        hook = f"dragonkit_{what}s"
        items: dict[str, tuple[Plugin, Any]] = {}
        for plugin in self._plugins:
            with self._left_out(plugin, hook):
                for item in plugin.call_for_list(hook, lambda item: isinstance(item, kind), f"{kind.__name__}s"):
                    if item.name not in items:
                        items[item.name] = plugin, item
                        continue
                    with self._left_out(plugin, hook):
                        named = f"the {what} {item.name!r}, which plugin {items[item.name][0].name!r} has named and keeps"
                        raise PluginHookError(plugin.name, plugin.origin, f"{hook} names {named}. Rename it.")
        return items

    @contextmanager
    def _left_out(self, plugin: Plugin, hook: str) -> Iterator[None]:
        """What fails here is not in other plugins' way: it is warned of once and listed as broken. Where it is strict it is raised."""
        try:
            yield
        except Cancelled:
            raise
        except DragonkitError as error:
            if self._strict:
                raise
            reason = plugin.without_name(error)
            reason = reason if reason.startswith(hook) else f"{hook} raised {type(error).__name__}: {reason}"
            if reason not in plugin.faults:
                plugin.faults.append(reason)
                warnings.warn(f"skipped: {PluginHookError(plugin.name, plugin.origin, reason)}", stacklevel=5)


def register(plugin: object, name: str | None = None) -> Plugin:
    """Add a plugin to this process by hand: to the registry that every Editor uses.

    Args:
        plugin: a module, or an object, with hooks under `@dk.hookimpl`.
        name: of the plugin in reports and messages; its own where it is left out.

    Raises:
        PluginLoadError: as `PluginRegistry.register`; nothing is added then.
    """
    return get_registry().register(plugin, name)


@functools.cache
def get_registry() -> PluginRegistry:
    """The registry of this process, made on first use. `get_registry.cache_clear()` forgets it."""
    return PluginRegistry()


def _is(*kinds: type | None) -> Callable[[object], bool]:
    """A check for these classes, or for None."""
    return lambda value: any(value is None if kind is None else isinstance(value, kind) for kind in kinds)


def _named(items: dict[str, tuple[Plugin, Any]]) -> dict[str, Any]:
    return {name: item for name, (_, item) in items.items()}


def _is_a(value: object, module: str, name: str) -> bool:
    """isinstance without importing the class's module: where it is not loaded, nothing can be an instance of it."""
    kind = getattr(sys.modules.get(module), name, None)
    return kind is not None and isinstance(value, kind)
