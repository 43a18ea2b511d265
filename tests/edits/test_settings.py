"""Settings: defaults, ranges, and what is normalised."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragonkit.edits.schedules import GuidanceSchedule
from dragonkit.edits.settings import PRESETS, Settings
from dragonkit.errors import EditError


def test_defaults() -> None:
    settings = Settings()
    assert (settings.steps, settings.guidance_scale, settings.energy_scale, settings.schedule.span) == (50, 1.0, 0.03, (0.0, 0.6))
    assert (settings.memory, settings.keep, settings.hold, settings.layers) == ("bank", "pixels", 0.6, ("up.1", "up.2"))
    assert Settings(**settings.model_dump()) == settings
    assert hash(Settings()) == hash(settings)


@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [
        ("steps", 0, "from 1 to 1000"),
        ("guidance_scale", -1, "from 0 to 100"),
        ("energy_scale", 11, "from 0 to 10"),
        ("energy_scale", float("inf"), "from 0 to 10"),
        ("seed", -1, "from 0 to"),
        ("schedule", {"span": (0, 2)}, "from 0 to 1"),
        ("schedule", "sometimes", "a list such as 'span=0:0.6, every=2'"),
        ("memory", "disk", "'bank' or 'offload' or 'recompute'"),
        ("keep", "nothing", "'pixels' or 'latents' or 'energy'"),
        ("hold", 1.5, "from 0 to 1"),
        ("layers", (), "at least 1"),
        ("layers", (1, -1), "must be non-empty text"),
        ("layers", ("up.1", ""), "must be non-empty text"),
        ("layers", "up.1", "a list"),
        ("layers", (1, "up.1"), "only once"),
        ("inversion", "", "non-empty text"),
        ("inversion_iterations", 0, "from 1 to 50"),
    ],
)
def test_values_out_of_range_are_refused_by_name(field: str, value: object, allowed: str) -> None:
    with pytest.raises(EditError) as caught:
        Settings(**{field: value})
    assert str(caught.value).startswith(f"Settings.{field}")
    assert allowed in str(caught.value)


def test_layers_are_names_and_a_plain_number_is_a_short_one() -> None:
    assert Settings(layers=(2, 1)) == Settings(layers=("up.1", "up.2")) == Settings()
    assert Settings(layers=["2", " block.12 "]).layers == ("block.12", "up.2")
    assert Settings(layers=["1,up.3"]).layers == ("up.1", "up.3")  # as a command line gives them


def test_every_field_is_described() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_presets_are_settings_with_changes_on_top() -> None:
    assert Settings.preset("default").model_fields_set == set()
    paper = Settings.preset("paper", seed=3)
    assert (paper.steps, paper.hold, paper.keep, paper.guidance_scale, paper.seed) == (50, 0, "energy", 4, 3)
    assert paper.schedule.guided(50) == frozenset(range(30))
    assert Settings.preset("fast", steps=10).steps == 10
    for name in PRESETS:
        assert Settings.preset(name)
    with pytest.raises(EditError, match=r"no preset 'papre'. Did you mean 'paper'"):
        Settings.preset("papre")


def test_settings_lie_over_others_field_by_field_and_so_do_their_schedules() -> None:
    base = Settings(steps=9, seed=4, schedule=GuidanceSchedule(span=(0.1, 0.2), every=3))
    over = Settings(steps=7, schedule=GuidanceSchedule(every=2)).over(base)
    assert (over.steps, over.seed, over.schedule.span, over.schedule.every) == (7, 4, (0.1, 0.2), 2)
    assert over.model_fields_set == {"steps", "seed", "schedule"}
    assert Settings(seed=1).over(Settings()) == Settings(seed=1) and Settings().over(base) == base


def test_the_reference_preset_is_the_released_codes_schedule() -> None:
    """Of 50 steps: guided below 10 and every second one to 30; noise between 10 and 20; even steps between 20 and 30 thrice."""
    schedule = Settings.preset("reference").schedule
    assert schedule.guided(50) == {i for i in range(30) if i < 10 or i % 2 == 0}
    assert schedule.noise_at(50) == {i: 0.4 for i in range(11, 20)}
    assert schedule.rounds_at(50) == {i: 3 for i in range(21, 30) if i % 2 == 0}
    assert schedule.regional


def test_a_schedule_as_text_comes_back() -> None:
    schedule = GuidanceSchedule(span=(0.1, 0.5), every=3, regional=True)
    assert str(schedule) == "span=0.1:0.5,every=3,regional=True"
    assert Settings(schedule=str(schedule)).schedule == schedule
    assert Settings(schedule=str(GuidanceSchedule())).schedule == GuidanceSchedule()


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.integers(1, 1000))
def test_the_text_of_a_schedule_keeps_every_digit(a: float, b: float, dense: float, every: int) -> None:
    schedule = GuidanceSchedule(span=(min(a, b), max(a, b)), dense=dense, noise=b, every=every)
    assert Settings(schedule=str(schedule)).schedule == schedule


spans = st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted).map(tuple)


@given(spans, st.integers(1, 5), st.floats(0, 1), st.integers(1, 60))
def test_which_steps_are_guided(span: tuple[float, float], every: int, dense: float, steps: int) -> None:
    guided = GuidanceSchedule(span=span, every=every, dense=dense).guided(steps)
    first, behind = round(span[0] * steps), round(span[1] * steps)
    for step in range(steps):
        wanted = first <= step < behind and (step < round(dense * steps) or step in range(first, behind, every))
        assert (step in guided) == wanted, step


@given(spans, st.integers(1, 3), st.integers(1, 5), st.integers(1, 60))
def test_which_steps_are_repeated(span: tuple[float, float], rounds: int, every: int, steps: int) -> None:
    schedule = GuidanceSchedule(span=(0.1, 0.9), rounds=rounds, rounds_span=span, rounds_every=every)
    inside = range(round(span[0] * steps), round(span[1] * steps))
    expected = {step: rounds for step in inside if rounds > 1 and step % every == 0 and step in schedule.guided(steps)}
    assert schedule.rounds_at(steps) == expected


def test_where_noise_is_added() -> None:
    assert GuidanceSchedule(noise=0.4, noise_span=(0.2, 0.5)).noise_at(10) == {2: 0.4, 3: 0.4, 4: 0.4}
    assert GuidanceSchedule(noise_span=(0.2, 0.5)).noise_at(10) == {}


def test_equal_settings_hash_alike_and_others_do_not() -> None:
    assert hash(Settings(steps=7)) == hash(Settings(steps=7)) != hash(Settings(steps=8))
