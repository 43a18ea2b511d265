"""A benchmark as one HTML file that needs nothing else: tables on top, then every case in pictures and figures, the worst first."""

from __future__ import annotations

import base64
import hashlib
import io
import math
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from importlib import resources
from pathlib import Path

from PIL import Image

from dragonkit.bench.measures.measure import ABOUT, Record, fraction
from dragonkit.bench.reports.failures import HALF, why
from dragonkit.bench.reports.page_tables import CEILING, HEADLINE, UNTOUCHED, Rows, by_row, figure, summary_table, task_table
from dragonkit.bench.reports.statistics import interval
from dragonkit.files import write_text

__all__ = ["write_page"]

_OPEN = "default"  # the row that people get: its failures are seen without a click
_SMALL = 160  # pixels; narrower pictures are shown enlarged, and their pixels shall be seen as they are
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"  # the browser itself keeps the page from loading anything


def write_page(
    path: str | Path, records: Iterable[Record], about: Mapping[str, str] | None = None, title: str = "dragonkit bench toybox"
) -> None:
    """Write records as one HTML file, without scripts and with all pictures inside, each only once.

    On top a table of the PSNR where something had to change, by row and task; then for each task a table of all measures, and for each row
    every case: before, the wish, the answer, after, and the figures, sorted by the same PSNR, lowest first.

    Args:
        path: its folder is made where it is missing.
        records: in any order; tasks and rows are shown in the order in which they first come.
        about: by row, a line on what it is.

    Raises:
        OSError: the file cannot be written.
    """
    several: dict[str, list[Record]] = {}
    for record in records:
        several.setdefault(record.task, []).append(record)
    tasks = {task: by_row(group) for task, group in several.items()}
    pictures = _Pictures()
    body = "\n".join(_body(tasks, about or {}, title, pictures))
    css = resources.files("dragonkit.bench.reports").joinpath("page.css").read_text("utf-8")
    head = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n<title>{escape(title)}</title>\n'
    )
    write_text(path, f"{head}<style>\n{css}{pictures.css()}</style></head>\n<body>\n{body}\n</body></html>\n")


class _Pictures:
    """Every picture as the background of a CSS class, so that the twenty rows of a task share its scene and its answer."""

    def __init__(self) -> None:
        self._urls: dict[str, str] = {}

    def show(self, picture: Image.Image, name: str) -> str:
        rgb = picture.convert("RGB")
        key = "p" + hashlib.sha256(repr(rgb.size).encode() + rgb.tobytes()).hexdigest()[:20]
        if key not in self._urls:
            buffer = io.BytesIO()
            rgb.save(buffer, "PNG")
            self._urls[key] = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
        kind = f"picture small {key}" if rgb.width < _SMALL else f"picture {key}"
        return f'<figure><span class="{kind}" role="img" aria-label="{name}"></span><figcaption>{name}</figcaption></figure>'

    def css(self) -> str:
        return "".join(f".{key} {{ background-image: url({url}) }}\n" for key, url in self._urls.items())


def _body(tasks: Mapping[str, Rows], about: Mapping[str, str], title: str, pictures: _Pictures) -> Iterator[str]:
    yield f"<h1>{escape(title)}</h1>"
    if not tasks:
        yield "<p>Nothing was run.</p>"
        return
    cases = len({(task, seed) for task, rows in tasks.items() for several in rows.values() for seed in several})
    yield (
        f"<p>{cases} tasks with known answers, each done in every way that is compared. A cell is a mean with its 95 % bootstrap interval, "
        "and how much of the way from the untouched source (0 %) to the autoencoder's round trip of the answer, the ceiling (100 %), was "
        "gone. In bold: the best, and what it does not beat on the same tasks beyond the interval; the untouched source and the ceiling "
        "do not compete.</p>"
    )
    yield '<details><summary>What the figures mean</summary><dl class="legend">'
    yield from (f"<div><dt>{escape(one.title)}</dt>: <dd>{_meaning(name)}</dd></div>" for name, one in ABOUT.items())
    yield from (f"<div><dt>{escape(row)}</dt>: <dd>{escape(text)}</dd></div>" for row, text in about.items())
    yield "</dl></details>"
    yield f"<h2>{escape(ABOUT[HEADLINE].title)}: {escape(ABOUT[HEADLINE].text)}</h2>"
    yield summary_table(tasks)
    yield "<p>All measures and all cases:</p><nav>"
    yield from (f'<a href="#task-{number}">{escape(task)}</a>' for number, task in enumerate(tasks))
    yield "</nav>"
    for number, (task, rows) in enumerate(tasks.items()):
        yield f'<section id="task-{number}"><h2>{escape(task)}</h2>'
        yield task_table(task, rows)
        for row in rows:
            yield from _cases(row, rows, about.get(row, ""), pictures)
        yield "</section>"


def _meaning(name: str) -> str:
    one = ABOUT[name]
    return escape(f"{one.text}{f', in {one.unit}' if one.unit else ''}; {'higher' if one.higher else 'lower'} is better")


def _cases(row: str, rows: Rows, about: str, pictures: _Pictures) -> Iterator[str]:
    records = list(rows[row].values())
    mean = interval([getattr(record.measures, HEADLINE) for record in records]).mean
    said = "" if math.isnan(mean) else f" {figure(HEADLINE, mean)}"
    yield f'<details class="row"{" open" if row == _OPEN else ""}><summary><b>{escape(row)}</b>{said}'
    yield f'<span class="soft"> {escape(about)}</span></summary><ol class="cases">'
    for record in sorted(records, key=_badness):
        shown = {"before": record.before, "wish": record.wish, "answer": record.answer, "after": record.after}
        gone = fraction(*(_headline(rows, one, record.seed) for one in (row, UNTOUCHED, CEILING)))
        said = "" if math.isnan(gone) else f": {gone:.0%} of the way"
        yield f'<li class="case"><h3>{escape(record.task)}, seed {record.seed}{said}</h3><div class="pictures">'
        yield from (pictures.show(picture, name) for name, picture in shown.items() if picture is not None)
        yield "</div>"
        if gone < HALF:
            yield f"<p>{escape(why(record.measures))}</p>"
        yield "<dl>"
        values = {name: getattr(record.measures, name) for name in ABOUT}
        yield from (
            f"<div><dt>{escape(ABOUT[name].title)}</dt><dd>{figure(name, value)}</dd></div>"
            for name, value in values.items()
            if not math.isnan(value)
        )
        yield f"<div><dt>UNet calls</dt><dd>{record.evaluations}</dd></div>"
        yield f"<div><dt>time</dt><dd>{record.seconds:.1f} s</dd></div></dl></li>"
    yield "</ol></details>"


def _headline(rows: Rows, row: str, seed: int) -> float:
    record = rows.get(row, {}).get(seed)
    return math.nan if record is None else getattr(record.measures, HEADLINE)


def _badness(record: Record) -> tuple[bool, float]:
    value = getattr(record.measures, HEADLINE)
    return math.isnan(value), value
