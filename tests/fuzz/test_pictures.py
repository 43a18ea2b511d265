"""The doors for pictures and masks: files, bytes in text, arrays, tensors, PIL images."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.doors import Door
from helpers.hostile import corpus
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays, scalar_dtypes
from PIL import Image

from dragonkit.edits.values import image_from_text, mask_to_json, picture_to_json
from dragonkit.imaging.images import load_image
from dragonkit.imaging.mask_files import EncodedMask
from dragonkit.imaging.masks import decode_mask, load_mask

IMAGES, MASKS = Door("pictures"), Door("masks")
CORPUS = corpus()


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """One of the corpus with bytes changed, cut out, put in or said twice."""
    data = bytearray(draw(st.sampled_from(list(CORPUS.values()))))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(data)))
        kind = draw(st.sampled_from(["change", "cut", "put", "twice"]))
        length = draw(st.integers(1, 12))
        if kind == "twice":
            data[at:at] = data[max(0, at - length) : at]
        else:
            data[at : at + (0 if kind == "put" else length)] = b"" if kind == "cut" else draw(st.binary(min_size=length, max_size=length))
    return bytes(data)


numbers = arrays(
    st.one_of(scalar_dtypes(), st.just(np.dtype(object)), st.just(np.dtype("U3"))),
    st.one_of(array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=6), st.just((4, 6)), st.just((4, 6, 3)), st.just((4, 6, 4))),
)
tensors = st.builds(
    lambda shape, dtype, how: how(torch.zeros(shape, dtype=dtype)),
    st.lists(st.integers(0, 6), max_size=5),
    st.sampled_from([torch.uint8, torch.float16, torch.bfloat16, torch.float64, torch.bool, torch.complex64, torch.int64]),
    st.sampled_from([lambda one: one, lambda one: one.to("meta"), lambda one: one.to_sparse() if one.ndim else one]),
)
pil = st.builds(
    lambda mode, size: Image.new(mode, size),
    st.sampled_from(
        ["1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB", "HSV", "I", "F", "I;16", "I;16B"]
    ),
    st.tuples(st.integers(0, 9), st.integers(0, 9)),
)
things = st.one_of(
    numbers, tensors, pil, st.none(), st.integers(), st.text(max_size=9), st.binary(max_size=9), st.lists(st.integers(0, 255))
)
sizes = st.sampled_from([(6, 4), (4, 6), (1, 1), (2, 2)])


def knock_with_text(text: str) -> None:
    IMAGES.knock(lambda: image_from_text(text))
    MASKS.knock(lambda: decode_mask(text))
    MASKS.knock(lambda: load_mask(EncodedMask(text), (6, 4)))


@pytest.mark.parametrize("name", list(CORPUS))
def test_the_corpus_as_files_and_as_text(name: str, tmp_path: Path) -> None:
    (tmp_path / "sent.png").write_bytes(CORPUS[name])
    IMAGES.knock(lambda: load_image(tmp_path / "sent.png"))
    MASKS.knock(lambda: load_mask(tmp_path / "sent.png", (6, 4)))
    knock_with_text("data:image/png;base64," + base64.b64encode(CORPUS[name]).decode())


@given(files(), sizes)
def test_files(place: Path, data: bytes, size: tuple[int, int]) -> None:
    place.write_bytes(data)
    image = IMAGES.knock(lambda: load_image(place))
    assert image is None or image.mode == "RGB"
    mask = MASKS.knock(lambda: load_mask(place, size))
    assert mask is None or (mask.dtype == bool and mask.shape == size[::-1] and mask.any())


@given(files(), st.booleans())
def test_text(data: bytes, said: bool) -> None:
    knock_with_text(("data:image/png;base64," if said else "") + base64.b64encode(data).decode())


@given(st.text())
def test_any_text(text: str) -> None:
    knock_with_text(text)
    knock_with_text(f"data:{text}")
    IMAGES.knock(lambda: load_image(text))
    MASKS.knock(lambda: load_mask(text, (6, 4)))


@given(things, sizes)
def test_values_in_python(thing: Any, size: tuple[int, int]) -> None:
    IMAGES.knock(lambda: load_image(thing))
    IMAGES.knock(lambda: picture_to_json(thing))
    MASKS.knock(lambda: load_mask(thing, size))
    if isinstance(thing, (np.ndarray, torch.Tensor, Image.Image)):
        MASKS.knock(lambda: mask_to_json(thing))
