"""The still picture beside the editor: an output of its own, renewed in place."""

from __future__ import annotations

from typing import Any

import pytest
from helpers.editors import blob, ran


def test_a_notebook_keeps_the_last_picture_as_an_output_of_its_own(open_editor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[dict[str, Any]] = []

    class Handle:
        def __init__(self, number: int) -> None:
            self.number = number

        def update(self, data: dict[str, Any], raw: bool) -> None:
            assert raw
            shown[self.number] = data

    def display(data: dict[str, Any], raw: bool, display_id: bool = False) -> Handle:
        shown.append(data)
        return Handle(len(shown) - 1)

    for module in ("editor_widget", "canvas.fallback"):
        monkeypatch.setattr(f"dragonkit.jupyter.{module}.display", display)
    editor = open_editor(mask=blob())
    editor._ipython_display_()
    widget, picture = shown
    assert widget["application/vnd.jupyter.widget-view+json"]["model_id"] == editor.model_id and "image/png" not in widget
    assert set(picture) == {"image/png", "text/plain"}
    ran(editor, shift=(12, 4))
    assert shown[0] is widget and shown[1] == editor._still.data() != picture, "it shows the result now"
