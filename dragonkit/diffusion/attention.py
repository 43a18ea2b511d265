"""Attention of the UNet: memory-efficient where the machine allows, and a tap on the decoder's self-attention (equation 11)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from diffusers.models.attention_processor import (
    Attention,
    AttnProcessor,
    AttnProcessor2_0,
    FusedAttnProcessor2_0,
    SlicedAttnProcessor,
    XFormersAttnProcessor,
)
from jaxtyping import Float
from torch import Tensor

from dragonkit.diffusion.backbone import KeyValues
from dragonkit.diffusion.kernels import kernel_for, xformers
from dragonkit.diffusion.turns import calls_on
from dragonkit.plugins.answers import AttentionForm
from dragonkit.shapes import Tokens

__all__ = ["Tap", "UNetAttention", "attend"]

Heads = Float[Tensor, "batch heads tokens channels"]


def attend(query: Heads, key: Tensor, value: Tensor, mask: Tensor | None = None, scale: float | None = None) -> Heads:
    """Softmax attention (batch, heads, tokens, channels): xformers on CUDA where it fits, torch otherwise.

    Args:
        mask: added to the scores.
        scale: of the scores; the inverse root of the channels when left out.

    Example:
        attend(query "b h n c", key "b h m c", value "b h m c") -> "b h n c"
    """
    if mask is None and query.is_cuda and kernel_for(query.device, query.dtype, query.shape[-1]).name == "xformers":
        query, key, value = (part.transpose(1, 2) for part in (query, key, value))  # xformers wants (batch, tokens, heads, channels)
        return xformers().attention(query, key, value, scale=scale).transpose(1, 2)
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=scale)


@dataclass
class Tap:
    """What one call of a UNet does with the decoder's self-attention.

    Attributes:
        read: recorded hidden states whose keys and values queries meet: instead of their own, or beside them; None for their own only.
        form: which of the two.
        record: where the layers' own hidden states go, which are a tensor where keys and values are two; None for nowhere.
    """

    read: KeyValues | None = None
    form: AttentionForm = "replace"
    record: KeyValues | None = None

    def exchange(self, layer: str, attn: Any, hidden_states: Tokens) -> tuple[Tensor, Tensor]:
        """Keys and values of what a layer shall attend to, given its own hidden states: as many positions as the plan gives it."""
        if self.record is not None:
            self.record[layer] = (hidden_states.detach(),)
        if self.read is None:
            return attn.to_k(hidden_states), attn.to_v(hidden_states)
        (recorded,) = self.read[layer]
        # one recorded picture serves every row of the batch: with and without the prompt
        others = [project(recorded).expand(len(hidden_states), -1, -1) for project in (attn.to_k, attn.to_v)]
        if self.form == "replace":
            return others[0], others[1]
        key, value = attn.to_k(hidden_states), attn.to_v(hidden_states)
        return torch.cat([key, others[0]], dim=1), torch.cat([value, others[1]], dim=1)


class UNetAttention:
    """The attention layers of a UNet, which keeps the processors it has whenever no call is going on.

    Where processors are more than ways to compute plain attention (an adapter's, one of the user's own), they stay, also during a call.
    """

    def __init__(self, unet: Any):
        names = [name.removesuffix(".processor") for name in unet.attn_processors]
        self._modules: dict[str, Any] = {name: unet.get_submodule(name) for name in names}
        self._blocks = [module for module in unet.modules() if hasattr(module, "gradient_checkpointing")]
        self._decoder = tuple(name for name in names if name.startswith("up_blocks.") and name.endswith(".attn1"))
        self._calls = calls_on(unet)

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of those that take part: the decoder's self-attention. Encoder and middle are left alone."""
        return tuple(name for name in self._decoder if _plain(self._modules[name]))

    @property
    def untapped(self) -> dict[str, str]:
        """Layers of the decoder's self-attention that do not take part, and whose processors they keep."""
        return {name: type(self._modules[name].processor).__name__ for name in self._decoder if not _plain(self._modules[name])}

    def kernels(self, device: torch.device, dtype: torch.dtype) -> str:
        """Whose kernels compute these layers there: "torch", "xformers", or both where heads are of several sizes."""
        sizes = {module.inner_dim // module.heads for module in self._modules.values() if _plain(module)}
        return ", ".join(sorted({kernel_for(device, dtype, size).name for size in sizes}))

    @contextmanager
    def tapped(self, tap: Tap) -> Iterator[None]:
        """Within this context all plain layers attend by `attend`, and the decoder's through `tap`.

        Other threads wait meanwhile. What gradient checkpointing computes again in a later backward pass attends as it did the first time.
        """
        with self._calls, self._on(processors := self._processors(tap)):
            checkpoints = {block: block._gradient_checkpointing_func for block in self._blocks if block.gradient_checkpointing}
            try:
                for block, checkpoint in checkpoints.items():
                    block._gradient_checkpointing_func = self._alike(checkpoint, processors)
                yield
            finally:
                for block, checkpoint in checkpoints.items():
                    block._gradient_checkpointing_func = checkpoint

    def _processors(self, tap: Tap) -> dict[str, Any]:
        """What every layer shall attend by; to be asked while no other call is going on."""
        chosen = dict[str, Any]()
        for name, module in self._modules.items():
            chosen[name] = module.processor
            if _plain(module):
                upcast = module.upcast_attention and type(module.processor) in _UPCASTING
                chosen[name] = _Processor(tap, name if name in self._decoder else None, upcast)
        return chosen

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


_UPCASTING = (AttnProcessor, SlicedAttnProcessor)
"""Those of diffusers' processors that heed `upcast_attention`."""
_PLAIN = (*_UPCASTING, AttnProcessor2_0, FusedAttnProcessor2_0, XFormersAttnProcessor)
"""diffusers' ways to compute the same thing, which `_Processor` computes, too; a subclass may do more."""


def _plain(module: Any) -> bool:
    return isinstance(module, Attention) and type(module.processor) in _PLAIN and module.inner_kv_dim == module.inner_dim


class _Processor:
    """diffusers' attention processor for plain attention, with all its options, calling `attend` and, in the decoder, the tap."""

    def __init__(self, tap: Tap, layer: str | None, upcast: bool):
        self.tap, self.layer, self.upcast = tap, layer, upcast

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
        **_: Any,  # diffusers' own ignore the rest, too
    ) -> Tensor:
        residual, shape = hidden_states, hidden_states.shape
        if attn.spatial_norm is not None:
            hidden_states = attn.spatial_norm(hidden_states, temb)
        if len(shape) == 4:
            hidden_states = hidden_states.flatten(2).transpose(1, 2)
        context = encoder_hidden_states
        mask = _scores_mask(attn, attention_mask, hidden_states if context is None else context)
        if attn.group_norm is not None:
            hidden_states = attn.group_norm(hidden_states.transpose(1, 2)).transpose(1, 2)
        if context is None:
            context = hidden_states
        elif attn.norm_cross is not None:
            context = attn.norm_encoder_hidden_states(context)

        query = attn.to_q(hidden_states)
        if self.layer is None:
            key, value = attn.to_k(context), attn.to_v(context)
        else:
            key, value = self.tap.exchange(self.layer, attn, context)
            if mask is not None and self.tap.read is not None:  # it speaks of the layer's own tokens; the others are all to be read
                mask = None if self.tap.form == "replace" else F.pad(mask, (0, key.shape[1] - context.shape[1]))
        query, key, value = (part.unflatten(2, (attn.heads, -1)).transpose(1, 2) for part in (query, key, value))
        query = query if attn.norm_q is None else attn.norm_q(query)
        key = key if attn.norm_k is None else attn.norm_k(key)
        if self.upcast:
            query, key, value = query.float(), key.float(), value.float()
            mask = None if mask is None else mask.float()
        out = attend(query, key, value, mask, attn.scale).transpose(1, 2).flatten(2).to(hidden_states.dtype)

        out = attn.to_out[1](attn.to_out[0](out))
        if len(shape) == 4:
            out = out.transpose(1, 2).reshape(shape)
        return (out + residual if attn.residual_connection else out) / attn.rescale_output_factor


def _scores_mask(attn: Any, mask: Tensor | None, context: Tensor) -> Tensor | None:
    """diffusers' attention mask as one to be added to the scores: (batch, heads, 1 or tokens, context's tokens)."""
    if mask is None:
        return None
    batch, tokens = context.shape[:2]
    prepared = attn.prepare_attention_mask(mask, tokens, batch)
    return prepared.view(batch, attn.heads, -1, prepared.shape[-1])
