"""How much of a picture's look an edit keeps: 1 - LPIPS (Zhang et al. 2018, AlexNet), as the drag-editing papers measure it.

AlexNet is written out here, because the package that has it, torchvision, must be of the very build of torch: one from another index makes
diffusers fail. Its weights are torchvision's, from the same address and in the same cache. The weights of LPIPS come with torchmetrics.
"""

from __future__ import annotations

import importlib.util
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from dragonkit.errors import ModelNotFoundError, ShapeError
from dragonkit.imaging.images import to_tensor

__all__ = ["ALEXNET", "Lpips", "has_alexnet", "image_fidelity", "load_lpips"]

ALEXNET = "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth"
"""AlexNet_Weights.IMAGENET1K_V1 of torchvision, 233 MiB."""
SIZE = 224
"""Pixels a side at which pictures are compared, whatever their shape: as DragBench's evaluator does."""

_SHIFT, _SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)  # ImageNet's mean and spread, for pictures in [-1, 1]
_TAPS = (1, 4, 7, 9, 11)  # the ReLUs


class Lpips(nn.Module):
    """The distance of two pictures in AlexNet's eyes: at every ReLU, unit feature vectors are compared channel by channel.

    Args:
        features: weights of AlexNet's convolutions, named as in torchvision without "features.".
        weights: of the channels of the five layers, (1, channels, 1, 1) each, none below 0.
    """

    def __init__(self, features: dict[str, Tensor], weights: list[Tensor]):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 64, 11, stride=4, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
            nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
            nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(),
            nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(),
            nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(),
        )  # fmt: skip
        self.layers.load_state_dict(features)
        self.weights = weights
        self.requires_grad_(False).eval()

    @torch.no_grad()
    def forward(self, a: Tensor, b: Tensor) -> float:
        """LPIPS of two pictures (1, 3, h, w) in [-1, 1]: 0 for equal ones."""
        shift, scale = (torch.tensor(values).view(1, 3, 1, 1) for values in (_SHIFT, _SCALE))
        both, distance = (torch.cat([a, b]) - shift) / scale, 0.0
        for number, layer in enumerate(self.layers):
            both = layer(both)
            if number in _TAPS:
                first, second = F.normalize(both, dim=1, eps=1e-10)
                distance += float((self.weights[_TAPS.index(number)][0] * (first - second) ** 2).sum(0).mean())
        return distance


def has_alexnet() -> bool:
    """Whether AlexNet's weights are on this machine, so that `load_lpips` downloads nothing."""
    return (_cache() / Path(ALEXNET).name).exists()


def load_lpips() -> Lpips:
    """LPIPS with the published weights, on the CPU; AlexNet's are downloaded when they are asked for first.

    Raises:
        ImportError: torchmetrics is not installed; it comes with the extra "bench".
        ModelNotFoundError: AlexNet's weights cannot be had.
    """
    found = importlib.util.find_spec("torchmetrics")
    if found is None or found.origin is None:
        raise ImportError("image fidelity needs torchmetrics, which is not installed: pip install 'dragonkit[bench]'")
    own: dict[str, Any] = torch.load(Path(found.origin).parent / "functional/image/lpips_models/alex.pth", map_location="cpu")
    try:
        with redirect_stdout(sys.stderr):  # torch says there that it downloads, and stdout is for results
            state = torch.hub.load_state_dict_from_url(ALEXNET, map_location="cpu", check_hash=True, weights_only=True)
        features = {name.removeprefix("features."): value for name, value in state.items() if name.startswith("features.")}
        return Lpips(features, [own[f"lin{number}.model.1.weight"] for number in range(len(_TAPS))])
    except Exception as error:  # the network, a cut-off file and one of another kind raise nearly anything
        raise ModelNotFoundError(
            f"AlexNet's weights cannot be had ({type(error).__name__}: {_first_line(error)}); put {Path(ALEXNET).name} of "
            f"{ALEXNET.rpartition('/')[0]} into {str(_cache())!r}"
        ) from error


def image_fidelity(lpips: Lpips, before: Image.Image, after: Image.Image) -> float:
    """1 - LPIPS of a picture and what became of it: 1 for no change, and less the more of the look has changed.

    Raises:
        ShapeError: they differ in size.
    """
    if before.size != after.size:
        raise ShapeError(before.size, after.size, "the second picture", "Compare pictures of one size.")
    return 1 - lpips(*(F.interpolate(to_tensor(one), (SIZE, SIZE), mode="bilinear") for one in (before, after)))


def _cache() -> Path:
    return Path(torch.hub.get_dir()) / "checkpoints"


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or ["no reason given"])[0].rstrip(".")
