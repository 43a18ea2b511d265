"""The network is loaded, asked in its own pixels, and its answer brought back to the picture's; with a tiny SAM 2 of random weights."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dragonkit_sam
import huggingface_hub
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from dragonkit_sam import Sam
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import (
    Sam2Config,
    Sam2HieraDetConfig,
    Sam2MaskDecoderConfig,
    Sam2Model,
    Sam2PromptEncoderConfig,
    Sam2VideoConfig,
    Sam2VideoModel,
    Sam2VisionConfig,
)

import dragonkit as dk
from dragonkit.plugin_api import MaskError, ModelNotFoundError, PluginRegistry, PointError, UnsupportedModelError
from dragonkit.testing import check_plugin

SIDE = 128
WIDTH, HEIGHT = 70, 50
CLICK = [(20.5, 30.5, True)]
LOAD = dragonkit_sam.load_sam


def tiny_config() -> dict[str, Any]:
    """The parts of a SAM 2 of 218,000 weights that looks at 128 x 128 pixels."""
    backbone = Sam2HieraDetConfig(
        hidden_size=12,
        num_attention_heads=1,
        image_size=[SIDE, SIDE],
        blocks_per_stage=[1, 1, 2, 1],
        embed_dim_per_stage=[12, 24, 48, 96],
        num_attention_heads_per_stage=[1, 2, 4, 8],
        window_size_per_stage=[8, 4, 4, 4],
        global_attention_blocks=[3],
    )
    return {
        "vision_config": Sam2VisionConfig(
            backbone_config=backbone,
            backbone_channel_list=[96, 48, 24, 12],
            backbone_feature_sizes=[[32, 32], [16, 16], [8, 8]],
            fpn_hidden_size=32,
        ),
        "prompt_encoder_config": Sam2PromptEncoderConfig(hidden_size=32, image_size=SIDE, patch_size=16, mask_input_channels=8),
        "mask_decoder_config": Sam2MaskDecoderConfig(hidden_size=32, mlp_dim=64, num_attention_heads=4, iou_head_hidden_dim=32),
    }


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sam")
    torch.manual_seed(0)
    model = Sam2Model(Sam2Config(**tiny_config()))
    with torch.no_grad():
        for parameter in model.parameters():  # as they begin, all that comes out is nearly zero, wherever one clicks
            parameter.mul_(5 if parameter.ndim > 1 else 1)
    model.save_pretrained(folder)
    return folder


@pytest.fixture(autouse=True)
def tiny(weights: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What is asked without another word. Nothing is downloaded, whoever imported huggingface_hub before, which reads its variable once."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")  # for processes started here
    monkeypatch.setenv("DRAGONKIT_SAM_MODEL", str(weights))
    yield
    LOAD.cache_clear()


def picture(seed: int = 0, size: tuple[int, int] = (WIDTH, HEIGHT)) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))


def selector(name: str) -> Any:
    return {one.name: one for one in dragonkit_sam.dragonkit_selectors()}[name]


# --- what is asked, and what comes back ---------------------------------------------------------------------------------


def asked(image: Image.Image, **prompt: Any) -> tuple[np.ndarray, np.ndarray]:
    """(n, H, W) logits and n scores of the network asked directly, pixels and all."""
    model = dragonkit_sam.current_sam().model
    mean, std = (torch.tensor(values).reshape(3, 1, 1) for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    small = torch.from_numpy(np.array(image.resize((SIDE, SIDE), Image.Resampling.BILINEAR))).permute(2, 0, 1) / 255
    with torch.no_grad():
        answer = model(pixel_values=((small - mean) / std)[None], **prompt)
    logits = F.interpolate(answer.pred_masks[0], (image.height, image.width), mode="bilinear")[0]
    return logits.numpy(), answer.iou_scores[0, 0].numpy()


@pytest.mark.parametrize("size", [(WIDTH, HEIGHT), (50, 70), (SIDE, SIDE), (300, 200)])
def test_one_click_gives_the_best_of_three_masks(size: tuple[int, int]) -> None:
    image = picture(size=size)
    place = [20.5 * SIDE / size[0] - 0.5, 30.5 * SIDE / size[1] - 0.5]
    logits, scores = asked(image, input_points=torch.tensor([[[place]]]), input_labels=torch.tensor([[[1]]]))
    assert len(scores) == 3
    mask = selector("sam").select(image, CLICK)
    clear = np.abs(logits[scores.argmax()]) > 1e-4  # of two ways to compute the same
    assert mask.shape == (size[1], size[0]) and clear.mean() > 0.9 and 0.1 < mask.mean() < 0.9
    assert np.array_equal(mask[clear], logits[scores.argmax()][clear] > 0)


def test_several_clicks_give_one_mask() -> None:
    image = picture()
    points = torch.tensor([[[[20.5, 30.5], [60, 10]]]]) * torch.tensor([SIDE / WIDTH, SIDE / HEIGHT]) - 0.5
    logits, scores = asked(image, input_points=points, input_labels=torch.tensor([[[1, 0]]]), multimask_output=False)
    assert len(scores) == 1
    mask = selector("sam").select(image, [*CLICK, (60, 10, False)])
    clear = np.abs(logits[0]) > 1e-4
    assert np.array_equal(mask[clear], logits[0][clear] > 0)


def test_a_box_gives_one_mask() -> None:
    image = picture()
    box = torch.tensor([[[10, 5, 40, 45.5]]]) * torch.tensor([SIDE / WIDTH, SIDE / HEIGHT] * 2) - 0.5
    logits, _ = asked(image, input_boxes=box, multimask_output=False)
    mask = selector("sam-box").select(image, (40, 45.5, 10, 5))
    clear = np.abs(logits[0]) > 1e-4
    assert np.array_equal(mask[clear], logits[0][clear] > 0)


def test_three_masks_are_asked_for_where_there_is_doubt() -> None:
    sam = dragonkit_sam.current_sam()
    doubts: list[bool] = []
    hook = sam.model.register_forward_pre_hook(lambda module, inputs, named: doubts.append(named["multimask_output"]), with_kwargs=True)
    try:
        sam.clicked(picture(), CLICK)
        sam.clicked(picture(), [*CLICK, (60, 10, False)])
        sam.boxed(picture(), (10, 5, 40, 45.5))
    finally:
        hook.remove()
    assert doubts == [True, False, False]


def test_a_click_reaches_the_network_as_the_place_that_it_is() -> None:
    """The network adds half a pixel: the middle of the picture must become the middle of what it looks at."""
    sam = dragonkit_sam.current_sam()
    seen: list[torch.Tensor] = []
    hook = sam.model.prompt_encoder.shared_embedding.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    try:
        sam.clicked(picture(), [(WIDTH / 2, HEIGHT / 2, True)])
        sam.boxed(picture(), (0, 0, WIDTH, HEIGHT))
    finally:
        hook.remove()
    assert seen[0][0, 0, 0].tolist() == [SIDE / 2, SIDE / 2]
    assert seen[1][0, 0, :2].tolist() == [[0, 0], [SIDE, SIDE]]


def test_colours_are_normalised() -> None:
    seen: list[torch.Tensor] = []
    sam = dragonkit_sam.current_sam()
    hook = sam.model.vision_encoder.register_forward_pre_hook(
        lambda module, inputs, named: seen.append(inputs[0] if inputs else named["pixel_values"]), with_kwargs=True
    )
    try:
        sam.embeddings(Image.new("RGB", (30, 20), (255, 0, 51)))
    finally:
        hook.remove()
    expected = [(1 - 0.485) / 0.229, (0 - 0.456) / 0.224, (0.2 - 0.406) / 0.225]
    assert seen[0].shape == (1, 3, SIDE, SIDE)
    assert seen[0][0, :, 7, 90].tolist() == pytest.approx(expected, abs=1e-6)


def test_it_is_the_same_each_time() -> None:
    first = selector("sam").select(picture(), CLICK)
    LOAD.cache_clear()
    assert np.array_equal(selector("sam").select(picture(), CLICK), first)


def test_an_empty_answer_and_a_click_outside_are_refused() -> None:
    nothing = SimpleNamespace(pred_masks=torch.full((1, 1, 3, 32, 32), -1.0), iou_scores=torch.zeros(1, 1, 3))
    sam = dragonkit_sam.current_sam()
    sam.model.forward = lambda **prompt: nothing
    with pytest.raises(MaskError, match="the selector 'sam' selects no pixel"):
        selector("sam").select(picture(), CLICK)
    with pytest.raises(PointError, match=r"the click at \(71, 3\) is outside"):
        selector("sam").select(picture(), [(71, 3, True)])


# --- what is kept -------------------------------------------------------------------------------------------------------


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for each picture that the large part of the network looked at."""
    calls: list[int] = []
    encode = Sam2Model.get_image_embeddings
    monkeypatch.setattr(Sam2Model, "get_image_embeddings", lambda self, pixels: calls.append(1) or encode(self, pixels))
    return calls


def test_a_picture_is_looked_at_once(encoded: list[int]) -> None:
    first = selector("sam").select(picture(), CLICK)
    for _ in range(2):
        selector("sam").select(picture(), [*CLICK, (60, 10, False)])
        selector("sam-box").select(picture(), (10, 5, 40, 45))
    assert np.array_equal(selector("sam").select(picture(), CLICK), first)
    assert len(encoded) == 1
    selector("sam").select(picture(1), CLICK)
    assert len(encoded) == 2


def test_pictures_of_the_same_bytes_but_another_size_are_two(encoded: list[int]) -> None:
    sam = dragonkit_sam.current_sam()
    for size in ((20, 30), (30, 20)):
        sam.embeddings(Image.new("RGB", size, "red"))
    assert len(encoded) == 2


def test_the_picture_used_longest_ago_is_forgotten_first(encoded: list[int]) -> None:
    sam = dragonkit_sam.current_sam()
    for seed in (0, 1, 2, 3, 0, 4):  # 0 is used again, so 1 has to go for 4
        sam.embeddings(picture(seed))
    assert len(encoded) == 5
    for seed in (0, 2, 3, 4):
        sam.embeddings(picture(seed))
    assert len(encoded) == 5
    sam.embeddings(picture(1))
    assert len(encoded) == 6


def test_threads_share_one_network(encoded: list[int]) -> None:
    found: list[tuple[Sam, np.ndarray]] = []

    def work() -> None:
        found.append((dragonkit_sam.current_sam(), selector("sam").select(picture(), CLICK)))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4 and len(encoded) == 1
    assert all(sam is found[0][0] and np.array_equal(mask, found[0][1]) for sam, mask in found)


# --- weights ------------------------------------------------------------------------------------------------------------


def test_the_default_is_asked_for_where_nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    names: list[str] = []
    monkeypatch.setattr(dragonkit_sam, "load_sam", names.append)
    for value in (None, " ", "someone/sam"):
        if value is None:
            monkeypatch.delenv("DRAGONKIT_SAM_MODEL")
        else:
            monkeypatch.setenv("DRAGONKIT_SAM_MODEL", value)
        dragonkit_sam.current_sam()
    assert names == ["facebook/sam2.1-hiera-tiny", "facebook/sam2.1-hiera-tiny", "someone/sam"]


def test_weights_that_cannot_be_had_are_an_error_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRAGONKIT_SAM_MODEL", "nobody/no-such-sam")
    said = (
        r"^the SAM 2 weights 'nobody/no-such-sam' could not be loaded: .*\. "
        r"Check the network and the name, or set DRAGONKIT_SAM_MODEL to a folder that has them\.$"
    )
    with pytest.raises(ModelNotFoundError, match=said):
        selector("sam").select(picture(), CLICK)


def test_an_empty_folder_is_an_error_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRAGONKIT_SAM_MODEL", str(tmp_path))
    with pytest.raises(ModelNotFoundError, match=r"could not be loaded: .*Check the folder"):
        selector("sam").select(picture(), CLICK)


def test_a_broken_file_is_an_error_in_words(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(weights / "config.json", tmp_path)
    (tmp_path / "model.safetensors").write_bytes((weights / "model.safetensors").read_bytes()[:1000])
    monkeypatch.setenv("DRAGONKIT_SAM_MODEL", str(tmp_path))
    with pytest.raises(ModelNotFoundError, match=r"could not be loaded: .*Check the folder"):
        selector("sam").select(picture(), CLICK)


def test_weights_that_lack_something_are_refused(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise transformers would fill in random numbers, and a network of another kind would select nonsense."""
    shutil.copy(weights / "config.json", tmp_path)
    tensors = load_file(weights / "model.safetensors")
    kept = {name: tensor for name, tensor in tensors.items() if not name.startswith("mask_decoder.iou_token")}
    save_file(kept, tmp_path / "model.safetensors", {"format": "pt"})
    monkeypatch.setenv("DRAGONKIT_SAM_MODEL", str(tmp_path))
    with pytest.raises(UnsupportedModelError, match=r"1 of its weights .*'mask_decoder\.iou_token\.weight'"):
        selector("sam").select(picture(), CLICK)


def test_weights_of_the_video_model_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """They are what the hub has under the names of SAM 2."""
    torch.manual_seed(1)
    video = Sam2VideoModel(
        Sam2VideoConfig(
            **tiny_config(),
            image_size=SIDE,
            memory_attention_hidden_size=32,
            memory_attention_num_layers=1,
            memory_attention_feed_forward_hidden_size=64,
            memory_encoder_hidden_size=32,
            memory_encoder_output_channels=16,
            mask_downsampler_embed_dim=32,
            memory_fuser_embed_dim=32,
            memory_fuser_intermediate_dim=64,
        )
    )
    video.save_pretrained(tmp_path)
    capfd.readouterr()
    monkeypatch.setenv("DRAGONKIT_SAM_MODEL", str(tmp_path))
    loaded = dragonkit_sam.current_sam().model.state_dict()
    expected = video.state_dict()
    assert loaded.keys() <= expected.keys()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in loaded.items())
    assert "sam2_video" not in capfd.readouterr().err, "no remark that alarms people"
    assert selector("sam").select(picture(), CLICK).shape == (HEIGHT, WIDTH)


# --- the plugin ---------------------------------------------------------------------------------------------------------


@pytest.mark.processes
def test_it_keeps_the_rules_of_plugins() -> None:
    check_plugin("dragonkit_sam")


def test_its_selectors_stand_beside_the_built_in_ones() -> None:
    registry = PluginRegistry(builtin=["dragonkit.selecting"], discover=False)
    registry.register(dragonkit_sam)
    assert {"box", "wand", "object", "sam", "sam-box"} <= registry.selectors().keys()


def test_a_mask_goes_into_an_edit() -> None:
    mask = selector("sam").select(picture(), CLICK)
    assert dk.Move.from_dict(dk.Move(mask=mask, shift=(5, 0)).to_dict()) == dk.Move(mask=mask, shift=(5, 0))


@pytest.mark.processes
def test_it_loads_nothing_before_it_is_used() -> None:
    code = (
        "import sys, dragonkit_sam; dragonkit_sam.dragonkit_selectors(); "
        "sys.exit(bool({'torch', 'transformers', 'huggingface_hub'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
