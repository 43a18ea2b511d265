"""Several runs on one network at a time: each is written as if it were alone, and their calls meet in one of several rows.

meeting = Meeting(backbone, range(2))
meeting.run({who: partial(edited, backbone) for who, backbone in meeting.backbones.items()})
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from contextvars import copy_context
from typing import Any, TypeVar

import torch

from dragonkit.diffusion.backbone import Backbone, Condition, Prediction
from dragonkit.diffusion.joint_calls import Call, Pull, made
from dragonkit.diffusion.turns import POLL
from dragonkit.errors import Cancelled
from dragonkit.shapes import Latents

__all__ = ["Meeting"]

Outcome = TypeVar("Outcome")


class Meeting:
    """Backbones for several runs, which take turns: a run goes on until it calls the network, and when all wait, calls are made in one.

    As one run computes at a time, none need know of the others. What comes of it is what each would get alone, but for the rounding of
    larger matrix products.

    Args:
        backbone: whose network it is; it must be the caller's turn on it.
        runs: their numbers.

    Attributes:
        backbones: by the number of the run.
    """

    def __init__(self, backbone: Backbone, runs: Iterable[int]):
        self._backbone, self._downwards = backbone, True
        self._changed, self._whose = threading.Condition(), -1
        self._waiting: dict[int, Call | Pull] = {}
        self._answers: dict[int, Any] = {}
        self._going: set[int] = set()
        self._failed: BaseException | None = None
        self.backbones = {who: self._copy(who) for who in runs}

    def run(self, works: Mapping[int, Callable[[], Outcome]], downwards: bool = True) -> dict[int, Outcome]:
        """What the works give, by the number of the backbone that each of them calls.

        Args:
            downwards: calls for the noisiest level are made first, as in sampling, so that whoever begins later is met; those for the
                cleanest first, as in inversion, when False.

        Raises:
            BaseException: what a work raised first, which ends all of them.
        """
        self._downwards, self._failed, self._going, self._whose = downwards, None, set(works), min(works)
        outcomes, over = dict[int, Outcome](), {who: threading.Event() for who in works}
        grad, stream = torch.is_grad_enabled(), _stream_of(self._backbone.device)

        def work(who: int) -> None:
            try:
                with self._changed:
                    self._wait_for_turn(who)
                with torch.set_grad_enabled(grad), stream():
                    outcomes[who] = works[who]()
            except BaseException as error:  # raised again on the caller's thread
                self._fail(error)
            finally:
                with self._changed:
                    self._going.discard(who)
                    self._hand_on()
                over[who].set()

        # in copies of this thread's context, whose turn on the network it is
        threads = {who: threading.Thread(target=copy_context().run, args=(work, who), daemon=True) for who in works}
        try:
            for thread in threads.values():
                thread.start()
            _wait_for(over.values())
        except BaseException as error:  # a Ctrl-C, which no other thread is told of
            self._fail(error)
            _wait_for(over[who] for who, thread in threads.items() if thread.ident is not None)  # those that were started
        finally:
            self._waiting.clear()
            self._answers.clear()
        if self._failed is not None:
            raise self._failed
        return {who: outcomes[who] for who in works}

    def close(self) -> None:
        """Have calls of the backbones be plain ones of the given backbone: what was made with them lives on, and may call again."""
        for one in self.backbones.values():
            setattr(one, "predict", self._backbone.predict)  # noqa: B010

    # --- turns ----------------------------------------------------------------------------------------------------------------

    def _ask(self, who: int, call: Call | Pull) -> Any:
        with self._changed:
            self._waiting[who] = call
            self._hand_on()
            self._wait_for_turn(who)
            return self._answers.pop(who)

    def _wait_for_turn(self, who: int) -> None:
        while self._whose != who and self._failed is None:
            self._changed.wait()
        if self._failed is not None:
            raise Cancelled()

    def _hand_on(self) -> None:
        """Let the next run go on that can; where all wait, make a call for some of them first."""
        if self._going and self._going == self._waiting.keys() and self._failed is None:
            try:
                self._answer()
            except BaseException as error:  # raised again on the caller's thread
                self._fail(error)
        self._whose = min(self._going - self._waiting.keys(), default=-1)
        self._changed.notify_all()

    def _fail(self, error: BaseException) -> None:
        """All runs end with their next call; the first error is told."""
        with self._changed:
            self._failed = error if self._failed is None else self._failed
            self._changed.notify_all()

    def _answer(self) -> None:
        """Make the most urgent call, with all others that can be made in one with it."""
        up = -1 if self._downwards else 1
        first = min(self._waiting, key=lambda who: (up * self._waiting[who].time, self._waiting[who].order, who))
        kind = self._waiting[first].kind
        alike = {who: call for who, call in self._waiting.items() if call.kind == kind}
        for who, answer in made(self._backbone, alike, self._ask).items():
            self._answers[who] = answer
            del self._waiting[who]

    def _copy(self, who: int) -> Backbone:
        """The backbone once more, on the same network, but for its calls, which meet those of others."""
        one = copy.copy(self._backbone)
        one.calls = 0

        def predict(latents: Latents, time: float, condition: Condition, **asked: Any) -> Prediction:
            one.calls += len(latents)
            seen: Prediction = self._ask(who, Call(latents, time, condition, torch.is_grad_enabled(), **asked))
            return seen

        setattr(one, "predict", predict)  # noqa: B010
        if not hasattr(one, "network"):
            setattr(one, "network", self._backbone)  # noqa: B010
        return one


def _wait_for(events: Iterable[threading.Event]) -> None:
    """A thread that is joined counts as ended once a Ctrl-C comes meanwhile, though it goes on (Python 3.11)."""
    for event in events:
        while not event.wait(POLL):
            pass


def _stream_of(device: torch.device) -> Callable[[], AbstractContextManager[Any]]:
    """Blocks within which another thread works on the stream of this one."""
    if device.type != "cuda":
        return nullcontext
    stream = torch.cuda.current_stream(device)
    return lambda: torch.cuda.stream(stream)
