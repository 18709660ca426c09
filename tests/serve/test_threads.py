"""Threads of sync handlers."""

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import NoReturn

import pytest

from ray_async.serve.replica.runner import Runner
from ray_async.serve.replica.threads import Job, Threads
from tests.resources import wait_until


@pytest.fixture
async def threads() -> AsyncIterator[Threads]:
    before = set(threading.enumerate())
    found = Threads(2)
    yield found
    found.close()
    # By their names: asyncio.to_thread starts threads too.
    started = [one for one in threading.enumerate() if one not in before and one.name.startswith("serve-handler_")]
    await asyncio.to_thread(wait_until, lambda: not any(one.is_alive() for one in started), 30)


async def finished(job: Job) -> object:
    while not job.done:
        await job.wait()
    return job.result()


async def test_a_call_gives_its_result_or_its_error(threads: Threads) -> None:
    def fail() -> NoReturn:
        raise KeyError("x")

    assert await finished(threads.submit(lambda: 3)) == 3
    with pytest.raises(KeyError):
        await finished(threads.submit(fail))


async def test_stop_iteration_does_not_end_who_waits(threads: Threads) -> None:
    with pytest.raises(RuntimeError, match="StopIteration") as caught:
        await finished(threads.submit(lambda: next(iter(()))))
    assert isinstance(caught.value.__cause__, StopIteration)


async def test_no_more_run_at_once_than_there_are_threads(threads: Threads) -> None:
    gate, entered = threading.Event(), [threading.Event() for _ in range(3)]

    def hold(number: int) -> int:
        entered[number].set()
        gate.wait(60)
        return number

    jobs = [threads.submit(lambda number=number: hold(number)) for number in range(3)]  # type: ignore[misc]
    for event in entered[:2]:
        assert await asyncio.to_thread(event.wait, 60)
    assert not entered[2].is_set()
    gate.set()
    assert [await finished(job) for job in jobs] == [0, 1, 2]


async def test_what_has_not_begun_can_be_withdrawn(threads: Threads) -> None:
    gate = threading.Event()
    running = [threads.submit(lambda: gate.wait(60)) for _ in range(2)]
    ran: list[int] = []
    job = threads.submit(lambda: ran.append(1))
    assert job.withdraw()
    assert job.done
    gate.set()
    for held in running:
        assert await finished(held) is True
        assert not held.withdraw()
    assert await finished(threads.submit(lambda: 1)) == 1
    assert ran == []


class Sync:
    def __init__(self) -> None:
        self.entered, self.gate, self.left = threading.Event(), threading.Event(), False

    def wait(self) -> None:
        self.entered.set()
        self.gate.wait(60)
        self.left = True


async def test_a_cancel_waits_for_the_thread() -> None:
    target = Sync()
    runner = Runner(target, 1)
    task = asyncio.ensure_future(runner.call("wait", (), {}))
    assert await asyncio.to_thread(target.entered.wait, 60)
    queued = asyncio.ensure_future(runner.call("wait", (), {}))
    await asyncio.sleep(0)
    task.cancel()
    queued.cancel()
    with pytest.raises(asyncio.CancelledError):
        await queued  # its call never begins
    assert not task.done()
    target.gate.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert target.left
    runner.close()
