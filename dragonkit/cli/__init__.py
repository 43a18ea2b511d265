"""The command line. Importing it loads typer and little else; commands load what they need when they run."""

from __future__ import annotations

from dragonkit.cli.app import main

__all__ = ["main"]
