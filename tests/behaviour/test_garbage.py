"""Calls make no reference cycles: what they used is gone at once, with its memory of the object store."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

import ray_async as ray

TIMEOUT_S = 60
ROUNDS = 3


@pytest.fixture(scope="module", autouse=True)
def session() -> Iterator[None]:
    """One session for the file."""
    with ray.init(num_cpus=2, object_store_memory=100 << 20):
        yield


class Collector:
    """Counts the garbage that the calls before the present one have made."""

    def __init__(self) -> None:
        gc.disable()
        self.counts: list[int] = []

    def call(self, fail: bool, *values: Any) -> None:
        """Count."""
        self.counts.append(gc.collect())
        if fail:
            raise KeyError("on purpose")

    def stream(self, fail: bool) -> Iterator[int]:
        """Count, with an item before that."""
        yield 1
        self.call(fail)

    def found(self) -> list[int]:
        """The counts, but for the first ones, which are of what has been imported."""
        return self.counts[6:]


class AsyncCollector(Collector):
    """The same on an event loop."""

    async def call(self, fail: bool, *values: Any) -> None:  # type: ignore[override]
        """Count, after a wait if there are values."""
        if values:
            await asyncio.sleep(0)
        super().call(fail)

    async def stream(self, fail: bool) -> AsyncIterator[int]:  # type: ignore[override]
        """Count, with an item before that."""
        yield 1
        super().call(fail)


ACTORS = {
    "sync": ray.remote(num_cpus=0)(Collector),
    "threaded": ray.remote(num_cpus=0, max_concurrency=2)(Collector),
    "async": ray.remote(num_cpus=0)(AsyncCollector),
}


@pytest.mark.parametrize("kind", ACTORS)
def test_in_actors(kind: str) -> None:
    actor = ACTORS[kind].remote()
    for _ in range(ROUNDS):
        for fail in (False, True):
            with contextlib.suppress(KeyError):
                ray.get(actor.call.remote(fail), timeout=TIMEOUT_S)
            with contextlib.suppress(KeyError):
                ray.get(actor.call.remote(fail, {"key": [actor, ray.put(1)]}, bytes(100_000)), timeout=TIMEOUT_S)
            for item in actor.stream.remote(fail):
                with contextlib.suppress(KeyError):
                    ray.get(item, timeout=TIMEOUT_S)
    assert set(ray.get(actor.found.remote(), timeout=TIMEOUT_S)) == {0}


@ray.remote
def echo(value: Any, fail: bool = False) -> Any:
    if fail:
        raise KeyError("on purpose")
    return value


@ray.remote
def count(n: int) -> Iterator[int]:
    yield from range(n)


def sync_calls() -> None:
    large = bytes(100_000)
    nested: Any = ray.get(echo.remote({"key": [ray.put(large)]}), timeout=TIMEOUT_S)
    assert len(nested["key"]) == 1
    assert ray.get([echo.remote(large) for _ in range(3)], timeout=TIMEOUT_S) == [large] * 3
    assert len(ray.wait([echo.remote(1), echo.remote(2)], num_returns=2, timeout=TIMEOUT_S)[0]) == 2
    assert [ray.get(item, timeout=TIMEOUT_S) for item in count.remote(3)] == [0, 1, 2]
    with pytest.raises(KeyError):
        ray.get(echo.remote(1, fail=True), timeout=TIMEOUT_S)
    with pytest.raises(ray.exceptions.GetTimeoutError):
        ray.get(ACTORS["sync"].remote().found.remote(), timeout=0)


async def async_calls() -> None:
    assert await echo.remote(1) == 1
    assert await asyncio.gather(*(echo.remote(number) for number in range(5))) == list(range(5))
    assert [await item async for item in count.remote(3)] == [0, 1, 2]
    with pytest.raises(KeyError):
        await echo.remote(1, fail=True)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(ACTORS["sync"].remote().found.remote(), 0)


@contextlib.contextmanager
def no_garbage() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_in_a_driver() -> None:
    sync_calls()
    with no_garbage():
        for _ in range(ROUNDS):
            sync_calls()


async def test_in_a_driver_with_a_loop() -> None:
    await async_calls()
    with no_garbage():
        for _ in range(ROUNDS):
            await async_calls()
