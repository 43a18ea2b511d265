"""What a scene shows, in a small closed vocabulary: "a red striped fish and a blue house on a green tiled background"."""

from __future__ import annotations

from dragonkit.toybox.drawing.backgrounds import KIND_NAMES
from dragonkit.toybox.drawing.colors import BACKGROUND_COLOR_NAMES, COLORS, PATTERNS
from dragonkit.toybox.drawing.objects import CATEGORIES
from dragonkit.toybox.parameters import SceneBatch


def captions(batch: SceneBatch) -> list[str]:
    """One sentence per scene: the objects back to front, then the background. Lower-case words between single blanks, no punctuation."""
    colors, kinds, patterns = batch.color.tolist(), batch.category.tolist(), batch.pattern.tolist()
    grounds = zip(batch.background_color.tolist(), batch.background.tolist(), strict=True)
    sentences = []
    for row, (number, (color, kind)) in enumerate(zip(batch.objects.tolist(), grounds, strict=True)):
        things = [_thing(COLORS[colors[row][k]], PATTERNS[patterns[row][k]], CATEGORIES[kinds[row][k]]) for k in range(number)]
        sentences.append(f"{' and '.join(things)} on a {BACKGROUND_COLOR_NAMES[color]} {KIND_NAMES[kind]} background".strip())
    return sentences


def vocabulary() -> list[str]:
    """Every word that a caption may contain, sorted."""
    words = {"a", "an", "and", "on", "background", *COLORS, *PATTERNS, *CATEGORIES, *BACKGROUND_COLOR_NAMES, *KIND_NAMES}
    return sorted(words - {"plain"})


def _thing(color: str, pattern: str, category: str) -> str:
    words = f"{color} {category}" if pattern == "plain" else f"{color} {pattern} {category}"
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"
