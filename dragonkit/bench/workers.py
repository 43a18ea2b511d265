"""Many edits at once: processes that share the machine, each with its own models."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from multiprocessing import get_context

from dragonkit.editing.editor import Editor

__all__ = ["fresh_editor", "loaded", "workers"]


@contextmanager
def workers(jobs: int) -> Iterator[Executor | None]:
    """A pool of processes with one thread each; None for a single job, which needs none."""
    if jobs == 1:
        yield None
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_one_thread) as pool:
        yield pool


@lru_cache(maxsize=4)
def loaded(model: str) -> Editor:
    """The model, loaded once in each process."""
    return Editor.from_pretrained(model)


def fresh_editor(model: str) -> Editor:
    """An editor that shares the loaded model, and remembers nothing."""
    shared = loaded(model)
    return Editor(shared.backbone, shared.card, shared.registry)


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)
