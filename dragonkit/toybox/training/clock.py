"""The one clock that both stages of a run look at: minutes since the run began."""

from __future__ import annotations

import time
from dataclasses import dataclass

LEAST = 0.25
"""Share of its planned time that a stage gets even where starting took too long."""


@dataclass(frozen=True)
class Clock:
    """Goes to both processes; `began` is `time.time()` at the start of the run."""

    began: float

    @property
    def minutes(self) -> float:
        """Since the start of the run."""
        return (time.time() - self.began) / 60

    def seconds_until(self, end: float, planned: float) -> float:
        """Seconds left until `end`, in minutes from the start, but no less than a quarter of `planned` minutes."""
        return 60 * max(end - self.minutes, LEAST * planned)

    def say(self, stage: str, what: str) -> None:
        print(f"[{60 * self.minutes:6.1f} s] {stage}: {what}", flush=True)
