"""A tiny model in a folder, and jobs for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers.batches import write_tiny_model

from dragonkit.batching.run import Summary, batch
from dragonkit.editing.editor import Editor
from dragonkit.plugins import registry as plugins
from dragonkit.plugins.registry import PluginRegistry


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_tiny_model(tmp_path_factory.mktemp("tiny-model"))


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> PluginRegistry:
    """The registry that workers see: the built-in plugins only; a test may add its own."""
    registry = PluginRegistry(discover=False)
    monkeypatch.setattr(plugins, "get_registry", lambda: registry)
    return registry


@pytest.fixture(scope="session")
def loaded(model: str) -> Editor:
    return Editor.from_pretrained(model, registry=PluginRegistry(discover=False))


@pytest.fixture
def run(model: str, loaded: Editor, registry: PluginRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Summary]:
    """`batch` with the tiny model, into out/. Its weights are read once for all tests; every call has an editor that remembers nothing."""

    def from_pretrained(name: str, device: str | None = None, registry: PluginRegistry = registry) -> Editor:
        return Editor(loaded.backbone, loaded.card, registry) if name == model else load(name, device, registry=registry)

    load = Editor.from_pretrained
    monkeypatch.setattr(Editor, "from_pretrained", from_pretrained)

    def run(jobs: Any, out: Any = tmp_path / "out", **options: Any) -> Summary:
        return batch(jobs, out, **{"model": model, **options})

    return run
