"""`dragonkit modes`, `plugins`, `models` and `inversions`: what there is, as tables or as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dragonkit.cli.console import load_registry, show
from dragonkit.cli.editing import summary_of
from dragonkit.cli.json_output import print_json

if TYPE_CHECKING:
    from pydantic import BaseModel

    from dragonkit.plugins.registry import PluginRegistry

__all__ = ["inversions", "models", "modes", "plugins"]

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]


def modes(as_json: JsonOption = False) -> None:
    """List the edits and their fields."""
    found = _modes(load_registry())
    if as_json:
        return print_json(found, indent=2)
    for mode in found:
        title = f"{mode['mode']}: {mode['description']} (plugin {mode['plugin']}{'' if mode['command'] else '; in Python only'})"
        rows = [
            (
                field["name"],
                "\n".join(filter(None, (field["form" if "," in field["type"] else "type"], field["range"]))),
                _default(field),
                field["description"],
            )
            for field in mode["fields"]
        ]
        show(_table(title, ("field", "value", "default", "what it is"), rows), "")


def plugins(as_json: JsonOption = False) -> None:
    """List the plugins, broken ones too."""
    found = load_registry().describe()
    if as_json:
        return print_json(found, indent=2)
    rows = [
        (
            plugin["name"],
            " ".join(filter(None, (plugin["distribution"], plugin["version"]))) or "registered by hand",
            ", ".join(plugin["modes"]),
            "\n".join(hook.removeprefix("dragonkit_") for hook in plugin["hooks"]),
            plugin["status"] if plugin["reason"] is None else f"{plugin['status']}: {plugin['reason']}",
        )
        for plugin in found
    ]
    show(_table("plugins", ("name", "from", "edits", "hooks", "status"), rows))


def models(as_json: JsonOption = False) -> None:
    """List the models that can be asked for by name."""
    found: list[dict[str, Any]] = [
        {"name": card.name, "description": card.description, "source": card.source, "settings": dict(card.settings)}
        for card in load_registry().models().values()
    ]
    if as_json:
        return print_json(found, indent=2)
    rows = [
        (
            model["name"],
            f"{model['description']}\n{model['source']}",
            "\n".join(f"{name}={value}" for name, value in model["settings"].items()),
        )
        for model in found
    ]
    show(
        _table("models", ("name", "what it is", "its own settings"), rows),
        "--model also takes a hub id, a folder in diffusers' format or a .safetensors file.",
    )


def inversions(as_json: JsonOption = False) -> None:
    """List the ways to find the noise behind a picture, for --inversion."""
    found: list[dict[str, Any]] = [
        {"name": inversion.name, "description": inversion.description, "options": _fields(inversion.options)}
        for inversion in load_registry().inversions().values()
    ]
    if as_json:
        return print_json(found, indent=2)
    rows = [
        (one["name"], one["description"], "\n".join(f"{option['name']}: {option['description']}" for option in one["options"]))
        for one in found
    ]
    show(
        _table("inversions", ("name", "how it works", "its options"), rows),
        "iterations is given as --inversion-iterations, the others as --inversion-options '{\"name\": value}'.",
    )


def _modes(registry: PluginRegistry) -> list[dict[str, Any]]:
    return [
        {
            "mode": mode,
            "description": summary_of(edit_type),
            "plugin": registry.owner(mode).name,
            "command": edit_type.scriptable,
            "fields": _fields(edit_type),
        }
        for mode, edit_type in sorted(registry.edit_types().items())
    ]


def _fields(model: type[BaseModel]) -> list[dict[str, Any]]:
    from dragonkit.cli.options import options_of

    return [
        {
            "name": field.name,
            "type": field.type,
            "form": field.metavar,
            "range": field.allowed.range or None,
            "choices": list(field.choices) or None,
            "repeatable": field.repeated,
            "required": field.required,
            "default": field.default,
            "description": field.description,
        }
        for field in options_of(model)
    ]


def _default(field: dict[str, Any]) -> str:
    from dragonkit.cli.options import written

    return "required" if field["required"] else "" if field["default"] is None else written(field["default"])


def _table(title: str, columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Any:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(title, style="bold"), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, show_lines=False)
    for place, column in enumerate(columns):
        table.add_column(column, no_wrap=place == 0, overflow="fold")  # names stay whole, nothing is cut off
    for row in rows:
        table.add_row(*map(Text, row))  # Text, so that brackets are just brackets
    return table
