"""LoRA by name: put on, of a weight, or refused in one sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.topologies import make
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict
from PIL import Image
from safetensors.torch import save_file

from dragonkit.editing.editor import Editor
from dragonkit.edits.file import EditFile
from dragonkit.edits.settings import Settings
from dragonkit.errors import DragonkitError, EditFileError, ModelError
from dragonkit.modes.move import Move
from dragonkit.plugins.registry import PluginRegistry


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A model in a folder, and files of LoRA beside it: for it, and for another kind."""
    folder = tmp_path_factory.mktemp("models")
    made = {"model": folder / "model", "xl": folder / "xl", "style": folder / "style.safetensors", "other": folder / "other.safetensors"}
    for shape, model, lora in (("sd15", "model", "style"), ("sdxl", "xl", "other")):
        pipeline = make(shape)
        pipeline.save_pretrained(made[model])
        pipeline.unet.add_adapter(LoraConfig(r=2, target_modules=["to_q", "to_k"], init_lora_weights=False))
        layers = get_peft_model_state_dict(pipeline.unet)
        type(pipeline).save_lora_weights(folder, unet_lora_layers=layers, weight_name=made[lora].name)
    return made


def loaded(model: Any, lora: Any = ()) -> Editor:
    return Editor.from_pretrained(model, "cpu", torch.float32, PluginRegistry(discover=False), lora=lora)


def moved(editor: Editor) -> Any:
    mask = np.zeros((32, 32), bool)
    mask[8:18, 4:14] = True
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8))
    return editor.edit(picture, Move(mask=mask, shift=(12, 2)), Settings.preset("paper", steps=2), prompt="a fish")


def test_its_weight_counts_and_the_edit_file_names_it(places: dict[str, Path]) -> None:
    model, style = str(places["model"]), str(places["style"])
    plain, whole = moved(loaded(model)), moved(loaded(model, style))
    half, none = moved(loaded(model, [f"{style}@0.5"])), moved(loaded(model, [f"{style}@0"]))
    images = [np.asarray(one.image).astype(int) for one in (plain, whole, half, none)]
    assert (images[0] != images[1]).any() and (images[1] != images[2]).any()
    assert np.abs(images[0] - images[3]).max() <= 1
    assert whole.edit_file.model == f"{model}+{style}"
    assert np.array_equal(np.asarray(loaded(whole.edit_file.model).run(whole.edit_file).image), images[1])


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nowhere.safetensors", "there is no LoRA 'nowhere.safetensors'"),
        ("broken.safetensors", "could not be put on"),
        ("pickled.bin", "is no .safetensors file"),
        ("other", "LoRA"),
        ("style.safetensors@nan", "must be a file, a folder or a hub id"),
        ("no-such-owner/no-such-lora", "hf download no-such-owner/no-such-lora"),
        ("nothing", "has nothing for this model"),
    ],
)
def test_what_cannot_be_put_on_is_one_sentence(places: dict[str, Path], tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "broken.safetensors").write_text("hello")
    (tmp_path / "pickled.bin").touch()
    save_file(
        {"transformer.some.lora_A.weight": torch.zeros(2, 2), "transformer.some.lora_B.weight": torch.zeros(2, 2)}, tmp_path / "nothing"
    )
    (tmp_path / "nothing").rename(tmp_path / "nothing.safetensors")
    source = {"other": str(places["other"]), "nothing": str(tmp_path / "nothing.safetensors")}.get(name)
    with pytest.raises(ModelError) as caught:
        loaded(places["model"], source or (name if name.startswith(("no", "style")) else str(tmp_path / name)))
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_without_peft_it_says_what_to_install(places: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModelError, match=r"pip install 'dragonkit\[lora\]'"):
        loaded(places["model"], places["style"])


def test_models_of_other_families_take_none() -> None:
    from helpers.straight_flow import CARD

    from dragonkit.plugins.specs import hookimpl

    class Straight:
        @hookimpl
        def dragonkit_models(self) -> list[Any]:
            return [CARD]

    registry = PluginRegistry(discover=False)
    registry.register(Straight())
    with pytest.raises(DragonkitError, match="which alone takes LoRA"):
        Editor.from_pretrained("straight", "cpu", torch.float32, registry, lora="a/b")


def test_an_edit_file_of_a_stranger_names_no_lora_elsewhere(places: dict[str, Path], tmp_path: Path) -> None:
    edit = {"mode": "move", "mask": "m.png", "shift": [1, 0]}
    path = tmp_path / "edit.json"
    path.write_text(json.dumps({"model": f"toybox+{places['style']}@0.5", "image": "p.png", "edits": [edit]}))
    with pytest.raises(EditFileError, match="name the model yourself"):
        EditFile.load(path).model_to_load({"toybox"})
    assert EditFile.load(path, True).model_to_load({"toybox"}).startswith("toybox+")
