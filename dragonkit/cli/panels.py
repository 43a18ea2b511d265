"""The help of commands: options under the titles of their panels, ranges in words, and the defaults that the model in use has."""

from __future__ import annotations

import re
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from dragonkit.cli.console import load_registry
from dragonkit.errors import DragonkitError
from dragonkit.words import closest

__all__ = ["SETTINGS", "CommandList", "PanelCommand", "WholeGroup"]

SETTINGS = "Settings"
"""The panel of options named `settings_...`, one for each field of Settings."""

_AT_LEAST = re.compile(r"(?<=[ [])x>=(\S+?)(?=[;\]])")
_BETWEEN = re.compile(r"(?<=[ [])(\S+?)<=x<=(\S+?)(?=[;\]])")


class PanelCommand(TyperCommand):
    """Help with the options under the titles of their panels, for terminals and pipes alike."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        panels: dict[str, list[tuple[str, str]]] = {}
        title, defaults = _defaults(ctx) if any(param.name.startswith("settings_") for param in self.params) else ("", {})
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None:
                usual = "Arguments" if param.param_type_name == "argument" else "Options"
                panel = getattr(param, "rich_help_panel", None) or usual
                name, text = record[0], _BETWEEN.sub(r"from \1 to \2", _AT_LEAST.sub(r"at least \1", record[1]))
                if panel == SETTINGS:
                    panel, text = title, _with_default(text, defaults[param.name.removeprefix("settings_")])
                panels.setdefault(panel, []).append((name, text))
        for panel, rows in panels.items():
            with formatter.section(panel):
                formatter.write_dl(rows)


class WholeGroup(TyperGroup):
    """A group that says of each command all of its first sentence, and knows which one was meant."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in self.commands and not ctx.resilient_parsing:
            known = list(self.commands)
            ctx.fail(f"There is no command {cmd_name!r}.{closest(cmd_name, known)} There are: {', '.join(known)}.")
        return super().get_command(ctx, cmd_name)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.get_short_help_str(200)) for name, command in self.commands.items() if not command.hidden])


class CommandList(typer.Typer):
    """Whose commands have such help."""

    def command(self, name: str | None = None, *, cls: type[TyperCommand] | None = None, **rest: Any) -> Any:
        return super().command(name, cls=cls or PanelCommand, **rest)


def _defaults(ctx: Any) -> tuple[str, dict[str, str]]:
    """The panel's title, and what each setting is unless it is given: `--model` and `--preset` count where they stand before `--help`."""
    from dragonkit.cli.options import options_of, written
    from dragonkit.edits.settings import PRESETS, Settings
    from dragonkit.models.loading import find_card

    model, preset = (ctx.params.get(name) or usual for name, usual in (("model", "toybox"), ("preset", "default")))
    try:
        card = find_card(model, load_registry().models())
        name, own = card.name, Settings(**card.settings)
    except DragonkitError:  # help is given all the same; whoever runs it is told
        name, own = "a model", Settings()
    if preset in PRESETS and preset != "default":
        name, own = f"{name} under {preset}", Settings.preset(preset).over(own)
    values = {field.name: getattr(own, field.name) for field in options_of(Settings)}
    return f"{SETTINGS}, with the defaults of {name}", {name: "" if value is None else written(value) for name, value in values.items()}


def _with_default(text: str, default: str) -> str:
    """The help of a setting with its default in front of its range."""
    sentence, bracket, notes = text.rstrip("]").rpartition(" [")
    if not bracket:
        sentence, notes = text, ""
    notes = "; ".join(filter(None, (f"default: {default}" if default else "", notes)))
    return f"{sentence} [{notes}]" if notes else sentence
