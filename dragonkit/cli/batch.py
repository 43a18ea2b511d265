"""`dragonkit batch`: many edits, resumable, here or on a cluster."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from dragonkit.cli.console import bars, show, warn
from dragonkit.cli.editing import DeviceOption, JsonOption, PresetOption, QuietOption, TrustOption
from dragonkit.cli.json_output import print_json
from dragonkit.cli.places import MetadataOption, NoMetadataOption, check_device
from dragonkit.errors import EditError
from dragonkit.words import short

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dragonkit.batching.jobs import Select
    from dragonkit.batching.manifest import Record

__all__ = ["batch"]

EVERY = 10.0
"""Seconds between lines of progress where there is no terminal."""


def batch(
    jobs: Annotated[
        str,
        typer.Argument(
            metavar="JOBS",
            help="Edit files as JSON Lines (.jsonl), a table (.csv), or a folder of edit files; with --images one edit file or result PNG.",
        ),
    ],
    out: Annotated[str, typer.Option("--out", "-o", metavar="FOLDER", help="Where results go: FOLDER/NAME.png, and a manifest.")],
    images: Annotated[
        str | None, typer.Option("--images", metavar="PATTERN", help="Edit each of these, as in 'photos/*.jpg'.", show_default=False)
    ] = None,
    masks: Annotated[
        str | None,
        typer.Option(
            "--masks", metavar="PATTERN", help="Where their masks lie, as in 'masks/{stem}.png', from each picture on.", show_default=False
        ),
    ] = None,
    select: Annotated[
        str | None, typer.Option("--select", metavar="NAME", help="Make their masks by a selector, such as object.", show_default=False)
    ] = None,
    at: Annotated[str, typer.Option("--at", metavar="X,Y", help="Where it clicks, as shares of width and height.")] = "0.5,0.5",
    engine: Annotated[str, typer.Option("--engine", metavar="NAME", help="plain or ray.")] = "plain",
    address: Annotated[
        str | None, typer.Option("--address", metavar="ADDRESS", help="A Ray cluster; one on this machine when left out.")
    ] = None,
    workers: Annotated[int, typer.Option("--workers", metavar="INTEGER", min=1, help="Workers of Ray.")] = 1,
    threads: Annotated[int, typer.Option("--threads", metavar="INTEGER", min=1, help="Of each worker, where it computes on a CPU.")] = 1,
    gpus: Annotated[
        float | None,
        typer.Option("--gpus", metavar="NUMBER", min=0, help="For each worker of Ray, such as 0.5; one by default where there is any."),
    ] = None,
    batch_size: Annotated[int, typer.Option("--batch-size", metavar="INTEGER", min=1, help="Jobs that a worker of Ray gets at once.")] = 8,
    together: Annotated[
        int, typer.Option("--together", metavar="INTEGER", min=1, help="Jobs edited at a time without Ray: quicker, other last bits.")
    ] = 1,
    model: Annotated[
        str | None, typer.Option("--model", metavar="NAME", help="Another model than the jobs name.", show_default=False)
    ] = None,
    preset: PresetOption = "default",
    device: DeviceOption = None,
    metadata: MetadataOption = "edit",
    no_metadata: NoMetadataOption = False,
    manifest: Annotated[
        str | None,
        typer.Option("--manifest", metavar="FOLDER", help="For the manifest, instead of --out.", show_default=False),
    ] = None,
    trust_paths: TrustOption = False,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Try again what failed before.")] = False,
    max_errors: Annotated[
        int | None, typer.Option("--max-errors", metavar="INTEGER", min=1, help="Stop after so many failures.", show_default=False)
    ] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Run many edits. Called again, it does what is missing or has changed, and nothing else."""
    from dragonkit.batching.reading import read_jobs
    from dragonkit.batching.run import batch as run_batch
    from dragonkit.edits.settings import Settings

    check_device(device)
    chosen, start = None if select is None else _select(select, at), time.monotonic()
    total = 0
    if not quiet and sys.stderr.isatty():  # only a bar needs to know
        total = sum(1 for _ in read_jobs(jobs, images, masks, chosen, trust_paths))
    with _progress(quiet, total) as note:
        summary = run_batch(
            jobs,
            out,
            images=images,
            masks=masks,
            select=chosen,
            engine=engine,  # type: ignore[arg-type]  # it is checked there
            address=address,
            workers=workers,
            threads=threads,
            gpus=gpus,
            batch_size=batch_size,
            together=together,
            model=model,
            device=device,
            settings=Settings.preset(preset),
            metadata="none" if no_metadata else metadata,  # type: ignore[arg-type]
            manifest=manifest,
            trust_paths=trust_paths,
            retry_failed=retry_failed,
            max_errors=max_errors,
            on_record=note,
            on_interrupt=lambda: print("finishing the jobs in hand; once more ends it at once", file=sys.stderr, flush=True),
        )
    if as_json:
        print_json({**asdict(summary), "manifest": str(summary.manifest), "seconds": round(time.monotonic() - start, 3)})
    elif not quiet:
        counts = f"{summary.done} done, {summary.kept} kept, {summary.skipped} done before, {summary.failed} failed"
        unsure = f", {summary.unsure} with a mask to look at" if summary.unsure else ""
        show(f"{counts}{unsure}; {str(summary.manifest)!r} tells of each")
    if summary.stopped:
        warn(f"stopped: {summary.stopped}; the same command goes on where it was")
        raise typer.Exit({"interrupted": 130, "terminated": 143}.get(summary.stopped, 2))
    if summary.failed:
        raise typer.Exit(2)


@contextmanager
def _progress(quiet: bool, total: int) -> Iterator[Callable[[Record], None]]:
    """What to call with each record: a bar, or lines for a log; what failed, and masks that are worth a look, in any case."""
    ended = new = failed = 0
    start = told = time.monotonic()
    with bars(quiet, rate=True) as bar:
        advance = bar("jobs")

        def note(record: Record) -> None:
            nonlocal ended, new, failed, told
            ended, new, failed = ended + 1, new + (record.seconds > 0), failed + (record.status == "failed")
            advance(ended, total)
            if record.status == "failed":
                warn(f"{record.job}: {record.error}")
            if record.unsure:
                warn(f"{record.job}: look at the mask, {record.unsure}")
            now = time.monotonic()
            if not quiet and not sys.stderr.isatty() and now - told > EVERY:
                told = now
                typer.echo(f"{ended} jobs, {new / (now - start):.2g} a second, {failed} failed", err=True)

        yield note


def _select(selector: str, at: str) -> Select:
    from dragonkit.batching.jobs import Select

    try:
        x, y = map(float, at.split(","))
        if not (0 <= x <= 1 and 0 <= y <= 1):
            raise ValueError
    except ValueError:
        raise EditError(f"--at is {short(at)}, but must be two numbers from 0 to 1, such as 0.5,0.5 for the middle.") from None
    return Select(selector, (x, y))
