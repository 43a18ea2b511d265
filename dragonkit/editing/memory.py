"""When memory runs out: what is let go of, what is tried again with less, and what is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from dragonkit.diffusion.backbone import Backbone
from dragonkit.editing.sources import Sources
from dragonkit.edits.settings import MEMORIES, Memory, Settings
from dragonkit.errors import OutOfMemoryError
from dragonkit.plugins.blame import is_out_of_memory

__all__ = ["advice_on_memory", "with_less_memory"]

Result = TypeVar("Result")

AGAIN = {
    "offload": "memory ran out, so the edit was made again with memory='offload', which keeps what was seen of pictures on the host",
    "recompute": "memory ran out, so the edit was made again with memory='recompute', which keeps nothing and takes longer",
}
"""By `Settings.memory`: what is said of an edit that needed it."""


def with_less_memory(attempt: Callable[..., Result], settings: Settings, sources: Sources, backbone: Backbone) -> Result:
    """What `attempt(settings, *notes)` gives; where memory runs out, once more with the next `Settings.memory` and a note that says so.

    Raises:
        OutOfMemoryError: "recompute" ran out of memory, too.
    """
    ways, ran_out = ways_from(settings.memory, backbone.device.type), None
    for way in ways:
        try:
            return attempt(settings.model_copy(update={"memory": way}), *(() if ran_out is None else (AGAIN[way],)))
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            ran_out = error.with_traceback(None)  # which holds on to all that was computed
        sources.forget()
    side = smaller(settings.working_size or backbone.model_size, backbone.size_multiple)
    raise OutOfMemoryError(
        f"memory='recompute' was not enough: use working_size={side} or less, fewer layers, or dtype=torch.float16"
    ) from ran_out


def ways_from(memory: Memory, device: str) -> list[Memory]:
    """This and what needs less; a CPU is its own host."""
    return [way for way in MEMORIES[MEMORIES.index(memory) :] if way == memory or way != "offload" or device != "cpu"]


def smaller(side: int, multiple: int) -> int:
    """About half as many pixels, as a side in pixels that the model takes."""
    return max(multiple, round(side / 2**0.5) // multiple * multiple)


@contextmanager
def advice_on_memory(sources: Sources | None = None) -> Iterator[None]:
    """Within this block running out of memory is told with what helps, once what was kept of pictures is let go of."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        again = ""
        if sources is not None and sources.keeps_anything:
            sources.forget()
            again = "try again, as what was kept of pictures for later edits is let go of now; if that is not enough, "
        raise OutOfMemoryError(
            f"{again}use Settings(memory='recompute'), a smaller working_size, fewer layers or dtype=torch.float16"
        ) from error
