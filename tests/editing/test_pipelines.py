"""A pipeline in hand, of any shape: it edits, is given back as it was, and what it is changed to is heeded or refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import cpu_offload
from diffusers.models.attention_processor import AttnProcessor
from helpers import topologies
from helpers.topologies import SIDE, TOPOLOGIES, make
from PIL import Image

from dragonkit.editing.editor import Editor
from dragonkit.edits.edit import Edit
from dragonkit.edits.settings import Settings
from dragonkit.errors import EditError, ModelNotFoundError, UnsupportedModelError
from dragonkit.modes.appearance import Appearance
from dragonkit.modes.drag import Drag
from dragonkit.modes.move import Move
from dragonkit.plugins.registry import PluginRegistry

OFTEN = ("sd15", "sdxl")
SHAPES = pytest.mark.parametrize("shape", [name if name in OFTEN else pytest.param(name, marks=pytest.mark.slow) for name in TOPOLOGIES])


def picture() -> Image.Image:
    pixels = np.full((SIDE, SIDE, 3), (40, 90, 160), np.uint8)
    pixels[8:18, 4:14] = (230, 60, 30)
    return Image.fromarray(pixels)


def box(left: int, top: int, side: int = 10) -> np.ndarray:
    mask = np.zeros((SIDE, SIDE), bool)
    mask[top : top + side, left : left + side] = True
    return mask


MOVE = Move(mask=box(4, 8), shift=(12, 2))
EDITS: dict[str, Edit] = {
    "move": MOVE,
    "drag": Drag(points=(((8.0, 12.0), (16.0, 14.0)),)),
    "appearance": Appearance(mask=box(4, 8), reference=picture(), reference_mask=box(18, 18)),
}
PAPER = Settings.preset("paper", steps=3, guidance_scale=2.0)


def editor_of(pipeline: Any) -> Editor:
    return Editor.from_pipeline(pipeline, PluginRegistry(discover=False))


def settings_of(editor: Editor) -> Settings:
    return PAPER.model_copy(update={"layers": editor.settings().layers})


def moved(editor: Editor, settings: Settings | None = None) -> np.ndarray:
    return np.asarray(editor.edit(picture(), MOVE, settings or settings_of(editor), prompt="a fish").image)


def state_of_pipeline(pipeline: Any) -> dict[str, Any]:
    """All of it that a caller might miss afterwards."""
    networks = {name: part for name, part in pipeline.components.items() if isinstance(part, torch.nn.Module)}
    modules = [module for part in networks.values() for module in part.modules()]
    return {
        "processors": dict(pipeline.unet.attn_processors),
        "hooks": sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in modules),
        "training": [module.training for module in modules],
        "gradients": [parameter.requires_grad for module in modules for parameter in module.parameters(recurse=False)],
        "types": [parameter.dtype for module in modules for parameter in module.parameters(recurse=False)],
        "weights": {f"{name}.{key}": value.clone() for name, part in networks.items() for key, value in part.state_dict().items()},
        "scheduler": dict(pipeline.scheduler.config),
        "parts": {name: id(part) for name, part in pipeline.components.items()},
    }


def same(one: Any, other: Any) -> bool:
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other


# --- every shape through the same engine ----------------------------------------------------------------------------------


@SHAPES
@pytest.mark.parametrize("mode", [mode if mode == "move" else pytest.param(mode, marks=pytest.mark.slow) for mode in EDITS])
def test_an_edit_runs_keeps_the_rest_and_can_be_run_again(shape: str, mode: str) -> None:
    editor = editor_of(make(shape))
    result = editor.edit(picture(), EDITS[mode], Settings(steps=3), prompt="a fish")
    changed = (np.asarray(result.image) != np.asarray(picture())).any(-1)
    assert changed.any() and not changed[result.region == 0].any()
    assert np.array_equal(np.asarray(editor.run(result.edit_file).image), np.asarray(result.image))


@SHAPES
def test_energies_attention_and_words_act(shape: str) -> None:
    editor = editor_of(make(shape))
    whole = settings_of(editor)
    result = editor.edit(picture(), MOVE, whole, prompt="a fish")
    assert any(step.energies for step in result.report.steps)
    for other in ({"energy_scale": 0.0}, {"attention": False}, {"guidance_scale": 1.0}):
        assert (moved(editor, whole.model_copy(update=other)) != np.asarray(result.image)).any(), other
    other_words = editor.edit(picture(), MOVE, whole, prompt="a red boat on a lake").image
    assert (np.asarray(other_words) != np.asarray(result.image)).any()


@SHAPES
def test_inverting_goes_there_and_back(shape: str) -> None:
    source = editor_of(make(shape)).invert(picture(), "a fish", Settings(steps=4, inversion_iterations=10))
    assert source.reconstruction_psnr == pytest.approx(source.autoencoder_psnr, abs=0.3)


@SHAPES
@torch.no_grad()
def test_noise_is_what_the_bare_network_says(shape: str) -> None:
    """By diffusers' own words, with its own processors."""
    pipeline = make(shape)
    backbone = editor_of(pipeline).backbone
    latents, told = torch.randn(2, 4, 8, 8), {}
    if hasattr(pipeline, "tokenizer_2"):
        words, _, summary, _ = pipeline.encode_prompt("a fish", device="cpu", num_images_per_prompt=1, do_classifier_free_guidance=False)
        sizes = torch.tensor([[32.0, 48, 0, 0, 32, 48]])
        told = {"added_cond_kwargs": {"text_embeds": summary.expand(2, -1), "time_ids": sizes.expand(2, -1)}}
    else:
        words, _ = pipeline.encode_prompt("a fish", "cpu", 1, do_classifier_free_guidance=False)
    if shape == "lcm":
        from diffusers import LatentConsistencyModelPipeline

        scale = LatentConsistencyModelPipeline.get_guidance_scale_embedding(None, torch.tensor([7.5]), 6)
        told["timestep_cond"] = scale.expand(2, -1)
    out = pipeline.unet(latents, 500, encoder_hidden_states=words.expand(2, -1, -1), **told).sample
    if pipeline.scheduler.config.prediction_type == "v_prediction":
        alpha = pipeline.scheduler.alphas_cumprod[500]
        out = alpha.sqrt() * out + (1 - alpha).sqrt() * latents
    found = backbone.predict(latents, 500.0, backbone.condition(["a fish"], (48, 32))).noise_pred
    assert torch.allclose(found, out, atol=1e-5)


@SHAPES
def test_it_is_given_back_as_it_was(shape: str) -> None:
    pipeline = make(shape)
    pipeline.unet.train()
    pipeline.unet.enable_gradient_checkpointing()
    editor = editor_of(pipeline)
    editor.backbone.condition([""], (SIDE, SIDE))  # transformers leaves hooks of its own at the first use of some text encoders
    before = state_of_pipeline(pipeline)
    moved(editor)
    assert same(state_of_pipeline(pipeline), before)

    def stop(_: Any) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        editor.edit(picture(), MOVE, settings_of(editor), prompt="a boat", on_step=stop)
    assert same(state_of_pipeline(pipeline), before)


@pytest.mark.slow
@pytest.mark.parametrize("name", topologies.FULL)
def test_every_layer_of_the_published_models(name: str) -> None:
    pipeline = topologies.full(name)
    editor = editor_of(pipeline)
    layers = {"sd15": 9, "sd21": 9, "sdxl": 3 * 10 + 3 * 2}[name]  # three in each up block that has any, as deep as they are
    assert len(editor.backbone.attention.layers) == layers
    settings = settings_of(editor).model_copy(update={"working_size": 64})
    result = editor.edit(picture(), MOVE, settings, prompt="a fish")
    assert any(step.energies for step in result.report.steps)
    assert (np.asarray(result.image) != moved(editor, settings.model_copy(update={"attention": False}))).any()


# --- what people do with a pipeline ---------------------------------------------------------------------------------------


def test_two_editors_on_one_pipeline_and_the_pipeline_between_them() -> None:
    pipeline = make("sd15")
    one, other = editor_of(pipeline), editor_of(pipeline)
    alone = moved(editor_of(make("sd15")))
    for editor in (one, other, one):
        assert np.array_equal(moved(editor), alone)
        pipeline("a fish", num_inference_steps=2, output_type="np")


ALIKE: dict[str, Callable[[Any], Any]] = {
    "sliced attention": lambda pipeline: pipeline.enable_attention_slicing(1),
    "other processors": lambda pipeline: pipeline.unet.set_attn_processor(AttnProcessor()),
    "fused projections": lambda pipeline: pipeline.fuse_qkv_projections(vae=False),
    "gradient checkpointing": lambda pipeline: (pipeline.unet.train(), pipeline.unet.enable_gradient_checkpointing()),
    "tiled decoding": lambda pipeline: pipeline.vae.enable_slicing(),
    "offloaded layer by layer": lambda pipeline: [
        cpu_offload(part, execution_device=torch.device("cpu")) for part in (pipeline.unet, pipeline.vae, pipeline.text_encoder)
    ],
    "channels last": lambda pipeline: pipeline.unet.to(memory_format=torch.channels_last),
    "compiled": lambda pipeline: pipeline.unet.compile(backend="eager"),
    "compiled as a wrapper": lambda pipeline: setattr(pipeline, "unet", torch.compile(pipeline.unet, backend="eager")),
}


@pytest.mark.parametrize("what", ALIKE)
@pytest.mark.parametrize("when", ["before", "between"])
def test_what_should_change_nothing_changes_nothing(what: str, when: str) -> None:
    alone, pipeline = moved(editor_of(make("sd15"))), make("sd15")
    if when == "before":
        ALIKE[what](pipeline)
        editor = editor_of(pipeline)
    elif "wrapper" in what:
        pytest.skip("the pipeline's unet is another object then")
    else:
        editor = editor_of(pipeline)
        moved(editor)
        ALIKE[what](pipeline)
    assert np.abs(moved(editor).astype(int) - alone).max() <= 1


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder"])
def test_other_weights_between_edits_make_another_source(part: str) -> None:
    pipeline = make("sd15")
    editor = editor_of(pipeline)
    source = editor.invert(picture(), "a fish", settings_of(editor))
    before = moved(editor)
    with torch.no_grad():
        for parameter in getattr(pipeline, part).parameters():
            parameter += 0.02
    with pytest.raises(EditError, match="the source was made before the model was changed"):
        editor.edit(source, MOVE, settings_of(editor))
    after = moved(editor)
    assert (after != before).any()
    assert np.array_equal(after, moved(editor_of(pipeline)))


def test_another_scheduler_between_edits_is_followed() -> None:
    pipeline = make("sd15")
    editor = editor_of(pipeline)
    before = moved(editor)
    pipeline.scheduler = topologies.scheduler(beta_end=0.02, prediction_type="v_prediction")
    after = moved(editor)
    assert (after != before).any()
    assert np.array_equal(after, moved(editor_of(pipeline)))


def test_an_exchanged_network_is_told() -> None:
    pipeline = make("sd15")
    editor = editor_of(pipeline)
    pipeline.vae = topologies.autoencoder()
    with pytest.raises(UnsupportedModelError, match="the pipeline's vae was exchanged"):
        moved(editor)
    moved(editor_of(pipeline))


def test_lora_before_between_and_switched_off() -> None:
    import peft

    pipeline = make("sd15")
    editor = editor_of(pipeline)
    plain = moved(editor)
    pipeline.unet.add_adapter(peft.LoraConfig(r=2, target_modules=["to_q", "to_k"], init_lora_weights=False), "style")
    with_lora = moved(editor)
    assert (with_lora != plain).any()
    assert np.array_equal(with_lora, moved(editor_of(pipeline)))
    assert any(parameter.requires_grad for parameter in pipeline.unet.parameters())
    pipeline.unet.disable_adapters()
    assert np.array_equal(moved(editor), plain)
    pipeline.unet.enable_adapters()
    assert np.array_equal(moved(editor), with_lora)


def test_textual_inversion_of_several_vectors() -> None:
    pipeline = make("sd15")
    editor = editor_of(pipeline)
    vectors = torch.randn(3, 16)
    with torch.no_grad():
        pipeline.load_textual_inversion({"<thing>": vectors}, token="<thing>")
    words = editor.backbone.condition(["<thing>"], (SIDE, SIDE))
    expected, _ = pipeline.encode_prompt("<thing>", "cpu", 1, do_classifier_free_guidance=False)
    assert torch.equal(words, expected)
    assert "<thing>_1" in pipeline.tokenizer.get_vocab()
    assert not torch.equal(words, editor.backbone.condition(["thing"], (SIDE, SIDE)))


def test_no_words_are_zeros_for_xl_and_only_where_it_says_so() -> None:
    pipeline = make("sdxl")
    backbone = editor_of(pipeline).backbone
    told = {"device": "cpu", "num_images_per_prompt": 1, "do_classifier_free_guidance": True}
    for zeros in (True, False):
        pipeline.register_to_config(force_zeros_for_empty_prompt=zeros)
        _, words, _, summary = pipeline.encode_prompt("a fish", **told)
        ours = backbone.condition([""], (SIDE, SIDE))
        assert torch.equal(ours.words, words) and torch.equal(ours.summary, summary) and bool(words.any()) != zeros


# --- what is refused ------------------------------------------------------------------------------------------------------


def with_part(name: str, part: Any) -> Callable[[Any], Any]:
    return lambda pipeline: setattr(pipeline, name, part)


def with_unet(**changes: Any) -> Callable[[Any], Any]:
    return lambda pipeline: pipeline.register_modules(unet=topologies.unet(**changes))


REFUSED: dict[str, tuple[Callable[[Any], Any], str]] = {
    "a ControlNet": (with_part("controlnet", torch.nn.Linear(1, 1)), "has a controlnet, which edits would ignore"),
    "an IP-Adapter": (
        lambda pipeline: pipeline.unet.register_to_config(encoder_hid_dim_type="ip_image_proj"),
        "nothing that reads a picture",
    ),
    "class embeddings": (with_unet(num_class_embeds=4), "num_class_embeds is 4, which asks for more than words"),
    "image projections": (with_unet(encoder_hid_dim_type="text_proj", encoder_hid_dim=16), "encoder_hid_dim_type is 'text_proj'"),
    "other additions": (with_unet(addition_embed_type="text"), "addition_embed_type is 'text'"),
    "other latents": (with_unet(in_channels=8, out_channels=8), "latents of 4 channels, but the UNet takes 8"),
    "other words": (with_unet(width=24), "features are 16 wide, but the UNet takes 24"),
    "masks as inputs": (with_unet(in_channels=9), "takes 9 channels, gives 4"),
    "no text encoder": (lambda pipeline: pipeline.register_modules(text_encoder=None), "has no text_encoder"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_would_be_ignored_or_fail_is_refused_in_one_sentence(what: str) -> None:
    change, said = REFUSED[what]
    pipeline = make("sd15")
    editor = editor_of(pipeline)
    change(pipeline)
    for use in (lambda: editor_of(pipeline), lambda: moved(editor)):  # also between two edits
        with pytest.raises(UnsupportedModelError) as caught:
            use()
        assert "\n" not in str(caught.value)
    with pytest.raises(UnsupportedModelError, match=said):
        editor_of(pipeline)


def test_a_refiner_is_refused() -> None:
    pipeline = make("sdxl")
    pipeline.register_modules(text_encoder=None)
    with pytest.raises(UnsupportedModelError, match=r"has no text_encoder; .* a refiner is not enough"):
        editor_of(pipeline)


def test_from_pretrained_says_where_a_pipeline_belongs() -> None:
    with pytest.raises(ModelNotFoundError, match=r"Editor\.from_pipeline"):
        Editor.from_pretrained(make("sd15"))


# --- numbers --------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["sd15", "sd21", "sdxl"])
def test_half_precision_comes_back_as_well_as_float32(shape: str) -> None:
    """Latents are float32 between calls, and velocity becomes noise in float32."""
    settings, back = Settings(steps=10, inversion_iterations=4), {}
    for dtype in (torch.float32, torch.bfloat16):
        source = editor_of(make(shape).to(dtype)).invert(picture(), "a fish", settings)
        assert source.trajectory.dtype == torch.float32
        assert source.reconstruction_psnr is not None and source.autoencoder_psnr is not None
        back[dtype] = source.autoencoder_psnr - source.reconstruction_psnr
    assert back[torch.bfloat16] < back[torch.float32] + 0.5


@pytest.mark.parametrize("scale", [0.0, 0.5])
def test_at_one_and_below_there_is_no_guidance(scale: float) -> None:
    """The cards of turbo models say 0, and mean none."""
    editor = editor_of(make("turbo"))
    none = settings_of(editor).model_copy(update={"guidance_scale": 1.0})
    less = none.model_copy(update={"guidance_scale": scale})
    assert np.array_equal(moved(editor, less), moved(editor, none))
    generated = [editor.generate("a fish", 3, settings).pixels for settings in (none, less)]
    assert np.array_equal(*generated)
    assert not np.array_equal(generated[0], editor.generate("a boat", 3, less).pixels)


@pytest.mark.parametrize("shape", ["sd15", "sdxl"])
def test_the_working_size_is_as_asked_for_and_is_kept(shape: str) -> None:
    editor = editor_of(make(shape))
    larger = settings_of(editor).model_copy(update={"working_size": 64})
    wide = Image.new("RGB", (96, 64), (40, 90, 160))
    source = editor.invert(wide, "a fish", larger)
    assert source.size == (96, 64) and source.trajectory.shape[-2:] == (16, 24)
    assert editor.invert(wide, "a fish", settings_of(editor)).size != source.size
    result = editor.edit(source, Move(mask=np.pad(box(4, 8), ((0, 32), (0, 64))), shift=(12, 2)), settings_of(editor))
    assert result.edit_file.settings.working_size == 64
    with pytest.raises(EditError, match="the settings ask for working_size=32"):
        editor.edit(source, MOVE.model_copy(update={"mask": np.ones((64, 96), bool)}), Settings(working_size=32))
    generated = editor.generate("a fish", 1, larger)
    assert generated.size == (64, 64)
