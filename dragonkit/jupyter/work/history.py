"""What was run so far. Entries are only ever added: going back loses nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, overload

from dragonkit.errors import EditError
from dragonkit.imaging.photo_files import open_photo
from dragonkit.imaging.photos import Photo

if TYPE_CHECKING:
    from PIL import Image

    from dragonkit.editing.results import EditResult
    from dragonkit.edits.edit import Edit

__all__ = ["Entry", "History"]


@dataclass(frozen=True, eq=False)
class Entry:
    """One run.

    Attributes:
        source: the picture that was edited, RGB.
        edits: what was asked for.
        result: what came out; None for a run that was opened from a file.
        state: what the editor needs to show itself as it was: prompt, marks, fields, settings.
        photo: `source` in its own kind; None for a plain one.
        opened: the picture that came out, where there is no `result`.
    """

    source: Image.Image
    edits: tuple[Edit, ...]
    result: EditResult | None
    state: Mapping[str, Any] = field(default_factory=dict)
    photo: Photo | None = None
    opened: Photo | None = None

    @property
    def before(self) -> Photo:
        """The picture that was edited."""
        return self.photo or open_photo(self.source)

    @property
    def after(self) -> Photo:
        """The picture that came out."""
        photo = self.opened if self.result is None else self.result.photo
        assert photo is not None, "an entry has a result, or was opened"
        return photo


class History(Sequence[Entry]):
    """All runs, oldest first; `current` is the one that was shown last.

    Example:
        editor.history[-1].result.save("last.png")
    """

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._current: Entry | None = None

    @property
    def current(self) -> Entry | None:
        """The run that was shown last; None before the first one."""
        return self._current

    def add(self, entry: Entry) -> None:
        self._entries.append(entry)
        self._current = entry

    def revert(self, index: int) -> Entry:
        """Go back to a run: it becomes `current`; later ones stay in the list. EditError when there is no such run."""
        self._current = self._at(index)
        return self._current

    def _at(self, index: int) -> Entry:
        try:
            return self._entries[index]
        except IndexError:
            raise EditError(f"there is no run number {index} in the history, which has {len(self)}; count from 0") from None

    @overload
    def __getitem__(self, index: int) -> Entry: ...
    @overload
    def __getitem__(self, index: slice) -> list[Entry]: ...
    def __getitem__(self, index: int | slice) -> Entry | list[Entry]:
        return self._entries[index]

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        runs = "; ".join(", ".join(edit.mode for edit in entry.edits) for entry in self._entries)
        return f"<History of {len(self)} runs{f': {runs}' if runs else ''}>"
