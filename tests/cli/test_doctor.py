"""`dragonkit doctor` says what is there, what is not, and what to do about it; nothing that it meets ends it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.strict import read_json
from typer.testing import CliRunner

from dragonkit import __version__
from dragonkit.cli import checkup as module
from dragonkit.cli.app import app
from dragonkit.cli.checkup import CHECKS, Check, checkup
from dragonkit.diffusion import kernels
from dragonkit.diffusion.kernels import Kernel, Xformers
from dragonkit.plugins.registry import PluginRegistry, get_registry


def answers(name: str, registry: PluginRegistry | None = None) -> dict[str, Check]:
    """One check's answers by their names."""
    return {check.name: check for check in CHECKS[name](registry or get_registry())}


def test_it_says_what_is_there() -> None:
    found = answers("versions") | answers("devices") | answers("memory") | answers("plugins")
    assert __version__ in found["dragonkit"].said
    assert found["packages"].status == "ok" and found["packages"].facts["versions"]["torch"] == torch.__version__
    assert found["devices"].facts["devices"][0]["device"] == "cpu" and found["devices"].facts["precision"] in found["devices"].said
    assert found["memory"].facts["memory"] > 2**20
    assert {"move", "inversions"} <= set(found["plugins"].facts["plugins"])
    assert not any(check.mend for check in found.values())


def test_packages_that_do_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "requires", lambda _: ["torch>=99", "no-such-package", "numpy", "tqdm; extra == 'bench'"])
    check = answers("versions")["packages"]
    assert (check.status, check.facts["wrong"]) == ("bad", [f"torch {torch.__version__} is not >=99", "no-such-package is missing"])
    assert "tqdm" not in check.facts["versions"] and "pip install --upgrade" in check.mend


@pytest.mark.parametrize(
    ("here", "said", "mends"),
    [
        (Xformers(), "computed by torch", False),
        (Xformers("0.0.35", None, "was built for PyTorch 2.10"), "xformers 0.0.35 was built for PyTorch 2.10", True),
        (Xformers("0.0.35", print), "computed by torch", False),
    ],
    ids=["none", "unfit", "fits"],
)
def test_attention(monkeypatch: pytest.MonkeyPatch, here: Xformers, said: str, mends: bool) -> None:
    monkeypatch.setattr(kernels, "xformers", lambda: here)
    check = answers("attention")["attention"]
    assert said in check.said and bool(check.mend) == mends
    assert check.status == ("note" if mends else "ok")


def test_attention_by_both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        kernels, "kernel_for", lambda _, __, channels: Kernel("torch" if channels > 128 else "xformers", f"{channels > 128}")
    )
    check = answers("attention")["attention"]
    assert check.facts["kernel"] == ["torch", "xformers"] and "computed by torch and xformers: False; True" in check.said


def test_a_source_tree_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(name: str) -> Any:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(module, "requires", unknown)
    check = answers("versions")["packages"]
    assert (check.status, check.mend) == ("ok", "") and "without being installed" in check.said


def test_a_driver_without_cuda_in_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", None)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    check = answers("devices")["devices"]
    assert check.status == "note" and "was built without CUDA" in check.said and "pytorch.org" in check.mend


def test_a_cache_that_is_full_or_may_not_be_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "not" / "yet"))
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=2**30))
    check = answers("hub cache")["hub cache"]
    assert (check.status, check.facts["free"], check.facts["offline"]) == ("note", 2**30, True)
    assert "HF_HOME" in check.mend and "HF_HUB_OFFLINE is set" in check.said
    monkeypatch.setattr("os.access", lambda *_: False)
    assert "cannot be written" in answers("hub cache")["hub cache"].said


def test_a_browser_is_looked_for_where_the_tests_look(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CHROMIUM", str(tmp_path / "chromium"))
    assert answers("browser")["browser"].status == "note" and "CHROMIUM" in answers("browser")["browser"].mend
    (tmp_path / "chromium").touch(0o755)
    assert answers("browser")["browser"].facts == {"browser": str(tmp_path / "chromium")}


class Broken:
    def describe(self) -> list[dict[str, Any]]:
        fields = {"distribution": "dragonkit-lost", "version": "0.3", "modes": [], "hooks": []}
        return [{"name": "lost", "status": "broken", "reason": "ImportError: no module named lost", **fields}]


def test_a_broken_plugin_and_its_reason() -> None:
    check = answers("plugins", Broken())["plugin lost"]  # type: ignore[arg-type]
    assert check.status == "bad" and check.said == "broken (dragonkit-lost 0.3): ImportError: no module named lost"
    assert "uninstall dragonkit-lost" in check.mend


def test_a_check_that_fails_is_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: PluginRegistry) -> Iterator[Check]:
        raise OSError("no such place")

    monkeypatch.setattr(module, "CHECKS", {"first": fail, "browser": CHECKS["browser"]})
    first, second = checkup(get_registry())
    assert (first.name, first.status, first.said) == ("first", "bad", "could not be looked at: OSError: no such place")
    assert second.name == "browser"


def test_the_command_prints_lines_and_strict_json() -> None:
    said = CliRunner().invoke(app, ["doctor"])
    assert said.exit_code == 0, said.output
    assert f"ok  dragonkit: {__version__}" in said.output and "attention: computed by torch" in said.output
    found = read_json(CliRunner().invoke(app, ["doctor", "--json"]).output)
    assert found["ok"] == all(check["status"] != "bad" for check in found["checks"])
    assert {"dragonkit", "packages", "devices", "attention", "memory", "hub cache", "notebook", "browser", "plugins"} <= {
        check["name"] for check in found["checks"]
    }
