"""Whatever is given to an editor: it works, or one sentence says what was wrong, what was received and what to do."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import dragonkit as dk
from dragonkit.diffusion.source import Levels, Way
from dragonkit.errors import DragonkitError, EditError, ImageError, MaskError, ModelError, ModelNotFoundError
from dragonkit.testing import isolated_registry, tiny_editor

PICTURE = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
MASK = np.zeros((32, 32), bool)
MASK[4:16, 4:16] = True
MOVE = dk.Move(mask=MASK, shift=(12, 8))
STEPS = dk.Settings(steps=2)


@pytest.fixture(scope="module")
def editor() -> dk.Editor:
    return tiny_editor()


@pytest.fixture(scope="module")
def source(editor: dk.Editor) -> dk.Source:
    return editor.invert(PICTURE, "a fish", STEPS)


Call = Callable[[dk.Editor, dk.Source], Any]

REFUSED: dict[str, tuple[Call, type[DragonkitError], str]] = {
    "settings as a dict": (lambda e, s: e.edit(s, MOVE, {"steps": 3}), EditError, r"got \{'steps': 3\}; write dk.Settings\(steps=3\)"),
    "settings as a number": (lambda e, s: e.edit(s, MOVE, 5), EditError, "settings must be a dragonkit.Settings or None, got 5"),
    "settings as a class": (lambda e, s: e.invert(PICTURE, "", dk.Settings), EditError, "got <class"),
    "a prompt as settings": (lambda e, s: e.edit(s, MOVE, "a fish"), EditError, "got 'a fish'"),
    "steps beside": (lambda e, s: e.edit(s, MOVE, steps=5), EditError, r"edit takes settings in one value.*write dk.Settings\(steps=5\)"),
    "two beside": (
        lambda e, s: e.invert(PICTURE, steps=5, hold=1),
        EditError,
        r"invert .* got steps, hold; write dk.Settings\(steps=5, hold=1\)",
    ),
    "a seed beside": (lambda e, s: e.edit(PICTURE, MOVE, seed=5), EditError, r"dk.Settings\(seed=5\)"),
    "generate, beside": (lambda e, s: e.generate("a fish", energy_scale=1), EditError, "generate takes settings"),
    "no edits": (lambda e, s: e.edit(s, None), EditError, "got None"),
    "an empty list": (lambda e, s: e.edit(s, []), EditError, "an empty list"),
    "a word for an edit": (lambda e, s: e.edit(s, "move"), EditError, "got 'move'"),
    "a class for an edit": (lambda e, s: e.edit(s, dk.Move), EditError, "got <class"),
    "a number for an edit": (lambda e, s: e.edit(s, 3), EditError, "got 3"),
    "None among edits": (lambda e, s: e.edit(s, [MOVE, None]), EditError, "got None"),
    "a dict without a mode": (lambda e, s: e.edit(s, {"mask": MASK}), EditError, "must name its mode"),
    "a dict of another mode": (lambda e, s: e.edit(s, {"mode": "mvoe"}), EditError, "no edit mode 'mvoe'. Did you mean 'move'"),
    "a dict with a wrong field": (lambda e, s: e.edit(s, {"mode": "move", "mask": MASK, "shfit": (1, 2)}), EditError, "no field 'shfit'"),
    "a dict with a bad mode": (lambda e, s: e.edit(s, {"mode": 3}), EditError, "must name its mode"),
    "no prompt": (lambda e, s: e.edit(PICTURE, MOVE, prompt=None), EditError, "the prompt is None, but must be text"),
    "other words than the source's": (
        lambda e, s: e.edit(s, MOVE, prompt="a bird"),
        EditError,
        "'a bird', but the source was made with 'a fish'",
    ),
    "no prompt to invert": (lambda e, s: e.invert(PICTURE, None), EditError, "the prompt is None, but must be text"),
    "prompts": (lambda e, s: e.generate(["a fish"]), EditError, r"the prompt is \['a fish'\]"),
    "bytes for a prompt": (lambda e, s: e.invert(PICTURE, b"a fish"), EditError, "but must be text"),
    "a seed of text": (lambda e, s: e.generate("a fish", "1"), EditError, "seed must be an integer .* got '1'"),
    "a negative seed": (lambda e, s: e.generate("a fish", -1), EditError, "got -1"),
    "a huge seed": (lambda e, s: e.generate("a fish", 2**63), EditError, "seed must be an integer"),
    "half a seed": (lambda e, s: e.generate("a fish", 1.5), EditError, "got 1.5"),
    "no picture": (lambda e, s: e.edit(None, MOVE), ImageError, "cannot be made from NoneType"),
    "a list for a picture": (lambda e, s: e.invert([[0]]), ImageError, "cannot be made from list"),
    "a class for a picture": (lambda e, s: e.invert(Image.Image), ImageError, "cannot be made from type"),
    "on_step that is none": (lambda e, s: e.edit(s, MOVE, on_step=3), EditError, "on_step must be a function of a Step or None, got 3"),
    "progress that is none": (lambda e, s: e.edit(s, MOVE, progress=True), EditError, "progress must be a function of .* got True"),
    "progress of an inversion": (lambda e, s: e.invert(PICTURE, "x", progress="bar"), EditError, "progress must be"),
    "progress of a generation": (lambda e, s: e.generate("x", progress=[print]), EditError, "progress must be"),
    "a mask of another size": (lambda e, s: e.edit(s, dk.Move(mask=MASK[:8], shift=(1, 1))), MaskError, "the mask is 32x8"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_wrong_arguments_are_one_sentence_and_cost_nothing(case: str, editor: dk.Editor, source: dk.Source) -> None:
    call, error, said = REFUSED[case]
    calls = editor.backbone.calls
    with pytest.raises(error, match=said) as caught:
        call(editor, source)
    assert "\n" not in str(caught.value)
    assert editor.backbone.calls == calls
    assert editor.edit(source, MOVE).image.size == (32, 32)


def test_an_edit_may_be_what_an_edit_file_says(editor: dk.Editor, source: dk.Source) -> None:
    expected = editor.edit(source, MOVE).image.tobytes()
    assert editor.edit(source, MOVE.to_dict()).image.tobytes() == expected
    assert editor.edit(source, [{"mode": "move", "mask": MASK, "shift": (12, 8)}]).image.tobytes() == expected
    assert editor.edit(source, (edit for edit in [MOVE])).image.tobytes() == expected


def test_a_keyword_that_is_no_setting_either_is_pythons_own_error(editor: dk.Editor, source: dk.Source) -> None:
    with pytest.raises(TypeError, match="colour"):
        editor.edit(source, MOVE, colour="red")  # type: ignore[call-arg]


def test_numbers_of_numpy_are_seeds(editor: dk.Editor) -> None:
    assert editor.generate("a fish", np.int64(3), STEPS).seed == 3


@pytest.mark.parametrize("changes", [{"dtype": torch.float64}, {"channels": 3}], ids=["another precision", "other channels"])
def test_a_source_of_another_model_is_refused(changes: dict[str, Any], editor: dk.Editor, source: dk.Source) -> None:
    trajectory = source.trajectory[:, : changes.get("channels", 4)].to(changes.get("dtype", torch.float32))
    with pytest.raises(EditError, match=r"the source was made by another model: .*; invert the picture with this editor"):
        editor.edit(replace(source, way=Way(Levels(trajectory))), MOVE)


# --- loading ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("device", ["x", "cuda:99", "meta", 3, ["cpu"], "", "cuda:-1", object()])
def test_a_device_that_is_not_there_is_refused(device: Any) -> None:
    with pytest.raises(ModelError, match=r"the device is .*; leave it out to take what is there") as caught:
        dk.Editor.from_pretrained(device=device, registry=isolated_registry())
    assert len(str(caught.value)) < 400 and "\n" not in str(caught.value)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is CUDA")
def test_cuda_where_there_is_none_is_refused() -> None:
    with pytest.raises(ModelError, match="the device is 'cuda', which PyTorch cannot use here"):
        dk.Editor.from_pretrained(device="cuda", registry=isolated_registry())


@pytest.mark.parametrize("dtype", ["float8", torch.int8, 16, torch.complex64])
def test_a_precision_that_is_none_is_refused(dtype: Any) -> None:
    with pytest.raises(ModelError, match=r"dtype must be a floating-point torch\.dtype"):
        dk.Editor.from_pretrained(dtype=dtype, registry=isolated_registry())


@pytest.mark.parametrize("model", [None, 3, b"toybox", ["toybox"], object()])
def test_a_model_that_is_no_name_is_refused(model: Any) -> None:
    with pytest.raises(ModelNotFoundError, match="named by text or a path"):
        dk.Editor.from_pretrained(model, registry=isolated_registry())


def test_a_model_may_be_a_path_and_its_edits_can_be_replayed(tiny_pipeline: Any, tmp_path: pathlib.Path) -> None:
    tiny_pipeline.save_pretrained(tmp_path / "model")
    editor = dk.Editor.from_pretrained(tmp_path / "model", "cpu", torch.float32, registry=isolated_registry())
    result = editor.edit(PICTURE, MOVE, dk.Settings(steps=2, inversion_iterations=1))
    assert result.report.model == editor.card.name == str(tmp_path / "model")
    assert editor.run(result.edit_file).image.tobytes() == result.image.tobytes()


def test_float16_on_a_cpu_is_one_line_of_ours(tiny_pipeline: Any, tmp_path: pathlib.Path, capfd: pytest.CaptureFixture[str]) -> None:
    tiny_pipeline.save_pretrained(tmp_path / "model")
    capfd.readouterr()
    with pytest.warns(UserWarning, match="float16 is slow on a CPU") as caught:
        editor = dk.Editor.from_pretrained(tmp_path / "model", "cpu", torch.float16, registry=isolated_registry())
    assert len(caught) == 1 and editor.backbone.unet.dtype == torch.float16
    assert capfd.readouterr() == ("", "")
