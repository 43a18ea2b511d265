"""`python -m helpers.figures` measures the figures of the pages anew, and writes each table between its markers: `make figures`.

    <!-- figures NAME: COMMAND; weights HASH -->
    ...
    <!-- end of figures -->

Names given are done alone (`make figures ONLY="demo cost"`); all of them take a day. A test fails where the hash is not that of
the model's weights any more.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

from helpers import figure_tables as tables
from helpers.pages import DOCS, ROOT, blocks_of

__all__ = ["END", "FIGURES", "Figure", "Marked", "as_markdown", "main", "marked", "measured", "weights", "written_into"]

WEIGHTS = ROOT / "dragonkit" / "models" / "weights" / "toybox"
BEGIN, END = re.compile(r"<!-- figures (?P<name>[\w-]+): (?P<command>.+?); weights (?P<weights>\w+) -->\n"), "<!-- end of figures -->"
ENERGY_ROWS = ("untouched", "reconstruction", "copy, Telea", "copy, Navier-Stokes", "fast", "default", "no energies", "ceiling")
PRESET_ROWS = ("untouched", "paper", "reference", "no energies", "default", "ceiling")
DRAG_ROWS = ("untouched", "default", "patches", "paper", "warp, paper", "let go", "let go, no energies", "reference", "ceiling")
WAYS = ("way", "PSNR changed", "PSNR elsewhere", "residual")


class Figure(NamedTuple):
    """A table or a printed text of a page: who measures it, and what of that is written."""

    page: Path
    command: str
    show: Callable[[Any], tables.Table | str]
    measure: Callable[[str], Any]


class Marked(NamedTuple):
    """What stands between markers in a page."""

    page: Path
    name: str
    command: str
    weights: str
    text: str


def weights() -> str:
    """Tells the embedded model's weights from any others."""
    total = hashlib.sha256()
    for path in sorted(WEIGHTS.rglob("*.safetensors")):
        total.update(path.read_bytes())
    return total.hexdigest()[:12]


def marked(page: Path) -> Iterator[Marked]:
    """Everything in a page that has markers."""
    text = page.read_text(encoding="utf-8")
    for match in BEGIN.finditer(text):
        inside, end, _ = text[match.end() :].partition(END)
        assert end, f"{page.name}: {match['name']} has no {END}"
        yield Marked(page, match["name"], match["command"], match["weights"], inside.strip())


def written_into(text: str, name: str, command: str, shown: str) -> str:
    """The page's text with something new between the markers of `name`."""
    begin = next(match for match in BEGIN.finditer(text) if match["name"] == name)
    rest = text[begin.end() :].partition(END)[2]
    return f"{text[: begin.start()]}<!-- figures {name}: {command}; weights {weights()} -->\n\n{shown}\n\n{END}{rest}"


@cache
def _json(command: str) -> Any:
    """What a command prints with --json. Tables of one command share a run."""
    words = shlex.split(command)
    assert words[0] == "dragonkit", command
    done = subprocess.run(
        [sys.executable, "-m", *words, "--json"], stdout=subprocess.PIPE, check=True, text=True, cwd=tempfile.gettempdir()
    )
    return json.loads(done.stdout)


@cache
def _demo(command: str) -> Any:
    """The outcomes of `dragonkit demo`, by task."""
    from dragonkit.cli.demo import demo

    with tempfile.TemporaryDirectory() as folder:
        return demo(Path(folder), scenes=int(command.rpartition(" ")[2]))


def _demo_table(results: Any, tasks: tuple[str, ...] = ()) -> tables.Table:
    """Mean PSNR by what does it, where the answer differs; and in how many scenes the object arrived, and its old place is empty."""
    table = [["task", "untouched", "copy", "dragonkit", "ceiling", "elsewhere", "arrived", "emptied"]]
    for name, several in results.items():
        dB = [[row[who].changed for _, row in several if who in row] for who in table[0][1:5]]
        means = [f"{fmean(values):.1f}" if values else "" for values in dB]
        ours = [row["dragonkit"] for _, row in several]
        counts = [
            f"{sum(getattr(one, what) for one in ours)}/{len(ours)}" if getattr(ours[0], where) == getattr(ours[0], where) else ""
            for what, where in (("found", "target"), ("gone", "vacated"))
        ]
        if not tasks or name in tasks:
            table.append(
                [f"`{name}`", means[0], means[1], f"**{means[2]}**", means[3], f"{fmean(one.elsewhere for one in ours):.1f}", *counts]
            )
    return table


def _printed(command: str) -> str:
    """What `dragonkit bench drag` prints, for the files that the page's own example writes."""
    with tempfile.TemporaryDirectory() as folder:
        example = next(block for block in blocks_of(DOCS / "bench-drag.md") if block.runs)
        subprocess.run([sys.executable, "-c", example.code], cwd=folder, check=True)
        words, wide = [sys.executable, "-m", *shlex.split(command)], {**os.environ, "COLUMNS": "80"}
        return subprocess.run(words, cwd=folder, env=wide, stdout=subprocess.PIPE, check=True, text=True).stdout


def _toybox(page: Path, options: str, show: Callable[[Any], tables.Table], rows: tuple[str, ...] = ()) -> Figure:
    return Figure(
        page, shlex.join(["dragonkit", "bench", "toybox", *options.split(), *(w for row in rows for w in ("--row", row))]), show, _json
    )


def _bench(page: Path, command: str, show: Callable[[Any], tables.Table]) -> Figure:
    return Figure(page, f"dragonkit bench {command}", show, _json)


_benchmark, _performance, _card, _batches = (DOCS / f"{name}.md" for name in ("benchmark", "performance", "toybox-model", "batches"))

FIGURES = {
    "demo": Figure(_card, "dragonkit demo --scenes 10", _demo_table, _demo),
    "demo-short": Figure(
        ROOT / "README.md", "dragonkit demo --scenes 10", partial(_demo_table, tasks=("move", "appearance", "drag")), _demo
    ),
    "model": _bench(_card, "model --n 8 --samples 48", tables.model),
    "matching": _bench(_card, "model --n 8 --samples 48", tables.matching),
    "energies": _toybox(_benchmark, "--n 10", tables.energies, ENERGY_ROWS),
    "rows": _toybox(_benchmark, "--n 10", partial(tables.by_row, columns=[*WAYS, "tint", "UNet calls", "cost"]), ENERGY_ROWS),
    "failures": _toybox(_benchmark, "--n 10", tables.failures, ENERGY_ROWS),
    "inversions": _bench(_benchmark, "inversions --n 3 --steps 10", tables.inversions),
    "preset-rows": _toybox(_benchmark, "--n 5", partial(tables.by_row, columns=[*WAYS, "tint", "UNet calls"]), PRESET_ROWS),
    "presets": _toybox(_benchmark, "--n 5", tables.presets, PRESET_ROWS),
    "fills": _bench(_benchmark, "fills", tables.fills),
    "cost": _bench(_benchmark, "cost", tables.cost),
    "refinements": _toybox(
        _benchmark, "--n 3 --task move --task appearance --task drag", partial(tables.by_row, columns=[*WAYS, "UNet calls"])
    ),
    "drags": _toybox(_benchmark, "--n 10 --task drag --task drag-rigid", tables.drags, DRAG_ROWS),
    "layers": _bench(_benchmark, "paper --n 5", tables.layers),
    "contrast": _bench(_benchmark, "paper --n 5", tables.contrast),
    "rounds": _bench(_benchmark, "paper --n 5", tables.rounds),
    "engines": _bench(_batches, "batch", tables.engines),
    "million": _bench(_batches, "batch", tables.million),
    "wishes": Figure(DOCS / "bench-drag.md", "dragonkit bench drag wishes", str, _printed),
    "speed": _bench(_performance, "speed", tables.speed),
    "shares": _bench(_performance, "speed", tables.shares),
    "ways": _bench(_performance, "ways", tables.ways),
}
"""By the name in the marker. What one command measures is measured once."""


def as_markdown(table: tables.Table | str) -> str:
    """A table, or a printed text in a fence, its lines cut where a page is narrow."""
    if isinstance(table, str):
        lines = (line.rstrip() for line in table.strip().splitlines())
        return "\n".join(["```text", *(line if len(line) <= 100 else f"{line[:100]} ..." for line in lines), "```"])
    header, *rows = ["| " + " | ".join(row) + " |" for row in table]
    return "\n".join([header, "|" + "---|" * len(table[0]), *rows])


def measured(figure: Figure, command: str) -> tables.Table | str:
    """What is measured by a command, which may be a shorter one than the figure's own."""
    return figure.show(figure.measure(command))


def main(names: list[str]) -> None:
    unknown = set(names) - set(FIGURES)
    if unknown:
        sys.exit(f"there are no figures {', '.join(sorted(unknown))}; there are {', '.join(FIGURES)}")
    for name in names or FIGURES:
        figure = FIGURES[name]
        print(f"{figure.page.relative_to(ROOT)}: {name}: {figure.command}", flush=True)
        shown = as_markdown(measured(figure, figure.command))
        figure.page.write_text(written_into(figure.page.read_text("utf-8"), name, figure.command, shown), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
