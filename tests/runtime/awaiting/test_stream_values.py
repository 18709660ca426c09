"""Values of streams, read without a reference for each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import numpy as np
import pytest

import ray_async as ray

TIMEOUT_S = 60


@pytest.fixture(scope="module", autouse=True)
def session() -> Iterator[None]:
    """One session for the file, with a small store."""
    with ray.init(num_cpus=2, object_store_memory=100 << 20):
        yield


@ray.remote
def numbers(n: int) -> Iterator[int]:
    yield from range(n)


@ray.remote
async def async_numbers(n: int) -> AsyncIterator[int]:
    for number in range(n):
        yield number


@pytest.mark.parametrize("source", [numbers, async_numbers])
async def test_all_values_come_in_order(source: Any) -> None:
    async with asyncio.timeout(TIMEOUT_S):
        assert [value async for value in source.remote(5000).values()] == list(range(5000))
        assert [value async for value in source.remote(0).values()] == []


def test_all_values_come_in_order_without_a_loop() -> None:
    assert list(numbers.remote(5000).values()) == list(range(5000))
    assert list(numbers.remote(0).values()) == []


async def test_any_value_may_come() -> None:
    @ray.remote
    def things() -> Iterator[Any]:
        yield None
        yield (1, 2)
        yield StopIteration(3)
        yield ValueError("a value")
        yield np.arange(100_000)
        yield [ray.put("nested")]

    for found in (list(things.remote().values()), [value async for value in things.remote().values()]):
        assert found[:2] == [None, (1, 2)]
        assert found[2].value == 3
        assert repr(found[3]) == repr(ValueError("a value"))
        assert found[4].sum() == 99_999 * 50_000
        assert await found[5][0] == "nested"


async def test_errors_are_raised_where_they_stand() -> None:
    @ray.remote
    def fails(error: Any) -> Iterator[int]:
        yield 1
        raise error("mine")

    values = fails.remote(KeyError).values()
    assert await anext(values) == 1
    with pytest.raises(KeyError, match="mine"):
        await anext(values)
    with pytest.raises(StopAsyncIteration):
        await anext(values)
    sync_values = fails.remote(KeyError).values()
    assert next(sync_values) == 1
    with pytest.raises(KeyError, match="mine"):
        next(sync_values)
    assert next(sync_values, "over") == "over"


async def test_references_and_values_may_be_mixed() -> None:
    stream = numbers.remote(6)
    values = stream.values()
    assert await (await anext(stream)) == 0
    assert await anext(values) == 1
    assert next(values) == 2
    assert ray.get(next(stream)) == 3
    assert [value async for value in values] == [4, 5]
    assert next(stream, "over") == "over"


async def test_backpressure_counts_what_was_taken() -> None:
    @ray.remote(num_cpus=0)
    class Source:
        def __init__(self) -> None:
            self.made = 0

        @ray.method(_generator_backpressure_num_objects=2)
        async def numbers(self, n: int) -> AsyncIterator[int]:
            for number in range(n):
                self.made += 1
                yield number

        async def count(self) -> int:
            return self.made

    source = Source.remote()
    async with asyncio.timeout(TIMEOUT_S):
        taken = 0
        async for value in source.numbers.remote(50).values():
            assert value == taken
            taken += 1
            assert await source.count.remote() <= taken + 2
        assert taken == 50


async def test_values_that_went_to_disk_are_read() -> None:
    @ray.remote
    def large(n: int) -> Iterator[Any]:
        for number in range(n):
            yield np.full(20 << 20, number, np.uint8)

    found = []
    async with asyncio.timeout(TIMEOUT_S):
        stream = large.remote(8)
        await stream.completed()
        async for value in stream.values():
            found.append(int(value[-1]))
            del value
    assert found == list(range(8))


async def test_others_on_the_loop_have_a_turn() -> None:
    stream = numbers.remote(2000)
    await stream.completed()
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(count())
    assert len([value async for value in stream.values()]) == 2000
    task.cancel()
    assert turns > 5
