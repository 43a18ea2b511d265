"""The attention processor against diffusers' own, and the tap on the decoder: what it changes, and what it must leave alone."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from diffusers.models.attention_processor import Attention, AttnProcessor, AttnProcessor2_0, SlicedAttnProcessor

from dragonkit.diffusion import attention
from dragonkit.diffusion.attention import Tap, attend
from dragonkit.diffusion.backbone import KeyValues
from dragonkit.diffusion.kernels import Kernel, xformers
from dragonkit.diffusion.stable_diffusion import StableDiffusion

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
def recorded(backbone: StableDiffusion, latents: torch.Tensor, embeds: torch.Tensor) -> list[KeyValues]:
    """Keys and values of each of the two pictures."""
    with torch.no_grad():
        return [backbone.predict(one, 300.0, embeds, record=True).keys_values for one in latents.split(1)]


# --- the processor ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("processor", [AttnProcessor, AttnProcessor2_0])
def test_same_numbers_as_diffusers(backbone: StableDiffusion, latents: torch.Tensor, embeds: torch.Tensor, processor: type) -> None:
    theirs = copy.deepcopy(backbone.unet)
    theirs.set_attn_processor(processor())
    with backbone.attention.tapped(Tap()):
        ours = forward_and_gradient(backbone.unet, latents, embeds)
    for mine, other in zip(ours, forward_and_gradient(theirs, latents, embeds), strict=True):
        assert torch.allclose(mine, other, atol=1e-5 * other.abs().max().item(), rtol=1e-5)


def test_attend_is_softmax_attention() -> None:
    query, key, value = torch.randn(2, 3, 5, 4), torch.randn(2, 3, 7, 4), torch.randn(2, 3, 7, 4)
    scores = torch.einsum("bhnc,bhmc->bhnm", query, key) / 4**0.5
    weights = scores.exp() / scores.exp().sum(-1, keepdim=True)
    assert torch.allclose(attend(query, key, value), torch.einsum("bhnm,bhmc->bhnc", weights, value), atol=1e-6)


@pytest.mark.gpu
def test_xformers_and_torch_agree_on_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    if xformers().attention is None:
        pytest.skip(f"xformers {xformers().problem or 'is not installed'}")
    query, key, value = (torch.randn(2, 4, 256, 64, device="cuda", dtype=torch.float16, requires_grad=True) for _ in range(3))
    results = []
    for name in ("xformers", "torch"):
        monkeypatch.setattr(attention, "kernel_for", lambda *_, name=name: Kernel(name, ""))
        out = attend(query, key, value)
        results.append([out, *torch.autograd.grad(out.square().sum(), (query, key, value))])
    for one, other in zip(*results, strict=True):
        assert torch.allclose(one, other, atol=1e-2, rtol=1e-2)


OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "bias": {"bias": True},
    "group norm": {"norm_num_groups": 4},
    "residual": {"residual_connection": True, "rescale_output_factor": 2.0},
    "norms of query and key": {"qk_norm": "layer_norm"},
    "no scale": {"scale_qk": False},
    "spatial norm": {"spatial_norm_dim": 6},
    "cross": {"cross_attention_dim": 12},
    "cross, layer norm": {"cross_attention_dim": 12, "cross_attention_norm": "layer_norm"},
    "cross, group norm": {"cross_attention_dim": 12, "cross_attention_norm": "group_norm", "cross_attention_norm_num_groups": 3},
    "upcast": {"upcast_attention": True, "upcast_softmax": True},
    "all": {"bias": True, "norm_num_groups": 4, "residual_connection": True, "rescale_output_factor": 1.5, "qk_norm": "rms_norm"},
}


IGNORED_BY: dict[type, set[str]] = {AttnProcessor: {"qk_norm"}, AttnProcessor2_0: {"upcast_attention", "scale_qk"}}


@pytest.mark.parametrize("masked", [False, True], ids=["", "masked"])
@pytest.mark.parametrize("dims", [3, 4])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_every_option_of_a_block_is_heeded(options: dict[str, Any], dims: int, masked: bool) -> None:
    block = Attention(query_dim=32, heads=4, dim_head=8, **options).eval()
    cells = torch.randn(2, 32, 3, 4)
    extra = {"temb": torch.randn(2, 6, 3, 4)} if "spatial_norm_dim" in options else {}
    if extra and dims == 3:
        pytest.skip("diffusers' spatial norm takes rows and columns")
    context = torch.randn(2, 5, 12) if "cross_attention_dim" in options else None
    tokens = 12 if context is None else 5
    mask = torch.where(torch.arange(tokens) < tokens // 2, 0.0, -10.0).expand(2, 1, tokens) if masked else None

    def by(processor: Any) -> torch.Tensor:
        block.set_processor(processor)
        inputs = cells if dims == 4 else cells.flatten(2).transpose(1, 2)
        return block(inputs, encoder_hidden_states=context, attention_mask=mask, **extra)

    upcast = bool(options.get("upcast_attention"))
    theirs = [processor() for processor in (AttnProcessor, AttnProcessor2_0) if not options.keys() & IGNORED_BY[processor]]
    assert theirs
    for processor in theirs:
        assert torch.allclose(by(attention._Processor(Tap(), "a layer", upcast)), by(processor), atol=1e-5), type(processor)


@pytest.mark.parametrize("form", ["replace", "concatenate"])
def test_a_mask_speaks_of_a_layers_own_tokens_only(form: Any) -> None:
    block = Attention(query_dim=16, heads=2, dim_head=8).eval()
    own, other = torch.randn(1, 6, 16), torch.randn(1, 4, 16)
    mask = torch.tensor([0.0, 0.0, -1e4, -1e4, 0.0, 0.0])[None, None]
    processor = attention._Processor(Tap({"a layer": (other,)}, form), "a layer", False)
    block.set_processor(processor)
    ours = block(own, attention_mask=mask)
    block.set_processor(AttnProcessor2_0())
    seen = other if form == "replace" else torch.cat([own[:, [0, 1, 4, 5]], other], 1)
    assert torch.allclose(ours, block(own, encoder_hidden_states=seen), atol=1e-5)


@pytest.mark.parametrize(("processor", "upcasts"), [(AttnProcessor, True), (AttnProcessor2_0, False)])
def test_half_precision_is_lifted_where_the_processor_lifts_it(tiny_pipeline: Any, processor: type, upcasts: bool) -> None:
    unet = copy.deepcopy(tiny_pipeline.unet)
    for name in unet.attn_processors:
        unet.get_submodule(name.removesuffix(".processor")).upcast_attention = True
    unet.set_attn_processor(processor())
    chosen = attention.UNetAttention(unet)._processors(Tap())
    assert {one.upcast for one in chosen.values()} == {upcasts}


def test_an_adapters_processors_stay_and_plain_ones_are_tapped(
    tiny_pipeline: Any, latents: torch.Tensor, embeds: torch.Tensor, recorded: list[KeyValues]
) -> None:
    backbone, before = StableDiffusion(tiny_pipeline), dict(tiny_pipeline.unet.attn_processors)
    with torch.no_grad():
        plain, reading = (backbone.predict(latents[:1], 300.0, embeds, read=read).noise_pred for read in (None, recorded[1]))
        assert list(backbone.advice()) == []
        kept = LAYERS[0]
        theirs = {name: TheirProcessor() if name.startswith(kept) or "attn2" in name else SlicedAttnProcessor(2) for name in before}
        tiny_pipeline.unet.set_attn_processor(theirs)
        try:
            assert sorted(backbone.predict(latents[:1], 300.0, embeds, record=True).keys_values) == LAYERS[1:]
            assert torch.allclose(backbone.predict(latents[:1], 300.0, embeds).noise_pred, plain, atol=1e-5)
            less = backbone.predict(latents[:1], 300.0, embeds, read=recorded[1]).noise_pred
            (said,) = backbone.advice()
        finally:
            tiny_pipeline.unet.set_attn_processor(before)
    assert "1 of 6 of the decoder's self-attention layers" in said and "TheirProcessor" in said
    assert not torch.allclose(less, plain, atol=1e-4) and not torch.allclose(less, reading, atol=1e-4)


# --- the tap ------------------------------------------------------------------------------------------------------------


def test_the_tap_knows_the_decoders_self_attention_and_nothing_else(backbone: StableDiffusion, recorded: list[KeyValues]) -> None:
    assert sorted(backbone.attention.layers) == LAYERS
    assert sorted(recorded[0]) == LAYERS
    (hidden,) = recorded[0]["up_blocks.3.attentions.0.transformer_blocks.0.attn1"]
    assert hidden.shape == (1, 64, 8)  # 8x8 cells, 8 channels: half of what keys and values take
    assert not hidden.requires_grad


def test_recording_changes_nothing(backbone: StableDiffusion, latents: torch.Tensor, embeds: torch.Tensor) -> None:
    with torch.no_grad():
        plain = backbone.predict(latents[:1], 300.0, embeds)
        recording = backbone.predict(latents[:1], 300.0, embeds, record=True)
    assert torch.equal(recording.noise_pred, plain.noise_pred)
    assert plain.keys_values == {}


@pytest.mark.parametrize("form", ["replace", "concatenate"])
def test_reading_ones_own_changes_nothing(
    backbone: StableDiffusion, latents: torch.Tensor, embeds: torch.Tensor, recorded: list[KeyValues], form: Any
) -> None:
    with torch.no_grad():
        plain = backbone.predict(latents[:1], 300.0, embeds).noise_pred
        own = backbone.predict(latents[:1], 300.0, embeds, read=recorded[0], form=form).noise_pred
    assert torch.allclose(own, plain, atol=1e-5)  # a softmax over every token twice gives each pair the weight of the one


@pytest.mark.parametrize("form", ["replace", "concatenate"])
def test_reading_another_picture_acts_in_the_decoder_only(
    backbone: StableDiffusion, latents: torch.Tensor, embeds: torch.Tensor, recorded: list[KeyValues], form: Any
) -> None:
    unet = backbone.unet

    def plain() -> None:
        backbone.predict(latents[:1], 300.0, embeds)

    def reading() -> None:
        backbone.predict(latents[:1], 300.0, embeds, read=recorded[1], form=form)

    with torch.no_grad():
        for module in (*unet.down_blocks, unet.mid_block, unet.up_blocks[0]):
            assert torch.equal(outputs_of(module, plain), outputs_of(module, reading))
        for module in unet.up_blocks[1:]:
            assert not torch.allclose(outputs_of(module, plain), outputs_of(module, reading), atol=1e-5)


def test_replacing_reads_only_the_other_and_concatenating_reads_both() -> None:
    layer, own, other = LAYERS[0], torch.zeros(1, 2, 16), torch.ones(1, 4, 16)
    block = Attention(query_dim=16, heads=2, dim_head=8)
    for form, read in (("replace", other), ("concatenate", torch.cat([own, other], 1))):
        for rows in (1, 2):  # one recorded picture serves them all
            found = Tap({layer: (other,)}, form).exchange(layer, block, own.expand(rows, -1, -1))  # type: ignore[arg-type]
            for part, project in zip(found, (block.to_k, block.to_v), strict=True):
                assert torch.allclose(part, project(read).expand(rows, -1, -1), atol=1e-6)


def test_one_recorded_picture_serves_every_row(
    backbone: StableDiffusion, latents: torch.Tensor, embeds: torch.Tensor, recorded: list[KeyValues]
) -> None:
    with torch.no_grad():
        together = backbone.predict(latents, 300.0, embeds, read=recorded[1]).noise_pred
        alone = [backbone.predict(one, 300.0, embeds, read=recorded[1]).noise_pred for one in latents.split(1)]
    assert torch.allclose(together, torch.cat(alone), atol=1e-5)


def test_recorded_keys_get_no_gradient(backbone: StableDiffusion, latents: torch.Tensor, embeds: torch.Tensor) -> None:
    seen = backbone.predict(latents[:1].clone().requires_grad_(), 300.0, embeds, record=True)
    assert seen.noise_pred.requires_grad
    assert not any(part.requires_grad for pair in seen.keys_values.values() for part in pair)


# --- what a call leaves behind ------------------------------------------------------------------------------------------


class TheirProcessor(AttnProcessor2_0):
    """One that a user has put on the model."""


class TrainedProcessor(torch.nn.Module):
    """One with weights, as adapters have."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(1))

    def __call__(self, attn: Any, hidden_states: torch.Tensor, *args: Any, **named: Any) -> torch.Tensor:
        return self.scale * AttnProcessor2_0()(attn, hidden_states, *args, **named)


@pytest.fixture(params=[TheirProcessor, TrainedProcessor])
def owned(request: pytest.FixtureRequest, tiny_pipeline: Any) -> Iterator[Any]:
    """A pipeline with processors of its own."""
    before = dict(tiny_pipeline.unet.attn_processors)
    tiny_pipeline.unet.set_attn_processor({name: request.param() for name in before})
    yield tiny_pipeline
    tiny_pipeline.unet.set_attn_processor(before)


@pytest.mark.parametrize("fails", [False, True])
def test_the_pipeline_keeps_its_processors(owned: Any, latents: torch.Tensor, fails: bool) -> None:
    theirs = dict(owned.unet.attn_processors)
    backbone = StableDiffusion(owned)
    assert owned.unet.attn_processors == theirs
    weights = dict(owned.unet.named_parameters())
    seen: list[set[type]] = []

    def look(*_: Any) -> None:
        seen.append({type(processor) for processor in owned.unet.attn_processors.values()})
        if fails:
            raise KeyError("in the middle of it")

    handle = owned.unet.mid_block.register_forward_hook(look)
    try:
        with torch.no_grad():
            backbone.predict(latents[:1], 300.0, backbone.condition([""], (32, 32)), features=["up.1"], record=True)
    except KeyError:
        assert fails
    finally:
        handle.remove()
    assert seen == [{type(next(iter(theirs.values())))}]  # also during the call: it may do more than plain attention
    assert owned.unet.attn_processors == theirs
    assert [(name, id(weight)) for name, weight in owned.unet.named_parameters()] == [(name, id(one)) for name, one in weights.items()]


def test_two_backbones_share_a_pipeline(tiny_pipeline: Any, latents: torch.Tensor, embeds: torch.Tensor, recorded: list[KeyValues]) -> None:
    first = StableDiffusion(tiny_pipeline)
    with torch.no_grad():
        plain, reading = (first.predict(latents[:1], 300.0, embeds, read=read).noise_pred for read in (None, recorded[1]))
        second = StableDiffusion(tiny_pipeline)
        for backbone in (first, second, first):
            assert torch.equal(backbone.predict(latents[:1], 300.0, embeds).noise_pred, plain)
            assert torch.equal(backbone.predict(latents[:1], 300.0, embeds, read=recorded[1]).noise_pred, reading)
            assert sorted(backbone.predict(latents[:1], 300.0, embeds, record=True).keys_values) == LAYERS
    assert (first.calls, second.calls) == (8, 3)


# --- gradients after the call -------------------------------------------------------------------------------------------


def direct(backbone: StableDiffusion, latents: torch.Tensor, embeds: torch.Tensor, read: KeyValues | None) -> torch.Tensor:
    """The gradient of a sum of features, with forward and backward pass inside one context."""
    start, seen = latents.clone().requires_grad_(), list[torch.Tensor]()
    handle = backbone.unet.up_blocks[3].register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    with backbone.attention.tapped(Tap(read)):
        backbone.unet(start, 300, encoder_hidden_states=embeds)
        (gradient,) = torch.autograd.grad(seen[0].square().mean(), start)
    handle.remove()
    return gradient


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("reads", [False, True])
def test_a_gradient_taken_after_the_call_is_that_of_the_call(
    owned: Any, latents: torch.Tensor, embeds: torch.Tensor, recorded: list[KeyValues], checkpointing: bool, reads: bool
) -> None:
    """What checkpointing computes again must read what the call read, though the user's processors are back by then."""
    backbone, read = StableDiffusion(owned), recorded[1] if reads else None
    expected = direct(backbone, latents[:1], embeds, read)
    if checkpointing:
        owned.unet.enable_gradient_checkpointing()
    computed: list[int] = []
    handle = owned.unet.up_blocks[3].attentions[0].transformer_blocks[0].register_forward_pre_hook(lambda *_: computed.append(1))
    try:
        start = latents[:1].clone().requires_grad_()
        features = backbone.predict(start, 300.0, embeds, features=["up.3"], read=read).features["up.3"]
        between = dict(owned.unet.attn_processors)
        (gradient,) = torch.autograd.grad(features.square().mean(), start)
    finally:
        handle.remove()
        owned.unet.disable_gradient_checkpointing()
    assert len(computed) == 1 + checkpointing
    assert torch.allclose(gradient, expected, atol=1e-6 * expected.abs().max().item(), rtol=1e-5)
    assert owned.unet.attn_processors == between
    assert {type(processor) for processor in between.values()} <= {TheirProcessor, TrainedProcessor}


def test_the_checkpoint_function_is_the_models_own_again(tiny_pipeline: Any, latents: torch.Tensor, embeds: torch.Tensor) -> None:
    unet = tiny_pipeline.unet
    unet.enable_gradient_checkpointing()
    try:
        before = unet.up_blocks[1]._gradient_checkpointing_func
        StableDiffusion(tiny_pipeline).predict(latents[:1].clone().requires_grad_(), 300.0, embeds)
        assert unet.up_blocks[1]._gradient_checkpointing_func is before
    finally:
        unet.disable_gradient_checkpointing()
