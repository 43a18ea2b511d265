"""From what `dragonkit bench ... --json` prints to the tables of the pages: each function takes that JSON and gives a table, header first.

An interval is a list of mean, low and high; None stands for nan.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dragonkit.bench.outcomes import FIRST_SEED
from dragonkit.bench.reports.statistics import paired

Table = list[list[str]]
Json = Any
ALL = "all tasks"


def written(found: Sequence[float | None] | None, digits: int = 1) -> str:
    """Mean and interval; the mean alone where all three are one."""
    if not found or found[0] is None:
        return "-"
    mean, low, high = (f"{value:.{digits}f}" for value in found if value is not None)
    return mean if mean == low == high else f"{mean} [{low}, {high}]"


def mean(found: Sequence[float | None] | None, digits: int = 1) -> str:
    return "-" if not found or found[0] is None else f"{found[0]:.{digits}f}"


def named(row: str) -> str:
    return "**default**" if row == "default" else row


# -- dragonkit bench toybox --------------------------------------------------------------------------------------------------------------

SHOWN: Mapping[str, Callable[[Json], str]] = {
    "way": lambda line: written(line["way"], 2),
    "PSNR changed": lambda line: written(line["measures"]["psnr_changed"]),
    "PSNR elsewhere": lambda line: mean(line["measures"]["psnr_elsewhere"]),
    "residual": lambda line: mean(line["measures"]["residual"], 2),
    "tint": lambda line: mean(line["measures"]["tint"]),
    "UNet calls": lambda line: f"{line['evaluations']:.0f}",
    "cost": lambda line: "" if not line["cost"] else f"{line['cost']:.2f}",
}


def by_row(found: Json, columns: Sequence[str]) -> Table:
    """All tasks together; a row that does only some of them says how many."""
    tasks = {record["task"] for record in found["records"]}
    lines = found["summary"][ALL] if len(tasks) > 1 else found["summary"][next(iter(tasks))]
    table = [["row", *columns]]
    for line in lines:
        done = {record["task"] for record in found["records"] if record["row"] == line["row"]}
        name = line["row"] if done == tasks else f"{line['row']} ({len(done)} tasks)"
        table.append([named(name), *(SHOWN[column](line) for column in columns)])
    return table


def _lines(found: Json) -> Mapping[str, Mapping[str, Json]]:
    return {task: {line["row"]: line for line in lines} for task, lines in found["summary"].items() if task != ALL}


def _ahead(found: Json, task: str, other: str) -> str:
    """dB that the default has more, on the same scenes."""
    dB = {(one["row"], one["seed"]): one["psnr_changed"] for one in found["records"] if one["task"] == task}
    pairs = [(dB["default", seed], dB[other, seed]) for row, seed in dB if row == "default" and (other, seed) in dB]
    gain = paired([ours for ours, _ in pairs], [theirs for _, theirs in pairs])
    mean, low, high = (round(value, 1) + 0.0 for value in (gain.mean, gain.low, gain.high))  # no "-0.0"
    return f"{mean:+.1f} [{low:.1f}, {high:.1f}] dB"


def energies(found: Json) -> Table:
    """What the energies decide."""
    table = [["task", "default", "no energies", "`fast`", "copy or fill by cv2, the better one", "default minus no energies"]]
    for task, rows in _lines(found).items():
        copies = [rows[name]["way"] for name in ("copy, Telea", "copy, Navier-Stokes") if name in rows and rows[name]["way"][0] is not None]
        best = max(copies, key=lambda way: way[0], default=None)
        ways = (rows[name]["way"] for name in ("default", "no energies", "fast"))
        table.append([f"`{task}`", *(written(way, 2) for way in ways), written(best, 2), _ahead(found, task, "no energies")])
    return table


def presets(found: Json) -> Table:
    """The default against the presets, by task."""
    names = ("default", "no energies", "paper", "reference")
    header = ["task", "default", "no energies", "`paper`", "`reference`", "default minus `paper`"]
    table = [[*header, "UNet calls: default", "`paper`", "`reference`"]]
    for task, rows in _lines(found).items():
        calls = (f"{rows[name]['evaluations']:.0f}" for name in ("default", "paper", "reference"))
        table.append([f"`{task}`", *(written(rows[name]["way"], 2) for name in names), _ahead(found, task, "paper"), *calls])
    return table


def failures(found: Json) -> Table:
    """The default's, worst first."""
    rows = [[f"`{one['task']}`, seed {one['seed'] - FIRST_SEED}", f"{one['way']:.2f}", one["why"]] for one in found["failures"]]
    return [["task", "way", "why"], *rows]


def drags(found: Json) -> Table:
    """Way and distance of drags by what they start from."""
    rows = _lines(found)
    table = [["row", *(f"{task}: {what}" for task in rows for what in ("way", "px"))]]
    for name in next(iter(rows.values())):
        cells = ((written(lines[name]["way"], 2), mean(lines[name]["measures"]["drag"])) for lines in rows.values())
        table.append([named(name), *(cell for both in cells for cell in both)])
    return table


# -- the others --------------------------------------------------------------------------------------------------------------------------


def inversions(found: Json) -> Table:
    header = ["inversion", "brought back, guidance 1", "guidance 4", "inversion", "free edit"]
    table = [[*header, "way free: move, drag, appearance", "dB, free", "dB, default"]]
    for one in found["inversions"]:
        back, ahead = (mean(one["back"][scale]) for scale in ("1.0", "4.0")), one["ahead"]
        ways = ", ".join(mean(way, 2) for way in one["way"]["free"].values())
        more = ["", ""] if ahead is None else [written(ahead["free"]), written(ahead["default"])]
        table.append([f"`{one['inversion']}`", *back, f"{one['inversion_cost']:.2f}", f"{one['edit_cost']:.2f}", ways, *more])
    return table


def fills(found: Json) -> Table:
    by = {(one["background"], one["row"]): one for one in found}
    header = ["background", "default", "Telea", "Navier-Stokes", "ahead of Telea", "ahead of Navier-Stokes"]
    table = [[*header, "tint", "Navier-Stokes' tint"]]
    for kind in dict.fromkeys(one["background"] for one in found):
        ours, telea, stokes = (by[kind, row] for row in ("default", "cv2, Telea", "cv2, Navier-Stokes"))
        dB = (written(ours["psnr"]), mean(telea["psnr"]), mean(stokes["psnr"]), written(telea["ahead"]), written(stokes["ahead"]))
        table.append([kind, *dB, mean(ours["tint"]), mean(stokes["tint"])])
    return table


def cost(found: Json) -> Table:
    return [
        ["precision", "memory", "peak MiB", "inversion, s", "edit, s", "generations", "UNet calls"],
        *(
            [
                one["dtype"],
                one["memory"],
                "-" if one["peak_mib"] is None else f"{one['peak_mib']:.0f}",
                *(f"{one[what]:.2f}" for what in ("inversion_seconds", "edit_seconds", "generations")),
                str(one["evaluations"]),
            ]
            for one in found
        ),
    ]


def speed(found: Json) -> Table:
    table = [["", "goal", "min", "median", "max", "seconds", "rows, forward + differentiated", "rows of what it is compared with"]]
    for one in found:
        ratios, seconds, rows = sorted(one["ratios"]), sorted(one["seconds"]), one["rows"]
        middle = ratios[len(ratios) // 2]
        spread = [f"{ratios[0]:.2f}", f"{middle:.2f}", f"{ratios[-1]:.2f}"] if len(ratios) > 1 else ["", f"{middle:.2f}", ""]
        table.append(
            [
                one["what"],
                "" if one["goal"] is None else f"{one['goal']:g}",
                *spread,
                f"{seconds[len(seconds) // 2]:.1f}" if seconds else "",
                f"{rows['forward']} + {rows['backward']}" if rows else "",
                str(one["unit_rows"] or ""),
            ]
        )
    return table


def shares(found: Json) -> Table:
    table = [["", "network's calls", "autoencoder", "the rest: the way back, energies, masks"]]
    for one in found:
        if one["shares"] and " edit" in one["what"]:
            parts = [one["shares"]["network"], one["shares"]["autoencoder"]]
            table.append([one["what"], *(f"{100 * part:.0f} %" for part in (*parts, 1 - sum(parts)))])
    return table


def ways(found: Json) -> Table:
    table = [["one row", "a call, ms", "of plain", "with the way back, ms", "of plain", "the first of both, s", "noise off by"]]
    plain = found[0]
    for one in found:
        times = [text for part in ("call", "back") for text in (f"{1e3 * one[part]:.0f}", f"{one[part] / plain[part]:.2f}")]
        table.append([one["what"], *times, f"{one['ready']:.1f}", f"{one['error']:.0e}" if one["error"] else ""])
    return table


def layers(found: Json) -> Table:
    """Figure 2 of the paper."""
    rows = found["2"]["values"].items()
    return [
        ["guided by", "PSNR", "feature similarity"],
        *([row, written(one["PSNR"]), mean(one["feature similarity"], 3)] for row, one in rows),
    ]


def contrast(found: Json) -> Table:
    """Figure 3."""
    values = found["3"]["values"]
    table = [["energies", "residual", "PSNR at the vacated place", "residual, latents kept", "PSNR, latents kept"]]
    for name in ("edit + preserve", "+ contrast", "+ contrast + inpaint"):
        kept = [values[f"{name} (keep {keep})"] for keep in ("energy", "latents")]
        cells = ((written(one["residual"], 2), written(one["vacated PSNR"])) for one in kept)
        table.append([name, *(cell for both in cells for cell in both)])
    return table


def rounds(found: Json) -> Table:
    """Figure 7."""
    table = [["round", "object PSNR", "elsewhere PSNR", "sharpness"]]
    for name, one in found["7"]["values"].items():
        table.append([name.removeprefix("round "), written(one["object PSNR"]), mean(one["elsewhere PSNR"]), mean(one["sharpness"], 2)])
    return table


def model(found: Json) -> Table:
    samples = {name: [None if value is None else 100 * value for value in share] for name, share in found["recognized"]["samples"].items()}
    back = {name: value for name, value in found["psnr"].items() if name != "autoencoder"}
    return [
        ["", "figure"],
        ["autoencoder", f"{written(found['psnr']['autoencoder'])} dB"],
        ["category of the caption recognized in samples", f"{written(samples['category'], 0)} %"],
        ["colour of the caption recognized in samples", f"{written(samples['color'], 0)} %"],
        *([f"50 steps of {name}", f"{written(value)} dB"] for name, value in back.items()),
    ]


def matching(found: Json) -> Table:
    names = {"middle": "none: the middle of the object"}
    return [["features of", "pixels off, of 128"], *([names.get(name, name), mean(value)] for name, value in found["matching"].items())]


# -- dragonkit bench batch ---------------------------------------------------------------------------------------------------------------


def engines(found: Json) -> Table:
    """How fast a batch went; ideal is the editor in a loop, times workers."""
    single = found["ways"][0]["rate"]
    table = [["engine", "workers", "start, s", "jobs/s", "of ideal", "added to a job, ms"]]
    for one in found["ways"]:
        name, ideal = one["engine"], one["rate"] / (single * one["workers"])
        row = [name, str(one["workers"]), f"{one['start']:.1f}", f"{one['rate']:.2f}"]
        table.append([*row, "", ""] if name == "none" else [*row, f"{100 * ideal:.0f} %", f"{1000 * one['overhead']:.0f}"])
    return table


def million(found: Json) -> Table:
    """Hours of a million edits."""
    rows = [[gpus, f"{hours:.3g}", f"{hours * int(gpus):.0f}"] for gpus, hours in found["million"].items()]
    return [["GPUs", "hours", "GPU hours"], *rows]
