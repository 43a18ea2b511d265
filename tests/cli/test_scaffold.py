"""`dragonkit new-plugin` writes a package that works, is tidy, passes its tests and can be installed; it overwrites nothing."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.faults import full_after, state
from helpers.nudging import NudgePlugin
from typer.testing import Result

import dragonkit as dk
from dragonkit.cli.scaffold import LONGEST_NAME, write_plugin
from dragonkit.errors import EditError
from dragonkit.plugins.registry import PluginRegistry

ROOT = Path(__file__).parents[2]
NAMES = ["turn-over", "a", "class-var", "none", "x" * LONGEST_NAME, "-".join("ab3cd" * 4)]

Invoke = Callable[..., Result]
Refuse = Callable[..., str]


def files_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_it_says_what_it_wrote_and_what_comes_next(invoke: Invoke, folder: Path) -> None:
    result = invoke("new-plugin", "turn-over")
    assert (result.exit_code, result.stderr) == (0, "")
    expected = ["README.md", "dragonkit_turn_over.py", "pyproject.toml", "tests/test_turn_over.py"]
    assert files_in(folder / "dragonkit-turn-over") == expected
    lines = result.stdout.splitlines()
    assert sorted(lines[:4]) == [f"wrote dragonkit-turn-over/{name}" for name in expected]
    install = "python -m pip install -e 'dragonkit-turn-over[test]'"
    assert [line.strip() for line in lines[-3:]] == [install, "python -m pytest dragonkit-turn-over", "dragonkit turn-over --help"]


def test_it_writes_where_it_is_told(invoke: Invoke, folder: Path) -> None:
    (folder / "my plugins" / "empty").mkdir(parents=True)
    for place in ("my plugins/empty", "my plugins/new/er"):
        result = invoke("new-plugin", "turn-over", "--folder", place)
        assert result.exit_code == 0
        assert f"python -m pip install -e '{place}[test]'" in result.stdout
        assert "dragonkit_turn_over.py" in files_in(folder / place)


@pytest.mark.processes
def test_it_needs_no_torch(tmp_path: Path) -> None:
    code = "import sys; from dragonkit.cli import main\ntry: main()\nfinally: print('torch' in sys.modules)"
    words = [sys.executable, "-c", code, "new-plugin", "turn-over"]
    process = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert process.stdout.endswith("\nFalse\n")


# -- refusals ----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Turn", "turn_over", "2turn", "turn--over", "turn-", "ünder", "a b", "../up", "x" * (LONGEST_NAME + 1)])
def test_names_that_are_none(name: str, refuse: Refuse) -> None:
    assert refuse("new-plugin", "--", name).startswith(f"the name is {name!r}, but must be")


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("move", "an edit mode 'move'"),
        ("nudge", "an edit mode 'nudge'"),
        ("nudger", "a plugin 'nudger'"),
        ("run", "a command 'run'"),
        ("new-plugin", "a command 'new-plugin'"),
        ("greet", "a command 'greet'"),
    ],
)
def test_names_that_are_taken(name: str, what: str, nudge: NudgePlugin, invoke: Invoke, folder: Path) -> None:
    before = files_in(folder)
    result = invoke("new-plugin", name)
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"error: there is {what} already" in result.stderr
    assert files_in(folder) == before


@pytest.mark.parametrize("size", [0, 500, 2000])
def test_a_full_disk_leaves_nothing(folder: Path, size: int) -> None:
    (folder / "empty").mkdir()
    before = state(folder)
    for place in ("empty", "new/er", "."):
        if place == ".":
            (folder / "here").mkdir()
            os.chdir(folder / "here")
        with pytest.raises(EditError, match="cannot be written to"), full_after(size):
            write_plugin("turn", Path(place))
    assert state(folder) == {**before, "here": None}


def test_nothing_is_overwritten(refuse: Refuse, folder: Path) -> None:
    (folder / "full").mkdir()
    (folder / "full" / "pyproject.toml").write_text("mine")
    assert "'full' is there already and not an empty folder" in refuse("new-plugin", "turn", "--folder", "full")
    assert (folder / "full" / "pyproject.toml").read_text() == "mine"
    assert "'photo.png' is there already and not an empty folder" in refuse("new-plugin", "turn", "--folder", "photo.png")
    assert "the plugin cannot be written to 'photo.png/inside'" in refuse("new-plugin", "turn", "--folder", "photo.png/inside")
    with pytest.raises(EditError, match="not an empty folder"):
        write_plugin("turn", folder / "full")


# -- what is written ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.processes
@pytest.mark.parametrize("name", NAMES)
def test_the_code_is_tidy(name: str, tmp_path: Path) -> None:
    write_plugin(name, tmp_path)
    rules = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]
    select = ["--select", ",".join(rules["lint"]["select"])]
    for options in ([], ["--isolated", "--line-length", str(rules["line-length"])]):  # with its own settings, and with ours
        words = [sys.executable, "-m", "ruff", "check", *options, *select, "."]
        process = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert process.returncode == 0, process.stdout


def test_the_package_is_named_after_the_plugin(tmp_path: Path) -> None:
    write_plugin("turn-over", tmp_path)
    project = tomllib.loads((tmp_path / "pyproject.toml").read_text())["project"]
    assert (project["name"], project["entry-points"]) == ("dragonkit-turn-over", {"dragonkit": {"turn-over": "dragonkit_turn_over"}})
    assert "dragonkit" in project["dependencies"]


@pytest.mark.parametrize("name", NAMES)
def test_names_lead_to_names_of_classes(name: str, tmp_path: Path, load: Callable[[Path], Any]) -> None:
    write_plugin(name, tmp_path)
    module = load(tmp_path / f"dragonkit_{name.replace('-', '_')}.py")
    (edit_type,) = module.dragonkit_edits()
    assert edit_type.mode == name
    assert edit_type.__name__.isidentifier() and edit_type.__name__[0].isupper()


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], Any]]:
    """Import a file as the module of its name, and forget it afterwards."""
    loaded = []

    def load(path: Path) -> Any:
        monkeypatch.syspath_prepend(str(path.parent))
        loaded.append(path.stem)
        return importlib.import_module(path.stem)

    yield load
    for name in loaded:
        sys.modules.pop(name, None)


@pytest.mark.processes
def test_its_tests_pass(tmp_path: Path, load: Callable[[Path], Any]) -> None:
    """In this process; the next test does it as a reader would."""
    write_plugin("turn-over", tmp_path)
    load(tmp_path / "dragonkit_turn_over.py")
    tests = load(tmp_path / "tests" / "test_turn_over.py")
    names = [name for name in vars(tests) if name.startswith("test_")]
    assert len(names) >= 2
    for name in names:
        getattr(tests, name)()


@pytest.mark.slow
def test_its_energies_show(tmp_path: Path, load: Callable[[Path], Any]) -> None:
    """Whoever changes a formula or a weight sees it in the picture, with the model's own settings; measured: 287 and 185 pixels."""
    write_plugin("shove", tmp_path)
    module = load(tmp_path / "dragonkit_shove.py")
    code = (tmp_path / "dragonkit_shove.py").read_text()
    (tmp_path / "dragonkit_pull.py").write_text(code.replace("return local_similarity(", "return 1 - local_similarity("))
    other, scene = load(tmp_path / "dragonkit_pull.py"), dk.toybox.scene(seed=10)

    def edited(plugin: Any, **weights: float) -> np.ndarray:
        registry = PluginRegistry()
        registry.register(plugin, "shove")
        edit = plugin.Shove(mask=scene.objects[0].mask, shift=(30, -20), **weights)
        result = dk.Editor.from_pretrained(registry=registry).edit(scene.image, edit, prompt=scene.caption)
        assert not any("guided nothing" in warning for warning in result.report.warnings)
        return np.asarray(result.image, dtype=int)

    usual = edited(module)
    for changed in (edited(module, leave_weight=0.0), edited(other)):
        assert (np.abs(changed - usual).max(axis=2) > 20).sum() > 120


@pytest.mark.e2e
def test_it_is_installed_and_tested_as_its_author_would(tmp_path: Path) -> None:
    folder, environment = tmp_path / "dragonkit-turn-over", tmp_path / "environment"
    write_plugin("turn-over", folder)

    def run(*words: str | Path, cwd: Path = tmp_path) -> str:
        process = subprocess.run(list(map(str, words)), cwd=cwd, capture_output=True, text=True, check=False)
        assert process.returncode == 0, process.stdout + process.stderr
        return process.stdout

    run(sys.executable, "-m", "venv", "--without-pip", environment)
    python = environment / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    packages = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    # addsitedir, because dragonkit itself may be installed by a .pth file there
    (packages / "these.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    pip = (sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check", "install", "--no-deps", "--no-build-isolation")
    run(*pip, folder)
    assert (packages / "dragonkit_turn_over.py").is_file()
    assert not (packages / "tests").exists()

    (mode,) = [mode for mode in json.loads(run(python, "-m", "dragonkit", "modes", "--json")) if mode["mode"] == "turn-over"]
    assert mode["plugin"] == "turn-over" and all(field["description"] for field in mode["fields"])
    (plugin,) = [one for one in json.loads(run(python, "-m", "dragonkit", "plugins", "--json")) if one["name"] == "turn-over"]
    assert (plugin["distribution"], plugin["version"], plugin["status"]) == ("dragonkit-turn-over", "0.1.0", "ok")
    assert "--leave-weight" in run(python, "-m", "dragonkit", "turn-over", "--help")
    assert "3 passed" in run(python, "-m", "pytest", cwd=folder)


@pytest.mark.parametrize(
    "right, wrong, said",
    [
        ("def dragonkit_edits():", "def dragonkit_edits(:", "raised SyntaxError"),
        ("from dataclasses import replace", "from dataclasses import replaced", "raised ImportError"),
        ("    mask = load_mask(edit.mask, size)", "    mask = load_mask(edit.mask, sizes)", "dragonkit_build_masks raised NameError"),
    ],
)
def test_a_broken_line_is_named(
    invoke: Callable[..., Any],
    registry: PluginRegistry,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    right: str,
    wrong: str,
    said: str,
) -> None:
    """File and line, wherever the mistake comes out."""
    own = folder / "dragonkit-turn-over"
    write_plugin("turn-over", own)
    code = (own / "dragonkit_turn_over.py").read_text()
    (own / "dragonkit_turn_over.py").write_text(code.replace(right, wrong, 1))
    monkeypatch.syspath_prepend(str(own))
    line = next(number for number, text in enumerate(code.splitlines(), 1) if text == right)
    try:
        if "build_masks" in said:
            registry.register(importlib.import_module("dragonkit_turn_over"), "turn-over")
            told = invoke("turn-over", "photo.png", "--mask", "mask.png", "--shift", "8,0").stderr
        else:
            monkeypatch.setattr(
                "dragonkit.plugins.collection.entry_points",
                lambda: [metadata.EntryPoint("turn-over", "dragonkit_turn_over", "dragonkit")],
            )
            with pytest.warns(UserWarning, match=said) as caught:
                PluginRegistry()
            told = str(caught[0].message)
    finally:
        sys.modules.pop("dragonkit_turn_over", None)
    assert said in told and f"(dragonkit_turn_over.py, line {line})" in told


def test_the_readme_shows_the_mode_in_use(tmp_path: Path, load: Callable[[Path], Any]) -> None:
    write_plugin("turn-over", tmp_path / "new")
    text = (tmp_path / "new" / "README.md").read_text("utf-8")
    (code,) = (part.partition("```")[0] for part in text.split("```python\n")[1:])
    compile(code, "README.md", "exec")
    assert "$" not in text and f"import {load(tmp_path / 'new' / 'dragonkit_turn_over.py').TurnOver.__name__}" in code
