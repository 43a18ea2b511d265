"""Edits become a plan: labels, guided steps, anchors and attention of several edits together, and plugins blamed by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from dragonkit.diffusion.sampling import anchored
from dragonkit.diffusion.source import Levels, Source, Way
from dragonkit.diffusion.stable_diffusion import StableDiffusion
from dragonkit.editing.layout import Layout
from dragonkit.editing.planning import EditPlan, plan_edits
from dragonkit.edits.edit import Edit
from dragonkit.edits.schedules import GuidanceSchedule
from dragonkit.edits.settings import Settings
from dragonkit.errors import EditError, NonFiniteEnergyError, PluginHookError, ShapeError
from dragonkit.imaging.masks import Grid
from dragonkit.modes.move import Move
from dragonkit.plugins.answers import AttentionPlan, EditMasks, EnergyTerm, Features
from dragonkit.plugins.placement import Placement
from dragonkit.plugins.registry import PluginRegistry
from dragonkit.plugins.specs import hookimpl

STEPS = 10
SIZE = 32


class Stub(Edit):
    """Changes the look of a box and moves nothing."""

    mode: ClassVar[str] = "stub"
    left: int = 20


class StubPlugin:
    """Owns the mode `stub`; answers can be replaced one by one."""

    def __init__(self, **answers: Callable[..., Any]):
        self.answers = answers

    @hookimpl
    def dragonkit_edits(self) -> list[type[Edit]]:
        return [Stub]

    @hookimpl
    def dragonkit_build_masks(self, edit: Stub, size: tuple[int, int]) -> Placement:
        if "masks" in self.answers:
            return self.answers["masks"]()
        box = np.zeros(size[::-1], bool)
        box[4:12, edit.left : edit.left + 8] = True
        return Placement(source=box, target=box)

    @hookimpl
    def dragonkit_energy_terms(self, edit: Edit, masks: EditMasks) -> list[EnergyTerm] | None:
        return [EnergyTerm("look", self.answers["energy"])] if "energy" in self.answers and edit.mode == "stub" else None

    @hookimpl
    def dragonkit_initial_latents(self, edit: Edit, source: Source) -> torch.Tensor | None:
        return self.answers["latents"](source) if "latents" in self.answers else None

    @hookimpl
    def dragonkit_attention(self) -> AttentionPlan | None:
        return self.answers.get("attention", lambda: None)()


def stub_registry(**answers: Callable[..., Any]) -> PluginRegistry:
    registry = PluginRegistry(discover=False)
    registry.register(StubPlugin(**answers), "stubs")
    return registry


@pytest.fixture
def backbone(tiny_pipeline: Any) -> StableDiffusion:
    return StableDiffusion(tiny_pipeline)


@pytest.fixture
def source(backbone: StableDiffusion) -> Source:
    """A picture of two colours over a random trajectory: planning asks the model for nothing but an encoding."""
    embeds = backbone.condition(["a fish", ""], (SIZE, SIZE))
    pixels = np.full((SIZE, SIZE, 3), 60, np.uint8)
    pixels[4:12, 4:12], pixels[20:28, 20:28] = (250, 40, 40), (40, 250, 40)
    trajectory = torch.randn(STEPS + 1, 4, 8, 8, generator=torch.Generator().manual_seed(2))
    return Source(Way(Levels(trajectory)), backbone.schedule(STEPS, (SIZE, SIZE)), "a fish", embeds[:1], embeds[1:], pixels, (SIZE, SIZE))


def box(left: int, top: int, side: int = 8) -> np.ndarray:
    mask = np.zeros((SIZE, SIZE), bool)
    mask[top : top + side, left : left + side] = True
    return mask


MOVE = Move(mask=box(4, 4), shift=(8, 0))


@pytest.fixture
def plan(backbone: StableDiffusion, source: Source) -> Callable[..., EditPlan]:
    own = source

    def plan(*edits: Edit, registry: PluginRegistry | None = None, source: Source = own, **settings: Any) -> EditPlan:
        registry = registry or PluginRegistry(discover=False)
        layout = Layout(registry, edits, source.image_size)
        return plan_edits(registry, backbone, source, layout, Settings(steps=STEPS, **settings))

    return plan


def held_cells(plan: EditPlan, done: int) -> np.ndarray:
    """Where anything holds the latents after `done` steps: bool (8, 8)."""
    marker = torch.full((1, 4, 8, 8), 1e6)
    return (anchored(marker, plan.sampling.anchors, STEPS, done) != marker).all(1)[0].numpy()


# --- terms and steps ----------------------------------------------------------------------------------------------------


def test_terms_are_labelled_by_plugin_and_name(plan: Callable[..., EditPlan]) -> None:
    assert [planned.label for planned in plan(MOVE).sampling.terms] == ["move.contrast", "move.edit", "move.inpaint", "move.preserve"]


def test_terms_of_several_edits_are_numbered(plan: Callable[..., EditPlan]) -> None:
    both = plan(MOVE, Stub(), registry=stub_registry(energy=lambda features: features.generated.mean()))
    labels = [planned.label for planned in both.sampling.terms]
    assert labels == ["0:move.contrast", "0:move.edit", "0:move.inpaint", "0:move.preserve", "1:stubs.look"]


@pytest.mark.parametrize(
    ("settings", "steps"),
    [
        ({}, {0, 1, 2, 3, 4, 5}),
        ({"schedule": GuidanceSchedule(span=(0.2, 0.5))}, {2, 3, 4}),
        ({"schedule": GuidanceSchedule(span=(0.0, 1.0), every=3)}, {0, 3, 6, 9}),
        ({"schedule": GuidanceSchedule(span=(0.5, 0.5))}, set()),
        ({"energy_scale": 0.0}, set()),
    ],
)
def test_guided_steps(plan: Callable[..., EditPlan], settings: dict[str, Any], steps: set[int]) -> None:
    assert plan(MOVE, **settings).sampling.guided == steps


def test_steps_are_repeated_only_where_energies_guide(plan: Callable[..., EditPlan]) -> None:
    repeated = GuidanceSchedule(span=(0.0, 0.8), rounds=3, rounds_span=(0.2, 1.0))
    assert plan(MOVE, schedule=repeated).sampling.rounds == {2: 3, 4: 3, 6: 3}
    assert plan(MOVE, schedule=repeated, energy_scale=0.0).sampling.rounds == {}
    assert plan(Stub(), registry=stub_registry(), schedule=repeated).sampling.rounds == {}  # a mode without energies


def test_settings_and_source_reach_the_loop(plan: Callable[..., EditPlan], source: Source) -> None:
    sampling = plan(MOVE, layers=("up.2", "up.3"), guidance_scale=3.0, energy_scale=0.07).sampling
    assert (sampling.layers, sampling.guidance_scale, sampling.energy_scale) == (("up.2", "up.3"), 3.0, 0.07)
    assert sampling.feature_size == (16, 16)  # twice the latents
    assert sampling.condition is source.condition
    assert sampling.negative_condition is source.negative_condition


# --- the picture --------------------------------------------------------------------------------------------------------


def test_the_pasted_picture_shows_the_move(plan: Callable[..., EditPlan], source: Source) -> None:
    moved = plan(MOVE)
    pasted = ((moved.pasted[0].permute(1, 2, 0).numpy() + 1) * 127.5).round()
    expected = source.pixels.copy()
    expected[4:12, 4:12], expected[4:12, 12:20] = 60, (250, 40, 40)
    assert np.abs(pasted - expected).max() <= 1
    assert (moved.known == 1).all()
    assert moved.given_latents.shape == (1, 4, 8, 8)


def test_what_only_the_model_knows_is_not_known(plan: Callable[..., EditPlan]) -> None:
    look = plan(Stub(), registry=stub_registry())
    assert np.array_equal(look.known == 0, box(20, 4))


def test_a_moved_object_stays_known_beside_a_change_of_look(plan: Callable[..., EditPlan]) -> None:
    both = plan(Move(mask=box(4, 20), shift=(8, 0)), Stub(), registry=stub_registry())
    assert np.array_equal(both.known == 0, box(20, 4))


def test_two_moves_both_arrive(plan: Callable[..., EditPlan], source: Source) -> None:
    both = plan(MOVE, Move(mask=box(20, 20), shift=(-10, 0)))
    pasted = ((both.pasted[0].permute(1, 2, 0).numpy() + 1) * 127.5).round()
    expected = np.full((SIZE, SIZE, 3), 60)
    expected[4:12, 12:20], expected[20:28, 10:18] = (250, 40, 40), (40, 250, 40)
    assert np.abs(pasted - expected).max() <= 1


def test_two_objects_can_change_places(plan: Callable[..., EditPlan], source: Source) -> None:
    both = plan(Move(mask=box(4, 4), shift=(16, 16)), Move(mask=box(20, 20), shift=(-16, -16)))
    pasted = ((both.pasted[0].permute(1, 2, 0).numpy() + 1) * 127.5).round()
    expected = source.pixels.copy()
    expected[4:12, 4:12], expected[20:28, 20:28] = (40, 250, 40), (250, 40, 40)
    assert np.abs(pasted - expected).max() <= 1


def test_the_region_covers_every_edit_and_nothing_far_from_them(plan: Callable[..., EditPlan]) -> None:
    region = plan(Move(mask=box(2, 2, 4), shift=(4, 0))).region
    assert region.shape == (SIZE, SIZE)
    assert (region[2:6, 2:10] == 1).all()
    assert (region[:, 24:] == 0).all() and (region[20:] == 0).all()
    both = plan(Move(mask=box(2, 2, 4), shift=(4, 0)), Move(mask=box(24, 24, 4), shift=(-4, 0))).region
    assert (both[2:6, 2:10] == 1).all() and (both[24:28, 20:28] == 1).all()
    assert (both[:8, 24:] == 0).all()


# --- anchors ------------------------------------------------------------------------------------------------------------

CORNER = Move(mask=box(2, 2, 6), shift=(6, 0))  # leaves the far corner in peace


@pytest.mark.parametrize("keep", ["pixels", "latents"])
def test_what_no_edit_touches_stays_the_sources_own(plan: Callable[..., EditPlan], source: Source, keep: str) -> None:
    anchors = plan(CORNER, keep=keep, hold_vacated=0.0).sampling.anchors
    for done in range(STEPS + 1):
        latents = anchored(torch.zeros(1, 4, 8, 8), anchors, STEPS, done)
        assert torch.equal(latents[..., 6:, :], source.latents_at(STEPS - done)[..., 6:, :])


def test_energies_alone_hold_nothing_that_is_not_moved(plan: Callable[..., EditPlan]) -> None:
    held = held_cells(plan(CORNER, keep="energy"), 1)
    assert not held[6:].any() and not held[:, 6:].any()
    assert held[1, 3]  # the target


def test_the_target_is_held_for_the_fraction_asked(plan: Callable[..., EditPlan]) -> None:
    for hold, last in ((0.5, 5), (1.0, STEPS)):
        held = [bool(held_cells(plan(CORNER, keep="energy", hold=hold), done)[1, 2:3].all()) for done in range(STEPS + 1)]
        assert held == [done <= last for done in range(STEPS + 1)]


def test_held_content_is_the_pasted_picture_under_the_sources_moved_noise(plan: Callable[..., EditPlan], source: Source) -> None:
    moved = plan(Move(mask=box(0, 0, 8), shift=(8, 0)), hold=1.0, hold_vacated=0.0)  # two whole cells
    for level in (0, 4, STEPS):
        latents = anchored(torch.zeros(1, 4, 8, 8), moved.sampling.anchors, STEPS, STEPS - level)[..., :2, 2:4]
        clean = moved.given_latents[..., :2, 2:4]
        if level == 0:
            assert torch.allclose(latents, clean, atol=1e-5)
            continue
        noise = source.schedule.noise_in(source.latents_at(level), source.latents_at(0), level)[..., :2, :2]
        assert torch.allclose(latents, source.schedule.add_noise(clean, noise, level), atol=1e-5)


def test_the_vacated_place_is_held_at_the_fill_under_new_noise_when_asked(plan: Callable[..., EditPlan], source: Source) -> None:
    move = Move(mask=box(0, 0, 8), shift=(8, 0))
    assert not held_cells(plan(move, keep="energy", hold_vacated=0.0), 0)[:2, 0].any()
    one, other = (plan(move, keep="energy", hold_vacated=0.5, seed=seed) for seed in (0, 1))
    assert held_cells(one, STEPS // 2)[:2, 0].all() and not held_cells(one, STEPS // 2 + 1)[:2, 0].any()
    held = [anchored(torch.zeros(1, 4, 8, 8), moved.sampling.anchors, STEPS, 0)[..., :2, :2] for moved in (one, other)]
    assert not torch.allclose(*held, atol=1e-2)
    assert not torch.allclose(held[0], source.latents_at(STEPS)[..., :2, :2], atol=1e-2)  # its own noise would bring the object back


def test_a_change_of_look_is_not_held(plan: Callable[..., EditPlan]) -> None:
    held = held_cells(plan(Stub(), registry=stub_registry(), keep="energy", hold=1.0), 0)
    assert not held.any()


# --- several edits ------------------------------------------------------------------------------------------------------


def test_what_one_edit_changes_no_other_preserves(plan: Callable[..., EditPlan]) -> None:
    both = plan(Move(mask=box(2, 2, 6), shift=(6, 0)), Move(mask=box(20, 20, 6), shift=(-6, 0)))
    for number in (0, 1):
        term = next(planned.term for planned in both.sampling.terms if planned.label == f"{number}:move.preserve")
        generated = torch.randn(3, 16, 16, requires_grad=True)
        (gradient,) = torch.autograd.grad(term.function(Features(generated, torch.randn(3, 16, 16), None, "up.1")), generated)
        touched = gradient.abs().sum(0) > 0
        assert not touched[1:4, 1:7].any() and not touched[10:13, 7:13].any()
        assert touched[14:].all()


def test_every_edit_changes_its_part_of_the_sources_own_noise(plan: Callable[..., EditPlan], source: Source) -> None:
    edits = Move(mask=box(0, 0), shift=(24, 24)), Move(mask=box(24, 24), shift=(-24, -24))
    swapped = plan(*edits, hold=0.0).sampling.latents
    own = source.latents_at(STEPS)
    assert torch.equal(swapped[..., 6:, 6:], own[..., :2, :2]) and torch.equal(swapped[..., :2, :2], own[..., 6:, 6:])
    assert torch.equal(swapped[..., 2:6, :], own[..., 2:6, :])
    assert torch.equal(plan(Stub(), registry=stub_registry()).sampling.latents, source.latents_at(STEPS))


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (None, [AttentionPlan("replace", 0.1)]),
        (AttentionPlan("concatenate", 0.0, 0.4), [AttentionPlan("replace", 0.1), AttentionPlan("concatenate", 0.0, 0.4)]),
    ],
)
def test_every_edit_brings_its_attention_plan(plan: Callable[..., EditPlan], answer: Any, expected: list[AttentionPlan]) -> None:
    planned = plan(MOVE, Stub(), registry=stub_registry(attention=lambda: answer)).sampling.attention
    assert [one.plan for one in planned] == expected
    assert [one.reference for one in planned] == [None] * len(expected)


def test_no_attention_plan_leaves_the_models_own(plan: Callable[..., EditPlan]) -> None:
    assert plan(Stub(), registry=stub_registry()).sampling.attention == []


def test_the_schedule_says_when_to_read_whatever_the_mode_asked_for(plan: Callable[..., EditPlan]) -> None:
    edits = (MOVE, Stub())
    registry = stub_registry(attention=lambda: AttentionPlan("concatenate", 0.0, 0.4))
    planned = plan(*edits, registry=registry, schedule=GuidanceSchedule(attention=(0.3, 0.8))).sampling.attention
    assert [one.plan for one in planned] == [AttentionPlan("replace", 0.3, 0.8), AttentionPlan("concatenate", 0.3, 0.8)]
    unasked = plan(Stub(), registry=stub_registry(), schedule=GuidanceSchedule(attention=(0.3, 0.8))).sampling.attention
    assert unasked == []  # a mode that reads nothing has no time for it


def test_attention_can_be_switched_off(plan: Callable[..., EditPlan]) -> None:
    assert plan(MOVE, attention=False).sampling.attention == []


# --- a second picture ---------------------------------------------------------------------------------------------------


class Borrow(Edit):
    """Shows the reference's upper left corner in a box of 8 pixels at (20, 4)."""

    mode: ClassVar[str] = "borrow"


class BorrowPlugin:
    """Owns the mode `borrow`; the reference is another picture, twice as wide."""

    @hookimpl
    def dragonkit_edits(self) -> list[type[Edit]]:
        return [Borrow]

    @hookimpl
    def dragonkit_build_masks(self) -> Placement:
        target = box(20, 4)
        return Placement(source=target & False, target=target, back=lambda places: places - (20, 4))

    @hookimpl
    def dragonkit_energy_terms(self, edit: Edit) -> list[EnergyTerm] | None:
        return [EnergyTerm("look", lambda features: features.reference.mean(), region="target")] if edit.mode == "borrow" else None

    @hookimpl
    def dragonkit_attention(self) -> AttentionPlan:
        corner = np.zeros((SIZE, 2 * SIZE), bool)
        corner[:8, :8] = True
        return AttentionPlan(reference_mask=corner)


@pytest.fixture
def reference(backbone: StableDiffusion, source: Source) -> Source:
    pixels = np.zeros((SIZE, 2 * SIZE, 3), np.uint8)
    pixels[:8, :8] = (20, 90, 200)
    trajectory = torch.randn(STEPS + 1, 4, 8, 16, generator=torch.Generator().manual_seed(3))
    return replace(source, way=Way(Levels(trajectory)), pixels=pixels, size=(2 * SIZE, SIZE))


@pytest.fixture
def borrowed(backbone: StableDiffusion, source: Source, reference: Source) -> Callable[..., EditPlan]:
    def borrowed(*edits: Edit, references: list[Source | None], **settings: Any) -> EditPlan:
        registry = PluginRegistry(builtin=("dragonkit.modes.move",), discover=False)
        registry.register(BorrowPlugin(), "borrower")
        return plan_edits(
            registry, backbone, source, Layout(registry, edits, source.image_size), Settings(steps=STEPS, **settings), references
        )

    return borrowed


def test_content_and_noise_come_from_the_reference(borrowed: Callable[..., EditPlan], source: Source, reference: Source) -> None:
    plan = borrowed(Borrow(), references=[reference], hold=1.0)
    pasted = ((plan.pasted[0].permute(1, 2, 0).numpy() + 1) * 127.5).round()
    expected = source.pixels.copy()
    expected[4:12, 20:28] = (20, 90, 200)
    assert np.abs(pasted - expected).max() <= 1
    held = anchored(torch.zeros(1, 4, 8, 8), plan.sampling.anchors, STEPS, STEPS - 1)[..., 1:3, 5:7]
    noise = reference.schedule.noise_in(reference.latents_at(1), reference.latents_at(0), 1)[..., :2, :2]
    assert torch.allclose(held, reference.schedule.add_noise(plan.given_latents[..., 1:3, 5:7], noise, 1), atol=1e-5)


@pytest.mark.parametrize(("hold_vacated", "top"), [(0.0, STEPS), (0.3, STEPS - 3), (0.99, 1), (1.0, 1)])
def test_a_source_is_asked_no_higher_than_the_first_open_step(
    plan: Callable[..., EditPlan], source: Source, hold_vacated: float, top: int
) -> None:
    asked: list[int] = []

    def climb(_way: Way, level: int, _progress: Any) -> Levels:
        asked.append(level)
        return Levels(source.trajectory[: level + 1])

    lazy = replace(source, way=Way(Levels(source.trajectory[:1]), climb))
    plans = [plan(CORNER, source=one, hold=1.0, hold_vacated=hold_vacated) for one in (lazy, source)]
    assert asked == [top]
    for done in range(STEPS - top, STEPS + 1):
        assert torch.equal(*(anchored(torch.zeros(1, 4, 8, 8), one.sampling.anchors, STEPS, done) for one in plans))


def test_noise_comes_from_the_reference_where_nothing_is_held(borrowed: Callable[..., EditPlan], source: Source, reference: Source) -> None:
    plan = borrowed(Borrow(), references=[reference], hold=0.0, hold_guess=0.0, hold_vacated=0.0, keep="energy")
    expected = source.latents_at(STEPS).clone()
    expected[..., 1:3, 5:7] = reference.latents_at(STEPS)[..., :2, :2]
    assert plan.sampling.anchors == [] and torch.equal(plan.sampling.latents, expected)


def test_the_loop_learns_which_reference_is_whose(borrowed: Callable[..., EditPlan], reference: Source) -> None:
    sampling = borrowed(MOVE, Borrow(), references=[None, reference]).sampling
    assert [planned.reference for planned in sampling.terms] == [None] * 4 + [0]
    assert sampling.references == [Grid(32, 16, 2 * SIZE, SIZE)]  # twice the reference's latents, over its own pixels
    assert [one.reference for one in sampling.attention] == [None, 0]
    (mask,) = [one.plan.reference_mask for one in sampling.attention if one.reference == 0]
    assert mask is not None and mask.shape == (8, 16) and mask[:2, :2].all() and mask.sum() == 4


def test_one_reference_of_two_edits_is_looked_at_once(borrowed: Callable[..., EditPlan], reference: Source) -> None:
    other = replace(reference)
    with pytest.raises(EditError, match="both want"):
        borrowed(Borrow(), Borrow(), references=[reference, reference])
    sampling = borrowed(MOVE, Borrow(), references=[reference, reference]).sampling
    assert len(sampling.references) == 1
    assert len(borrowed(MOVE, Borrow(), references=[other, reference]).sampling.references) == 2


def test_gradients_are_regional_where_the_schedule_says_so(borrowed: Callable[..., EditPlan], reference: Source) -> None:
    plain, regional = (
        borrowed(MOVE, Borrow(), references=[None, reference], schedule=GuidanceSchedule(regional=on)).sampling.terms
        for on in (False, True)
    )
    assert all(planned.region is None for planned in plain)
    regions = {planned.label: planned.region for planned in regional}
    edit, look, rest = (regions[name] for name in ("0:move.edit", "1:borrower.look", "0:move.preserve"))
    assert edit is not None and look is not None and rest is not None
    assert edit.sum() == look.sum() == 4 and not torch.equal(edit, look)
    assert torch.equal(rest, ~edit)


# --- whose fault it is --------------------------------------------------------------------------------------------------


def test_initial_latents_of_another_shape_are_the_plugins_fault(plan: Callable[..., EditPlan]) -> None:
    with pytest.raises(PluginHookError, match=r"'stubs'.*shape \(1, 4, 4, 4\)"):
        plan(Stub(), registry=stub_registry(latents=lambda source: torch.zeros(1, 4, 4, 4)))


def test_masks_of_another_size_are_the_plugins_fault(plan: Callable[..., EditPlan]) -> None:
    mask = np.ones((3, 4), bool)
    with pytest.raises(PluginHookError, match=r"'stubs'.* 4x3 pixels when asked for 32x32"):
        plan(Stub(), registry=stub_registry(masks=lambda: Placement(mask, mask)))


def energy_of(plan: Callable[..., EditPlan], energy: Callable[[Features], Any]) -> Any:
    (planned,) = plan(Stub(), registry=stub_registry(energy=energy)).sampling.terms
    return planned.term.function(Features(torch.ones(2, 16, 16), torch.ones(2, 16, 16), None, "up.1"))


def test_an_energy_that_raises_is_the_plugins_fault(plan: Callable[..., EditPlan]) -> None:
    with pytest.raises(PluginHookError, match=r"'stubs'.*'look' of its hook dragonkit_energy_terms raised ZeroDivisionError") as caught:
        energy_of(plan, lambda features: features.generated.sum() * (1 // 0))
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert caught.value.plugin == "stubs"


@pytest.mark.parametrize(
    ("answer", "said"), [(torch.ones(3), r"\(3,\)"), (torch.ones(1), r"\(1,\)"), (1.5, "float"), (None, "NoneType")], ids=str
)
def test_an_energy_that_is_no_scalar_names_plugin_and_term(plan: Callable[..., EditPlan], answer: Any, said: str) -> None:
    with pytest.raises(ShapeError, match=rf"^plugin 'stubs' .*'look' must .* shape {said}"):
        energy_of(plan, lambda features: answer)


def test_errors_of_our_own_pass_through(plan: Callable[..., EditPlan]) -> None:
    def refuse(features: Features) -> torch.Tensor:
        raise NonFiniteEnergyError("mine", 3)

    with pytest.raises(NonFiniteEnergyError, match="'mine'"):
        energy_of(plan, refuse)


def test_a_good_energy_passes_unchanged(plan: Callable[..., EditPlan]) -> None:
    assert energy_of(plan, lambda features: features.generated.sum()).item() == 2 * 16 * 16
