"""A list of pictures: each as if it were alone, in as many calls of the network as one takes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import dragonkit as dk
from dragonkit import testing
from dragonkit.diffusion.stable_diffusion import StableDiffusion
from dragonkit.editing import several
from dragonkit.errors import Cancelled, EditError, OutOfMemoryError, PluginHookError
from dragonkit.imaging.images import psnr
from dragonkit.plugins.registry import PluginRegistry
from dragonkit.plugins.specs import hookimpl

STEPS = 4
FREE = dk.Settings(steps=STEPS, hold=0, hold_vacated=0)


def picture(seed: int, width: int = 32, height: int = 32) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def box(left: int, width: int = 32, height: int = 32) -> np.ndarray:
    mask = np.zeros((height, width), bool)
    mask[4:14, left : left + 8] = True
    return mask


PICTURES = [picture(seed) for seed in range(3)]
MOVES: list[Any] = [dk.Move(mask=box(3), shift=(10, 4)), dk.Move(mask=box(8), shift=(-6, 8)), dk.Move(mask=box(12), shift=(8, 0))]
OTHERS: list[Any] = [
    dk.Drag(points=[((8, 8), (11, 12))], mask=box(4)),
    dk.Appearance(mask=box(4), reference=picture(7), reference_mask=box(12), reference_prompt="a house"),
    [dk.Remove(mask=box(4)), dk.Resize(mask=box(14), scale=1.4)],
]


@pytest.fixture(scope="module")
def pipeline() -> Any:
    return testing.tiny_pipeline(dtype=torch.float64)


def editor_of(pipeline: Any) -> dk.Editor:
    return dk.Editor(StableDiffusion(pipeline), testing.tiny_editor().card, PluginRegistry(discover=False))


@pytest.fixture
def editor(pipeline: Any) -> dk.Editor:
    return editor_of(pipeline)


@pytest.fixture
def calls(pipeline: Any, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The rows of every call of the network."""
    batches, forward = list[int](), pipeline.unet.forward

    def watched(latents: torch.Tensor, *args: Any, **more: Any) -> Any:
        batches.append(len(latents))
        return forward(latents, *args, **more)

    monkeypatch.setattr(pipeline.unet, "forward", watched)
    return batches


def same(one: dk.EditResult, other: dk.EditResult) -> bool:
    """But for a pixel that lies on the border of two levels."""
    return int(np.abs(np.asarray(one.image, int) - np.asarray(other.image, int)).max()) <= 1


SETTINGS = {
    "default": dk.Settings(steps=STEPS),
    "free": FREE,
    "paper": dk.Settings.preset("paper", steps=STEPS),
    "reference": dk.Settings.preset("reference", steps=STEPS),
    "recompute": FREE.model_copy(update={"memory": "recompute"}),
    "null-text": FREE.over(dk.Settings(inversion="null-text", guidance_scale=3.0)),
    "retraced": FREE.over(dk.Settings(inversion="direct", guidance_scale=3.0)),
}


@pytest.mark.parametrize("edits", [MOVES, OTHERS], ids=["moves", "others"])
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in ("null-text", "retraced", "recompute") else []) for name in SETTINGS]
)
def test_each_is_as_if_it_were_alone(pipeline: Any, name: str, edits: list[Any]) -> None:
    settings = SETTINGS[name]
    alone, together = editor_of(pipeline), editor_of(pipeline)
    expected = [alone.edit(one, edit, settings, "a fish") for one, edit in zip(PICTURES, edits, strict=True)]
    before = together.backbone.calls
    found = together.edit(PICTURES, edits, settings, "a fish")
    assert all(same(one, other) for one, other in zip(found, expected, strict=True))
    assert [one.report.network_evaluations for one in found] == [one.report.network_evaluations for one in expected]
    assert [one.edit_file.json() for one in found] == [one.edit_file.json() for one in expected]
    assert [one.report.warnings for one in found] == [one.report.warnings for one in expected]
    for one, other in zip(found, expected, strict=True):
        assert [step.energies for step in one.report.steps] == [pytest.approx(step.energies, rel=1e-6) for step in other.report.steps]
    assert together.backbone.calls - before == alone.backbone.calls, "as many rows"


@pytest.mark.parametrize("name", ["default", "free", "paper"])
def test_three_take_as_many_calls_as_one(pipeline: Any, calls: list[int], name: str) -> None:
    editor_of(pipeline).edit(PICTURES[0], MOVES[0], SETTINGS[name], "a fish")
    one = len(calls)
    calls.clear()
    editor_of(pipeline).edit(PICTURES, [MOVES[0]] * 3, SETTINGS[name], "a fish")
    assert len(calls) == one and set(calls) == {3}


def test_a_picture_may_be_there_twice_and_is_inverted_once(pipeline: Any, calls: list[int]) -> None:
    expected = [editor_of(pipeline).edit(PICTURES[0], edit, FREE) for edit in MOVES]
    calls.clear()
    editor = editor_of(pipeline)
    found = editor.edit([PICTURES[0]] * 3, MOVES, FREE)
    assert all(same(one, other) for one, other in zip(found, expected, strict=True))
    assert calls[:STEPS] == [1] * STEPS and 3 in calls
    source = editor.invert(PICTURES[1], settings=FREE)
    again = editor.edit((source, source, PICTURES[1]), MOVES, FREE)
    assert all(same(one, editor.edit(source, edit, FREE)) for one, edit in zip(again, MOVES, strict=True))


def test_sources_results_words_and_sizes_may_differ(editor: dk.Editor) -> None:
    source, result = editor.generate("a bird", 3, FREE), editor.edit(PICTURES[0], MOVES[0], FREE, "a house")
    wide = dk.Move(mask=box(4, 48, 32), shift=(20, 4))
    given: list[Any] = [source, result, picture(9, 48, 32), np.asarray(PICTURES[2])]
    edits = [MOVES[0], MOVES[1], wide, MOVES[2]]
    found = editor.edit(given, edits, FREE, ["", "", "a fish", "a fish"])
    assert [one.report.prompt for one in found] == ["a bird", "a house", "a fish", "a fish"]
    assert [one.image.size for one in found] == [(32, 32), (32, 32), (48, 32), (32, 32)]
    for one, picture_, edit, words in zip(found, given, edits, ["", "", "a fish", "a fish"], strict=True):
        assert same(one, editor.edit(picture_, edit, FREE, words))


def test_many_go_a_few_at_a_time(editor: dk.Editor, calls: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(several, "AT_ONCE", 2)
    expected = [editor.edit(picture(seed), MOVES[0], FREE) for seed in range(5)]
    calls.clear()
    found = editor.edit([picture(seed) for seed in range(5)], [MOVES[0]] * 5, FREE)
    assert all(same(one, other) for one, other in zip(found, expected, strict=True)) and max(calls) == 2


def test_a_list_of_one_and_of_none(editor: dk.Editor) -> None:
    (one,) = editor.edit([PICTURES[0]], [MOVES[0]], FREE)
    assert one.image.tobytes() == editor.edit(PICTURES[0], MOVES[0], FREE).image.tobytes()
    assert editor.edit([], [], FREE) == []


@pytest.mark.parametrize("edits", [MOVES, OTHERS], ids=["moves", "others"])
def test_progress_only_grows_and_steps_know_their_picture(editor: dk.Editor, edits: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(several, "AT_ONCE", 2)
    told, steps, drafts = list[tuple[int, int]](), list[Any](), list[Image.Image]()
    settings = FREE.model_copy(update={"keep": "pixels"})
    found = editor.edit(PICTURES, edits, settings, on_step=steps.append, progress=lambda *of: told.append(of), on_draft=drafts.append)
    assert {of for _, of in told} == {2 * 3 * STEPS}
    done = [done for done, _ in told]
    assert done == sorted(done) and done[0] > 0 and done[-1] == 2 * 3 * STEPS
    for number, result in enumerate(found):
        assert [step.done for step in steps if step.picture == number] == [1 + index for index in range(len(result.report.steps))]
    for draft, picture_, edit in zip(drafts, PICTURES, edits, strict=True):
        alone = list[Image.Image]()
        editor.edit(picture_, edit, settings, on_draft=alone.append)
        assert draft.tobytes() == alone[0].tobytes()


def test_who_stops_it_stops_all(editor: dk.Editor) -> None:
    def stop(step: Any) -> None:
        if step.done == 2:
            raise Cancelled()

    with pytest.raises(Cancelled) as caught:
        editor.edit(PICTURES, MOVES, FREE, on_step=stop)
    assert not hasattr(caught.value, "__notes__"), "it is no picture's fault"
    assert len(editor.edit(PICTURES, MOVES, FREE)) == 3, "nothing is left locked"


@pytest.mark.parametrize(
    ("edits", "prompt", "said"),
    [
        (MOVES[:2], "", "a list of 3 pictures the edits must be a list of as many, one entry for each, but got 2"),
        (MOVES[0], "", "the edits must be a list of as many"),
        (MOVES[0].to_dict(), "", "the edits must be a list of as many"),
        (MOVES, ["a", "b"], "the prompt must be one text for all of them, or a list of as many, but got 2"),
        (MOVES, 7, "the prompt must be one text for all"),
    ],
)
def test_lists_of_other_lengths_are_refused(editor: dk.Editor, edits: Any, prompt: Any, said: str) -> None:
    with pytest.raises(EditError, match=said):
        editor.edit(PICTURES, edits, FREE, prompt)


@pytest.mark.parametrize("pictures", [np.stack([np.asarray(one) for one in PICTURES]), iter(PICTURES), PICTURES[0]])
def test_words_for_a_list_ask_for_a_list_of_pictures(editor: dk.Editor, pictures: Any) -> None:
    with pytest.raises(EditError, match=r"the prompt is a list, which is for a list of pictures, .*give list\(pictures\)"):
        editor.edit(pictures, MOVES, FREE, ["a", "b", "c"])


def test_edits_and_words_may_be_any_kind_of_list(editor: dk.Editor) -> None:
    expected = editor.edit(PICTURES, MOVES, FREE, ["a", "b", "c"])
    found = editor.edit(tuple(PICTURES), iter(MOVES), FREE, np.array(["a", "b", "c"]))  # type: ignore[call-overload]
    assert all(same(one, other) for one, other in zip(found, expected, strict=True))


def test_errors_say_which_picture_they_are_about(editor: dk.Editor, calls: list[int]) -> None:
    outside = dk.Move(mask=np.zeros((8, 8), bool), shift=(3, 3))
    with pytest.raises(Exception, match=r"8") as caught:
        editor.edit(PICTURES, [MOVES[0], outside, MOVES[2]], FREE)
    assert caught.value.__notes__ == ["This is about picture 2 of 3."] and not calls, "said before anybody waits"


class Broken:
    """Fails at the second step of one picture."""

    @hookimpl
    def dragonkit_step(self, step: Any) -> None:
        if step.done == 2:
            raise ValueError("no luck")


def test_a_plugins_error_ends_all_and_names_the_picture(editor: dk.Editor) -> None:
    editor.registry.register(Broken(), "broken")
    with pytest.raises(PluginHookError, match="no luck") as caught:
        editor.edit(PICTURES, MOVES, FREE)
    assert caught.value.__notes__ == ["This is about picture 1 of 3."]


def test_when_memory_runs_out_fewer_go_at_a_time(editor: dk.Editor, pipeline: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    expected, forward = [editor.edit(one, edit, FREE) for one, edit in zip(PICTURES, MOVES, strict=True)], pipeline.unet.forward

    def small(latents: torch.Tensor, *args: Any, **more: Any) -> Any:
        if len(latents) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(latents, *args, **more)

    monkeypatch.setattr(pipeline.unet, "forward", small)
    found = editor.edit(PICTURES, MOVES, FREE)
    assert all(same(one, other) for one, other in zip(found, expected, strict=True))
    said = "memory ran out for 3 pictures at a time, so they were edited in parts, at most 2 at a time"
    assert all(said in one.report.warnings for one in found)


def test_when_nothing_helps_it_says_what_does(editor: dk.Editor, pipeline: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(pipeline.unet, "forward", full)
    with pytest.raises(OutOfMemoryError, match="working_size"):
        editor.edit(PICTURES, MOVES, FREE)


@pytest.mark.slow
@pytest.mark.parametrize(("dtype", "least"), [("float32", 80), ("bfloat16", 55)])  # measured: the same pixels, and 68 to 71 dB
def test_the_embedded_model_rounds_a_little_otherwise(dtype: str, least: float) -> None:
    alone, together = (dk.Editor.from_pretrained(dtype=dtype, registry=PluginRegistry(discover=False)) for _ in range(2))
    scenes = [dk.toybox.scene(seed=1000 + number) for number in range(3)]
    edits = [dk.Move(mask=scene.objects[0].mask, shift=(20, 4 * number - 4)) for number, scene in enumerate(scenes)]
    expected = [alone.edit(scene.image, edit, prompt=scene.caption) for scene, edit in zip(scenes, edits, strict=True)]
    found = together.edit([scene.image for scene in scenes], edits, prompt=[scene.caption for scene in scenes])
    assert all(psnr(one.image, other.image) > least for one, other in zip(found, expected, strict=True))


@pytest.mark.gpu
@pytest.mark.parametrize("memory", ["bank", "offload", "recompute"])
@pytest.mark.parametrize("preset", ["default", "paper"])
def test_a_gpu_gives_each_what_it_would_get_alone(preset: str, memory: Any) -> None:
    settings = dk.Settings.preset(preset, steps=10, memory=memory)
    alone, together = (dk.Editor.from_pretrained(device="cuda", dtype="float32", registry=PluginRegistry(discover=False)) for _ in range(2))
    scenes = [dk.toybox.scene(seed=1000 + number) for number in range(3)]
    edits = [dk.Move(mask=scene.objects[0].mask, shift=(20, 4 * number - 4)) for number, scene in enumerate(scenes)]
    expected = [alone.edit(scene.image, edit, settings, scene.caption) for scene, edit in zip(scenes, edits, strict=True)]
    found = together.edit([scene.image for scene in scenes], edits, settings, [scene.caption for scene in scenes])
    assert all(psnr(one.image, other.image) > 50 for one, other in zip(found, expected, strict=True))
