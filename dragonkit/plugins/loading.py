"""One plugin at a time: find it, import it, check its hooks, call one of them and say whose fault an error is."""

from __future__ import annotations

import functools
import inspect
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sized
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any

import pluggy

from dragonkit.edits.edit import Edit
from dragonkit.errors import DragonkitError, DuplicateModeError, PluginHookError, PluginLoadError
from dragonkit.plugins.blame import FOR_THE_USER, blamed, where
from dragonkit.words import closest, short

__all__ = ["GROUP", "Plugin", "entry_points", "flag", "wanted_plugins"]

GROUP = "dragonkit"

_MODE = re.compile(r"[a-z][a-z0-9_-]*")


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
        contested: whether it could not be loaded because another plugin has one of its modes.
        faults: what was wrong with later answers, each beginning with the hook; such a plugin stays loaded, without these answers.
    """

    name: str
    distribution: str | None = None
    version: str | None = None
    hooks: dict[str, tuple[Callable[..., Any], tuple[str, ...]]] = field(default_factory=dict)
    modes: dict[str, type[Edit]] = field(default_factory=dict)
    reason: str | None = None
    cause: BaseException | None = None
    contested: bool = False
    faults: list[str] = field(default_factory=list)

    @property
    def origin(self) -> str | None:
        """Distribution and version, for messages."""
        return f"{self.distribution} {self.version or ''}".strip() if self.distribution else None

    @property
    def reasons(self) -> list[str]:
        """All that is wrong with it."""
        return [*([self.reason] if self.reason else []), *self.faults]

    def describe(self) -> dict[str, Any]:
        """What `dragonkit plugins --json` prints."""
        return {
            "name": self.name,
            "distribution": self.distribution,
            "version": self.version,
            "hooks": sorted(self.hooks),
            "modes": sorted(self.modes),
            "status": "broken" if self.reasons else "ok",
            "reason": " ".join(self.reasons) or None,
        }

    def load_error(self) -> PluginLoadError:
        """The error for a broken plugin, with its cause."""
        kind = DuplicateModeError if self.contested else PluginLoadError
        error = kind(self.name, self.origin, self.reason or "it could not be loaded.")
        error.__cause__ = self.cause
        return error

    def load(self, manager: pluggy.PluginManager, importer: Callable[[], object], owners: Mapping[str, Plugin]) -> None:
        """Import the module, register its hooks and collect its modes. PluginLoadError when that fails."""
        try:
            module = importer()
        except (Exception, SystemExit) as error:  # whatever a stranger's module does while it is imported
            raise self._fail(f"importing it raised {type(error).__name__}: {error}{where(error)}. Mend or uninstall it.", error) from error
        except KeyboardInterrupt as error:
            error.add_note(f"plugin {self.name!r} ({self.origin}) was being imported")
            raise
        self.attach(manager, module, owners)

    def attach(self, manager: pluggy.PluginManager, module: object, owners: Mapping[str, Plugin]) -> None:
        """Register the module's hooks and collect its modes.

        Args:
            owners: the modes that other plugins have already.

        Raises:
            PluginLoadError: it breaks a rule, or a name is taken; nothing stays registered then.
        """
        if manager.has_plugin(self.name):
            raise self._fail(f"the name {self.name!r} is taken by another plugin. Rename its entry point, or uninstall one.")
        if manager.is_registered(module):
            raise self._fail(f"it is registered already, as {manager.get_name(module)!r}. Register it once.")
        try:
            manager.register(module, self.name)
            self.hooks = _checked_hooks(manager, module)
            self.modes = _checked_modes(self, owners)
        except (Exception, SystemExit) as error:  # whatever a stranger's object does while it is looked at
            if manager.is_registered(module):
                manager.unregister(module)
            self.hooks, self.modes, self.contested = {}, {}, isinstance(error, _Contested)
            raise self._fail(self._reason_of(error), error.__cause__ or error) from self.cause

    def _reason_of(self, error: BaseException) -> str:
        """Why it could not be registered."""
        reason = self.without_name(error)
        if isinstance(error, pluggy.PluginValidationError):
            return f"{reason}. See dragonkit.plugins.specs for what each hook is given."
        known = isinstance(error, (DragonkitError, _Unusable))
        return reason if known else f"registering it raised {type(error).__name__}: {reason}. Mend the plugin."

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

    def without_name(self, error: BaseException) -> str:
        """The error's text on one line without this plugin's name, which another error puts in front again."""
        return " ".join(str(error).removeprefix(str(PluginHookError(self.name, self.origin, ""))).split())

    def wrong_answer(self, hook: str, expected: str, answer: object, what: str = "") -> PluginHookError:
        """The error for a hook that returned something else than promised."""
        return PluginHookError(
            self.name,
            self.origin,
            f"{hook} must return {expected}, but returned {what}{short(answer)} ({type(answer).__name__}). Mend the plugin.",
        )

    def blamed(self, what: str, passing: type[Exception] | tuple[type[Exception], ...] = FOR_THE_USER) -> AbstractContextManager[None]:
        """Within this block any error names plugin, distribution and what of it was running: a hook, say."""
        return blamed(self.name, self.origin, what, passing)

    def guarded(self, function: Callable[..., Any], what: str) -> Callable[..., Any]:
        """A function that the plugin gave, called within `blamed`."""

        @functools.wraps(function)
        def call(*args: Any, **named: Any) -> Any:
            with self.blamed(what):
                return function(*args, **named)

        return call

    def _fail(self, reason: str, cause: BaseException | None = None) -> PluginLoadError:
        self.reason, self.cause = reason, cause
        return self.load_error()


class _Unusable(Exception):
    """A plugin breaks a rule that pluggy does not check."""


class _Contested(_Unusable):
    """It offers a mode that another plugin has."""


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


def _checked_modes(plugin: Plugin, owners: Mapping[str, Plugin]) -> dict[str, type[Edit]]:
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
        if mode in owners:
            first = owners[mode]
            raise _Contested(
                f"it offers the edit mode {mode!r}, and so does plugin {first.name!r} (from {first.origin or 'this program'}), which came "
                "first and keeps it. Rename the mode, or name the plugins to load in DRAGONKIT_PLUGINS."
            )
        modes[mode] = edit_type
    return modes
