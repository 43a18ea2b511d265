"""Installed plugins, good and bad: found by entry point, skipped with a warning, never in silence."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dragonkit.edits.file import EditFile
from dragonkit.errors import DuplicateModeError, PluginHookError, PluginLoadError, UnknownModeError
from dragonkit.plugins.loading import entry_points
from dragonkit.plugins.registry import PluginRegistry

HEAD = """
from typing import ClassVar
from dragonkit.edits.edit import Edit
from dragonkit.plugins.specs import hookimpl

class {name}(Edit):
    mode: ClassVar[str] = "{mode}"
"""
GOOD = """
@hookimpl
def dragonkit_edits():
    return [{name}]
"""
Install = Callable[..., None]
_numbers = itertools.count()


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Put a distribution with one entry point on sys.path, as an installer would."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delenv("DRAGONKIT_PLUGINS", raising=False)
    monkeypatch.delenv("DRAGONKIT_STRICT", raising=False)

    installed: set[str] = set()  # the developer's own plugins shall not disturb
    monkeypatch.setattr("dragonkit.plugins.collection.entry_points", lambda: [point for point in entry_points() if point.name in installed])

    def install(name: str, body: str = GOOD, mode: str | None = None, target: str = "") -> None:
        installed.add(name)
        module = f"plugin_{name}_{next(_numbers)}"  # a new name each time: Python caches modules by name
        source = HEAD + body
        (tmp_path / f"{module}.py").write_text(source.replace("{name}", name.title()).replace("{mode}", mode or name))
        info = tmp_path / f"dk_{name}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: dk-{name}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[dragonkit]\n{name} = {module}{target}\n")

    return install


def quiet() -> PluginRegistry:
    """A registry that must load without any warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return PluginRegistry(builtin=())


def entry(registry: PluginRegistry, name: str) -> dict[str, Any]:
    return next(plugin for plugin in registry.describe() if plugin["name"] == name)


def test_a_good_plugin_is_found(install: Install) -> None:
    install("spin")
    registry = quiet()
    assert registry.edit_types()["spin"].__name__ == "Spin"
    assert entry(registry, "spin") == {
        "name": "spin",
        "distribution": "dk-spin",
        "version": "1.2",
        "hooks": ["dragonkit_edits"],
        "modes": ["spin"],
        "status": "ok",
        "reason": None,
    }


def test_an_entry_point_may_name_an_object(install: Install) -> None:
    install(
        "spin", body="\nclass Plugin:\n    @hookimpl\n    def dragonkit_edits(self): return [{name}]\nplugin = Plugin()\n", target=":plugin"
    )
    assert "spin" in quiet().edit_types()


BROKEN = {
    "import": ("raise ImportError('libspin.so is missing')", "importing it raised ImportError: libspin.so is missing"),
    "syntax": ("def (", "importing it raised SyntaxError"),
    "exit": ("raise SystemExit(3)", "importing it raised SystemExit: 3"),
    "misspelled": ("@hookimpl\ndef dragonkit_edit(): return [{name}]", "no hook 'dragonkit_edit'. Did you mean 'dragonkit_edits'?"),
    "argument": (
        GOOD + "@hookimpl\ndef dragonkit_attention(edit, mask): ...",
        "Argument(s) {'mask'}",
    ),
    "default": (GOOD + "@hookimpl\ndef dragonkit_attention(edit, masks=None): ...", "dragonkit_attention gives 'masks' a default value"),
    "wrapper": (GOOD + "@hookimpl(wrapper=True)\ndef dragonkit_step(step):\n    yield", "dragonkit_step is a wrapper"),
    "unmarked": (GOOD + "def dragonkit_build_masks(edit, size): ...", "dragonkit_build_masks is not marked"),
    "empty": ("", "it implements no hook"),
    "class": ("class Plugin:\n    @hookimpl\n    def dragonkit_edits(self): return []", "it is the class Plugin"),
    "attribute": ("", "importing it raised AttributeError"),
    "raises": ("@hookimpl\ndef dragonkit_edits(): return 1 / 0", "dragonkit_edits raised ZeroDivisionError"),
    "no edit": ("@hookimpl\ndef dragonkit_edits(): return [int]", "classes derived from dragonkit.Edit, but returned an item"),
    "no list": ("@hookimpl\ndef dragonkit_edits(): return {name}", "classes derived from dragonkit.Edit, but returned"),
    "bad mode": ("{name}.mode = 'Spin it'" + GOOD, "the edit Spin has the mode 'Spin it'"),
    "twice": ("@hookimpl\ndef dragonkit_edits(): return [{name}, {name}]", "have the same mode 'spin'"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_plugin_is_skipped_with_a_warning(case: str, install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    body, reason = BROKEN[case]
    install("spin", body=body, target={"class": ":Plugin", "attribute": ":nothing"}.get(case, ""))
    install("good")
    with pytest.warns(UserWarning, match=r"skipped: plugin 'spin' \(from dk-spin 1\.2\): "):
        registry = PluginRegistry(builtin=())
    described = entry(registry, "spin")
    assert (described["status"], described["hooks"], described["modes"]) == ("broken", [], [])
    assert reason in described["reason"]
    assert "plugin 'spin'" not in described["reason"]
    assert "good" in registry.edit_types()
    registry._manager.check_pending()

    monkeypatch.setenv("DRAGONKIT_STRICT", "1")
    with pytest.raises(PluginLoadError) as caught:
        PluginRegistry(builtin=())
    assert reason in str(caught.value)
    assert caught.value.__cause__ is not None


def test_the_original_error_is_raised_when_the_mode_is_asked_for(install: Install) -> None:
    install("alpha", body="raise RuntimeError('not this one')")
    install("spin", body="raise ImportError('libspin.so is missing')")
    install("good")
    with pytest.warns(UserWarning):
        registry = PluginRegistry(builtin=())
    with pytest.raises(PluginLoadError) as caught:
        registry.owner("spin")
    assert isinstance(caught.value.__cause__, ImportError)
    assert (caught.value.plugin, caught.value.distribution) == ("spin", "dk-spin 1.2")
    for part in ("may offer the edit mode 'spin'", "libspin.so is missing", "Known modes: good", "Other broken plugins: alpha"):
        assert part in str(caught.value)
    file = EditFile(model="m", image="a.png", edits=[{"mode": "spin"}])
    with pytest.raises(PluginLoadError, match="libspin"):
        registry.edits_from(file)
    assert registry.owner("good").name == "good"


def test_two_installed_plugins_with_one_mode_are_both_named(install: Install) -> None:
    install("one", mode="spin")
    install("two", mode="spin")
    with pytest.warns(UserWarning, match=r"skipped: plugin 'two' \(from dk-two 1\.2\): ") as caught:
        registry = PluginRegistry(builtin=())
    for part in ("plugin 'one' (from dk-one 1.2)", "'spin'", "DRAGONKIT_PLUGINS"):
        assert part in str(caught[0].message)
    assert registry.owner("spin").name == "one"
    assert (entry(registry, "one")["status"], entry(registry, "two")["status"]) == ("ok", "broken")
    with pytest.raises(DuplicateModeError, match="'one'"):
        PluginRegistry(builtin=(), strict=True)


def test_an_error_in_a_hook_names_the_distribution(install: Install) -> None:
    install("spin", body=GOOD + "@hookimpl\ndef dragonkit_build_masks(edit, size):\n    raise KeyError('angle')")
    registry = quiet()
    with pytest.raises(PluginHookError) as caught:
        registry.build_masks(registry.edit_types()["spin"](), (8, 8))
    assert "plugin 'spin' (from dk-spin 1.2): dragonkit_build_masks raised KeyError: 'angle'" in str(caught.value)
    assert isinstance(caught.value.__cause__, KeyError)


def test_a_wrong_answer_names_the_distribution(install: Install) -> None:
    install("spin", body=GOOD + "@hookimpl\ndef dragonkit_attention(edit):\n    return True")
    registry = quiet()
    with pytest.raises(PluginHookError, match=r"dk-spin 1\.2.*AttentionPlan or None, but returned True"):
        registry.attention(registry.edit_types()["spin"](), None)  # type: ignore[arg-type]


def test_hooks_of_other_versions_may_be_optional(install: Install) -> None:
    install("spin", body=GOOD + "@hookimpl(optionalhook=True)\ndef dragonkit_telepathy(mind): ...")
    assert entry(quiet(), "spin")["hooks"] == ["dragonkit_edits"]


def test_plugins_can_be_restricted(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    install("spin")
    install("good")
    install("bad", body="raise ImportError")
    monkeypatch.setenv("DRAGONKIT_PLUGINS", " spin, good ,")
    assert set(quiet().edit_types()) == {"spin", "good"}
    monkeypatch.setenv("DRAGONKIT_PLUGINS", "")
    registry = quiet()
    assert registry.describe() == []
    with pytest.raises(UnknownModeError):
        registry.owner("spin")


def test_a_wanted_plugin_that_is_not_installed_is_reported(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    install("spin")
    monkeypatch.setenv("DRAGONKIT_PLUGINS", "spni")
    with pytest.warns(UserWarning, match=r"not installed\. Did you mean 'spin'"):
        registry = PluginRegistry(builtin=())
    assert entry(registry, "spni")["status"] == "broken"


def test_a_taken_name_is_refused_and_the_first_plugin_stays(install: Install) -> None:
    install("spin")
    registry = quiet()
    module = type("Other", (), {})()
    with pytest.raises(PluginLoadError, match="the name 'spin' is taken"):
        registry.register(module, "spin")
    assert registry.owner("spin").distribution == "dk-spin"


def test_an_object_is_registered_once_and_a_refused_one_not_at_all(install: Install) -> None:
    install("spin")
    registry = quiet()
    module = registry._manager.get_plugin("spin")
    with pytest.raises(PluginLoadError, match="it is registered already, as 'spin'"):
        registry.register(module, "again")
    with pytest.raises(PluginLoadError, match="implements no hook"):
        registry.register(object(), "silent")
    assert [plugin["name"] for plugin in registry.describe()] == ["spin"]
