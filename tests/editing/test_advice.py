"""What is said of a source before it is edited, and what an autoencoder that cannot carry it changes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dragonkit.diffusion.source import Source
from dragonkit.editing.advice import advice_on, advice_on_prompt, settings_for
from dragonkit.edits.settings import Settings
from dragonkit.plugins.card import ModelCard
from dragonkit.testing import tiny_editor

KNOWN, UNKNOWN = ModelCard("known", "x", autoencoder_psnr=34.0), ModelCard("unknown", "x")


@pytest.fixture(scope="module")
def source() -> Source:
    return tiny_editor().generate("a red fish", 1)


def told(source: Source, card: ModelCard, back: float | None, most: float | None) -> str:
    return " ".join(advice_on(replace(source, reconstruction_psnr=back, autoencoder_psnr=most), card))


def test_a_picture_of_another_kind_is_named_by_number_with_the_way_out(source: Source) -> None:
    words = told(source, KNOWN, 15.0, 16.2)
    assert "16.2 dB only" in words and "of its own kind at 34.0 dB" in words
    assert "filled smoothly" in words and "choose another model" in words
    assert "expect little" in told(source, UNKNOWN, 15.0, 16.2)


def test_a_lossy_inversion_is_told_and_a_good_one_is_not(source: Source) -> None:
    assert "comes back at 27.0 dB" in told(source, KNOWN, 27.0, 33.0)
    assert told(source, KNOWN, 32.0, 33.0) == told(source, UNKNOWN, None, 33.0) == told(source, KNOWN, None, None) == ""


def test_what_can_be_pasted_is_held_where_the_autoencoder_fails(source: Source) -> None:
    bad, good = (replace(source, autoencoder_psnr=most) for most in (16.0, 30.0))
    asked = Settings(hold=0.5, hold_vacated=0.2)
    assert settings_for(good, asked, KNOWN, None)[0].hold_vacated == 0.2
    held, notes = settings_for(bad, asked, KNOWN, None)
    assert (held.hold, held.hold_vacated, notes) == (1.0, 1.0, [])
    assert settings_for(bad, asked, UNKNOWN, None)[0].hold == 0.5
    own, _ = settings_for(bad, asked, KNOWN, Settings(hold_vacated=0.2))  # what the user says is never overruled
    assert (own.hold, own.hold_vacated) == (1.0, 0.2)


def test_steps_that_the_source_does_not_have_are_told(source: Source) -> None:
    settings, notes = settings_for(source, Settings(steps=99), UNKNOWN, Settings(steps=99))
    assert settings.steps == len(source.schedule) and "steps=99 was not used" in notes[0]


@pytest.mark.parametrize(("image_size", "said"), [((800, 100), "is 8 times the other"), ((100, 1000), "is 10 times the other")])
def test_a_panorama_is_told_to_be_squeezed(source: Source, image_size: tuple[int, int], said: str) -> None:
    long = replace(source, pixels=np.zeros((*image_size[::-1], 3), np.uint8), size=(96, 32) if image_size[0] > image_size[1] else (32, 96))
    words = told(long, UNKNOWN, None, None)
    assert said in words and f"squeezed to {long.size[0]}x{long.size[1]}" in words and "edit a part" in words


@pytest.mark.parametrize("image_size", [(300, 100), (100, 310), (64, 64)])
def test_other_pictures_are_not(source: Source, image_size: tuple[int, int]) -> None:
    assert told(replace(source, pixels=np.zeros((*image_size[::-1], 3), np.uint8)), UNKNOWN, None, None) == ""


def test_words_that_do_not_fit_are_named() -> None:
    backbone = tiny_editor().backbone
    fits = "a red fish and a blue house"
    assert list(advice_on_prompt(backbone, fits)) == list(advice_on_prompt(backbone, "")) == []
    many = [f"word{number}" for number in range(100)]
    [sentence] = advice_on_prompt(backbone, " ".join(many), "reference_prompt")
    assert "full before the end of the reference_prompt and never reads '" in sentence and "say it in fewer words" in sentence
    lost = backbone.unread(" ".join(many)).split()
    assert lost and many[-len(lost) :] == lost and len(lost) < 100
    assert backbone.unread(" ".join(many[: -len(lost)])) == ""
    assert backbone.unread(" ".join(many[: 1 - len(lost)])) == lost[0]


def test_a_backbone_that_cannot_tell_says_nothing() -> None:
    assert list(advice_on_prompt(object(), "word " * 1000)) == []  # type: ignore[arg-type]
