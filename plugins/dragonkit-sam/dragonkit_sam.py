"""Selectors by SAM 2 (Segment Anything 2, arXiv 2408.00714), as transformers has it. A plugin for dragonkit.

"sam" selects the object that is clicked on, "sam-box" the one in a box. The weights are loaded when a selector is first used, and what the
large part of the network sees in a picture is kept, so that further clicks on the picture take no time.

    DRAGONKIT_SAM_MODEL    a hub id, or a folder in transformers' format; default facebook/sam2.1-hiera-tiny
"""

from __future__ import annotations

import functools
import hashlib
import os
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from dragonkit.plugin_api import Box, Click, ModelNotFoundError, Selector, UnsupportedModelError, hookimpl

if TYPE_CHECKING:
    import torch

__all__ = ["DEFAULT_MODEL", "VARIABLE", "Sam", "current_sam", "load_sam"]

DEFAULT_MODEL = "facebook/sam2.1-hiera-tiny"
VARIABLE = "DRAGONKIT_SAM_MODEL"
_LOADING = threading.Lock()  # or two threads would load the weights twice

PICTURES = 4
"""For how many pictures the embeddings are kept: about 17 MB each with the default model."""
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's red, green and blue, which SAM was trained with


@hookimpl
def dragonkit_selectors() -> list[Selector]:
    return [
        Selector("sam", "the object that is clicked on, by SAM 2", "clicks", select_clicked),
        Selector("sam-box", "the object that fills a box, by SAM 2", "box", select_boxed),
    ]


def select_clicked(image: Image.Image, clicks: list[Click]) -> np.ndarray:
    """The object under the positive clicks, without what is under the others."""
    return current_sam().clicked(image, clicks)


def select_boxed(image: Image.Image, box: Box) -> np.ndarray:
    """The object whose bounding box this is."""
    return current_sam().boxed(image, box)


class Sam:
    """A SAM 2 network and what it has seen. May be used from several threads.

    Args:
        model: a `transformers.Sam2Model`.
    """

    def __init__(self, model: Any) -> None:
        self.model = model.eval()
        self.size: int = model.config.prompt_encoder_config.image_size
        """Width and height, in pixels, of what the network looks at."""
        self._seen: OrderedDict[str, list[torch.Tensor]] = OrderedDict()
        self._lock = threading.Lock()

    def clicked(self, image: Image.Image, clicks: list[Click]) -> np.ndarray:
        """Bool (H, W) of the object that is clicked on.

        One click can mean a part or the whole: the network gives three masks, and the one that it trusts most is taken. Several clicks
        leave no such doubt.
        """
        import torch

        points = self._positions([(x, y) for x, y, _ in clicks], image.size)
        labels = torch.tensor([[[int(positive) for *_, positive in clicks]]], device=self.model.device)
        return self._best(image, input_points=points, input_labels=labels, multimask_output=len(clicks) == 1)

    def boxed(self, image: Image.Image, box: Box) -> np.ndarray:
        """Bool (H, W) of the object that fills a box (left, top, right, bottom)."""
        corners = self._positions([box[:2], box[2:]], image.size)
        return self._best(image, input_boxes=corners.reshape(1, 1, 4), multimask_output=False)

    def embeddings(self, image: Image.Image) -> list[torch.Tensor]:
        """What the network sees in a picture, looked up where it has seen it before."""
        key = hashlib.sha256(repr(image.size).encode() + image.tobytes()).hexdigest()
        with self._lock:
            if key not in self._seen:
                self._seen[key] = self.model.get_image_embeddings(self._pixels(image))
                if len(self._seen) > PICTURES:
                    self._seen.popitem(last=False)
            self._seen.move_to_end(key)
            return self._seen[key]

    def _best(self, image: Image.Image, **prompt: Any) -> np.ndarray:
        import torch
        import torch.nn.functional as F

        with torch.inference_mode():
            answer = self.model(image_embeddings=self.embeddings(image), **prompt)
            best = answer.pred_masks[0, 0, answer.iou_scores[0, 0].argmax()]
            logits = F.interpolate(best[None, None].float(), (image.height, image.width), mode="bilinear", align_corners=False)
            return (logits[0, 0] > 0).cpu().numpy()

    def _pixels(self, image: Image.Image) -> torch.Tensor:
        """(1, 3, size, size), resized without regard to the aspect, and normalised: what `Sam2ImageProcessor` does with torchvision."""
        import torch

        resized = np.asarray(image.resize((self.size, self.size), Image.Resampling.BILINEAR), dtype=np.float32) / 255
        normalised = (resized - np.array(MEAN, np.float32)) / np.array(STD, np.float32)
        return torch.from_numpy(normalised).permute(2, 0, 1)[None].to(self.model.device, self.model.dtype)

    def _positions(self, positions: list[tuple[float, float]], size: tuple[int, int]) -> torch.Tensor:
        """(1, 1, n, 2): positions in the network's pixels. It counts from the middle of the first pixel, dragonkit from its corner."""
        import torch

        scaled = np.array(positions) * self.size / np.array(size) - 0.5
        return torch.from_numpy(scaled.astype(np.float32))[None, None].to(self.model.device, self.model.dtype)


def current_sam() -> Sam:
    """The network that DRAGONKIT_SAM_MODEL names, loaded when it is first asked for. Errors as of `load_sam`."""
    with _LOADING:
        return load_sam(os.environ.get(VARIABLE, "").strip() or DEFAULT_MODEL)


@functools.lru_cache(maxsize=1)
def load_sam(name: str) -> Sam:
    """A network from a hub id or a folder, on CUDA where there is one, else on the CPU.

    Raises:
        ModelNotFoundError: the weights cannot be had.
        UnsupportedModelError: they are not those of a SAM 2.
    """
    import torch
    from safetensors import SafetensorError
    from transformers import Sam2Model

    try:
        with _quiet():
            model, loading = Sam2Model.from_pretrained(name, output_loading_info=True)
    except (OSError, RuntimeError, SafetensorError, ValueError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        advice = "Check the folder" if Path(name).is_dir() else "Check the network and the name"
        raise ModelNotFoundError(
            f"the SAM 2 weights {name!r} could not be loaded: {first}. {advice}, or set {VARIABLE} to a folder that has them."
        ) from error
    if missing := loading["missing_keys"]:
        raise UnsupportedModelError(
            f"{name!r} is no SAM 2: {len(missing)} of its weights are missing, such as {min(missing)!r}. "
            f"Set {VARIABLE} to one, such as {DEFAULT_MODEL}."
        )
    return Sam(model.to("cuda" if torch.cuda.is_available() else "cpu"))


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the remark that the hub's weights are those of SAM 2 for videos: they hold all that pictures need, which is checked."""
    from transformers.utils import logging

    level = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)
