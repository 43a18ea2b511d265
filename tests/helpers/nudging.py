"""A plugin whose mode has a field of every kind, and which adds commands."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from dragonkit.edits.edit import Edit
from dragonkit.edits.values import Mask
from dragonkit.imaging.masks import load_mask
from dragonkit.plugins.placement import Placement
from dragonkit.plugins.specs import hookimpl

Point = tuple[float, float]


class Nudge(Edit):
    """Nudge what is under `mask` [a little].

    Example:
        Nudge(mask="fish.png")
    """

    mode: ClassVar[str] = "nudge"

    mask: Mask = Field(description="where [in white]")
    points: list[tuple[Point, Point]] = Field(default=[], description="from and to")
    box: tuple[Point, Point] = Field(default=((0.0, 0.0), (1.0, 1.0)), description="two corners")
    amounts: tuple[int, ...] = Field(default=(1, 2), description="some numbers")
    tags: list[str] = Field(default=[], description="words")
    how: Literal["soft", "hard"] = Field(default="soft", description="which way")
    strong: bool = Field(default=False, description="use force")
    extra: dict[str, float] = Field(default={}, description="anything else")
    size: Annotated[float, Field(gt=0)] | Point = Field(default=1.0, description="one number or two")
    seed: int | None = Field(default=None, ge=0, le=9, description="its own seed")


class NudgePlugin:
    """Owns the mode nudge, remembers the edits that it built masks for, and adds a command."""

    def __init__(self) -> None:
        self.edits: list[Nudge] = []

    @hookimpl
    def dragonkit_edits(self) -> list[type[Edit]]:
        return [Nudge]

    @hookimpl
    def dragonkit_build_masks(self, edit: Nudge, size: tuple[int, int]) -> Placement:
        self.edits.append(edit)
        mask = load_mask(edit.mask, size)
        return Placement(source=mask, target=mask)

    @hookimpl
    def dragonkit_commands(self, cli: Any) -> None:
        @cli.command()
        def greet(name: str = "you") -> int:
            """Say hello."""
            print(f"hello {name}")
            return 7

        @cli.command("run")
        def not_this_one() -> None:
            """Hide dragonkit's own command."""
