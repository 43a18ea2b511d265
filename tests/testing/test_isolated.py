"""Small models and closed registries: what they contain, and that nothing leaks in or out."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from helpers.sliding import MASK, Slide, SlidePlugin

from dragonkit.errors import DuplicateModeError, PluginLoadError
from dragonkit.modes import move
from dragonkit.plugins.registry import BUILTIN, PluginRegistry
from dragonkit.plugins.specs import hookimpl
from dragonkit.testing import isolated_registry, tiny_editor, tiny_pipeline


def test_only_what_is_given_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere.py").write_text("raise ImportError('nobody asked for this one')")
    info = tmp_path / "elsewhere-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: elsewhere\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[dragonkit]\nelsewhere = elsewhere\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.warns(UserWarning, match="nobody asked"):
        assert "elsewhere" in [plugin["name"] for plugin in PluginRegistry().describe()]

    own = isolated_registry(SlidePlugin(), builtin=False)
    assert [plugin["name"] for plugin in own.describe()] == ["SlidePlugin", "inversions"]
    both = isolated_registry(SlidePlugin())
    assert [plugin["name"] for plugin in both.describe()] == [*(name.rpartition(".")[2] for name in BUILTIN), "SlidePlugin"]


def test_plugins_may_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("named_plugin")
    module.dragonkit_edits = hookimpl(lambda: [Slide])  # type: ignore[attr-defined]
    module.plugin = SlidePlugin()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "named_plugin", module)
    assert isolated_registry("named_plugin", builtin=False).owner("slide").name == "named_plugin"
    assert isolated_registry("named_plugin:plugin", builtin=False).owner("slide").name == "SlidePlugin"
    with pytest.raises(ImportError):
        isolated_registry("no_such_plugin")


def test_rules_hold_as_in_any_registry() -> None:
    with pytest.raises(PluginLoadError, match="implements no hook"):
        isolated_registry(object())
    with pytest.raises(DuplicateModeError, match="'slide'"):
        isolated_registry(SlidePlugin(), type("Other", (SlidePlugin,), {})()).owner("slide")


def test_a_built_in_module_is_registered_once() -> None:
    assert "move" in isolated_registry(move).edit_types()
    assert set(isolated_registry("dragonkit.modes.move", builtin=False).edit_types()) == {"move"}


def test_the_tiny_model_is_the_same_every_time_and_draws_nobodys_numbers() -> None:
    before = torch.random.get_rng_state()
    one, again, other, wide = tiny_pipeline(), tiny_pipeline(), tiny_pipeline(seed=1), tiny_pipeline(dtype=torch.float64)
    assert torch.equal(torch.random.get_rng_state(), before)
    for name, weight in one.unet.state_dict().items():
        assert torch.equal(weight, again.unet.state_dict()[name])
        assert torch.equal(weight.double(), wide.unet.state_dict()[name])
    assert not torch.equal(one.unet.conv_in.weight, other.unet.conv_in.weight)
    assert wide.unet.dtype == wide.vae.dtype == torch.float64
    assert tiny_pipeline("epsilon").scheduler.config.prediction_type == "epsilon"


def test_an_editor_that_runs_the_plugins_edits() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (32, 48, 3), dtype=np.uint8)
    result = tiny_editor(SlidePlugin()).edit(picture, Slide(mask=MASK))
    assert result.image.size == (48, 32)
    assert result.report.model == "tiny"
    assert {name for step in result.report.steps for name in step.energies} == {"SlidePlugin.edit"}
    assert set(tiny_editor().registry.edit_types()) >= {"move"}
    assert set(tiny_editor(SlidePlugin(), builtin=False).registry.edit_types()) == {"slide"}
