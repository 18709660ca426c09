"""What a cancel does to calls of actors that run, and what it leaves behind."""

from __future__ import annotations

import asyncio
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
    with ray.init(num_cpus=4, object_store_memory=100 << 20):
        yield


class Worker:
    def __init__(self) -> None:
        self.finished: list[bool] = []

    def work(self, folder: str) -> str:
        """Work until told to stop, and note whether that was a cancel."""
        Path(folder, "started").touch()
        while not Path(folder, "go").exists():
            time.sleep(0.005)
        self.finished.append(ray.get_runtime_context().is_canceled())
        return "done"

    def seen(self) -> list[bool]:
        return self.finished


@pytest.mark.parametrize("max_concurrency", [1, 2])
def test_a_running_method_is_told_and_not_interrupted(max_concurrency: int, tmp_path: Path) -> None:
    actor: Any = ray.remote(Worker).options(max_concurrency=max_concurrency).remote()
    ref = actor.work.remote(str(tmp_path))
    wait_until((tmp_path / "started").exists)
    ray.cancel(ref)
    (tmp_path / "go").touch()
    with pytest.raises(ray.exceptions.TaskCancelledError):
        ray.get(ref, timeout=TIMEOUT_S)
    assert ray.get(actor.work.remote(str(tmp_path)), timeout=TIMEOUT_S) == "done"
    assert ray.get(actor.seen.remote(), timeout=TIMEOUT_S) == [True, False]


@ray.remote
def sleep(folder: str) -> None:
    Path(folder, "started").touch()
    time.sleep(1000)


@ray.remote
async def wait(folder: str) -> None:
    Path(folder, "started").touch()
    await asyncio.Event().wait()


@pytest.mark.parametrize("function", [sleep, wait])
def test_what_was_running_has_failed_by_the_cancel(function: Any, tmp_path: Path) -> None:
    ref = function.remote(str(tmp_path))
    wait_until((tmp_path / "started").exists)
    ray.cancel(ref)
    with pytest.raises(ray.exceptions.TaskCancelledError, match=ref.task_id().hex()) as caught:
        ray.get(ref, timeout=TIMEOUT_S)
    assert isinstance(caught.value, ray.exceptions.RayTaskError)
    assert f"in {function.__name__}" in str(caught.value)


class Keeper:
    def __init__(self) -> None:
        self.ref = ray.put(1)

    def reference(self) -> Any:
        return self.ref

    async def nothing(self) -> None:
        """Makes the class asynchronous."""


def test_a_plain_method_of_an_async_actor_may_return_a_reference() -> None:
    actor: Any = ray.remote(Keeper).remote()
    ref = ray.get(actor.reference.remote(), timeout=TIMEOUT_S)
    assert isinstance(ref, ray.ObjectRef)
    assert ray.get(ref, timeout=TIMEOUT_S) == 1


class Log:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def add(self, line: str) -> None:
        self.lines.append(line)

    def all(self) -> list[str]:
        return self.lines


@ray.remote
def clean_up(log: Any, folder: str) -> None:
    try:
        Path(folder, "started").touch()
        time.sleep(1000)
    except KeyboardInterrupt:
        ray.get(log.add.remote("cleaned up"))
        raise


@ray.remote
async def clean_up_on_a_loop(log: Any, folder: str) -> None:
    try:
        Path(folder, "started").touch()
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        ray.get(log.add.remote("cleaned up"))
        raise


@pytest.mark.parametrize("function", [clean_up, clean_up_on_a_loop])
def test_calls_of_cleaning_up_are_not_cancelled(function: Any, tmp_path: Path) -> None:
    log: Any = ray.remote(Log).remote()
    for turn in range(20):
        folder = tmp_path / str(turn)
        folder.mkdir()
        ref = function.remote(log, str(folder))
        wait_until((folder / "started").exists)
        ray.cancel(ref)
        with pytest.raises(ray.exceptions.TaskCancelledError):
            ray.get(ref, timeout=TIMEOUT_S)
    assert ray.get(log.all.remote(), timeout=TIMEOUT_S) == ["cleaned up"] * 20
