"""Intervals hold what they promise, and comparisons on the same tasks see what means alone do not."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragonkit.bench.reports.statistics import Interval, interval, paired, way
from dragonkit.errors import EditError

NAN = math.nan
VALUES = st.lists(st.floats(-100, 100), min_size=2, max_size=20)


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    for level, least, most in ((0.95, 0.90, 0.98), (0.5, 0.40, 0.58)):
        held = [found.low <= 7 <= found.high for found in (interval(rng.normal(7, 2, 40), level, resamples=500) for _ in range(400))]
        assert least < np.mean(held) < most


def test_the_interval_of_many_is_the_textbooks() -> None:
    values = np.random.default_rng(2).exponential(3, 400)
    mean, low, high = interval(values)
    error = values.std(ddof=1) / 20
    assert mean == pytest.approx(values.mean())
    assert (low, high) == pytest.approx((mean - 1.96 * error, mean + 1.96 * error), abs=0.2 * error)


def test_resampling_by_index_gives_the_same() -> None:
    values = np.random.default_rng(3).exponential(5, 9)
    means = values[np.random.default_rng(4).integers(0, 9, (20000, 9))].mean(1)
    assert interval(values, 0.8, resamples=20000)[1:] == pytest.approx(np.quantile(means, [0.1, 0.9]), abs=0.1)


@given(VALUES, st.floats(0.1, 9), st.floats(-50, 50))
def test_another_unit_changes_nothing_but_the_unit(values: list[float], scale: float, offset: float) -> None:
    found, changed = interval(values, resamples=50), interval(np.array(values) * scale + offset, resamples=50)
    assert changed == pytest.approx([part * scale + offset for part in found], abs=1e-6)
    assert found.low - 1e-9 <= found.mean <= found.high + 1e-9 or len(set(values)) > 1
    assert min(values) - 1e-9 <= found.low <= found.high <= max(values) + 1e-9


def test_nan_is_left_out() -> None:
    assert interval([1, NAN, 2, 5, NAN]) == interval([1, 2, 5])
    assert interval([4, NAN]) == Interval(4, 4, 4)
    assert all(math.isnan(part) for values in ([], [NAN, NAN]) for part in interval(values))
    assert paired([1, NAN, 5, 7], [0, 3, NAN, 1]) == interval([1, 6])


def test_a_seed_is_an_interval() -> None:
    values = np.random.default_rng(0).normal(size=30)
    assert interval(values) == interval(values) and interval(values, seed=1) != interval(values)
    narrow, wide = interval(values, 0.5), interval(values, 0.99)
    assert wide.low < narrow.low < narrow.high < wide.high


def test_pairs_see_through_the_difference_between_tasks() -> None:
    rng = np.random.default_rng(4)
    tasks = rng.normal(25, 6, 20)
    a, b = tasks + 0.5 + rng.normal(0, 0.2, 20), tasks
    assert interval(a).low < interval(b).high  # apart, nobody can tell
    found = paired(a, b)
    assert found.low > 0 and found.mean == pytest.approx((a - b).mean())
    assert paired(b, a) == pytest.approx([-found.mean, -found.high, -found.low], abs=0.02)
    assert paired(a, rng.permutation(a)).low < 0 < paired(a, rng.permutation(a)).high


def test_the_way_is_a_ratio_of_means() -> None:
    rng = np.random.default_rng(5)
    untouched, ceiling = rng.normal(11, 1, 30), rng.normal(25, 2, 30)
    for start, goal in ((untouched, ceiling), (ceiling, untouched)):  # lower can be better as well
        assert way(start, start, goal) == pytest.approx((0, 0, 0))
        assert way(goal, start, goal) == pytest.approx((1, 1, 1))
        assert way(start + 0.7 * (goal - start), start, goal) == pytest.approx((0.7, 0.7, 0.7))
    part = untouched + rng.uniform(0, 1, 30) * (ceiling - untouched)
    found = way(part, untouched, ceiling)
    assert found.low < found.mean < found.high
    assert found.mean == pytest.approx((part.mean() - untouched.mean()) / (ceiling.mean() - untouched.mean()))


def test_a_task_without_a_way_does_not_decide() -> None:
    untouched, ceiling = np.array([10.0, 10, 10, 10]), np.array([20.0, 20, 20, 10.001])
    assert way([15, 15, 15, 15], untouched, ceiling).mean == pytest.approx(0.667, abs=0.01)  # the mean of ratios would be above 1000


def test_where_there_is_no_way_nobody_went() -> None:
    rng = np.random.default_rng(6)
    noise = rng.normal(0, 1, (3, 20))
    assert all(math.isnan(part) for part in way(*noise))
    assert all(math.isnan(part) for part in way([NAN], [1], [2]))
    assert way([NAN, 2, 3], [1, 1, 1], [5, 3, 5]) == way([2, 3], [1, 1], [3, 5])


def test_rows_of_different_length_are_refused() -> None:
    with pytest.raises(EditError, match="3 and 2 values"):
        paired([1, 2, 3], [1, 2])
    with pytest.raises(EditError, match="3 and 3 and 2 values"):
        way([1, 2, 3], [1, 2, 3], [1, 2])
