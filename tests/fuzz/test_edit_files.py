"""The doors for edit files: JSON text, and the metadata of pictures. From either nothing is run, and no file elsewhere is read."""

from __future__ import annotations

import base64
import copy
import json
import os
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.doors import Door
from helpers.hostile import chunk, corpus, png, with_text
from hypothesis import given
from hypothesis import strategies as st

from dragonkit.editing.layout import Layout
from dragonkit.edits.file import EditFile
from dragonkit.imaging.masks import encode_mask
from dragonkit.plugins.registry import PluginRegistry

FILES, METADATA = Door("edit files"), Door("metadata of PNGs")
REGISTRY = PluginRegistry(discover=False)

MASK = np.zeros((4, 6), bool)
MASK[1:3, 1:4] = True
PICTURE = "data:image/png;base64," + base64.b64encode(corpus()["a good PNG"]).decode()
DRAG = {"mode": "drag", "points": [[[2, 2], [3, 3]]], "mask": {"png": encode_mask(MASK)}, "radius": 1}
MOVE = {"mode": "move", "mask": {"png": encode_mask(MASK)}, "shift": [1, 0], "scale": 1.5, "fill": None}
LOOK = {"mode": "appearance", "mask": {"png": encode_mask(MASK)}, "reference": PICTURE, "reference_mask": {"png": encode_mask(MASK)}}
GOOD = {
    "version": 1,
    "model": "toybox",
    "image": PICTURE,
    "prompt": "a fish",
    "seed": None,
    "settings": {"steps": 5, "schedule": {"span": [0, 0.5], "attention": [0.1, 1]}, "layers": ["up.1"], "inversion_options": {}},
    "edits": [MOVE, DRAG, LOOK, {"mode": "resize", "mask": {"png": encode_mask(MASK)}, "scale": 2}],
}

pictures = st.sampled_from([data for data in corpus().values() if len(data) < 5000]).map(lambda data: base64.b64encode(data).decode())
texts = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        ["", "\0", "a\0b", "\ud800", "\udcff", "/etc/passwd", "../../etc/passwd", "/dev/zero", "/dev/stdin", ".", "~", "x" * 5000]
    ),
    pictures.map("data:image/png;base64,".__add__),
    pictures.map("data:image/jpeg;base64,".__add__),
    st.sampled_from(["move", "drag", "appearance", "resize", "custom", "toybox", "nan", "1e400", "up.9", "span=0:1", "every=0"]),
)
numbers = st.one_of(st.integers(), st.floats(), st.sampled_from([10**400, -(10**400), 2**63, 1e300, -1e300, 1e-300, 0.5]))
values = st.recursive(
    st.none() | st.booleans() | numbers | texts | pictures.map(lambda text: {"png": text}),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


@st.composite
def data(draw: st.DrawFn) -> Any:
    """A good edit file with values replaced, left out or put in, somewhere."""
    whole: Any = {"": copy.deepcopy(GOOD)}
    for _ in range(draw(st.integers(1, 3))):
        inner, key = whole, ""
        while isinstance(inner[key], (dict, list)) and inner[key] and draw(st.integers(0, 9)):
            inner = inner[key]
            key = draw(st.sampled_from(list(inner) if isinstance(inner, dict) else list(range(len(inner)))))
        kind = draw(st.sampled_from(["replace", "replace", "leave out", "put in", "repeat"]))
        if kind == "leave out" and inner is not whole:
            del inner[key]
        elif kind == "put in" and isinstance(inner[key], dict):
            inner[key][draw(texts)] = draw(values)
        elif kind == "repeat" and isinstance(inner[key], list):
            inner[key] = inner[key] * draw(st.sampled_from([2, 3, 300]))
        else:
            inner[key] = draw(values)
    return whole[""]


def use(file: EditFile | None) -> None:
    """All that is done with an edit file before a model is loaded, and writing it again."""
    if file is None:
        return
    edits = FILES.knock(lambda: REGISTRY.edits_from(file))
    picture = FILES.knock(file.load_image)
    FILES.knock(lambda: file.model_to_load(["toybox"]))
    if edits is not None and picture is not None:
        FILES.knock(lambda: Layout(REGISTRY, edits, picture.size))
        FILES.knock(lambda: file.self_contained(REGISTRY.edit_types()))
    assert EditFile.loads(file.dumps()) == file


@given(data())
def test_values(data: Any) -> None:
    use(FILES.knock(lambda: EditFile.loads(json.dumps(data))))


@given(st.text(), st.integers(0, 400), st.integers(0, 8))
def test_text_that_is_cut_and_changed(text: str, at: int, length: int) -> None:
    good = json.dumps({**GOOD, "image": "", "seed": 1, "edits": [DRAG]})
    for whole in (text, good[:at] + text + good[at + length :]):
        use(FILES.knock(lambda whole=whole: EditFile.loads(whole)))


@given(st.binary(max_size=40), st.booleans())
def test_bytes(place: Path, data: bytes, is_json: bool) -> None:
    good = json.dumps(GOOD).encode()
    place.write_bytes(good[:30] + data + good[30 + len(data) :] if is_json else data)
    use(FILES.knock(lambda: EditFile.load(place)))


@given(data(), st.booleans())
def test_metadata(place: Path, data: Any, compressed: bool) -> None:
    place.write_bytes(with_text(json.dumps(data), compressed=compressed))
    use(METADATA.knock(lambda: EditFile.load(place)))


@given(st.binary(max_size=60), st.sampled_from([b"tEXt", b"zTXt", b"iTXt"]), st.integers(0, 200), st.booleans())
def test_metadata_that_is_broken(place: Path, data: bytes, name: bytes, at: int, behind: bool) -> None:
    packed = zlib.compress(json.dumps(GOOD).encode()) if name == b"zTXt" else json.dumps(GOOD).encode()
    head = {b"tEXt": b"dragonkit\0", b"zTXt": b"dragonkit\0\0", b"iTXt": b"dragonkit\0\0\0\0\0"}[name]
    text = chunk(name, head + packed[:at] + data + packed[at + len(data) :])
    place.write_bytes(png(6, 4, 8, 0, [] if behind else [text], bytes(28), [text] if behind else []))
    use(METADATA.knock(lambda: EditFile.load(place)))


# the corpus of pictures is read whole: in an edit file every fourth of it
@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] if place % 4 else []) for place, name in enumerate(corpus())])
def test_the_corpus(name: str, tmp_path: Path) -> None:
    (tmp_path / "sent.png").write_bytes(corpus()[name])
    assert METADATA.knock(lambda: EditFile.load(tmp_path / "sent.png")) is None
    encoded = base64.b64encode(corpus()[name]).decode()
    for field, value in (
        ("image", f"data:image/png;base64,{encoded}"),
        ("mask", {"png": encoded}),
        ("reference", f"data:image/png;base64,{encoded}"),
    ):
        whole = {**GOOD, "image": value} if field == "image" else {**GOOD, "edits": [{**LOOK, field: value}]}
        use(FILES.knock(lambda whole=whole: EditFile.loads(json.dumps(whole))))
    assert os.listdir(tmp_path) == ["sent.png"]
