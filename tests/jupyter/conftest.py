"""Editors on a tiny model, without a browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from helpers.editors import PICTURE, SOON, STEPS, Gate, Troublemaker
from helpers.headless import Browser, open_browser

import dragonkit as dk
from dragonkit.testing import tiny_editor


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open.set()


@pytest.fixture
def trouble() -> Troublemaker:
    return Troublemaker()


@pytest.fixture
def model(tiny_pipeline: Any, gate: Gate, trouble: Troublemaker, monkeypatch: pytest.MonkeyPatch) -> dk.Editor:
    monkeypatch.setattr("dragonkit.testing.isolated.tiny_pipeline", lambda: tiny_pipeline)
    return tiny_editor(gate, trouble)


@pytest.fixture
def browser(monkeypatch: pytest.MonkeyPatch) -> Browser:
    return open_browser(monkeypatch)


@pytest.fixture
def open_editor(model: dk.Editor, gate: Gate, browser: Browser) -> Iterator[Callable[..., dk.EditorWidget]]:
    """Makes editors on the tiny model, and ends what they do."""
    made: list[dk.EditorWidget] = []

    def make(image: Any = PICTURE, prompt: str = "a fish", **options: Any) -> dk.EditorWidget:
        made.append(dk.EditorWidget(image, prompt, **{"editor": model, "settings": STEPS, **options}))
        made[-1].view.set_tool("brush")
        return made[-1]

    yield make
    gate.open.set()
    for editor in made:
        editor.close()
        assert editor._session.wait(SOON) and editor._runs.job.wait(SOON) and editor._easel.stage.wait(SOON), "a thread did not end"
