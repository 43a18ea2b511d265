"""Measured figures in pages: each table names the command that writes it, and is of the weights that come along."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
import typer
from helpers import figure_tables as tables
from helpers.figures import END, FIGURES, Marked, as_markdown, main, marked, measured, weights, written_into
from helpers.pages import DOCS, PAGES, ROOT

MARKED = [one for page in PAGES for one in marked(page)]
BY_HAND = {
    "| task | tried | way |": "settings that were tried by hand",
    "| fault | injected | survived | lost | done twice |": "`make batches` prints it",
    "| door | tried | dragonkit's own errors | others |": "`make reliability` prints it",
    "| GPUs | hours | GPU hours |": "arithmetic",
    "|  | in generations, cold | warm | seconds, warm | rows, forward + differentiated | rows of a generation |": "a GPU that was lent",
}


def test_every_figure_stands_in_its_page_once_and_under_its_command() -> None:
    assert sorted((one.page, one.name, one.command) for one in MARKED) == sorted(
        (one.page, name, one.command) for name, one in FIGURES.items()
    )


@pytest.mark.parametrize("one", MARKED, ids=lambda one: one.name)
def test_figures_are_of_the_weights_that_come_along(one: Marked) -> None:
    assert one.weights == weights(), f'the model has changed since: make figures ONLY="{one.name}", which runs {one.command}'


def test_a_table_of_means_with_intervals_or_decimals_has_markers() -> None:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for one in marked(page):
            text = text.replace(one.text, "")
        for table in re.findall(r"(?:^\|.*\n?)+", text, re.MULTILINE):
            header, _, *rows = table.splitlines()
            decimals = len(re.findall(r"\| [-+*]*\d+\.\d+[* ]*(?:\[[^]]*\] )?(?=\|)", "\n".join(rows)))
            assert decimals <= len(rows) or header in BY_HAND, f"{page.name}: which command writes the table under {header}?"


@pytest.mark.parametrize("command", sorted({one.command for one in FIGURES.values()}))
def test_the_commands_parse(command: str) -> None:
    from dragonkit.cli.app import app

    group = typer.main.get_command(app)
    _, *words = shlex.split(command)
    with group.make_context("dragonkit", words, resilient_parsing=False) as context:
        name, inner, rest = group.resolve_command(context, [*context._protected_args, *context.args])  # type: ignore[attr-defined]
        while hasattr(inner, "resolve_command"):
            name, inner, rest = inner.resolve_command(context, rest)
        inner.make_context(name, list(rest), parent=context)


def test_only_what_is_between_the_markers_is_written() -> None:
    before = (
        f"a\n<!-- figures x: dragonkit one; weights 0 -->\n\nold\n\n{END}\nb <!-- figures y: dragonkit two; weights 0 -->\n\nkept\n{END}"
    )
    after = written_into(before, "x", "dragonkit three", "new")
    assert after == before.replace("old", "new").replace("one; weights 0", f"three; weights {weights()}")


def test_unknown_figures_are_refused_before_anything_is_measured() -> None:
    with pytest.raises(SystemExit, match="there are no figures sped"):
        main(["sped"])


# -- from JSON to tables -----------------------------------------------------------------------------------------------------------------


def of(*measured: tuple[str, str, int, float, float]) -> dict[str, object]:
    """What `bench toybox --json` prints, of records (task, row, seed, dB, way)."""
    names = dict.fromkeys(task for task, *_ in measured)
    lines = {
        task: [
            {"row": row, "way": [way, way, way], "measures": {"drag": [seed, seed, seed]}, "evaluations": 4, "cost": None}
            for name, row, seed, _, way in measured
            if name == task
        ]
        for task in names
    }
    records = [{"task": task, "row": row, "seed": seed, "psnr_changed": dB} for task, row, seed, dB, _ in measured]
    return json.loads(json.dumps({"summary": lines, "records": records}))


def test_the_better_copy_and_the_difference_on_the_same_scenes() -> None:
    found = of(
        ("move", "default", 1, 30, 1.1),
        ("move", "no energies", 1, 28, 1.0),
        ("move", "fast", 1, 29, 1.05),
        ("move", "copy, Telea", 1, 20, 0.5),
        ("move", "copy, Navier-Stokes", 1, 22, 0.6),
    )
    assert tables.energies(found)[1] == ["`move`", "1.10", "1.00", "1.05", "0.60", "+2.0 [2.0, 2.0] dB"]


def test_drags_stand_beside_each_other() -> None:
    found = of(("drag", "default", 3, 0, 0.2), ("drag-rigid", "default", 0, 0, 1.0))
    assert tables.drags(found) == [
        ["row", "drag: way", "drag: px", "drag-rigid: way", "drag-rigid: px"],
        ["**default**", "0.20", "3.0", "1.00", "0.0"],
    ]


def test_a_ratio_that_was_measured_once_has_no_spread() -> None:
    once = {"what": "peak", "goal": 1.6, "ratios": [2.5], "seconds": [], "rows": None, "unit_rows": None, "shares": {}}
    assert tables.speed([once])[1] == ["peak", "1.6", "", "2.50", "", "", "", ""]


NOTHING: dict[str, object] = {
    "inversions": {"inversions": []},
    "fills": [],
    "cost": [],
    "speed": [],
    "shares": [],
    "layers": {"2": {"values": {}}},
    "model": {"psnr": {"autoencoder": [30, 29, 31]}, "recognized": {"samples": {"category": [1, 1, 1], "color": [1, 1, 1]}}},
    "matching": {"matching": {}},
    "million": {"million": {}},
    "demo": {},
    "demo-short": {},
}
"""What a command would print that has measured nothing, or as little as it can."""


@pytest.mark.parametrize("name", NOTHING)
def test_a_table_has_the_header_that_its_page_has(name: str) -> None:
    (before,) = (one.text for one in MARKED if one.name == name)
    assert as_markdown(FIGURES[name].show(NOTHING[name])).splitlines()[:2] == before.splitlines()[:2]


@pytest.mark.slow
@pytest.mark.processes
@pytest.mark.parametrize(
    ("name", "shorter"),
    [
        ("rows", "dragonkit bench toybox --n 1 --task move --task remove --row untouched --row default --row ceiling"),
        ("drags", "dragonkit bench toybox --n 1 --task drag --task drag-rigid --row untouched --row default --row ceiling"),
    ],
)
def test_what_a_command_measures_fits_under_the_pages_header(name: str, shorter: str) -> None:
    figure, (before,) = FIGURES[name], (one.text for one in MARKED if one.name == name)
    shown = as_markdown(measured(figure, shorter))
    assert shown.splitlines()[0] == before.splitlines()[0]
    assert len(shown.splitlines()) > 2


def test_there_is_a_make_target() -> None:
    assert "helpers.figures $(ONLY)" in (ROOT / "Makefile").read_text("utf-8")
    assert Path(DOCS / "benchmark.md").read_text("utf-8").count("make figures") == 1
