"""The attention processor against diffusers' own, and the tap on the decoder: what it changes, and what it must leave alone."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from diffusers.models.attention_processor import AttnProcessor, AttnProcessor2_0

from dragonkit.diffusion import attention
from dragonkit.diffusion.attention import DecoderAttention, KeyValues, attend
from dragonkit.diffusion.backbone import Backbone

LAYERS = [
    f"up_blocks.{block}.attentions.{layer}.transformer_blocks.0.attn1"
    for block in (1, 2, 3)  # up block 0 of the tiny model, as of Stable Diffusion, has no attention
    for layer in (0, 1)
]


def forward_and_gradient(unet: Any, latents: torch.Tensor, embeds: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    latents = latents.clone().requires_grad_()
    out = unet(latents, 300, encoder_hidden_states=embeds.expand(len(latents), -1, -1)).sample
    return out.detach(), torch.autograd.grad(out.square().sum(), latents)[0]


def outputs_of(module: torch.nn.Module, run: Callable[[], Any]) -> torch.Tensor:
    """What a block gave while `run` ran: its tensor, or the first of several."""
    seen: list[Any] = []
    handle = module.register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    run()
    handle.remove()
    return seen[-1][0] if isinstance(seen[-1], tuple) else seen[-1]


@pytest.fixture
def recorded(backbone: Backbone, latents: torch.Tensor, embeds: torch.Tensor) -> list[KeyValues]:
    """Keys and values of each of the two pictures."""
    both: list[KeyValues] = [{}, {}]
    for one, into in zip(latents.split(1), both, strict=True):
        with torch.no_grad(), backbone.attention.recording(into):
            backbone.predict(one, 300, embeds)
    return both


# --- the processor ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("processor", [AttnProcessor, AttnProcessor2_0])
def test_same_numbers_as_diffusers(backbone: Backbone, latents: torch.Tensor, embeds: torch.Tensor, processor: type) -> None:
    theirs = copy.deepcopy(backbone.unet)
    theirs.set_attn_processor(processor())
    for mine, other in zip(
        forward_and_gradient(backbone.unet, latents, embeds), forward_and_gradient(theirs, latents, embeds), strict=True
    ):
        assert torch.allclose(mine, other, atol=1e-5 * other.abs().max().item(), rtol=1e-5)


def test_attend_is_softmax_attention() -> None:
    query, key, value = torch.randn(2, 3, 5, 4), torch.randn(2, 3, 7, 4), torch.randn(2, 3, 7, 4)
    scores = torch.einsum("bhnc,bhmc->bhnm", query, key) / 4**0.5
    weights = scores.exp() / scores.exp().sum(-1, keepdim=True)
    assert torch.allclose(attend(query, key, value), torch.einsum("bhnm,bhmc->bhnc", weights, value), atol=1e-6)


@pytest.mark.gpu
def test_xformers_and_torch_agree_on_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("xformers")
    query, key, value = (torch.randn(2, 4, 256, 64, device="cuda", requires_grad=True) for _ in range(3))
    results = []
    for available in (attention.xformers_attention(), None):
        monkeypatch.setattr(attention, "xformers_attention", lambda available=available: available)
        out = attend(query, key, value)
        results.append([out, *torch.autograd.grad(out.square().sum(), (query, key, value))])
    for one, other in zip(*results, strict=True):
        assert torch.allclose(one, other, atol=1e-3, rtol=1e-3)


# --- the tap ------------------------------------------------------------------------------------------------------------


def test_the_tap_knows_the_decoders_self_attention_and_nothing_else(backbone: Backbone, recorded: list[KeyValues]) -> None:
    assert sorted(backbone.attention.layers) == LAYERS
    assert sorted(recorded[0]) == LAYERS
    key, value = recorded[0]["up_blocks.3.attentions.0.transformer_blocks.0.attn1"]
    assert key.shape == value.shape == (1, 64, 8)  # 8x8 cells, 8 channels
    assert not key.requires_grad


def test_recording_changes_nothing(backbone: Backbone, latents: torch.Tensor, embeds: torch.Tensor) -> None:
    with torch.no_grad():
        plain = backbone.predict(latents[:1], 300, embeds).noise_pred
        with backbone.attention.recording({}):
            assert torch.equal(backbone.predict(latents[:1], 300, embeds).noise_pred, plain)


@pytest.mark.parametrize("form", ["replace", "concatenate"])
def test_reading_ones_own_changes_nothing(
    backbone: Backbone, latents: torch.Tensor, embeds: torch.Tensor, recorded: list[KeyValues], form: Any
) -> None:
    with torch.no_grad():
        plain = backbone.predict(latents[:1], 300, embeds).noise_pred
        with backbone.attention.reading(recorded[0], form):
            own = backbone.predict(latents[:1], 300, embeds).noise_pred
    assert torch.allclose(own, plain, atol=1e-5)  # a softmax over every token twice gives each pair the weight of the one


@pytest.mark.parametrize("form", ["replace", "concatenate"])
def test_reading_another_picture_acts_in_the_decoder_only(
    backbone: Backbone, latents: torch.Tensor, embeds: torch.Tensor, recorded: list[KeyValues], form: Any
) -> None:
    unet = backbone.unet

    def plain() -> None:
        backbone.predict(latents[:1], 300, embeds)

    def reading() -> None:
        with backbone.attention.reading(recorded[1], form):
            plain()

    with torch.no_grad():
        for module in (*unet.down_blocks, unet.mid_block, unet.up_blocks[0]):
            assert torch.equal(outputs_of(module, plain), outputs_of(module, reading))
        for module in unet.up_blocks[1:]:
            assert not torch.allclose(outputs_of(module, plain), outputs_of(module, reading), atol=1e-5)


def test_replacing_reads_only_the_other_and_concatenating_reads_both(backbone: Backbone) -> None:
    tap, layer = backbone.attention, LAYERS[0]
    own, other = torch.zeros(1, 2, 3), torch.ones(1, 4, 3)
    with tap.reading({layer: (other, 2 * other)}, "replace"):
        key, value = tap.exchange(layer, own, own)
        assert torch.equal(key, other) and torch.equal(value, 2 * other)
    with tap.reading({layer: (other, 2 * other)}, "concatenate"):
        key, value = tap.exchange(layer, own, own)
        assert torch.equal(key, torch.cat([own, other], 1)) and torch.equal(value, torch.cat([own, 2 * other], 1))


def test_one_recorded_picture_serves_every_row(
    backbone: Backbone, latents: torch.Tensor, embeds: torch.Tensor, recorded: list[KeyValues]
) -> None:
    with torch.no_grad(), backbone.attention.reading(recorded[1], "replace"):
        together = backbone.predict(latents, 300, embeds.expand(2, -1, -1)).noise_pred
        alone = [backbone.predict(one, 300, embeds).noise_pred for one in latents.split(1)]
    assert torch.allclose(together, torch.cat(alone), atol=1e-5)


def test_recorded_keys_get_no_gradient(backbone: Backbone, latents: torch.Tensor, embeds: torch.Tensor) -> None:
    into: KeyValues = {}
    with backbone.attention.recording(into):
        backbone.predict(latents[:1].clone().requires_grad_(), 300, embeds)
    assert not any(part.requires_grad for pair in into.values() for part in pair)


@pytest.mark.parametrize("fails", [False, True])
def test_the_tap_is_off_afterwards(
    backbone: Backbone, latents: torch.Tensor, embeds: torch.Tensor, recorded: list[KeyValues], fails: bool
) -> None:
    with torch.no_grad():
        plain = backbone.predict(latents[:1], 300, embeds).noise_pred
        into: KeyValues = {}
        for context in (backbone.attention.reading(recorded[1], "replace"), backbone.attention.recording(into)):
            try:
                with context:
                    if fails:
                        raise RuntimeError("in the middle of it")
            except RuntimeError:
                assert fails
        assert torch.equal(backbone.predict(latents[:1], 300, embeds).noise_pred, plain)
    assert into == {}


def test_reading_nothing_changes_nothing(backbone: Backbone, latents: torch.Tensor, embeds: torch.Tensor) -> None:
    with torch.no_grad():
        plain = backbone.predict(latents[:1], 300, embeds).noise_pred
        with backbone.attention.reading(None, "replace"):
            assert torch.equal(backbone.predict(latents[:1], 300, embeds).noise_pred, plain)


def test_installing_twice_leaves_the_newer_tap_in_charge(backbone: Backbone, latents: torch.Tensor, embeds: torch.Tensor) -> None:
    newer, into = DecoderAttention(backbone.unet), {}
    with torch.no_grad(), newer.recording(into):
        backbone.predict(latents[:1], 300, embeds)
    assert sorted(into) == LAYERS
