"""What the engine "ray" adds to Ray, piece by piece, without a cluster; test_faults.py runs it whole."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers.batches import pixels_in, write_jobs

from dragonkit.batching import on_ray
from dragonkit.batching.jobs import Job
from dragonkit.batching.manifest import Record
from dragonkit.batching.on_ray import TRIES, _Actor, _Desk, _written
from dragonkit.batching.run import Summary
from dragonkit.batching.worker import NoRoomError, Task
from dragonkit.errors import EditError

Run = Callable[..., Summary]


class Here:
    """An actor of Ray's, in this process: `actor.method.remote(...)` is a plain call."""

    def __init__(self, actor: Any) -> None:
        self.actor = actor

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.actor, name)
        return type("Method", (), {"remote": staticmethod(method)})


class Worker:
    def run(self, task: Task) -> list[Record]:
        if task.job.name == "full":
            raise NoRoomError("no room")
        return [Record(task.job.name, task.batch, task.edit, task.inputs, "done")]


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[dict[str, str]]]:
    monkeypatch.setitem(sys.modules, "ray", type("ray", (), {"get": staticmethod(lambda value: value)}))

    def ask(desk: _Desk, *names: str) -> list[dict[str, str]]:
        tasks = [json.dumps([Job(name, {}).to_json(), "b", "e", "i", ""]) for name in names]
        return [json.loads(one) for one in _Actor(Worker, Here(desk))({"text": tasks})["told"]]

    return ask


def test_what_workers_tell(ask: Callable[..., list[dict[str, str]]]) -> None:
    desk = _Desk()
    one, full = ask(desk, "one", "full")
    assert Record.from_json(one["record"]) == Record("one", "b", "e", "i", "done")
    assert full == {"no room": "no room"}
    desk.close()
    (idle,) = ask(desk, "two")
    assert list(idle) == ["idle"]


def test_a_job_whose_workers_die_is_given_up(ask: Callable[..., list[dict[str, str]]]) -> None:
    desk = _Desk()
    for _ in range(TRIES):
        desk.begin("killer")  # and never ended
    (told,) = ask(desk, "killer")
    record = Record.from_json(told["record"])
    assert record.status == "failed"
    assert "died 3 times" in record.error


@pytest.mark.parametrize("count", [0, 1, 3, 4])
def test_tasks_are_written_in_parts_and_taken_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(on_ray, "PART", 2)
    tasks = [Task(Job(f"job {number} ü", {"edits": []}), "b", "e", "i", "") for number in range(count)]
    with _written(iter(tasks), str(tmp_path)) as (there, parts):
        lines = [json.loads(line) for part in parts for line in Path(part).read_text("utf-8").splitlines()]
        assert there is None
        assert len(parts) == (count + 1) // 2
        assert [Task(Job.from_json(text), *rest) for text, *rest in lines] == tasks
    assert not list(tmp_path.iterdir())


def test_without_ray_one_sentence_says_so(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(EditError, match=r"dragonkit\[ray\]"):
        run(write_jobs(tmp_path / "jobs", 1), engine="ray")
    assert not pixels_in(tmp_path / "out")
