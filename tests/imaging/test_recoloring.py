"""Painting an object like another: on objects of known paint, shade and coverage, and on toybox scenes with a known answer."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragonkit import toybox
from dragonkit.errors import MaskError
from dragonkit.imaging.images import psnr
from dragonkit.imaging.masks import dilate, erode
from dragonkit.imaging.recoloring import Pattern, paints_of, recolored

RED, GREEN, BLUE, YELLOW = (np.array(color, np.float32) for color in ((0.8, 0.1, 0.1), (0.1, 0.7, 0.2), (0.2, 0.3, 0.9), (0.9, 0.8, 0.1)))
WHITE, SEA, SAND = np.ones(3, np.float32), np.array([0.5, 0.75, 0.8], np.float32), np.array([0.85, 0.8, 0.65], np.float32)

patterns = pytest.mark.parametrize("pattern", ["texture", "colors"])


def disc(size: tuple[int, int], x: float, y: float, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """A disc's coverage of every pixel of (H, W), counted on 8 x 8 points, and its mask."""
    rows, columns = ((np.arange(side * 8) + 0.5) / 8 for side in size)
    inside = (columns[None] - x) ** 2 + (rows[:, None] - y) ** 2 <= radius**2
    coverage = inside.reshape(size[0], 8, size[1], 8).mean((1, 3)).astype(np.float32)
    return coverage, coverage >= 0.5


def over(background: np.ndarray, color: np.ndarray, coverage: np.ndarray) -> np.ndarray:
    """A picture of one antialiased object; colours (3,) or (H, W, 3)."""
    return (coverage[..., None] * color + (1 - coverage[..., None]) * background).astype(np.float32)


def striped(size: tuple[int, int], first: np.ndarray, second: np.ndarray, period: int = 12) -> np.ndarray:
    """Vertical stripes, (H, W, 3): two of `first` for each of `second`."""
    second_here = np.arange(size[1]) % period >= period * 2 / 3
    return np.broadcast_to(np.where(second_here[:, None], second, first), (*size, 3))


# --- plain objects: the answer is known to the pixel ---------------------------------------------------------------------


@patterns
def test_a_plain_object_becomes_the_same_object_in_the_other_colour(pattern: Pattern) -> None:
    coverage, mask = disc((40, 56), 27.3, 18.6, 13.2)
    other_coverage, other_mask = disc((30, 30), 15, 14, 10)
    result = recolored(over(SEA, RED, coverage), mask, over(SAND, BLUE, other_coverage), other_mask, pattern)
    answer = over(SEA, BLUE, coverage)
    assert result.shape == answer.shape and result.dtype == np.float32
    assert np.abs(result - answer)[erode(mask, 2)].max() < 0.01
    untouched, rim = over(SEA, RED, coverage), dilate(mask, 1) & ~erode(mask, 2)
    assert np.abs(result - answer)[rim].mean() < 0.1 * np.abs(untouched - answer)[rim].mean()  # no halo


@patterns
def test_light_shade_and_gloss_stay(pattern: Pattern) -> None:
    size = (40, 56)
    coverage, mask = disc(size, 28, 20, 14)
    shade = np.linspace(0.6, 1, size[1], dtype=np.float32)[None, :, None]
    gloss = 0.5 * disc(size, 24, 15, 3)[0][..., None]
    picture, answer = (over(SEA, color * shade * (1 - gloss) + gloss, coverage) for color in (RED, YELLOW))
    other_coverage, other_mask = disc((60, 44), 20, 30, 15)
    reference = over(SAND, YELLOW * shade.mean(), other_coverage)  # in the same light: how bright a paint is, no picture tells
    result = recolored(picture, mask, reference, other_mask, pattern)
    error = np.abs(result - answer)[erode(mask, 2)]
    assert error.max() < 0.1 and error.mean() < 0.02


def test_dark_lines_stay_dark() -> None:
    coverage, mask = disc((40, 40), 20, 20, 15)
    picture = over(SEA, RED, coverage)
    picture[18:21, 10:30] = 0.03
    result = recolored(picture, mask, np.full((8, 8, 3), YELLOW), np.ones((8, 8), bool))
    assert result[18:21, 12:28].max() < 0.1
    assert np.abs(result[24:28, 16:24] - YELLOW).max() < 0.05


# --- patterns -----------------------------------------------------------------------------------------------------------


def test_texture_takes_the_references_pattern() -> None:
    mask = np.ones((48, 48), bool)
    stripes = striped((48, 48), BLUE, YELLOW)
    result = recolored(np.full((48, 48, 3), RED), mask, stripes, mask, "texture")
    assert np.abs(result - stripes).mean() < 0.01


def test_texture_is_scaled_to_the_objects_area() -> None:
    stripes = striped((96, 96), BLUE, YELLOW, period=24)
    result = recolored(np.full((48, 48, 3), RED), np.ones((48, 48), bool), stripes, np.ones((96, 96), bool), "texture")
    assert np.abs(result - striped((48, 48), BLUE, YELLOW)).mean() < 0.02


def test_colors_keep_the_objects_own_pattern() -> None:
    mask = np.ones((48, 48), bool)
    result = recolored(striped((48, 48), RED, YELLOW), mask, striped((48, 48), BLUE, GREEN, period=24), mask, "colors")
    answer = striped((48, 48), BLUE, GREEN)  # the larger for the larger
    assert np.abs(result - answer).mean() < 0.02


def test_one_paint_for_two_when_the_reference_has_no_more() -> None:
    mask = np.ones((48, 48), bool)
    result = recolored(striped((48, 48), RED, YELLOW), mask, np.full((5, 5, 3), GREEN), np.ones((5, 5), bool), "colors")
    assert np.abs(result - GREEN).max() < 0.05


@pytest.mark.parametrize("paints", [(RED, YELLOW), (BLUE, WHITE), (GREEN, BLUE)])
def test_where_two_paints_meet_no_line_is_left(paints: tuple[np.ndarray, np.ndarray]) -> None:
    mask = np.ones((48, 48), bool)
    half = striped((96, 96), *paints, period=22).reshape(48, 2, 48, 2, 3).mean((1, 3))  # every other border runs through a pixel
    result = recolored(half, mask, np.full((5, 5, 3), BLUE), np.ones((5, 5), bool), "colors")
    assert np.abs(result - BLUE).max() < 0.15  # up to 0.36 where mixtures are not known as such


def test_paints() -> None:
    mask = np.ones((30, 36), bool)
    assert np.allclose(paints_of(striped((30, 36), BLUE, YELLOW), mask), [BLUE, YELLOW], atol=1e-3)
    assert np.allclose(paints_of(np.full((30, 36, 3), RED), mask), [RED], atol=1e-3)
    eyed = np.full((30, 36, 3), RED)
    eyed[4:8, 4:8], eyed[20:, :8] = GREEN, 0.05  # a small part and a shadow are no paints
    assert np.allclose(paints_of(eyed, mask), [RED], atol=1e-3)
    assert np.allclose(paints_of(np.zeros((30, 36, 3)), mask), [[0, 0, 0]])


# --- whatever the masks -------------------------------------------------------------------------------------------------


@st.composite
def painted(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """A noisy picture of any small size, and a mask of a few boxes, perhaps a lone pixel, perhaps everything."""
    height, width = draw(st.integers(1, 24)), draw(st.integers(1, 24))
    mask = np.zeros((height, width), bool)
    for _ in range(draw(st.integers(1, 3))):
        top, left = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
        mask[top : top + draw(st.integers(1, 24)), left : left + draw(st.integers(1, 24))] = True
    return np.random.default_rng(draw(st.integers(0, 99))).random((height, width, 3), dtype=np.float32), mask


@given(painted(), painted(), st.sampled_from(["texture", "colors"]))
def test_nothing_but_the_object_and_its_rim_changes(
    given: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray], pattern: Pattern
) -> None:
    (picture, mask), before = given, given[0].copy()
    picture.flags.writeable = False
    result = recolored(picture, mask, *other, pattern)
    assert np.isfinite(result).all() and 0 <= result.min() <= result.max() <= 1
    elsewhere = ~dilate(mask, 1)
    assert np.array_equal(result[elsewhere], before[elsewhere])
    assert np.array_equal(recolored(picture, mask, *other, pattern), result)


def test_thin_and_tiny_objects() -> None:
    picture, mask = np.full((64, 64, 3), RED), np.ones((64, 64), bool)
    thin = np.eye(300, dtype=bool)  # of the same area it would be thousands of pixels long
    assert np.abs(recolored(picture, mask, np.full((300, 300, 3), GREEN), thin) - GREEN).max() < 0.05
    speck = np.zeros((64, 64), bool)
    speck[30, 30] = True
    assert np.array_equal(recolored(picture, speck, np.full((9, 9, 3), GREEN), mask[:9, :9])[~dilate(speck, 1)], picture[~dilate(speck, 1)])


def test_black_is_painted_by_its_shade() -> None:
    black, mask = np.full((20, 20, 3), 0.05, np.float32), np.ones((20, 20), bool)
    assert np.abs(recolored(black, mask, np.full((20, 20, 3), GREEN), mask) - GREEN).max() < 0.05


def test_empty_masks_are_refused() -> None:
    picture, mask = np.full((6, 8, 3), RED), np.ones((6, 8), bool)
    for masks in ((mask, ~mask), (~mask, mask)):
        with pytest.raises(MaskError, match="empty"):
            recolored(picture, masks[0], picture, masks[1])


# --- scenes -------------------------------------------------------------------------------------------------------------


def test_it_comes_nearer_to_the_answer_on_most_scenes() -> None:
    """Twenty scenes whose front object shall be dressed like another scene's: dB inside the object."""
    gains: dict[str, list[float]] = {"texture": [], "colors": []}
    for seed in range(20):
        scene, other = toybox.scene(10_000 + seed, 64), toybox.scene(20_000 + seed, 64)
        mine, theirs = scene.objects[-1], other.objects[-1]
        answer = np.asarray(scene.dressed_like(mine.index, other, theirs.index).image)
        picture, reference = (np.asarray(one.image, dtype=np.float32) / 255 for one in (scene, other))
        for pattern, gain in gains.items():
            result = recolored(picture, mine.mask, reference, theirs.mask, pattern)  # type: ignore[arg-type]
            before, after = (psnr(np.rint(one * 255).astype(np.uint8), answer, mine.mask) for one in (picture, result))
            gain.append(after - before)
    for gain in gains.values():
        assert np.mean(gain) > 2.5
        assert sum(one > 0 for one in gain) >= 15
