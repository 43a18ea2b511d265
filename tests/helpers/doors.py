"""Doors that are knocked at: whatever is handed in, nothing but dragonkit's own errors may come out; and a table of what did."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from dragonkit.errors import DragonkitError

__all__ = ["DOORS", "Door", "table"]


class Door:
    """What was tried at one door, and what came of it.

    Attributes:
        tried: how often.
        own: how often one of dragonkit's errors came out.
        others: how often any other one did; the test fails then.
    """

    def __init__(self, name: str) -> None:
        self.name, self.tried, self.own, self.others = name, 0, 0, 0
        DOORS.append(self)

    def knock(self, call: Callable[[], Any]) -> Any:
        """What the call gives; None where it was refused. numpy's warnings count as errors: nobody knows what to do about them."""
        self.tried += 1
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", RuntimeWarning)
                return call()
        except DragonkitError as error:
            self.own += 1
            said = str(error)
            assert said and len(said) < 2000 and said.isprintable(), f"{type(error).__name__} says {said[:200]!r}, {len(said)} characters"
        except BaseException:
            self.others += 1
            raise
        return None


DOORS: list[Door] = []


def table() -> str:
    """All doors that were knocked at."""
    rows = [("door", "tried", "own errors", "others")]
    rows += [(door.name, f"{door.tried:,}", f"{door.own:,}", f"{door.others:,}") for door in DOORS if door.tried]
    first, *others = (max(map(len, column)) for column in zip(*rows, strict=True))
    return "\n".join(name.ljust(first) + "".join(map("  {:>{}}".format, figures, others)) for name, *figures in rows)
