"""In which precision a model runs where nobody asks for one; what cannot be is refused in tests/editing/test_arguments.py."""

from __future__ import annotations

import pytest
import torch

from dragonkit.errors import ModelError
from dragonkit.models.devices import checked_dtype, default_dtype


@pytest.mark.parametrize(
    "capabilities, expected",
    [
        ({"avx512_bf16": True}, torch.bfloat16),
        ({"amx_bf16": True, "avx512_bf16": False}, torch.bfloat16),
        ({"avx2": True, "avx512_bf16": False}, torch.float32),
        ({}, torch.float32),
    ],
)
def test_a_cpu_works_in_bfloat16_where_it_multiplies_that(
    capabilities: dict[str, bool], expected: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert default_dtype(torch.device("cpu")) == expected


def test_a_gpu_works_in_float16_and_others_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    assert default_dtype(torch.device("cuda", 1)) == torch.float16
    assert default_dtype(torch.device("mps")) == torch.float32
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)  # as before torch 2.11
    assert default_dtype(torch.device("cpu")) == torch.float32


def test_a_precision_may_be_named() -> None:
    cpu = torch.device("cpu")
    assert checked_dtype("bfloat16", cpu) == checked_dtype("torch.bfloat16", cpu) == checked_dtype(torch.bfloat16, cpu) == torch.bfloat16
    for wrong in ("float8", "int32", "nn", 32):
        with pytest.raises(ModelError, match=r"must be a floating-point torch\.dtype"):
            checked_dtype(wrong, cpu)
