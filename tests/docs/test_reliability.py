"""docs/reliability.md names tests that there are."""

from __future__ import annotations

import re

import pytest
from helpers.reliability import ROOT, Counts, rows

FAULTS = rows()


@pytest.mark.parametrize("fault", FAULTS)
def test_the_tests_of_a_fault_exist(fault: str) -> None:
    assert FAULTS[fault]
    for named in FAULTS[fault]:
        file, _, test = named.partition("::")
        assert (ROOT / file).exists(), named
        assert not test or re.search(rf"^def {test}\(", (ROOT / file).read_text("utf-8"), re.MULTILINE), named


def test_cases_are_counted_by_file_folder_and_test() -> None:
    counts = Counts()
    for name, outcome in [("a/test_x.py::test_1[0]", "passed"), ("a/test_x.py::test_1[1]", "failed"), ("a/test_x.py::test_12", "passed")]:
        counts.pytest_runtest_logreport(pytest.TestReport(f"tests/{name}", ("", 0, ""), {}, outcome, None, "call"))  # type: ignore[arg-type]
    assert counts.of(["tests/a/test_x.py::test_1"]) == (2, 1)
    assert counts.of(["tests/a/test_x.py"]) == counts.of(["tests/a"]) == (3, 1)
    assert counts.of(["tests/b", "tests/a/test_y.py"]) == (0, 0)
