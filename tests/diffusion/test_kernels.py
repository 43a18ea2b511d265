"""xformers is used where it works, and where it does not that is found out once, quietly, and said with the mend."""

from __future__ import annotations

import logging
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from dragonkit.diffusion import kernels
from dragonkit.diffusion.kernels import Xformers, kernel_for, xformers
from dragonkit.diffusion.stable_diffusion import StableDiffusion

CPP_LIB = """
import logging
class Invalid(Exception):
    class build_info:
        torch_version = "1.2.3+cu999"
try:
    raise Invalid
except Invalid as e:
    logging.getLogger("xformers").warning("WARNING[XFORMERS]: xFormers can't load C++/CUDA extensions.\\nand so on")
    _cpp_library_load_exception = e
"""


@pytest.fixture(autouse=True)
def asked_anew() -> Iterator[None]:
    for function in (xformers, kernel_for):
        function.cache_clear()
    yield
    for function in (xformers, kernel_for):
        function.cache_clear()


def installed(folder: Path, cpp_lib: str, ops: str = "def memory_efficient_attention(query, key, value): ...") -> Path:
    """A package that looks like xformers."""
    files = {
        "xformers/__init__.py": "from . import _cpp_lib",
        "xformers/_cpp_lib.py": cpp_lib,
        "xformers/ops.py": ops,
        "xformers-0.0.99.dist-info/METADATA": "Metadata-Version: 2.1\nName: xformers\nVersion: 0.0.99\n",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def said_of(folder: Path) -> tuple[str, str]:
    """What another process says of the xformers in a folder, and what else it says."""
    code = f"import sys; sys.path.insert(0, {str(folder)!r})\n" + textwrap.dedent("""
        from dragonkit.diffusion.kernels import xformers
        here = xformers()
        print(here.version, here.attention is not None, here.problem, sep="|")
    """)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip(), done.stderr


@pytest.mark.processes
@pytest.mark.parametrize(
    ("cpp_lib", "said"),
    [
        (CPP_LIB, f"0.0.99|False|was built for PyTorch 1.2.3+cu999, and this is {torch.__version__}"),
        ("_cpp_library_load_exception = None", "0.0.99|True|"),
        (
            "raise OSError('no libcudart')",
            f"0.0.99|False|cannot be imported beside PyTorch {torch.__version__} (OSError: no libcudart)",
        ),
    ],
    ids=["another torch", "fits", "fails"],
)
def test_what_is_there_is_found_out_without_a_word(tmp_path: Path, cpp_lib: str, said: str) -> None:
    assert said_of(installed(tmp_path, cpp_lib)) == (said, "")


def test_only_the_complaint_is_silenced(caplog: pytest.LogCaptureFixture) -> None:
    import dragonkit.diffusion  # noqa: F401  # where the filter is set

    for message in ("WARNING[XFORMERS]: xFormers can't load", "something else"):
        logging.getLogger("xformers").warning(message)
    assert [record.getMessage() for record in caplog.records] == ["something else"]


def on_a_gpu(monkeypatch: pytest.MonkeyPatch, found: Xformers) -> Callable[[torch.dtype], kernels.Kernel]:
    """`kernel_for` as on a GPU: its numbers lie on the CPU."""
    zeros = torch.zeros
    monkeypatch.setattr(kernels, "xformers", lambda: found)
    monkeypatch.setattr(torch, "zeros", lambda *shape, device, **options: zeros(*shape, **options))
    return lambda dtype: kernel_for(torch.device("cuda"), dtype, 8)


def halves_only(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    if query.dtype == torch.float32:
        raise NotImplementedError("No operator found for float32\nquery: shape ...")
    return query + key + value


def test_what_xformers_refuses_goes_to_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = on_a_gpu(monkeypatch, Xformers("0.0.99", halves_only))
    assert (kernel(torch.float16).name, kernel(torch.float32).name) == ("xformers", "torch")
    assert "does not take 8 channels of torch.float32 (NotImplementedError: No operator found for float32)" in kernel(torch.float32).why


def test_what_cannot_come_back_goes_to_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    def one_way(query: torch.Tensor, *_: Any) -> torch.Tensor:
        query = query.clone()
        query.register_hook(lambda gradient: (_ for _ in ()).throw(NotImplementedError("no backward")))
        return query

    assert on_a_gpu(monkeypatch, Xformers("0.0.99", one_way))(torch.float16).name == "torch"


def test_without_xformers_or_a_gpu_it_is_torch(monkeypatch: pytest.MonkeyPatch, backbone: StableDiffusion) -> None:
    assert on_a_gpu(monkeypatch, Xformers())(torch.float16) == kernels.Kernel("torch", "xformers is not installed")
    unfit = on_a_gpu(monkeypatch, Xformers("0.0.99", None, "was built for PyTorch 1"))
    kernel_for.cache_clear()
    assert unfit(torch.float16).why == "xformers 0.0.99 was built for PyTorch 1"
    assert kernel_for(torch.device("cpu"), torch.float32, 8).name == "torch"
    assert backbone.attention_kernel == "torch"
