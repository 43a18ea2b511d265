"""The page stands alone, shows every case, the worst first, and lets nothing in that names could carry."""

from __future__ import annotations

import base64
import io
import math
import re
from dataclasses import fields
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from helpers.faults import full_after, state
from PIL import Image

from dragonkit.bench.measures.measure import ABOUT, Measures, Record
from dragonkit.bench.reports.page import write_page

ROWS = ("untouched", "default", "fast", "ceiling")
HOSTILE = "<script>alert('1')</script>\"&x"


class Page(HTMLParser):
    """Checks that elements close in order, and gathers what the tests ask for."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs)
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append((self.open[-1], data.strip()))

    def of(self, tag: str) -> list[str]:
        return [text for element, text in self.texts if element == tag]

    @property
    def pictures(self) -> list[tuple[str, str]]:
        """What each is, and the class that shows it."""
        return [(attrs["aria-label"] or "", (attrs["class"] or "").split()[-1]) for _, attrs in self.tags if attrs.get("role") == "img"]


def picture(number: int, side: int = 8) -> Image.Image:
    return Image.fromarray(np.random.default_rng(number).integers(0, 256, (side, side, 3)).astype(np.uint8))


def record(row: str, seed: int, psnr: float, task: str = "move", **other: float) -> Record:
    values = {one.name: math.nan for one in fields(Measures)} | {"psnr_changed": psnr} | other
    after = picture(seed * 1000 + ROWS.index(row) if row in ROWS else 0)
    return Record(task, seed, row, picture(seed), picture(-seed % 99), after, Measures(**values), 50, 1.25, picture(seed + 500, 300))


def several() -> list[Record]:
    levels = {"untouched": 10.0, "default": 20.0, "fast": 15.0, "ceiling": 30.0}
    return [record(row, seed, level + seed, placement=4.0 - seed) for seed in (1, 3, 2) for row, level in levels.items()]


def written(path: Path, records: list[Record], **other: object) -> tuple[str, Page]:
    write_page(path / "new" / "page.html", records, **other)  # type: ignore[arg-type]
    text = (path / "new" / "page.html").read_text("utf-8")
    return text, Page(text)


def test_the_page_stands_alone(tmp_path: Path) -> None:
    text, page = written(tmp_path, several())
    assert not {"script", "link", "iframe", "object", "img"} & {tag for tag, _ in page.tags}
    assert not any({"src", "style"} & attrs.keys() or any(name.startswith("on") for name in attrs) for _, attrs in page.tags)
    targets = {f"#{attrs['id']}" for _, attrs in page.tags if "id" in attrs}
    links = {attrs["href"] for _, attrs in page.tags if "href" in attrs}
    assert links and links <= targets
    assert not re.search(r"https?:|@import", text) and re.findall(r"url\((.{10})", text) == ["data:image"] * text.count("url(")
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in [attrs for tag, attrs in page.tags if tag == "meta"]
    assert "prefers-color-scheme: dark" in text


def test_a_full_disk_leaves_the_old_page(tmp_path: Path) -> None:
    write_page(tmp_path / "page.html", [])
    before = state(tmp_path)
    for size in (0, 100, 5000):
        with full_after(size), pytest.raises(OSError):
            write_page(tmp_path / "page.html", several())
    assert state(tmp_path) == before


def test_every_case_is_shown_with_its_own_pictures(tmp_path: Path) -> None:
    records = several()
    text, page = written(tmp_path, records)
    urls = dict(re.findall(r"\.(p\w+) \{ background-image: url\(data:image/png;base64,([^)]+)\)", text))
    decoded = {key: np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))) for key, data in urls.items()}
    found = [decoded[key] for _, key in page.pictures]
    assert [name for name, _ in page.pictures] == ["before", "wish", "answer", "after"] * len(records)
    order = sorted(records, key=lambda one: (ROWS.index(one.row), one.measures.psnr_changed))  # rows as they come, the worst first
    expected = [shown for one in order for shown in (one.before, one.wish, one.answer, one.after)]
    assert all(np.array_equal(a, np.asarray(b)) for a, b in zip(found, expected, strict=True))
    assert len(urls) == len({np.asarray(shown).tobytes() for shown in expected})  # each only once


def test_the_worst_come_first_and_what_nobody_knows_last(tmp_path: Path) -> None:
    values = {1: 20.0, 2: math.nan, 3: 12.0, 4: 31.0}
    _, page = written(tmp_path, [record("default", seed, value) for seed, value in values.items()])
    assert [re.findall(r"\d+", text)[0] for text in page.of("h3")] == ["3", "1", "4", "2"]


def test_figures(tmp_path: Path) -> None:
    records = [
        record("untouched", 1, 10), record("default", 1, 25, placement=1.46, residual=0.125, color_before=7), record("ceiling", 1, 30),
    ]  # fmt: skip
    _, page = written(tmp_path, records)
    assert not any("nan" in said.lower() for element, said in page.texts if element != "style")
    assert {"25.0 dB", "1.5 px", "0.12", "7.0", "50", "1.2 s"} <= set(page.of("dd"))
    assert "move, seed 1: 75% of the way" in page.of("h3")
    assert {"PSNR changed ↑", "placement ↓"} <= set(page.of("th")) and "colour before ↓" not in page.of("th")
    assert "75% (75% to 75%)" in page.of("small")


def test_the_best_is_bold_and_what_it_does_not_beat(tmp_path: Path) -> None:
    rng, records = np.random.default_rng(0), []
    for seed in range(12):
        level = rng.normal(20, 5)
        records += [record("default", seed, level + rng.normal(0, 0.1)), record("fast", seed, level), record("slow", seed, level - 1)]
        records += [record("untouched", seed, 10), record("ceiling", seed, 60)]
        records += [record("default", seed, level, "resize", placement=1), record("fast", seed, level + 1, "resize", placement=2)]
    text, _ = written(tmp_path, records)
    best = {
        row: [found[:1] == "b" for found in re.findall(r"<td(?: class=\"(b)est\")?><span>", line)]
        for row, line in re.findall(r'<th scope="row">(\w+)</th>(.*)</tr>', text.split("</table>")[0])
    }
    assert best == {"default": [True, False], "fast": [True, True], "slow": [False], "untouched": [False], "ceiling": [False]}
    last = text.split("<table>")[3]  # placement of the resized: lower is better
    assert re.search(r'<th scope="row">default</th>.*class="best"><span>1\.0</span>', last)
    assert not re.search(r'<th scope="row">fast</th>.*class="best"><span>2\.0</span>', last)


def test_rows_that_cannot_do_a_task_are_left_out_there(tmp_path: Path) -> None:
    records = [record("default", 1, 20), record("copy", 1, 18), record("default", 1, 21, "resize")]
    _, page = written(tmp_path, records, about={"copy": "by hand"})
    assert page.of("summary")[1:] != [] and [text for text in page.of("b")] == ["default", "copy", "default"]
    assert "by hand" in page.of("span") and "by hand" in page.of("dd")
    opened = [attrs for tag, attrs in page.tags if tag == "details" and attrs.get("class") == "row" and "open" in attrs]
    assert len(opened) == 2  # the defaults'


def test_names_carry_nothing_in(tmp_path: Path) -> None:
    records = [record(HOSTILE, 1, 20, task=f"task {HOSTILE}"), record("default", 1, 20, task=f"task {HOSTILE}")]
    text, page = written(tmp_path, records, about={HOSTILE: f"about {HOSTILE}"}, title=f"title {HOSTILE}")
    assert "script" not in {tag for tag, _ in page.tags} and "<script" not in text and "alert('" not in text
    for shown in (HOSTILE, f"about {HOSTILE}", f"title {HOSTILE}", f"task {HOSTILE}, seed 1"):
        assert shown in [said for _, said in page.texts]
    assert f"measures of task {HOSTILE}" in [attrs.get("aria-label") for _, attrs in page.tags]


def test_a_page_about_nothing_and_one_without_wishes(tmp_path: Path) -> None:
    assert "Nothing was run." in written(tmp_path, [])[1].of("p")
    bare = Record("move", 1, "default", picture(1), picture(2), picture(3), record("default", 1, 20).measures, 1, 0.1)
    assert [name for name, _ in written(tmp_path, [bare])[1].pictures] == ["before", "answer", "after"]


def test_the_legend_explains_every_measure(tmp_path: Path) -> None:
    _, page = written(tmp_path, several())
    assert {one.title for one in ABOUT.values()} <= set(page.of("dt"))
    said = "".join(page.of("dd"))
    assert all(one.text in said for one in ABOUT.values())


def test_a_failure_says_why(tmp_path: Path) -> None:
    records = [
        record("untouched", 1, 10.0),
        record("ceiling", 1, 30.0),
        record("default", 1, 12.0, residual=0.8),
        record("fast", 1, 29.0, residual=0.8),
    ]
    write_page(tmp_path / "page.html", records)
    said = Page((tmp_path / "page.html").read_text("utf-8")).of("p")
    assert sum("80% of the object is still at its old place" in text for text in said) == 1  # the fast one went far enough
