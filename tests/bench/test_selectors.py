"""What `dragonkit bench selectors` prints is the intersection over union of one click on each object."""

from __future__ import annotations

import re
import sys

import numpy as np
import pytest
from helpers.strict import read_json
from PIL import Image
from typer.testing import CliRunner

from dragonkit.bench import selectors as bench
from dragonkit.cli.app import app
from dragonkit.plugins.selector import Click


def test_overlap() -> None:
    a, b = np.zeros((4, 4), bool), np.zeros((4, 4), bool)
    a[:2], b[1:3] = True, True
    assert bench.overlap(a, b) == pytest.approx(4 / 12)
    assert bench.overlap(a, a) == 1 and bench.overlap(a, ~a) == 0


def test_the_deepest_pixel_is_as_far_from_outside_as_can_be() -> None:
    mask = np.zeros((20, 30), bool)
    mask[3:10, 0:5] = mask[5:16, 12:25] = True
    assert bench.deepest(mask) in [(x + 0.5, 10.5) for x in range(17, 20)]
    assert bench.deepest(np.ones((5, 9), bool))[1] == 2.5  # the picture's border counts as outside


def test_cases_are_clicks_on_objects_and_the_same_each_time() -> None:
    found = bench.cases(48, 7)
    assert len(found) == 7
    for case, again in zip(found, bench.cases(48, 7), strict=True):
        ((x, y, positive),) = case.clicks
        assert positive and case.mask[int(y), int(x)]
        assert case.mask.mean() >= bench.SMALLEST
        assert case.image.size == (48, 48) and case.clicks == again.clicks and np.array_equal(case.mask, again.mask)


def test_a_row_sums_up() -> None:
    def all_of_it(image: Image.Image, clicks: list[Click]) -> np.ndarray:
        return np.ones((image.height, image.width), bool)

    on = bench.cases(32, 5)
    row = bench.measure(all_of_it, on)
    shares = [case.mask.mean() for case in on]
    assert row.iou.mean == pytest.approx(np.mean(shares)) and row.median == pytest.approx(np.median(shares))
    assert row.good == 0 and row.milliseconds > 0


def test_the_command_prints_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "skimage", None)
    monkeypatch.setattr(bench.importlib.util, "find_spec", lambda name: None)
    said = CliRunner().invoke(app, ["bench", "selectors", "--objects", "3", "--size", "32"], env={"COLUMNS": "150"})
    assert said.exit_code == 0, said.output
    assert "3 objects in scenes of 32 px, one click each" in said.output
    rows = re.findall(r"^ *(wand|object)[^\n]*? \d\.\d{3} \[\d\.\d{3}, \d\.\d{3}\] +\d\.\d{3} +\d+% +\d+ *$", said.output, re.MULTILINE)
    assert set(rows) == {"wand", "object"} and len(rows) == len(bench.rows())
    assert "The random walker is left out: it needs scikit-image" in said.output


def test_the_command_prints_json() -> None:
    said = CliRunner().invoke(app, ["bench", "selectors", "--objects", "2", "--size", "32", "--json"])
    assert said.exit_code == 0, said.output
    (lines,) = read_json(said.output).values()
    assert lines.keys() == bench.rows().keys()
    assert all(0 <= row["iou"][0] <= 1 for row in lines.values())
