"""Inversions are chosen by name, checked, and remembered by what their outcome depends on; only finished work is remembered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from helpers.straight_flow import CARD, StraightFlow
from pydantic import Field

from dragonkit.diffusion.replay import Replay
from dragonkit.diffusion.sampling import Step
from dragonkit.editing.editor import Editor
from dragonkit.editing.layout import Layout
from dragonkit.editing.planning import plan_edits
from dragonkit.edits.schedules import GuidanceSchedule
from dragonkit.edits.settings import Settings
from dragonkit.errors import Cancelled, EditError, OutOfMemoryError, PluginHookError
from dragonkit.modes.move import Move
from dragonkit.plugins.inversion import Inversion, InversionOptions
from dragonkit.plugins.registry import PluginRegistry
from dragonkit.plugins.specs import hookimpl

STEPS = 5
PICTURE = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
MASK = np.zeros((32, 32), bool)
MASK[4:16, 4:16] = True
MOVE = Move(mask=MASK, shift=(12, 8))


class Strength(InversionOptions):
    strength: float = Field(default=1.0, description="how loud the noise is")


def noisy(
    backbone: Any, clean: torch.Tensor, condition: Any, schedule: Any, options: Strength, progress: Callable[[int, int], None]
) -> Any:
    """The straight way to some noise."""
    noise = options.strength * torch.randn(clean.shape, generator=torch.Generator().manual_seed(options.iterations)).to(clean)
    progress(len(schedule), len(schedule))
    return torch.cat([clean, *(schedule.add_noise(clean, noise, level) for level in range(1, len(schedule) + 1))])


def editor_with(function: Callable[..., Any] = noisy) -> Editor:
    class Plugin:
        @hookimpl
        def dragonkit_inversions(self) -> list[Inversion]:
            return [Inversion("noisy", "straight to some noise", function, Strength)]

    registry = PluginRegistry(discover=False)
    registry.register(Plugin(), "culprit")
    return Editor(StraightFlow(), CARD, registry)


def test_the_settings_choose_and_the_edit_file_says_so() -> None:
    editor, settings = editor_with(), Settings(inversion="noisy", inversion_options={"strength": 0.5})
    source = editor.invert(PICTURE, "a fish", settings, check=False)
    assert editor.backbone.calls == 0
    assert not torch.equal(source.trajectory, editor.invert(PICTURE, "a fish").trajectory)
    file = editor.edit(source, MOVE).edit_file
    assert (file.settings.inversion, file.settings.inversion_options, file.settings.inversion_iterations) == ("noisy", {"strength": 0.5}, 2)
    assert np.array_equal(np.asarray(editor.run(file).image), np.asarray(editor.edit(source, MOVE).image))


@pytest.mark.parametrize(
    "changes",
    [
        {"prompt": "a bird"},
        {"pixels": PICTURE[::-1]},
        {"pixels": PICTURE.reshape(16, 64, 3)},
        {"steps": 4},
        {"inversion_iterations": 3},
        {"inversion_options": {"strength": 0.5}},
        {"inversion": "ddim"},
    ],
    ids=str,
)
def test_an_inversion_is_remembered_by_what_its_outcome_depends_on(changes: dict[str, Any]) -> None:
    editor = editor_with()

    def invert(pixels: np.ndarray = PICTURE, prompt: str = "a fish", check: bool = False, **settings: Any) -> Any:
        return editor.invert(pixels, prompt, Settings(**{"inversion": "noisy", **settings}), check)

    first = invert()
    assert invert(energy_scale=0.5, seed=7, pixels=PICTURE.copy()) is first
    assert invert(**changes) is not first
    assert invert() is first
    keys = list(editor._sources._inversions)
    assert len(set(keys)) == 2 and max(map(len, keys)) <= 64  # a digest, and no picture


def test_unfinished_inversions_are_forgotten() -> None:
    editor = editor_with()

    def stop(done: int, of: int) -> None:
        if done == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        editor.invert(PICTURE, "a fish", progress=stop)
    assert not editor._sources._inversions
    calls = editor.backbone.calls
    whole = editor.invert(PICTURE, "a fish", check=False)
    assert editor.backbone.calls == calls + 2 * STEPS
    assert torch.equal(whole.trajectory, editor_with().invert(PICTURE, "a fish", check=False).trajectory)


def test_an_edit_that_was_stopped_leaves_no_half_of_the_guidance_branch() -> None:
    editor, settings = editor_with(), Settings(hold=0.0, hold_vacated=0.0)
    source = editor.invert(PICTURE, "a fish")

    def stop(step: Step) -> None:
        if step.index == 1:
            raise Cancelled

    with pytest.raises(Cancelled):
        editor.edit(source, MOVE, settings, on_step=stop)
    fresh = editor_with()
    expected = fresh.edit(fresh.invert(PICTURE, "a fish"), MOVE, settings)
    assert np.array_equal(np.asarray(editor.edit(source, MOVE, settings).image), np.asarray(expected.image))


def raising(error: Exception) -> Callable[..., Any]:
    def function(*_: Any) -> None:
        raise error

    return function


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (raising(KeyError("noise")), "raised KeyError: 'noise'"),
        (lambda *_: None, r"\(6, 3, 8, 8\), .* gave None"),
        (lambda backbone, clean, *_: clean, r"gave a tensor \(1, 3, 8, 8\)"),
        (lambda backbone, clean, *_: clean.expand(6, -1, -1, -1) * torch.nan, "NaN or infinite"),
    ],
    ids=["raises", "nothing", "too short", "NaN"],
)
def test_a_bad_inversion_is_its_plugins_fault(function: Callable[..., Any], said: str) -> None:
    editor = editor_with(function)
    with pytest.raises(PluginHookError, match=f"^plugin 'culprit': the inversion 'noisy' .*{said}"):
        editor.invert(PICTURE, settings=Settings(inversion="noisy"))
    assert not editor._sources._inversions


def test_errors_for_the_user_pass_through() -> None:
    with pytest.raises(Cancelled):
        editor_with(raising(Cancelled())).invert(PICTURE, settings=Settings(inversion="noisy"))
    with pytest.raises(OutOfMemoryError, match="recompute"):
        editor_with(raising(torch.OutOfMemoryError("full"))).invert(PICTURE, settings=Settings(inversion="noisy"))


def test_an_inversion_that_does_not_exist_is_refused_first() -> None:
    editor = editor_with()
    with pytest.raises(EditError, match=r"no inversion 'nosiy'\. .* ddim, .*noisy"):
        editor.edit(PICTURE, MOVE, Settings(inversion="nosiy"))
    with pytest.raises(EditError, match="Strength has no field 'loudness'"):
        editor.invert(PICTURE, settings=Settings(inversion="noisy", inversion_options={"loudness": 1}))
    assert editor.backbone.calls == 0


@pytest.mark.parametrize("name", ["ddim", "direct", "negative-prompt", "bdia", "edit-friendly"])
def test_every_inversion_serves_edits_of_any_model(name: str) -> None:
    editor, settings = editor_with(), Settings(inversion=name, guidance_scale=3.0, hold=0.4, hold_vacated=0.0, keep="energy")
    source = editor.invert(PICTURE, "a fish", settings)
    result = editor.edit(source, MOVE, settings)
    assert np.array_equal(np.asarray(editor.run(result.edit_file).image), np.asarray(result.image))
    assert source.reconstruction_psnr is not None and source.autoencoder_psnr is not None
    if name in ("direct", "bdia", "edit-friendly"):
        assert source.reconstruction_psnr == pytest.approx(source.autoencoder_psnr, abs=0.05)


@pytest.mark.parametrize("memory", ["bank", "recompute"])
def test_under_strong_guidance_a_retraced_source_changes_less_elsewhere(memory: str) -> None:
    free = {"keep": "energy", "hold": 0.0, "hold_guess": 0.0, "hold_vacated": 0.0, "energy_scale": 0.0, "attention": False}

    def change(inversion: str) -> float:
        editor, settings = editor_with(), Settings(inversion=inversion, guidance_scale=5.0, memory=memory, **free)
        source = editor.invert(PICTURE, "a fish", settings)
        round_trip = editor.backbone.decode(source.latents_at(0))[0].permute(1, 2, 0).numpy() * 127.5 + 127.5
        once, again = (np.asarray(editor.edit(source, MOVE, settings).image, dtype=float) for _ in range(2))
        assert np.array_equal(once, again)
        return float(np.abs(once - round_trip)[28:].mean())

    plain = change("ddim")
    assert change("direct") < plain / 4
    assert change("edit-friendly") < plain / 4


def test_a_step_misses_what_guidance_does_to_it_only_where_it_acts() -> None:
    editor = editor_with()
    settings = Settings(inversion="direct", guidance_scale=5.0, schedule={"guidance": (0.0, 0.4)})
    source = editor.invert(PICTURE, "a fish", settings, check=False)

    def missed(level: int, **changes: Any) -> torch.Tensor:
        return editor._sources.misses(editor.settings(settings.model_copy(update=changes)))(source, level)

    everywhere, nowhere = {"schedule": GuidanceSchedule()}, {"guidance_scale": 1.0}
    for step in range(STEPS):
        level, (same, other) = STEPS - step, (everywhere, nowhere) if step < 2 else (nowhere, everywhere)
        assert torch.equal(missed(level), missed(level, **same)) and not torch.equal(missed(level), missed(level, **other))


def test_what_a_step_misses_moves_with_the_content() -> None:
    editor, seen = editor_with(), dict[int, torch.Tensor]()
    settings = Settings(inversion="direct", inversion_iterations=1)
    source = editor.invert(PICTURE, "a fish", settings, check=False)
    misses = editor._sources.misses(editor.settings(settings))
    layout = Layout(editor.registry, MOVE, source.image_size)
    plan = plan_edits(editor.registry, editor.backbone, source, layout, editor.settings(settings), misses=misses).sampling
    assert plan.replay.retrace and plan.missed is not None
    for level in (1, STEPS):
        seen[level] = plan.missed(level)[0]
        own = misses(source, level)[0]
        assert torch.equal(seen[level][:, 3:6, 4:7], own[:, 1:4, 1:4])  # three cells to the right, two down
        assert not seen[level][:, 1:3, 1:3].any()  # what was left behind has no past
        assert torch.equal(seen[level][:, 6:], own[:, 6:])


def test_what_holds_for_one_guidance_scale_says_so() -> None:
    editor, settings = editor_with(), Settings(inversion="bdia", guidance_scale=2.0)
    source = editor.invert(PICTURE, "a fish", settings, check=False)
    assert editor.edit(source, MOVE).edit_file.settings.guidance_scale == 2.0
    with pytest.raises(EditError, match=r"guidance_scale=3.0, but the source was inverted with guidance_scale=2.0"):
        editor.edit(source, MOVE, settings.model_copy(update={"guidance_scale": 3.0}))
    assert editor.invert(PICTURE, "a fish", Settings(inversion="bdia", guidance_scale=3.0), check=False) is not source


def test_progress_counts_every_step_of_an_inversion_and_of_the_way_back() -> None:
    editor, told = editor_with(), list[tuple[int, int]]()
    for name in ("ddim", "edit-friendly"):
        editor.invert(PICTURE, "a fish", Settings(inversion=name), progress=lambda done, of: told.append((done, of)))
        assert told == [(done, 2 * STEPS) for done in range(1, 2 * STEPS + 1)]
        told.clear()


@pytest.mark.parametrize(
    ("replay", "said"),
    [(("more", "less"), r"must give a Replay .* but gave \('more', 'less'\)"), (Replay(negatives=(1, 2)), "5 negatives or none, .* 2")],
    ids=["something else", "too few"],
)
def test_a_bad_replay_is_its_plugins_fault(replay: object, said: str) -> None:
    editor = editor_with(lambda *arguments: (noisy(*arguments), replay))
    with pytest.raises(PluginHookError, match=f"^plugin 'culprit': .*{said}"):
        editor.invert(PICTURE, settings=Settings(inversion="noisy"))


# --- memory -------------------------------------------------------------------------------------------------------------


def test_a_full_bank_costs_calls_and_no_bit() -> None:
    free, settings = Settings(hold=0.0, hold_vacated=0.0), []
    for room in (10**9, 80_000, 0):
        editor = editor_with()
        editor._sources._bank.room = room
        results = [editor.edit(PICTURE, MOVE, free, "a fish") for _ in range(2)]
        assert editor._sources._bank.used() <= room
        settings.append(([one.image.tobytes() for one in results], results[1].report.network_evaluations))
    pictures, calls = zip(*settings, strict=True)
    assert pictures[0] == pictures[1] == pictures[2]
    assert calls[0] == STEPS < calls[1] < calls[2] == 2 * STEPS


def test_recomputing_lets_go_of_what_other_edits_kept() -> None:
    editor = editor_with()
    editor.edit(PICTURE, MOVE, prompt="a fish")
    assert editor._sources.keeps_anything
    editor.edit(PICTURE, MOVE, Settings(memory="recompute"), prompt="a fish")
    assert not editor._sources.keeps_anything


def test_running_out_of_memory_frees_what_was_kept_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    editor = editor_with()
    expected = editor.edit(PICTURE, MOVE, prompt="a fish")

    def full(*_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with monkeypatch.context() as patched:
        patched.setattr(editor.backbone, "decode", full)
        with pytest.raises(OutOfMemoryError, match=r"try again, as what was kept .* let go of now; .*memory='recompute'"):
            editor.generate("a fish")
        assert not editor._sources.keeps_anything
        with pytest.raises(OutOfMemoryError, match=r"^\D*use Settings\(memory='recompute'\)"):
            editor.generate("a fish")
    assert editor.edit(PICTURE, MOVE, prompt="a fish").image.tobytes() == expected.image.tobytes()


def test_a_check_asked_for_later_costs_the_check_alone() -> None:
    editor = editor_with()
    unchecked, calls = editor.invert(PICTURE, "a fish", check=False), editor.backbone.calls
    checked = editor.invert(PICTURE, "a fish")
    assert editor.backbone.calls == calls + STEPS
    assert unchecked.reconstruction_psnr is None and checked.reconstruction_psnr is not None and checked.way is unchecked.way
    assert editor.invert(PICTURE, "a fish") is editor.invert(PICTURE, "a fish", check=False) is checked


def test_the_way_back_is_checked_under_the_guidance_that_is_asked_for() -> None:
    """An inversion without guidance comes back without it; under guidance it wanders off, and the figure says so."""
    editor, strong = editor_with(), Settings(guidance_scale=4.0)
    plain = editor.invert(PICTURE, "a fish")
    result = editor.edit(plain, MOVE, strong)
    assert result.report.reconstruction_psnr is None
    assert any("checked under guidance_scale=1, but this edit runs under 4" in words for words in result.report.warnings)
    guided = editor.invert(PICTURE, "a fish", strong)
    assert guided.way is plain.way and guided.reconstruction_psnr and plain.reconstruction_psnr
    assert guided.reconstruction_psnr < plain.reconstruction_psnr - 1
    report = editor.edit(guided, MOVE, strong).report
    assert report.reconstruction_psnr == guided.reconstruction_psnr
    assert not any("was checked under" in words for words in report.warnings)


def test_an_open_picture_finds_its_way_when_somebody_asks() -> None:
    editor = editor_with()
    source = editor.open(PICTURE, "a fish")
    assert editor.backbone.calls == 0
    assert source.latents_at(2).shape == (1, 3, 8, 8) and editor.backbone.calls == 2 * 2  # two iterations a step
    assert torch.equal(source.trajectory, editor_with().invert(PICTURE, "a fish", check=False).trajectory)
    assert editor.open(PICTURE, "a fish") is source is editor.invert(PICTURE, "a fish", check=False)
