"""SECURITY.md says the limits that the code has."""

from __future__ import annotations

from pathlib import Path

from dragonkit.edits import limits
from dragonkit.imaging import opening

PAGE = (Path(__file__).parents[2] / "SECURITY.md").read_text("utf-8")


def test_the_limits_are_those_of_the_code() -> None:
    assert f"at most {opening.MAX_PIXELS:,} pixels and {opening.MAX_SIDE:,} a side" in PAGE
    assert f"{limits.MAX_BYTES // 2**20} MiB, {limits.MAX_EDITS} edits and {limits.MAX_TOTAL_PIXELS:,} pixels" in PAGE


def test_the_formats_are_those_of_the_code() -> None:
    named = PAGE.partition("is read as ")[2].partition(", whatever")[0].replace(" or ", ", ").upper().split(", ")
    assert named == [name for name in (*opening.FORMATS, "AVIF")][: len(named)]
