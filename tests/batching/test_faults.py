"""Small versions of the faults of docs/batches.md: nothing is lost, and nothing is done twice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.batch_faults import Row, bad_pictures, full_disk, killed_driver, killed_ray_worker, many_jobs, twins


def check(row: Row, injected: int) -> None:
    assert (row.injected, row.survived, row.lost, row.twice) == (injected, injected, 0, 0), row


@pytest.mark.processes
@pytest.mark.usefixtures("run")
def test_kill_9_at_any_moment(model: str, tmp_path: Path) -> None:
    check(killed_driver(tmp_path, model, 8, 12), 8)


@pytest.mark.processes
@pytest.mark.usefixtures("run")
def test_a_disk_that_fills(model: str, tmp_path: Path) -> None:
    try:
        row = full_disk(tmp_path, model, 3, 12)
    except OSError as error:
        pytest.skip(f"no small disk can be mounted here: {error}")
    assert row.injected >= 1
    check(row, row.injected)


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize(("fault", "times", "injected"), [(bad_pictures, 15, 5), (twins, 3, 3), (many_jobs, 60, 1)])
def test_nothing_is_lost_and_nothing_done_twice(
    model: str, tmp_path: Path, fault: Callable[[Path, str, int], Row], times: int, injected: int
) -> None:
    check(fault(tmp_path, model, times), injected)


@pytest.mark.slow
def test_both_engines_give_the_same_pixels_also_when_a_worker_is_killed(model: str, tmp_path: Path) -> None:
    pytest.importorskip("ray.data")
    check(killed_ray_worker(tmp_path, model, 1, 12), 1)
