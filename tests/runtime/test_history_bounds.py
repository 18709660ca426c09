"""The history of tasks without a session: its bounds, and messages that are none."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ray_async._core.constants import RecordKind
from ray_async._core.task_ring import TaskRing
from ray_async.runtime.node import task_history
from ray_async.runtime.node.task_history import TaskHistory

PEER: Any = SimpleNamespace(notes={})


def history() -> TaskHistory:
    workers: Any = SimpleNamespace(by_slot={})
    unused: Any = None
    return TaskHistory(workers, actors=unused, rows=unused, directory=None)


def message(seq: int, text: str = "wrong", **fields: Any) -> dict[str, Any]:
    return {
        "seq": seq, "job": 1, "kind": int(RecordKind.TASK), "attempt": 0, "name": "f", "given": "", "text": text,
        "error_type": "TASK_EXECUTION_EXCEPTION", **fields,
    }  # fmt: skip


def test_the_latest_failures_are_kept() -> None:
    kept = history()
    for seq in range(task_history._MOST_FAILURES + 10):
        kept.reported(PEER, message(seq))
    numbers = [seq for seq, _ in kept.ended()]
    assert len(numbers) == task_history._MOST_FAILURES
    assert (numbers[0], numbers[-1]) == (task_history._MOST_FAILURES + 9, 10)


def test_errors_take_a_bounded_number_of_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_history, "_MOST_TEXT", 100_000)
    kept = history()
    for seq in range(200):
        kept.reported(PEER, message(seq, "x" * 1_000_000))
    tasks = list(kept.ended().values())
    assert 20 <= len(tasks) <= 25 and sum(task.size for task in tasks) <= 100_000
    assert all("bytes left out" in task.fields["error_message"] for task in tasks)


def test_a_task_that_fails_again_is_kept_once() -> None:
    kept = history()
    kept.reported(PEER, message(7, "x" * 100))
    kept.reported(PEER, message(7, "second", attempt=1))
    (task,) = kept.ended().values()
    assert (task.attempt, task.fields["error_message"], kept._size) == (1, "second", task.size)


@pytest.mark.parametrize("bad", [{"kind": 99}, {"seq": "many"}, {"job": None}])
def test_a_message_that_is_none_is_refused(bad: dict[str, Any]) -> None:
    kept = history()
    with pytest.raises((TypeError, ValueError)):
        kept.reported(PEER, message(1, **bad))
    assert kept.ended() == {}


def test_a_new_ring_is_empty_and_is_shared(tmp_path: Path) -> None:
    assert TaskRing(str(tmp_path)).rows() == []
    again = TaskRing(str(tmp_path))
    assert again.rows() == [] and again.capacity == 10_000
    with pytest.raises(FileNotFoundError):
        TaskRing(str(tmp_path / "missing"))


def test_a_damaged_ring_gives_rows_or_none_and_no_crash(tmp_path: Path) -> None:
    ring = TaskRing(str(tmp_path))
    (path,) = tmp_path.iterdir()
    size = path.stat().st_size
    for pattern in (b"\xff", b"\x01", b"\x80"):
        with path.open("r+b") as file:
            file.write(pattern * size)
        for row in ring.rows():
            assert len(row) == 11
