"""Going back and going on lose nothing."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from dragonkit.errors import EditError
from dragonkit.jupyter.work.history import Entry, History


def entry(name: str) -> Any:
    """A run of the mode `name`, with its result's picture one grey lighter than its source."""
    grey = len(name)
    source, image = (Image.new("L", (4, 4), value) for value in (grey, grey + 1))
    return Entry(source, (SimpleNamespace(mode=name),), SimpleNamespace(image=image), {"prompt": name})  # type: ignore[arg-type]


def test_entries_are_kept_in_order() -> None:
    history = History()
    assert len(history) == 0 and history.current is None and list(history) == []
    entries = [entry(name) for name in ("move", "resize", "move")]
    for one in entries:
        history.add(one)
        assert history.current is one
    assert list(history) == entries and history[-1] is entries[2] and history[:2] == entries[:2]
    assert repr(history) == "<History of 3 runs: move; resize; move>"
    assert repr(History()) == "<History of 0 runs>"


def test_to_revert_removes_nothing() -> None:
    history = History()
    first, second = entry("move"), entry("drag")
    history.add(first)
    history.add(second)
    assert history.revert(0) is first and history.current is first
    assert list(history) == [first, second]
    assert history.revert(1) is second and history.current is second


@pytest.mark.parametrize("index", [1, -2, 7])
def test_a_run_that_is_not_there(index: int) -> None:
    history = History()
    history.add(entry("move"))
    with pytest.raises(EditError, match=f"no run number {index} .* has 1"):
        history.revert(index)
    assert history.current is history[0]
