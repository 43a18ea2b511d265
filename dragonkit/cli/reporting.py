"""What an editing command tells when it is done."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dragonkit.cli.console import printable, show, warn
from dragonkit.cli.json_output import print_json

if TYPE_CHECKING:
    from dragonkit.diffusion.source import Source
    from dragonkit.editing.editor import Editor
    from dragonkit.editing.layout import Layout
    from dragonkit.editing.places import PlaceReport
    from dragonkit.editing.results import EditResult, Report

__all__ = ["advise", "report"]


def advise(editor: Editor, source: Source, layout: Layout) -> None:
    """What is worth knowing before the edit, on stderr."""
    for sentence in editor.advice(source, layout):
        warn(sentence)


def report(result: EditResult, place: Path, seconds: float, as_json: bool, quiet: bool) -> None:
    """The report as JSON with `out`, where the result lies; or a short summary, with the seconds that all of it took.

    Its warnings were shown before the edit.
    """
    if as_json:
        print_json({"out": str(place), **result.report.model_dump(mode="json")}, indent=2)
        return
    if not quiet:
        from rich.table import Table
        from rich.text import Text

        table = Table.grid(padding=(0, 2))
        for name, value in _rows(result.report, result.edit_file.settings.steps, seconds):
            table.add_row(Text(name, style="dim"), Text(printable(value)))
        show(table, f"written to {place}")


def _rows(report: Report, steps: int, seconds: float) -> list[tuple[str, str]]:
    (width, height), (inner_width, inner_height) = report.image_size, report.working_size
    guided, settled = sum(bool(step.energies) for step in report.steps), steps - len(report.steps)
    rows = [
        ("edit", ", ".join(report.modes)),
        ("model", report.model),
        ("size", f"{width}x{height}" + (f", edited at {inner_width}x{inner_height} and resized back" if report.resized else "")),
        ("steps", f"{steps}, {guided} of them guided" + (f"; {settled} had nothing to do, as all was held" if settled else "")),
        ("time", f"{seconds:.1f} s, of which the edit took {report.seconds:.1f} s with {report.network_evaluations} network evaluations"),
    ]
    rows[2:2] = [("place", _place(place)) for place in report.places]
    if report.prompt:
        rows.insert(1, ("prompt", report.prompt))
    if report.reconstruction_psnr is not None:
        best = "" if report.autoencoder_psnr is None else f" of at most {report.autoencoder_psnr:.1f} dB"
        rows.append(("reconstruction", f"{report.reconstruction_psnr:.1f} dB{best}"))
    return rows


def _place(place: PlaceReport) -> str:
    """How much of the picture a mask covers, and what becomes of it."""
    said = f"the {place.mode}'s content covers {place.covers:.1%} of the picture, {place.changes:.1%} may change"
    borders = f"the {' and '.join(place.cut)} border{'s' if len(place.cut) > 1 else ''}"
    return f"{said}; its target is cut by {borders}" if place.cut else said
