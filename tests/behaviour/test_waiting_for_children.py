"""Coroutines that wait for tasks do not keep the CPU that those need."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

import ray_async as ray
from ray_async.engine.current import get_session

TIMEOUT_S = 60
N_PARENTS = 250  # more than one worker takes at once


@pytest.fixture(autouse=True)
def one_cpu() -> Iterator[None]:
    with ray.init(num_cpus=1):
        yield


@ray.remote
def child(x: int) -> int:
    return x + 1


@ray.remote
async def async_child(x: int) -> int:
    return x + 1


@ray.remote
async def awaits(task: Any, x: int) -> int:
    return int(await task.remote(x))


@ray.remote
async def gathers(x: int) -> list[int]:
    return list(await asyncio.gather(child.remote(x), async_child.remote(x)))


@ray.remote
async def blocks(task: Any, x: int) -> int:
    return int(ray.get(task.remote(x)))


@ray.remote
def runs_a_loop(task: Any, x: int) -> int:
    async def main() -> int:
        return int(await task.remote(x))

    return asyncio.run(main())


@ray.remote
async def grandparent(x: int) -> int:
    return int(await awaits.remote(child, x))


@pytest.mark.parametrize("parent", [awaits, blocks, runs_a_loop])
@pytest.mark.parametrize("task", [child, async_child])
async def test_one_parent(parent: Any, task: Any) -> None:
    async with asyncio.timeout(TIMEOUT_S):
        assert await parent.remote(task, 1) == 2


async def test_generations_and_several_children() -> None:
    async with asyncio.timeout(TIMEOUT_S):
        assert await grandparent.remote(1) == 2
        assert await gathers.remote(1) == [2, 2]


async def test_more_parents_than_one_worker_takes() -> None:
    async with asyncio.timeout(TIMEOUT_S):
        found = await asyncio.gather(*(awaits.remote(child, x) for x in range(N_PARENTS)))
    assert found == [x + 1 for x in range(N_PARENTS)]


async def test_a_cpu_that_was_lent_is_held_again_afterwards() -> None:
    async with asyncio.timeout(TIMEOUT_S):
        await awaits.remote(child, 1)

        @ray.remote
        def cpus() -> float:
            return float(ray.available_resources().get("CPU", 0.0))

        assert await cpus.remote() == 0.0


async def test_a_loop_that_was_closed_while_it_waited_gives_its_loan_back() -> None:
    @ray.remote(num_cpus=0)
    async def never() -> None:
        await asyncio.Event().wait()

    @ray.remote
    def closes_its_loop(refs: list[Any]) -> tuple[bool, bool]:
        session: Any = get_session()
        loop = asyncio.new_event_loop()
        pending = loop.create_task(refs[0].as_coroutine())
        waiter = loop.run_until_complete(waits_until_lent(session))
        before = waiter.lent
        loop.close()
        session.collect_loops()
        del pending
        return before, waiter.lent

    async def waits_until_lent(session: Any) -> Any:
        waiter = session.loops.binding().waiter
        while not waiter.lent:
            await asyncio.sleep(0.001)
        return waiter

    ref = never.remote()
    async with asyncio.timeout(TIMEOUT_S):
        assert await closes_its_loop.remote([ref]) == (True, False)
    ray.cancel(ref)
