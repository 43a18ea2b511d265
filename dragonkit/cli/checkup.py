"""What works on this machine and what does not, found out piece by piece: each check is one question with its answer."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from packaging.requirements import Requirement

    from dragonkit.plugins.registry import PluginRegistry

__all__ = ["CHECKS", "Check", "checkup"]

GIB = 2**30
LITTLE_DISK = 10 * GIB
"""Room in the hub's cache below which a model of Stable Diffusion's size may not fit."""
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@dataclass(frozen=True)
class Check:
    """An answer.

    Attributes:
        name: of what was looked at.
        status: "ok", "note" for what is missing and not needed everywhere, "bad" for what keeps dragonkit from working.
        said: what there is, in a line.
        mend: what to do about it; "" where nothing need be done.
        facts: the same as plain values, for programs.
    """

    name: str
    status: Literal["ok", "note", "bad"]
    said: str
    mend: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


def checkup(registry: PluginRegistry) -> Iterator[Check]:
    """Every check; one that fails itself is a bad answer, and the others go on."""
    for name, check in CHECKS.items():
        try:
            yield from check(registry)
        except Exception as error:
            yield Check(name, "bad", f"could not be looked at: {type(error).__name__}: {error}", "report it, with this line")


def _versions(_: PluginRegistry) -> Iterator[Check]:
    from dragonkit import __version__

    system = f"{platform.system()} {platform.machine()}"
    facts = {"dragonkit": __version__, "python": platform.python_version(), "executable": sys.executable, "system": system}
    yield Check("dragonkit", "ok", f"{__version__}, Python {facts['python']} on {system}", facts=facts)
    found, wrong = dict[str, str | None](), list[str]()
    for needed in _requirements():
        try:
            found[needed.name] = there = version(needed.name)
        except PackageNotFoundError:
            found[needed.name] = None
            wrong.append(f"{needed.name} is missing")
            continue
        if not needed.specifier.contains(there, prereleases=True):
            wrong.append(f"{needed.name} {there} is not {needed.specifier}")
    said = ", ".join(f"{name} {found[name]}" for name in ("torch", "diffusers", "transformers") if found.get(name))
    said = said or "not known, as dragonkit runs from its source without being installed"
    mend = "pip install --upgrade dragonkit brings what it needs" if wrong else ""
    yield Check("packages", "bad" if wrong else "ok", "; ".join([*wrong, said]), mend, {"versions": found, "wrong": wrong})


def _requirements() -> list[Requirement]:
    """What dragonkit needs here, extras apart; nothing is known of a source tree that is not installed."""
    from packaging.requirements import Requirement

    try:
        found = map(Requirement, requires("dragonkit") or ())
    except PackageNotFoundError:
        return []
    return [one for one in found if one.marker is None or one.marker.evaluate({"extra": ""})]


def _devices(_: PluginRegistry) -> Iterator[Check]:
    import torch

    from dragonkit.models.devices import checked_device, default_dtype

    found: list[dict[str, Any]] = [{"device": "cpu", "threads": torch.get_num_threads()}]
    for number in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(number)
        found.append({"device": f"cuda:{number}", "name": torch.cuda.get_device_name(number), "free": free, "memory": total})
    if torch.backends.mps.is_available():
        found.append({"device": "mps"})
    own = checked_device()
    facts = {"devices": found, "default": str(own), "precision": str(default_dtype(own)).removeprefix("torch."), "cuda": torch.version.cuda}
    names = ", ".join(one.get("name", one["device"]) for one in found)
    said = f"{names}; models run on {own} in {facts['precision']}"
    if own.type == "cuda":
        yield Check("devices", "ok", said, facts=facts)
    elif shutil.which("nvidia-smi"):
        why = "was built without CUDA" if torch.version.cuda is None else f"was built for CUDA {torch.version.cuda} and finds no GPU"
        mend = "install the PyTorch that fits your driver: https://pytorch.org/get-started/locally"
        yield Check("devices", "note", f"{said}; there is an NVIDIA driver, but this PyTorch {why}", mend, facts)
    else:
        yield Check("devices", "ok", f"{said}; {torch.get_num_threads()} threads", facts=facts)


def _attention(_: PluginRegistry) -> Iterator[Check]:
    from dragonkit.diffusion.kernels import MEND, kernel_for, xformers
    from dragonkit.models.devices import checked_device, default_dtype

    here, device = xformers(), checked_device()
    kernels = {channels: kernel_for(device, default_dtype(device), channels) for channels in (40, 64, 80, 160)}  # Stable Diffusion's heads
    names = sorted({kernel.name for kernel in kernels.values()})
    reasons = list(dict.fromkeys(kernel.why for kernel in kernels.values()))
    facts = {"kernel": names, "why": reasons, "xformers": here.version or None, "xformers_problem": here.problem or None}
    said = f"computed by {' and '.join(names)}: {'; '.join(reasons)}"
    if here.problem:
        yield Check("attention", "note", f"{said}; xformers {here.version} {here.problem}", MEND, facts)
    else:
        yield Check("attention", "ok", said, facts=facts)


def _memory(_: PluginRegistry) -> Iterator[Check]:
    total = None
    with suppress(AttributeError, ValueError, OSError):  # not on Windows
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    facts = {"memory": total}
    if total is None:
        yield Check("memory", "ok", "the system does not tell", facts=facts)
    elif total < 4 * GIB:
        mend = "the embedded model fits; for larger ones take Settings(memory='recompute') and smaller pictures"
        yield Check("memory", "note", f"{total / GIB:.1f} GiB", mend, facts)
    else:
        yield Check("memory", "ok", f"{total / GIB:.1f} GiB", facts=facts)


def _hub(registry: PluginRegistry) -> Iterator[Check]:
    from huggingface_hub import constants, is_offline_mode, try_to_load_from_cache

    folder = Path(constants.HF_HUB_CACHE)
    lies_in = next((place for place in (folder, *folder.parents) if place.exists()), folder)
    free, writable = shutil.disk_usage(lies_in).free, os.access(lies_in, os.W_OK)
    hub = {card.name: card.source for card in registry.models().values() if card.source.count("/") == 1}
    cached = [name for name, source in hub.items() if isinstance(try_to_load_from_cache(source, "model_index.json"), str)]
    facts = {"folder": str(folder), "free": free, "writable": writable, "offline": is_offline_mode(), "models": cached}
    said = f"{folder}: {', '.join(cached) or 'no model of the hub'} there, {free / GIB:.1f} GiB free"
    said += ", HF_HUB_OFFLINE is set" if facts["offline"] else ""
    if not writable:
        yield Check(
            "hub cache", "note", f"{said}, but it cannot be written", "name another folder in the environment variable HF_HOME", facts
        )
    elif free < LITTLE_DISK:
        yield Check("hub cache", "note", said, "make room, or name another folder in the environment variable HF_HOME", facts)
    else:
        yield Check("hub cache", "ok", said, facts=facts)


def _notebook(_: PluginRegistry) -> Iterator[Check]:
    wanted = ("jupyterlab", "ipywidgets", "ipycanvas")
    found = dict[str, str]()
    for name in wanted:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    missing = [name for name in wanted if name not in found]
    said = ", ".join(f"{name} {number}" for name, number in found.items())
    if missing:
        said = f"{', '.join(missing)} missing" + (f"; {said}" if said else "")
    mend = "pip install 'dragonkit[jupyter]', for the notebook editor" if missing else ""
    yield Check("notebook", "note" if missing else "ok", said, mend, {"versions": found, "missing": missing})


def _browser(_: PluginRegistry) -> Iterator[Check]:
    names = [os.environ["CHROMIUM"]] if os.environ.get("CHROMIUM") else BROWSERS
    found = next(filter(None, map(shutil.which, names)), None)
    if found:
        yield Check("browser", "ok", found, facts={"browser": found})
    else:
        mend = "install Chromium, or name one in the environment variable CHROMIUM; only the browser tests (make e2e) need it"
        yield Check("browser", "note", f"none; looked for {', '.join(names)}", mend, {"browser": None})


def _plugins(registry: PluginRegistry) -> Iterator[Check]:
    found = registry.describe()
    sound = [plugin["name"] for plugin in found if plugin["status"] == "ok"]
    yield Check("plugins", "ok", ", ".join(sound) or "none", facts={"plugins": sound})
    for plugin in found:
        if plugin["status"] != "ok":
            of = " ".join(filter(None, (plugin["distribution"], plugin["version"]))) or "registered by hand"
            mend = f"update or uninstall {plugin['distribution'] or 'it'}, or load only others with DRAGONKIT_PLUGINS"
            yield Check(f"plugin {plugin['name']}", "bad", f"{plugin['status']} ({of}): {plugin['reason']}", mend, plugin)


CHECKS: Mapping[str, Callable[[PluginRegistry], Iterator[Check]]] = {
    "versions": _versions,
    "devices": _devices,
    "attention": _attention,
    "memory": _memory,
    "hub cache": _hub,
    "notebook": _notebook,
    "browser": _browser,
    "plugins": _plugins,
}
