"""What modes with a second picture share: its mask, its features, its attention."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dragonkit.edits.values import image_to_text
from dragonkit.errors import EditError, ImageError, MaskError
from dragonkit.imaging.masks import Grid, encode_mask, load_mask
from dragonkit.modes.appearance import Appearance
from dragonkit.modes.referring import load_reference_mask, reference_attention, reference_features
from dragonkit.plugins.answers import EditMasks, Features, identity_correspondence

PICTURE = Image.new("RGB", (20, 12), "teal")
MASK = np.zeros((12, 20), bool)
MASK[3:7, 5:9] = True


def test_the_mask_lies_over_the_reference(tmp_path: Path) -> None:
    assert np.array_equal(load_reference_mask(PICTURE, MASK), MASK)
    PICTURE.save(tmp_path / "a.png")
    Image.fromarray(MASK).save(tmp_path / "m.png")
    assert np.array_equal(load_reference_mask(tmp_path / "a.png", str(tmp_path / "m.png")), MASK)


def test_bad_masks_are_named(tmp_path: Path) -> None:
    with pytest.raises(MaskError, match=r"^reference_mask, .*12x20 but the image is 20x12"):
        load_reference_mask(PICTURE, MASK.T)
    with pytest.raises(MaskError, match=r"reference_mask.*empty"):
        load_reference_mask(PICTURE, MASK & False)
    with pytest.raises(ImageError, match=r"none\.png.*does not exist"):
        load_reference_mask(tmp_path / "none.png", MASK)


CUT = PICTURE.convert("RGBA")
CUT.putalpha(Image.fromarray(MASK))


def test_transparency_is_the_mask_when_none_is_given(tmp_path: Path) -> None:
    CUT.save(tmp_path / "cut.png")
    array = np.asarray(CUT)
    for reference in (CUT, tmp_path / "cut.png", array, torch.from_numpy(array.copy()).permute(2, 0, 1)):
        assert np.array_equal(load_reference_mask(reference, None), MASK)
    assert np.array_equal(load_reference_mask(CUT, ~MASK), ~MASK)  # what is given counts
    for opaque in (PICTURE, PICTURE.convert("RGBA"), np.asarray(PICTURE)):
        with pytest.raises(MaskError, match="no reference_mask, and no transparency"):
            load_reference_mask(opaque, None)


def test_an_edit_file_says_the_mask_that_was_transparency(tmp_path: Path) -> None:
    CUT.save(tmp_path / "cut.png")
    for reference in (CUT, tmp_path / "cut.png"):
        edit = Appearance(mask=MASK, reference=reference)
        written = edit.to_dict()
        again = Appearance.from_dict(written)
        assert np.array_equal(load_mask(again.reference_mask, PICTURE.size), MASK) and again.to_dict() == written
    inside = Appearance.from_dict({"mode": "appearance", "mask": {"png": encode_mask(MASK)}, "reference": image_to_text(CUT)})
    assert np.array_equal(load_reference_mask(inside.reference, inside.reference_mask), MASK)
    with pytest.raises(MaskError, match="no reference_mask"):
        Appearance(mask=MASK, reference=PICTURE).to_dict()


def test_features_without_a_reference_are_refused() -> None:
    map_, grid = torch.zeros(2, 3, 4), Grid(5, 6, 50, 60)
    other = torch.ones(2, 6, 5)
    assert reference_features(Features(map_, map_, other, "up.1", grid)) == (other, grid)
    for features in (Features(map_, map_, None, "up.2", None), Features(map_, map_, other, "up.2", None)):
        with pytest.raises(EditError, match=r"the features of layer up\.2 have none"):
            reference_features(features)


def test_attention_reads_the_source_outside_and_the_reference_inside() -> None:
    grid = Grid(4, 3, 40, 30)
    target = np.zeros(grid.shape, bool)
    target[1, 2] = True
    nowhere = np.zeros(grid.shape, bool)
    plan = reference_attention(EditMasks(grid, nowhere, target, ~target, nowhere, ~target, identity_correspondence(grid), MASK))
    assert (plan.form, plan.start, plan.stop) == ("replace", 0.0, 0.72)
    assert plan.source_mask is not None and np.array_equal(plan.source_mask, ~target)
    assert plan.reference_mask is MASK
    # of 50 steps 0 to 35, as in the released code; elsewhere the steps that begin within as much of the run
    read = {steps: [index for index in range(steps) if plan.holds(index, steps)] for steps in (50, 25, 20)}
    assert read == {50: list(range(36)), 25: list(range(18)), 20: list(range(15))}
