"""The editor on a model of random weights: what must not change keeps its bits, costs are as promised, and every run can be repeated."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from PIL import Image

from dragonkit.diffusion.sampling import Step
from dragonkit.diffusion.source import Source
from dragonkit.diffusion.stable_diffusion import StableDiffusion
from dragonkit.editing.editor import Editor
from dragonkit.editing.pasting import margin
from dragonkit.editing.results import EditResult
from dragonkit.editing.sources import KEPT_INVERSIONS
from dragonkit.edits.edit import Edit
from dragonkit.edits.file import EditFile
from dragonkit.edits.schedules import GuidanceSchedule
from dragonkit.edits.settings import Settings
from dragonkit.errors import (
    Cancelled,
    EditError,
    ImageError,
    MaskError,
    ModelNotFoundError,
    NonFiniteEnergyError,
    OutOfMemoryError,
    PluginHookError,
    ShapeError,
    UnknownModeError,
    UnsupportedModelError,
)
from dragonkit.imaging.masks import dilate, shift_mask
from dragonkit.modes.appearance import Appearance
from dragonkit.modes.drag import Drag
from dragonkit.modes.move import Move
from dragonkit.modes.resize import Resize
from dragonkit.plugins.answers import EditMasks, EnergyTerm, Features
from dragonkit.plugins.card import ModelCard
from dragonkit.plugins.registry import PluginRegistry
from dragonkit.plugins.specs import hookimpl

STEPS = 4
CARD = ModelCard("tiny", "nowhere", "random weights", {"steps": STEPS, "inversion_iterations": 1})


def picture(width: int = 32, height: int = 32) -> Image.Image:
    """A smooth background with a loud object in the upper left corner."""
    y, x = np.mgrid[:height, :width]
    colours = np.stack([100 + x, 80 + 2 * y, 120 - x + y], -1).astype(np.uint8)
    colours[thing(width, height)] = (250, 30, 60)
    return Image.fromarray(colours)


def thing(width: int = 32, height: int = 32) -> np.ndarray:
    mask = np.zeros((height, width), bool)
    mask[2:8, 3:10] = True
    return mask


def pixels(result: EditResult) -> np.ndarray:
    return np.asarray(result.image)


MOVE = Move(mask=thing(), shift=(10, 2))


@pytest.fixture
def editor(tiny_pipeline: Any) -> Editor:
    return Editor(StableDiffusion(tiny_pipeline), CARD, PluginRegistry(discover=False))


@pytest.fixture(scope="module")
def source(tiny_pipeline: Any) -> Source:
    return Editor(StableDiffusion(tiny_pipeline), CARD, PluginRegistry(discover=False)).invert(picture(), "a red fish")


# --- what must not change -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "working"), [((32, 32), (32, 32)), ((50, 37), (32, 32)), ((97, 60), (64, 32)), ((37, 90), (32, 64))])
def test_pixels_away_from_the_edit_keep_their_bits(editor: Editor, size: tuple[int, int], working: tuple[int, int]) -> None:
    shift = (size[0] // 3, 0)
    result = editor.edit(picture(*size), Move(mask=thing(*size), shift=shift), Settings(steps=2))
    assert result.image.size == size and result.image.mode == "RGB"
    assert (result.report.image_size, result.report.working_size) == (size, working)
    assert result.report.resized == (size != working)
    changed = (pixels(result) != np.asarray(picture(*size))).any(-1)
    cell = size[0] / (working[0] // 4)
    touched = dilate(thing(*size) | shift_mask(thing(*size), *shift), margin(cell) + 0.5)  # distances are those of pixel centres
    assert not touched.all()
    assert not changed[~touched].any()
    assert not changed[result.region == 0].any()
    assert changed[thing(*size)].mean() > 0.5


def test_the_three_ways_to_keep(editor: Editor, source: Source) -> None:
    results = {keep: editor.edit(source, MOVE, Settings(keep=keep)) for keep in ("pixels", "latents", "energy")}
    images = {keep: pixels(result).astype(int) for keep, result in results.items()}
    corner = (slice(26, 32), slice(0, 32))
    assert (images["pixels"][corner] == source.pixels[corner]).all()
    assert (images["latents"][corner] != source.pixels[corner]).any()  # it went through the autoencoder
    assert (images["energy"][corner] != images["latents"][corner]).any()


def test_the_object_is_held_as_long_as_asked(editor: Editor, source: Source) -> None:
    images = [pixels(editor.edit(source, MOVE, Settings(hold=hold, keep="latents"))) for hold in (0.0, 1.0)]
    target = shift_mask(thing(), 10, 2)
    assert (images[0][target] != images[1][target]).any()


def test_a_mask_over_everything_can_be_moved(editor: Editor, source: Source) -> None:
    result = editor.edit(source, Move(mask=np.ones((32, 32), bool), shift=(8, 0)))
    assert all(math.isfinite(energy) for step in result.report.steps for energy in step.energies.values())


# --- memory and cost ----------------------------------------------------------------------------------------------------


def test_bank_and_recompute_give_the_same_picture(editor: Editor, source: Source) -> None:
    recomputed, banked = (editor.edit(source, MOVE, Settings(memory=memory)) for memory in ("recompute", "bank"))
    assert np.array_equal(pixels(recomputed), pixels(banked))
    assert recomputed.report.network_evaluations == banked.report.network_evaluations  # the bank is filled on the way


def test_a_second_edit_of_a_source_is_cheaper(editor: Editor, source: Source) -> None:
    costs = [editor.edit(source, MOVE).report.network_evaluations for _ in range(2)]
    assert costs == [2 * STEPS, STEPS]  # the guidance branch once, then the generation branch alone
    recomputed = [editor.edit(source, MOVE, Settings(memory="recompute", layers=(2,))).report.network_evaluations for _ in range(2)]
    assert recomputed == [2 * STEPS, 2 * STEPS]


def test_other_layers_are_recorded_anew(editor: Editor, source: Source) -> None:
    fine = Settings(layers=(2, 3))
    assert editor.edit(source, MOVE, fine).report.network_evaluations == 2 * STEPS
    usual = editor.edit(source, MOVE)  # at the guided steps, which alone compare features
    assert usual.report.network_evaluations == STEPS + sum(bool(step.energies) for step in usual.report.steps) < 2 * STEPS
    fresh = Editor(editor.backbone, CARD, editor.registry)
    assert np.array_equal(pixels(usual), pixels(fresh.edit(source, MOVE)))
    assert editor.edit(source, MOVE, fine).report.network_evaluations == STEPS


def test_two_runs_give_the_same_bits(editor: Editor, source: Source) -> None:
    assert np.array_equal(pixels(editor.edit(source, MOVE)), pixels(editor.edit(source, MOVE)))


def test_an_inversion_is_remembered(editor: Editor) -> None:
    first, calls = editor.invert(picture(), "a fish"), editor.backbone.calls
    assert calls == 2 * STEPS  # up and, as a check, down again
    assert editor.invert(picture().copy(), "a fish") is first
    assert editor.backbone.calls == calls
    for prompt, settings in (("a bird", None), ("a fish", Settings(steps=2)), ("a fish", Settings(inversion_iterations=2))):
        other = editor.invert(picture(), prompt, settings, check=False)
        assert other.trajectory.shape != first.trajectory.shape or not torch.equal(other.trajectory, first.trajectory)


def test_a_draft_comes_before_the_first_step(editor: Editor) -> None:
    """The object in its place, the ground it left filled, all else as it was; what is raised there ends the edit."""
    told: list[Any] = []
    editor.edit(picture(), MOVE, prompt="a fish", on_step=lambda step: told.append(step.done), on_draft=told.append)
    draft, *steps = told
    assert steps == list(range(1, STEPS + 1))
    before, after = np.asarray(picture()), np.asarray(draft)
    rows, columns = np.nonzero(thing())
    inner = slice(len(rows) // 2, len(rows) // 2 + 2)  # away from the object's soft edge
    (dx, dy) = (int(part) for part in MOVE.shift)
    assert np.array_equal(after[rows + dy, columns + dx][inner], before[rows, columns][inner])
    assert (after != before)[thing()].any() and np.array_equal(after[-1], before[-1])

    def stop(draft: Any) -> None:
        raise Cancelled

    calls = editor.backbone.calls
    with pytest.raises(Cancelled):
        editor.edit(picture(), MOVE, prompt="a fish", on_draft=stop)
    assert editor.backbone.calls == calls
    with pytest.raises(EditError, match="on_draft must be a function of a picture or None, got 3"):
        editor.edit(picture(), MOVE, on_draft=3)  # type: ignore[arg-type]


def test_an_edit_of_a_picture_inverts_it_once(editor: Editor) -> None:
    first = editor.edit(picture(), MOVE, prompt="a fish")
    calls = editor.backbone.calls
    second = editor.edit(picture(), Move(mask=thing(), shift=(4, 4)), prompt="a fish")
    assert editor.backbone.calls == calls + STEPS
    assert (first.report.network_evaluations, second.report.network_evaluations) == (
        1 + STEPS,
        STEPS,
    )  # the noisy end was not seen by the inversion


@pytest.mark.parametrize("size", [(32, 32), (50, 37)])
def test_a_moved_object_that_is_held_keeps_its_own_pixels(editor: Editor, size: tuple[int, int]) -> None:
    """The model changes the vacated place, and the decoder spreads that far; what was given must not change with it."""
    mask, (dx, dy) = thing(*size), (size[0] // 3, 2)
    result = editor.edit(picture(*size), Move(mask=mask, shift=(dx, dy)), Settings(steps=4, hold=1.0, hold_vacated=0.0))
    rows, columns = np.nonzero(mask)
    before, after = np.asarray(picture(*size))[rows, columns], pixels(result)[rows + dy, columns + dx]
    assert np.array_equal(before, after)
    assert (pixels(result)[mask] != np.asarray(picture(*size))[mask]).any()


def test_what_is_held_to_the_end_shows_the_pasted_picture_without_a_halo(editor: Editor) -> None:
    """Latents see beyond their cells: the source's around a recoloured object are not those of the recoloured picture."""
    red = Image.new("RGB", (32, 32), (200, 20, 20))
    edit = Appearance(mask=thing(), reference=red, reference_mask=np.ones((32, 32), bool), init="texture")
    source = editor.invert(picture(), "a fish")
    result = editor.edit(source, edit, Settings(hold=1.0, hold_vacated=1.0))
    changed = np.abs(np.asarray(result.image).astype(int) - np.asarray(picture())).max(-1) > 2
    assert changed[thing()].any()
    assert not (changed & ~dilate(thing(), 2)).any()


def test_forgetting_keeps_inversions_and_drops_what_was_recorded_of_them(editor: Editor) -> None:
    first = editor.edit(picture(), MOVE, prompt="a fish")
    editor.forget()
    calls = editor.backbone.calls
    second = editor.edit(picture(), MOVE, prompt="a fish")
    assert editor.backbone.calls == calls + 2 * STEPS  # no inversion, but everything is recorded anew
    assert second.image.tobytes() == first.image.tobytes()


def test_only_the_last_few_inversions_are_kept(editor: Editor) -> None:
    settings = Settings(steps=1)
    first = editor.invert(picture(), "0", settings, check=False)
    for number in range(1, KEPT_INVERSIONS):
        editor.invert(picture(), str(number), settings, check=False)
    assert editor.invert(picture(), "0", settings, check=False) is first  # and is now the newest
    editor.invert(picture(), "one more", settings, check=False)
    assert editor.invert(picture(), "0", settings, check=False) is first
    calls = editor.backbone.calls
    editor.invert(picture(), "1", settings, check=False)
    assert editor.backbone.calls == calls + 1  # the oldest was dropped


# --- inverting and generating -------------------------------------------------------------------------------------------


def test_progress_counts_the_check_too(editor: Editor) -> None:
    told: list[tuple[int, int]] = []
    editor.invert(picture(), progress=lambda done, of: told.append((done, of)))
    assert told == [(done, 2 * STEPS) for done in range(1, 2 * STEPS + 1)]
    told.clear()
    editor.invert(picture(), "unchecked", check=False, progress=lambda done, of: told.append((done, of)))
    assert told == [(done, STEPS) for done in range(1, STEPS + 1)]


def test_a_source_knows_how_well_it_comes_back(editor: Editor, source: Source) -> None:
    assert source.reconstruction_psnr is not None and source.autoencoder_psnr is not None
    unchecked = editor.invert(picture(), "unchecked", check=False)
    assert unchecked.reconstruction_psnr is None and unchecked.autoencoder_psnr == source.autoencoder_psnr
    assert np.array_equal(source.pixels, np.asarray(picture()))
    assert (source.prompt, source.size, source.seed) == ("a red fish", (32, 32), None)


@pytest.mark.parametrize(
    ("back", "most", "warned"),
    [(30.0, 32.0, False), (28.0, 32.0, True), (19.0, 19.5, True), (None, None, False), (30.0, 35.5, True)],
)
def test_a_bad_reconstruction_is_worth_a_warning(editor: Editor, source: Source, back: Any, most: Any, warned: bool) -> None:
    result = editor.edit(
        replace(source, reconstruction_psnr=back, checked_under=1.0, autoencoder_psnr=most), MOVE, Settings(energy_scale=0)
    )
    assert bool(result.report.warnings) == warned
    if warned:
        limited = f"only roughly (its autoencoder gives it back at {most:.1f} dB)"
        lossy = f"comes back at {back:.1f} dB, the autoencoder alone reaches {most:.1f} dB"
        assert (limited if most < 20 else lossy) in result.report.warnings[0]
    assert (result.report.reconstruction_psnr, result.report.autoencoder_psnr) == (back, most)


def test_a_seed_makes_the_picture(editor: Editor) -> None:
    one, again, other = (editor.generate("a red fish", seed) for seed in (1, 1, 2))
    assert np.array_equal(one.pixels, again.pixels) and torch.equal(one.trajectory, again.trajectory)
    assert not np.array_equal(one.pixels, other.pixels)
    assert (one.pixels.shape, one.seed, one.size, one.prompt) == ((32, 32, 3), 1, (32, 32), "a red fish")
    assert one.trajectory.shape == (STEPS + 1, 4, 8, 8)
    decoded = editor.backbone.decode(one.latents_at(0))[0].permute(1, 2, 0)
    assert np.abs((decoded.numpy() + 1) * 127.5 - one.pixels).max() <= 0.5


@pytest.mark.parametrize("edited_under", [1.0, 3.0])
def test_a_generated_picture_is_generated_again_under_its_own_guidance(editor: Editor, edited_under: float) -> None:
    source = editor.generate("a red fish", seed=3, settings=Settings(steps=4, guidance_scale=4.0))
    result = editor.edit(source, MOVE, Settings(guidance_scale=edited_under))
    file = EditFile.loads(result.edit_file.dumps())
    assert file.settings.guidance_scale == edited_under
    assert torch.equal(editor.source_of(file).trajectory, source.trajectory)
    assert np.array_equal(np.asarray(editor.run(file).image), np.asarray(result.image))
    older = file.model_copy(update={"seed_guidance_scale": None})  # as files were written before
    assert torch.equal(editor.source_of(older).trajectory, editor.generate("a red fish", 3, file.settings).trajectory)


def test_a_generated_picture_can_be_edited(editor: Editor) -> None:
    source = editor.generate("a red fish", 1)
    result = editor.edit(source, MOVE)
    assert result.report.reconstruction_psnr is None and result.report.warnings == ()
    assert (result.edit_file.seed, result.edit_file.image, result.edit_file.prompt) == (1, "", "a red fish")


# --- several edits, and edits of edits ----------------------------------------------------------------------------------


def test_two_edits_at_once(editor: Editor, source: Source) -> None:
    other = np.zeros((32, 32), bool)
    other[22:28, 22:28] = True
    result = editor.edit(source, [MOVE, Move(mask=other, shift=(-8, 0))])
    assert result.report.modes == ("move", "move")
    assert {label.partition(":")[0] for label in result.report.steps[0].energies} == {"0", "1"}
    changed = (pixels(result) != source.pixels).any(-1)
    assert changed[thing()].any() and changed[other].any()
    assert not changed[:12, 28:].any()


def test_a_result_can_be_edited_again(editor: Editor) -> None:
    first = editor.edit(picture(), MOVE, prompt="a red fish")
    second = editor.edit(first, Move(mask=shift_mask(thing(), 10, 2), shift=(0, 8)))
    assert second.report.prompt == "a red fish"
    assert editor.edit(first, MOVE, Settings(steps=1), prompt="a bird").report.prompt == "a bird"
    corner = (slice(0, 32), slice(29, 32))
    assert np.array_equal(pixels(second)[corner], np.asarray(picture())[corner])  # still the first picture's bits
    assert second.edit_file.load_image().tobytes() == first.image.tobytes()


# --- settings -----------------------------------------------------------------------------------------------------------


def test_settings_are_the_cards_with_ones_own_on_top(tiny_pipeline: Any) -> None:
    card = ModelCard("tiny", "nowhere", settings={"steps": 7, "guidance_scale": 4.0})
    editor = Editor(StableDiffusion(tiny_pipeline), card, PluginRegistry(discover=False))
    assert editor.settings() == Settings(steps=7, guidance_scale=4.0)
    assert editor.settings(Settings(steps=9)) == Settings(steps=9, guidance_scale=4.0)
    assert editor.settings(Settings(guidance_scale=1.0)).guidance_scale == 1.0  # set on purpose, though it is the default
    merged = editor.settings(Settings(schedule=GuidanceSchedule(every=2)))
    assert editor.settings(merged) == merged


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (Settings(steps=30), "steps=30, but the source was inverted with steps=4"),
        (Settings(inversion_iterations=2), "inversion_iterations=2, but the source was inverted with inversion_iterations=1"),
        (Settings.preset("fast"), "steps=20, but the source was inverted with steps=4"),
    ],
)
def test_settings_that_the_source_was_not_made_with_are_refused(editor: Editor, source: Source, asked: Settings, said: str) -> None:
    calls = editor.backbone.calls
    with pytest.raises(EditError, match=re.escape(said)):
        editor.edit(source, MOVE, asked)
    assert editor.backbone.calls == calls


def test_the_sources_own_settings_are_no_contradiction(editor: Editor, source: Source) -> None:
    result = editor.edit(source, MOVE, Settings(steps=STEPS, inversion="extrapolated", inversion_iterations=1))
    assert len(result.report.steps) == result.edit_file.settings.steps == STEPS
    assert not any("steps" in warning for warning in result.report.warnings)
    generated = editor.generate("a red fish", 1, Settings(steps=3))
    assert len(editor.edit(generated, MOVE, Settings(inversion_iterations=7)).report.steps) == 3  # nothing was inverted
    with pytest.raises(EditError, match="was generated with steps=3"):
        editor.edit(generated, MOVE, Settings(steps=9))


def test_energies_are_reported_where_they_guide(editor: Editor, source: Source) -> None:
    result = editor.edit(source, MOVE, Settings(schedule=GuidanceSchedule(span=(0.0, 0.5))))
    assert [step.index for step in result.report.steps] == list(range(STEPS))
    assert [bool(step.energies) for step in result.report.steps] == [True, True, False, False]
    assert result.report.steps[0].energies.keys() == {"move.contrast", "move.edit", "move.inpaint", "move.preserve"}
    assert result.report.seconds > 0 and result.report.model == "tiny"


def test_guidance_changes_the_picture(editor: Editor, source: Source) -> None:
    plain, guided = (pixels(editor.edit(source, MOVE, Settings(energy_scale=scale, hold=0.0))) for scale in (0.0, 0.1))
    assert (plain != guided).any()


# --- a second picture, several edits ------------------------------------------------------------------------------------


def test_a_look_from_a_picture_of_another_size(editor: Editor, source: Source) -> None:
    other = np.asarray(picture(60, 40)).copy()
    other[thing(60, 40)] = (30, 60, 250)
    look = Appearance(mask=thing(), reference=Image.fromarray(other), reference_mask=thing(60, 40))
    result = editor.edit(source, look, Settings(hold=1.0))
    inside = pixels(result)[thing()].mean(0)
    assert inside[2] > inside[0]  # red became blue
    assert (pixels(result) == source.pixels)[result.region == 0].all()
    again = editor.run(result.edit_file)
    assert np.array_equal(pixels(again), pixels(result))
    recomputed = editor.edit(source, look, Settings(hold=1.0, memory="recompute"))
    assert np.array_equal(pixels(recomputed), pixels(result))


def test_several_edits_cost_one_pass(editor: Editor, source: Source) -> None:
    second = np.zeros((32, 32), bool)
    second[22:28, 20:28] = True
    edits = [MOVE, Resize(mask=second, scale=0.5)]
    one, other = (editor.edit(source, edit, Settings(hold=0.0, hold_vacated=0.0)).report.network_evaluations for edit in edits)
    both = editor.edit(source, edits, Settings(hold=0.0, hold_vacated=0.0))
    assert both.report.network_evaluations == one - STEPS == other  # the first one also recorded the source
    assert both.report.modes == ("move", "resize")
    assert editor.run(both.edit_file).report.modes == ("move", "resize")


def test_contradictions_are_told_before_the_picture_is_inverted(editor: Editor) -> None:
    with pytest.raises(EditError, match=r"edit 0 \(move\) and edit 1 \(move\) both want"):
        editor.edit(picture(), [MOVE, MOVE])
    assert editor.backbone.calls == 0


def test_what_a_schedule_leaves_out_is_the_models(tiny_pipeline: Any) -> None:
    card = ModelCard("tiny", "nowhere", settings={"schedule": GuidanceSchedule(span=(0.5, 1.0), every=3)})
    editor = Editor(StableDiffusion(tiny_pipeline), card, PluginRegistry(discover=False))
    assert editor.settings(Settings(schedule="every=2")).schedule == GuidanceSchedule(span=(0.5, 1.0), every=2)
    assert editor.settings(Settings.preset("paper")).schedule == GuidanceSchedule(guidance=(0, 0.4))
    assert editor.settings(Settings.preset("fast")).schedule == GuidanceSchedule(span=(0.5, 1.0), every=2)


# --- watching and stopping ----------------------------------------------------------------------------------------------


def test_steps_are_shown_as_they_happen(editor: Editor, source: Source) -> None:
    seen: list[Step] = []
    editor.edit(source, MOVE, on_step=seen.append)
    assert [step.index for step in seen] == list(range(STEPS))
    assert seen[0].preview().shape == seen[0].glimpse().shape == (1, 3, 32, 32)


def test_steps_count_what_is_run(editor: Editor, source: Source) -> None:
    """The first two steps of the schedule are given in every cell, and so not run."""
    settings, seen, told = Settings(hold=1.0, hold_vacated=0.5), list[Step](), list[tuple[int, int]]()
    editor.edit(source, Move(mask=thing(), shift=(10, 2)), settings, on_step=seen.append, progress=lambda *counts: told.append(counts))
    assert [(step.done, step.total, step.index, step.steps) for step in seen] == [(1, 2, 2, 4), (2, 2, 3, 4)]
    assert told == [(1, 2), (2, 2)]

    def stop(step: Step) -> None:
        if step.done == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        editor.edit(source, MOVE, settings, on_step=stop)


def test_progress_tells_of_every_picture_that_is_inverted_and_then_of_the_edit(editor: Editor) -> None:
    told: list[tuple[int, int]] = []
    look = Appearance(mask=thing(), reference=picture(60, 40), reference_mask=thing(60, 40))
    editor.edit(picture(), look, Settings(hold=0.0), progress=lambda done, total: told.append((done, total)))
    assert told == 3 * [(done, STEPS) for done in range(1, STEPS + 1)]  # picture, reference, edit


def test_cancelling_stops_at_once_and_leaves_the_editor_usable(editor: Editor, source: Source) -> None:
    expected = pixels(editor.edit(source, MOVE))

    def stop(step: Step) -> None:
        if step.index == 1:
            raise Cancelled

    calls = editor.backbone.calls
    with pytest.raises(Cancelled):
        editor.edit(source, MOVE, on_step=stop)
    assert editor.backbone.calls == calls + 2
    assert np.array_equal(pixels(editor.edit(source, MOVE)), expected)


def test_plugins_may_watch_and_stop(editor: Editor, source: Source) -> None:
    class Watcher:
        seen: ClassVar[list[int]] = []

        @hookimpl
        def dragonkit_step(self, step: Step) -> None:
            self.seen.append(step.index)
            if step.index == 2:
                raise Cancelled

    editor.registry.register(Watcher())
    with pytest.raises(Cancelled):
        editor.edit(source, MOVE)
    assert Watcher.seen == [0, 1, 2]


# --- what goes wrong ----------------------------------------------------------------------------------------------------


def broken(energy: Callable[[Features], Any]) -> object:
    class Extra:
        @hookimpl
        def dragonkit_energy_terms(self, edit: Edit, masks: EditMasks) -> list[EnergyTerm]:
            return [EnergyTerm("extra", energy)]

    return Extra()


@pytest.mark.parametrize(
    ("energy", "error", "said"),
    [
        (
            lambda features: features.nothing,
            PluginHookError,
            "'culprit'.*'extra' of its hook dragonkit_energy_terms raised AttributeError",
        ),
        (
            lambda features: features.generated.mean((1, 2)),
            ShapeError,
            "plugin 'culprit' .*hook dragonkit_energy_terms: the energy 'extra' must have shape a scalar",
        ),
        (lambda features: features.generated.mean() * math.nan, NonFiniteEnergyError, r"'culprit\.extra' became nan at step 0"),
    ],
    ids=["raises", "vector", "NaN"],
)
def test_a_plugins_bad_energy_is_its_own_fault(
    editor: Editor, source: Source, energy: Callable[[Features], Any], error: type[Exception], said: str
) -> None:
    editor.registry.register(broken(energy), "culprit")
    with pytest.raises(error, match=said):
        editor.edit(source, MOVE)


def test_what_is_asked_is_checked_before_the_picture_is_inverted(editor: Editor) -> None:
    class Unknown(Edit):
        mode: ClassVar[str] = "mvoe"

    with pytest.raises(UnknownModeError, match="Did you mean 'move'"):
        editor.edit(picture(), Unknown())
    with pytest.raises(EditError, match=r"Move\.mask is missing"):
        editor.edit(picture(), [{"mode": "move"}])
    assert editor.backbone.calls == 0


def test_what_does_not_fit_the_picture_is_refused(editor: Editor, source: Source) -> None:
    with pytest.raises(EditError, match="an empty list"):
        editor.edit(source, [])
    with pytest.raises(MaskError, match="32x32"):
        editor.edit(source, Move(mask=np.ones((8, 8), bool), shift=(1, 1)))
    with pytest.raises(ImageError, match="does not exist"):
        editor.edit("no such picture.png", MOVE)


def test_running_out_of_memory_comes_with_advice(editor: Editor, source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(editor.backbone, "decode", full)
    with pytest.raises(OutOfMemoryError, match="memory='recompute'"):
        editor.edit(source, MOVE)
    monkeypatch.setattr(editor.backbone, "encode", full)
    with pytest.raises(OutOfMemoryError):
        editor.invert(picture(), "another")


# --- repeating a run ----------------------------------------------------------------------------------------------------


def test_an_edit_file_makes_the_same_picture(editor: Editor, source: Source, tmp_path: Path) -> None:
    settings = Settings(schedule=GuidanceSchedule(span=(0.0, 0.5)), energy_scale=0.05, hold=0.3)
    result = editor.edit(source, MOVE, settings)
    file = EditFile.load(result.save(tmp_path / "out.png"))
    assert file == result.edit_file
    assert file.model == "tiny"
    again = editor.run(file.with_pictures(picture()))
    assert np.array_equal(pixels(again), pixels(result))
    assert again.edit_file == file


def test_an_edit_file_of_an_odd_sized_picture(editor: Editor) -> None:
    result = editor.edit(picture(50, 37), Move(mask=thing(50, 37), shift=(10, 0)), Settings(steps=2), prompt="a fish")
    assert np.array_equal(pixels(editor.run(result.edit_file)), pixels(result))


def test_an_edit_file_with_a_seed_makes_the_picture_too(editor: Editor) -> None:
    settings = Settings(steps=2, guidance_scale=2.0)
    result = editor.edit(editor.generate("a red fish", 5, settings), MOVE, settings)
    assert np.array_equal(pixels(editor.run(EditFile.loads(result.edit_file.dumps()))), pixels(result))


def test_a_source_made_with_other_settings_is_made_the_same_way_again(editor: Editor) -> None:
    source = editor.invert(picture(), "a red fish", Settings(steps=2, inversion_iterations=4))
    result = editor.edit(source, MOVE, Settings(keep="energy", hold=0.0))
    assert np.array_equal(pixels(editor.run(result.edit_file)), pixels(result))


def test_under_the_paper_a_drag_starts_from_patches_and_its_file_still_leaves_it_to_the_settings(editor: Editor, source: Source) -> None:
    drag = Drag(points=[((6, 5), (14, 9))], mask=np.ones((32, 32), bool))
    paper = Settings.preset("paper", steps=STEPS)
    result = editor.edit(source, drag, paper)
    patches, warp = (editor.edit(source, drag.model_copy(update={"init": init}), paper) for init in ("patches", "warp"))
    assert np.array_equal(pixels(result), pixels(patches)) and not np.array_equal(pixels(result), pixels(warp))
    assert result.edit_file.edits[0]["init"] == "auto"
    assert np.array_equal(pixels(editor.run(result.edit_file)), pixels(result))


def test_progress_and_steps_of_a_run_are_shown(editor: Editor, source: Source) -> None:
    file, told, seen = editor.edit(source, MOVE).edit_file, [], []
    Editor(editor.backbone, CARD, editor.registry).run(file, seen.append, lambda done, of: told.append((done, of)))
    assert told == 2 * [(done, STEPS) for done in range(1, STEPS + 1)]  # picture, edit
    assert len(seen) == STEPS


# --- loading ------------------------------------------------------------------------------------------------------------


def test_a_model_is_loaded_from_a_folder(tiny_pipeline: Any, tmp_path: Path) -> None:
    tiny_pipeline.save_pretrained(tmp_path / "model")
    editor = Editor.from_pretrained(str(tmp_path / "model"), dtype=torch.float32, registry=PluginRegistry(discover=False))
    assert (editor.backbone.device.type, editor.backbone.dtype) == ("cpu", torch.float32)
    assert editor.card.name == str(tmp_path / "model")
    settings = Settings(steps=STEPS, inversion_iterations=1)
    expected = Editor(StableDiffusion(tiny_pipeline), CARD, PluginRegistry(discover=False)).edit(picture(), MOVE, settings)
    difference = pixels(editor.edit(picture(), MOVE, settings)).astype(int) - pixels(expected)
    assert np.abs(difference).max() <= 1  # weights that lie elsewhere in memory may round differently


def test_a_model_that_is_not_there_is_refused() -> None:
    with pytest.raises(ModelNotFoundError, match="is called 'toybix'"):
        Editor.from_pretrained("toybix", registry=PluginRegistry(discover=False))


def test_a_model_of_another_kind_is_refused(tmp_path: Path) -> None:
    from diffusers import DDIMPipeline, DDIMScheduler, UNet2DModel

    blocks = {"block_out_channels": (8, 8), "down_block_types": ("DownBlock2D",) * 2, "up_block_types": ("UpBlock2D",) * 2}
    unet = UNet2DModel(8, norm_num_groups=8, **blocks)
    DDIMPipeline(unet, DDIMScheduler()).save_pretrained(tmp_path / "model")
    with pytest.raises(UnsupportedModelError, match="a DDIMPipeline has no vae"):
        Editor.from_pretrained(str(tmp_path / "model"), registry=PluginRegistry(discover=False))


def test_no_edit_is_refused_before_the_inversion(editor: Editor) -> None:
    calls = editor.backbone.calls
    with pytest.raises(EditError, match="no edit to run, got an empty list"):
        editor.edit(picture(), [])
    assert editor.backbone.calls == calls
