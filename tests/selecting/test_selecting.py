"""The built-in selectors are a plugin like any other, and each can be described to people."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from dragonkit import selecting
from dragonkit.plugins.registry import PluginRegistry
from dragonkit.plugins.selector import Selector

SELECTORS = selecting.dragonkit_selectors()


def test_it_registers_like_a_plugin_of_anyones() -> None:
    registry = PluginRegistry(builtin=(), discover=False)
    registry.register(selecting)
    assert {name: one.gesture for name, one in registry.selectors().items()} == {
        "box": "box",
        "brush": "stroke",
        "lasso": "outline",
        "polygon": "outline",
        "wand": "clicks",
        "object": "clicks",
    }


@pytest.mark.parametrize("selector", SELECTORS, ids=lambda selector: selector.name)
def test_every_option_has_a_default_a_range_and_a_description(selector: Selector) -> None:
    for field in selector.options.model_json_schema()["properties"].values():
        assert field["description"]
        assert "default" in field
        assert field["type"] == "boolean" or {"minimum", "maximum"} <= field.keys()


@pytest.mark.parametrize("selector", SELECTORS, ids=lambda selector: selector.name)
@pytest.mark.parametrize("size", [(33, 20), (20, 33), (16, 16)])
def test_masks_have_the_pictures_size_and_leave_it_alone(selector: Selector, size: tuple[int, int]) -> None:
    width, height = size
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    before = pixels.copy()
    gestures = {
        "box": (2, 3, 9, 11.5),
        "stroke": [(2, 3), (9, 11)],
        "outline": [(2, 3), (9, 3), (6, 11)],
        "clicks": [(6.5, 7.5, True)],
    }
    mask = selector.select(pixels, gestures[selector.gesture])
    assert (mask.shape, mask.dtype) == ((height, width), bool)
    assert mask[7, 6]
    assert np.array_equal(selector.select(pixels, gestures[selector.gesture]), mask)
    assert np.array_equal(pixels, before)


@pytest.mark.processes
def test_it_imports_without_torch_and_opencv() -> None:
    code = "import sys, dragonkit.selecting; sys.exit(bool({'torch', 'cv2'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
