"""`dragonkit batch`: many edits, resumable, here or on a cluster."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dragonkit.cli.console import bars, show, warn
from dragonkit.cli.editing import DeviceOption, JsonOption, PresetOption, QuietOption, TrustOption
from dragonkit.cli.json_output import print_json
from dragonkit.cli.places import MetadataOption, NoMetadataOption, check_device

if TYPE_CHECKING:
    from dragonkit.batching.manifest import Record

__all__ = ["batch"]


def batch(
    jobs: Annotated[
        Path,
        typer.Argument(
            metavar="JOBS",
            help="Edit files as JSON Lines (.jsonl), a table (.csv), or a folder of edit files; with --images one edit file or result PNG.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="Where results go: FOLDER/NAME.png, and a manifest.")],
    images: Annotated[
        str | None,
        typer.Option("--images", metavar="PATTERN", help="Edit each of these pictures, as in 'photos/*.jpg'.", show_default=False),
    ] = None,
    masks: Annotated[
        str | None,
        typer.Option(
            "--masks", metavar="PATTERN", help="Where their masks lie, as in 'masks/{stem}.png', from each picture on.", show_default=False
        ),
    ] = None,
    engine: Annotated[str, typer.Option("--engine", metavar="NAME", help="local or ray.")] = "local",
    address: Annotated[
        str | None, typer.Option("--address", metavar="ADDRESS", help="A Ray cluster; one on this machine when left out.")
    ] = None,
    workers: Annotated[int, typer.Option("--workers", metavar="INTEGER", min=1, help="Workers of Ray.")] = 1,
    gpus: Annotated[float, typer.Option("--gpus", metavar="NUMBER", min=0, help="GPUs for each worker of Ray, such as 0.5.")] = 0.0,
    batch_size: Annotated[int, typer.Option("--batch-size", metavar="INTEGER", min=1, help="Jobs that a worker of Ray gets at once.")] = 8,
    model: Annotated[
        str | None, typer.Option("--model", metavar="NAME", help="Another model than the jobs name.", show_default=False)
    ] = None,
    preset: PresetOption = "default",
    device: DeviceOption = None,
    metadata: MetadataOption = "edit",
    no_metadata: NoMetadataOption = False,
    trust_paths: TrustOption = False,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Try again what failed before.")] = False,
    max_errors: Annotated[
        int | None, typer.Option("--max-errors", metavar="INTEGER", min=1, help="Stop after so many failures.", show_default=False)
    ] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Run many edits. Called again, it does what is missing, what has changed, and nothing else."""
    from dragonkit.batching.run import batch as run_batch
    from dragonkit.edits.settings import Settings

    check_device(device)
    start, ended, failed = time.monotonic(), 0, 0
    with bars(quiet) as bar:
        advance = bar("jobs")

        def note(record: Record) -> None:
            nonlocal ended, failed
            ended += 1
            advance(ended, 0)
            if record.status == "failed":
                failed += 1
                warn(f"{record.job}: {record.error}")
            elif not quiet and not sys.stderr.isatty() and ended % 100 == 0:
                typer.echo(f"{ended} jobs, {ended / (time.monotonic() - start):.2g} a second, {failed} failed", err=True)

        summary = run_batch(
            jobs,
            out,
            images=images,
            masks=masks,
            engine=engine,  # type: ignore[arg-type]
            address=address,
            workers=workers,
            gpus=gpus,
            batch_size=batch_size,
            model=model,
            device=device,
            settings=Settings.preset(preset),
            metadata="none" if no_metadata else metadata,  # type: ignore[arg-type]
            trust_paths=trust_paths,
            retry_failed=retry_failed,
            max_errors=max_errors,
            on_record=note,
        )
    if as_json:
        print_json({**asdict(summary), "manifest": str(summary.manifest), "seconds": round(time.monotonic() - start, 3)})
    elif not quiet:
        counts = f"{summary.done} done, {summary.kept} kept, {summary.skipped} done before, {summary.failed} failed"
        show(f"{counts}; {str(summary.manifest)!r} tells of each")
    if summary.stopped:
        warn(f"stopped: {summary.stopped}; the same command goes on where it was")
        raise typer.Exit(130 if summary.stopped == "interrupted" else 2)
    if summary.failed:
        raise typer.Exit(2)
