"""One plugin at a time: find it, import it, check its hooks, call one of them and say whose fault an error is."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any

import pluggy

from dragonkit.edits.edit import Edit
from dragonkit.errors import Cancelled, EditError, ImageError, OutOfMemoryError, PluginHookError, PluginLoadError
from dragonkit.words import closest, short

__all__ = ["GROUP", "Plugin", "entry_points", "flag", "wanted_plugins"]

GROUP = "dragonkit"

_MODE = re.compile(r"[a-z][a-z0-9_-]*")
# Errors about what the user asked for: a plugin that raises them works as it should.
_FOR_THE_USER = (Cancelled, EditError, ImageError, OutOfMemoryError)


@dataclass(eq=False)
class Plugin:
    """A plugin, loaded or broken.

    Attributes:
        name: the name of its entry point, unique in a registry.
        distribution, version: the installed package it comes from; None when it was registered by hand.
        hooks: the functions that implement hooks, by hook name, with the names of their arguments.
        modes: the edit modes it offers.
        reason: why it could not be loaded, or None.
        cause: the error it raised while loading, if it was one.
    """

    name: str
    distribution: str | None = None
    version: str | None = None
    hooks: dict[str, tuple[Callable[..., Any], tuple[str, ...]]] = field(default_factory=dict)
    modes: dict[str, type[Edit]] = field(default_factory=dict)
    reason: str | None = None
    cause: BaseException | None = None

    @property
    def origin(self) -> str | None:
        """Distribution and version, for messages."""
        return f"{self.distribution} {self.version or ''}".strip() if self.distribution else None

    def describe(self) -> dict[str, Any]:
        """What `dragonkit plugins --json` prints."""
        return {
            "name": self.name,
            "distribution": self.distribution,
            "version": self.version,
            "hooks": sorted(self.hooks),
            "modes": sorted(self.modes),
            "status": "ok" if self.reason is None else "broken",
            "reason": self.reason,
        }

    def load_error(self) -> PluginLoadError:
        """The error for a broken plugin, with its cause."""
        error = PluginLoadError(self.name, self.origin, self.reason or "it could not be loaded.")
        error.__cause__ = self.cause
        return error

    def load(self, manager: pluggy.PluginManager, importer: Callable[[], object]) -> None:
        """Import the module, register its hooks and collect its modes. PluginLoadError when that fails."""
        try:
            module = importer()
        except (Exception, SystemExit) as error:  # whatever a stranger's module does while it is imported
            raise self._fail(f"importing it raised {type(error).__name__}: {error}. Mend or uninstall it.", error) from error
        self.attach(manager, module)

    def attach(self, manager: pluggy.PluginManager, module: object) -> None:
        """Register the module's hooks and collect its modes. PluginLoadError when that fails; nothing stays registered then."""
        if manager.has_plugin(self.name):
            raise self._fail(f"the name {self.name!r} is taken by another plugin. Rename its entry point, or uninstall one.")
        if manager.is_registered(module):
            raise self._fail(f"it is registered already, as {manager.get_name(module)!r}. Register it once.")
        try:
            manager.register(module, self.name)
            self.hooks = _checked_hooks(manager, module)
            self.modes = _checked_modes(self)
        except (pluggy.PluginValidationError, PluginHookError, _Unusable) as error:
            if manager.is_registered(module):
                manager.unregister(module)
            self.hooks, self.modes = {}, {}
            prefix = str(PluginHookError(self.name, self.origin, ""))  # the load error puts it in front again
            reason = " ".join(str(error).removeprefix(prefix).split())
            if isinstance(error, pluggy.PluginValidationError):
                reason += ". See dragonkit.plugins.specs for what each hook is given."
            raise self._fail(reason, error.__cause__ or error) from self.cause

    def call(self, hook: str, **arguments: Any) -> Any:
        """The hook's answer, or None when the plugin does not implement it. Any error names plugin, distribution and hook."""
        if hook not in self.hooks:
            return None
        function, names = self.hooks[hook]
        with self.blamed(hook):
            return function(*(arguments[name] for name in names))

    def call_for_list(self, hook: str, check: Callable[[Any], bool], expected: str, **arguments: Any) -> list[Any]:
        """The same for a hook that gives an iterable; None counts as empty. Every item must pass `check`."""
        answer = self.call(hook, **arguments)
        if answer is None:
            return []
        if not isinstance(answer, Iterable):
            raise self.wrong_answer(hook, expected, answer)
        with self.blamed(hook):
            items = list(answer)  # a generator runs here, inside the blame
        if not items and isinstance(answer, Sized):  # a generator cannot say None, so it may end without an item
            raise self.wrong_answer(hook, f"at least one of {expected.removesuffix(' or None')}, or None for none", items, "an empty ")
        for item in items:
            if not check(item):
                raise self.wrong_answer(hook, expected, item, "an item that is ")
        return items

    def wrong_answer(self, hook: str, expected: str, answer: object, what: str = "") -> PluginHookError:
        """The error for a hook that returned something else than promised."""
        return PluginHookError(
            self.name,
            self.origin,
            f"{hook} must return {expected}, but returned {what}{short(answer)} ({type(answer).__name__}). Mend the plugin.",
        )

    @contextmanager
    def blamed(self, hook: str) -> Iterator[None]:
        """Within this block any error names plugin, distribution and hook."""
        try:
            yield
        except _FOR_THE_USER as error:
            error.add_note(f"raised by plugin {self.name!r} ({self.origin or 'registered by hand'}) in {hook}")
            raise
        except Exception as error:
            raise PluginHookError(
                self.name,
                self.origin,
                f"{hook} raised {type(error).__name__}: {str(error).rstrip('.')}. "
                "Tell the plugin's author, or load only others with DRAGONKIT_PLUGINS.",
            ) from error

    def _fail(self, reason: str, cause: BaseException | None = None) -> PluginLoadError:
        self.reason, self.cause = reason, cause
        return self.load_error()


class _Unusable(Exception):
    """A plugin breaks a rule that pluggy does not check."""


def entry_points() -> list[metadata.EntryPoint]:
    """The installed plugins' entry points, in an order that does not depend on the machine."""
    return sorted(metadata.entry_points(group=GROUP), key=lambda point: (point.name, point.dist.name if point.dist else ""))


def wanted_plugins() -> set[str] | None:
    """The names in DRAGONKIT_PLUGINS (separated by commas; "" loads none), or None for all installed plugins."""
    names = os.environ.get("DRAGONKIT_PLUGINS")
    return None if names is None else {name.strip() for name in names.split(",") if name.strip()}


def flag(variable: str) -> bool:
    """Whether an environment variable switches something on."""
    return os.environ.get(variable, "").strip().lower() not in ("", "0", "false", "no")


def _checked_hooks(manager: pluggy.PluginManager, module: object) -> dict[str, tuple[Callable[..., Any], tuple[str, ...]]]:
    """The plugin's hook functions, after the checks that pluggy leaves to others."""
    known = [name for name, caller in vars(manager.hook).items() if not name.startswith("_") and caller.has_spec()]
    if inspect.isclass(module):
        raise _Unusable(f"it is the class {module.__name__}. Register a module or an instance instead.")
    hooks = {}
    for caller in manager.get_hookcallers(module) or []:
        impl = next(impl for impl in caller.get_hookimpls() if impl.plugin is module)
        if not caller.has_spec():
            if impl.optionalhook:
                continue
            guess = closest(caller.name, known)
            raise _Unusable(f"there is no hook {caller.name!r}.{guess} Mark it optionalhook=True if it is of another dragonkit version.")
        if impl.kwargnames:
            raise _Unusable(f"{caller.name} gives {impl.kwargnames[0]!r} a default value, and so would never receive it. Remove it.")
        if impl.wrapper or impl.hookwrapper:
            raise _Unusable(f"{caller.name} is a wrapper, but each plugin is called on its own. Make it a plain function.")
        hooks[caller.name] = (impl.function, tuple(impl.argnames))
    for name in known:
        if name not in hooks and callable(inspect.getattr_static(module, name, None)):
            raise _Unusable(f"its function {name} is not marked as a hook. Put @dragonkit.hookimpl above it.")
    if not hooks:
        raise _Unusable(f"it implements no hook. Define one of {', '.join(known)} and put @dragonkit.hookimpl above it.")
    return hooks


def _checked_modes(plugin: Plugin) -> dict[str, type[Edit]]:
    hook, expected = "dragonkit_edits", "classes derived from dragonkit.Edit"
    modes: dict[str, type[Edit]] = {}
    for edit_type in plugin.call_for_list(hook, lambda item: inspect.isclass(item) and issubclass(item, Edit), expected):
        mode = getattr(edit_type, "mode", None)
        if not isinstance(mode, str) or not _MODE.fullmatch(mode):
            raise _Unusable(
                f'the edit {edit_type.__name__} has the mode {short(mode)}. Write mode: ClassVar[str] = "name", '
                "in lower-case letters, digits, '-' and '_'."
            )
        if mode in modes:
            raise _Unusable(f"its edits {modes[mode].__name__} and {edit_type.__name__} have the same mode {mode!r}. Rename one.")
        modes[mode] = edit_type
    return modes
