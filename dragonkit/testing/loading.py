"""Whether a plugin loads as it should: without torch, with every hook found."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from types import ModuleType
from typing import Any

from dragonkit.testing.failures import failure

__all__ = ["check_hooks", "check_import"]

# What a heavy library was first imported by is known only while it is imported, whether it was only while it is in sys.modules.
_WATCH = """
import importlib, sys, traceback

class Watch:
    places = {}

    def find_spec(self, name, path=None, target=None):
        if name in ("torch", "diffusers"):
            frame = [one for one in traceback.extract_stack()[:-1] if "importlib" not in one.filename][-1]
            self.places.setdefault(name, f"{frame.filename}, line {frame.lineno}")

sys.meta_path.insert(0, Watch())
importlib.import_module(sys.argv[1])
for name, place in Watch.places.items():
    if name in sys.modules:
        sys.exit(f"importing it loads {name} ({place}); import that inside the functions that need it")
"""


def check_import(plugin: object) -> None:
    """Import the plugin's module in a new process. What was made at run time, or is no module, is not checked."""
    name = plugin.partition(":")[0] if isinstance(plugin, str) else _importable(plugin)
    if name is None:
        return
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.run([sys.executable, "-c", _WATCH, name], env=environment, capture_output=True, text=True, check=False)
    if process.returncode:
        said = process.stderr.strip().splitlines()[-1]
        if said.startswith("importing it loads"):
            raise failure(name, None, said)
        *_, (file, line) = re.findall(r'File "([^"]+)", line (\d+)', process.stderr)
        raise failure(name, None, f"importing it in a new process raised {said} ({file}, line {line})")


def check_hooks(plugin: Any, name: str) -> None:
    """No function named like a hook has been left unmarked; what is marked, the registry has checked."""
    for hook in dir(plugin):
        function = getattr(plugin, hook)
        if hook.startswith("dragonkit_") and callable(function) and not hasattr(function, "dragonkit_impl"):
            raise failure(name, hook, "this function is no hook of dragonkit and not marked as one; correct or change its name")


def _importable(plugin: object) -> str | None:
    return plugin.__name__ if isinstance(plugin, ModuleType) and plugin.__spec__ is not None else None
