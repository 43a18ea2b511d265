"""Stages end by one clock, whenever they began, but no stage goes without its share."""

from __future__ import annotations

import re
import time

import pytest

from dragonkit.toybox.training.clock import Clock


def test_minutes_count_from_the_start_of_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock(time.time() - 90)
    assert clock.minutes == pytest.approx(1.5, abs=0.05)
    clock.say("autoencoder", "compiled")
    assert re.fullmatch(r"\[  9[0-3]\.\d s\] autoencoder: compiled\n", capsys.readouterr().out)


def test_a_stage_gets_what_is_left() -> None:
    assert Clock(time.time() - 90).seconds_until(4, planned=3) == pytest.approx(150, abs=3)


def test_a_late_stage_gets_a_quarter_of_its_time() -> None:
    assert Clock(time.time() - 600).seconds_until(4, planned=2) == 30
