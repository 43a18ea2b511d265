"""What there is to say, in one place and by kind: errors, what goes on or was done, what to do next; no longer than it is true."""

from __future__ import annotations

import html
import threading
from typing import Literal

import ipywidgets as W

from dragonkit.jupyter.work.job import in_words

__all__ = ["Kind", "Messages", "Subject"]

Kind = Literal["working", "done", "warning", "error"]
Subject = Literal["picture", "run", "asked", "selection", "file", "canvas"]
"""What a message is about: there is one for each, and the next one takes its place."""


class Messages:
    """All errors and warnings are shown, what goes on, and of the rest what was said last; below it, what to do next.

    Any thread may say something.

    Attributes:
        widget: the place.
        all: everything that was ever said, errors too; hints are not.
    """

    def __init__(self) -> None:
        self.all: list[str] = []
        self._now: dict[Subject, tuple[Kind, str]] = {}
        self._lock = threading.RLock()
        self._error, self._status, self._hint = (W.HTML().add_class(f"dk-{line}") for line in ("error", "status", "hint"))
        self.widget = W.VBox([self._error, self._status, self._hint]).add_class("dk-messages")

    def say(self, words: str, about: Subject, kind: Kind = "done") -> None:
        with self._lock:
            self.all.append(words)
            self._now.pop(about, None)  # so that it comes last
            self._now[about] = kind, words
            self._show()

    def fail(self, error: BaseException, about: Subject = "canvas") -> None:
        """Show an error until something else is said of its subject, or it is forgotten."""
        self.say(in_words(error), about, "error")

    def forget(self, *subjects: Subject) -> None:
        """What was said of these is no longer true."""
        with self._lock:
            for subject in subjects:
                self._now.pop(subject, None)
            self._show()

    def forgive(self) -> None:
        """Take all errors away."""
        with self._lock:
            self.forget(*(subject for subject, (kind, _) in self._now.items() if kind == "error"))

    def hint(self, words: str) -> None:
        """What to do next; nothing when empty."""
        self._hint.value = html.escape(words)

    def _show(self) -> None:
        errors = [words for kind, words in self._now.values() if kind == "error"]
        rest = [one for one in self._now.values() if one[0] not in ("error", "warning")]
        said = [one for one in self._now.values() if one[0] == "warning"] + [one for one in rest if one[0] == "working" or one is rest[-1]]
        self._error.value = "".join(f'<div role="alert">{html.escape(words)}</div>' for words in errors)
        self._status.value = "".join(f'<div role="status" class="dk-{kind}">{html.escape(words)}</div>' for kind, words in said)
