"""A model's name with LoRA on it."""

from __future__ import annotations

from pathlib import Path

import pytest

from dragonkit.edits.naming import split_lora, split_model, with_lora


def test_there_and_back(tmp_path: Path) -> None:
    name = with_lora("sd15", ["style.safetensors@0.8", "owner/other"])
    assert split_model(name) == ("sd15", ("style.safetensors@0.8", "owner/other"))
    assert split_model("sd15") == ("sd15", ())
    (tmp_path / "a+b").mkdir()
    assert split_model(str(tmp_path / "a+b")) == (str(tmp_path / "a+b"), ())


@pytest.mark.parametrize(
    ("text", "parts"),
    [("a.safetensors", ("a.safetensors", 1.0)), ("a@0.5", ("a", 0.5)), ("a@-1", ("a", -1.0)), ("a@b", ("a@b", 1.0)), ("@1", ("@1", 1.0))],
)
def test_weights(text: str, parts: tuple[str, float]) -> None:
    assert split_lora(text) == parts
