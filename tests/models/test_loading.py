"""A model is found by name, folder, file or hub id, or refused in one sentence."""

from __future__ import annotations

import copy
import json
import re
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import StableDiffusionPipeline
from diffusers.utils import logging as diffusers_logging
from helpers import straight_flow
from safetensors.torch import load_file, save_file

from dragonkit.diffusion.stable_diffusion import StableDiffusion
from dragonkit.errors import EditError, ModelError, ModelNotFoundError
from dragonkit.models.loading import find_card, load_backbone, load_pipeline
from dragonkit.plugins.card import ModelCard
from dragonkit.words import short

CARDS = {"toybox": ModelCard("toybox", "/weights"), "sd15": ModelCard("sd15", "owner/sd15", settings={"guidance_scale": 4.0})}


def load(source: Path | str) -> Any:
    return load_pipeline(ModelCard("mine", str(source)), "cpu", torch.float32)


@pytest.fixture(scope="module")
def folder(tiny_pipeline: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "tiny"
    tiny_pipeline.save_pretrained(path)
    return path


# --- finding ------------------------------------------------------------------------------------------------------------


def test_a_name_is_a_card() -> None:
    assert find_card("sd15", CARDS) is CARDS["sd15"]


def test_a_name_wins_over_a_folder_of_that_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "toybox").mkdir()
    monkeypatch.chdir(tmp_path)
    assert find_card("toybox", CARDS) is CARDS["toybox"]


def test_folders_files_and_hub_ids_get_a_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.safetensors").touch()
    for path in (tmp_path, tmp_path / "a.safetensors"):
        assert find_card(str(path), CARDS) == ModelCard(name=str(path), source=str(path))
    assert find_card("owner/name", CARDS) == ModelCard(name="owner/name", source="owner/name")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find_card("~/a.safetensors", CARDS).source == str(tmp_path / "a.safetensors")


def test_a_revision_goes_with_models_of_the_hub() -> None:
    assert find_card("owner/name@v1", CARDS) == ModelCard("owner/name@v1", "owner/name", revision="v1")
    card = find_card("sd15@v1", CARDS)
    assert (card.source, card.revision, card.settings) == ("owner/sd15", "v1", CARDS["sd15"].settings)
    with pytest.raises(ModelNotFoundError, match="only models of the hub have revisions; leave out @v1"):
        find_card("here@v1", {"here": ModelCard("here", "/")})


@pytest.mark.parametrize(
    "name",
    ["toybix", "", "./owner/name", "/no/such/folder", "~/nothing", "folder/weights.safetensors", "a/b/c", "x" * 5000, "a\0b", "~nobody/x"],
    ids=lambda name: repr(name)[:20],
)
def test_what_is_nowhere_is_refused_with_what_there_is(name: str) -> None:
    said = re.escape(f"is called {short(name)}.")
    with pytest.raises(ModelNotFoundError, match=said):
        find_card(name, CARDS)


# --- loading ------------------------------------------------------------------------------------------------------------


def test_a_folder_in_diffusers_format_loads(folder: Path, tiny_pipeline: Any) -> None:
    pipeline = load(folder)
    assert isinstance(pipeline, StableDiffusionPipeline)
    for name, value in tiny_pipeline.unet.state_dict().items():
        assert torch.equal(pipeline.unet.state_dict()[name], value)
    assert load_pipeline(ModelCard("mine", str(folder)), "cpu", torch.float64).unet.dtype == torch.float64


def test_convolutions_on_a_cpu_are_channels_last(folder: Path) -> None:
    pipeline = load(folder)
    for weight in (pipeline.unet.conv_in.weight, pipeline.vae.decoder.conv_in.weight):
        assert weight.is_contiguous(memory_format=torch.channels_last)


def test_loading_is_quiet_and_leaves_the_libraries_as_they_were(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = diffusers_logging.get_verbosity()
    load(folder)
    assert capfd.readouterr() == ("", "")
    assert diffusers_logging.get_verbosity() == before


def edit_json(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


BROKEN: dict[str, Callable[[Path], Any]] = {
    "not JSON": lambda folder: (folder / "model_index.json").write_text("hello"),
    "no index": lambda folder: (folder / "model_index.json").unlink(),
    "unknown pipeline": lambda folder: edit_json(folder / "model_index.json", _class_name="NoSuchPipeline"),
    "unknown part": lambda folder: edit_json(folder / "model_index.json", unet=["diffusers", "NoSuchUNet"]),
    "no weights": lambda folder: (folder / "unet" / "diffusion_pytorch_model.safetensors").unlink(),
    "text for weights": lambda folder: (folder / "unet" / "diffusion_pytorch_model.safetensors").write_text("hello"),
    "cut off weights": lambda folder: (folder / "text_encoder" / "model.safetensors").write_bytes(b"\x00" * 20),
    "other sizes": lambda folder: edit_json(folder / "unet" / "config.json", block_out_channels=[16, 16, 16, 16]),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_folder_is_refused_in_one_sentence(folder: Path, tmp_path: Path, what: str) -> None:
    shutil.copytree(folder, tmp_path / "broken")
    BROKEN[what](tmp_path / "broken")
    with pytest.raises(ModelNotFoundError) as caught:
        load(tmp_path / "broken")
    said = str(caught.value)
    assert said.startswith(f"the model 'mine' could not be loaded from {tmp_path / 'broken'}: ")
    assert said.endswith("; check the folder")
    assert "\n" not in said
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize(
    "write",
    [lambda path: path.write_text("hello"), lambda path: path.touch(), lambda path: save_file({"a": torch.zeros(2)}, str(path))],
    ids=["text", "empty", "other weights"],
)
def test_a_file_that_is_no_model_is_refused(tmp_path: Path, write: Callable[[Path], Any]) -> None:
    path = tmp_path / "model.safetensors"
    write(path)
    with pytest.raises(ModelNotFoundError, match=f"could not be loaded from {re.escape(str(path))}: ") as caught:
        load(path)
    assert str(caught.value).endswith("; check the file")
    assert "\n" not in str(caught.value)


def test_a_hub_id_that_cannot_be_had_is_refused() -> None:
    with pytest.raises(ModelNotFoundError, match=r"HF_HUB_OFFLINE forbids .* hf download no-such-owner/no-such-model "):
        load("no-such-owner/no-such-model")  # tests run without network
    with pytest.raises(ModelNotFoundError, match="neither a folder, nor a file, nor a hub id"):
        load("no such model")


# --- what is missing, or cannot be built --------------------------------------------------------------------------------

WEIGHTS = {"text_encoder": "model.safetensors", "unet": "diffusion_pytorch_model.safetensors", "vae": "diffusion_pytorch_model.safetensors"}


@pytest.mark.parametrize("lost", [1, 5])
@pytest.mark.parametrize("part", WEIGHTS)
def test_missing_tensors_are_named_and_not_made_up(folder: Path, tmp_path: Path, part: str, lost: int) -> None:
    shutil.copytree(folder, tmp_path / "broken")
    file = tmp_path / "broken" / part / WEIGHTS[part]
    weights = load_file(file)
    names = sorted(weights)[:lost]
    save_file({name: value for name, value in weights.items() if name not in names}, file)
    with pytest.raises(ModelError) as caught:
        load(tmp_path / "broken")
    said = str(caught.value)
    assert said.startswith(f"the {part} of the model 'mine' lacks {lost} of its tensors: {', '.join(names[:3])}")
    assert ("and 2 more" in said) == (lost == 5) and "\n" not in said


def test_tensors_that_nobody_needs_do_no_harm(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "more")
    for part, name in WEIGHTS.items():
        file = tmp_path / "more" / part / name
        save_file({**load_file(file), "strange.weight": torch.zeros(2)}, file)
    assert torch.equal(load(tmp_path / "more").unet.conv_in.weight, load(folder).unet.conv_in.weight)


def test_weights_that_a_single_file_lacks_are_named(tiny_pipeline: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """diffusers leaves them on the meta device, where there are no numbers."""
    file = tmp_path / "whole.safetensors"
    save_file({"model.diffusion_model.out.0.weight": torch.zeros(2)}, file)
    pipeline = StableDiffusionPipeline(**tiny_pipeline.components)
    pipeline.unet = copy.deepcopy(pipeline.unet)
    pipeline.unet.conv_in.weight = torch.nn.Parameter(pipeline.unet.conv_in.weight.to("meta"))
    monkeypatch.setattr("dragonkit.models.loading.fetch", lambda *_, **__: tmp_path)
    monkeypatch.setattr(StableDiffusionPipeline, "from_single_file", lambda *_, **__: pipeline)
    with pytest.raises(ModelError, match=r"the unet of the model 'mine' lacks 1 of its tensors: conv_in\.weight"):
        load(file)


def test_a_single_file_without_what_describes_it_says_what_to_fetch(tmp_path: Path) -> None:
    save_file({"model.diffusion_model.out.0.weight": torch.zeros(2)}, tmp_path / "whole.safetensors")
    with pytest.raises(ModelNotFoundError, match=r"holds weights only, .* hf download [\w/.-]+ --include '\*\.json' '\*\.txt'$"):
        load(tmp_path / "whole.safetensors")


CONFIGS = ["model_index.json", "unet/config.json", "vae/config.json", "text_encoder/config.json", "scheduler/scheduler_config.json"]
NONSENSE: list[Any] = [None, "x", -1, [], {}, [0], True, 1e300]


@pytest.mark.parametrize("every", [5, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("file", CONFIGS)
def test_nonsense_in_a_config_is_one_sentence_of_ours_or_works(folder: Path, tmp_path: Path, file: str, every: int) -> None:
    """Fields of every config, set to things that they cannot be."""
    shutil.copytree(folder, tmp_path / "broken")
    path = tmp_path / "broken" / file
    whole = json.loads(path.read_text())
    tried = 0
    for number, name in [*enumerate(whole)][::every]:
        for value in NONSENSE[number % len(NONSENSE) :: every]:
            path.write_text(json.dumps({**whole, name: value}))
            try:
                StableDiffusion(load(tmp_path / "broken"))
            except ModelError as error:
                assert "\n" not in str(error) and len(str(error)) < 700
            tried += 1
    assert tried > 1


# --- models of another family -------------------------------------------------------------------------------------------

CPU = torch.device("cpu")


def test_without_a_loader_it_is_stable_diffusion(folder: Path) -> None:
    backbone = load_backbone(ModelCard("mine", str(folder)), CPU, torch.float64)
    assert isinstance(backbone, StableDiffusion) and backbone.dtype == torch.float64


def test_a_loader_is_given_the_card_and_gives_a_backbone() -> None:
    backbone = load_backbone(straight_flow.CARD, CPU, torch.float64)
    assert isinstance(backbone, straight_flow.StraightFlow) and backbone.dtype == torch.float64


def raising(error: Exception) -> Callable[..., Any]:
    def load(*_: Any) -> None:
        raise error

    return load


@pytest.mark.parametrize(
    ("load", "said"),
    [
        ("no_such_module:load", "(ModuleNotFoundError: No module named 'no_such_module')"),
        ("helpers.straight_flow:laod", "has no attribute 'laod'"),
        ("helpers.straight_flow", "cannot be found (AttributeError"),
        (":load", "cannot be found (ValueError"),
        ("helpers.straight_flow:CARD", "which failed (TypeError: 'ModelCard' object"),
        ("itertools:chain", "which gave a chain; it must give"),
    ],
)
def test_a_bad_loader_is_one_clear_error(load: str, said: str) -> None:
    with pytest.raises(ModelError) as caught:
        load_backbone(ModelCard("mine", "", load=load), CPU, torch.float32)
    assert str(caught.value).startswith(f"the model 'mine' is to be loaded by {load!r}, which ")
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_a_loader_that_fails_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    card = ModelCard("mine", "", load="helpers.straight_flow:load")
    monkeypatch.setattr(straight_flow, "load", raising(OSError("no weights\nanywhere")))
    with pytest.raises(ModelError, match=r"\(OSError: no weights\); tell its plugin's author"):
        load_backbone(card, CPU, torch.float32)
    for error in (EditError("in plain words"), torch.OutOfMemoryError("full")):  # these say it themselves, or are told elsewhere
        monkeypatch.setattr(straight_flow, "load", raising(error))
        with pytest.raises(type(error)) as caught:
            load_backbone(card, CPU, torch.float32)
        assert caught.value is error


def test_threads_may_load_at_once(folder: Path) -> None:
    """The libraries switch things of the whole process meanwhile; a notebook loads in the background while the next cell loads, too."""
    failed: list[BaseException] = []

    def work() -> None:
        try:
            load_pipeline(ModelCard("mine", str(folder)), "cpu", torch.bfloat16)
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kept = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)  # for the other tests, where this one fails
    assert (failed, kept) == ([], torch.float32)


def test_what_other_threads_make_meanwhile_keeps_its_precision(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_to: list[torch.dtype] = []
    monkeypatch.setattr(torch, "set_default_dtype", set_to.append)
    pipeline = load_pipeline(ModelCard("mine", str(folder)), "cpu", torch.bfloat16)
    assert set(set_to) <= {torch.float32}
    parts = (pipeline.unet, pipeline.vae, pipeline.text_encoder)
    assert {weight.dtype for part in parts for weight in part.parameters()} == {torch.bfloat16}
