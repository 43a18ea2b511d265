"""What is said of a source before it is edited, and what an autoencoder that cannot carry it changes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from dragonkit.diffusion.guidance import PlannedTerm
from dragonkit.diffusion.sampling import Anchor, SamplingPlan
from dragonkit.diffusion.source import Source
from dragonkit.editing.advice import advice_on, advice_on_plan, advice_on_prompt, settings_for
from dragonkit.editing.editor import Editor
from dragonkit.edits.settings import PRESETS, Settings
from dragonkit.errors import EditError
from dragonkit.imaging.photos import Photo
from dragonkit.plugins.answers import EnergyTerm
from dragonkit.plugins.card import ModelCard
from dragonkit.plugins.registry import PluginRegistry
from dragonkit.testing import tiny_editor

KNOWN, UNKNOWN = ModelCard("known", "x", autoencoder_psnr=34.0), ModelCard("unknown", "x")


@pytest.fixture(scope="module")
def source() -> Source:
    return tiny_editor().generate("a red fish", 1)


def told(source: Source, card: ModelCard, back: float | None, most: float | None) -> str:
    return " ".join(advice_on(replace(source, reconstruction_psnr=back, autoencoder_psnr=most), card))


def test_a_picture_of_another_kind_is_named_by_number_with_the_way_out(source: Source) -> None:
    words = told(source, KNOWN, 15.0, 16.2)
    assert "at 16.2 dB" in words and "of its own kind at 34.0 dB" in words
    assert "filled smoothly" in words and "choose another model" in words
    assert "expect little" in told(source, UNKNOWN, 15.0, 16.2)


def test_a_lossy_inversion_is_told_and_a_good_one_is_not(source: Source) -> None:
    assert "comes back at 27.0 dB" in told(source, KNOWN, 27.0, 33.0)
    assert (
        told(source, KNOWN, 36.8, 40.6)
        == told(source, KNOWN, 32.0, 33.0)
        == told(source, UNKNOWN, None, 33.0)
        == told(source, KNOWN, None, None)
        == ""
    )


def test_what_can_be_pasted_is_held_where_the_autoencoder_fails(source: Source) -> None:
    bad, good = (replace(source, autoencoder_psnr=most) for most in (16.0, 30.0))
    asked = Settings(hold=0.5, hold_vacated=0.2)
    assert settings_for(good, asked, KNOWN, None).hold_vacated == 0.2
    held = settings_for(bad, asked, KNOWN, None)
    assert (held.hold, held.hold_vacated) == (1.0, 1.0)
    assert settings_for(bad, asked, UNKNOWN, None).hold == 0.5
    own = settings_for(bad, asked, KNOWN, Settings(hold_vacated=0.2))  # what the user says is never overruled
    assert (own.hold, own.hold_vacated) == (1.0, 0.2)


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


def test_steps_that_the_source_does_not_have_are_refused_where_the_user_asked(source: Source) -> None:
    assert settings_for(source, Settings(steps=99), UNKNOWN, Settings(seed=3)).steps == len(source.schedule)
    with pytest.raises(EditError, match="steps=99, but the source was generated with steps="):
        settings_for(source, Settings(steps=99), UNKNOWN, Settings(steps=99))


# --- energies that decide nothing ---------------------------------------------------------------------------------------

SIZE, STEPS = 32, 5
LINE = "the energies guided nothing"


def box(left: int, top: int, side: int) -> np.ndarray:
    mask = np.zeros((SIZE, SIZE), bool)
    mask[top : top + side, left : left + side] = True
    return mask


def blotches(seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 255, (8, 8, 3), dtype=np.uint8)).resize((SIZE, SIZE))


OBJECT = box(6, 8, 10)
REFERENCE = {"reference": blotches(1), "reference_mask": box(4, 4, 12)}
FIELDS: dict[str, list[dict[str, Any]]] = {
    "move": [{"mask": OBJECT, "shift": (10, 4)}],
    "remove": [{"mask": OBJECT}],
    "resize": [{"mask": OBJECT, "scale": 1.5}, {"mask": OBJECT, "scale": 0.6}],
    "appearance": [{"mask": OBJECT, **REFERENCE}],
    "drag": [{"points": [((10, 12), (18, 14))], "mask": box(4, 4, 20)}],
    "custom": [{"mask": OBJECT, "energy": lambda features: features.generated.square().mean()}],
    "paste": [{**REFERENCE, "shift": (6, 6)}],
    "rotate": [{"mask": OBJECT, "degrees": 40}],
    "region": [{"mask": OBJECT, "points": [((8, 10), (14, 12)), ((14, 10), (20, 14))]}],
}


@pytest.fixture(scope="module")
def editor() -> Editor:
    return tiny_editor("dragonkit_paste", "dragonkit_rotate", "dragonkit_region")


def every_card_and_preset() -> list[Any]:
    """Cards with settings of their own and presets; what comes out alike is tried once. Where nothing is held there is little doubt."""
    cases: dict[str, Any] = {}
    for card in PluginRegistry(discover=False).models().values():
        for preset in PRESETS:
            told = Settings(**{**card.settings, **Settings.preset(preset, steps=STEPS).model_dump(exclude_unset=True)}).model_dump_json()
            marks = (
                [pytest.mark.slow]
                if Settings.preset(preset).start == "noise" or card.name == "sdxl" or (card.name, preset) == ("sd15", "fast")
                else []
            )
            cases.setdefault(told, pytest.param(card, preset, id=f"{card.name}-{preset}", marks=marks))
    return list(cases.values())


@pytest.mark.parametrize("mode", FIELDS)
@pytest.mark.parametrize(("card", "preset"), every_card_and_preset())
def test_energies_change_something_or_the_report_says_that_they_did_not(
    editor: Editor, card: ModelCard, preset: str, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends: list[torch.Tensor] = []

    def end(_backbone: Any, latents: torch.Tensor, _plan: Any, source: Source, _keeps_pixels: bool) -> Photo:
        ends.append(latents)
        return source.photo

    monkeypatch.setattr("dragonkit.editing.running.finish", end)
    editor.card = replace(card, autoencoder_psnr=None)  # the same editor, which remembers its inversions
    for fields in FIELDS[mode]:
        ends.clear()
        edit = editor.registry.edit_types()[mode](**fields)
        settings = editor.settings(Settings.preset(preset, steps=STEPS))
        source = editor.invert(blotches(0), "a fish", settings, check=False)
        scales = (settings.energy_scale, 10 * settings.energy_scale)
        reports = [editor.edit(source, edit, settings.model_copy(update={"energy_scale": scale})).report for scale in scales]
        told = [any(warning.startswith(LINE) for warning in report.warnings) for report in reports]
        assert told == [torch.equal(*ends)] * 2


def test_every_mode_is_tried(editor: Editor) -> None:
    assert FIELDS.keys() == editor.registry.edit_types().keys()


def idle(**changes: Any) -> str:
    everywhere, trajectory = torch.ones(8, 8, dtype=torch.bool), torch.zeros(11, 4, 8, 8)
    term = PlannedTerm("p.edit", EnergyTerm("edit", lambda features: features.generated.mean()))
    given = {"terms": [term], "guided": frozenset({0, 1, 2}), "anchors": [Anchor(everywhere, trajectory, 0.3)], **changes}
    return " ".join(advice_on_plan(SamplingPlan(torch.zeros(1, 4, 8, 8), None, None, **given), 10))


def test_what_to_change_is_said_in_one_line() -> None:
    assert idle() == (
        f"{LINE}: they act in steps 1 to 3 of 10, and until step 3 all that they could change is held; "
        "lower hold or hold_vacated, or let the span of the schedule end later"
    )
    half = torch.arange(64).reshape(8, 8) < 32
    last = PlannedTerm("p.edit", EnergyTerm("edit", lambda features: features.generated.mean()), region=half)
    to_the_end = [Anchor(half, torch.zeros(11, 4, 8, 8))]
    assert idle(terms=[last], anchors=to_the_end).endswith("until step 10 all that they could change is held; lower hold or hold_vacated")
    assert "widen its span" in idle(guided=frozenset())


def test_energies_that_act_or_are_not_asked_for_are_worth_no_line() -> None:
    half = torch.arange(64).reshape(8, 8) < 32
    assert idle(guided=frozenset({3})) == idle(anchors=[Anchor(half, torch.zeros(11, 4, 8, 8))]) == idle(anchors=[]) == ""
    off = PlannedTerm("p.edit", EnergyTerm("edit", lambda features: features.generated.mean(), 0.0))
    assert idle(energy_scale=0.0) == idle(terms=[]) == idle(terms=[off]) == ""
