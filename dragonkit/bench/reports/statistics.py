"""Means with bootstrap confidence intervals (Efron 1979, percentile method), so that luck is not taken for merit."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from dragonkit.errors import EditError

__all__ = ["Interval", "interval", "paired", "way"]

Values = Sequence[float] | np.ndarray


class Interval(NamedTuple):
    """A mean and its confidence interval; all nan where there is nothing to average. With one value, all are that value."""

    mean: float
    low: float
    high: float


_NONE = Interval(float("nan"), float("nan"), float("nan"))


def interval(values: Values, level: float = 0.95, resamples: int = 2000, seed: int = 0) -> Interval:
    """The mean and its percentile bootstrap interval; nan is left out.

    With few values it is somewhat too narrow: of ten, a 95 % interval holds the truth in about 90 of 100 cases.

    Args:
        values: one number a task.
        level: probability, between 0 and 1.
        resamples: how often as many values are drawn from these, with replacement.
        seed: the same one gives the same interval.

    Example:
        >>> interval([2.0, 2.0, float("nan")])
        Interval(mean=2.0, low=2.0, high=2.0)
    """
    (known,) = _complete(values)
    return _bounded(float(known.mean()), _resampled(known[:, None], resamples, seed)[:, 0], level) if len(known) else _NONE


def paired(a: Values, b: Values, level: float = 0.95, resamples: int = 2000, seed: int = 0) -> Interval:
    """The mean difference a - b of two rows on the same tasks, in the same order: a is higher beyond the interval where `low` is above 0.

    Tasks that either has no value for are left out. Arguments as in `interval`.

    Raises:
        EditError: the two have different lengths.
    """
    first, second = _complete(a, b)
    return interval(first - second, level, resamples, seed)


def way(values: Values, untouched: Values, ceiling: Values, level: float = 0.95, resamples: int = 2000, seed: int = 0) -> Interval:
    """How much of the way from the untouched source to the ceiling was gone, in the mean over the same tasks: 0 for none, 1 for all of it.

    The ratio of the mean differences, not the mean of the ratios, which a task with hardly a way to go would decide. Tasks that one of the
    three has no value for are left out; all nan where it is uncertain whether there is a way: where the ceiling is not beyond the interval
    better or worse than the untouched source. Arguments as in `interval`.

    Raises:
        EditError: the three have different lengths.
    """
    value, start, goal = _complete(values, untouched, ceiling)
    whole = interval(goal - start, level, resamples, seed)
    if not (whole.low > 0 or whole.high < 0):
        return _NONE
    means = _resampled(np.stack([value - start, goal - start], 1), resamples, seed)
    means = means[means[:, 1] * whole.mean > 0]  # rarely, a resample has no way to go
    return _bounded(float((value - start).mean() / whole.mean), means[:, 0] / means[:, 1], level)


def _complete(*columns: Values) -> list[np.ndarray]:
    """Columns as float64 (n,), without the rows in which one of them is nan."""
    arrays = [np.asarray(column, dtype=np.float64).ravel() for column in columns]
    if len({len(array) for array in arrays}) > 1:
        counts = " and ".join(str(len(array)) for array in arrays)
        raise EditError(f"rows are compared on the same tasks, got {counts} values; pass one for each task, nan where there is none")
    known = ~np.isnan(arrays).any(axis=0)
    return [array[known] for array in arrays]


def _resampled(table: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    """Means (resamples, columns) of rows of `table` (n, columns) drawn with replacement; how often each is drawn is all that matters."""
    return _draws(len(table), resamples, seed) @ table


@lru_cache(maxsize=4)  # a table of results asks for the same ones again and again
def _draws(count: int, resamples: int, seed: int) -> np.ndarray:
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=resamples) / count
    drawn.flags.writeable = False
    return drawn


def _bounded(mean: float, means: np.ndarray, level: float) -> Interval:
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(mean, float(low), float(high))
