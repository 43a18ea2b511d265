"""What the engine asks of a diffusion model: pictures to latents and back, words to a condition, and the noise in latents."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from dragonkit.diffusion.schedule import Schedule
from dragonkit.errors import EditError
from dragonkit.plugins.answers import AttentionForm
from dragonkit.shapes import ImageTensor, Latents
from dragonkit.words import closest

__all__ = [
    "Adviser",
    "Backbone",
    "Condition",
    "Frugal",
    "KeyValues",
    "Pairing",
    "Pictured",
    "Prediction",
    "Reader",
    "Stacking",
    "checked_layers",
    "frugal",
]

Condition: TypeAlias = Any
"""What a backbone made of words: opaque, only the backbone that made it looks inside."""

KeyValues = dict[str, tuple[Tensor, ...]]
"""What keys and values of self-attention layers are made from, by the layer's name: tensors (batch, tokens, channels), which only the
backbone that gave them looks into: keys and values, say, or the hidden states that both come from. Tokens are cells in reading order, of
the latents' size or of that halved a few times, rounded up."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """What one call of the network gives.

    Attributes:
        noise_pred: (b, c, h, w), like the latents.
        features: (b, f, h', w') of the layers asked for, by name, in the order in which the network computes them.
        keys_values: detached, of every layer that can read recorded ones; empty when nothing was recorded.
        pull: gradients with respect to the features, by layer, to that with respect to the latents, or None where they have no say in it;
            None where autograd knows the way.
    """

    noise_pred: Tensor
    features: Mapping[str, Tensor]
    keys_values: KeyValues = field(default_factory=dict)
    pull: Callable[[Mapping[str, Tensor]], Tensor | None] | None = None


@runtime_checkable
class Backbone(Protocol):
    """A diffusion model, frozen. Calls leave nothing behind in it but the count of them.

    An editor has it to itself for a whole edit, inversion or generation. Backbones that share a network, and so must take turns as well,
    name it in an attribute `network`.

    Attributes:
        feature_layers: names of the layers whose features can be asked for, such as "up.1", in the order in which they are computed.
        calls: network calls so far, each counted with its batch rows: the cost of a run in network evaluations.
    """

    feature_layers: tuple[str, ...]
    calls: int

    @property
    def latent_channels(self) -> int:
        """How many numbers a latent cell has."""
        ...

    @property
    def pixels_per_latent(self) -> int:
        """How many pixels a side one latent cell covers."""

    @property
    def size_multiple(self) -> int:
        """Picture sides must be multiples of this."""

    @property
    def model_size(self) -> int:
        """The side in pixels of the pictures that the model was made for."""

    @property
    def device(self) -> torch.device:
        """Where the networks compute, and latents lie."""
        ...

    @property
    def dtype(self) -> torch.dtype:
        """Of latents."""

    def schedule(self, steps: int, size: tuple[int, int]) -> Schedule:
        """The noise levels of a run of `steps` on pictures of `size` (width, height) in pixels."""

    def encode(self, images: ImageTensor) -> Latents:
        """Pictures (b, 3, H, W) in [-1, 1] to latents (b, c, h, w) of about unit spread; the same picture gives the same latents."""

    def decode(self, latents: Latents) -> ImageTensor:
        """Latents (b, c, h, w) to pictures (b, 3, H, W) in [-1, 1], float32."""

    def condition(self, prompts: Sequence[str], size: tuple[int, int]) -> Condition:
        """What the network is told of the words, for as many rows as prompts, of pictures of `size` (width, height) in pixels."""

    def predict(
        self,
        latents: Latents,
        time: float,
        condition: Condition,
        *,
        features: Sequence[str] = (),
        record: bool = False,
        read: KeyValues | None = None,
        form: AttentionForm = "replace",
    ) -> Prediction:
        """Predict the noise in latents. Gradients flow to them as the caller's autograd mode says, also after the call;
        where features are asked for, those of the features may be all that do.

        Args:
            latents: (b, c, h, w).
            time: where in the schedule: `Schedule.time(level)`.
            condition: of b prompts, or of one that serves every row.
            features: names of `feature_layers` whose outputs are wanted as well.
            record: also give keys and values.
            read: recorded keys and values (1 or b, tokens', channels) of every layer: queries meet them instead of their own
                (`form` "replace"), or beside them ("concatenate"). None for its own only.

        Raises:
            EditError: there is no layer of that name.
        """


@runtime_checkable
class Reader(Protocol):
    """What a backbone may offer besides, so that a prompt is not cut off without a word."""

    def unread(self, prompt: str) -> str:
        """The words at the end of a prompt that the text encoder has no room for; "" when it reads all."""


@runtime_checkable
class Adviser(Protocol):
    """What a backbone may offer besides, so that nothing about the model's own state goes unsaid."""

    def advice(self) -> Iterable[str]:
        """Sentences worth reading before an edit."""


@runtime_checkable
class Pictured(Protocol):
    """What a backbone may offer besides, so that a picture prompts beside the words."""

    @property
    def takes_pictures(self) -> bool:
        """Whether it can, as it is now."""

    def shown(self, picture: np.ndarray, scale: float) -> Callable[[Condition, bool], Condition]:
        """(condition, whether the picture is led to, not away from) -> that condition, with the picture: uint8 (h, w, 3)."""


@runtime_checkable
class Pairing(Protocol):
    """What a backbone may offer besides, so that classifier-free guidance takes one call a step."""

    def paired(self, condition: Condition, other: Condition) -> Condition | None:
        """A condition of two rows, both of one row before; None where two calls are no slower than one of two rows."""


@runtime_checkable
class Stacking(Protocol):
    """What a backbone may offer besides, so that edits of several pictures share its calls."""

    def stacked(self, conditions: Sequence[Condition], rows: Sequence[int]) -> Condition | None:
        """One condition for all rows of several calls, given each one's and how many rows it has; None where they cannot share one."""


@runtime_checkable
class Frugal(Protocol):
    """What a backbone may offer besides, so that gradients take less memory, and more time."""

    def frugal(self) -> AbstractContextManager[None]:
        """Within this block, what a gradient needs of a call is not kept, but computed again on the way back (gradient checkpointing)."""


def frugal(backbone: Backbone) -> AbstractContextManager[None]:
    """A block within which a backbone of any kind takes as little memory as it can."""
    return backbone.frugal() if isinstance(backbone, Frugal) else nullcontext()


def checked_layers(layers: Iterable[str], known: Sequence[str]) -> tuple[str, ...]:
    """The layers in the model's order. EditError when the model lacks one."""
    wanted = list(layers)
    for layer in wanted:
        if layer not in known:
            raise EditError(f"the model has no layer {layer!r}.{closest(layer, list(known))} Its layers: {', '.join(known)}.")
    return tuple(layer for layer in known if layer in wanted)
