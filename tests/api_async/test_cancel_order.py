"""Cancels come before what their caller does next, whichever way that takes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import ray_async as ray

Cancelled = ray.exceptions.TaskCancelledError
TURNS = 30
TIMEOUT_S = 60


@ray.remote(num_cpus=0)
class Signal:
    def __init__(self) -> None:
        self.event = asyncio.Event()
        self.waiters = 0

    async def wait(self) -> str:
        self.waiters += 1
        await self.event.wait()
        return "sent"

    async def send(self) -> None:
        self.event.set()

    async def until_waited_for(self) -> None:
        while not self.waiters:
            await asyncio.sleep(0)

    async def reset(self) -> None:
        """Be as a new one."""
        self.event, self.waiters = asyncio.Event(), 0


@ray.remote(num_cpus=0)
class Link:
    """An async actor that awaits the next one, the last of them a signal."""

    def __init__(self, following: Any = None) -> None:
        self.following = following
        self.done: list[Any] = []

    async def run(self, signal: Any) -> Any:
        if self.following is None:
            return await signal.wait.remote()
        ref = self.following.run.remote(signal)
        self.done.append([ref])
        return await ref

    async def runs(self) -> list[list[Any]]:
        return self.done


@pytest.fixture(scope="module")
def chain() -> list[Any]:
    """Three async actors, of which each awaits the next."""
    last = Link.remote()
    middle = Link.remote(last)
    return [Link.remote(middle), middle, last]


@pytest.mark.parametrize("recursive", [True, False])
async def test_a_chain_that_is_cancelled_and_then_released(chain: list[Any], recursive: bool) -> None:
    signal = Signal.remote()
    for _ in range(TURNS):
        await signal.reset.remote()
        ref = chain[0].run.remote(signal)
        await signal.until_waited_for.remote()
        for actor in chain[:2]:
            await actor.runs.remote()  # comes after the call has begun to wait: a cancel interrupts what comes before
        ray.cancel(ref, recursive=recursive)
        await signal.send.remote()
        with pytest.raises(Cancelled):
            await asyncio.wait_for(ref, TIMEOUT_S)
        for actor in chain[:2]:
            ((child,),) = (await actor.runs.remote())[-1:]
            if recursive:
                with pytest.raises(Cancelled):
                    await asyncio.wait_for(child, TIMEOUT_S)
            else:
                assert await asyncio.wait_for(child, TIMEOUT_S) == "sent"


@ray.remote(num_cpus=0)
def wait_in_a_task(refs: list[Any], fails: bool) -> str:
    ray.get(refs)
    if fails:
        raise ValueError("released")
    return "released"


@ray.remote(num_cpus=0)
async def wait_on_a_loop(refs: list[Any], fails: bool) -> str:
    await refs[0]
    if fails:
        raise ValueError("released")
    return "released"


@ray.remote(num_cpus=0)
class Waiter:
    def wait(self, refs: list[Any], fails: bool) -> str:
        ray.get(refs)
        if fails:
            raise ValueError("released")
        return "released"


@ray.remote(num_cpus=0, concurrency_groups={"own": 2})
class GroupedWaiter:
    @ray.method(concurrency_group="own")
    async def wait(self, refs: list[Any], fails: bool) -> str:
        await refs[0]
        if fails:
            raise ValueError("released")
        return "released"


@ray.remote(num_cpus=0, num_returns=2)
def wait_for_two_items(refs: list[Any], fails: bool) -> Any:
    yield 1
    ray.get(refs)
    if fails:
        raise ValueError("released")
    yield 2


MAKERS: dict[str, Callable[[], Any]] = {
    "task": lambda: wait_in_a_task,
    "async task": lambda: wait_on_a_loop,
    "actor": lambda: Waiter.remote().wait,
    "threads": lambda: Waiter.options(max_concurrency=2).remote().wait,
    "group": lambda: GroupedWaiter.remote().wait,
    "two returns": lambda: wait_for_two_items,
}


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("kind", MAKERS)
async def test_what_is_released_after_its_cancel_is_cancelled(kind: str, fails: bool) -> None:
    call = MAKERS[kind]()
    signal = Signal.remote()
    for _ in range(TURNS // 3):
        await signal.reset.remote()
        ref = call.remote([signal.wait.remote()], fails)
        last = ref[-1] if isinstance(ref, list) else ref
        await asyncio.sleep(0)
        await signal.until_waited_for.remote()
        ray.cancel(last)
        await signal.send.remote()
        with pytest.raises(Cancelled):
            await asyncio.wait_for(last, TIMEOUT_S)


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_a_stream_that_is_released_after_its_cancel_has_no_more_items(asynchronous: bool) -> None:
    @ray.remote(num_cpus=0)
    def items(refs: list[Any]) -> Any:
        yield 1
        ray.get(refs)
        yield 2

    @ray.remote(num_cpus=0)
    async def async_items(refs: list[Any]) -> Any:
        yield 1
        await refs[0]
        yield 2

    signal = Signal.remote()
    for _ in range(TURNS // 3):
        await signal.reset.remote()
        stream = (async_items if asynchronous else items).remote([signal.wait.remote()])
        assert await (await anext(stream)) == 1
        ray.cancel(stream)
        await signal.send.remote()
        with pytest.raises(Cancelled):
            await asyncio.wait_for(await anext(stream), TIMEOUT_S)
        with pytest.raises(StopAsyncIteration):
            await anext(stream)


async def test_a_scope_that_is_left_and_then_released() -> None:
    signal, waiter = Signal.remote(), Waiter.remote()
    for _ in range(TURNS // 3):
        await signal.reset.remote()
        refs: list[Any] = []
        with pytest.raises(KeyError):
            async with ray.cancel_scope():
                refs += [wait_on_a_loop.remote([signal.wait.remote()], False), waiter.wait.remote([], False)]
                refs.append(wait_in_a_task.remote([signal.wait.remote()], False))
                await refs[1]
                raise KeyError
        await signal.send.remote()
        for ref in (refs[0], refs[2]):
            with pytest.raises(Cancelled):
                await asyncio.wait_for(ref, TIMEOUT_S)
        assert await refs[1] == "released"  # what is finished stays finished


async def test_the_cancel_is_seen_at_the_await_before_anything_else() -> None:
    """What a call would do once its await is over does not happen, when its cancel came first."""

    @ray.remote(num_cpus=0)
    class Careful:
        def __init__(self) -> None:
            self.went_on = 0

        async def wait(self, refs: list[Any]) -> None:
            await refs[0]
            self.went_on += 1

        async def count(self) -> int:
            return self.went_on

    actor = Careful.remote()
    signal = Signal.remote()
    for _ in range(TURNS):
        await signal.reset.remote()
        ref = actor.wait.remote([signal.wait.remote()])
        await signal.until_waited_for.remote()
        await actor.count.remote()  # comes after the call has begun to wait
        ray.cancel(ref)
        await signal.send.remote()
        with pytest.raises(Cancelled):
            await asyncio.wait_for(ref, TIMEOUT_S)
    assert await actor.count.remote() == 0


async def test_a_call_of_a_group_is_cancelled_on_its_own_loop_before_it_goes_on(tmp_path: Path) -> None:
    """Its loop is held up while the cancel comes, with what lets the call go on waiting there already."""

    @ray.remote(num_cpus=0, concurrency_groups={"own": 2})
    class Held:
        @ray.method(concurrency_group="own")
        async def wait(self, started: Path) -> str:
            self.event = asyncio.Event()
            started.touch()
            await self.event.wait()
            return "released"

        @ray.method(concurrency_group="own")
        async def hold_up(self, begun: Path, over: Path) -> None:
            self.event.set()
            begun.touch()
            while not over.exists():
                time.sleep(0.01)

    started, begun, over = (tmp_path / name for name in ("started", "begun", "over"))
    actor = Held.remote()
    ref = actor.wait.remote(started)
    await _until(started.exists)
    holding = actor.hold_up.remote(begun, over)
    await _until(begun.exists)
    ray.cancel(ref)
    await asyncio.sleep(0.5)  # the node has told the process
    over.touch()
    with pytest.raises(Cancelled):
        await asyncio.wait_for(ref, TIMEOUT_S)
    await holding


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(TIMEOUT_S):
        while not condition():
            await asyncio.sleep(0.01)


async def test_a_finished_task_stays_finished() -> None:
    signal = Signal.remote()
    for _ in range(TURNS):
        await signal.reset.remote()
        ref = wait_on_a_loop.remote([signal.wait.remote()], False)
        await signal.send.remote()
        assert await asyncio.wait_for(ref, TIMEOUT_S) == "released"
        ray.cancel(ref)
        assert await ref == "released"


async def test_whoever_gets_over_a_cancel_finishes() -> None:
    @ray.remote(num_cpus=0)
    async def stubborn(refs: list[Any]) -> str:
        try:
            await refs[0]
        except asyncio.CancelledError:
            return "went on"
        return "released"

    never = Signal.remote()
    ref = stubborn.remote([never.wait.remote()])
    await never.until_waited_for.remote()
    ray.cancel(ref, recursive=False)
    assert await asyncio.wait_for(ref, TIMEOUT_S) == "went on"
