"""Models on the Hugging Face hub, brought into its cache here: with progress, a way to stop, and an end when the hub is silent."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from dragonkit.errors import Cancelled, ModelNotFoundError
from dragonkit.plugins.card import ModelCard
from dragonkit.words import first_line

__all__ = ["UNUSED", "VARIANT", "Fetched", "fetch", "fetch_command"]

Fetched = Callable[[int, int], Any]
"""Called with (bytes fetched, bytes in all); 0 in all while the hub has not said."""

SILENCE = 30.0
"""Seconds without a byte after which the hub is given up."""
POLL = 0.1

UNUSED = ("safety_checker", "feature_extractor", "image_encoder")
"""Parts that edits do not use, and that are large."""
VARIANT = re.compile(r"(?:model|diffusion_pytorch_model)\.([\w-]+?)(?:-\d+-of-\d+)?\.safetensors")
"""The name of a part's weights in a variant, which is its group."""
_CONFIGS = r"([\w-]+/)?[\w.-]+\.(json|txt|model)"
_PICKLED = r"[\w-]+/(pytorch_model|diffusion_pytorch_model)(-\d+-of-\d+)?\.bin"


def fetch(card: ModelCard, progress: Fetched | None = None, weights: bool = True) -> Path:
    """The folder of a model whose source is a hub id; what is in the cache already is not fetched again.

    Args:
        progress: called ten times a second; what it raises ends the download.
        weights: fetch the weights, too, and not just what says how the networks are built.

    Raises:
        ModelNotFoundError: the hub has no such model, revision or variant, or cannot be reached and the cache has none.
    """
    from huggingface_hub import is_offline_mode, try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError, RevisionNotFoundError

    repo = card.source
    try:
        cached = try_to_load_from_cache(repo, "model_index.json", revision=card.revision)
    except HFValidationError as error:
        raise ModelNotFoundError(f"{repo!r} is neither a folder, nor a file, nor a hub id such as owner/name; check the name") from error
    have = Path(cached).parent if isinstance(cached, str) else None
    if is_offline_mode():
        if have is None:
            raise ModelNotFoundError(
                f"the model {repo} is not on this machine, and HF_HUB_OFFLINE forbids to ask the hub; "
                f"fetch it where there is a network, with: {fetch_command(card, weights)}"
            )
        return have
    try:
        return _Download(card, weights).wait(progress)
    except Cancelled:
        raise
    except Exception as error:  # whatever libraries of the hub and of the network raise
        if have is not None and not isinstance(error, ModelNotFoundError):
            return have
        if isinstance(error, ModelNotFoundError):
            raise
        if isinstance(error, RevisionNotFoundError):
            raise ModelNotFoundError(f"the hub's {repo} has no revision {card.revision!r}; give a branch, a tag or a commit") from error
        if isinstance(error, RepositoryNotFoundError):
            raise ModelNotFoundError(
                f"the hub has no model {repo}, or it is not for everybody; check the name, and log in with 'hf auth login' if it is yours"
            ) from error
        raise ModelNotFoundError(
            f"the model {repo} is not on this machine, and the hub cannot be reached ({first_line(error)}); "
            f"check the network and fetch it with: {fetch_command(card, weights)}"
        ) from error


def fetch_command(card: ModelCard, weights: bool = True) -> str:
    """What fetches a model in a shell, and nothing that is not needed."""
    networks = " '*/model*.safetensors' '*/diffusion_pytorch_model*.safetensors' --exclude 'safety_checker/*'" if weights else ""
    revision = f" --revision {card.revision}" if card.revision else ""
    return f"hf download {card.source}{revision} --include '*.json' '*.txt'{networks}"


def _weights(variant: str = "") -> str:
    """The files of a part's weights; of a variant, or the plain ones."""
    named = rf"\.{re.escape(variant)}" if variant else ""
    return rf"[\w-]+/(model|diffusion_pytorch_model){named}(-\d+-of-\d+)?\.safetensors"


class _Silence(Exception):
    """Nothing came for a while."""


class _Download(threading.Thread):
    """Fetches on a thread of its own: a connection that hangs can only be left behind."""

    def __init__(self, card: ModelCard, weights: bool) -> None:
        super().__init__(name="dragonkit-download", daemon=True)
        self._repo, self._revision, self._variant, self._weights = card.source, card.revision, card.variant, weights
        self._folder: Path | None = None
        self._error: BaseException | None = None
        self._done = self._total = 0
        self._heard, self._stopped = time.monotonic(), False

    def wait(self, progress: Fetched | None) -> Path:
        """The folder, once all is there. Raises what the download or `progress` raises."""
        self.start()
        try:
            while self.is_alive():
                self.join(POLL)
                if progress is not None:
                    progress(min(self._done, self._total), self._total)
                if self.is_alive() and time.monotonic() - self._heard > SILENCE:
                    raise _Silence(f"it sent nothing for {SILENCE:g} s")
        finally:
            self._stopped = True
        if self._error is not None:
            raise self._error
        assert self._folder is not None
        return self._folder

    def run(self) -> None:
        from huggingface_hub import HfApi, hf_hub_download

        try:
            info = HfApi().model_info(self._repo, revision=self._revision, files_metadata=True, timeout=SILENCE)
            sizes = {file.rfilename: file.size or 0 for file in info.siblings or ()}
            chosen = self._chosen(sizes)
            self._total, before = sum(sizes[name] for name in chosen), 0
            for name in chosen:
                path = Path(hf_hub_download(self._repo, name, revision=self._revision, tqdm_class=self._bar()))
                before += sizes[name]
                self._done = before  # a file of the cache moves no bar
                self._moved()
                if name == "model_index.json":
                    self._folder = path.parent
        except BaseException as error:  # handed on in wait()
            self._error = error

    def _chosen(self, names: Iterable[str]) -> list[str]:
        """The files that are wanted: of each part in use the weights as asked for, else in full, else in half precision, else pickled."""
        names = sorted(name for name in names if name.partition("/")[0] not in UNUSED)
        if "model_index.json" not in names:
            raise ModelNotFoundError(f"the hub's {self._repo} has no model_index.json: it is not in diffusers' format; give another one")
        chosen = [name for name in names if re.fullmatch(_CONFIGS, name)]
        if not self._weights:
            return chosen
        asked, there = self._variant, sorted({match[1] for name in names if (match := VARIANT.fullmatch(name.partition("/")[2]))})
        if asked and asked not in there:
            instead = f"it has {', '.join(there)}" if there else "leave it out"
            raise ModelNotFoundError(f"the hub's {self._repo} has no variant {asked!r}; {instead}")
        parts = set[str]()
        for pattern in (_weights(asked or ""), _weights(), _weights("fp16"), _PICKLED):
            found = [name for name in names if re.fullmatch(pattern, name) and name.partition("/")[0] not in parts]
            chosen += found
            parts |= {name.partition("/")[0] for name in found}
        return chosen

    def _moved(self) -> None:
        self._heard = time.monotonic()
        if self._stopped:
            raise Cancelled("the download was stopped.")

    def _bar(self) -> type:
        """What the hub's library takes for a progress bar."""
        from tqdm.auto import tqdm

        download = self

        class Bar(tqdm):  # type: ignore[misc]
            def __init__(self, *args: Any, **named: Any) -> None:
                named.pop("name", None)
                super().__init__(*args, **{**named, "disable": True})
                download._done += named.get("initial") or 0

            def update(self, n: float | None = 1) -> None:
                download._done += int(n or 0)
                download._moved()

        return Bar
