"""What is said of a source before it is edited, and what an autoencoder that cannot carry it changes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dragonkit.diffusion.source import Source
from dragonkit.editing.advice import advice_on, settings_for
from dragonkit.edits.settings import Settings
from dragonkit.errors import EditError
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
    assert settings_for(good, asked, KNOWN, None).hold_vacated == 0.2
    held = settings_for(bad, asked, KNOWN, None)
    assert (held.hold, held.hold_vacated) == (1.0, 1.0)
    assert settings_for(bad, asked, UNKNOWN, None).hold == 0.5
    own = settings_for(bad, asked, KNOWN, Settings(hold_vacated=0.2))  # what the user says is never overruled
    assert (own.hold, own.hold_vacated) == (1.0, 0.2)


def test_steps_that_the_source_does_not_have_are_refused_where_the_user_asked(source: Source) -> None:
    assert settings_for(source, Settings(steps=99), UNKNOWN, Settings(seed=3)).steps == len(source.schedule)
    with pytest.raises(EditError, match="steps=99, but the source was generated with steps="):
        settings_for(source, Settings(steps=99), UNKNOWN, Settings(steps=99))
