"""Folders in diffusers' format as people have them: of any family, in half precision only, without a safety checker."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import topologies
from helpers.topologies import make
from transformers import CLIPImageProcessorPil

from dragonkit.editing.editor import Editor
from dragonkit.edits.settings import Settings
from dragonkit.errors import ModelError, UnsupportedModelError
from dragonkit.models import loading
from dragonkit.models.embedded import dragonkit_models
from dragonkit.models.loading import load_pipeline
from dragonkit.plugins.card import ModelCard
from dragonkit.plugins.registry import PluginRegistry

CARDS = {card.name: card for card in dragonkit_models()}


def load(source: Path) -> Any:
    return load_pipeline(ModelCard("mine", str(source)), "cpu", torch.float32)


def as_wide_as(width: int, **changes: Any) -> Any:
    """What tells the family is how wide the words' features are."""
    return topologies.sd15(unet=topologies.unet(width=width, **changes), text_encoder=topologies.text_encoder(width=width))


@pytest.mark.parametrize(("name", "width"), [("sd15", 768), ("sd21", 1024)])
def test_a_folder_has_the_defaults_of_its_family(name: str, width: int, tmp_path: Path) -> None:
    as_wide_as(width).save_pretrained(tmp_path / "model")
    editor = Editor.from_pretrained(tmp_path / "model", "cpu", torch.float32, PluginRegistry(discover=False))
    assert editor.settings() == Settings(**CARDS[name].settings)
    assert Editor.from_pipeline(as_wide_as(width), PluginRegistry(discover=False)).settings() == editor.settings()


def test_layers_go_with_the_up_blocks_and_a_distilled_model_is_not_guided_again() -> None:
    registry = PluginRegistry(discover=False)
    layers = {shape: Editor.from_pipeline(make(shape), registry).settings().layers for shape in ("sd15", "sdxl", "two up blocks")}
    assert layers == {"sd15": ("up.1", "up.2"), "sdxl": ("up.0", "up.1"), "two up blocks": ("up.0",)}
    assert layers["sdxl"] == CARDS["sdxl"].settings["layers"]
    assert Editor.from_pipeline(as_wide_as(768, time_cond_proj_dim=6), registry).settings().guidance_scale == 1


def test_a_folder_of_sdxl_loads(tmp_path: Path) -> None:
    make("sdxl").save_pretrained(tmp_path / "model")
    pipeline = load(tmp_path / "model")
    assert type(pipeline).__name__ == "StableDiffusionXLPipeline"
    assert not any(parameter.requires_grad for parameter in pipeline.unet.parameters())


@pytest.mark.parametrize("shape", ["sd15", "sdxl"])
def test_half_precision_only_is_found_by_itself(shape: str, tmp_path: Path) -> None:
    pipeline = make(shape).to(torch.float16)
    pipeline.save_pretrained(tmp_path / "model", variant="fp16")
    files = {file.name for file in (tmp_path / "model").rglob("*.safetensors")}
    assert files == {"model.fp16.safetensors", "diffusion_pytorch_model.fp16.safetensors"}
    assert torch.equal(load(tmp_path / "model").unet.conv_in.weight, pipeline.unet.conv_in.weight.float())


def test_the_variant_that_is_asked_for_is_loaded_where_there_are_several(tmp_path: Path) -> None:
    pipeline = make("sd15")
    pipeline.save_pretrained(tmp_path / "model")
    plain = pipeline.unet.conv_in.weight.clone()
    with torch.no_grad():
        pipeline.unet.conv_in.weight += 1
    pipeline.to(torch.float16).save_pretrained(tmp_path / "model", variant="fp16")
    assert torch.equal(load(tmp_path / "model").unet.conv_in.weight, plain)
    card = ModelCard("m", str(tmp_path / "model"), variant="fp16")
    assert torch.allclose(load_pipeline(card, "cpu", torch.float32).unet.conv_in.weight, plain + 1, atol=1e-2)
    with pytest.raises(ModelError, match="has no variant 'bf16'"):
        load_pipeline(ModelCard("m", str(tmp_path / "model"), variant="bf16"), "cpu", torch.float32)


@pytest.mark.parametrize("deleted", [True, False])
def test_a_safety_checker_is_neither_missed_nor_loaded(deleted: bool, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    make("sd15").save_pretrained(folder)
    CLIPImageProcessorPil().save_pretrained(folder / "feature_extractor")
    index = json.loads((folder / "model_index.json").read_text())
    index |= {
        "safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"],
        "feature_extractor": ["transformers", "CLIPImageProcessor"],
        "requires_safety_checker": True,
    }
    (folder / "model_index.json").write_text(json.dumps(index))
    if not deleted:
        (folder / "safety_checker").mkdir()
        (folder / "safety_checker" / "model.safetensors").write_text("608 MB that nobody reads")
    assert load(folder).safety_checker is None


FLUX = {"_class_name": "FluxPipeline", "transformer": ["diffusers", "FluxTransformer2DModel"], "vae": ["diffusers", "AutoencoderKL"]}


def test_transformers_are_refused_before_anything_is_read(tmp_path: Path) -> None:
    (tmp_path / "model_index.json").write_text(json.dumps(FLUX))
    with pytest.raises(UnsupportedModelError, match="is a FluxPipeline, and only models with a UNet") as caught:
        load(tmp_path)
    assert "\n" not in str(caught.value)


def test_transformers_are_refused_before_anything_large_is_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model_index.json").write_text(json.dumps(FLUX))
    asked = list[bool]()

    def fetch(card: ModelCard, progress: Any = None, weights: bool = True) -> Path:
        asked.append(weights)
        return tmp_path

    monkeypatch.setattr(loading, "fetch", fetch)
    with pytest.raises(UnsupportedModelError, match="is a FluxPipeline"):
        load_pipeline(ModelCard("flux", "owner/flux"), "cpu", torch.float32)
    assert asked == [False]


def test_missing_tensors_of_the_second_text_encoder_are_named(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    make("sdxl").save_pretrained(tmp_path / "model")
    file = tmp_path / "model" / "text_encoder_2" / "model.safetensors"
    weights = load_file(file)
    save_file({name: value for name, value in weights.items() if name != "text_projection.weight"}, file)
    with pytest.raises(Exception, match=r"the text_encoder_2 of the model 'mine' lacks 1 of its tensors: text_projection\.weight"):
        load(tmp_path / "model")


def test_parts_of_different_models_are_one_sentence(tmp_path: Path) -> None:
    make("sd15").save_pretrained(tmp_path / "model")
    make("sdxl").unet.save_pretrained(tmp_path / "other")
    shutil.rmtree(tmp_path / "model" / "unet")
    shutil.copytree(tmp_path / "other", tmp_path / "model" / "unet")
    with pytest.raises(UnsupportedModelError) as caught:
        load(tmp_path / "model")
    assert "\n" not in str(caught.value)
