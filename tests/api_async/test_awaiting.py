"""`await ref` and what asyncio makes of references."""

import asyncio
import gc
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvloop

import ray_async as ray
from ray_async.engine.current import current_session
from tests.gate import Gate

# libuv opens one pipe for signals, with the first loop, and keeps it for the life of the process.
uvloop.new_event_loop().close()


@ray.remote
def double(x: int) -> int:
    return 2 * x


@ray.remote
def fail(kind: type[BaseException]) -> None:
    raise kind("told to")


async def test_forms_that_asyncio_wants() -> None:
    assert await double.remote(1) == 2
    assert await asyncio.gather(*[double.remote(i) for i in range(5)]) == [0, 2, 4, 6, 8]
    assert await asyncio.wait_for(double.remote(3), 60) == 6
    done, pending = await asyncio.wait([double.remote(4).as_future()])
    assert [task.result() for task in done] == [8]
    assert not pending
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(double.remote(i).as_coroutine()) for i in range(3)]
    assert [task.result() for task in tasks] == [0, 2, 4]
    assert await asyncio.wrap_future(double.remote(6).future()) == 12


@pytest.mark.parametrize("kind", [ValueError, KeyError, StopIteration, StopAsyncIteration, GeneratorExit])
async def test_errors_come_through_await(kind: type[BaseException]) -> None:
    with pytest.raises(ray.exceptions.RayTaskError) as caught:
        await fail.remote(kind)
    assert isinstance(caught.value.cause, kind)
    assert isinstance(caught.value, kind) == (kind is not StopIteration)


async def test_a_reference_is_awaited_any_number_of_times() -> None:
    ref = double.remote(5)
    assert list(await asyncio.gather(ref, ref, ref.as_coroutine(), ref.as_future())) == [10] * 4
    assert await ref == 10


async def test_ten_thousand_awaits_at_once() -> None:
    refs = [double.remote(i) for i in range(10_000)]
    assert await asyncio.gather(*refs) == [2 * i for i in range(10_000)]


async def test_timeout_leaves_the_remote_work_alone_and_keeps_nothing() -> None:
    gate = Gate.remote()
    ref = gate.wait.remote()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(ref, 0.05)
    assert current_session.session is not None
    waiter: Any = current_session.session.loops.binding().waiter
    assert waiter.n_pending == 0
    await gate.open.remote()
    assert await ref == "open"


async def test_ready_reads_nothing() -> None:
    ref = fail.remote(ValueError)
    assert await ray.ready(ref) is ref
    with pytest.raises(TypeError):
        await ray.ready(3)  # type: ignore[arg-type]


async def test_wait_keeps_the_order_given() -> None:
    gate = Gate.remote()
    blocked = gate.wait.remote()
    refs = [double.remote(1), blocked, double.remote(2)]
    ready, rest = await ray.aio.wait(refs, num_returns=2)
    assert ready == [refs[0], refs[2]]
    assert rest == [blocked]
    assert await ray.aio.wait([blocked], timeout=0) == ([], [blocked])
    assert await ray.aio.wait([blocked], timeout=0.05) == ([], [blocked])
    await gate.open.remote()
    assert await ray.aio.wait([blocked]) == ([blocked], [])
    assert await ray.aio.wait([]) == ([], [])


@pytest.mark.parametrize("arguments", [{"num_returns": 0}, {"num_returns": 3}, {"timeout": -1}])
async def test_wait_refuses_what_makes_no_sense(arguments: dict[str, Any]) -> None:
    refs = [double.remote(1), double.remote(2)]
    with pytest.raises(ValueError):
        await ray.aio.wait(refs, **arguments)
    with pytest.raises(ValueError):
        await ray.aio.wait([refs[0], refs[0]])


async def test_as_completed_gives_each_once() -> None:
    gate = Gate.remote()
    last = gate.wait.remote()
    refs = [last, *[double.remote(i) for i in range(20)]]
    seen = []
    async for ref in ray.aio.as_completed(refs):
        seen.append(ref)
        if len(seen) == 20:
            await gate.open.remote()
    assert seen[-1] == last
    assert set(seen) == set(refs)
    with pytest.raises(TimeoutError):
        async for _ in ray.aio.as_completed([Gate.remote().wait.remote()], timeout=0.05):
            pytest.fail("nothing was ready")


def new_loops() -> list[Callable[[], asyncio.AbstractEventLoop]]:
    return [asyncio.new_event_loop, uvloop.new_event_loop]


def run(make: Callable[[], asyncio.AbstractEventLoop], main: Coroutine[Any, Any, Any]) -> Any:
    with asyncio.Runner(loop_factory=make) as runner:
        return runner.run(main)


@pytest.mark.parametrize("make", new_loops())
def test_loops_come_and_go(make: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def main(i: int) -> int:
        return sum(await asyncio.gather(*[double.remote(i) for _ in range(10)]))

    assert [run(make, main(i)) for i in range(30)] == [20 * i for i in range(30)]


@pytest.mark.parametrize("make", new_loops())
def test_a_loop_may_be_closed_with_awaits_pending(make: Callable[[], asyncio.AbstractEventLoop]) -> None:
    gate = Gate.remote()
    ref = gate.wait.remote()
    loop = make()
    task = loop.create_task(ref.as_coroutine())
    loop.call_later(0.02, loop.stop)
    loop.run_forever()
    assert not task.done()
    task._log_destroy_pending = False
    loop.close()
    del task

    async def main() -> str:
        await gate.open.remote()
        return await ref

    assert run(make, main()) == "open"
    gc.collect()


def test_loops_in_several_threads() -> None:
    results: dict[int, list[int]] = {}

    async def main(i: int) -> None:
        results[i] = await asyncio.gather(*[double.remote(i * 100 + k) for k in range(100)])

    def thread(i: int) -> None:
        for _ in range(5):
            run(new_loops()[i % 2], main(i))

    threads = [threading.Thread(target=thread, args=(i,)) for i in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert results == {i: [2 * (i * 100 + k) for k in range(100)] for i in range(6)}


def test_awaiting_inside_workers() -> None:
    @ray.remote
    async def task(n: int) -> int:
        return sum(await asyncio.gather(*[double.remote(i) for i in range(n)]))

    @ray.remote
    class Actor:
        async def method(self, n: int) -> int:
            return sum([await ref async for ref in numbers.remote(n)])

    @ray.remote
    def numbers(n: int) -> Any:
        yield from range(n)

    assert ray.get(task.remote(10)) == 90
    assert ray.get([Actor.remote().method.remote(5)]) == [10]


def test_a_blocking_get_in_an_async_actor_warns_once() -> None:
    @ray.remote
    class Actor:
        async def method(self) -> list[str]:
            import logging

            seen: list[str] = []
            handler = logging.Handler()
            handler.emit = lambda record: seen.append(record.getMessage())  # type: ignore[method-assign]
            logging.getLogger("ray_async").addHandler(handler)
            assert ray.get([double.remote(1), double.remote(2)]) == [2, 4]
            assert ray.get(double.remote(3)) == 6
            return seen

    seen = ray.get(Actor.remote().method.remote())
    assert len(seen) == 1
    assert "Blocking get()" in seen[0]
