"""Ctrl-C, SIGTERM, and output that nobody can or will read: one line, an exit code, and nothing else changed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dragonkit.edits.edit import Edit
from dragonkit.plugins.answers import EditMasks, EnergyTerm
from dragonkit.plugins.registry import PluginRegistry
from dragonkit.plugins.specs import hookimpl

MOVE = ["move", "photo.png", "--mask", "mask.png", "--shift", "8,0", "--steps", "2", "--hold", "0"]


class Ends:
    """A plugin in which the process is told to end: in a hook, or in an energy."""

    def __init__(self, where: str, end: Callable[[], Any]) -> None:
        self.where, self.end = where, end

    def at(self, where: str) -> None:
        if where == self.where:
            self.end()

    @hookimpl
    def dragonkit_models(self) -> None:
        self.at("dragonkit_models")

    @hookimpl
    def dragonkit_energy_terms(self, edit: Edit, masks: EditMasks) -> list[EnergyTerm]:
        def look(features: Any) -> Any:
            self.at("the energy term 'look' of its hook dragonkit_energy_terms")
            return features.generated.mean()

        self.at("dragonkit_energy_terms")
        return [EnergyTerm("look", look)]

    @hookimpl
    def dragonkit_step(self) -> None:
        self.at("dragonkit_step")


def interrupted() -> None:
    raise KeyboardInterrupt


WHERE = ["dragonkit_models", "dragonkit_energy_terms", "the energy term 'look' of its hook dragonkit_energy_terms", "dragonkit_step"]


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize(
    ("end", "code", "said"),
    [
        (interrupted, 130, "interrupted"),
        (lambda: signal.raise_signal(signal.SIGINT), 130, "interrupted"),
        (lambda: signal.raise_signal(signal.SIGTERM), 143, "stopped by SIGTERM"),
    ],
    ids=["KeyboardInterrupt", "SIGINT", "SIGTERM"],
)
def test_the_plugin_that_was_running_is_named(
    where: str, end: Callable[[], Any], code: int, said: str, invoke: Any, folder: Path, registry: PluginRegistry, tiny_model_folder: str
) -> None:
    registry.register(Ends(where, end), "slow")
    result = invoke(*MOVE, "--model", tiny_model_folder)
    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr.splitlines()[-1] == f"error: {said}; plugin 'slow' (registered by hand) in {where} was running"
    assert not (folder / "photo-move.png").exists()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_plugin_that_exits_is_told(invoke: Any, folder: Path, registry: PluginRegistry, tiny_model_folder: str) -> None:
    registry.register(Ends("dragonkit_step", lambda: sys.exit(0)), "quits")
    result = invoke(*MOVE, "--model", tiny_model_folder)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.splitlines()[-1].startswith("error: plugin 'quits': dragonkit_step raised SystemExit: 0")


def test_no_memory_in_a_mask_is_told_as_that(invoke: Any, folder: Path, monkeypatch: pytest.MonkeyPatch, tiny_model_folder: str) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise MemoryError("Unable to allocate 15.6 GiB for an array")

    monkeypatch.setattr("dragonkit.modes.moving.load_mask", full)
    result = invoke(*MOVE, "--model", tiny_model_folder)
    assert result.exit_code == 2
    assert result.stderr == "error: the device ran out of memory; use a smaller picture, or close other programs\n"


# --- streams, in real processes -----------------------------------------------------------------------------------------

FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="a system without /dev/full")


@pytest.fixture
def dragonkit(tmp_path: Path) -> Iterator[Callable[..., tuple[int, str, str]]]:
    """Run words in a shell, `dragonkit` among them: exit code, stdout, stderr."""
    program = tmp_path / "bin" / "dragonkit"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\nfrom dragonkit.cli import main\nmain()\n")
    program.chmod(0o755)
    paths = {"PATH": f"{program.parent}:{os.environ['PATH']}", "PYTHONPATH": os.pathsep.join(sys.path)}
    environment = {**os.environ, **paths, "DRAGONKIT_PLUGINS": "", "NO_COLOR": "1"}

    def run(words: str) -> tuple[int, str, str]:
        done = subprocess.run(["bash", "-c", words], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
        return done.returncode, done.stdout, done.stderr

    yield run


@pytest.mark.processes
@needs_full
@pytest.mark.parametrize("words", ["dragonkit modes", "dragonkit models --json", "dragonkit --help"])
def test_a_full_disk_behind_stdout_is_one_line(words: str, dragonkit: Any) -> None:
    code, _, err = dragonkit(f"{words} > /dev/full")
    assert (code, err) == (2, "error: what there is to say cannot be written: No space left on device; make room, or send it elsewhere\n")


@pytest.mark.processes
@needs_full
def test_a_full_disk_behind_stderr_leaves_the_exit_code(dragonkit: Any) -> None:
    assert dragonkit("dragonkit nosuch 2> /dev/full")[0] == 2
    assert dragonkit("dragonkit nosuch > /dev/full 2> /dev/full")[0] == 2


@pytest.mark.processes
def test_closed_streams_change_nothing_else(dragonkit: Any) -> None:
    assert dragonkit("dragonkit modes >&-")[::2] == (0, "")
    assert dragonkit("dragonkit nosuch 2>&-")[:2] == (2, "")
    assert dragonkit("dragonkit models --json >&- 2>&-") == (0, "", "")


@pytest.mark.processes
def test_a_reader_that_goes_away_is_no_error(dragonkit: Any) -> None:
    code, out, err = dragonkit("dragonkit modes | true; echo ${PIPESTATUS[0]}")
    assert (code, out.strip(), err) == (0, "141", "")


@pytest.mark.processes
@pytest.mark.parametrize("words", ["dragonkit modes", "dragonkit move photo.png --mask mask.png"])
def test_a_folder_that_was_deleted_is_one_line(words: str, dragonkit: Any) -> None:
    code, out, err = dragonkit(f"mkdir gone && cd gone && rmdir ../gone && {words}")
    assert (code, out) == (2, "")
    assert err == "error: the current folder cannot be used (No such file or directory); go to one that is there, such as with cd ~\n"


@pytest.mark.processes
def test_sigterm_ends_a_real_process_in_a_line(tmp_path: Path) -> None:
    code = """
        import dragonkit as dk, time
        from dragonkit.plugin_api import get_registry

        class Endless:
            @dk.hookimpl
            def dragonkit_models(self):
                print("here", flush=True)
                while True:
                    time.sleep(0.01)

        get_registry().register(Endless(), "endless")
        from dragonkit.cli import main
        import sys; sys.argv = ["dragonkit", "models"]
        main()
    """
    environment = {**os.environ, "DRAGONKIT_PLUGINS": "", "NO_COLOR": "1"}
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], env=environment, cwd=tmp_path, **pipes)
    try:
        assert process.stdout is not None and process.stdout.readline() == "here\n"
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 143
    assert err == "error: stopped by SIGTERM; plugin 'endless' (registered by hand) in dragonkit_models was running\n"
