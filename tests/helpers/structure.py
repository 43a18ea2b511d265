"""The package as it is: the tree with the first sentence of every module, and the floors as a picture. docs/architecture.md shows both.

PYTHONPATH=tests python -m helpers.structure      # write them anew
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "architecture.md"
PICTURE = ROOT / "docs" / "images" / "floors.svg"
TREE = re.compile(r"(```text title=\"dragonkit/\"\n).*?(```)", re.DOTALL)

_WIDTH, _ROW, _BOX = 1000, 74, 34  # of the picture, of a floor, of a room's height


def first_sentence(module: Path) -> str:
    """What a module says of itself."""
    told = ast.get_docstring(ast.parse(module.read_text(encoding="utf-8"))) or ""
    return re.split(r"(?<=\.)(?<! al\.)\s", " ".join(told.split()), maxsplit=1)[0].rstrip(".")


def tree(folder: Path = ROOT / "dragonkit", depth: int = 1) -> Iterator[str]:
    """A line for every module, packages with what their __init__ says."""
    for path in sorted(folder.iterdir(), key=lambda path: (path.is_dir(), path.name)):
        if path.suffix == ".py" and path.name not in ("__init__.py", "__main__.py"):
            yield f"{'  ' * depth}{path.stem:<{26 - 2 * depth}} {first_sentence(path)}"
        elif (path / "__init__.py").exists():
            yield f"{'  ' * depth}{path.name + '/':<{26 - 2 * depth}} {first_sentence(path / '__init__.py')}"
            yield from tree(path, depth + 1)


def floors() -> list[list[str]]:
    """The rooms of every floor, from the top, as import-linter is told."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
    layers = next(contract for contract in contracts if contract["type"] == "layers")["layers"]
    present = {path.stem for path in (ROOT / "dragonkit").iterdir()}
    return [[room for room in re.findall(r"\w+", layer) if room in present] for layer in layers]


def arrows() -> set[tuple[str, str]]:
    """Which room imports from which, types included; the face, which names everything, left out."""
    graph = grimp.build_graph("dragonkit", exclude_type_checking_imports=False, cache_dir=None)
    pairs = {(module, other) for module in graph.modules for other in graph.find_modules_directly_imported_by(module)}
    rooms = {(one.split(".")[1], other.split(".")[1]) for one, other in pairs if "." in one and "." in other}
    return {(one, other) for one, other in rooms if one != other and one != "__main__"}


def picture() -> str:
    """The floors as SVG: rooms in rows, a line from each to all that it imports."""
    rows = floors()
    places = {
        room: ((index + 0.5) * _WIDTH / len(row), (number + 0.5) * _ROW)
        for number, row in enumerate(rows)
        for index, room in enumerate(row)
    }
    lines = [
        f'<path d="M{x0:.0f} {y0 + _BOX / 2:.0f}C{x0:.0f} {y0 + _ROW:.0f} {x1:.0f} {y1 - _ROW:.0f} {x1:.0f} {y1 - _BOX / 2:.0f}"/>'
        for (x0, y0), (x1, y1) in sorted((places[one], places[other]) for one, other in arrows())
    ]
    boxes = [
        f'<rect x="{x - 62:.0f}" y="{y - _BOX / 2:.0f}" width="124" height="{_BOX}" rx="6"/><text x="{x:.0f}" y="{y + 5:.0f}">{room}</text>'
        for room, (x, y) in places.items()
    ]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {len(rows) * _ROW}">',
            "<style>path{fill:none;stroke:#607d8b;stroke-opacity:.35}rect{fill:#eceff1;stroke:#455a64}",
            "text{font:15px sans-serif;text-anchor:middle}</style>",
            *lines,
            *boxes,
            "</svg>\n",
        ]
    )


def page() -> str:
    """The architecture page with the tree as it is."""
    lines = "\n".join(tree())
    return TREE.sub(lambda match: f"{match[1]}{lines}\n{match[2]}", PAGE.read_text(encoding="utf-8"))


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    PICTURE.write_text(picture(), encoding="utf-8")
