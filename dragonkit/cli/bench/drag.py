"""`dragonkit bench drag`: a data set of drags edited and measured, with the options of Settings that every edit has."""

from __future__ import annotations

import inspect
import math
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dragonkit.cli.bench.tables import grid, written
from dragonkit.cli.console import bars, load_registry, show, warn
from dragonkit.cli.editing import DeviceOption, ModelOption, PresetOption, load_editor, parameter_for
from dragonkit.cli.json_output import print_json
from dragonkit.cli.panels import SETTINGS, CommandList, PanelCommand
from dragonkit.cli.places import check_output
from dragonkit.errors import Cancelled, EditError, ImageError, ModelNotFoundError

if TYPE_CHECKING:
    from rich.table import Table

    from dragonkit.bench.drags.run import Fidelity, Record
    from dragonkit.bench.drags.sets import Sample
    from dragonkit.bench.reports.statistics import Interval

__all__ = ["DragCommand", "drag"]


class DragCommand(PanelCommand):
    """Stands for the whole command, which has an option for each field of Settings, until it is called: to make these takes time."""

    def make_context(self, *args: Any, **options: Any) -> Any:
        return _whole_command().make_context(*args, **options)


def drag(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="DragBench, GoodDrag's data set, or a folder of edit files.", show_default=False)
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="PATH", help="Folder for the results. [default: FOLDER-dragonkit]")
    ] = None,
    model: ModelOption = "toybox",
    matcher: Annotated[
        str | None, typer.Option("--matcher", metavar="NAME", help="The model whose features find the points again. [default: --model]")
    ] = None,
    preset: PresetOption = "default",
    device: DeviceOption = None,
    download: Annotated[
        bool, typer.Option("--download", help="Fetch AlexNet's weights, 233 MiB, for the image fidelity, without asking.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    **values: Any,
) -> None:
    """Edit a data set of drags, and measure what is kept of the look and how far from its goal each point ends.

    A result goes to OUT/<category>/<sample>/dragged_image.png, where the public evaluators look for it. What is finished is not done again.
    """
    from dragonkit.bench.drags.sets import open_set
    from dragonkit.cli.options import build, options_of
    from dragonkit.edits.settings import Settings

    fields = options_of(Settings)
    given = build(Settings, fields, {field.name: values[f"settings_{field.name}"] for field in fields})
    settings = Settings.preset(preset, **{name: getattr(given, name) for name in given.model_fields_set})
    found = open_set(folder)
    named = folder if folder.name.strip(".") else folder.resolve()
    place = out or named.parent / f"{named.name}-dragonkit"
    _check_out(place, folder, found.samples)
    registry = load_registry()
    editor = load_editor(registry, model, device, as_json)
    finder = editor if matcher in (None, model) else load_editor(registry, str(matcher), device, as_json)
    fidelity = _fidelity(download)

    from dragonkit.bench.drags.matching import Matcher
    from dragonkit.bench.drags.run import run_samples

    points = Matcher(finder.backbone)
    try:
        with bars(as_json) as bar:
            records = run_samples(editor, found.samples, place, settings, points, fidelity, bar("samples"))
    except (KeyboardInterrupt, Cancelled) as error:
        raise Cancelled(f"interrupted; what is finished lies in {str(place)!r}, and the same command goes on from there") from error
    protocol = {
        "image fidelity": "1 - LPIPS (AlexNet, 224 px) of source and result" if fidelity else "not measured, a warning says why",
        "mean distance": f"matching of features (DIFT), {finder.card.name}: {points.protocol}; in pixels of the picture as given",
    }
    if as_json:
        print_json({"format": found.format, "out": str(place), "protocol": protocol, **_plain(records)}, indent=2)
    else:
        show(_table(found.format, records), *(f"{name}: {text}" for name, text in protocol.items()), *_remarks(records, place))
    failed = [record for record in records if record.state == "failed"]
    for record in failed:
        warn(f"{record.sample}: {record.note}")
    if failed:
        raise EditError(f"{len(failed)} of {len(records)} samples could not be done; the lines above say why.")


# what typer asks for; `values` are the options that the whole command has
_parameters = inspect.signature(drag, eval_str=True).parameters.values()
drag.__signature__ = inspect.Signature([one for one in _parameters if one.kind is not one.VAR_KEYWORD])  # type: ignore[attr-defined]


def _whole_command() -> Any:
    from dragonkit.cli.options import options_of
    from dragonkit.edits.settings import Settings

    def command(**values: Any) -> None:
        drag(**values)

    own = inspect.signature(drag).parameters.values()
    settings = [parameter_for(field, f"settings_{field.name}", SETTINGS) for field in options_of(Settings)]
    command.__signature__ = inspect.Signature([*own, *settings])  # type: ignore[attr-defined]
    maker = CommandList(rich_markup_mode=None, add_completion=False)
    maker.command("drag", help=inspect.getdoc(drag))(command)
    return typer.main.get_command(maker)


def _check_out(out: Path, folder: Path, samples: Sequence[Sample]) -> None:
    """Refuse a place in which nothing can be written, or where results would lie among the samples."""
    if any((out / sample.name).resolve().is_relative_to(folder.resolve()) for sample in samples):
        raise ImageError(f"--out is {str(out)!r}, so that results would lie among the samples in {str(folder)!r}; give another folder.")
    check_output(out / "dragged_image.png", overwrite=True)


def _fidelity(download: bool) -> Fidelity | None:
    """Image fidelity, or None and a line on stderr where it cannot be measured; nobody downloads what was not asked for."""
    from dragonkit.bench.drags.fidelity import has_alexnet, image_fidelity, load_lpips

    question = "Image fidelity needs AlexNet's weights, 233 MiB from download.pytorch.org. Fetch them?"
    if not (download or has_alexnet() or (_somebody_is_there() and typer.confirm(question, err=True))):
        warn("image fidelity is left out: it needs AlexNet's weights, 233 MiB, which --download fetches")
        return None
    try:
        lpips = load_lpips()
    except (ImportError, ModelNotFoundError) as error:
        warn(f"image fidelity is left out: {error}")
        return None
    return lambda before, after: image_fidelity(lpips, before, after)


def _somebody_is_there() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


def _means(records: Sequence[Record]) -> dict[str, Interval]:
    """Means over the samples, each of which counts once however many points it has."""
    from dragonkit.bench.reports.statistics import interval

    return {
        "fidelity": interval([record.fidelity for record in records]),
        "distance": interval([_mean(record.distances) for record in records]),
        "untouched": interval([_mean(record.untouched) for record in records]),
    }


def _over_points(records: Sequence[Record]) -> tuple[float, int]:
    """The mean distance over all points alike, as DragBench's evaluator takes it, and their number."""
    every = [distance for record in records for distance in record.distances]
    return _mean(every), len(every)


def _table(name: str, records: Sequence[Record]) -> Table:
    means = {key: written(found, 3 if key == "fidelity" else 1) for key, found in _means(records).items()}
    columns = {
        "sample": [*(record.sample for record in records), "mean [95 % interval]"],
        "": [*(record.state for record in records), ""],
        "image fidelity": [*(_number(record.fidelity, 3) for record in records), means["fidelity"]],
        "mean distance px": [*(_number(_mean(record.distances)) for record in records), means["distance"]],
        "untouched px": [*(_number(_mean(record.untouched)) for record in records), means["untouched"]],
    }
    shown = {title: cells for title, cells in columns.items() if any(cells)}  # what was not measured has no column
    return grid(f"{name}: {len(records)} sample{'s' if len(records) > 1 else ''}", list(shown), list(zip(*shown.values(), strict=True)))


def _remarks(records: Sequence[Record], out: Path) -> list[str]:
    mean, count = _over_points(records)
    over_points = [f"over all {count} points alike, as DragBench's evaluator averages: {mean:.1f} px"] if count else []
    notes = [f"{record.sample}: {record.note}" for record in records if record.note and record.state != "failed"]
    return [*over_points, *notes, f"results: {out}"]


def _plain(records: Sequence[Record]) -> dict[str, Any]:
    """For JSON: nan as null."""
    mean, count = _over_points(records)
    means = {name: None if math.isnan(found.mean) else found._asdict() for name, found in _means(records).items()}
    over_points = {"mean": None if math.isnan(mean) else mean, "points": count}
    samples = [{**asdict(record), "fidelity": None if math.isnan(record.fidelity) else record.fidelity} for record in records]
    return {"means": means, "distance_over_points": over_points, "samples": samples}


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else math.nan


def _number(value: float, digits: int = 1) -> str:
    return "" if math.isnan(value) else f"{value:.{digits}f}"
