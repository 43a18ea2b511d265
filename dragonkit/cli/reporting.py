"""What an editing command tells when it is done."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from dragonkit.cli.console import show, warn

if TYPE_CHECKING:
    from dragonkit.diffusion.source import Source
    from dragonkit.editing.editor import Editor
    from dragonkit.editing.results import EditResult, Report

__all__ = ["advise", "report"]


def advise(editor: Editor, source: Source) -> None:
    """What is worth knowing before the edit, on stderr."""
    for sentence in editor.advice(source):
        warn(sentence)


def report(result: EditResult, place: Path, as_json: bool, quiet: bool) -> None:
    """The report as JSON with `out`, where the result lies; or a short summary. Its warnings were shown before the edit."""
    if as_json:
        # pydantic writes infinite decibels as null, as JSON knows no infinity
        typer.echo(json.dumps({"out": str(place), **json.loads(result.report.model_dump_json())}, indent=2))
        return
    if not quiet:
        from rich.table import Table
        from rich.text import Text

        table = Table.grid(padding=(0, 2))
        for name, value in _rows(result.report):
            table.add_row(Text(name, style="dim"), Text(value))
        show(table, f"written to {place}")


def _rows(report: Report) -> list[tuple[str, str]]:
    (width, height), (inner_width, inner_height) = report.image_size, report.working_size
    guided = sum(bool(step.energies) for step in report.steps)
    rows = [
        ("edit", ", ".join(report.modes)),
        ("model", report.model),
        ("size", f"{width}x{height}" + (f", edited at {inner_width}x{inner_height} and resized back" if report.resized else "")),
        ("steps", f"{len(report.steps)}, {guided} of them guided"),
        ("time", f"{report.seconds:.1f} s, {report.network_evaluations} network evaluations after the inversion"),
    ]
    if report.prompt:
        rows.insert(1, ("prompt", report.prompt))
    if report.reconstruction_psnr is not None:
        best = "" if report.autoencoder_psnr is None else f" of at most {report.autoencoder_psnr:.1f} dB"
        rows.append(("reconstruction", f"{report.reconstruction_psnr:.1f} dB{best}"))
    return rows
