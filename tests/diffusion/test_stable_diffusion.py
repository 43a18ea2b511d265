"""The backbone gives what the bare pipeline gives, hands out decoder features on the way, and refuses what it cannot use."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from diffusers import DDIMScheduler, UNet2DConditionModel

from dragonkit.diffusion.backbone import Backbone
from dragonkit.diffusion.stable_diffusion import StableDiffusion
from dragonkit.errors import EditError, UnsupportedModelError


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


def test_it_is_a_backbone(backbone: StableDiffusion) -> None:
    assert isinstance(backbone, Backbone)
    assert not isinstance(backbone.pipeline, Backbone)


# --- predicting ---------------------------------------------------------------------------------------------------------


@torch.no_grad()
def test_noise_models_are_passed_through(tiny_pipelines: dict[str, Any], latents: torch.Tensor, embeds: torch.Tensor) -> None:
    backbone = StableDiffusion(tiny_pipelines["epsilon"])
    expected = backbone.unet(latents[:1], 300, encoder_hidden_states=embeds).sample
    assert torch.equal(backbone.predict(latents[:1], 300.0, embeds).noise_pred, expected)


@pytest.mark.parametrize("timestep", [1, 300, 981])
@torch.no_grad()
def test_velocity_becomes_noise(backbone: StableDiffusion, latents: torch.Tensor, embeds: torch.Tensor, timestep: int) -> None:
    noisy = latents[:1]
    velocity = backbone.unet(noisy, timestep, encoder_hidden_states=embeds).sample
    noise_pred = backbone.predict(noisy, float(timestep), embeds).noise_pred
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
    backbone = StableDiffusion(pipeline_like(pipeline, scheduler=scheduler))
    velocity = backbone.unet(latents[:1], 999, encoder_hidden_states=embeds).sample
    noise_pred = backbone.predict(latents[:1], 999.0, embeds).noise_pred
    assert scheduler.alphas_cumprod[999] == 0
    assert torch.allclose(backbone.schedule(10, (32, 32)).predict_clean(latents[:1], noise_pred, 10), -velocity, atol=0.05)


@torch.no_grad()
def test_velocity_next_to_the_clean_end_in_half_precision(tiny_pipeline: Any) -> None:
    """1 - alpha is 0.0015 there: in bfloat16 it would be 0, and no part of the latents noise."""
    from dragonkit.testing import tiny_pipeline as another

    half, whole = StableDiffusion(another().to(torch.bfloat16)), StableDiffusion(tiny_pipeline)
    noisy = torch.randn(1, 4, 8, 8).bfloat16()
    found = half.predict(noisy, 1.0, half.condition(["a fish"], (32, 32))).noise_pred.float()
    expected = whole.predict(noisy.float(), 1.0, whole.condition(["a fish"], (32, 32))).noise_pred
    error, lost = (found - expected).square().mean().sqrt(), (1 - whole.pipeline.scheduler.alphas_cumprod[1]).sqrt() * noisy.float().std()
    assert error < lost / 2, f"{error:.4f}, where the latents' part is {lost:.4f}"


@torch.no_grad()
def test_one_condition_serves_every_row(backbone: StableDiffusion, latents: torch.Tensor, embeds: torch.Tensor) -> None:
    together = backbone.predict(latents, 300.0, embeds).noise_pred
    assert torch.equal(together, backbone.predict(latents, 300.0, embeds.expand(2, -1, -1)).noise_pred)
    alone = [backbone.predict(one, 300.0, embeds).noise_pred for one in latents.split(1)]
    assert torch.allclose(together, torch.cat(alone), atol=1e-5)


@torch.no_grad()
def test_features_are_the_up_blocks_outputs(backbone: StableDiffusion, latents: torch.Tensor, embeds: torch.Tensor) -> None:
    expected: dict[int, torch.Tensor] = {}
    handles = [
        block.register_forward_hook(lambda _module, _inputs, output, index=index: expected.__setitem__(index, output))
        for index, block in enumerate(backbone.unet.up_blocks)
    ]
    plain = backbone.predict(latents[:1], 300.0, embeds)
    for handle in handles:
        handle.remove()
    asked = backbone.predict(latents[:1], 300.0, embeds, features=("up.3", "up.1"))
    assert plain.features == {}
    assert list(asked.features) == ["up.1", "up.3"]  # as they are computed
    for index in (1, 3):
        assert torch.equal(asked.features[f"up.{index}"], expected[index])
    assert [tuple(features.shape) for features in asked.features.values()] == [(1, 16, 4, 4), (1, 8, 8, 8)]
    assert torch.equal(asked.noise_pred, plain.noise_pred)  # looking changes nothing


def test_gradients_flow_when_the_caller_wants_them(backbone: StableDiffusion, latents: torch.Tensor, embeds: torch.Tensor) -> None:
    start = latents[:1].clone().requires_grad_()
    for output in (
        backbone.predict(start, 300.0, embeds, features=["up.2"]).features["up.2"],
        backbone.predict(start, 300.0, embeds).noise_pred,
    ):
        (gradient,) = torch.autograd.grad(output.sum(), start)
        assert gradient.abs().min() > 0
    with torch.no_grad():
        assert not backbone.predict(start, 300.0, embeds, features=["up.2"]).features["up.2"].requires_grad


def test_behind_the_last_layer_asked_for_nothing_is_kept_for_a_gradient(
    backbone: StableDiffusion, latents: torch.Tensor, embeds: torch.Tensor
) -> None:
    """Noise and gradient are the same to the bit as with the whole way kept; the mode of gradients is the caller's again afterwards."""

    def looked(layers: list[str]) -> tuple[torch.Tensor, torch.Tensor, int]:
        start, kept = latents[:1].clone().requires_grad_(), dict[int, int]()

        def keep(tensor: torch.Tensor) -> torch.Tensor:
            kept[tensor.data_ptr()] = tensor.nbytes
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            prediction = backbone.predict(start, 300.0, embeds, features=layers)
        assert torch.is_grad_enabled() and not prediction.noise_pred.requires_grad
        return prediction.noise_pred, torch.autograd.grad(prediction.features["up.2"].square().sum(), start)[0], sum(kept.values())

    noise_pred, gradient, kept = looked(["up.1", "up.2"])
    other_noise_pred, other_gradient, more = looked(["up.1", "up.2", "up.3"])
    assert torch.equal(noise_pred, other_noise_pred) and torch.equal(gradient, other_gradient)
    assert kept < 0.8 * more


def test_the_models_own_weights_are_frozen_for_the_length_of_a_call(backbone: StableDiffusion) -> None:
    parameters = [parameter for network in backbone.networks for parameter in network.parameters()]
    backbone.unet.train()
    with pytest.raises(RuntimeError, match="stop"), backbone.lent():
        assert not any(module.training for network in backbone.networks for module in network.modules())
        assert not any(parameter.requires_grad for parameter in parameters)
        raise RuntimeError("stop")
    assert all(module.training for module in backbone.unet.modules())  # as they were, also after an error
    assert all(parameter.requires_grad for parameter in parameters)
    backbone.unet.eval()


@torch.no_grad()
def test_calls_are_counted_by_picture(backbone: StableDiffusion, latents: torch.Tensor, embeds: torch.Tensor) -> None:
    assert backbone.calls == 0
    backbone.predict(latents[:1], 300.0, embeds)
    assert backbone.calls == 1
    backbone.predict(latents, 300.0, embeds.expand(2, -1, -1), features=["up.1"])
    assert backbone.calls == 3


@torch.no_grad()
def test_hooks_are_removed_after_an_error(backbone: StableDiffusion, latents: torch.Tensor, embeds: torch.Tensor) -> None:
    before = hooks_of(backbone.unet)
    with pytest.raises(RuntimeError):
        backbone.predict(latents[:1, :3], 300.0, embeds, features=["up.0", "up.1"])  # three channels do not fit
    with pytest.raises(EditError, match=r"no layer 'up\.4'\. .* up\.2, up\.3"):
        backbone.predict(latents[:1], 300.0, embeds, features=["up.0", "up.4"])
    assert hooks_of(backbone.unet) == before
    assert backbone.calls == 0


# --- pictures and words -------------------------------------------------------------------------------------------------


def test_encoding_is_the_scaled_mean(backbone: StableDiffusion) -> None:
    picture = torch.rand(1, 3, 32, 64) * 2 - 1
    expected = backbone.autoencoder.vae.encode(picture).latent_dist.mean * 0.5  # the tiny model's scaling factor
    assert torch.equal(backbone.encode(picture), expected)
    assert torch.equal(backbone.encode(picture), backbone.encode(picture))
    assert expected.shape == (1, 4, 8, 16)


def test_decoding_undoes_the_scale_and_stays_in_range(backbone: StableDiffusion, latents: torch.Tensor) -> None:
    expected = backbone.autoencoder.vae.decode(latents / 0.5).sample
    assert torch.equal(backbone.decode(latents), expected.clamp(-1, 1))
    assert backbone.decode(100 * latents).abs().max() == 1
    assert backbone.decode(latents).dtype == torch.float32
    assert not backbone.decode(latents.clone().requires_grad_()).requires_grad


def test_words_are_embedded_as_the_pipeline_does(backbone: StableDiffusion) -> None:
    prompts = ["a red fish", ""]
    expected, _ = backbone.pipeline.encode_prompt(prompts, "cpu", 1, do_classifier_free_guidance=False)
    assert torch.equal(backbone.condition(prompts, (32, 32)), expected)
    assert expected.shape == (2, 16, 16)
    assert not torch.allclose(expected[0], expected[1])


def test_long_prompts_are_cut_not_refused(backbone: StableDiffusion) -> None:
    assert backbone.condition(["a red fish and " * 40], (32, 32)).shape == (1, 16, 16)


def test_sizes(backbone: StableDiffusion) -> None:
    assert backbone.pixels_per_latent == 4
    assert backbone.size_multiple == 32  # three halvings in the UNet on top
    assert backbone.model_size == 32
    assert (backbone.device.type, backbone.dtype) == ("cpu", torch.float32)
    assert len(backbone.schedule(7, (32, 32))) == 7
    assert (backbone.latent_channels, backbone.feature_layers) == (4, ("up.0", "up.1", "up.2", "up.3"))


# --- what cannot be used ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", ["vae", "unet", "text_encoder", "tokenizer", "scheduler"])
def test_a_pipeline_without_a_part_is_refused_by_name(tiny_pipeline: Any, part: str) -> None:
    with pytest.raises(UnsupportedModelError, match=f"has no {part}; give a pipeline"):
        StableDiffusion(pipeline_like(tiny_pipeline, **{part: None}))


def test_every_missing_part_is_named() -> None:
    with pytest.raises(UnsupportedModelError, match="has no vae, unet, text_encoder, tokenizer, scheduler"):
        StableDiffusion(SimpleNamespace())


def test_other_prediction_types_are_refused(tiny_pipeline: Any) -> None:
    with pytest.raises(UnsupportedModelError, match="prediction_type is 'sample'"):
        StableDiffusion(pipeline_like(tiny_pipeline, scheduler=DDIMScheduler(prediction_type="sample")))


@pytest.mark.parametrize(
    ("unet", "said"),
    [({"in_channels": 9}, "takes 9 channels, gives 4"), ({"blocks": 1}, "has 1 up blocks")],
    ids=["inpainting", "one block"],
)
def test_other_unets_are_refused(tiny_pipeline: Any, unet: dict[str, int], said: str) -> None:
    with pytest.raises(UnsupportedModelError, match=said):
        StableDiffusion(pipeline_like(tiny_pipeline, unet=small_unet(**unet)))
