"""The command `dragonkit`: what is always there, one command per edit mode, and what plugins add."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from dragonkit.cli import editing, listing, scaffold
from dragonkit.cli.batch import batch
from dragonkit.cli.bench.app import bench
from dragonkit.cli.console import interrupts_told, load_registry, run_guarded, warn
from dragonkit.cli.doctor import doctor
from dragonkit.cli.json_output import only_json
from dragonkit.cli.lab import lab
from dragonkit.cli.panels import CommandList
from dragonkit.cli.places import OverwriteOption
from dragonkit.errors import DragonkitError
from dragonkit.files import free_name
from dragonkit.models.devices import refuse_deleted_folder
from dragonkit.words import closest

__all__ = ["app", "main"]


class CommandLine(TyperGroup):
    """Commands of its own; those of modes and plugins are made when somebody asks for them or for the list.

    A mode wins over a plugin's command of the same name, and dragonkit's own commands over both.
    """

    def main(self, *args: Any, **options: Any) -> Any:
        options["standalone_mode"] = False  # errors are told in our words
        words = list((args[0] if args else options.get("args")) or sys.argv[1:])
        with only_json() if "--json" in words and not {"-h", "--help"} & set(words) else nullcontext():
            code = run_guarded(lambda: super(CommandLine, self).main(*args, **options))
        raise SystemExit(code)

    def make_context(self, *args: Any, **options: Any) -> Any:
        refuse_deleted_folder()  # relative paths mean nothing there
        with interrupts_told():
            return super().make_context(*args, **options)

    def invoke(self, ctx: Any) -> None:
        with interrupts_told():
            super().invoke(ctx)  # what a command returns is no exit code

    def list_commands(self, ctx: Any) -> list[str]:
        return list(dict.fromkeys([*self._modes, *self.commands, *self._extra]))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name in self.commands:
            return self.commands[cmd_name]
        if cmd_name in self._modes:
            return editing.mode_command(load_registry(), cmd_name)
        if cmd_name in self._extra:
            return self._extra[cmd_name]
        if not ctx.resilient_parsing:
            self._refuse(ctx, cmd_name)
        return None

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        modes = [(name, editing.summary_of(edit_type)) for name, edit_type in self._modes.items()]
        others = {**self.commands, **self._extra}
        for title, rows in (
            ("Edits", modes),
            ("Commands", [(name, command.get_short_help_str(200)) for name, command in others.items() if not command.hidden]),
        ):
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)

    @cached_property
    def _modes(self) -> dict[str, Any]:
        """The edit modes by name, without those that share a name with a command of ours."""
        modes = {name: edit_type for name, edit_type in load_registry().edit_types().items() if edit_type.scriptable}
        for name in modes.keys() & self.commands.keys():
            warn(f"the edit mode {name!r} has no command of its own, as dragonkit has one of that name; use an edit file")
        return {name: edit_type for name, edit_type in modes.items() if name not in self.commands}

    @cached_property
    def _extra(self) -> dict[str, Any]:
        """The plugins' commands by name."""
        collected = typer.Typer(rich_markup_mode=None)
        try:
            load_registry().commands(collected)
        except DragonkitError as error:
            warn(str(error))
        commands = typer.main.get_group(collected).commands
        for name in commands:
            if name in self.commands or name in self._modes:
                warn(f"a plugin's command {name!r} is left out, as there is one of that name already")
        return {name: command for name, command in commands.items() if name not in self.commands and name not in self._modes}

    def _refuse(self, ctx: Any, name: str) -> None:
        broken = [plugin["name"] for plugin in load_registry().describe() if plugin["status"] != "ok"]
        if broken:
            load_registry().owner(name)  # raises, and says that a broken plugin may be to blame
        if name in (edit_types := load_registry().edit_types()):
            ctx.fail(f"The edit {name!r} holds Python code, so it has no command: dragonkit's {edit_types[name].__name__} is for scripts.")
        known = self.list_commands(ctx)
        ctx.fail(f"There is no edit or command {name!r}.{closest(name, known)} There are: {', '.join(known)}.")


app = CommandList(
    cls=CommandLine,
    rich_markup_mode=None,  # rich's help would double the time that --help takes
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
    invoke_without_command=True,
    suggest_commands=False,  # ours knows modes and plugins as well
)


def _print_version(asked: bool) -> None:
    if asked:
        from dragonkit import __version__

        typer.echo(f"dragonkit {__version__}")
        raise typer.Exit


@app.callback()
def _dragonkit(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop.")] = False,
) -> None:
    """Grab a thing in a picture and move it, with a diffusion model that nobody had to fine-tune."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command()
def demo(
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="PATH", help="Folder for the pictures. [default: demo-output, or demo-output-2, ...]", show_default=False
        ),
    ] = None,
    overwrite: OverwriteOption = False,
    task: Annotated[
        list[str] | None, typer.Option("--task", metavar="NAME", help="Only this kind of task; repeatable.", show_default=False)
    ] = None,
    scenes: Annotated[int, typer.Option(metavar="INTEGER", min=1, help="How many scenes of each task.")] = 1,
    first: Annotated[
        int | None, typer.Option("--first-scene", metavar="INTEGER", help="Number of the first scene; unseen ones when left out.")
    ] = None,
    model: editing.ModelOption = "toybox",
    preset: editing.PresetOption = "default",
) -> None:
    """Run every edit mode on scenes whose right answer is known, and say how well that went."""
    from dragonkit.cli.demo import demo as run_demo

    usual = Path("demo-output")
    run_demo(out or (usual if overwrite else free_name(usual)), first, scenes, model, task or (), preset, overwrite)


app.command()(editing.run)
app.command()(batch)
app.command()(listing.modes)
app.command()(listing.plugins)
app.command()(listing.models)
app.command()(listing.inversions)
app.command()(doctor)
app.command()(scaffold.new_plugin)
app.command()(lab)
app.add_typer(bench, name="bench")


def main() -> None:
    """The entry point: runs what the arguments say and ends the process."""
    typer.main.get_command(app)()
