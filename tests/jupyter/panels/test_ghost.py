"""The instant preview shows what a mode's own geometry says, without a model."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import dragonkit as dk
from dragonkit.errors import EditError
from dragonkit.jupyter.panels import ghost
from dragonkit.jupyter.panels.ghost import Ghost, cut_out, filled, ghosts_of
from dragonkit.plugins.registry import PluginRegistry

WIDTH, HEIGHT = 24, 18
PICTURE = np.random.default_rng(5).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
REGISTRY = PluginRegistry()


def ghost_of(*asked: Any) -> Ghost | None:
    """What lies on top."""
    return next(iter(ghosts_of(*asked)), None)


def box(left: int, top: int, width: int, height: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[top : top + height, left : left + width] = True
    return mask


def laid(one: Ghost | None) -> tuple[np.ndarray, np.ndarray]:
    """The picture with the ghost on it, and where it is opaque."""
    assert one is not None
    whole = Image.fromarray(PICTURE).convert("RGBA")
    layer = Image.new("RGBA", whole.size)
    layer.paste(one.image, (int(one.x), int(one.y)))
    whole.alpha_composite(layer)
    return np.asarray(whole)[..., :3], np.asarray(layer)[..., 3] == 255


boxes = st.builds(box, st.integers(0, 15), st.integers(0, 10), st.integers(1, 8), st.integers(1, 7))


@given(boxes, st.integers(-10, 10), st.integers(-8, 8))
def test_a_cut_out_is_the_object_moved(mask: np.ndarray, dx: int, dy: int) -> None:
    shown, where = laid(cut_out(PICTURE, mask, (dx, dy)))
    assert np.array_equal(where, dk.masks.shift_mask(mask, dx, dy))
    y, x = np.nonzero(where)
    assert np.array_equal(shown[y, x], PICTURE[y - dy, x - dx])
    assert np.array_equal(shown[~where], PICTURE[~where])


def test_nothing_is_cut_out_of_nothing() -> None:
    assert cut_out(PICTURE, np.zeros((HEIGHT, WIDTH), bool)) is None


@given(boxes, st.integers(-10, 10), st.integers(-8, 8))
def test_a_moves_preview_is_the_cut_out(mask: np.ndarray, dx: int, dy: int) -> None:
    try:
        found = ghost_of(REGISTRY, dk.Move(mask=mask, shift=(dx, dy)), PICTURE)
    except EditError:  # nothing would change, or nothing would be left
        return
    for one, other in zip(laid(found), laid(cut_out(PICTURE, mask, (dx, dy))), strict=True):
        assert np.array_equal(one, other)


def test_a_larger_object_is_looked_up_where_it_comes_from() -> None:
    mask = box(8, 6, 6, 6)
    shown, where = laid(ghost_of(REGISTRY, dk.Resize(mask=mask, scale=2.0), PICTURE))
    assert np.array_equal(where, box(5, 3, 12, 12))
    assert np.array_equal(shown[3:15, 5:17], PICTURE[6:12, 8:14].repeat(2, axis=0).repeat(2, axis=1))


def test_an_object_of_a_second_picture_comes_from_there() -> None:
    other = np.random.default_rng(6).integers(0, 256, (10, 12, 3), dtype=np.uint8)
    lent = np.zeros((10, 12), bool)
    lent[2:6, 3:8] = True
    paste: Any = REGISTRY.edit_types()["paste"]
    shown, where = laid(ghost_of(REGISTRY, paste(reference=other, reference_mask=lent, shift=(9, 7)), PICTURE))
    assert np.array_equal(where, box(12, 9, 5, 4)) and np.array_equal(shown[9:13, 12:17], other[2:6, 3:8])


def test_a_draft_is_shown_and_where_there_is_none_nothing_is() -> None:
    mask, values = box(8, 6, 6, 6), {"reference": PICTURE[::-1].copy(), "reference_mask": box(2, 2, 9, 9)}
    shown, where = laid(ghost_of(REGISTRY, dk.Appearance(mask=mask, init="colors", **values), PICTURE))
    assert np.array_equal(where, mask) and not np.array_equal(shown[mask], PICTURE[mask])
    assert ghost_of(REGISTRY, dk.Appearance(mask=mask, init="none", **values), PICTURE) is None


def test_a_large_picture_is_looked_at_on_a_coarser_raster(monkeypatch: pytest.MonkeyPatch) -> None:
    edit = dk.Move(mask=box(2, 2, 6, 6), shift=(8, 4))
    monkeypatch.setattr(ghost, "MOST_PIXELS", HEIGHT * WIDTH / 4)
    content, hole = ghosts_of(REGISTRY, edit, PICTURE)
    assert content is not None and hole is not None
    assert content[1:] == (10, 6, 2) and content.image.size == (3, 3)
    expected = PICTURE.reshape(HEIGHT // 2, 2, WIDTH // 2, 2, 3).mean((1, 3))[1:4, 1:4]
    assert np.abs(np.asarray(content.image)[..., :3] - expected).max() <= 1
    assert hole[1:] == (2, 2, 2)
    lent = {"reference": PICTURE[::-1].copy(), "reference_mask": box(0, 0, 6, 6)}
    paste: Any = REGISTRY.edit_types()["paste"]
    (pasted, _) = ghosts_of(REGISTRY, paste(**lent, shift=(8, 4)), PICTURE)
    assert pasted is not None and pasted[1:] == (8, 4, 2)
    assert (np.asarray(pasted.image)[..., :3] == PICTURE[::-1][1:6:2, 1:6:2]).all(), "from there, at its own size"


def test_a_large_hole_is_filled_quickly_and_as_smoothly() -> None:
    y, x = np.mgrid[:1200, :1600]
    picture = np.stack([x // 8, y // 8, (x + y) // 16], 2).astype(np.uint8)
    mask = (x - 800) ** 2 + (y - 600) ** 2 < 250**2
    marked = np.where(mask[..., None], np.uint8(255), picture)
    hole = filled(marked, mask)
    assert hole is not None and (hole.x, hole.y) == (551, 351)
    alpha = np.asarray(hole.image)[..., 3] > 0
    assert np.array_equal(alpha, mask[351:850, 551:1050])
    assert np.abs(np.asarray(hole.image)[..., :3].astype(int) - picture[351:850, 551:1050])[alpha].mean() < 8


@pytest.mark.processes
def test_it_needs_no_torch() -> None:
    code = (
        "import sys, numpy as np, dragonkit as dk;"
        "from dragonkit.jupyter.panels.ghost import ghosts_of; from dragonkit.plugins.registry import PluginRegistry;"
        "mask = np.zeros((8, 8), bool); mask[2:4, 2:4] = True;"
        "assert ghosts_of(PluginRegistry(discover=False), dk.Move(mask=mask, shift=(2, 0)), np.zeros((8, 8, 3), np.uint8));"
        "sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_vacated_place_is_filled_with_what_is_round_it() -> None:
    y, x = np.mgrid[:40, :60]
    ground = np.stack([x * 4, y * 4, x + y], 2).astype(np.uint8)
    mask = (x - 30) ** 2 + (y - 20) ** 2 < 64
    picture = np.where(mask[..., None], np.uint8(255), ground)
    hole = filled(picture, mask)
    assert hole is not None
    shown = Image.fromarray(picture)
    shown.paste(hole.image, (int(hole.x), int(hole.y)), hole.image)
    assert np.array_equal(np.asarray(shown)[~mask], ground[~mask])
    assert np.abs(np.asarray(shown).astype(int) - ground)[mask].mean() < 12
    assert filled(picture, np.zeros_like(mask)) is None and filled(picture, np.ones_like(mask)) is None
    moved = dk.Move(mask=mask, shift=(10, 0))
    under = ghosts_of(REGISTRY, moved, picture)[1]
    assert under is not None and not (np.asarray(under.image)[..., 3] > 0)[:, -6:].all()  # the object lies on the rest
