"""One place for what there is to say: the newest of each subject, errors above all, and nothing for longer than it is true."""

from __future__ import annotations

import pytest

from dragonkit.errors import EditError
from dragonkit.jupyter.panels.messages import Messages


@pytest.fixture
def messages() -> Messages:
    return Messages()


def test_an_error_takes_the_place_of_what_was_going_on(messages: Messages) -> None:
    messages.say("selecting ...", "selection", "working")
    messages.fail(EditError("nothing <here>"), "selection")
    assert "nothing &lt;here&gt;" in messages._error.value and messages._status.value == ""
    messages.say("written", "file")
    assert "nothing" in messages._error.value and "written" in messages._status.value, "an error stays beside what others say"
    messages.say("selected", "selection")
    assert messages._error.value == "" and "dk-done" in messages._status.value
    assert messages.all == ["selecting ...", "nothing <here>", "written", "selected"]


def test_what_is_no_longer_true_goes_and_what_was_said_before_shows_again(messages: Messages) -> None:
    messages.say("inverted; careful", "picture", "warning")
    messages.say("selected", "selection")
    messages.forget("selection")
    assert "dk-warning" in messages._status.value and "careful" in messages._status.value
    messages.fail(ValueError("a"), "run")
    messages.fail(ValueError("b"), "asked")
    messages.forgive()
    assert messages._error.value == "" and "careful" in messages._status.value


def test_what_goes_on_stays_beside_what_was_done(messages: Messages) -> None:
    messages.say("loading", "picture", "working")
    messages.say("written", "file")
    messages.say("selected", "selection")
    assert "loading" in messages._status.value and "selected" in messages._status.value and "written" not in messages._status.value
    messages.say("inverted", "picture")
    assert "loading" not in messages._status.value and "inverted" in messages._status.value
