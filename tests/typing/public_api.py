"""Types of the API as mypy and pyright see them, without a plugin; checked, never run."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Generator, Iterator
from typing import Any, TypeVar, assert_type

import ray_async as ray
from ray_async import ActorHandle, JobID, ObjectRef, ObjectRefGenerator
from ray_async.util import ActorPool
from ray_async.util.queue import Queue

T = TypeVar("T")


@ray.remote
def text(a: int, b: str = "") -> str:
    return f"{a}{b}"


@ray.remote(num_cpus=2)
def number(s: str) -> int:
    return len(s)


@ray.remote
async def later(x: int) -> float:
    return x / 2


@ray.remote
def generator(n: int) -> Generator[int, None, None]:
    yield n


@ray.remote
def iterator() -> Iterator[str]:
    yield ""


@ray.remote
async def stream() -> AsyncIterator[bytes]:
    yield b""


@ray.remote(num_returns=2)
def pair() -> tuple[int, int]:
    return 1, 2


class Counter:
    def __init__(self, start: int) -> None:
        self.n = start

    @ray.method
    def add(self, by: int) -> int:
        self.n += by
        return self.n

    @ray.method
    async def later(self, by: float) -> str:
        return str(self.add(int(by)))

    @ray.method(concurrency_group="io")
    def items(self) -> Iterator[bytes]:
        yield b""

    @ray.method(num_returns=2)
    def pair(self) -> tuple[int, str]:
        return self.n, ""


CounterActor = ray.remote(Counter)


@ray.remote
def wrapped(x: T) -> list[T]:
    return [x]


async def futures() -> None:
    reference = text.remote(1)
    assert_type(await asyncio.gather(reference, number.remote("x")), tuple[str, int])
    assert_type(await asyncio.gather(*[number.remote("x")]), list[int])
    assert_type(await asyncio.wait_for(reference, 1), str)
    assert_type(await asyncio.shield(reference), str)
    for each in asyncio.as_completed([reference]):
        assert_type(await each, str)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(reference.as_coroutine())
    assert_type(task.result(), str)
    assert_type(reference.result(), str)
    assert_type(await reference.as_future(), str)
    reference.add_done_callback(lambda done: assert_type(done.result(), str))


async def awaited() -> None:
    assert_type(await text.remote(1), str)
    assert_type(await text.remote(1, b="x"), str)
    assert_type(await number.remote("x"), int)
    assert_type(await later.remote(1), float)
    async for ref in generator.remote(3):
        assert_type(ref, ObjectRef[int])
    async for value in generator.remote(3).values():
        assert_type(value, int)
    async with contextlib.aclosing(stream.remote()) as closed:
        async for item in closed:
            assert_type(item, ObjectRef[bytes])


def blocking() -> None:
    assert_type(ray.get(text.remote(1)), str)
    assert_type(ray.get([number.remote("x")]), list[int])
    assert_type(text.options(name="n").remote(1), ObjectRef[str])
    assert_type(generator.remote(1), ObjectRefGenerator[int])
    assert_type(iterator.remote(), ObjectRefGenerator[str])
    assert_type(stream.remote(), ObjectRefGenerator[bytes])
    assert_type(ray.put(1), ObjectRef[int])
    left, right = pair.remote()
    first, second = text.options(num_returns=2).remote(1)
    print(left, right, first, second)


def references_as_arguments() -> None:
    reference = ray.put(1)
    assert_type(text.remote(reference), ObjectRef[str])
    assert_type(text.remote(reference, "x"), ObjectRef[str])
    assert_type(text.remote(1, ray.put("x")), ObjectRef[str])


def generic_functions() -> None:
    assert_type(wrapped.remote(1), ObjectRef[list[int]])
    assert_type(wrapped.remote("x"), ObjectRef[list[str]])


def waiting() -> None:
    refs = [text.remote(1), text.remote(2)]
    ready, rest = ray.wait(refs, num_returns=1)
    assert_type(ready, list[ObjectRef[str]])
    assert_type(rest, list[ObjectRef[str]])


async def queues() -> None:
    queue: Queue[int] = Queue(maxsize=3)
    queue.put(1)
    assert_type(queue.get(), int)
    assert_type(await queue.get_async(), int)
    assert_type(queue.get_nowait_batch(2), list[int])


def pools() -> None:
    pool = ActorPool([ray.typed(CounterActor.remote(1))])
    assert_type(list(pool.map(lambda actor, value: actor.add.remote(value), [1])), list[int])


def typed_handles() -> None:
    counter = ray.typed(CounterActor.remote(1))
    assert_type(counter.add.remote(2), ObjectRef[int])
    assert_type(counter.add.remote(ray.put(2)), ObjectRef[int])
    assert_type(counter.later.remote(2.5), ObjectRef[str])
    assert_type(counter.items.remote(), ObjectRefGenerator[bytes])
    assert_type(counter.later.options(name="n").remote(2.5), ObjectRef[str])
    pair_of: list[ObjectRef[Any]] = counter.pair.remote()
    assert len(pair_of) == 2


def actors() -> None:
    counter = CounterActor.remote(1)
    assert_type(counter, ActorHandle[Counter])
    total: int = ray.get(counter.add.remote(2))
    assert total == 3
    ray.kill(counter)


def contexts() -> None:
    assert_type(ray.get_runtime_context().job_id, JobID)
    assert_type(ray.get_runtime_context().current_actor, ray.ActorHandle[Any])
    with ray.init(num_cpus=1) as context:
        print(context.address_info)
