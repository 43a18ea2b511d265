"""The least that a call of the network can take, from what is counted and measured."""

from __future__ import annotations

import pytest

from dragonkit.bench.floor import Floor, measure_floor
from dragonkit.testing import tiny_editor


def test_the_slower_of_computing_and_reading_decides() -> None:
    assert Floor(operations=100, weights=8, rate=50, bandwidth=2, call=9).seconds == pytest.approx(4)
    assert Floor(operations=100, weights=8, rate=20, bandwidth=2, call=9).seconds == pytest.approx(5)


def test_no_call_is_faster_than_its_floor() -> None:
    backbone = tiny_editor().backbone
    found = measure_floor(backbone, 3)
    assert found.weights == sum(4 * each.numel() for each in backbone.unet.parameters())  # type: ignore[attr-defined]
    assert found.operations > 2 * found.weights / 4  # each weight is multiplied and added once or more
    assert 0 < found.seconds < found.call
