"""The backbone gives what the bare pipeline gives, hands out decoder features on the way, and refuses what it cannot use."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from diffusers import DDIMScheduler, UNet2DConditionModel

from dragonkit.diffusion.backbone import Backbone
from dragonkit.errors import UnsupportedModelError


def pipeline_like(pipeline: Any, **changes: Any) -> Any:
    parts = {part: getattr(pipeline, part) for part in ("vae", "unet", "text_encoder", "tokenizer", "scheduler")}
    return SimpleNamespace(**{**parts, **changes})


def small_unet(in_channels: int = 4, blocks: int = 2) -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=8,
        in_channels=in_channels,
        out_channels=4,
        block_out_channels=(8,) * blocks,
        down_block_types=("DownBlock2D",) * blocks,
        up_block_types=("UpBlock2D",) * blocks,
        norm_num_groups=8,
        cross_attention_dim=16,
        attention_head_dim=1,
    )


def hooks_of(unet: Any) -> int:
    return sum(len(module._forward_hooks) for module in unet.modules())


# --- predicting ---------------------------------------------------------------------------------------------------------


@torch.no_grad()
def test_noise_models_are_passed_through(tiny_pipelines: dict[str, Any], latents: torch.Tensor, embeds: torch.Tensor) -> None:
    backbone = Backbone(tiny_pipelines["epsilon"])
    expected = backbone.unet(latents[:1], 300, encoder_hidden_states=embeds).sample
    assert torch.equal(backbone.predict(latents[:1], 300, embeds).noise_pred, expected)


@pytest.mark.parametrize("timestep", [1, 300, 981])
@torch.no_grad()
def test_velocity_becomes_noise(backbone: Backbone, latents: torch.Tensor, embeds: torch.Tensor, timestep: int) -> None:
    noisy = latents[:1]
    velocity = backbone.unet(noisy, timestep, encoder_hidden_states=embeds).sample
    noise_pred = backbone.predict(noisy, timestep, embeds).noise_pred
    alpha = backbone.pipeline.scheduler.alphas_cumprod[timestep]
    # v = sqrt(a) noise - sqrt(1 - a) clean, where noisy = sqrt(a) clean + sqrt(1 - a) noise
    clean = (noisy - (1 - alpha).sqrt() * noise_pred) / alpha.sqrt()
    assert torch.allclose(alpha.sqrt() * noise_pred - (1 - alpha).sqrt() * clean, velocity, atol=1e-4)


@torch.no_grad()
def test_without_any_signal_the_velocity_is_the_picture_negated(
    tiny_pipelines: dict[str, Any], latents: torch.Tensor, embeds: torch.Tensor
) -> None:
    pipeline = tiny_pipelines["v_prediction"]
    scheduler = DDIMScheduler.from_config(pipeline.scheduler.config, rescale_betas_zero_snr=True, timestep_spacing="trailing")
    backbone = Backbone(pipeline_like(pipeline, scheduler=scheduler))
    velocity = backbone.unet(latents[:1], 999, encoder_hidden_states=embeds).sample
    noise_pred = backbone.predict(latents[:1], 999, embeds).noise_pred
    assert scheduler.alphas_cumprod[999] == 0
    assert torch.allclose(backbone.schedule(10).predict_clean(latents[:1], noise_pred, 10), -velocity, atol=0.05)


@torch.no_grad()
def test_every_row_of_a_batch_may_have_its_own_timestep(backbone: Backbone, latents: torch.Tensor, embeds: torch.Tensor) -> None:
    together = backbone.predict(latents, torch.tensor([100, 800]), embeds.expand(2, -1, -1)).noise_pred
    alone = [backbone.predict(one, timestep, embeds).noise_pred for one, timestep in zip(latents.split(1), (100, 800), strict=True)]
    assert torch.allclose(together, torch.cat(alone), atol=1e-5)


@torch.no_grad()
def test_features_are_the_up_blocks_outputs(backbone: Backbone, latents: torch.Tensor, embeds: torch.Tensor) -> None:
    expected: dict[int, torch.Tensor] = {}
    handles = [
        block.register_forward_hook(lambda _module, _inputs, output, index=index: expected.__setitem__(index, output))
        for index, block in enumerate(backbone.unet.up_blocks)
    ]
    plain = backbone.predict(latents[:1], 300, embeds)
    for handle in handles:
        handle.remove()
    asked = backbone.predict(latents[:1], 300, embeds, (1, 3))
    assert plain.decoder_features == {}
    assert sorted(asked.decoder_features) == [1, 3]
    for index, features in asked.decoder_features.items():
        assert torch.equal(features, expected[index])
    assert [tuple(asked.decoder_features[index].shape) for index in (1, 3)] == [(1, 16, 4, 4), (1, 8, 8, 8)]
    assert torch.equal(asked.noise_pred, plain.noise_pred)  # looking changes nothing


def test_gradients_flow_when_the_caller_wants_them(backbone: Backbone, latents: torch.Tensor, embeds: torch.Tensor) -> None:
    start = latents[:1].clone().requires_grad_()
    prediction = backbone.predict(start, 300, embeds, (2,))
    (gradient,) = torch.autograd.grad(prediction.decoder_features[2].sum() + prediction.noise_pred.sum(), start)
    assert gradient.abs().min() > 0
    with torch.no_grad():
        assert not backbone.predict(start, 300, embeds, (2,)).decoder_features[2].requires_grad


def test_the_models_own_weights_are_frozen(backbone: Backbone) -> None:
    for module in (backbone.unet, backbone.vae, backbone.text_encoder):
        assert not module.training
        assert not any(parameter.requires_grad for parameter in module.parameters())


@torch.no_grad()
def test_calls_are_counted_by_picture(backbone: Backbone, latents: torch.Tensor, embeds: torch.Tensor) -> None:
    assert backbone.calls == 0
    backbone.predict(latents[:1], 300, embeds)
    assert backbone.calls == 1
    backbone.predict(latents, 300, embeds.expand(2, -1, -1), (1,))
    assert backbone.calls == 3


@torch.no_grad()
def test_hooks_are_removed_after_an_error(backbone: Backbone, latents: torch.Tensor, embeds: torch.Tensor) -> None:
    before = hooks_of(backbone.unet)
    with pytest.raises(RuntimeError):
        backbone.predict(latents[:1, :3], 300, embeds, (0, 1))  # three channels do not fit
    with pytest.raises(UnsupportedModelError, match="has 4 up blocks, so there is no block 4"):
        backbone.predict(latents[:1], 300, embeds, (0, 4))
    assert hooks_of(backbone.unet) == before
    assert backbone.calls == 0


# --- pictures and words -------------------------------------------------------------------------------------------------


def test_encoding_is_the_scaled_mean(backbone: Backbone) -> None:
    picture = torch.rand(1, 3, 32, 64) * 2 - 1
    expected = backbone.vae.encode(picture).latent_dist.mean * 0.5  # the tiny model's scaling factor
    assert torch.equal(backbone.encode(picture), expected)
    assert torch.equal(backbone.encode(picture), backbone.encode(picture))
    assert expected.shape == (1, 4, 8, 16)


def test_decoding_undoes_the_scale_and_stays_in_range(backbone: Backbone, latents: torch.Tensor) -> None:
    expected = backbone.vae.decode(latents / 0.5).sample
    assert torch.equal(backbone.decode(latents), expected.clamp(-1, 1))
    assert backbone.decode(100 * latents).abs().max() == 1
    assert backbone.decode(latents).dtype == torch.float32
    assert not backbone.decode(latents.clone().requires_grad_()).requires_grad


def test_words_are_embedded_as_the_pipeline_does(backbone: Backbone) -> None:
    prompts = ["a red fish", ""]
    expected, _ = backbone.pipeline.encode_prompt(prompts, "cpu", 1, do_classifier_free_guidance=False)
    assert torch.equal(backbone.prompt_embeds(prompts), expected)
    assert expected.shape == (2, 16, 16)
    assert not torch.allclose(expected[0], expected[1])


def test_long_prompts_are_cut_not_refused(backbone: Backbone) -> None:
    assert backbone.prompt_embeds(["a red fish and " * 40]).shape == (1, 16, 16)


def test_sizes(backbone: Backbone) -> None:
    assert backbone.pixels_per_latent == 4
    assert backbone.size_multiple == 32  # three halvings in the UNet on top
    assert backbone.model_size == 32
    assert (backbone.device.type, backbone.dtype) == ("cpu", torch.float32)
    assert len(backbone.schedule(7)) == 7


# --- what cannot be used ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", ["vae", "unet", "text_encoder", "tokenizer", "scheduler"])
def test_a_pipeline_without_a_part_is_refused_by_name(tiny_pipeline: Any, part: str) -> None:
    with pytest.raises(UnsupportedModelError, match=f"has no {part}; give a pipeline"):
        Backbone(pipeline_like(tiny_pipeline, **{part: None}))


def test_every_missing_part_is_named() -> None:
    with pytest.raises(UnsupportedModelError, match="has no vae, unet, text_encoder, tokenizer, scheduler"):
        Backbone(SimpleNamespace())


def test_other_prediction_types_are_refused(tiny_pipeline: Any) -> None:
    with pytest.raises(UnsupportedModelError, match="prediction_type is 'sample'"):
        Backbone(pipeline_like(tiny_pipeline, scheduler=DDIMScheduler(prediction_type="sample")))


@pytest.mark.parametrize(
    ("unet", "said"),
    [({"in_channels": 9}, "takes 9 channels, gives 4"), ({"blocks": 1}, "has 1 up blocks")],
    ids=["inpainting", "one block"],
)
def test_other_unets_are_refused(tiny_pipeline: Any, unet: dict[str, int], said: str) -> None:
    with pytest.raises(UnsupportedModelError, match=said):
        Backbone(pipeline_like(tiny_pipeline, unet=small_unet(**unet)))
