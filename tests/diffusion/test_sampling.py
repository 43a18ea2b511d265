"""The denoising loop: plain where nothing is asked, guided where and only where asked, anchored bit for bit, and stopped at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from dragonkit.diffusion.backbone import KeyValues, Prediction
from dragonkit.diffusion.guidance import PlannedTerm
from dragonkit.diffusion.inversion import sample
from dragonkit.diffusion.reading import PlannedAttention
from dragonkit.diffusion.sampling import Anchor, SamplingPlan, Step, anchored, guided_sampling
from dragonkit.diffusion.schedule import Schedule
from dragonkit.diffusion.stable_diffusion import StableDiffusion
from dragonkit.energy.similarity import inverse_energy, local_similarity
from dragonkit.errors import Cancelled
from dragonkit.plugins.answers import AttentionPlan, EnergyTerm, Features

STEPS = 5
LAYERS = ("up.1", "up.2")


def resemble(features: Features) -> torch.Tensor:
    return inverse_energy(local_similarity(features.generated.flatten(1), features.source.flatten(1)))


TERMS = (PlannedTerm("p.resemble", EnergyTerm("resemble", resemble)),)


class Guide:
    """A source trajectory of the tiny model, and what the UNet sees on it."""

    def __init__(self, backbone: StableDiffusion, noise: torch.Tensor):
        self.schedule: Schedule = backbone.schedule(STEPS, (32, 32))
        self.embeds, self.negative = backbone.condition(["a fish", ""], (32, 32)).chunk(2)
        self.trajectory = sample(backbone, noise, self.embeds, self.negative, self.schedule)
        with torch.no_grad():
            self.recorded = {
                level: backbone.predict(one, self.schedule.time(level), self.embeds, features=LAYERS, record=True)
                for level, one in enumerate(self.trajectory.split(1))
                if level > 0
            }


class Setting:
    """A plan that starts from other noise than the source."""

    def __init__(self, backbone: StableDiffusion, guide: Guide, noise: torch.Tensor):
        self.backbone, self.asked = backbone, list[int]()
        self.schedule, self.trajectory, self.recorded = guide.schedule, guide.trajectory, guide.recorded
        self.embeds, self.negative = guide.embeds, guide.negative
        self.plan = SamplingPlan(noise, self.embeds, self.negative, layers=LAYERS, feature_size=(16, 16))

    def guide(self, level: int, _guided: bool) -> list[Prediction]:
        self.asked.append(level)
        return [self.recorded[level]]

    def run(self, on_step: Callable[[Step], None] | None = None, **changes: Any) -> torch.Tensor:
        return guided_sampling(self.backbone, self.schedule, replace(self.plan, **changes), self.guide, on_step)

    def steps(self, **changes: Any) -> list[Step]:
        seen: list[Step] = []
        self.run(seen.append, **changes)
        return seen


@pytest.fixture(scope="module")
def source_guide(tiny_pipeline: Any) -> Guide:
    return Guide(StableDiffusion(tiny_pipeline), torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(6)))


@pytest.fixture
def setting(source_guide: Guide, backbone: StableDiffusion, latents: torch.Tensor) -> Setting:
    return Setting(backbone, source_guide, latents[:1])


# --- nothing asked ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("guidance_scale", [1.0, 3.0])
def test_without_terms_and_anchors_it_is_plain_sampling(setting: Setting, guidance_scale: float) -> None:
    expected = sample(setting.backbone, setting.plan.latents, setting.embeds, setting.negative, setting.schedule, guidance_scale)
    assert torch.equal(setting.run(guidance_scale=guidance_scale), expected[:1])
    assert setting.asked == []  # the source is not even looked at


def test_two_runs_are_equal_to_the_last_bit(setting: Setting) -> None:
    asked = {"terms": TERMS, "guided": frozenset({0, 1, 2}), "attention": [PlannedAttention(AttentionPlan())]}
    assert torch.equal(setting.run(**asked), setting.run(**asked))


def test_no_gradient_is_left_on_the_result(setting: Setting) -> None:
    result = setting.run(terms=TERMS, guided=frozenset(range(STEPS)))
    assert not result.requires_grad
    assert not setting.plan.latents.requires_grad


def test_both_conditions_in_one_call_are_the_same_picture(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {"guidance_scale": 3.0, "attention": [PlannedAttention(AttentionPlan())], "terms": TERMS, "guided": frozenset({1})}
    expected, calls, batches = setting.run(**asked), setting.backbone.calls, list[int]()
    predict = setting.backbone.predict

    def watched(latents: torch.Tensor, *args: Any, **options: Any) -> Prediction:
        batches.append(len(latents))
        return predict(latents, *args, **options)

    monkeypatch.setattr(setting.backbone, "predict", watched)
    monkeypatch.setattr(setting.backbone, "paired", lambda one, other: setting.backbone.stacked([one, other], [1, 1]))
    assert torch.allclose(setting.run(**asked), expected, atol=1e-5)
    assert setting.backbone.calls == 2 * calls and batches == [2, 1, 1, 2, 2, 2], (
        "the guided step keeps no graph of what it leads away from"
    )


# --- guidance -----------------------------------------------------------------------------------------------------------


def test_guided_steps_only_where_asked(setting: Setting) -> None:
    seen = setting.steps(terms=TERMS, guided=frozenset({0, 3}))
    assert [bool(step.energies) for step in seen] == [True, False, False, True, False]
    assert setting.asked == [5, 2]  # levels of steps 0 and 3
    assert seen[0].energies.keys() == {"p.resemble"}


@pytest.mark.parametrize(("guidance_scale", "calls"), [(1.0, STEPS), (2.0, 2 * STEPS)])
def test_a_guided_step_costs_no_more_calls_than_a_plain_one(setting: Setting, guidance_scale: float, calls: int) -> None:
    setting.run(terms=TERMS, guided=frozenset(range(STEPS)), guidance_scale=guidance_scale)
    assert setting.backbone.calls == calls


def test_guidance_in_an_interval_is_none_outside_of_it(setting: Setting) -> None:
    """As many steps under guidance, then as many without, one after the other; and so many calls fewer."""
    seen = setting.steps(guidance_scale=3.0, led=frozenset({0, 1}))
    assert setting.backbone.calls == STEPS + 2
    latents = setting.plan.latents
    for index, step in enumerate(seen):
        level = STEPS - index
        with torch.no_grad():
            words, none = (setting.backbone.predict(latents, step.time, one).noise_pred for one in (setting.embeds, setting.negative))
        noise = none + 3.0 * (words - none) if index < 2 else words
        assert torch.allclose(step.pred_original_sample, setting.schedule.predict_clean(latents, noise, level), atol=1e-5)
        latents = setting.schedule.move(latents, noise, level, level - 1)
    assert torch.equal(setting.run(guidance_scale=3.0, led=frozenset()), setting.run(guidance_scale=1.0))


def test_terms_without_guided_steps_and_the_other_way_round_change_nothing(setting: Setting) -> None:
    plain = setting.run()
    assert torch.equal(setting.run(terms=TERMS), plain)
    assert torch.equal(setting.run(guided=frozenset(range(STEPS))), plain)


def test_an_energy_scale_of_zero_changes_nothing(setting: Setting) -> None:
    asked = {"terms": TERMS, "guided": frozenset(range(STEPS))}
    assert torch.allclose(setting.run(**asked, energy_scale=0.0), setting.run(), atol=1e-6)
    assert not torch.allclose(setting.run(**asked), setting.run(), atol=1e-3)


def test_guidance_lowers_the_energy(setting: Setting) -> None:
    def energy(scale: float) -> float:
        return setting.steps(terms=TERMS, guided=frozenset(range(STEPS)), energy_scale=scale)[-1].energies["p.resemble"]

    assert energy(0.05) < energy(0.0)
    assert energy(-0.05) > energy(0.0)


def test_one_guided_step_by_hand(setting: Setting) -> None:
    """Equation 6 for the first of one step: gradient by autograd, clean prediction with it, direction without."""
    schedule = setting.schedule
    seen = setting.steps(terms=TERMS, guided=frozenset({0}), energy_scale=0.05, anchors=())
    start = setting.plan.latents.clone().requires_grad_()
    prediction = setting.backbone.predict(start, schedule.time(STEPS), setting.embeds, features=LAYERS)
    total = torch.zeros(())
    for layer, features in prediction.features.items():
        pair = (features, setting.recorded[STEPS].features[layer])
        generated, source = (torch.nn.functional.interpolate(part, (16, 16), mode="bilinear")[0] for part in pair)
        total = total + resemble(Features(generated, source, None, layer))
    (gradient,) = torch.autograd.grad(total, start)
    gradient *= 0.05 * start.square().mean().sqrt() / gradient.square().mean().sqrt()
    clean = schedule.predict_clean(start.detach(), prediction.noise_pred.detach() + gradient, STEPS)
    assert torch.allclose(seen[0].pred_original_sample, clean, atol=1e-4)
    assert seen[0].energies["p.resemble"] == pytest.approx(total.item(), rel=1e-5)


# --- attention ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "stop", "levels"), [(0.0, 1.0, [5, 4, 3, 2, 1]), (0.4, 1.0, [3, 2, 1]), (0.2, 0.6, [4, 3]), (0.4, 0.4, [])]
)
def test_attention_reads_the_source_between_start_and_stop(setting: Setting, start: float, stop: float, levels: list[int]) -> None:
    read: list[bool] = []
    predict = setting.backbone.predict

    def watched(*args: Any, **options: Any) -> Any:
        read.append(options["read"] is not None)
        return predict(*args, **options)

    setting.backbone.predict = watched  # type: ignore[method-assign]
    setting.run(attention=[PlannedAttention(AttentionPlan("replace", start, stop))])
    assert setting.asked == levels
    assert read == [level in levels for level in range(STEPS, 0, -1)]


@pytest.mark.parametrize("form", ["replace", "concatenate"])
def test_attention_changes_the_picture(setting: Setting, form: Any) -> None:
    assert not torch.allclose(setting.run(attention=[PlannedAttention(AttentionPlan(form, 0.0))]), setting.run(), atol=1e-3)


def test_reading_ones_own_trajectory_is_plain_sampling(setting: Setting) -> None:
    asked = {"latents": setting.trajectory[-1:], "attention": [PlannedAttention(AttentionPlan("replace", 0.0))]}
    assert torch.allclose(setting.run(**asked), setting.trajectory[:1], atol=1e-4)


def test_both_predictions_of_a_guided_step_read_the_source(setting: Setting) -> None:
    """With classifier-free guidance the unconditional prediction must live in the same picture as the conditional one."""
    taps: list[KeyValues | None] = []
    predict = setting.backbone.predict

    def watched(*args: Any, **options: Any) -> Any:
        taps.append(options["read"])
        return predict(*args, **options)

    setting.backbone.predict = watched  # type: ignore[method-assign]
    setting.run(attention=[PlannedAttention(AttentionPlan("replace", 0.0))], guidance_scale=2.0, terms=TERMS, guided=frozenset({0}))
    assert len(taps) == 2 * STEPS
    assert all(one is other is not None for one, other in zip(taps[::2], taps[1::2], strict=True))


# --- anchors ------------------------------------------------------------------------------------------------------------


def half_mask() -> torch.Tensor:
    mask = torch.zeros(8, 8, dtype=torch.bool)
    mask[:, :4] = True
    return mask


def test_anchors_hold_bit_for_bit_to_the_end(setting: Setting) -> None:
    mask = half_mask()
    result = setting.run(anchors=[Anchor(mask, setting.trajectory)], terms=TERMS, guided=frozenset({0, 1}))
    assert torch.equal(result[..., mask], setting.trajectory[:1][..., mask])
    assert not torch.allclose(result[..., ~mask], setting.trajectory[:1][..., ~mask], atol=1e-3)


def test_anchored_at_every_level_until_stop() -> None:
    mask, trajectory, latents = half_mask(), torch.randn(11, 4, 8, 8), torch.randn(1, 4, 8, 8)
    for done in range(11):
        held = anchored(latents, [Anchor(mask, trajectory, 0.6)], 10, done)
        assert torch.equal(held[..., ~mask], latents[..., ~mask])
        inside = trajectory[10 - done : 11 - done] if done <= 6 else latents
        assert torch.equal(held[..., mask], inside[..., mask])


def test_an_anchor_lets_go_after_its_stop(setting: Setting) -> None:
    mask, seen = half_mask(), list[torch.Tensor]()
    predict = setting.backbone.predict

    def watched(latents: torch.Tensor, *args: Any, **options: Any) -> Any:
        seen.append(latents.detach())
        return predict(latents, *args, **options)

    setting.backbone.predict = watched  # type: ignore[method-assign]
    setting.run(anchors=[Anchor(mask, setting.trajectory, 0.4)])
    held = [torch.equal(one[..., mask], setting.trajectory[STEPS - done][None][..., mask]) for done, one in enumerate(seen)]
    assert held == [True, True, True, False, False]  # z_T, and after the first two of five steps


def test_later_anchors_win() -> None:
    everywhere, latents = torch.ones(8, 8, dtype=torch.bool), torch.zeros(1, 4, 8, 8)
    first, second = Anchor(everywhere, torch.full((3, 4, 8, 8), 1.0)), Anchor(half_mask(), torch.full((3, 4, 8, 8), 2.0))
    held = anchored(latents, [first, second], 2, 1)
    assert (held[..., half_mask()] == 2).all() and (held[..., ~half_mask()] == 1).all()


# --- observers ----------------------------------------------------------------------------------------------------------


def test_observers_see_every_step(setting: Setting) -> None:
    seen = setting.steps(terms=TERMS, guided=frozenset({0}))
    assert [step.index for step in seen] == list(range(STEPS))
    assert {step.steps for step in seen} == {STEPS}
    assert [step.time for step in seen] == [801, 601, 401, 201, 1]
    for step in seen:
        assert step.pred_original_sample.shape == (1, 4, 8, 8)
        assert not step.pred_original_sample.requires_grad
    preview = seen[1].preview()
    assert torch.equal(preview, setting.backbone.decode(seen[1].pred_original_sample))
    assert not torch.equal(preview, seen[2].preview())  # each decodes its own step
    assert torch.equal(seen[1].glimpse(), preview)  # where nothing quicker is known
    quick = setting.steps(glimpse=lambda latents: latents[:, :3])
    assert torch.equal(quick[1].glimpse(), quick[1].pred_original_sample[:, :3])


def test_the_last_step_sees_the_result(setting: Setting) -> None:
    seen: list[Step] = []
    result = setting.run(seen.append)
    assert torch.allclose(seen[-1].pred_original_sample, result, atol=1e-6)


def test_cancelling_stops_at_once(setting: Setting) -> None:
    seen: list[int] = []

    def stop(step: Step) -> None:
        seen.append(step.index)
        if step.index == 1:
            raise Cancelled

    with pytest.raises(Cancelled):
        setting.run(stop, attention=[PlannedAttention(AttentionPlan("replace", 0.0))])
    assert seen == [0, 1]
    assert setting.backbone.calls == 2


# --- refinements of DiffEditor ------------------------------------------------------------------------------------------


def test_noise_changes_the_region_and_is_the_seeds_own(setting: Setting) -> None:
    mask, seen = half_mask(), list[torch.Tensor]()
    predict = setting.backbone.predict

    def watched(latents: torch.Tensor, *args: Any, **options: Any) -> Any:
        seen.append(latents.detach())
        return predict(latents, *args, **options)

    setting.backbone.predict = watched  # type: ignore[method-assign]
    for noise, seed in (({}, 1), ({2: 0.8}, 1), ({2: 0.8}, 1), ({2: 0.8}, 2)):
        setting.run(region=mask, noise=noise, seed=seed)
    plain, one, again, other = (seen[run * STEPS + 3] for run in range(4))  # what the step after the noisy one starts from
    assert torch.equal(one, again)
    assert torch.equal(one[..., ~mask], plain[..., ~mask])
    assert not torch.allclose(one[..., mask], plain[..., mask], atol=1e-2)
    assert not torch.allclose(one[..., mask], other[..., mask], atol=1e-2)


def test_a_repeated_step_costs_its_undoing_and_itself_again(setting: Setting) -> None:
    seen = setting.steps(rounds={2: 3})
    assert [step.index for step in seen] == list(range(STEPS))  # observers see the step once
    assert setting.backbone.calls == STEPS + 2 * 2
    assert not torch.equal(setting.run(rounds={2: 3}), setting.run())


def test_steps_whose_outcome_is_given_are_not_done(setting: Setting) -> None:
    everywhere = torch.ones(8, 8, dtype=torch.bool)
    seen = setting.steps(anchors=[Anchor(half_mask(), setting.trajectory), Anchor(everywhere, setting.trajectory, 0.6)])
    assert [step.index for step in seen] == [3, 4]
    assert setting.backbone.calls == 2
    last = setting.steps(anchors=[Anchor(everywhere, setting.trajectory)])  # one step is always done, for those who watch
    assert [step.index for step in last] == [STEPS - 1]


def test_where_everything_is_given_the_start_does_not_matter(setting: Setting) -> None:
    anchors = [Anchor(half_mask(), setting.trajectory), Anchor(~half_mask(), setting.trajectory, 0.4)]
    skipped = setting.run(anchors=anchors)
    assert torch.equal(skipped, setting.run(anchors=anchors, latents=torch.zeros(1, 4, 8, 8)))
    # the same by hand: from the last given level on, sampled plainly
    latents = setting.trajectory[STEPS - 2 : STEPS - 1]
    for level in (3, 2, 1):
        noise_pred = setting.backbone.predict(latents, setting.schedule.time(level), setting.embeds).noise_pred
        latents = setting.schedule.move(latents, noise_pred, level, level - 1).detach()
        latents = torch.where(half_mask(), setting.trajectory[level - 1], latents)
    assert torch.allclose(skipped, latents, atol=1e-5)
