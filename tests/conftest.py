"""What every test runs under: shape checks on, no network, no other processes, one thread, the same seeds."""

from __future__ import annotations

import os

os.environ["HF_HUB_OFFLINE"] = "1"  # read once, when huggingface_hub is imported: a test must never download

import random
import signal
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from helpers.isolation import isolation  # noqa: F401 - a fixture of every test
from hypothesis import settings
from jaxtyping import install_import_hook

# Shape annotations are checked in tests only. Must come before the first import of these modules.
install_import_hook(["dragonkit.diffusion", "dragonkit.energy.similarity", "dragonkit.imaging.lookup"], "beartype.beartype")

torch.set_num_threads(1)  # more threads wait for each other when the machine is busy, and the models are tiny

settings.register_profile("dragonkit", deadline=None, derandomize=True, database=None, max_examples=50)
settings.load_profile("dragonkit")


@pytest.fixture(autouse=True)
def seeds() -> None:
    """Start every test from the same random state, whatever ran before it."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """Ctrl-C as in a terminal: a test run in the background inherits that it is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def tiny_pipeline() -> Any:
    """A `StableDiffusionPipeline` of a few thousand random weights: 32 px, v-prediction, float32. Leave its weights alone."""
    from dragonkit import testing  # here, because it imports all of dragonkit

    torch.set_num_threads(1)  # for layers this small, a second thread only gets in the way
    return testing.tiny_pipeline()


@pytest.fixture(scope="session")
def tiny_model_folder(tmp_path_factory: pytest.TempPathFactory, tiny_pipeline: Any) -> str:
    """That pipeline in a folder, as a name of a model."""
    from dragonkit.toybox.training.export import write_model

    folder = tmp_path_factory.mktemp("tiny-model")
    write_model(tiny_pipeline, folder)
    return str(folder)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if torch.cuda.is_available():
        return
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))
