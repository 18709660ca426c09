"""References as futures where something goes: the session, memory for values, nodes that hold them."""

import asyncio
import threading
from typing import Any

import numpy as np
import pytest

import ray_async as ray
from ray_async.exceptions import RaySystemError
from tests.faults.session import statistics

MB = 1 << 20
TIMEOUT_S = 60


@ray.remote
class Gate:
    async def wait(self):
        await asyncio.Event().wait()


@ray.remote
def large(i):
    return np.full(10 * MB, i, dtype=np.uint8)


def test_a_shutdown_ends_a_gather_of_the_same_thread(start):
    start()

    async def main():
        refs: list[Any] = [Gate.remote().wait.remote() for _ in range(3)]
        outer = asyncio.gather(*refs, return_exceptions=True)
        waiting = asyncio.ensure_future(asyncio.wait(refs))
        coroutine = asyncio.create_task(refs[0].as_coroutine())
        await asyncio.sleep(0)
        ray.shutdown()
        async with asyncio.timeout(TIMEOUT_S):
            assert [type(outcome) for outcome in await outer] == [RaySystemError] * 3
            assert await waiting == (set(refs), set())
            with pytest.raises(RaySystemError):
                await coroutine
        assert refs[0].done()
        assert not asyncio.isfuture(refs[0])
        with pytest.raises(ValueError, match="shut down"):
            await refs[0]

    asyncio.run(main())


def test_a_shutdown_ends_a_gather_of_another_thread(start):
    start()
    ref = Gate.remote().wait.remote()
    gathers = threading.Event()
    outcomes = []

    async def main():
        outer = asyncio.gather(ref, return_exceptions=True)
        gathers.set()
        outcomes.extend(await asyncio.wait_for(outer, TIMEOUT_S))

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    assert gathers.wait(TIMEOUT_S)
    ray.shutdown()
    thread.join(TIMEOUT_S)
    assert [type(outcome) for outcome in outcomes] == [RaySystemError]


@pytest.mark.blocks_loop  # what was told to be done may have gone to disk again when it is asked for
async def test_values_that_are_on_disk(start):
    await asyncio.to_thread(start, object_store_memory=80 * MB)
    refs = [large.remote(i) for i in range(15)]
    await asyncio.wait(refs)
    assert (await asyncio.to_thread(statistics))["spilled"] > 0
    assert all(ref.done() for ref in refs)
    for few in (refs[:4], refs[-4:]):
        for ref, value in zip(few, await asyncio.gather(*few), strict=True):
            assert value[0] == value[-1] == refs.index(ref)
            del value
    assert [int((await ref)[5]) for ref in refs] == list(range(15))


async def test_a_callback_that_ends_the_program_is_not_swallowed(start):
    await asyncio.to_thread(start)
    loop = asyncio.new_event_loop()

    def run():
        async def main():
            ref = ray.put(1)

            def leave(_):
                raise SystemExit(3)

            ref.add_done_callback(leave)
            await asyncio.Event().wait()

        task = loop.create_task(main())
        with pytest.raises(SystemExit):
            loop.run_until_complete(task)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            loop.run_until_complete(task)
        loop.close()

    await asyncio.to_thread(run)
