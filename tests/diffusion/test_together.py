"""Runs whose calls meet: each gets what it would get alone, in fewer calls, and one's error ends all."""

from __future__ import annotations

import _thread
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch

from dragonkit.diffusion.backbone import Prediction
from dragonkit.diffusion.image_prompt import WithPicture
from dragonkit.diffusion.stable_diffusion import StableDiffusion
from dragonkit.diffusion.together import Meeting
from dragonkit.diffusion.turns import turn_on
from dragonkit.errors import Cancelled

LAYERS = ("up.1", "up.2")
EXACT = 1e-12  # of float64


@dataclass
class Bench:
    """A backbone, and the rows of every call of its network."""

    backbone: StableDiffusion
    batches: list[int]

    def latents(self, seed: int, rows: int = 1) -> torch.Tensor:
        return torch.randn(rows, 4, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))

    def words(self, *prompts: str) -> torch.Tensor:
        condition: torch.Tensor = self.backbone.condition(prompts, (32, 32))
        return condition

    def met(self, *works: Callable[[Any], Any], downwards: bool = True) -> list[Any]:
        """What the works make of a backbone each, in their order; the calls are counted anew."""
        self.batches.clear()
        meeting = Meeting(self.backbone, range(len(works)))
        try:
            found = meeting.run({who: lambda who=who: works[who](meeting.backbones[who]) for who in range(len(works))}, downwards)  # type: ignore[misc]
        finally:
            meeting.close()
        return [found[who] for who in range(len(works))]


@pytest.fixture
def bench(backbone64: StableDiffusion, monkeypatch: pytest.MonkeyPatch) -> Bench:
    batches, forward = list[int](), backbone64.unet.forward

    def watched(latents: torch.Tensor, *args: Any, **more: Any) -> Any:
        batches.append(len(latents))
        return forward(latents, *args, **more)

    monkeypatch.setattr(backbone64.unet, "forward", watched)
    return Bench(backbone64, batches)


def like(one: Prediction, other: Prediction) -> bool:
    pairs = [(one.noise_pred, other.noise_pred), *((one.features[layer], other.features[layer]) for layer in other.features)]
    pairs += [pair for layer in other.keys_values for pair in zip(one.keys_values[layer], other.keys_values[layer], strict=True)]
    same = one.features.keys() == other.features.keys() and one.keys_values.keys() == other.keys_values.keys()
    return same and all((a - b).abs().max() < EXACT for a, b in pairs)


def test_calls_of_one_kind_are_one_call(bench: Bench) -> None:
    words = [bench.words("a fish"), bench.words("a bird"), bench.words("a fish", "")]

    def asked(number: int) -> Callable[[Any], Prediction]:
        latents = bench.latents(number, rows=len(words[number]))
        return lambda backbone: backbone.predict(latents, 500.0, words[number], features=LAYERS, record=True)

    works = [asked(number) for number in range(3)]
    with torch.no_grad():
        alone = [work(bench.backbone) for work in works]
        before = bench.backbone.calls
        together = bench.met(*works)
    assert bench.batches == [4] and bench.backbone.calls == before + 4
    assert all(like(one, other) for one, other in zip(together, alone, strict=True))


@pytest.mark.parametrize("form", ["replace", "concatenate"])
def test_each_reads_its_own(bench: Bench, form: Any) -> None:
    words = bench.words("a fish")
    with torch.no_grad():
        read = [bench.backbone.predict(bench.latents(10 + number), 500.0, words, record=True).keys_values for number in range(2)]
        works = [
            lambda backbone, number=number: backbone.predict(bench.latents(number), 500.0, words, read=read[number], form=form)
            for number in range(2)
        ]
        alone, together = [work(bench.backbone) for work in works], bench.met(*works)
    assert bench.batches == [2]
    assert all(like(one, other) for one, other in zip(together, alone, strict=True))


def gradient(backbone: Any, latents: torch.Tensor, words: torch.Tensor, layers: tuple[str, ...]) -> torch.Tensor | None:
    """Of an energy of some layers' features with respect to the latents."""
    leaf = latents.clone().requires_grad_()
    seen = backbone.predict(leaf, 500.0, words, features=LAYERS)
    if not layers:
        return None
    energy = sum(seen.features[layer].square().sum() for layer in layers)
    if seen.pull is None:
        return torch.autograd.grad(energy, leaf)[0]
    ends = [seen.features[layer] for layer in layers]
    pulled: torch.Tensor = seen.pull(dict(zip(layers, torch.autograd.grad(energy, ends), strict=True)))
    return pulled


@pytest.mark.parametrize("layers", [(LAYERS, LAYERS), (LAYERS, LAYERS[:1]), (LAYERS[:1], LAYERS[1:]), (LAYERS, ())])
def test_gradients_go_back_in_one(bench: Bench, layers: Any) -> None:
    words = bench.words("a fish")
    works = [lambda backbone, number=number: gradient(backbone, bench.latents(number), words, layers[number]) for number in range(2)]
    alone, together = [work(bench.backbone) for work in works], bench.met(*works)
    assert bench.batches == [2]
    for one, other in zip(together, alone, strict=True):
        assert one is other is None or (one - other).abs().max() < 1e-9 * other.abs().max()


def test_features_nobody_differentiates_pull_nothing(bench: Bench) -> None:
    pulled = bench.met(*[lambda backbone: backbone.predict(bench.latents(0), 500.0, bench.words("a"), features=LAYERS).pull({})] * 2)
    assert pulled == [None, None]


def test_whoever_differentiates_the_noise_calls_alone(bench: Bench) -> None:
    """As the inversion does that optimises words."""

    def slope(backbone: Any, seed: int) -> torch.Tensor:
        words = bench.words("a fish").requires_grad_()
        noise = backbone.predict(bench.latents(seed), 500.0, words).noise_pred
        return torch.autograd.grad(noise.square().sum(), words)[0]

    works = [lambda backbone, seed=seed: slope(backbone, seed) for seed in range(2)]
    alone, together = [work(bench.backbone) for work in works], bench.met(*works)
    assert bench.batches == [1, 1] and all(torch.equal(one, other) for one, other in zip(together, alone, strict=True))


def descent(bench: Bench, first: int) -> Callable[[Any], list[float]]:
    """Calls at levels from `first` down."""

    words = bench.words("a")

    @torch.no_grad()
    def work(backbone: Any) -> list[float]:
        return [float(backbone.predict(bench.latents(level), float(level), words).noise_pred.sum()) for level in range(first, 0, -1)]

    return work


def test_who_begins_later_is_met(bench: Bench) -> None:
    bench.met(descent(bench, 2), descent(bench, 5), descent(bench, 3))
    assert bench.batches == [1, 1, 2, 3, 3]


def test_upwards_the_cleanest_comes_first(bench: Bench) -> None:
    def ascent(levels: list[int]) -> Callable[[Any], None]:
        def work(backbone: Any) -> None:
            with torch.no_grad():
                for level in levels:
                    backbone.predict(bench.latents(0), float(level), bench.words("a"))

        return work

    bench.met(ascent([3, 4]), ascent([1, 2, 3, 4]), downwards=False)
    assert bench.batches == [1, 1, 2, 2]


def test_a_source_is_looked_at_before_the_others_go_on(bench: Bench) -> None:
    """One looks at the source first and then reads it; the other has it already."""
    words = bench.words("a fish")
    with torch.no_grad():
        known = bench.backbone.predict(bench.latents(0), 500.0, words, record=True).keys_values

    @torch.no_grad()
    def looking(backbone: Any) -> None:
        read = backbone.predict(bench.latents(1), 500.0, words, record=True).keys_values
        backbone.predict(bench.latents(2), 500.0, words, read=read)

    @torch.no_grad()
    def reading(backbone: Any) -> None:
        backbone.predict(bench.latents(3), 500.0, words, read=known)

    bench.met(reading, looking)
    assert bench.batches == [1, 2]


def test_pictures_that_prompt_by_other_scales_are_asked_apart(bench: Bench) -> None:
    words, pictures = bench.words("a fish"), (torch.zeros(1, 1, 4),)
    one, other = WithPicture(words, pictures, 0.5), WithPicture(words, pictures, 0.6)
    assert bench.backbone.stacked([one, other], [1, 1]) is None and bench.backbone.stacked([one, words], [1, 1]) is None
    both = bench.backbone.stacked([one, one], [2, 1])
    assert isinstance(both, WithPicture) and both.words.shape[0] == both.pictures[0].shape[0] == 3 and both.scale == 0.5


def test_a_backbone_that_stacks_nothing_answers_one_by_one(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench.backbone, "stacked", lambda conditions, rows: None)
    expected = [descent(bench, first)(bench.backbone) for first in (2, 3)]
    assert bench.met(descent(bench, 2), descent(bench, 3)) == expected and bench.batches == [1] * 5


def test_one_error_ends_all(bench: Bench) -> None:
    reached = list[int]()

    def failing(backbone: Any) -> None:
        descent(bench, 1)(backbone)
        raise ValueError("broken")

    def long(backbone: Any) -> None:
        try:
            for level in range(900, 0, -1):
                reached.append(level)
                with torch.no_grad():
                    backbone.predict(bench.latents(0), 1.0, bench.words("a"))
        except Cancelled:
            reached.append(0)
            raise

    before = threading.active_count()
    with pytest.raises(ValueError, match="broken"):
        bench.met(long, failing, long)
    assert reached.count(0) == 2 and len(reached) < 10 and threading.active_count() == before


def test_an_error_of_the_network_is_told_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(bench.backbone.unet, "forward", full)
    with pytest.raises(torch.OutOfMemoryError):
        bench.met(descent(bench, 2), descent(bench, 2))


def test_an_interrupt_ends_all_and_waits_for_them(bench: Bench) -> None:
    """An interpreter that ended while a thread computes would abort."""
    ended = list[str]()

    def interrupted(backbone: Any) -> None:
        _thread.interrupt_main()
        time.sleep(0.5)  # as torch computes
        ended.append("slept")
        try:
            descent(bench, 900)(backbone)
        finally:
            ended.append("ended")

    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        bench.met(interrupted, descent(bench, 900))
    assert ended == ["slept", "ended"] and threading.active_count() == before


def test_the_works_have_the_turn_of_who_started_them(bench: Bench) -> None:
    def taken(backbone: Any) -> bool:
        with turn_on(backbone):
            return True

    with turn_on(bench.backbone):
        assert bench.met(taken, taken) == [True, True]


def test_what_was_made_can_call_afterwards(bench: Bench) -> None:
    copies = bench.met(lambda backbone: backbone, lambda backbone: backbone)
    before = bench.backbone.calls
    assert descent(bench, 2)(copies[0]) == descent(bench, 2)(bench.backbone) and bench.backbone.calls == before + 4
