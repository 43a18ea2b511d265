"""A hub on this machine: what is fetched, what is not, and what happens when it says nothing, or no."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import huggingface_hub.constants as constants
import pytest

from dragonkit.errors import Cancelled, ModelNotFoundError
from dragonkit.models import hub
from dragonkit.models.hub import fetch, fetch_command
from dragonkit.plugins.card import ModelCard

pytestmark = pytest.mark.sockets

FILES = {
    "README.md": b"hello",
    "model_index.json": b'{"_class_name": "StableDiffusionPipeline"}',
    "unet/config.json": b"{}",
    "unet/diffusion_pytorch_model.safetensors": b"x" * 70_000,
    "unet/diffusion_pytorch_model.fp16.safetensors": b"h" * 100,
    "unet/diffusion_pytorch_model.bin": b"pickle",
    "vae/config.json": b"{}",
    "vae/diffusion_pytorch_model.bin": b"only this",
    "text_encoder/model.fp16.safetensors": b"half" * 50,
    "text_encoder/pytorch_model.bin": b"pickle",
    "safety_checker/model.safetensors": b"unused" * 1000,
    "tokenizer/merges.txt": b"a b",
    "whole-model.safetensors": b"y" * 1000,
}
WANTED = {"model_index.json", "unet/config.json", "vae/config.json", "tokenizer/merges.txt"}
WEIGHTS = {"unet/diffusion_pytorch_model.safetensors", "vae/diffusion_pytorch_model.bin", "text_encoder/model.fp16.safetensors"}
SHA = "0123456789abcdef0123456789abcdef01234567"
OLDER = "89abcdef0123456789abcdef0123456789abcdef"
REVISIONS = {"main": SHA, SHA: SHA, "v1": OLDER, OLDER: OLDER}
MODEL = ModelCard("model", "owner/model")


class Hub(BaseHTTPRequestHandler):
    """Speaks as much of the hub's language as its library needs."""

    silent: ClassVar[threading.Event]
    hang_in: ClassVar[str | None] = None
    asked: ClassVar[list[str]]

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self.asked.append(f"{self.command} {self.path}")
        path = self.path.partition("?")[0]
        if self.hang_in is not None and self.hang_in in path and self.command == "GET":
            self.silent.wait(30)
            return
        if path.startswith("/api/models/owner/model"):
            revision = path.removeprefix("/api/models/owner/model").removeprefix("/revision/") or "main"
            if revision not in REVISIONS:
                self._answer(b"{}", {"X-Error-Code": "RevisionNotFound"}, 404)
                return
            siblings = [{"rfilename": name, "size": len(data)} for name, data in FILES.items()]
            self._answer(json.dumps({"id": "owner/model", "sha": REVISIONS[revision], "siblings": siblings}).encode())
        elif path.startswith("/owner/model/resolve/"):
            revision, _, name = path.removeprefix("/owner/model/resolve/").partition("/")
            data = FILES[name]
            self._answer(data, {"X-Repo-Commit": REVISIONS[revision], "ETag": f'"{len(data)}-{data[:1].hex()}"'})
        else:
            self._answer(b"{}", {"X-Error-Code": "RepoNotFound"}, 404)

    def _answer(self, data: bytes, headers: dict[str, str] | None = None, code: int = 200) -> None:
        self.send_response(code)
        for name, value in {"Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[type[Hub]]:
    handler = type("Handler", (Hub,), {"silent": threading.Event(), "asked": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as served:
        served.daemon_threads = True
        threading.Thread(target=served.serve_forever, daemon=True).start()
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{served.server_port}")
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", constants.ENDPOINT + "/{repo_id}/resolve/{revision}/{filename}")
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        yield handler
        handler.silent.set()
        served.shutdown()


def files_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_what_is_needed_is_fetched_once_and_told(server: type[Hub]) -> None:
    told: list[tuple[int, int]] = []
    folder = fetch(MODEL, lambda done, total: told.append((done, total)))
    assert files_in(folder) == WANTED | WEIGHTS
    assert (folder / "unet/diffusion_pytorch_model.safetensors").read_bytes() == FILES["unet/diffusion_pytorch_model.safetensors"]
    total = sum(len(FILES[name]) for name in WANTED | WEIGHTS)
    assert told[-1] == (total, total) and all(done <= total or total == 0 for done, total in told)
    server.asked.clear()
    assert fetch(MODEL) == folder
    assert not [asked for asked in server.asked if asked.startswith("GET /owner")]


def test_only_what_says_how_networks_are_built(server: type[Hub]) -> None:
    assert files_in(fetch(MODEL, weights=False)) == WANTED


def test_what_the_cache_has_is_enough_without_a_network(server: type[Hub], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = fetch(MODEL)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert fetch(MODEL) == folder
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")  # nobody listens there
    assert fetch(MODEL) == folder


def test_offline_and_not_there_is_told_at_once_with_the_command(server: type[Hub], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    begun = time.monotonic()
    with pytest.raises(ModelNotFoundError, match="HF_HUB_OFFLINE") as caught:
        fetch(MODEL)
    assert time.monotonic() - begun < 1 and server.asked == []
    assert fetch_command(MODEL) in str(caught.value) and "\n" not in str(caught.value)


def test_a_hub_that_cannot_be_reached_is_told_with_the_command(server: type[Hub], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(
        ModelNotFoundError, match=r"the hub cannot be reached .*; check the network and fetch it with: hf download owner/model"
    ):
        fetch(MODEL)


def test_a_model_that_the_hub_lacks_is_told(server: type[Hub]) -> None:
    with pytest.raises(ModelNotFoundError, match="the hub has no model owner/other"):
        fetch(ModelCard("other", "owner/other"))


@pytest.mark.parametrize("where", ["/api/models/", "unet/diffusion_pytorch_model.safetensors"])
def test_a_hub_that_falls_silent_is_given_up(server: type[Hub], monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    monkeypatch.setattr(hub, "SILENCE", 0.5)
    server.hang_in = where
    begun = time.monotonic()
    with pytest.raises(ModelNotFoundError, match=r"it sent nothing for 0\.5 s|timed out"):
        fetch(MODEL)
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize("where", ["/api/models/", "unet/diffusion_pytorch_model.safetensors"])
@pytest.mark.parametrize("error", [Cancelled(), KeyboardInterrupt()])
def test_a_download_can_be_stopped_and_goes_on_later(server: type[Hub], where: str, error: BaseException) -> None:
    server.hang_in = where

    def stop(done: int, total: int) -> None:
        raise error

    with pytest.raises(type(error)):
        fetch(MODEL, stop)
    server.hang_in = None
    server.silent.set()  # the thread that was left behind holds a lock on the file until its connection ends
    assert files_in(fetch(MODEL)) == WANTED | WEIGHTS


def test_a_revision_is_fetched_beside_the_newest(server: type[Hub], monkeypatch: pytest.MonkeyPatch) -> None:
    newest, older = fetch(MODEL), fetch(replace(MODEL, revision="v1"))
    assert (newest.name, older.name) == (SHA, OLDER) and files_in(older) == WANTED | WEIGHTS
    with pytest.raises(ModelNotFoundError, match="has no revision 'v2'; give a branch"):
        fetch(replace(MODEL, revision="v2"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert fetch(replace(MODEL, revision="v1")) == older
    with pytest.raises(ModelNotFoundError, match="hf download owner/model --revision v2 --include"):
        fetch(replace(MODEL, revision="v2"))


def test_a_variant_is_fetched_instead_of_the_plain_weights(server: type[Hub]) -> None:
    half = {"unet/diffusion_pytorch_model.fp16.safetensors", "text_encoder/model.fp16.safetensors", "vae/diffusion_pytorch_model.bin"}
    assert files_in(fetch(replace(MODEL, variant="fp16"))) == WANTED | half
    with pytest.raises(ModelNotFoundError, match="has no variant 'bf16'; it has fp16"):
        fetch(replace(MODEL, variant="bf16"))
