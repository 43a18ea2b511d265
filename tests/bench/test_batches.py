"""What `dragonkit bench batch` measures adds up."""

from __future__ import annotations

import pytest
from helpers.batches import FAST, write_tiny_model

from dragonkit.bench.batches import measure_batches, measure_driver
from dragonkit.edits.settings import Settings


def test_a_plain_batch_beside_the_editor_alone(tmp_path_factory: pytest.TempPathFactory) -> None:
    model, seen = write_tiny_model(tmp_path_factory.mktemp("model")), []
    alone, plain = measure_batches(4, [("plain", 1)], model, Settings(**FAST), progress=lambda *of: seen.append(of))
    assert seen == [(number, 8) for number in range(1, 9)]
    assert (alone.engine, plain.engine, plain.workers) == ("none", "plain", 1)
    assert plain.inside > 0
    assert 0 < plain.overhead < 1


def test_the_driver_alone_is_quick() -> None:
    assert 0 < measure_driver(50) < 0.1
