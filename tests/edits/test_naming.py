"""A model's name with LoRA on it."""

from __future__ import annotations

from pathlib import Path

import pytest

from dragonkit.edits.naming import split_lora, split_model, split_revision, with_lora, with_revision


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


def test_a_revision_is_a_part_of_the_name(tmp_path: Path) -> None:
    name = with_revision("owner/name+style.safetensors@0.8", "v1.2")
    assert name == "owner/name@v1.2+style.safetensors@0.8"
    base, lora = split_model(name)
    assert split_revision(base) == ("owner/name", "v1.2") and lora == ("style.safetensors@0.8",)
    (tmp_path / "a@b").mkdir()
    for plain in ("sd15", "@v1", "sd15@", str(tmp_path / "a@b")):
        assert split_revision(plain) == (plain, None)
