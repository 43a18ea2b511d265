"""Pictures to edit, and ways to run the command line in this process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.nudging import NudgePlugin
from PIL import Image
from typer.testing import CliRunner, Result

from dragonkit.cli.app import app
from dragonkit.plugins import registry as plugins
from dragonkit.plugins.registry import PluginRegistry

Invoke = Callable[..., Result]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: a picture of 48x32 pixels as photo.png, and mask.png for the object in it."""
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 255, (32, 48, 3), dtype=np.uint8)
    pixels[8:20, 6:18] = (200, 30, 30)
    Image.fromarray(pixels).save("photo.png")
    mask = np.zeros((32, 48), bool)
    mask[8:20, 6:18] = True
    Image.fromarray(mask).save("mask.png")
    return tmp_path


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> PluginRegistry:
    """The registry that the command line sees: the built-in plugins only; a test may add its own."""
    registry = PluginRegistry(discover=False)
    monkeypatch.setattr(plugins, "get_registry", lambda: registry)
    return registry


@pytest.fixture
def nudge(registry: PluginRegistry) -> NudgePlugin:
    plugin = NudgePlugin()
    registry.register(plugin, "nudger")
    return plugin


@pytest.fixture
def invoke(registry: PluginRegistry) -> Invoke:
    """Run `dragonkit` with these words in this process."""

    def run(*words: str | Sequence[str], stdin: Any = None) -> Result:
        flat = [part for word in words for part in ([word] if isinstance(word, str) else word)]
        return CliRunner().invoke(app, flat, prog_name="dragonkit", input=stdin)

    return run


@pytest.fixture
def refuse(invoke: Invoke, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Run words that must be refused without a model: the one line on stderr. Nothing may be written."""

    def no_model(*_: Any, **__: Any) -> None:
        raise AssertionError("the model was loaded")

    monkeypatch.setattr("dragonkit.editing.editor.Editor.from_pretrained", no_model)

    def run(*words: str | Sequence[str]) -> str:
        before = sorted(folder.rglob("*"))
        result = invoke(*words)
        assert (result.exit_code, result.stdout) == (2, "")
        assert sorted(folder.rglob("*")) == before
        assert result.stderr.startswith("error: ")
        assert result.stderr.count("\n") == 1
        return result.stderr.removeprefix("error: ").rstrip()

    return run
