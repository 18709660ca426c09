from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ray_async as ray
from tests.cluster.hosts import Hosts
from tests.resources import wait_until

FAR = {"far": 1}


@ray.remote(resources=FAR, num_returns="streaming")
def numbers(n: int, fail: bool = False) -> Iterator[Any]:
    yield from range(n)
    if fail:
        raise ValueError("bad")


def test_a_stream_of_another_node(two_hosts: Hosts) -> None:
    assert [ray.get(ref) for ref in numbers.remote(50)] == list(range(50))


def test_large_items(two_hosts: Hosts) -> None:
    @ray.remote(resources=FAR, num_returns="streaming")
    def arrays() -> Iterator[Any]:
        for number in range(3):
            yield np.full(100_000, number)

    assert [ray.get(ref).mean() for ref in arrays.remote()] == [0, 1, 2]


def test_a_stream_that_fails(two_hosts: Hosts) -> None:
    stream = numbers.remote(3, fail=True)
    assert [ray.get(next(stream)) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="bad"):
        ray.get(next(stream))
    with pytest.raises(StopIteration):
        next(stream)


def test_back_pressure_reaches_the_producer(two_hosts: Hosts, tmp_path: Path) -> None:
    @ray.remote(resources=FAR, num_returns="streaming", _generator_backpressure_num_objects=2)
    def noted(folder: str) -> Iterator[Any]:
        for number in range(20):
            (Path(folder) / str(number)).touch()
            yield number

    stream = noted.remote(str(tmp_path))
    assert ray.get(next(stream)) == 0
    wait_until((tmp_path / "2").exists)
    assert not (tmp_path / "12").exists()  # so far ahead is nobody with two unread items on either node
    assert [ray.get(ref) for ref in stream] == list(range(1, 20))


def test_a_reader_that_leaves_ends_the_producer(two_hosts: Hosts, tmp_path: Path) -> None:
    @ray.remote(resources=FAR, num_returns="streaming")
    def endless(folder: str) -> Iterator[Any]:
        try:
            number = 0
            while True:
                yield number
                number += 1
        finally:
            (Path(folder) / "ended").touch()

    stream = endless.remote(str(tmp_path))
    assert ray.get(next(stream)) == 0
    del stream
    wait_until((tmp_path / "ended").exists)


async def test_a_stream_of_an_actor(two_hosts: Hosts) -> None:
    @ray.remote(resources=FAR)
    class Source:
        async def items(self, n: int) -> AsyncIterator[int]:
            for number in range(n):
                yield number

    source = Source.remote()
    stream = source.items.options(num_returns="streaming").remote(10)
    assert [await ref async for ref in stream] == list(range(10))
