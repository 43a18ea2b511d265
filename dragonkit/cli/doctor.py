"""`dragonkit doctor`: what works on this machine, and what to do about the rest."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from dragonkit.cli.checkup import checkup
from dragonkit.cli.console import load_registry, show
from dragonkit.cli.json_output import print_json

__all__ = ["doctor"]

MARKS = {"ok": "ok", "note": "--", "bad": "!!"}


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of lines.")] = False) -> None:
    """Say what works on this machine, and what to do about the rest."""
    checks = list(checkup(load_registry()))
    if as_json:
        return print_json({"ok": all(check.status != "bad" for check in checks), "checks": [asdict(check) for check in checks]}, indent=2)
    for check in checks:
        show(f"{MARKS[check.status]}  {check.name}: {check.said}")
        if check.mend:
            show(f"      {check.mend}")
    show("", "!! keeps dragonkit from working; -- is missing, and not needed everywhere.")
