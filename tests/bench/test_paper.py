"""The paper's figures as tables: what decides a claim, and that each of them can be measured."""

from __future__ import annotations

import pytest

pytest.importorskip("torchmetrics")

from dragonkit.bench.paper import FIGURES, Claim, Figure, run_figure
from dragonkit.bench.reports.statistics import Interval


@pytest.mark.parametrize(
    ("interval", "better", "verdict"),
    [
        (Interval(2, 1, 3), "above", "holds"),
        (Interval(2, 1, 3), "below", "does not hold"),
        (Interval(-2, -3, -1), "below", "holds"),
        (Interval(-2, -3, -1), "above", "does not hold"),
        (Interval(0.5, -1, 2), "above", "not decided"),
        (Interval(0.0, 0.0, 0.0), "above", "not decided"),
    ],
)
def test_a_claim_is_decided_by_the_whole_interval(interval: Interval, better: str, verdict: str) -> None:
    assert Claim("it is better", interval, better).verdict == verdict


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in FIGURES if name != "7"])  # which the next test looks at
def test_a_figure_has_a_table_and_its_claims(name: str) -> None:
    check(name, run_figure(name, 1))


def check(name: str, figure: Figure) -> None:
    columns = {tuple(values) for values in figure.values.values()}
    assert len(columns) == 1  # every row has the same columns
    assert all(value.low <= value.mean <= value.high for values in figure.values.values() for value in values.values())
    assert len(figure.claims) == len(FIGURES[name][2])


@pytest.mark.slow
def test_five_drags_one_after_the_other_keep_the_rest_and_stay_sharp() -> None:
    """Measured: sharpness of the last round 0.97; elsewhere 68.6 dB after one drag and 57.5 after five, as a drag's region reaches farther
    than what differs in the answer, and is free there."""
    figure = run_figure("7", 1)
    check("7", figure)
    rounds = figure.values
    assert rounds["round 1"]["elsewhere PSNR"].mean > 65 and all(values["elsewhere PSNR"].mean > 54 for values in rounds.values())
    assert rounds["round 5"]["sharpness"].mean > 0.6
