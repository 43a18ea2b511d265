"""What is kept of pictures stays within its number of bytes, the oldest goes first, and what comes back is what was given."""

from __future__ import annotations

import gc

import pytest
import torch

from dragonkit.diffusion.backbone import Prediction
from dragonkit.diffusion.bank import Bank, bank_on

SIZE = 4 * (10 + 6)
"""Bytes of what `seen` gives."""


class Picture:
    pass


def seen(value: float) -> Prediction:
    features, tokens = torch.full((1, 10, 1, 1), float(value)), torch.full((1, 2, 3), -float(value))
    return Prediction(torch.zeros(1, 1, 1, 1), {"up.1": features}, {"layer": (tokens,)})


def value(bank: Bank, picture: Picture, level: int) -> float | None:
    found = bank.get(picture, level)
    if found is None:
        return None
    assert found.keys_values["layer"][0][0, 0, 0] == -found.features["up.1"][0, 0, 0, 0]
    return float(found.features["up.1"][0, 0, 0, 0])


def test_what_was_kept_comes_back_and_is_counted() -> None:
    bank, one, other = Bank(10 * SIZE), Picture(), Picture()
    bank.put(one, 1, seen(1))
    bank.put(one, 2, seen(2))
    bank.put(other, 1, seen(3))
    assert [value(bank, one, 1), value(bank, one, 2), value(bank, other, 1), value(bank, other, 2)] == [1, 2, 3, None]
    assert bank.used() == 3 * SIZE
    bank.put(one, 1, seen(4))  # instead of what was there
    assert value(bank, one, 1) == 4 and bank.used() == 3 * SIZE
    bank.forget()
    assert value(bank, one, 1) is None and bank.used() == 0


def test_the_picture_used_longest_ago_goes_first() -> None:
    bank, pictures = Bank(3 * SIZE), [Picture() for _ in range(3)]
    for number, picture in enumerate(pictures):
        bank.put(picture, 1, seen(number))
    assert value(bank, pictures[0], 1) == 0  # is the latest now
    bank.put(pictures[2], 2, seen(5))
    assert [value(bank, picture, 1) for picture in pictures] == [0, None, 2]
    assert bank.used() <= bank.room


def test_what_finds_no_room_is_not_kept_and_drives_nobody_else_out_of_its_own_picture() -> None:
    bank, picture = Bank(2 * SIZE), Picture()
    for level in range(1, 6):
        bank.put(picture, level, seen(level))
    assert [value(bank, picture, level) for level in range(1, 6)] == [1, 2, None, None, None]
    assert bank.used() == 2 * SIZE
    nothing = Bank(0)
    nothing.put(picture, 1, seen(1))
    assert value(nothing, picture, 1) is None


def test_a_device_of_its_own_moves_the_oldest_to_the_host_before_it_drops_them() -> None:
    bank, pictures = Bank(SIZE, host_room=2 * SIZE), [Picture() for _ in range(5)]
    for number, picture in enumerate(pictures):
        bank.put(picture, 1, seen(number))
        assert bank.used() <= bank.room and bank.used(hosted=True) <= bank.host_room
    assert [value(bank, picture, 1) for picture in pictures] == [None, None, 2, 3, 4]
    assert (bank.used(), bank.used(hosted=True)) == (SIZE, 2 * SIZE)


@pytest.mark.gpu
def test_what_lies_on_the_host_comes_back_to_the_device() -> None:
    bank, one, other = Bank(SIZE, host_room=SIZE), Picture(), Picture()
    for picture in (one, other):
        bank.put(picture, 1, Prediction(torch.zeros(1, 1, 1, 1, device="cuda"), {"up.1": torch.ones(1, 16, 1, 1, device="cuda")}))
    found = bank.get(one, 1)
    assert found is not None and found.features["up.1"].is_cuda and bank.used(hosted=True) == SIZE


def test_what_finds_no_room_on_the_device_goes_to_the_host_level_by_level() -> None:
    bank, picture = Bank(2 * SIZE, host_room=2 * SIZE), Picture()
    for level in range(1, 6):
        bank.put(picture, level, seen(level))
    assert (bank.used(), bank.used(hosted=True)) == (2 * SIZE, 2 * SIZE)
    assert [value(bank, picture, level) for level in (5, 4, 3, 2, 1)] == [None, 4, 3, 2, 1]


def test_what_is_asked_to_lie_on_the_host_lies_there() -> None:
    bank, one, other = Bank(9 * SIZE, host_room=3 * SIZE), Picture(), Picture()
    for level in range(1, 4):
        bank.put(one, level, seen(level), on_host=True)
    assert (bank.used(), bank.used(hosted=True)) == (0, 3 * SIZE)
    assert [value(bank, one, level) for level in (3, 2, 1, 3, 1, 2)] == [3, 2, 1, 3, 1, 2], "in whatever order"
    value(bank, one, 3)
    bank.put(one, 2, seen(7), on_host=True)
    assert value(bank, one, 2) == 7, "not what was fetched ahead"
    bank.put(other, 1, seen(8), on_host=True)
    assert value(bank, other, 1) == 8 and value(bank, one, 2) is None
    host = Bank(SIZE)
    host.put(one, 1, seen(1), on_host=True)
    assert value(host, one, 1) == 1 and host.used() == SIZE, "a device that is the host"


@pytest.mark.gpu
def test_a_gpu_fetches_ahead_while_it_computes_and_gets_what_was_put() -> None:
    bank, picture, levels = Bank(0, host_room=2**30), Picture(), range(1, 9)
    for level in levels:
        features = torch.full((1, 1 << 22, 1, 1), float(level), device="cuda")
        bank.put(picture, level, Prediction(torch.zeros(1, 1, 1, 1, device="cuda"), {"up.1": features}), on_host=True)
        del features
    assert bank.used(hosted=True) == len(levels) * 2**24
    busy = torch.randn(4096, 4096, device="cuda")
    for level in reversed(levels):
        found = bank.get(picture, level)
        assert found is not None
        for _ in range(20):
            busy = busy @ busy / 64
        assert torch.equal(found.features["up.1"].unique(), torch.tensor([float(level)], device="cuda"))


def test_a_picture_that_nobody_holds_is_forgotten() -> None:
    bank, picture = Bank(10 * SIZE), Picture()
    bank.put(picture, 1, seen(1))
    del picture
    gc.collect()
    assert bank.used() == 0


def test_the_host_keeps_most_of_its_memory() -> None:
    bank = bank_on(torch.device("cpu"))
    assert bank.room > 2**24 and bank.host_room == 0
