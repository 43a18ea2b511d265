"""The packages in plugins/ as their users get them: built and installed by pip, found by the command line, tested where they lie."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import sysconfig
import tomllib
import venv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = sorted(file.parent for file in ROOT.glob("plugins/*/pyproject.toml"))

# what the command `dragonkit` does, and whether it has loaded torch by then
DRAGONKIT = """
import sys
from dragonkit.cli import main
try:
    main()
finally:
    print("torch" in sys.modules, file=sys.stderr)
"""

Python = Callable[..., subprocess.CompletedProcess[str]]

pytestmark = pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)


def project_of(package: Path) -> dict[str, Any]:
    return tomllib.loads((package / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def run(command: Sequence[str | Path], cwd: Path) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("DRAGONKIT_")}
    done = subprocess.run(command, cwd=cwd, env=clean, capture_output=True, text=True, encoding="utf-8", check=False)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done


@pytest.fixture(scope="session")
def python(tmp_path_factory: pytest.TempPathFactory) -> Python:
    """Run the Python of a fresh environment: all packages of plugins/ are installed there, and it sees what this one has."""
    if importlib.util.find_spec("hatchling") is None:
        pytest.fail("the packages in plugins/ are built by hatchling, which is not here: pip install hatchling, or dragonkit[dev] anew")
    folder = tmp_path_factory.mktemp("plugins")
    venv.create(folder / "env", with_pip=False)
    interpreter = folder / "env" / ("Scripts" if os.name == "nt" else "bin") / "python"
    own = run([interpreter, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], folder).stdout.strip()
    # addsitedir, not a mere path: dragonkit itself may be installed there by a .pth file
    Path(own, "outer.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n", encoding="utf-8")
    pip = [sys.executable, "-m", "pip", "--python", interpreter, "--disable-pip-version-check", "install"]
    run([*pip, "--quiet", "--no-cache-dir", "--no-index", "--no-deps", "--no-build-isolation", *PACKAGES], folder)
    return lambda *arguments, cwd=folder: run([interpreter, *arguments], cwd)


@pytest.fixture(scope="session")
def listed(python: Python) -> Callable[[str], list[dict[str, Any]]]:
    """What `dragonkit modes --json` and the like print."""
    known: dict[str, list[dict[str, Any]]] = {}

    def ask(what: str) -> list[dict[str, Any]]:
        if what not in known:
            done = python("-c", DRAGONKIT, what, "--json")
            assert done.stderr.split() == ["False"], "no warning, and no torch"
            known[what] = json.loads(done.stdout)
        return known[what]

    return ask


def test_it_depends_on_dragonkit_and_says_what_it_is(package: Path) -> None:
    project = project_of(package)
    assert project["name"] == package.name
    assert "dragonkit" in {re.split(r"[^\w-]", one)[0] for one in project["dependencies"]}
    assert project["description"] and (package / project["readme"]).is_file()
    assert list(package.glob("tests/test_*.py"))


@pytest.mark.processes
def test_it_is_found_where_it_is_installed(package: Path, listed: Callable[[str], list[dict[str, Any]]]) -> None:
    project = project_of(package)
    plugins = {plugin["name"]: plugin for plugin in listed("plugins")}
    modes = listed("modes")
    for name in project["entry-points"]["dragonkit"]:
        plugin = plugins[name]
        assert (plugin["distribution"], plugin["version"]) == (project["name"], project["version"])
        assert (plugin["status"], plugin["reason"]) == ("ok", None)
        assert sorted(mode["mode"] for mode in modes if mode["plugin"] == name) == sorted(plugin["modes"])


@pytest.mark.slow
def test_its_own_tests_pass_where_it_is_installed(package: Path, python: Python) -> None:
    python("-m", "pytest", "-q", "-p", "no:cacheprovider", package)


@pytest.mark.slow
def test_the_examples_of_its_readme_run(package: Path, python: Python, tmp_path: Path) -> None:
    readme = (package / "README.md").read_text(encoding="utf-8")
    examples = re.findall(r"<!-- run -->\n```python\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    assert examples
    python("-c", "\n".join(examples), cwd=tmp_path)


def test_it_uses_public_names_only(package: Path) -> None:
    for file in package.rglob("*.py"):
        code = file.read_text(encoding="utf-8").replace("from __future__ import annotations", "")
        assert re.findall(r"(?:import|from)[^\n]*[ .]_\w+", code) == []
        assert re.findall(r"dragonkit[.\w]*\._\w+", code) == []
