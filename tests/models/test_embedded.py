"""The model that comes with the package: an ordinary diffusers folder, small, half precision, with all that the engine needs."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline
from safetensors import safe_open

from dragonkit import toybox
from dragonkit.diffusion.stable_diffusion import StableDiffusion
from dragonkit.editing.editor import Editor
from dragonkit.edits.settings import Settings
from dragonkit.imaging.images import to_tensor
from dragonkit.models.devices import default_dtype
from dragonkit.models.embedded import TOYBOX
from dragonkit.plugins.registry import PluginRegistry


@pytest.fixture(scope="module")
def pipeline() -> Any:
    """Loaded by diffusers alone."""
    torch.set_num_threads(1)
    return StableDiffusionPipeline.from_pretrained(TOYBOX)


def test_the_folder_is_small() -> None:
    assert sum(path.stat().st_size for path in TOYBOX.rglob("*")) < 35e6


def test_no_path_of_the_training_machine_is_left() -> None:
    assert not [path for path in TOYBOX.rglob("*.json") if "_name_or_path" in path.read_text()]


def test_weights_are_safetensors_in_half_precision() -> None:
    kinds: dict[str, set[torch.dtype]] = {}
    for path in TOYBOX.rglob("*.safetensors"):
        with safe_open(path, "pt") as file:
            tensors = [file.get_tensor(name) for name in file.keys()]  # noqa: SIM118
        assert all(tensor.isfinite().all() for tensor in tensors)
        kinds[path.parent.name] = {tensor.dtype for tensor in tensors if tensor.is_floating_point()}
    assert kinds == {"text_encoder": {torch.float16}, "unet": {torch.float16}, "vae": {torch.float16}}
    assert not [path for pattern in ("*.bin", "*.pt", "*.ckpt", "*.py") for path in TOYBOX.rglob(pattern)]


def test_diffusers_loads_it_unaided(pipeline: Any) -> None:
    pipeline.set_progress_bar_config(disable=True)
    caption = toybox.scene(seed=1, size=128).caption
    image = pipeline(caption, num_inference_steps=2, guidance_scale=1.0, generator=torch.Generator().manual_seed(0)).images[0]
    assert image.size == (128, 128)
    assert pipeline.safety_checker is None


def test_it_has_the_shape_the_engine_needs(pipeline: Any) -> None:
    backbone = StableDiffusion(pipeline)
    assert len(backbone.unet.up_blocks) == 4
    blocks = {int(layer.split(".")[1]) for layer in backbone.attention.layers}
    assert len(blocks) >= 2 and 3 in blocks  # keys and values to lend, down to the finest block
    assert backbone.model_size == 128
    assert 128 % backbone.size_multiple == 0


def test_the_schedule_is_ddim_down_to_the_clean_end(pipeline: Any) -> None:
    assert type(pipeline.scheduler) is DDIMScheduler
    schedule = StableDiffusion(pipeline).schedule(50, (64, 64))
    assert len(schedule) == 50 and schedule.alphas[0] == 1


def test_every_word_of_toybox_is_one_token(pipeline: Any) -> None:
    for word in toybox.vocabulary():
        start, token, end = pipeline.tokenizer(word).input_ids
        assert pipeline.tokenizer.decode([token]).strip() == word
        assert (start, end) == (pipeline.tokenizer.bos_token_id, pipeline.tokenizer.eos_token_id)


def test_captions_fit(pipeline: Any) -> None:
    captions = [toybox.scene(seed=seed, size=32).caption for seed in range(20)]
    length = min(pipeline.tokenizer.model_max_length, pipeline.text_encoder.config.max_position_embeddings)
    assert max(len(ids) for ids in pipeline.tokenizer(captions).input_ids) <= length
    assert len(pipeline.tokenizer) == pipeline.text_encoder.config.vocab_size


def test_latents_have_unit_variance_on_average(pipeline: Any) -> None:
    backbone = StableDiffusion(pipeline)
    scenes = [toybox.scene(seed=(1 << 40) + seed, size=128).image for seed in range(8)]
    latents = backbone.encode(torch.cat([to_tensor(scene) for scene in scenes]))
    assert latents.mean().item() == pytest.approx(0, abs=0.3)
    assert latents.transpose(0, 1).flatten(1).var(1).mean().item() == pytest.approx(1, abs=0.3)


def test_the_cards() -> None:
    models = PluginRegistry(discover=False).models()
    assert {"toybox", "sd15", "sd21"} <= models.keys()
    assert models["toybox"].source == str(TOYBOX)
    for card in models.values():
        assert card.description and "\n" not in card.description
        Settings(**card.settings)  # no field that does not exist


def test_it_is_the_default() -> None:
    editor = Editor.from_pretrained(registry=PluginRegistry(discover=False), device="cpu")
    assert editor.card.name == "toybox"
    assert (editor.backbone.device.type, editor.backbone.unet.dtype) == ("cpu", default_dtype(torch.device("cpu")))
