"""Masks as tensors, made once for a device."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from dragonkit.energy.cells import Cells
from dragonkit.imaging.masks import Grid
from dragonkit.plugins.placement import Placement

MASK = np.zeros((8, 12), bool)
MASK[2:5, 3:7] = True


def test_arrays_come_to_a_device_once_and_are_what_they_were() -> None:
    masks = Placement(MASK, MASK, back=lambda places: places - (1, 0)).on(Grid(6, 4, 12, 8))
    cells, like = Cells(masks), torch.zeros(1)
    for name in ("source", "target", "preserve", "vacated", "surroundings", "correspondence"):
        found = cells(name, like)
        assert cells(name, like) is found
        assert np.array_equal(found.numpy(), getattr(masks, name))
    elsewhere = cells("target", torch.zeros(1, device="meta"))
    assert elsewhere.device.type == "meta" and cells("target", like).device.type == "cpu"


@pytest.mark.processes
def test_it_imports_without_torch() -> None:
    code = "import sys, dragonkit.energy.cells; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip() == "False"
