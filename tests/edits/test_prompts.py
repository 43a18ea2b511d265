"""Prompts are text: what is none is refused wherever one is given."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from dragonkit.edits.file import EditFile
from dragonkit.edits.prompts import checked_prompt
from dragonkit.errors import EditError, EditFileError
from dragonkit.modes.appearance import Appearance
from dragonkit.plugins.answers import Reference
from dragonkit.testing import tiny_editor

BAD = [
    ("a \ud83d fish", r"holds '\\ud83d' at 2, which is half a character"),
    ("caf\udce9", r"'\\udce9' at 3"),
    ("a\0b", r"holds '\\0' at 1"),
]


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_text_is_left_as_it_is(prompt: str) -> None:
    assert checked_prompt(prompt) is prompt
    assert EditFile.loads(EditFile(model="m", seed=1, prompt=prompt, edits=[]).dumps()).prompt == prompt


@pytest.mark.parametrize(("prompt", "said"), BAD)
def test_every_door_refuses_it(prompt: str, said: str) -> None:
    editor, picture = tiny_editor(), Image.new("RGB", (32, 32))
    for call in (
        lambda: editor.invert(picture, prompt),
        lambda: editor.generate(prompt),
        lambda: editor.edit(picture, Appearance(mask="m.png", reference=picture), prompt=prompt),
        lambda: Reference(picture, prompt),
        lambda: Appearance(mask="m.png", reference=picture, reference_mask="m.png", reference_prompt=prompt),
    ):
        with pytest.raises(EditError):
            call()
    for call in (lambda: editor.invert(picture, prompt), lambda: editor.generate(prompt), lambda: Reference(picture, prompt)):
        with pytest.raises(EditError, match=said):
            call()
    with pytest.raises(EditFileError, match="prompt"):
        EditFile.loads(json.dumps({"model": "m", "seed": 1, "edits": [], "prompt": prompt}))


@pytest.mark.parametrize("prompt", [None, 3, b"a fish", ["a fish"]])
def test_what_is_no_text_is_refused(prompt: object) -> None:
    with pytest.raises(EditError, match=r"must be text\. Say what the picture shows"):
        checked_prompt(prompt)
