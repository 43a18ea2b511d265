"""What `make mutants` prints: how many of the small mistakes that mutmut made were noticed, and those that were not.

A mistake in words only, or None in the place of words, is counted apart: the words of messages are for people.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter

from mutmut.mutation.diff_apply import get_diff_for_mutant

CAUGHT = ("killed", "timeout", "segfault", "caught by type check")


def main() -> None:
    listed = subprocess.run([sys.executable, "-m", "mutmut", "results", "--all", "true"], capture_output=True, text=True, check=True).stdout
    fates = dict(line.strip().rsplit(": ", 1) for line in listed.splitlines() if ": " in line)
    counts = Counter(fates.values())
    unnoticed = {name: _changed_lines(name) for name, fate in fates.items() if fate in ("survived", "no tests")}
    meaning = {name: lines for name, lines in unnoticed.items() if _without_words(lines[0]) != _without_words(lines[1])}
    for name, (before, after) in meaning.items():
        print(name, *(f"    - {line.strip()}" for line in before), *(f"    + {line.strip()}" for line in after), sep="\n")
    print()
    for area in ("energy", "imaging", "edits", "plugins"):
        own = {name: fate for name, fate in fates.items() if name.startswith(f"dragonkit.{area}.")}
        caught = sum(fate in CAUGHT for fate in own.values())
        words = sum(name in unnoticed and name not in meaning for name in own)
        other, left = sum(name in meaning for name in own), sum(fate == "not checked" for fate in own.values())
        unwatched = f"{words} in words, {other} others"
        print(f"{area:8} {len(own):5} mistakes, {caught} noticed; unnoticed: {unwatched}; {left} not tried")
    print("all     ", dict(counts))


def _changed_lines(name: str) -> tuple[list[str], list[str]]:
    lines = get_diff_for_mutant(name).splitlines()
    return tuple([line[1:] for line in lines if line[:1] == sign and line[:3] != sign * 3] for sign in "-+")  # type: ignore[return-value]


def _without_words(lines: list[str]) -> str:
    return re.sub(r'[rbf]*"(?:[^"\\]|\\.)*"|None', "words", "".join(lines)).lower().replace(" ", "")


if __name__ == "__main__":
    main()
