"""Files from the browser: chosen with a button, dropped on the editor, or pasted. They come in pieces, which are put together here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from dragonkit.errors import ImageError

__all__ = ["MOST", "Door", "too_large"]

MOST = 256 * 2**20
"""Bytes of a file at most, as of an edit file."""


class Door(anywidget.AnyWidget):
    """A button that opens a file; files may be dropped and pasted as well, all over the editor or the second picture that it belongs to.

    Args:
        description, tooltip: on the button.
        take: called with a file's name, without a folder, and its content.
        accept: kinds of files to choose from, as in HTML.
        coming: called with the name and the size in bytes when a file begins to come, or is too large to be sent.

    Attributes:
        icon: of Font Awesome.
        most: bytes of a file at most.
    """

    _esm = Path(__file__).with_suffix(".js").read_text("utf-8")

    description = traitlets.Unicode().tag(sync=True)
    tooltip = traitlets.Unicode().tag(sync=True)
    accept = traitlets.Unicode().tag(sync=True)
    icon = traitlets.Unicode("folder-open").tag(sync=True)
    most = traitlets.Int(MOST).tag(sync=True)

    def __init__(
        self,
        description: str,
        tooltip: str,
        take: Callable[[str, bytes], Any],
        accept: str = "image/*",
        coming: Callable[[str, int], Any] = lambda name, size: None,
    ) -> None:
        super().__init__(description=description, tooltip=tooltip, accept=accept)
        self._take, self._coming = take, coming
        self._pieces: list[bytes] = []
        self._expected: tuple[str, int] | None = None
        self.on_msg(self._told)

    def _told(self, _widget: Any, content: Any, buffers: Sequence[Any]) -> None:
        """A file begins with its name and size; its pieces follow in order, and the next file begins when they are all there."""
        if not isinstance(content, dict):
            return
        name, size = content.get("name"), content.get("size")
        if isinstance(name, str) and isinstance(size, int):
            name = name.replace("\\", "/").rpartition("/")[2]
            self._expected, self._pieces = (name, size) if size <= self.most else None, []
            self._coming(name, size)
        self._pieces += [bytes(one) for one in buffers] if self._expected else []
        if self._expected is None or (come := sum(map(len, self._pieces))) < self._expected[1]:
            return
        (name, size), pieces = self._expected, self._pieces
        self._expected, self._pieces = None, []
        if come == size:
            self._take(name, b"".join(pieces))


def too_large(name: str, size: int) -> ImageError:
    """What to say of a file that is not sent, with its size in bytes."""
    return ImageError(f"the file {name!r} has {size / 1e6:.1f} MB, more than {MOST / 1e6:.0f} MB; save it smaller, or open it by its path")
