"""A tiny model in a folder, and jobs for it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from helpers.batches import write_tiny_model
from PIL import Image

from dragonkit.batching.run import Summary, batch
from dragonkit.editing.editor import Editor
from dragonkit.editing.layout import Layout
from dragonkit.editing.results import EditResult
from dragonkit.edits.file import EditFile
from dragonkit.edits.settings import Settings
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
def run_real(
    model: str, loaded: Editor, registry: PluginRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Summary]:
    """`batch` with the tiny model, into out/. Its weights are read once for all tests; every call has an editor that remembers nothing."""

    def from_pretrained(name: str, device: str | None = None, registry: PluginRegistry = registry) -> Editor:
        return Editor(loaded.backbone, loaded.card, registry) if name == model else load(name, device, registry=registry)

    load = Editor.from_pretrained
    monkeypatch.setattr(Editor, "from_pretrained", from_pretrained)

    def run(jobs: Any, out: Any = tmp_path / "out", **options: Any) -> Summary:
        return batch(jobs, out, **{"model": model, **options})

    return run


@pytest.fixture
def run(run_real: Callable[..., Summary], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Summary]:
    """The same, but what is made of a picture is noise that its edit file decides on: no network runs, all around it is real."""
    monkeypatch.setattr(Editor, "source_of", lambda self, file: SimpleNamespace(file=file, image_size=file.photo().size))
    monkeypatch.setattr(Editor, "edit", _noise)
    return run_real


def _noise(self: Editor, source: Any, layout: Layout, settings: Settings) -> EditResult:
    file, photo = source.file, source.file.photo()
    made = EditFile.of(self.card.name, photo, file.prompt, self.settings(settings), layout.edits)
    seed = int.from_bytes(hashlib.sha256(made.shareable().model_dump_json().encode()).digest()[:8])
    pixels = np.random.default_rng(seed).integers(0, 255, photo.rgb.shape, dtype=np.uint8)
    return EditResult(Image.fromarray(pixels), SimpleNamespace(warnings=()), made, np.ones(photo.rgb.shape[:2], np.float32))  # type: ignore[arg-type]
