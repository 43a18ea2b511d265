"""Attention of the UNet: memory-efficient where the machine allows, and a tap on the decoder's self-attention (equation 11)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from dragonkit.shapes import Tokens

__all__ = ["DecoderAttention", "KeyValues", "attend", "xformers_attention"]

KeyValues = dict[str, tuple[Tensor, Tensor]]
"""Keys and values (batch, tokens, channels) of every decoder self-attention layer, by the layer's name."""

Heads = Float[Tensor, "batch heads tokens channels"]


@cache
def xformers_attention() -> Any:
    """xformers' `memory_efficient_attention`, or None where xformers is not installed."""
    try:
        from xformers.ops import memory_efficient_attention
    except ImportError:
        return None
    return memory_efficient_attention


def attend(query: Heads, key: Tensor, value: Tensor) -> Heads:
    """Softmax attention (batch, heads, tokens, channels): xformers on CUDA when installed, torch otherwise.

    Example:
        attend(query "b h n c", key "b h m c", value "b h m c") -> "b h n c"
    """
    if query.is_cuda and xformers_attention() is not None:
        query, key, value = (part.transpose(1, 2) for part in (query, key, value))  # xformers wants (batch, tokens, heads, channels)
        return xformers_attention()(query, key, value).transpose(1, 2)
    return F.scaled_dot_product_attention(query, key, value)


class DecoderAttention:
    """Installed on a UNet, lets others record the decoder's self-attention keys and values, or read recorded ones.

    Encoder and middle are left alone: only layers `up_blocks.*.attn1` take part. Not safe for two threads on one UNet.
    """

    def __init__(self, unet: Any):
        self.record: KeyValues | None = None
        self.read: KeyValues | None = None
        self.form: Literal["replace", "concatenate"] = "replace"
        names = [name.removesuffix(".processor") for name in unet.attn_processors]
        self.layers = [name for name in names if name.startswith("up_blocks.") and name.endswith(".attn1")]
        unet.set_attn_processor({f"{name}.processor": _Processor(self, name if name in self.layers else None) for name in names})

    @contextmanager
    def recording(self, into: KeyValues) -> Iterator[None]:
        """Within this context every call of the UNet stores its keys and values in `into`."""
        self.record = into
        try:
            yield
        finally:
            self.record = None

    @contextmanager
    def reading(self, keys_values: KeyValues | None, form: Literal["replace", "concatenate"]) -> Iterator[None]:
        """Within this context queries meet recorded keys and values: instead of their own, or beside them. None changes nothing."""
        self.read, self.form = keys_values, form
        try:
            yield
        finally:
            self.read = None

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


class _Processor:
    """diffusers' attention processor for transformer blocks, calling `attend` and, in the decoder, the tap."""

    def __init__(self, tap: DecoderAttention, layer: str | None):
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
