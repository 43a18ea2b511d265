"""Whose turn it is, by network and by thread."""

from __future__ import annotations

import contextvars
import gc
import threading
import weakref
from dataclasses import dataclass
from typing import Any

import pytest

from dragonkit.diffusion import turns
from dragonkit.diffusion.turns import calls_on, turn_on


class Network:
    pass


@dataclass
class Unhashable:
    network: Any = None


def free_for_others(backbone: Any, inherits: bool = False) -> bool:
    """Whether another thread gets the turn at once; one that inherits the context of this one, if asked for."""
    got = list[bool]()

    def stop() -> None:
        raise InterruptedError

    def ask() -> None:
        try:
            with turn_on(backbone, stop):
                got.append(True)
        except InterruptedError:
            got.append(False)

    context = contextvars.copy_context() if inherits else contextvars.Context()
    thread = threading.Thread(target=context.run, args=(ask,))
    thread.start()
    thread.join(10)
    return got == [True]


def test_backbones_of_one_network_share_its_turn() -> None:
    network = Network()
    one, two, other = Unhashable(network), Unhashable(network), Unhashable(Network())
    with turn_on(one):
        assert not free_for_others(two) and not free_for_others(one) and free_for_others(other)
        with turn_on(two):  # the same thread
            assert not free_for_others(one)
        assert not free_for_others(one)
    assert free_for_others(one) and free_for_others(two)


def test_a_thread_that_works_for_who_has_the_turn_has_it_too() -> None:
    one, got = Network(), list[bool]()

    def work() -> None:
        with turn_on(one):
            got.append(True)
        got.append(free_for_others(one))

    with turn_on(one):
        context = contextvars.copy_context()
        helper = threading.Thread(target=context.run, args=(work,))
        helper.start()
        helper.join(10)
    assert got == [True, False] and free_for_others(one)
    with turn_on(one):  # the context outlives the turn, which is another one by now
        assert not context.run(free_for_others, one, inherits=True)


def test_a_backbone_without_a_network_of_its_own_is_its_own() -> None:
    one, other = Network(), Network()
    with turn_on(one):
        assert not free_for_others(one) and free_for_others(other)


def test_an_error_gives_the_turn_back() -> None:
    backbone = Network()
    with pytest.raises(KeyboardInterrupt), turn_on(backbone):
        raise KeyboardInterrupt
    assert free_for_others(backbone)


def test_networks_are_let_go() -> None:
    network = Network()
    with turn_on(network):
        pass
    calls_on(network)
    gone, before = weakref.ref(network), len(turns._turns)
    del network
    gc.collect()
    assert gone() is None and len(turns._turns) < before
