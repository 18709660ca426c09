"""Streams: their ends, how far a producer runs ahead, and that it is not held up when nobody reads any more."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

import ray_async as ray
from tests.resources import wait_until

TIMEOUT_S = 60
AHEAD = 2


@pytest.fixture(autouse=True)
def one_cpu() -> Iterator[None]:
    with ray.init(num_cpus=1):
        yield


def note(path: str, text: str) -> None:
    with open(path, "a") as file:
        file.write(text + "\n")


def noted(path: Path) -> list[str]:
    return path.read_text().split() if path.exists() else []


@ray.remote(_generator_backpressure_num_objects=AHEAD)
def numbers(path: str, n: int) -> Iterator[int]:
    try:
        for i in range(n):
            note(path, str(i))
            yield i
    finally:
        note(path, "closed")


@ray.remote(_generator_backpressure_num_objects=AHEAD)
async def async_numbers(path: str, n: int) -> AsyncIterator[int]:
    try:
        for i in range(n):
            note(path, str(i))
            yield i
    finally:
        note(path, "closed")


@ray.remote
class Source:
    @ray.method(_generator_backpressure_num_objects=AHEAD)
    async def numbers(self, path: str, n: int) -> AsyncIterator[int]:
        try:
            for i in range(n):
                note(path, str(i))
                yield i
        finally:
            note(path, "closed")

    async def ping(self) -> str:
        return "pong"


@ray.remote
def one() -> int:
    return 1


SOURCES = [numbers, async_numbers]


def test_a_stream_that_has_ended_has_no_next_item() -> None:
    @ray.remote
    def one_number() -> Iterator[int]:
        yield 1

    stream = one_number.remote()
    ray.get(stream.completed(), timeout=TIMEOUT_S)
    assert stream.next_ready()
    next(stream)
    assert not stream.next_ready()
    assert stream.is_finished()


@pytest.mark.parametrize("source", SOURCES)
def test_the_producer_stays_so_far_ahead_and_all_items_come(source: Any, tmp_path: Path) -> None:
    path = tmp_path / "items"
    stream = source.remote(str(path), 20)
    wait_until(lambda: len(noted(path)) == AHEAD)
    for i, ref in enumerate(stream):
        assert ray.get(ref, timeout=TIMEOUT_S) == i
        assert len(noted(path)) <= i + 1 + AHEAD + 1  # what it makes next, and "closed"
    assert noted(path) == [*map(str, range(20)), "closed"]


@pytest.mark.parametrize("taken", [0, 1, 3])
@pytest.mark.parametrize("source", SOURCES)
def test_the_producer_of_a_dropped_detached_stream_is_not_held_up(source: Any, taken: int, tmp_path: Path) -> None:
    path = tmp_path / "items"
    stream = source.options(_generator_detached=True).remote(str(path), 50)
    kept = [next(stream) for _ in range(taken)]
    del stream
    wait_until(lambda: noted(path)[-1:] == ["closed"])
    assert noted(path) == [*map(str, range(50)), "closed"]
    assert ray.get(one.remote(), timeout=TIMEOUT_S) == 1
    assert ray.get(kept, timeout=TIMEOUT_S) == list(range(taken))


def test_a_stream_whose_end_is_still_waited_for_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "items"
    stream = numbers.remote(str(path), 5)
    end = stream.completed()
    assert [ray.get(ref, timeout=TIMEOUT_S) for ref in stream] == list(range(5))
    ray.get(end, timeout=TIMEOUT_S)


async def test_an_actors_stream_ends_as_well(tmp_path: Path) -> None:
    path = tmp_path / "items"
    source = Source.remote()
    stream = source.numbers.remote(str(path), 50)
    async with asyncio.timeout(TIMEOUT_S):
        assert await (await anext(stream)) == 0
        del stream
        while noted(path)[-1:] != ["closed"]:
            assert await source.ping.remote() == "pong"


def test_a_killed_consumers_stream_ends(tmp_path: Path) -> None:
    path = tmp_path / "items"

    @ray.remote(num_cpus=0, max_retries=0)
    def consumer() -> None:
        stream = numbers.options(_generator_backpressure_num_objects=-1).remote(str(path), 10**9)
        next(stream)
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(ray.exceptions.WorkerCrashedError):
        ray.get(consumer.remote(), timeout=TIMEOUT_S)
    wait_until(lambda: noted(path)[-1:] == ["closed"])
    assert ray.get(one.remote(), timeout=TIMEOUT_S) == 1


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("limit", [1, 2, 31, 32, 33, 100])
def test_a_paused_producer_goes_on_whatever_its_limit(source: Any, limit: int, tmp_path: Path) -> None:
    path = tmp_path / "noted"
    stream = source.options(_generator_backpressure_num_objects=limit).remote(str(path), 5 * limit)
    for number in range(5 * limit):
        if number in (0, 2 * limit):  # nobody reads: it makes what it may, and no more
            wait_until(lambda read=number: len(noted(path)) >= read + limit // 2)  # type: ignore[misc]
        assert len(noted(path)) <= number + limit + 1
        assert ray.get(next(stream), timeout=TIMEOUT_S) == number
    with pytest.raises(StopIteration):
        next(stream)
    assert noted(path)[-1] == "closed"


@ray.remote(num_returns="streaming", _num_objects_per_yield=2)
def pairs(n: int) -> Iterator[Any]:
    for i in range(n):
        yield i, -i
    yield n


@ray.remote(num_returns="streaming", _num_objects_per_yield=2)
async def async_pairs(n: int) -> AsyncIterator[Any]:
    for i in range(n):
        yield i, -i
    yield n


@pytest.mark.parametrize("source", [pairs, async_pairs])
def test_one_yield_of_several_objects(source: Any) -> None:
    *found, wrong = list(source.remote(3))
    assert ray.get(found, timeout=TIMEOUT_S) == [0, 0, 1, -1, 2, -2]
    with pytest.raises(ValueError, match=r"must yield 2 values at a time .*, but yielded int"):
        ray.get(wrong, timeout=TIMEOUT_S)


def test_a_stream_as_an_argument_is_refused(tmp_path: Path) -> None:
    """In words of its own, without advice for parts that are nobody's to change."""
    stream: Any = numbers.remote(str(tmp_path / "log"), 1)
    with pytest.raises(TypeError, match="pass the references that it yields") as caught:
        ray.put([stream])
    assert "The part that" not in str(caught.value)
