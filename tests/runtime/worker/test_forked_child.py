"""Children that tasks and methods fork: what the parent returns counts, and a child that comes back ends."""

from __future__ import annotations

import asyncio
import ctypes
import functools
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

import ray_async as ray

TIMEOUT_S = 60
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


@pytest.fixture(scope="module", autouse=True)
def session() -> Iterator[None]:
    ray.init(num_cpus=2, log_to_driver=False)
    yield
    ray.shutdown()


def returns() -> Any:
    return "the child's"


def raises() -> Any:
    raise ValueError("in the child")


def exits() -> Any:
    sys.exit(7)


#: Ways to come back, and the exit status of a child that does so.
WAYS = {returns: 0, raises: 1, exits: 7}
ways = pytest.mark.parametrize("way", WAYS)


def fork(way: Callable[[], Any]) -> Any:
    """Comes back twice: in the child with what `way` does, in the parent with the child's exit status."""
    pid = os.fork()
    if pid == 0:
        return way()
    return ended(pid)


def ended(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def get(ref: Any) -> Any:
    return ray.get(ref, timeout=TIMEOUT_S)


@ray.remote
def echo(value: int) -> int:
    return value


@ray.remote
def forks(way: Callable[[], Any]) -> Any:
    return fork(way)


@ray.remote
async def forks_on_loop(way: Callable[[], Any]) -> Any:
    return fork(way)


@ray.remote
class Forks:
    def __init__(self, way: Callable[[], Any] | None = None) -> None:
        self.status = fork(way) if way is not None else None
        self.calls = 0

    def get_status(self) -> Any:
        return self.status

    def fork(self, way: Callable[[], Any]) -> tuple[Any, int]:
        self.calls += 1
        return fork(way), self.calls

    @ray.method(num_returns="streaming")
    def items(self, way: Callable[[], Any]) -> Iterator[Any]:
        yield "first"
        yield fork(way)
        yield "last"


@ray.remote
class ForksOnLoop:
    async def fork(self, way: Callable[[], Any]) -> Any:
        return fork(way)

    async def fork_after_waiting(self, way: Callable[[], Any]) -> Any:
        await asyncio.sleep(0)
        return fork(way)

    async def wait_in_child(self) -> int:
        future = asyncio.get_running_loop().create_future()
        pid = os.fork()
        if pid == 0:
            await future  # the loop is the parent's
        return ended(pid)

    async def wait_in_background(self) -> int:
        return await asyncio.create_task(self.wait_in_child())

    @ray.method(num_returns="streaming")
    async def items(self, way: Callable[[], Any]) -> AsyncIterator[Any]:
        yield "first"
        yield fork(way)
        yield "last"


@pytest.fixture
def others_are_right() -> Iterator[None]:
    """Later calls get their own results, by the same workers."""
    yield
    assert get([echo.remote(i) for i in range(100)]) == list(range(100))


@ways
def test_a_task(way: Callable[[], Any], others_are_right: None) -> None:
    assert get(forks.remote(way)) == WAYS[way]
    assert get(forks_on_loop.remote(way)) == WAYS[way]


@ways
@pytest.mark.parametrize("max_concurrency", [1, 2])
def test_an_actor(way: Callable[[], Any], max_concurrency: int, others_are_right: None) -> None:
    actor = Forks.options(max_concurrency=max_concurrency).remote()
    assert [get(actor.fork.remote(way)) for _ in range(2)] == [(WAYS[way], 1), (WAYS[way], 2)]
    assert [get(item) for item in actor.items.remote(way)] == ["first", WAYS[way], "last"]


@ways
def test_an_actors_constructor(way: Callable[[], Any]) -> None:
    actor = Forks.remote(way)
    assert get(actor.get_status.remote()) == WAYS[way]


@ways
def test_an_async_actor(way: Callable[[], Any], others_are_right: None) -> None:
    actor = ForksOnLoop.remote()
    assert get(actor.fork.remote(way)) == WAYS[way]
    assert get(actor.fork_after_waiting.remote(way)) == WAYS[way]
    assert [get(item) for item in actor.items.remote(way)] == ["first", WAYS[way], "last"]


def test_a_child_that_waits_on_its_parents_loop_ends() -> None:
    actor = ForksOnLoop.remote()
    assert get(actor.wait_in_child.remote()) == 1
    assert get(actor.wait_in_background.remote()) == 1
    assert get(actor.fork.remote(returns)) == 0


@ray.remote
def starts_processes() -> list[int | None]:
    """Processes of multiprocessing, which a signal ends as it would elsewhere."""
    context = multiprocessing.get_context("fork")
    done, waits = context.Process(target=returns), context.Process(target=signal.pause)
    for process in (done, waits):
        process.start()
    done.join()
    waits.terminate()
    waits.join()
    return [done.exitcode, waits.exitcode]


def test_processes_of_multiprocessing() -> None:
    assert get(starts_processes.remote()) == [0, -signal.SIGTERM]


@ray.remote(max_calls=1)
def forks_while_a_signal_comes() -> int:
    """A signal that comes to a child before Python has put the child's state in order."""
    libc = ctypes.CDLL(None)
    # Without a line of Python, in which a handler could run.
    send = ctypes.CFUNCTYPE(None)(functools.partial(libc["raise"], signal.SIGTERM))
    assert libc.__register_atfork(None, None, send, None) == 0  # pthread_atfork() of glibc
    pid = os.fork()
    if pid == 0:
        time.sleep(TIMEOUT_S)
        os._exit(0)
    return ended(pid)


def test_a_signal_that_comes_early_ends_the_child() -> None:
    assert get(forks_while_a_signal_comes.remote()) == -signal.SIGTERM
