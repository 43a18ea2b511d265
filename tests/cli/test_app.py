"""The command itself: help, version, lists, plugins' commands and plugins that are broken."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any, ClassVar

import pytest
from helpers.nudging import Nudge, NudgePlugin
from helpers.strict import read_json
from typer.testing import CliRunner, Result

import dragonkit
from dragonkit.cli.app import app
from dragonkit.edits.edit import Edit
from dragonkit.plugins.registry import PluginRegistry, get_registry
from dragonkit.plugins.specs import hookimpl

Invoke = Callable[..., Result]


def test_version(invoke: Invoke) -> None:
    assert invoke("--version").stdout == f"dragonkit {dragonkit.__version__}\n"


@pytest.mark.parametrize("words", [[], ["-h"], ["--help"]])
def test_help_lists_edits_and_commands(words: list[str], invoke: Invoke, nudge: NudgePlugin) -> None:
    result = invoke(*words)
    assert result.exit_code == 0
    edits, commands = result.stdout.partition("Edits:")[2].split("Commands:")
    assert edits.split()[0] == "move"
    assert "nudge Nudge what is under 'mask' [a little]." in " ".join(edits.split())
    for name in ("run", "modes", "plugins", "models", "inversions", "demo", "greet"):
        assert f"  {name} " in commands


def test_help_of_a_mode_is_made_from_its_fields(invoke: Invoke, nudge: NudgePlugin) -> None:
    text = invoke("nudge", "-h").stdout
    words = " ".join(text.split())
    assert "Nudge what is under 'mask' [a little]. Arguments:" in words
    assert "--mask PATH Where [in white]; this or --click." in words
    assert "--points NUMBER,NUMBER:NUMBER,NUMBER From and to. [repeatable]" in words
    assert "--how soft|hard Which way. [default: soft]" in words
    assert "--strong / --no-strong Use force. [default: off]" in words
    assert "--nudge-seed INTEGER Its own seed. [from 0 to 9]" in words
    assert "--steps INTEGER Denoising steps. [default: 25; from 1 to 1000]" in words
    assert text.index("Nudge:") < text.index("Options:") < text.index("Settings, with the defaults of toybox:")


def test_help_has_the_defaults_of_the_model_and_the_preset_in_use(invoke: Invoke) -> None:
    def settings(*words: str) -> str:
        return " ".join(invoke("move", *words, "--help").stdout.split()).partition(" Settings, with the defaults of ")[2]

    usual, other, paper = settings(), settings("--model", "sd15"), settings("--preset", "paper")
    assert "held at its target. [default: 1; from 0 to 1]" in usual and "[default: span=0:1,every=2]" in usual
    assert "its own when left out. [from 8 to 8192]" in usual
    assert other.startswith("sd15: ") and "there is none. [default: 4; from 0 to 100]" in other
    assert "held at its target. [default: 0.6; from 0 to 1]" in other
    assert paper.startswith("toybox under paper: ") and "held at its target. [default: 0; from 0 to 1]" in paper
    assert settings("--model", "owner/name").startswith("owner/name: ")
    assert settings("--model", "nothing").startswith("a model: "), "it is refused when it is used"


def test_what_commands_do_is_not_cut_short(invoke: Invoke) -> None:
    assert "..." not in invoke("bench", "--help").stdout.partition("Commands:")[2]


def test_seed_means_one_thing(invoke: Invoke) -> None:
    assert "--seed" not in invoke("demo", "--help").stdout + invoke("bench", "tune", "--help").stdout.replace("--search-seed", "")


def test_ranges_are_said_in_one_way(invoke: Invoke) -> None:
    for words in (["batch"], ["demo"], ["bench", "toybox"], ["bench", "drag"], ["move"]):
        assert "x>=" not in (text := invoke(*words, "--help").stdout), words
        assert "at least 1]" in text or "from 1 to 1000]" in text


@pytest.mark.processes
def test_answers_that_need_no_torch() -> None:
    """In a process of their own, one after the other."""
    words = [
        "--help",
        "move --help",
        "run --help",
        "modes --json",
        "models --json",
        "inversions --json",
        "plugins --json",
        "move gone.png --mask gone.png",
    ]
    code = f"""
        import sys
        from dragonkit.cli import main
        codes = []
        for words in {words!r}:
            sys.argv = ["dragonkit", *words.split()]
            try:
                main()
            except SystemExit as end:
                codes.append(end.code)
        print(codes, [name for name in ("torch", "diffusers", "transformers", "cv2", "rich") if name in sys.modules], file=sys.stderr)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=60)
    assert done.stderr.splitlines()[-1] == "[0, 0, 0, 0, 0, 0, 0, 2] []"


@pytest.mark.processes
def test_python_minus_m() -> None:
    done = subprocess.run([sys.executable, "-m", "dragonkit", "--version"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, f"dragonkit {dragonkit.__version__}\n")


def test_modes(invoke: Invoke, nudge: NudgePlugin) -> None:
    table = invoke("modes")
    assert "10,20:30,40" in invoke("drag", "--help").stdout and "-32,48" in invoke("move", "--help").stdout
    assert "X0,Y0:X1,Y1" in table.stdout
    assert "nudge: Nudge what is under 'mask' [a little]. (plugin nudger)" in table.stdout
    assert "preserve_weight" in table.stdout
    assert "(plugin custom; in Python only)" in " ".join(table.stdout.split())
    modes = {mode["mode"]: mode for mode in read_json(invoke("modes", "--json").stdout)}
    assert (modes["nudge"]["plugin"], modes["move"]["plugin"]) == ("nudger", "move")
    fields = {field["name"]: field for field in modes["nudge"]["fields"]}
    assert fields["seed"] == {
        "name": "seed",
        "type": "integer",
        "form": "INTEGER",
        "range": "from 0 to 9",
        "choices": None,
        "repeatable": False,
        "required": False,
        "default": None,
        "description": "its own seed",
    }
    assert (fields["mask"]["required"], fields["how"]["choices"], fields["points"]["repeatable"]) == (True, ["soft", "hard"], True)


def test_plugins(invoke: Invoke, registry: PluginRegistry, nudge: NudgePlugin) -> None:
    assert "nudger" in invoke("plugins").stdout
    assert read_json(invoke("plugins", "--json").stdout) == registry.describe()


def test_inversions(invoke: Invoke) -> None:
    assert "ddim" in invoke("inversions").stdout and "--inversion-iterations" in invoke("inversions").stdout
    found = {one["name"]: one for one in read_json(invoke("inversions", "--json").stdout)}
    assert found.keys() == {"extrapolated", "ddim", "direct", "negative-prompt", "null-text", "bdia", "edit-friendly"}
    assert all(one["description"] for one in found.values())
    assert [option["name"] for option in found["ddim"]["options"]] == ["iterations"]
    assert [option["name"] for option in found["bdia"]["options"]] == ["iterations", "guidance_scale", "gamma"]


def test_models(invoke: Invoke) -> None:
    assert "guidance_scale=4.0" in invoke("models").stdout
    models = {model["name"]: model for model in read_json(invoke("models", "--json").stdout)}
    assert models["sd15"]["settings"]["guidance_scale"] == 4.0
    assert set(models["toybox"]) == {"name", "description", "source", "settings"}
    assert models["toybox"]["settings"]["schedule"]["span"] == [0.0, 1.0]
    assert "schedule=span=0:1" in " ".join(invoke("models").stdout.split())


def test_a_plugins_command(invoke: Invoke, nudge: NudgePlugin) -> None:
    result = invoke("greet", "--name", "fish")
    assert (result.exit_code, result.stdout) == (0, "hello fish\n")  # what it returns is no exit code
    assert invoke("run", "-h").stdout.startswith("Usage: dragonkit run [OPTIONS]")
    assert invoke("-h").stderr == "warning: a plugin's command 'run' is left out, as there is one of that name already\n"


def test_a_mode_named_like_a_command(invoke: Invoke, registry: PluginRegistry) -> None:
    class Run(Nudge):
        mode: ClassVar[str] = "run"

    class RunPlugin:
        @hookimpl
        def dragonkit_edits(self) -> list[type[Edit]]:
            return [Run]

    registry.register(RunPlugin(), "runner")
    assert invoke("-h").stderr.startswith("warning: the edit mode 'run' has no command of its own")
    assert "FILE" in invoke("run", "-h").stdout


def test_completion_knows_modes_and_choices(nudge: NudgePlugin) -> None:
    def completed(words: str) -> list[str]:
        environment = {"_DRAGONKIT_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
        return CliRunner().invoke(app, [], prog_name="dragonkit", env=environment).stdout.split()

    assert completed("dragonkit nu") == ["nudge"]
    assert completed("dragonkit nudge --how h") == ["hard"]


def test_a_plugin_whose_commands_fail_harms_only_them(invoke: Invoke, registry: PluginRegistry) -> None:
    class Loud:
        @hookimpl
        def dragonkit_commands(self, cli: Any) -> None:
            raise ZeroDivisionError("oh\nno")

    registry.register(Loud(), "loud")
    result = invoke("--help")
    assert (result.exit_code, "Commands:" in result.stdout) == (0, True)
    assert result.stderr.startswith("warning: skipped: plugin 'loud': dragonkit_commands raised ZeroDivisionError: oh no")
    assert result.stderr.count("\n") == 1


def test_broken_plugins_are_told_in_a_line_and_blamed_for_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    point = metadata.EntryPoint("rotten", "no.such.module", "dragonkit")
    monkeypatch.setattr("dragonkit.plugins.collection.entry_points", lambda: [point])
    get_registry.cache_clear()
    try:
        listed = CliRunner().invoke(app, ["plugins", "--json"])
        missing = CliRunner().invoke(app, ["rotten-mode"])
    finally:
        get_registry.cache_clear()
    assert listed.exit_code == 0
    assert listed.stderr.startswith("warning: skipped: plugin 'rotten': importing it raised ModuleNotFoundError")
    assert listed.stderr.count("\n") == 1
    assert read_json(listed.stdout)[-1]["status"] == "broken"
    assert missing.exit_code == 2
    assert "it may offer the edit mode 'rotten-mode'" in missing.stderr


def test_the_demo_gets_its_options(invoke: Invoke, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dragonkit.cli import demo

    called: list[Any] = []
    monkeypatch.setattr(demo, "demo", lambda *arguments: called.append(arguments))
    assert invoke("demo", "--first-scene", "3", "--scenes", "2").exit_code == 0
    out, *others = called[0]
    assert (str(out), others) == ("demo-output", [3, 2, "toybox", (), "default", False])
    (folder / "demo-output").mkdir()
    assert invoke("demo").exit_code == invoke("demo", "--overwrite").exit_code == 0
    assert [str(arguments[0]) for arguments in called] == ["demo-output", "demo-output-2", "demo-output"]
    assert called[-1][-1] is True
    assert invoke("demo", "--scenes", "0").exit_code == 2
