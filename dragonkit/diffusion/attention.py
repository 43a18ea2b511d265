"""Attention of the UNet: memory-efficient where the machine allows, and a tap on the decoder's self-attention (equation 11)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from dragonkit.diffusion.backbone import KeyValues
from dragonkit.diffusion.kernels import kernel_for, xformers
from dragonkit.diffusion.turns import calls_on
from dragonkit.plugins.answers import AttentionForm
from dragonkit.shapes import Tokens

__all__ = ["Tap", "UNetAttention", "attend"]

Heads = Float[Tensor, "batch heads tokens channels"]


def attend(query: Heads, key: Tensor, value: Tensor) -> Heads:
    """Softmax attention (batch, heads, tokens, channels): xformers on CUDA where it fits, torch otherwise.

    Example:
        attend(query "b h n c", key "b h m c", value "b h m c") -> "b h n c"
    """
    if query.is_cuda and kernel_for(query.device, query.dtype, query.shape[-1]).name == "xformers":
        query, key, value = (part.transpose(1, 2) for part in (query, key, value))  # xformers wants (batch, tokens, heads, channels)
        return xformers().attention(query, key, value).transpose(1, 2)
    return F.scaled_dot_product_attention(query, key, value)


@dataclass
class Tap:
    """What one call of a UNet does with the decoder's self-attention.

    Attributes:
        read: recorded keys and values that queries meet: instead of their own, or beside them; None for their own only.
        form: which of the two.
        record: where the layers' own keys and values go; None for nowhere.
    """

    read: KeyValues | None = None
    form: AttentionForm = "replace"
    record: KeyValues | None = None

    def exchange(self, layer: str, key: Tokens, value: Tokens) -> tuple[Tensor, Tensor]:
        """What a layer shall attend to, given its own keys and values: as many positions as the plan gives it."""
        if self.record is not None:
            self.record[layer] = (key.detach(), value.detach())
        if self.read is None:
            return key, value
        # one recorded picture serves every row of the batch: with and without the prompt
        other_key, other_value = (part.expand(len(key), -1, -1) for part in self.read[layer])
        if self.form == "replace":
            return other_key, other_value
        return torch.cat([key, other_key], dim=1), torch.cat([value, other_value], dim=1)


class UNetAttention:
    """The attention layers of a UNet, which keeps the processors it has whenever no call is going on.

    Attributes:
        layers: names of those that take part: the decoder's self-attention. Encoder and middle are left alone.
    """

    def __init__(self, unet: Any):
        names = [name.removesuffix(".processor") for name in unet.attn_processors]
        self._modules = {name: unet.get_submodule(name) for name in names}
        self._blocks = [module for module in unet.modules() if hasattr(module, "gradient_checkpointing")]
        self.layers = tuple(name for name in names if name.startswith("up_blocks.") and name.endswith(".attn1"))
        self._calls = calls_on(unet)

    def kernels(self, device: torch.device, dtype: torch.dtype) -> str:
        """Whose kernels compute these layers there: "torch", "xformers", or both where heads are of several sizes."""
        sizes = {module.inner_dim // module.heads for module in self._modules.values()}
        return ", ".join(sorted({kernel_for(device, dtype, size).name for size in sizes}))

    @contextmanager
    def tapped(self, tap: Tap) -> Iterator[None]:
        """Within this context all layers attend by `attend`, and the decoder's through `tap`.

        Other threads wait meanwhile. What gradient checkpointing computes again in a later backward pass attends as it did the first time.
        """
        processors = {name: _Processor(tap, name if name in self.layers else None) for name in self._modules}
        with self._on(processors):
            checkpoints = {block: block._gradient_checkpointing_func for block in self._blocks if block.gradient_checkpointing}
            try:
                for block, checkpoint in checkpoints.items():
                    block._gradient_checkpointing_func = self._alike(checkpoint, processors)
                yield
            finally:
                for block, checkpoint in checkpoints.items():
                    block._gradient_checkpointing_func = checkpoint

    @contextmanager
    def _on(self, processors: Mapping[str, Any]) -> Iterator[None]:
        with self._calls:
            before = {name: module.processor for name, module in self._modules.items()}
            try:
                self._set(processors)
                yield
            finally:
                try:
                    self._set(before)
                except BaseException:  # a Ctrl-C just now
                    self._set(before)
                    raise

    def _set(self, processors: Mapping[str, Any]) -> None:
        for name, module in self._modules.items():
            module.set_processor(processors[name])

    def _alike(self, checkpoint: Callable[..., Any], processors: Mapping[str, Any]) -> Callable[..., Any]:
        """The checkpoint function, with these processors on whenever it computes: in a backward pass they are off already."""

        def run(block: Callable[..., Any], *args: Any) -> Any:
            def compute(*inputs: Any) -> Any:
                with self._on(processors):
                    return block(*inputs)

            return checkpoint(compute, *args)

        return run


class _Processor:
    """diffusers' attention processor for transformer blocks, calling `attend` and, in the decoder, the tap."""

    def __init__(self, tap: Tap, layer: str | None):
        self.tap, self.layer = tap, layer

    def __call__(
        self, attn: Any, hidden_states: Tensor, encoder_hidden_states: Tensor | None = None, attention_mask: Tensor | None = None, **_: Any
    ) -> Tensor:
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        query, key, value = attn.to_q(hidden_states), attn.to_k(context), attn.to_v(context)
        if self.layer is not None:
            key, value = self.tap.exchange(self.layer, key, value)
        query, key, value = (part.unflatten(2, (attn.heads, -1)).transpose(1, 2) for part in (query, key, value))
        out = attend(query, key, value).transpose(1, 2).flatten(2).to(hidden_states.dtype)
        return attn.to_out[1](attn.to_out[0](out))
