"""Concurrency groups of async actors: each has an event loop of its own."""

from __future__ import annotations

import asyncio
import threading
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


@ray.remote(num_cpus=0, concurrency_groups={"a": 1, "b": 2})
class Grouped:
    def __init__(self) -> None:
        self.home = asyncio.get_running_loop()
        self.running = 0
        self.most = 0

    async def at_home(self) -> bool:
        return asyncio.get_running_loop() is self.home

    @ray.method(concurrency_group="a")
    async def thread(self) -> int:
        return threading.get_ident()

    @ray.method(concurrency_group="a")
    def plain_thread(self) -> int:
        return threading.get_ident()

    @ray.method(concurrency_group="b")
    async def other_thread(self) -> int:
        return threading.get_ident()

    async def block(self, started: str) -> None:
        Path(started).touch()
        time.sleep(1000)

    @ray.method(concurrency_group="a")
    async def wait(self, started: str) -> None:
        Path(started).touch()
        await asyncio.Event().wait()

    @ray.method(concurrency_group="b")
    async def overlap(self) -> int:
        self.running += 1
        self.most = max(self.most, self.running)
        await asyncio.sleep(0.01)
        self.running -= 1
        return self.most

    @ray.method(concurrency_group="b")
    async def count(self, n: int) -> Any:
        for i in range(n):
            yield i

    @ray.method(concurrency_group="b")
    async def leave(self) -> None:
        ray.actor.exit_actor()


@ray.remote
def late(path: str) -> str:
    while not Path(path).exists():
        time.sleep(0.005)
    return "late"


@ray.remote(num_cpus=0, concurrency_groups={"a": 1})
class Echo:
    async def echo(self, value: str) -> str:
        return value

    @ray.method(concurrency_group="a")
    async def grouped_echo(self, value: str) -> str:
        return value


def test_each_group_has_a_loop_of_its_own() -> None:
    actor: Any = Grouped.remote()
    calls = [actor.thread.remote(), actor.plain_thread.remote(), actor.other_thread.remote()]
    first, plain, other = ray.get(calls, timeout=TIMEOUT_S)
    assert first == plain != other
    assert ray.get(actor.plain_thread.options(concurrency_group="b").remote(), timeout=TIMEOUT_S) == other
    assert ray.get(actor.at_home.remote(), timeout=TIMEOUT_S)


@pytest.mark.parametrize("options", [{}, {"concurrency_group": "a"}])
def test_a_group_that_blocks_holds_up_no_other(options: dict[str, str], tmp_path: Path) -> None:
    actor: Any = Grouped.remote()
    actor.block.options(**options).remote(str(tmp_path / "started"))
    wait_until((tmp_path / "started").exists)
    assert ray.get(actor.overlap.remote(), timeout=TIMEOUT_S) == 1
    if options:
        assert ray.get(actor.at_home.remote(), timeout=TIMEOUT_S)


def test_a_group_runs_as_many_calls_at_once_as_declared() -> None:
    actor: Any = Grouped.remote()
    assert max(ray.get([actor.overlap.remote() for _ in range(20)], timeout=TIMEOUT_S)) == 2


def test_calls_of_a_group_are_cancelled(tmp_path: Path) -> None:
    actor: Any = Grouped.remote()
    running, queued = actor.wait.remote(str(tmp_path / "started")), actor.thread.remote()
    wait_until((tmp_path / "started").exists)
    for call in (queued, running):
        ray.cancel(call)
        with pytest.raises(ray.exceptions.TaskCancelledError):
            ray.get(call, timeout=TIMEOUT_S)
    ray.get(actor.thread.remote(), timeout=TIMEOUT_S)


def test_a_call_is_cancelled_while_the_main_loop_blocks(tmp_path: Path) -> None:
    actor: Any = Grouped.remote()
    actor.block.remote(str(tmp_path / "blocked"))
    running = actor.wait.remote(str(tmp_path / "started"))
    wait_until(lambda: (tmp_path / "blocked").exists() and (tmp_path / "started").exists())
    ray.cancel(running)
    with pytest.raises(ray.exceptions.TaskCancelledError):
        ray.get(running, timeout=TIMEOUT_S)


def test_a_group_waits_for_arguments_alone(tmp_path: Path) -> None:
    actor: Any = Echo.remote()
    delayed = actor.grouped_echo.remote(late.remote(str(tmp_path / "go")))
    assert ray.get([actor.echo.remote("x") for _ in range(3)], timeout=TIMEOUT_S) == ["x"] * 3
    (tmp_path / "go").touch()
    assert ray.get(delayed, timeout=TIMEOUT_S) == "late"


def test_a_group_streams() -> None:
    actor: Any = Grouped.remote()
    assert [ray.get(item, timeout=TIMEOUT_S) for item in actor.count.remote(3)] == [0, 1, 2]


def test_an_unknown_group_is_refused() -> None:
    with pytest.raises(ValueError, match="no concurrency group 'c'"):
        Grouped.remote().thread.options(concurrency_group="c")


def test_an_actor_ends_itself_in_a_group() -> None:
    actor: Any = Grouped.remote()
    with pytest.raises(ray.exceptions.ActorDiedError, match="exit_actor"):
        ray.get(actor.leave.remote(), timeout=TIMEOUT_S)
