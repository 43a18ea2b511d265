"""LPIPS is what its formula says, and what torchmetrics makes of the same weights; without the weights there is no figure."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import torch
from helpers.drag_folders import alexnet_layers, picture, write_alexnet
from PIL import Image
from torch import nn
from torchmetrics.functional.image import lpips as reference

from dragonkit.bench.drags import fidelity
from dragonkit.bench.drags.fidelity import image_fidelity, load_lpips
from dragonkit.errors import ModelNotFoundError, ShapeError

LINEAR = torch.load(Path(reference.__file__).parent / "lpips_models" / "alex.pth", map_location="cpu")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where torch.hub looks; nothing is downloaded."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    def offline(*_: Any, **__: Any) -> None:
        raise URLError("no network")

    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    return tmp_path


def at_224(one: Image.Image) -> torch.Tensor:
    pixels = torch.from_numpy(np.asarray(one, dtype=np.float32)).permute(2, 0, 1)[None] / 127.5 - 1
    return nn.functional.interpolate(pixels, (224, 224), mode="bilinear")


def by_formula(a: Image.Image, b: Image.Image) -> float:
    """sum over layers of mean over places of sum over channels of w (a / |a| - b / |b|)^2, in numpy."""
    mean, spread = torch.tensor([-0.030, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.450])
    shown = [(at_224(one) - mean[:, None, None]) / spread[:, None, None] for one in (a, b)]
    distance, number = 0.0, 0
    for layer in alexnet_layers():
        with torch.no_grad():
            shown = [layer(one) for one in shown]
        if isinstance(layer, nn.ReLU):
            first, second = (one[0].numpy().astype(np.float64) for one in shown)
            first, second = (one / (np.sqrt((one**2).sum(0)) + 1e-10) for one in (first, second))
            weights = LINEAR[f"lin{number}.model.1.weight"].numpy()[0]
            distance += float((weights * (first - second) ** 2).sum(0).mean())
            number += 1
    assert number == 5
    return distance


@pytest.mark.parametrize("seeds", [(0, 1), (2, 3)])
def test_the_formula(home: Path, seeds: tuple[int, int]) -> None:
    write_alexnet(home)
    a, b = map(picture, seeds)
    expected = 1 - by_formula(a, b)
    assert 0.01 < 1 - expected < 1
    assert image_fidelity(load_lpips(), a, b) == pytest.approx(expected, abs=1e-6)


def test_torchmetrics_says_the_same(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_alexnet(home)
    monkeypatch.setattr(reference, "_get_tv_model_features", lambda net, pretrained: nn.Sequential(*alexnet_layers()))
    a, b = picture(4), picture(5)
    theirs = reference.learned_perceptual_image_patch_similarity(at_224(a), at_224(b), net_type="alex")
    assert image_fidelity(load_lpips(), a, b) == pytest.approx(1 - float(theirs), abs=1e-5)


def test_equal_pictures_and_ever_more_noise(home: Path) -> None:
    write_alexnet(home)
    lpips, a = load_lpips(), picture()
    noise = np.random.default_rng(0).normal(size=(32, 48, 3))
    worse = [Image.fromarray((np.asarray(a) + strength * noise).clip(0, 255).astype(np.uint8)) for strength in (0, 10, 40)]
    found = [image_fidelity(lpips, a, one) for one in worse]
    assert found[0] == 1 and found == sorted(found, reverse=True) and len(set(found)) == 3
    assert image_fidelity(lpips, worse[2], a) == pytest.approx(found[2], abs=1e-6)


def test_pictures_of_two_sizes(home: Path) -> None:
    write_alexnet(home)
    with pytest.raises(ShapeError):
        image_fidelity(load_lpips(), picture(), picture().resize((48, 48)))


def test_without_weights(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ModelNotFoundError) as caught:
        load_lpips()
    text = str(caught.value)
    assert text.startswith("AlexNet's weights cannot be had (URLError: <urlopen error no network>); put alexnet-owt-7be5be79.pth of")
    assert text.endswith(f"into '{home}/hub/checkpoints'")
    assert capsys.readouterr().out == ""  # stdout is for results


@pytest.mark.parametrize("damage", ["cut", "other", "code"])
def test_with_a_broken_file(home: Path, damage: str) -> None:
    write_alexnet(home)
    (file,) = home.rglob("*.pth")
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:5000])
    else:
        torch.save({"features.0.weight": torch.zeros(3)} if damage == "other" else {"features.0.weight": Path("x")}, file)
    with pytest.raises(ModelNotFoundError, match="AlexNet's weights cannot be had"):
        load_lpips()


def test_without_torchmetrics(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fidelity.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'dragonkit\[bench\]'"):
        load_lpips()


def test_the_published_weights_are_asked_for(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the address that names their hash, which is checked."""
    asked = []
    monkeypatch.setattr(torch.hub, "download_url_to_file", lambda url, place, prefix, progress: asked.append((url, place, prefix)))
    with pytest.raises(ModelNotFoundError):
        load_lpips()
    ((url, place, prefix),) = asked
    assert url == "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth" and prefix == "7be5be79"
    assert Path(place) == home / "hub" / "checkpoints" / "alexnet-owt-7be5be79.pth"
