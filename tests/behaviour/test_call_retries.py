"""Calls of actors that are run again, and what waits for them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import ray_async as ray
from tests.resources import wait_until

TIMEOUT_S = 60


@pytest.fixture(scope="module", autouse=True)
def session() -> Iterator[None]:
    """One session for the file."""
    with ray.init(num_cpus=2, object_store_memory=100 << 20):
        yield


class Flaky:
    def __init__(self) -> None:
        self.turns = 0

    @ray.method(max_task_retries=3, retry_exceptions=[OSError])
    def second_time(self, ready: int) -> int:
        self.turns += 1
        if self.turns <= 3:
            raise OSError("not yet")
        return ready

    def after(self, value: int) -> int:
        return value + 1


@ray.remote
def one() -> int:
    return 1


@pytest.mark.parametrize("max_concurrency", [1, 2])
def test_a_call_that_waits_for_one_that_is_run_again(max_concurrency: int) -> None:
    actor: Any = ray.remote(Flaky).options(max_concurrency=max_concurrency).remote()
    first = actor.second_time.remote(one.remote())
    assert ray.get([first, actor.after.remote(first), actor.after.remote(7)], timeout=TIMEOUT_S) == [1, 2, 8]


class Reborn:
    """Waits in each life but the first for a file."""

    def __init__(self, folder: str) -> None:
        first = Path(folder, "born")
        while first.exists() and not Path(folder, "go").exists():
            time.sleep(0.005)
        first.touch()

    def pid(self) -> int:
        return os.getpid()

    def stay(self, folder: str) -> None:
        Path(folder, "stays").touch()
        time.sleep(1000)


@pytest.mark.parametrize("max_concurrency", [1, 2])
def test_calls_between_two_lives_wait_if_they_may(max_concurrency: int, tmp_path: Path) -> None:
    options: dict[str, Any] = {"max_restarts": 1, "max_concurrency": max_concurrency}
    actor: Any = ray.remote(Reborn).options(**options).remote(str(tmp_path))
    pid = ray.get(actor.pid.remote(), timeout=TIMEOUT_S)
    running = [actor.stay.remote(str(tmp_path)) for _ in range(max_concurrency)]
    wait_until((tmp_path / "stays").exists)
    queued, patient = actor.pid.remote(), actor.pid.options(max_task_retries=1).remote()
    os.kill(pid, signal.SIGKILL)
    for call in (*running, queued):
        with pytest.raises(ray.exceptions.ActorUnavailableError):
            ray.get(call, timeout=TIMEOUT_S)
    more = actor.pid.options(max_task_retries=-1).remote()
    for _ in range(3):
        with pytest.raises(ray.exceptions.ActorUnavailableError, match="The actor is restarting"):
            ray.get(actor.pid.remote(), timeout=TIMEOUT_S)
    assert ray.wait([patient, more], timeout=0)[0] == []
    (tmp_path / "go").touch()
    new = ray.get([patient, more], timeout=TIMEOUT_S)
    assert new[0] == new[1] != pid
    assert ray.get(actor.pid.remote(), timeout=TIMEOUT_S) == new[0]
