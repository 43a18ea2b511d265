"""The energies' gradient against finite differences, its sum over terms and layers, and its scale."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import pytest
import torch

from dragonkit.diffusion.guidance import PlannedTerm, energy_gradient, normalized, on_grid
from dragonkit.diffusion.stable_diffusion import StableDiffusion
from dragonkit.energy.similarity import inverse_energy, local_similarity
from dragonkit.errors import NonFiniteEnergyError
from dragonkit.imaging.masks import Grid
from dragonkit.plugins.answers import EnergyTerm, Features

SIZE = (16, 16)


def resemble(features: Features) -> torch.Tensor:
    return inverse_energy(local_similarity(features.generated.flatten(1), features.source.flatten(1)))


def difference(features: Features) -> torch.Tensor:
    return (features.generated - features.source)[:, :8].square().mean()


RESEMBLE = PlannedTerm("a.resemble", EnergyTerm("resemble", resemble, 4.0))
DIFFERENCE = PlannedTerm("b.difference", EnergyTerm("difference", difference, 0.5))


class Setting:
    """Two pictures at one noise level, the second one being the source."""

    def __init__(self, backbone: StableDiffusion, layers: tuple[str, ...] = ("up.1", "up.2")):
        self.backbone, self.layers, self.embeds = backbone, layers, backbone.condition(["a fish"], (32, 32))
        random = torch.Generator().manual_seed(5)
        self.latents, other = torch.randn(2, 1, 4, 8, 8, dtype=backbone.dtype, generator=random)
        with torch.no_grad():
            self.source = self.features(other, layers)

    def features(self, latents: torch.Tensor, layers: tuple[str, ...]) -> Mapping[str, torch.Tensor]:
        return self.backbone.predict(latents, 300.0, self.embeds, features=layers).features

    def gradient(self, *terms: PlannedTerm, layers: tuple[str, ...] | None = None, step: int = 7):
        latents = self.latents.clone().requires_grad_()
        generated = self.features(latents, layers or self.layers)
        return energy_gradient(terms, generated, self.source, latents, SIZE, step)

    @torch.no_grad()
    def energy(self, latents: torch.Tensor, *terms: PlannedTerm) -> float:
        """The same sum, spelled out."""
        total = 0.0
        for layer, features in self.features(latents, self.layers).items():
            seen = Features(on_grid(features, SIZE), on_grid(self.source[layer], SIZE), None, layer)
            total += sum(term.weight * term.function(seen).item() for _, term, *_ in terms)
        return total


@pytest.fixture
def setting(backbone64: StableDiffusion) -> Setting:
    return Setting(backbone64)


# --- the gradient -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("direction", range(4))
def test_the_gradient_predicts_finite_differences(setting: Setting, direction: int) -> None:
    guidance = setting.gradient(RESEMBLE, DIFFERENCE)
    along = torch.randn(setting.latents.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(direction))
    step = 1e-4
    rise = setting.energy(setting.latents + step * along, RESEMBLE, DIFFERENCE)
    fall = setting.energy(setting.latents - step * along, RESEMBLE, DIFFERENCE)
    assert (guidance.gradient * along).sum().item() == pytest.approx((rise - fall) / (2 * step), rel=1e-5, abs=1e-8)


def test_terms_and_layers_add_up(setting: Setting) -> None:
    parts = [setting.gradient(term, layers=(layer,)) for term in (RESEMBLE, DIFFERENCE) for layer in ("up.1", "up.2")]
    whole = setting.gradient(RESEMBLE, DIFFERENCE)
    assert torch.allclose(whole.gradient, torch.stack([part.gradient for part in parts]).sum(0), atol=1e-12)
    for label in ("a.resemble", "b.difference"):
        assert whole.energies[label] == pytest.approx(sum(part.energies.get(label, 0) for part in parts))


def test_energies_are_the_weighted_values(setting: Setting) -> None:
    guidance = setting.gradient(RESEMBLE, DIFFERENCE)
    assert list(guidance.energies) == ["a.resemble", "b.difference"]
    for term in (RESEMBLE, DIFFERENCE):
        assert guidance.energies[term[0]] == pytest.approx(setting.energy(setting.latents, term))


def test_weights_are_factors(setting: Setting) -> None:
    once, thrice = (setting.gradient(PlannedTerm("x", EnergyTerm("x", resemble, weight))) for weight in (1.0, 3.0))
    assert torch.allclose(thrice.gradient, 3 * once.gradient, atol=1e-12)
    assert thrice.energies["x"] == pytest.approx(3 * once.energies["x"])
    off = setting.gradient(RESEMBLE, PlannedTerm("x", EnergyTerm("x", difference, 0.0)))
    assert torch.allclose(off.gradient, setting.gradient(RESEMBLE).gradient, atol=1e-12)
    assert off.energies["x"] == 0


def test_terms_see_one_common_grid_and_a_source_without_gradient(setting: Setting) -> None:
    seen: list[Features] = []

    def look(features: Features) -> torch.Tensor:
        seen.append(features)
        return features.generated.mean()

    setting.gradient(PlannedTerm("look", EnergyTerm("look", look)))
    assert [features.layer for features in seen] == ["up.1", "up.2"]
    for features in seen:
        assert features.generated.shape[1:] == features.source.shape[1:] == SIZE
        assert features.generated.requires_grad and not features.source.requires_grad
        assert features.reference is None


def test_terms_that_are_constant_here_pull_nowhere(setting: Setting) -> None:
    guidance = setting.gradient(PlannedTerm("constant", EnergyTerm("constant", lambda features: features.source.mean())))
    assert torch.equal(guidance.gradient, torch.zeros_like(setting.latents))


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_an_energy_that_is_no_number_is_named_with_its_step(setting: Setting, value: float) -> None:
    broken = PlannedTerm("p.broken", EnergyTerm("broken", lambda features: value * features.generated.mean()))
    with pytest.raises(NonFiniteEnergyError, match=r"'p\.broken' became -?(nan|inf) at step 7") as caught:
        setting.gradient(RESEMBLE, broken)
    assert (caught.value.term, caught.value.step) == ("p.broken", 7)


def test_a_gradient_that_is_no_number_is_noticed(setting: Setting) -> None:
    def root_of_zero(features: Features) -> torch.Tensor:
        return (features.generated - features.generated.detach()).abs().sum().sqrt()  # 0, with an infinite slope

    with pytest.raises(NonFiniteEnergyError, match="'gradient of root'"):
        setting.gradient(PlannedTerm("root", EnergyTerm("root", root_of_zero)))


def test_half_precision_points_the_same_way() -> None:
    """At Stable Diffusion's size each feature's share of an energy of 1 is below float16's smallest number; a small weight does it here."""
    random = torch.Generator().manual_seed(0)
    weights, latents = torch.randn(64, 4, generator=random), torch.randn(1, 4, 16, 16, generator=random)
    source, term = torch.randn(1, 64, 16, 16, generator=random), EnergyTerm("resemble", resemble, 0.005)

    def gradient(dtype: torch.dtype) -> torch.Tensor:
        leaf = latents.to(dtype).requires_grad_()
        features = torch.einsum("oc,bchw->bohw", weights.to(dtype), leaf)
        return energy_gradient(
            [PlannedTerm("p.resemble", term)], {"up.1": features}, {"up.1": source.to(dtype)}, leaf, (32, 32), 0
        ).gradient.float()

    full, half = gradient(torch.float32), gradient(torch.float16)
    assert torch.nn.functional.cosine_similarity(full.flatten(), half.flatten(), dim=0) > 0.999
    assert half.norm() / full.norm() == pytest.approx(1, abs=0.01)


# --- the common grid ----------------------------------------------------------------------------------------------------


def test_on_grid_keeps_constants_and_widens_half_precision() -> None:
    assert torch.equal(on_grid(torch.full((1, 2, 3, 3), 1.5), (6, 4)), torch.full((2, 6, 4), 1.5))
    assert on_grid(torch.ones(1, 2, 3, 3, dtype=torch.float16), (6, 6)).dtype == torch.float32
    assert on_grid(torch.ones(1, 2, 3, 3, dtype=torch.float64), (6, 6)).dtype == torch.float64


def test_on_grid_doubles_without_a_shift() -> None:
    ramp = torch.arange(4.0).expand(1, 1, 4, 4)
    doubled = on_grid(ramp, (8, 8))[0]
    assert torch.allclose(doubled[:, 1:-1], (torch.arange(8.0) * 0.5 - 0.25)[1:-1].expand(8, 6))
    assert torch.allclose(doubled.flip(1), 3 - doubled)  # as far from one edge as from the other


# --- scale --------------------------------------------------------------------------------------------------------------


def rms(tensor: torch.Tensor) -> float:
    return tensor.double().square().mean().sqrt().item()


@pytest.mark.parametrize("size", [1e-30, 1e-6, 1.0, 1e6])
@pytest.mark.parametrize("energy_scale", [0.0, 0.03, 10.0])
def test_normalized_has_the_promised_rms_and_direction(size: float, energy_scale: float) -> None:
    gradient, latents = size * torch.randn(1, 4, 8, 8), 2 * torch.randn(1, 4, 8, 8)
    scaled = normalized(gradient, latents, energy_scale)
    assert rms(scaled) == pytest.approx(energy_scale * rms(latents), rel=1e-5)
    if energy_scale:
        assert torch.nn.functional.cosine_similarity(scaled.flatten(), (gradient / size).flatten(), dim=0) == pytest.approx(1)


def test_normalized_in_half_precision() -> None:
    gradient, latents = 1e-5 * torch.randn(1, 4, 8, 8), torch.randn(1, 4, 8, 8)
    scaled = normalized(gradient.half(), latents.half(), 0.03)
    assert scaled.dtype == torch.float16
    assert rms(scaled) == pytest.approx(0.03 * rms(latents), rel=0.01)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
@pytest.mark.parametrize("energy_scale", [0.03, 10.0])
def test_no_gradient_stays_none(dtype: torch.dtype, energy_scale: float) -> None:
    latents = 3 * torch.randn(1, 4, 8, 8).to(dtype)
    assert torch.equal(normalized(torch.zeros_like(latents), latents, energy_scale), torch.zeros_like(latents))


def test_a_step_against_the_gradient_lowers_the_energy(setting: Setting) -> None:
    check: Callable[[torch.Tensor], float] = lambda latents: setting.energy(latents, RESEMBLE)  # noqa: E731
    step = normalized(setting.gradient(RESEMBLE).gradient, setting.latents, 0.01)
    assert check(setting.latents - step) < check(setting.latents) < check(setting.latents + step)


# --- regions and references ---------------------------------------------------------------------------------------------


def test_a_regional_gradient_acts_in_its_region_only_and_the_parts_add_up(setting: Setting) -> None:
    inside = torch.zeros(8, 8, dtype=torch.bool)
    inside[2:5, 3:7] = True
    here, there = RESEMBLE._replace(region=inside), DIFFERENCE._replace(region=~inside)
    both = setting.gradient(here, there)
    resembling, differing = setting.gradient(RESEMBLE).gradient, setting.gradient(DIFFERENCE).gradient
    assert torch.allclose(both.gradient, torch.where(inside, resembling, differing).to(both.gradient.dtype), atol=1e-12)
    assert both.energies == pytest.approx(setting.gradient(RESEMBLE, DIFFERENCE).energies)


def test_a_term_sees_its_own_reference_on_its_own_grid(setting: Setting) -> None:
    grids = [Grid(12, 10, 60, 50), Grid(6, 6, 7, 7)]
    maps = [
        {"up.1": torch.full((1, 16, 4, 4), 2.0), "up.2": torch.full((1, 16, 8, 8), 2.0)},
        {"up.1": torch.ones(1, 16, 3, 3), "up.2": torch.ones(1, 16, 3, 3)},
    ]
    seen = []

    def look(features: Features) -> torch.Tensor:
        seen.append((features.reference, features.reference_grid))
        return features.generated.mean()

    terms = [PlannedTerm(f"look{number}", EnergyTerm("look", look), number) for number in (1, 0, None)]
    latents = setting.latents.clone().requires_grad_()
    generated = setting.features(latents, ("up.1",))
    energy_gradient(terms, generated, setting.source, latents, SIZE, 0, list(zip(maps, grids, strict=True)))
    assert [grid for _, grid in seen] == [grids[1], grids[0], None]
    assert [None if map_ is None else (tuple(map_.shape), float(map_.mean())) for map_, _ in seen] == [
        ((16, 6, 6), 1),
        ((16, 10, 12), 2),
        None,
    ]


def test_an_energy_that_is_no_number_says_whose_it_is(setting: Setting) -> None:
    broken = PlannedTerm("p.nan", EnergyTerm("nan", lambda features: math.nan * features.generated.mean()), origin="plugin 'p' (from pp 1)")
    with pytest.raises(NonFiniteEnergyError, match=r"^plugin 'p'.*'p\.nan' became nan at step 7"):
        setting.gradient(broken)
