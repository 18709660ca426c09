"""A get that takes too long says what the task waits for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import ray_async as ray
from ray_async.engine.current import get_session
from ray_async.engine.state import StateKind
from ray_async.exceptions import GetTimeoutError
from tests.resources import becomes_true, wait_until

TIMEOUT_S = 60
SHORT_S = 0.3


@ray.remote
def waits_for(path: str, *_: Any) -> None:
    """Runs until there is a file."""
    wait_until(Path(path).exists, timeout=TIMEOUT_S)


@ray.remote(num_cpus=0)
class Keeper:
    def __init__(self, path: str = "") -> None:
        if path:
            wait_until(Path(path).exists, timeout=TIMEOUT_S)

    def wait(self, path: str) -> None:
        wait_until(Path(path).exists, timeout=TIMEOUT_S)


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[str]:
    path = tmp_path / "open"
    with ray.init(num_cpus=1):
        yield str(path)
        path.touch()


def reason(ref: Any) -> str:
    with pytest.raises(GetTimeoutError) as failure:
        ray.get(ref, timeout=SHORT_S)
    return str(failure.value)


def tells(ref: Any, words: str) -> bool:
    """Whether the error comes to say that: the node, which is asked for a moment only, may be late with its answer."""
    return becomes_true(lambda: words in reason(ref), timeout=TIMEOUT_S)


def states() -> list[str]:
    return [str(row["state"]) for row in get_session().state.rows(StateKind.TASKS)]


def test_tasks(gate: str) -> None:
    running = waits_for.remote(gate)
    wait_until(lambda: states() == ["RUNNING"])
    assert tells(running, "waits_for is running in process")
    queued = waits_for.options(resources={}, num_cpus=0.5).remote(gate)
    assert tells([ray.put(1), queued], "is queued; ")
    assert tells(queued, "CPU 0 of 1 free")
    dependent = waits_for.remote(gate, running)
    assert tells(dependent, "waits for an argument that is not there: ")
    assert tells(dependent, "waits_for is running in process")
    impossible = waits_for.options(resources={"rope": 2}).remote(gate)
    assert tells(impossible, "no place has {'CPU': 1.0, 'rope': 2.0} in total.")


def test_calls_of_actors(gate: str) -> None:
    busy = Keeper.remote()
    first, second = busy.wait.remote(gate), busy.wait.remote(gate)
    assert tells(second, "its actor, which runs other calls")
    starting = Keeper.remote(gate).wait.remote(gate)
    assert tells(starting, "is not created yet: its __init__ has begun in process")
    impossible = Keeper.options(num_cpus=7).remote().wait.remote(gate)
    assert tells(impossible, "its actor is not created yet")
    assert tells(impossible, "no place has {'CPU': 7.0} in total")
    assert not ray.wait([first], timeout=0)[0]


def test_looks_and_stopped_nodes_get_the_plain_error(gate: str, monkeypatch: pytest.MonkeyPatch) -> None:
    running = waits_for.remote(gate)
    plain = "Get timed out: 1 object was not ready after {} seconds."
    with pytest.raises(GetTimeoutError) as failure:
        ray.get(running, timeout=0)
    assert str(failure.value) == plain.format(0)
    link: Any = get_session()
    with link.link.channel()._lock:  # somebody else's request gets no answer
        assert reason(running) == plain.format(SHORT_S)
