"""Small data sets of drags in the public formats, and AlexNet weights that know nothing where torch looks for the real ones."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

SIZE = (48, 32)
"""Width and height: x and y cannot be mistaken for each other unnoticed."""
POINTS = [[40, 10], [34, 20], [10, 4], [10, 8]]


def picture(seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 255, (8, 12, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize(SIZE, Image.Resampling.BICUBIC)


def mask() -> np.ndarray:
    """uint8, 1 in a region with all of POINTS in it."""
    values = np.zeros(SIZE[::-1], np.uint8)
    values[2:26, 4:46] = 1
    return values


def write_drag_bench(folder: Path, name: str = "animals/one", seed: int = 0, **changes: Any) -> Path:
    """A sample as DragBench's labelling tool writes it, with other meta data where `changes` says so."""
    sample = folder / name
    sample.mkdir(parents=True)
    picture(seed).save(sample / "original_image.png")
    picture(seed + 1).save(sample / "user_drag.png")
    meta = {"prompt": "a fish", "points": POINTS, "mask": mask(), **changes}
    (sample / "meta_data.pkl").write_bytes(pickle.dumps(meta))
    return sample


def write_good_drag(folder: Path, name: str = "fish_0", seed: int = 0, points: Any = POINTS) -> Path:
    """A sample as GoodDrag's interface writes it."""
    sample = folder / name
    sample.mkdir(parents=True)
    picture(seed).save(sample / "original.jpg")
    Image.fromarray(mask() * 255).save(sample / "mask.png")
    (sample / "points.json").write_text(json.dumps({"points": points}))
    return sample


def alexnet_layers() -> list[nn.Module]:
    """`torchvision.models.alexnet().features` with its own numbers: what LPIPS uses of it, and random."""
    convolution, relu, pool = nn.Conv2d, nn.ReLU, nn.MaxPool2d
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return [
            convolution(3, 64, kernel_size=11, stride=4, padding=2), relu(), pool(kernel_size=3, stride=2),
            convolution(64, 192, kernel_size=5, padding=2), relu(), pool(kernel_size=3, stride=2),
            convolution(192, 384, kernel_size=3, padding=1), relu(),
            convolution(384, 256, kernel_size=3, padding=1), relu(),
            convolution(256, 256, kernel_size=3, padding=1), relu(),
        ]  # fmt: skip


def write_alexnet(home: Path) -> None:
    """A state dict as torchvision publishes it, at the place where torch.hub looks before it downloads."""
    features = nn.Sequential(*alexnet_layers())
    state = {f"features.{name}": value for name, value in features.state_dict().items()}
    state["classifier.6.bias"] = torch.zeros(1000)
    place = home / "hub" / "checkpoints" / "alexnet-owt-7be5be79.pth"
    place.parent.mkdir(parents=True)
    torch.save(state, place)
