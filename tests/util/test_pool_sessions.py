"""Pools, joblib and queues over a real session."""

from __future__ import annotations

import asyncio
import functools
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import joblib
import pytest

import ray_async as ray
from ray_async.util.joblib import register_ray
from ray_async.util.multiprocessing import Pool
from ray_async.util.queue import Queue

TIMEOUT_S = 60


@pytest.fixture(scope="module", autouse=True)
def session() -> Iterator[None]:
    ray.init(num_cpus=2, log_to_driver=False)
    yield
    ray.shutdown()


@ray.remote
def pid_beside() -> int:
    return os.getpid()


def asks_beside(_: int) -> bool:
    return ray.get(pid_beside.remote(), timeout=TIMEOUT_S) != os.getpid()


def pool_inside(number: int) -> list[int]:
    with Pool(2) as inner:
        return list(inner.map(abs, [-number, number]))


def test_a_pool_leaves_the_cpus_to_others() -> None:
    with Pool(2) as pool, Pool(2) as other:
        assert ray.available_resources()["CPU"] == 2
        assert ray.get(pid_beside.remote(), timeout=TIMEOUT_S)
        assert pool.map_async(asks_beside, range(2)).get(TIMEOUT_S) == [True] * 2
        assert pool.map_async(pool_inside, [1, 2]).get(TIMEOUT_S) == [[1, 1], [2, 2]]
        assert other.map_async(abs, [-1]).get(TIMEOUT_S) == [1]
    with Pool(2, ray_remote_args={"num_cpus": 1}), pytest.raises(ray.exceptions.GetTimeoutError):
        ray.get(pid_beside.remote(), timeout=0.5)


NO_INIT = """
import os
import ray_async as ray
from ray_async.util.multiprocessing import Pool

processes = (os.cpu_count() or 1) + 2
with Pool(processes) as pool:
    assert ray.cluster_resources()["CPU"] == processes
    print(pool.map(abs, [-1, -2]))
"""


def test_a_pool_starts_a_session_that_is_large_enough() -> None:
    environ = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    run = subprocess.run([sys.executable, "-c", NO_INIT], capture_output=True, text=True, timeout=100, env=environ)
    assert run.stdout == "[1, 2]\n", run.stderr


INITIALIZED = """
import functools, os, sys
import ray_async as ray
from ray_async.util.multiprocessing import Pool

offset = None
seen = {}
limit = 1

def initialize(value):
    global offset, fresh
    offset = value
    fresh = [value]
    seen["initialized"] = value

def add(number):
    return number + offset

def add_by_helper(number):
    return add(number) + seen["initialized"] + fresh[0]

def count(_):
    global offset
    offset += 1
    return offset

def limited(_):
    return limit

class Adder:
    def __init__(self, number):
        self.number = number
    def __call__(self, other):
        return self.number + other + offset
    def method(self, other):
        return self(other)

with ray.init("local", num_cpus=1), Pool(1, initializer=initialize, initargs=(100,)) as pool:
    print(pool.map(add, [1, 2]), pool.map(add_by_helper, [1]), pool.map(functools.partial(add), [3]))
    print(pool.map(Adder(1), [1]), pool.map(Adder(2).method, [1]), pool.map(lambda x: x + offset, [5]))
    print(pool.map(count, range(2), chunksize=1), pool.map(add, [1]))
    limit = 2  # what the initializer leaves alone travels with the function
    print(pool.map(limited, [0]), offset, seen)
"""


def test_an_initializers_global_variables_in_the_main_module() -> None:
    run = subprocess.run([sys.executable, "-c", INITIALIZED], capture_output=True, text=True, timeout=100)
    assert run.stdout.splitlines() == [
        "[101, 102] [301] [103]",
        "[102] [103] [105]",
        "[101, 102] [103]",
        "[2] None {}",
    ], run.stderr


def divide(number: int) -> float:
    return 1000 / (number - 3)


@pytest.mark.parametrize("n_tasks", [6, 30])
def test_a_call_after_one_that_raised_gets_its_own_results(n_tasks: int) -> None:
    register_ray()
    with joblib.parallel_backend("ray"), joblib.Parallel(n_jobs=2) as parallel:
        for _ in range(5):
            with pytest.raises(ZeroDivisionError):
                parallel(joblib.delayed(divide)(number) for number in range(40))
            assert parallel(joblib.delayed(abs)(-number) for number in range(n_tasks)) == list(range(n_tasks))


@pytest.fixture
def queue() -> Iterator[Queue]:
    queue = Queue(maxsize=2)
    yield queue
    queue.shutdown()


async def waits(queue: Queue, method: str) -> None:
    """Until the queue's actor runs so many calls of a method that nobody has answered yet."""
    while not await queue.actor.__ray_call__.remote(functools.partial(has_waiters, method=method)):
        await asyncio.sleep(0.001)


def has_waiters(actor: Any, method: str) -> bool:
    items = actor._queue
    return any(not waiter.done() for waiter in (items._getters if method == "get" else items._putters))


async def test_a_cancelled_get_leaves_the_item_in_the_queue(queue: Queue) -> None:
    getting = asyncio.create_task(queue.get_async())
    await waits(queue, "get")
    getting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await getting
    await queue.put_async("first")
    await queue.put_async("second")
    assert [await queue.get_async(timeout=TIMEOUT_S) for _ in range(2)] == ["first", "second"]


async def test_a_get_that_times_out_leaves_the_item_in_the_queue(queue: Queue) -> None:
    for number in range(20):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await queue.get_async()
        await queue.put_async(number)
        assert await queue.get_async(timeout=TIMEOUT_S) == number


async def test_an_item_on_its_way_is_the_first_again(queue: Queue) -> None:
    """The actor has answered, and the one who awaits the answer is cancelled before he has it."""
    for item in ("first", "second"):
        await queue.put_async(item)
    getting = asyncio.create_task(queue.get_async())
    await asyncio.sleep(0)  # the call is sent
    while await queue.actor.qsize.remote() == 2:
        pass
    if not getting.done():
        getting.cancel()
    taken = [item for item in await asyncio.gather(getting, return_exceptions=True) if isinstance(item, str)]
    left = [await queue.get_async(timeout=TIMEOUT_S) for _ in range(2 - len(taken))]
    assert taken + left == ["first", "second"]


async def test_a_cancelled_put_adds_nothing(queue: Queue) -> None:
    for item in ("first", "second"):
        await queue.put_async(item)
    putting = asyncio.create_task(queue.put_async("third"))
    await waits(queue, "put")
    putting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await putting
    assert [await queue.get_async() for _ in range(2)] == ["first", "second"]
    await queue.put_async("fourth")
    assert await queue.get_async(timeout=TIMEOUT_S) == "fourth"
    assert await queue.actor.empty.remote()


@ray.remote(num_cpus=0)
def gets(queue: Queue) -> Any:
    return queue.get()


async def test_a_task_that_is_cancelled_while_it_gets(queue: Queue) -> None:
    getting = gets.remote(queue)
    await waits(queue, "get")
    ray.cancel(getting)
    with pytest.raises(ray.exceptions.RayError):
        await getting
    await queue.put_async("item")
    assert await queue.get_async(timeout=TIMEOUT_S) == "item"


@ray.remote(num_cpus=0)
class Getter:
    def pid(self) -> int:
        return os.getpid()

    def get(self, queue: Queue) -> Any:
        return queue.get()


async def test_a_getter_that_is_killed_takes_nothing(queue: Queue) -> None:
    getter = Getter.remote()
    pid = await getter.pid.remote()
    getting = getter.get.remote(queue)
    await waits(queue, "get")
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(ray.exceptions.ActorDiedError):
        await getting
    await asyncio.to_thread(ray.nodes)  # the node answers once it has taken back what the process had
    await queue.put_async("item")
    assert await queue.get_async(timeout=TIMEOUT_S) == "item"
