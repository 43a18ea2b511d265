"""`python -m helpers.reliability` runs the tests that docs/reliability.md names, and prints how many cases of each fault failed."""

from __future__ import annotations

import re
import sys
from collections import Counter
from pathlib import Path

import pytest
from helpers.doors import DOORS
from helpers.doors import table as table_of_doors

__all__ = ["PAGE", "ROOT", "rows"]

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reliability.md"


def rows() -> dict[str, list[str]]:
    """The tests of every fault, such as "tests/edits/test_paths.py" or "tests/test_files.py::test_free_names"."""
    table = next(part for part in PAGE.read_text("utf-8").split("\n\n") if part.startswith("|"))
    lines = [line.split("|")[1:-1] for line in table.splitlines()]
    return {cells[0].strip(): re.findall(r"`([^`]+)`", cells[2]) for cells in lines[2:]}


class Counts:
    """Hears pytest's reports, and counts test cases by what became of them."""

    def __init__(self) -> None:
        self.tried: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        where = "tests/" + report.nodeid.split("[")[0].split("tests/", 1)[-1]
        self.tried[where] += report.when == "call" and not report.skipped
        self.failed[where] += report.failed

    def of(self, tests: list[str]) -> tuple[int, int]:
        """(cases tried, cases failed) of tests, files or folders."""
        inside = [where for where in self.tried.keys() | self.failed.keys() if any(_holds(test, where) for test in tests)]
        return sum(self.tried[where] for where in inside), sum(self.failed[where] for where in inside)


def _holds(test: str, where: str) -> bool:
    return where == test or where.startswith((test + "::", test + "/"))


def main() -> int:
    counts, faults = Counts(), rows()
    asked = list(dict.fromkeys(str(ROOT / test) for tests in faults.values() for test in tests))
    code = pytest.main(["-m", "not slow and not e2e and not gpu", "--rootdir", str(ROOT), *asked], plugins=[counts])
    print(f"\n{'cases':>7}{'failed':>8}  what goes wrong")
    for fault, tests in faults.items():
        print("{:>7}{:>8}  {}".format(*counts.of(tests), fault))
    if any(door.tried for door in DOORS):
        print(f"\n{table_of_doors()}")
    idle = [fault for fault, tests in faults.items() if not counts.of(tests)[0]]
    if idle:
        print(f"\nnothing was tried of: {', '.join(idle)}")
    return int(code) or bool(idle)


if __name__ == "__main__":
    sys.exit(main())
