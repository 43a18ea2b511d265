"""Ways to compute a call: measured against the plain one, undone afterwards, and a way that is not to be had is named."""

from __future__ import annotations

import shutil
from typing import Any

import pytest
import torch
from helpers.strict import read_json
from typer.testing import CliRunner

from dragonkit.bench import ways
from dragonkit.bench.ways import BLOCK, PLAIN, Way, measure_ways
from dragonkit.cli.app import app
from dragonkit.diffusion.stable_diffusion import StableDiffusion
from dragonkit.errors import EditError
from dragonkit.testing import tiny_pipeline


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[StableDiffusion]:
    """Backbones that were loaded, by `load`."""
    monkeypatch.setattr(ways, "REPEATS", 1)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    return []


def loader(loaded: list[StableDiffusion]) -> Any:
    def load(dtype: str) -> StableDiffusion:
        loaded.append(StableDiffusion(tiny_pipeline(dtype=getattr(torch, dtype))))
        return loaded[-1]

    return load


def test_every_way_is_measured_and_undone(loaded: list[StableDiffusion]) -> None:
    before = torch.get_num_threads()
    found = list(measure_ways(loader(loaded), compilation=False))
    assert [one.what for one in found] == [PLAIN, "2 threads", "channels last", "bfloat16"] and not any(one.failed for one in found)
    assert all(0 < one.call < one.ready and one.back > 0 for one in found)
    plain, *same, rounded = found
    assert plain.error == 0 and all(one.error < 1e-5 for one in same) and 1e-4 < rounded.error < 0.1
    assert torch.get_num_threads() == before
    weight = next(module for module in loaded[0].unet.modules() if isinstance(module, torch.nn.Conv2d) and module.kernel_size[0] > 1).weight
    assert weight.is_contiguous()


def test_a_way_that_cannot_be_had_is_named(loaded: list[StableDiffusion], monkeypatch: pytest.MonkeyPatch) -> None:
    def no_compiler(module: Any, **_: Any) -> None:
        raise RuntimeError("no C++ compiler\nand much more")

    monkeypatch.setattr(torch.nn.Module, "compile", no_compiler)
    found = {one.what: one for one in measure_ways(loader(loaded))}
    compiled = found["its ResNet blocks compiled"]
    assert compiled.failed == "RuntimeError: no C++ compiler" and compiled.call == 0 and found["bfloat16"].call > 0


@pytest.mark.slow
@pytest.mark.skipif(not (shutil.which("g++") or shutil.which("clang++")), reason="no C++ compiler")
def test_compiled_blocks_give_the_same_and_are_plain_again(loaded: list[StableDiffusion]) -> None:
    found = {one.what: one for one in measure_ways(loader(loaded))}["its ResNet blocks compiled"]
    assert not found.failed and found.error < 1e-5 and found.ready > found.call
    blocks = [module for module in loaded[0].unet.modules() if type(module).__name__ == BLOCK]
    assert blocks and all(block._compiled_call_impl is None for block in blocks)


def test_other_networks_are_refused() -> None:
    with pytest.raises(EditError, match="diffusers' networks only"):
        next(measure_ways(lambda dtype: object()))  # type: ignore[arg-type, return-value]


def test_the_command_prints_a_table_and_json(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [Way(PLAIN, 0.05, 0.1, 0.0, 0.2), Way("channels last", failed="ValueError: no")]
    asked = list[bool]()

    def measured(load: Any, compilation: bool) -> list[Way]:
        asked.append(compilation)
        return found

    monkeypatch.setattr(ways, "measure_ways", measured)
    call = ["bench", "ways", "--device", "cpu"]
    shown = CliRunner().invoke(app, [*call, "--no-compile"], catch_exceptions=False, env={"COLUMNS": "150"}).output
    assert asked == [False] and "50.0" in shown and "channels last: not here: ValueError: no" in shown
    plain, other = read_json(CliRunner().invoke(app, [*call, "--json"], catch_exceptions=False).stdout)
    assert plain["call"] == 0.05 and other["failed"] == "ValueError: no" and asked == [False, True]
