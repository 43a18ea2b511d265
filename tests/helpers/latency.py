"""`python -m helpers.latency` does in a real browser what a hand does in the editor, and prints how long one waits and what is sent."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from helpers.boat import CELL, SCENE, WINDOW, to_window, wait_for
from helpers.notebook_page import LONG, NotebookPage
from helpers.notebook_server import Server, chromium, serve
from helpers.slow_line import Line, slow_line
from PIL import Image

LINES: dict[str, tuple[float, float | None]] = {"local": (0.0, None), "100 ms, 10 Mbit/s": (0.1, 10e6)}
WARM_UP = (0.0, None)
QUIET = 1000  # milliseconds after an action, for what still comes
_SEEN = """() => { const canvas = document.querySelector('.dk-editor canvas'), small = new OffscreenCanvas(64, 64);
    const context = small.getContext('2d'); context.drawImage(canvas, 0, 0, 64, 64);
    return canvas.width + ':' + context.getImageData(0, 0, 64, 64).data.join(); }"""


def measured(lab: NotebookPage, line: Line) -> list[tuple[str, float, float, float]]:
    """For each action: its name, seconds until it is seen, and kilobytes to the kernel and from it."""
    page, rows = lab.page, list[tuple[str, float, float, float]]()

    def row(name: str, act: Callable[[], Any], seen: str | None = None, prepare: Callable[[], Any] | None = None) -> None:
        if prepare:
            prepare()
        page.wait_for_timeout(QUIET)
        before, up, down = page.evaluate(_SEEN), line.up, line.down
        begun = time.perf_counter()
        act()
        page.wait_for_function(seen or f"before => ({_SEEN})() !== before", arg=before, timeout=LONG, polling="raf")
        seconds = time.perf_counter() - begun
        page.wait_for_timeout(QUIET)
        rows.append((name, seconds, (line.up - up) / 1000, (line.down - down) / 1000))

    middle = tuple(float(np.median(places)) + 0.5 for places in np.nonzero(SCENE.objects[0].mask)[::-1])
    start, end = to_window(lab, middle, (middle[0] - 14, middle[1] + 9))
    lab.press("pick")
    page.mouse.move(5, 5)
    row("the pointer comes over the object: it lights up", lambda: page.mouse.move(*start))
    row("click: it is selected", lambda: page.mouse.click(*start))

    def carry() -> None:
        page.mouse.move(*start)
        page.mouse.down()
        page.mouse.move(*end, steps=20)
        page.mouse.up()

    moved = "[...document.querySelectorAll('.dk-editor input[type=number]')].some(box => box.value === '-14')"
    row("drag it in 20 moves: it is there, and the fields say so", carry, moved)
    running = "document.querySelector('.dk-editor .dk-progress').textContent.includes('editing: step')"
    row("Run: the first progress", lambda: lab.press("Run"), running)
    wait_for(lab, "status", "done in")
    edge, half = to_window(lab, (0.2, 20), (32, 20))
    row("push the line between before and after", lambda: lab.drag(edge, half))
    row("undo", lambda: lab.press("undo"))
    row("zoom to 200 %", lambda: lab.press("200 %"))
    with tempfile.TemporaryDirectory() as folder:
        noise = np.random.default_rng(0).integers(0, 256, (700, 900, 3), dtype=np.uint8)
        Image.fromarray(noise).save(path := Path(folder) / "noise.png")
        chooser = page.locator(".dk-editor button", has_text="Open")
        with page.expect_file_chooser() as waiting:
            chooser.click()
        size = f"{path.stat().st_size / 1e6:.1f} MB"
        row(
            f"open a picture of {size}", lambda: waiting.value.set_files(path), "document.querySelector('.dk-editor canvas').height === 498"
        )
    return rows


def main() -> None:
    tables = []
    with tempfile.TemporaryDirectory() as folder, serve(Path(folder)) as server, chromium() as browser:
        for number, (round_trip, rate) in enumerate([WARM_UP, *LINES.values()]):
            with slow_line(int(server.url.rpartition(":")[2]), round_trip, rate) as line:
                page = browser.new_context(viewport=WINDOW).new_page()
                slow = Server(f"http://127.0.0.1:{line.port}", server.token, server.folder)
                lab = NotebookPage(page, slow, f"latency-{number}", [CELL], Path(folder))
                lab.open()
                lab.run_cells()
                lab.until_open()
                wait_for(lab, "status", "is inverted")
                tables.append(measured(lab, line))
                page.context.close()
    _, *tables = tables  # a browser that has just been started is slow
    print(f"| action | {' | '.join(LINES)} | to the kernel | from it |\n|---|{'---|' * len(LINES)}---|---|")
    for rows in zip(*tables, strict=True):
        seconds = " | ".join(f"{1000 * row[1]:,.0f} ms" for row in rows)
        print(f"| {rows[0][0]} | {seconds} | {rows[-1][2]:,.0f} kB | {rows[-1][3]:,.0f} kB |")


if __name__ == "__main__":
    main()
