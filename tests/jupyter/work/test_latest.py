"""Only the newest work counts, one piece is done at a time, and no error is lost."""

from __future__ import annotations

import threading
from collections.abc import Callable

from dragonkit.jupyter.work.latest import Latest

SOON = 20.0


def test_what_waits_is_replaced_and_what_is_being_done_learns_that_it_is_old() -> None:
    errors: list[Exception] = []
    latest, begun, go, told = Latest(errors.append), threading.Event(), threading.Event(), []

    def first(wanted: Callable[[], bool]) -> None:
        told.append(("first", wanted()))
        begun.set()
        assert go.wait(SOON)
        told.append(("first again", wanted()))

    latest.do(first)
    assert begun.wait(SOON) and not latest.wait(0.01)
    for name in ("second", "third"):
        latest.do(lambda wanted, name=name: told.append((name, wanted())))
    go.set()
    assert latest.wait(SOON)
    assert told == [("first", True), ("first again", False), ("third", True)] and errors == []
    latest.do(lambda wanted: told.append(("fourth", wanted())))
    assert latest.wait(SOON) and told[-1] == ("fourth", True), "it begins again after a rest"


def test_what_is_forgotten_is_not_done() -> None:
    errors: list[Exception] = []
    latest, begun, go, told = Latest(errors.append), threading.Event(), threading.Event(), []

    def first(wanted: Callable[[], bool]) -> None:
        begun.set()
        assert go.wait(SOON)
        told.append(wanted())

    latest.do(first)
    assert begun.wait(SOON)
    latest.do(lambda wanted: told.append("second"))
    latest.forget()
    go.set()
    assert latest.wait(SOON) and told == [False] and errors == []


def test_what_shall_be_done_afterwards_comes_after_all_that_waits() -> None:
    errors: list[Exception] = []
    latest, begun, go, told = Latest(errors.append), threading.Event(), threading.Event(), list[str]()
    latest.then(lambda: told.append("now"))
    assert told == ["now"]

    def first(wanted: Callable[[], bool]) -> None:
        begun.set()
        assert go.wait(SOON)
        told.append("first")

    latest.do(first)
    assert begun.wait(SOON)
    latest.then(lambda: told.append("afterwards"))
    latest.then(lambda: [][0])
    latest.do(lambda wanted: told.append("second"))
    go.set()
    assert latest.wait(SOON)
    assert told == ["now", "first", "second", "afterwards"] and [type(error) for error in errors] == [IndexError]


def test_errors_are_told_and_the_next_work_is_done() -> None:
    errors: list[Exception] = []
    latest, done = Latest(errors.append), []
    latest.do(lambda wanted: 1 / 0)
    assert latest.wait(SOON) and isinstance(errors[0], ZeroDivisionError)
    latest.do(lambda wanted: done.append(1))
    assert latest.wait(SOON) and done == [1]
